"""The README's picture: ``python docs/picture.py`` writes ``docs/fallback.jpg``.

The portrait is NASA's of Eileen Collins, in the public domain, as scikit-image ships it. Nobody
has marked its landmarks: the mean of the bundled faces', fitted to the box that stage 1 finds,
is good enough to draw occluders by.
"""

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from pipeline import annotate, draw, images, occlude, samples, shipped
from pipeline.boxes import around
from pipeline.images import Letterbox, Picture
from pipeline.parts import IBUG68, Points
from pipeline.two_stage import TwoStage

SIDE = 300
SCENES = (
    *(("blanket", 0.0, 3), ("tube", 0.7, 1), ("blanket", 0.62, 3), ("hand", 0.75, 8)),
    *(("hand", 0.9, 5), ("darkness", 0.85, 0)),
)


def portrait() -> Picture:
    """The face with its surroundings."""
    whole = data.astronaut()[0:300, 75:375]
    return np.asarray(cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def landmarks(picture: Picture, detector: TwoStage) -> Points:
    """68 points, roughly."""
    shapes = []
    for _, points in samples.faces():
        x1, y1, x2, y2 = around(points)[0]
        shapes.append((points - (x1, y1)) / (x2 - x1, y2 - y1))
    x1, y1, x2, y2 = detector(picture).boxes[0]
    mean: Points = np.nanmean(shapes, axis=0) * (x2 - x1, y2 - y1) + (x1, y1)
    return mean


def main() -> None:
    """Covered faces above, what stage 1 still sees of them below."""
    detector = TwoStage.load(shipped.CLEAR, shipped.CLEAR_FALLBACK, device="cpu", keep=True)
    always = TwoStage.load(shipped.CLEAR, shipped.CLEAR_FALLBACK, device="cpu", keep=True, conf=1.0)
    clear = portrait()
    points = landmarks(clear, detector)
    columns = []
    for kind, amount, seed in SCENES:
        covered = (
            occlude.drawn(clear, points, IBUG68, kind, amount, seed).picture if amount else clear
        )
        faces, shown = detector(covered), always(covered).heatmap
        assert shown is not None
        letterbox = Letterbox(**shown.facts["letterbox"])  # type: ignore[arg-type]
        heat = draw.overlay(covered, shown.stack.max(axis=0), letterbox)
        columns.append(np.concatenate([annotate.annotated(covered, faces, faces.outcome), heat]))
    target = Path(__file__).with_name("fallback.jpg")
    target.write_bytes(images.encode(np.concatenate(columns, axis=1), ".jpg", quality=88))


if __name__ == "__main__":
    main()
