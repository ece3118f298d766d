"""The README's pictures of the page: ``python docs/page.py`` writes ``docs/inspect*.jpg``.

The same portrait as in ``picture.py``, hidden on film; the page is opened over its run, in a
Chromium that is there, and looked at as people do.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from picture import landmarks, portrait
from playwright.sync_api import Page, sync_playwright

from pipeline import images, occlude, runs, shipped
from pipeline.detect import Detect
from pipeline.film import Piece
from pipeline.images import Picture
from pipeline.parts import IBUG68, WHOLE_FACE, part_boxes
from pipeline.two_stage import TwoStage

SIDE, FRAMES, RATE = 480, 60, 10
ACTS = (("blanket", 3), ("hand", 8), ("tube", 1), ("blanket", 5), ("hand", 5), ("darkness", 0))
WIDTH, HEIGHT = 1440, 900
SHOTS = (
    ("inspect.jpg", "light", "#frame=207&map=average", "overlay"),
    ("inspect-dark.jpg", "dark", "#frame=207&map=average", "ten classes"),
)


def filmed(folder: Path) -> Path:
    """A film in which the face is hidden and uncovered again and again, and its truth."""
    detector = TwoStage.load(shipped.CLEAR, "none", device="cpu")
    clear: Picture = np.asarray(cv2.resize(portrait(), (SIDE, SIDE)), np.uint8)
    points = landmarks(clear, detector)
    boxes, kinds = part_boxes(points, IBUG68)
    x1, y1, x2, y2 = boxes[kinds == WHOLE_FACE][0].tolist()
    pictures, faces = [], []
    with Piece(folder / "bed3.mp4", (SIDE, SIDE), RATE) as film:
        for act, (kind, seed) in enumerate(ACTS):
            for step in range(FRAMES):
                amount = 0.95 * float(np.sin(np.pi * (step + 0.5) / FRAMES)) ** 2
                covered = occlude.drawn(clear, points, IBUG68, kind, amount, seed)
                film.write(covered.picture)
                number = act * FRAMES + step
                name = f"bed3@{number:06d}"
                pictures.append({"id": number, "file_name": name, "occluder": kind})
                box = [x1, y1, x2 - x1, y2 - y1]
                face = {"id": number, "image_id": number, "category_id": 1, "bbox": box}
                faces.append(face | {"hidden": covered.share})
    labels = folder / "truth.json"
    kind_of_all = [{"id": 1, "name": "face"}]
    content = {"images": pictures, "annotations": faces, "categories": kind_of_all}
    runs.write_json(labels, content)
    return labels


def shown(page: Page, target: Path) -> None:
    """What the page looks like now, as a JPEG."""
    page.wait_for_timeout(1500)
    target.write_bytes(images.encode(images.decode(page.screenshot()), ".jpg", quality=88))


def main() -> None:
    """Run, serve, look."""
    docs = Path(__file__).parent
    browser = shutil.which("chromium") or sys.exit("no Chromium here")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["UNCOVER_HOME"] = temporary
        os.chdir(temporary)
        labels = filmed(Path(temporary))
        pair = {"stage1": shipped.CLEAR, "fallback": shipped.CLEAR_FALLBACK}
        run = Detect(("bed3.mp4",), always=True, save_heatmaps=True, **pair).run()
        command = [sys.executable, "-m", "pipeline", "inspect", str(run), "--no-browser"]
        command += ["--labels", str(labels)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,  # noqa: S603
            sync_playwright() as playwright,
        ):
            assert server.stdout is not None
            server.stdout.readline()
            address = server.stdout.readline().strip()
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            size = {"width": WIDTH, "height": HEIGHT}
            for name, scheme, place, layout in SHOTS:
                page = chromium.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(address + place)
                page.wait_for_selector("html[data-ready='1']")
                page.get_by_role("radiogroup", name="Layout").get_by_text(layout).click()
                shown(page, docs / name)
            chromium.close()
            server.terminate()


if __name__ == "__main__":
    main()
