"""A prepared dataset on disk: the Ultralytics layout, and what label files cannot hold.

::

    NAME/data.yaml              for Ultralytics: absolute path, splits, class names
         images/SPLIT/*.jpg     labels/SPLIT/*.txt  (class, centre, size; shares of the picture)
         annotations.jsonl      one picture a line: landmarks, visibility, attributes, levels
         manifest.json          settings, sources, counts, what was left out and why, versions
         contact-sheet.jpg      because people would rather look
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline import runs
from pipeline.annotations import Face
from pipeline.boxes import Boxes
from pipeline.errors import UserError
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json

EMPTY = "_empty"  # at the end of the name of a split: of windows without a face
_ORIGIN = ("settings", "sources", "pictures", "made", "of")


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset that lies at ``root``."""

    root: Path

    @property
    def yaml(self) -> Path:
        """What Ultralytics is given."""
        return self.root / "data.yaml"

    @property
    def names(self) -> list[str]:
        """Class names in the order of their ids."""
        names = yaml.safe_load(self.yaml.read_text(encoding="utf-8"))["names"]
        return [names[number] for number in sorted(names)]

    @property
    def face(self) -> int:
        """The class of the whole face."""
        names = self.names
        return names.index(PARTS[WHOLE_FACE]) if len(names) > 1 else 0

    @property
    def channels(self) -> int:
        """Of its pictures: three, or those of its heatmaps."""
        return int(self.manifest().get("channels", 3))

    def faces_in(self, split: str) -> int:
        """How many whole faces were labelled in a split when it was prepared."""
        return int(self.manifest()["labels"].get(split, {}).get(self.names[self.face], 0))

    def described(self, judged: str) -> Json:
        """What Ultralytics is told of it in a yaml, to learn from it or to judge a split."""
        described: Json = {"path": str(self.root), "train": "images/train"}
        described |= {"val": f"images/{judged}", "channels": self.channels}
        return described | {"names": dict(enumerate(self.names))}

    def origin(self) -> Json:
        """What a result that is made from the dataset tells of it."""
        return {key: value for key, value in self.manifest().items() if key in _ORIGIN}

    def manifest(self) -> Json:
        """What the dataset was made from, and how."""
        manifest: Json = json.loads((self.root / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    def rows(self, split: str | None = None) -> Iterator[Json]:
        """The lines of annotations.jsonl, of one split or of all."""
        path = self.root / "annotations.jsonl"
        try:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    row: Json = json.loads(line)
                    if split is None or row["split"] == split:
                        yield row
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: damaged, prepare the dataset anew: {error}") from error

    def photographs(self, *splits: str) -> set[tuple[str, str]]:
        """What the pictures of splits (train and train_empty are one) were made of."""
        rows = (row for row in self.rows() if row["split"].startswith(splits))
        return {known_again(Path(row["from"])) for row in rows}

    def fingerprint(self) -> Json:
        """What tells that the dataset has changed: its annotations, labels, sizes of pictures."""
        digest, count = hashlib.sha256(), 0
        for row in self.rows():
            labels = label_path(self.root, row["split"], row["name"])
            digest.update(json.dumps(row, sort_keys=True).encode())
            digest.update(labels.read_bytes() if labels.is_file() else b"none")
            picture = self.picture(row)
            digest.update(b"%d;" % (picture.stat().st_size if picture.is_file() else -1))
            count += 1
        return {"names": self.names, "pictures": count, "sha256": digest.hexdigest()}

    def picture(self, row: Json) -> Path:
        """Where the picture of a row lies."""
        return self.root / "images" / str(row["split"]) / str(row["name"])

    def labels(self, row: Json) -> tuple[Boxes, NDArray[np.int64]]:
        """Boxes (N, 4) in pixels and class ids (N,) from the label file of a row."""
        return read_labels(label_path(self.root, row["split"], row["name"]), row["size"])


def open_dataset(name: str) -> Dataset:
    """A prepared dataset by its name under ``datasets/``, or by the path of its folder."""
    for root in (runs.datasets() / name, Path(name).expanduser().absolute()):
        if (root / "manifest.json").is_file():
            return Dataset(root)
    raise UserError(f"there is no prepared dataset {name!r} in {runs.datasets()}")


def label_path(root: Path, split: str, picture: str) -> Path:
    """The label file that belongs to a picture."""
    return root / "labels" / split / (Path(picture).stem + ".txt")


def write_labels(path: Path, boxes: Boxes, classes: NDArray[np.int64], size: Sequence[int]) -> None:
    """Write a label file; size is width and height of the picture."""
    path.write_text(label_lines(boxes, classes.tolist(), size), encoding="utf-8", newline="\n")


def label_lines(boxes: Boxes, classes: Sequence[int], size: Sequence[int]) -> str:
    """What stands in a label file."""
    shares = box.to_cxcywh_share(boxes, *size)
    return "".join(
        f"{number} " + " ".join(f"{value:.6f}" for value in row) + "\n"
        for number, row in zip(classes, shares.tolist(), strict=True)
    )


def read_labels(path: Path, size: Sequence[int]) -> tuple[Boxes, NDArray[np.int64]]:
    """Inverse of :func:`write_labels`; a missing file is a picture with nothing in it."""
    rows = path.read_text(encoding="utf-8").split() if path.is_file() else []
    try:
        values = np.array(rows, np.float64).reshape(-1, 5)
    except ValueError as error:
        raise UserError(f"{path}: no labels, five numbers a line: {error}") from error
    return box.from_cxcywh_share(values[:, 1:], *size), values[:, 0].astype(np.int64)


def write_yaml(
    folder: Path,
    final: Path,
    names: Sequence[str],
    splits: Sequence[str],
    *,
    turned: bool,
    channels: int = 3,
) -> None:
    """Write ``data.yaml``, or ``data-turned.yaml`` for the sets of turned faces.

    Ultralytics wants a train and a val whatever it is asked to do. Training pictures are
    never named in the place of validation, nor test pictures in the place of training: what
    is missing stays missing, and Ultralytics says so. Only where there is nothing to train
    on does val name the test set, so that it can be evaluated.
    """
    suffix = "_turned" if turned else ""
    have = {name: f"images/{name}{suffix}" for name in ("val", "test") if name + suffix in splits}
    only_test = "train" not in splits and "val" not in have and "test" in have
    content: Json = {
        "path": str(final),
        "train": "images/train",
        "val": have["test"] if only_test else f"images/val{suffix}",
    }
    if "test" in have:
        content["test"] = have["test"]
    if channels != 3:
        content["channels"] = channels
    content["names"] = dict(enumerate(names))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / f"data{suffix.replace('_', '-')}.yaml").write_text(text, encoding="utf-8")


def face_row(face: Face, extra: Mapping[str, object]) -> Json:
    """A face as JSON: numbers to a hundredth of a pixel, null for what has no place."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in face.attributes.items()
    }
    row: Json = {"box": None, "ignore": face.ignore, "attributes": finite, **extra}
    if face.points is not None:
        row["scheme"] = face.scheme
        row["points"] = [
            None if np.isnan(point).any() else [round(float(value), 2) for value in point]
            for point in face.points
        ]
        row["visibility"] = None if face.visibility is None else face.visibility.tolist()
    whole = face.whole
    if len(whole):
        row["box"] = [round(float(value), 2) for value in whole[0]]
    return row


def known_again(photograph: Path) -> tuple[str, str]:
    """By what it is known again in another copy: many a film has a frame 1."""
    return photograph.parent.name, photograph.stem
