"""``uncover demo``: what there is, with nothing but what is shipped."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs
from pipeline.prepare import Prepare

if TYPE_CHECKING:
    from pipeline.images import Picture
    from pipeline.parts import Points

_WINDOW = 2.6  # face sizes: the cut-out around each face
_LANDMARKS = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Demo:
    """Prepare a tiny dataset from bundled material and show it on a contact sheet.

    Takes the two photographs that Ultralytics ships, with landmarks that Uncover ships,
    draws occluders of every level onto the faces, turns and mirrors copies, and writes the
    boxes of the ten parts. Needs no data and no network.
    """

    seed: int = 0
    """Another seed draws other occluders."""

    def run(self) -> Path:
        """Write ``datasets/demo``; its contact sheet."""
        photographs = runs.home() / "runs" / "demo" / "photographs"
        count = _cut_out_faces(photographs)
        print(f"{count} faces from photographs shipped with Ultralytics")
        dataset = Prepare(
            sources=(f"merl-rav={photographs}",),
            name="demo",
            poses="frontal,lefthalf,righthalf,left,right",
            split="1:0:0",
            occlude="none,easy,medium,hard",
            draws=2,
            turn=180,
            mirror=True,
            seed=self.seed,
            overwrite=_ours(photographs),
        ).run()
        return dataset / "contact-sheet.jpg"


def _ours(photographs: Path) -> bool:
    """Whether datasets/demo was made by an earlier demo: somebody else's is not overwritten."""
    manifest = runs.read_json(runs.datasets() / "demo" / "manifest.json") or {}
    source = manifest.get("sources", {}).get("merl-rav", {})
    return bool(source.get("path") == str(photographs))


def _cut_out_faces(folder: Path) -> int:
    """Write each bundled face with its surroundings and landmarks, as MERL-RAV keeps them."""
    import numpy as np

    from pipeline import images, yolo
    from pipeline.annotations import pts
    from pipeline.parts import IBUG68

    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(_LANDMARKS.glob("*.pts"))
    photographs = {path.stem: images.read(path) for path in yolo.sample_photographs()}
    for path in files:
        raw = pts.read_points(path, IBUG68.count)
        photograph = photographs[path.stem.rsplit("_", 1)[0]]
        window, corner = _window(photograph, np.abs(raw[(raw != -1).any(axis=1)]))
        moved = np.where(raw == -1, -1, raw - np.sign(raw) * corner)
        rows = "\n".join(f"{x:.2f} {y:.2f}" for x, y in moved)
        text = f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n"
        _write_new(folder / f"{path.stem}.png", images.encode(window, ".png"))
        _write_new(folder / path.name, text.encode())
    return len(files)


def _write_new(path: Path, data: bytes) -> None:
    """Write unless it is there already: the dataset is linked to it, and stays up to date."""
    if not path.is_file() or path.read_bytes() != data:
        path.unlink(missing_ok=True)
        path.write_bytes(data)


def _window(photograph: "Picture", points: "Points") -> "tuple[Picture, Points]":
    """The part of a photograph around a face, and its upper left corner."""
    import numpy as np

    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low).max() * _WINDOW / 2
    size = np.array(photograph.shape[1::-1])
    x1, y1 = np.clip((low + high) / 2 - half, 0, size).astype(int)
    x2, y2 = np.clip((low + high) / 2 + half, 0, size).astype(int)
    return photograph[y1:y2, x1:x2].copy(), np.array([x1, y1], np.float32)
