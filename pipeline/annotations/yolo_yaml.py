"""The ``data.yaml`` of a YOLO data set: its class names, and where the pictures of a split lie."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.annotations.types import Report, Source
from pipeline.errors import UserError

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class DataYaml:
    """What a ``data.yaml`` says."""

    path: Path  # the file itself
    base: Path  # what its places are relative to
    names: dict[int, str]
    places: list[tuple[str, Path]]  # split, and a folder of pictures or a list of them


def find(source: Source) -> Path | None:
    """The YAML of a source: the file given, ``data.yaml`` in the folder, or its only one."""
    if source.path.is_file():
        if source.path.suffix.lower() in {".yaml", ".yml"}:
            return source.path
        raise UserError(f"{source.format}={source.path}: expected a .yaml or a folder")
    found = sorted(path for ending in ("*.yaml", "*.yml") for path in source.path.glob(ending))
    named = [path for path in found if path.stem.lower() == "data"]
    if not named and len(found) > 1:
        listed = ", ".join(path.name for path in found[:5])
        raise UserError(f"{source.format}={source.path}: which YAML is meant? there are {listed}")
    return next(iter(named or found), None)


def load(path: Path, report: Report) -> DataYaml:
    """A ``data.yaml``; an error where it is none, for nothing else tells what the classes are."""
    content = _content(path)
    base = _base(path, content.get("path"))
    places: list[tuple[str, Path]] = []
    seen: dict[Path, str] = {}
    for key, split in _SPLITS.items():
        value = content.get(key)
        for entry in value if isinstance(value, list) else [] if value is None else [value]:
            place = _place(base, str(entry))
            if place is None:
                report.skip(path, None, "there is no such folder or list", f"{key}: {entry}")
            elif seen.setdefault(place.resolve(), split) != split:
                # Who has few pictures names one folder twice: it is the first's.
                report.skip(path, None, "the folder of another split", f"{key}: {entry}")
            else:
                places.append((split, place))
    if not places:
        raise UserError(
            f"{path}: none of train, val, test names a folder or list that exists\n"
            f"they are looked for in {base}"
        )
    return DataYaml(path, base, _names(path, content.get("names")), places)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_bytes())
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise UserError(f"{path}{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected train, val and names, as Ultralytics wants them")
    return content


def _names(path: Path, value: object) -> dict[int, str]:
    """Names by number, from a list or a mapping."""
    if isinstance(value, list):
        return {number: str(name) for number, name in enumerate(value)}
    if isinstance(value, dict) and all(str(number).isdecimal() for number in value):
        return {int(str(number)): str(name) for number, name in value.items()}
    raise UserError(f"{path}: expected names: a list, or a mapping from class number to name")


def _base(path: Path, value: object) -> Path:
    """``path`` of the YAML; its own folder where that says nothing or leads to nowhere.

    The path is usually that of another machine, the one where the YAML was written.
    """
    told = path.parent / str(value or "")
    return told if _exists(told) else path.parent


def _place(base: Path, entry: str) -> Path | None:
    """A place that exists; ``../train`` is often meant as ``train`` (Ultralytics knows it, too)."""
    choices = (base / entry, base / entry.removeprefix("../"))
    return next((choice for choice in choices if _exists(choice)), None)


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a name is too long
