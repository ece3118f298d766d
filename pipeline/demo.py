"""``uncover demo``: both stages at work, with nothing but what is shipped."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.shipped import CLEAR, CLEAR_FALLBACK, FALLBACK, STAGE1

if TYPE_CHECKING:  # these bring numpy and torch, which --help need not wait for
    from pipeline.boxes import Boxes
    from pipeline.images import Picture
    from pipeline.parts import Points

PAIRS = {  # name of the run -> what stage 1 has learned, the pair
    "uncover-demo-clear": ("trained on clear faces", CLEAR, CLEAR_FALLBACK),
    "uncover-demo": ("trained on hidden faces, too", STAGE1, FALLBACK),
}
ACTS = ("blanket", "hand", "tube", "darkness")
FRAMES = 16  # of each act
RATE = 10  # frames a second
SIDE = 384  # pixels of the film
SHOWN = 12  # recovered frames on the sheet
_MOST = {"darkness": 0.8}  # of the amount; beyond it the picture is black


@dataclass(frozen=True)
class Demo:
    """Hide faces on film, and find them again: no data, no network.

    Takes the photographs that Ultralytics ships, with landmarks that Uncover ships. A blanket is
    pulled up over each face, a hand passes, a tube is laid, the light goes out. The film goes
    through 'uncover detect' twice, with a stage 1 that has learned clear faces alone and with one
    that has learned hidden faces, too. Because the truth is known, the table tells how many faces
    stage 1 finds, how many stage 2 recovers, what is missed, and which boxes are wrong.
    """

    seed: int = 0
    """Another seed draws other occluders."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    def run(self) -> Path:
        """Write ``runs/demo`` and ``runs/detect/uncover-demo...``; the sheet of recovered faces."""
        from pipeline import tables
        from pipeline.detect import INTERRUPTED, Detect

        folder = runs.home() / "runs" / "demo"
        if folder.exists() and not (folder / "truth.json").is_file():
            raise UserError(f"{folder} is there and no demo of ours; move it away")
        with runs.whole_folder(folder) as made:
            truth = list(_filmed(made / "film.mp4", self.seed))
            runs.write_json(made / "truth.json", {"seed": self.seed} | _as_coco(truth))
        film, sheet = folder / "film.mp4", folder / "recovered.jpg"
        rows = []
        for name, (words, *pair) in PAIRS.items():
            print(f"\n{words}")
            detect = Detect((str(film),), name, stage1=pair[0], fallback=pair[1], overwrite=True)
            kept = replace(detect, device=self.device, save_heatmaps=True, always=True)
            detected = kept.run()
            if detect.exit_code(detected) == INTERRUPTED:
                raise KeyboardInterrupt
            answers = _answers(detected, truth)
            rows += [{"stage 1": words} | row for row in _table(answers)]
            if not sheet.exists():
                _sheet(film, detected, answers, sheet)
        print("\n" + tables.as_text(rows))
        if sheet.exists():
            print(f"recovered faces and their heatmaps   {sheet}")
        for name in PAIRS:
            annotated = runs.home() / "runs" / "detect" / name / "annotated" / "film.mp4"
            print(f"the film, with who found the face    {annotated}")
        inspect = ["uncover", "inspect", str(detected), "--labels", str(folder / "truth.json")]
        print(f"look into it, frame by frame         {shlex.join(inspect)}")
        print("your own                             uncover detect VIDEO")
        return sheet


def _filmed(path: Path, seed: int) -> Iterator[Json]:
    """Write the film; of each frame the act, the share that is hidden, and the true box."""
    import math

    from tqdm import tqdm

    from pipeline import occlude
    from pipeline.film import Piece
    from pipeline.parts import IBUG68

    faces = list(_faces())
    plays = [(act, face) for face in range(len(faces)) for act in ACTS]
    bar = tqdm(total=len(plays) * FRAMES, desc="film", unit=" frames", disable=None, leave=False)
    with bar, Piece(path, (SIDE, SIDE), RATE) as film:
        for number, (act, face) in enumerate(plays):
            picture, points = faces[face]
            for step in range(FRAMES):
                amount = _MOST.get(act, 1.0) * math.sin(math.pi * (step + 0.5) / FRAMES) ** 2
                covered = occlude.drawn(picture, points, IBUG68, act, amount, seed + number)
                film.write(covered.picture)
                box = _whole(points).round(2).tolist()
                yield {"act": act, "face": face, "hidden": round(covered.share, 3), "box": box}
                bar.update()


def _as_coco(truth: Sequence[Json]) -> Json:
    """The truth in COCO's form, which 'uncover inspect --labels' reads, too."""
    images, annotations = list[Json](), list[Json]()
    for number, each in enumerate(truth):
        about = {"id": number, "file_name": f"film@{number:06d}", "width": SIDE, "height": SIDE}
        images.append(about | {"occluder": each["act"]})
        x1, y1, x2, y2 = each["box"]
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        face = {"id": number, "image_id": number, "category_id": 1, "bbox": box}
        annotations.append(face | {"hidden": each["hidden"]})
    kinds = [{"id": 1, "name": "face"}]
    return {"images": images, "annotations": annotations, "categories": kinds}


def _faces() -> "Iterator[tuple[Picture, Points]]":
    """Each bundled face in a square, with its landmarks."""
    import numpy as np

    from pipeline import samples
    from pipeline.images import Letterbox

    for window, points in samples.faces():
        box = Letterbox(window.shape[1], window.shape[0], SIDE, SIDE)
        moved = box.apply(np.tile(points, 2).astype(np.float32))[:, :2]
        yield box.picture(window), np.where(np.isnan(points), np.nan, moved)


def _whole(points: "Points") -> "Boxes":
    """The box of the whole face, (4,)."""
    from pipeline.parts import IBUG68, WHOLE_FACE, part_boxes

    boxes, classes = part_boxes(points, IBUG68)
    whole: Boxes = boxes[classes == WHOLE_FACE][0]
    return whole


def _answers(detected: Path, truth: Sequence[Json]) -> list[Json]:
    """The truth of every frame, with what was said of it and whether that is right."""
    import numpy as np
    import pandas as pd

    from pipeline import boxes
    from pipeline.boxes import ENOUGH

    said = pd.read_csv(detected / "frames.csv").groupby("frame").first()
    answers = []
    for number, true in enumerate(truth):
        row = said.loc[number]
        box = np.array([[row[key] for key in ("x1", "y1", "x2", "y2")]], np.float32)
        fits = boxes.iou(box, np.array([true["box"]], np.float32)).max()  # 0 of no box
        judged = {"frame": number, "outcome": row["outcome"], "right": bool(fits >= ENOUGH)}
        judged["said"] = box[0].tolist()
        answers.append(true | judged)
    return answers


def _table(answers: Sequence[Json]) -> Iterator[Json]:
    """A row an act, and one for all."""
    for act in (*ACTS, "all"):
        of = [each for each in answers if act in {each["act"], "all"}]
        right = [each["outcome"] for each in of if each["right"]]
        missed = sum(each["outcome"] == "missed" for each in of)
        yield {
            "what hides the face": act,
            "frames": len(of),
            "half hidden or more": sum(each["hidden"] >= 0.5 for each in of),
            "found by stage 1": right.count("found"),
            "recovered by stage 2": right.count("recovered"),
            "wrong box": len(of) - missed - len(right),
            "missed": missed,
        }


def _sheet(film: Path, detected: Path, answers: Sequence[Json], target: Path) -> None:
    """Recovered frames beside their heatmaps, for people."""
    import numpy as np

    from pipeline import draw, heatmap_files, images, media
    from pipeline.images import Letterbox

    answered = [each for each in answers if each["outcome"] == "recovered"]
    recovered = [each["frame"] for each in answered]
    shown = {recovered[number] for number in media.evenly(len(recovered), SHOWN)}
    tiles = []
    for frame in media.frames(media.inputs([str(film)])[0], lambda number, _: number in shown):
        assert frame.picture is not None
        each = answers[frame.number]
        stack, facts = heatmap_files.read(detected / "heatmaps" / f"{frame.name}.tif")
        seen = draw.overlay(frame.picture, stack.max(axis=0), Letterbox(**facts["letterbox"]))
        boxes, kinds = np.array([each["box"], each["said"]], np.float32), np.arange(2)
        words = f"{each['act']}, {each['hidden']:.0%} hidden"
        right = "right" if each["right"] else "wrong"
        tiles.append(draw.Tile(frame.picture, boxes, kinds, words, f"frame {frame.number}"))
        tiles.append(
            draw.Tile(seen, boxes, kinds, "what stage 1 did see", f"the answer is {right}")
        )
    if tiles:
        good = sum(each["right"] for each in answered)
        title = (
            f"{len(recovered)} frames in which stage 2 answered where a stage 1 that knows clear "
        )
        title += f"faces alone was silent: {good} right"
        images.write(target, draw.sheet(tiles, ["truth", "answer"], title, columns=6), quality=90)
