"""Where the faces truly are, for pictures of which somebody has told it.

A prepared dataset tells of its own pictures, wherever a run has met them; a COCO file tells of
pictures and of frames of videos (``clip@000012``) by their names.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.dataset import Dataset, open_dataset
from pipeline.errors import UserError
from pipeline.images import stem
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json


@dataclass(frozen=True)
class Known:
    """What is known of a picture."""

    boxes: list[list[float]]
    level: str = ""
    facts: dict[str, str] = field(default_factory=dict)


class Truth(Protocol):
    """Who is asked."""

    def of(self, name: str, source: str, file: Path) -> Known | None:
        """What is known of a picture by its name in the run, as it was asked for, or its file."""


class ByPlace:
    """Nobody knows anything, but for prepared datasets of what lies in them."""

    def __init__(self) -> None:
        self.sets: dict[Path, InDataset | None] = {}

    def of(self, name: str, source: str, file: Path) -> Known | None:
        """Of a picture of a prepared dataset, ``NAME/images/SPLIT/PICTURE``."""
        if file.parts[-3:-2] != ("images",):  # asked for every frame: no paths are made for it
            return None
        root = file.parents[2]
        if root not in self.sets:
            there = (root / "annotations.jsonl").is_file() and (root / "manifest.json").is_file()
            self.sets[root] = InDataset(Dataset(root)) if there else None
        known = self.sets[root]
        return None if known is None else known.of(name, source, file)


class InDataset:
    """A prepared dataset, asked by the names of its pictures."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.face = data, data.face
        self.rows: dict[str, Json] = {}
        keep = ("name", "split", "size", "level", "occluders", "from", "source")
        for row in data.rows():
            self.rows[stem(row["name"])] = {key: row[key] for key in keep}

    def of(self, name: str, source: str, file: Path) -> Known | None:  # noqa: ARG002 - a Truth
        """Of a picture by its name, with or without suffix."""
        row = self.rows.get(stem(name)) or self.rows.get(stem(file.name))
        if row is None:
            return None
        boxes, classes = self.data.labels(row)
        facts = {"photograph": Path(row["from"]).name, "occluders": ", ".join(row["occluders"])}
        told = {key: value for key, value in facts.items() if value}
        return Known(boxes[classes == self.face].tolist(), row["level"] or "", told)


class InCoco:
    """A COCO file; of an image "level", of an annotation "hidden" (its share) may be told, too."""

    def __init__(self, path: Path) -> None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self.known = _of_coco(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: no labels in COCO's form: {error!r}") from error
        if not self.known:
            raise UserError(f"{path}: no images in it")
        # A picture may go by the end of its path, if no other has the same.
        stems = Counter(stem(name) for name in self.known)
        self.stems = {stem(name): name for name in self.known if stems[stem(name)] == 1}

    def of(self, name: str, source: str, file: Path) -> Known | None:
        """Of a picture or a frame by its name."""
        for each in (name, source, str(file), file.name):
            whole = each if each in self.known else self.stems.get(stem(each))
            if whole is not None:
                return self.known[whole]
        return None


def open_truth(labels: str) -> Truth:
    """The labels that a person names: a COCO file, or a prepared dataset."""
    if not labels:
        return ByPlace()
    path = Path(labels).expanduser()
    return InCoco(path) if path.is_file() else InDataset(open_dataset(labels))


def _of_coco(content: Json) -> dict[str, Known]:
    """What is known of each image, by its file's name as it stands there."""
    from pipeline.occlude import level_of

    kinds = {each["id"]: str(each["name"]) for each in content.get("categories", [])}
    if len(kinds) > 1 and not {name.casefold() for name in kinds.values()} & _FACES:
        raise ValueError(f"none of the categories is a face: {', '.join(kinds.values())}")
    faces: dict[str, list[list[float]]] = {str(each["id"]): [] for each in content["images"]}
    hidden: dict[str, float] = {}
    for each in content["annotations"]:
        if len(kinds) > 1 and kinds[each["category_id"]].casefold() not in _FACES:
            continue
        x, y, width, height = map(float, each["bbox"])
        key = str(each["image_id"])
        faces[key].append([x, y, x + width, y + height])
        if "hidden" in each:
            hidden[key] = max(hidden.get(key, 0.0), float(each["hidden"]))
    found = {}
    for image in content["images"]:
        key = str(image["id"])
        level = image.get("level") or (level_of(hidden[key]) if key in hidden else "")
        own = {name: image[name] for name in image if name not in _USUAL}
        facts = {name: str(value) for name, value in own.items()}
        found[str(image["file_name"])] = Known(faces[key], str(level), facts)
    return found


_FACES = {"face", PARTS[WHOLE_FACE]}
_USUAL = {"id", "file_name", "width", "height", "license", "coco_url", "flickr_url", "level"}
