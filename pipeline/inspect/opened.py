"""A folder -> the record that lies in it, whichever command wrote it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import runs
from pipeline.errors import UserError
from pipeline.inspect import detected, evaluated, extracted
from pipeline.inspect.record import Record
from pipeline.inspect.truth import open_truth

KINDS = ("detect", "extract", "evaluate")
_OURS = ("frames.csv", "frames.jsonl", "predictions.json")


def find(what: str) -> Path | None:
    """The folder of a run by its path or name; without a word the newest; none: it is no run."""
    if not what:
        made = [each for kind in KINDS for each in (runs.home() / "runs" / kind).glob("*/")]
        known = [each for each in made if kind_of(each)]
        if not known:
            raise UserError(
                f"there is no run in {runs.home() / 'runs'}; name one, or pictures, or a video"
            )
        return max(known, key=_made)
    path = Path(what).expanduser()
    places = [path, *(runs.home() / "runs" / kind / what for kind in KINDS)]
    found = [each.absolute() for each in places if kind_of(each)]
    if len(set(found)) > 1:
        names = ", ".join(str(each) for each in found)
        raise UserError(f"{what}: several runs have that name; give the folder: {names}")
    for each in () if found else (path,) if path.exists() else places:
        if each.is_dir():
            _refuse(each)
    return found[0] if found else None


def _made(folder: Path) -> float:
    """When a run was made; marks and locks are newer than that."""
    times = [folder / name for name in ("summary.json", "config.json", "manifest.json")]
    return max(each.stat().st_mtime for each in times if each.is_file())


def kind_of(folder: Path) -> str:
    """The command that has written a folder; nothing, if none of those that can be looked into."""
    settings = (runs.read_json(folder / "config.json") or {}).get("settings")
    if isinstance(settings, dict) and "detector" in settings:
        return "detect"
    manifest = runs.read_json(folder / "manifest.json") or {}
    if "recipe" in manifest and (folder / "frames.jsonl").is_file():
        return "extract"
    if "thresholds" in manifest and (folder / "predictions").is_dir():
        return "evaluate"
    return ""


@contextmanager
def legible(folder: Path) -> Iterator[None]:
    """What is damaged in a run, or unknown, in words; its lines may be read late."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{folder}: damaged, or of a version that is not known here: {error!r}"
        ) from error


def read(folder: Path, labels: str) -> Record:
    """The record in the folder of a run."""
    truth = open_truth(labels)
    kind = kind_of(folder)
    if kind == "detect":
        return detected.read(folder, runs.read_json(folder / "config.json") or {}, truth)
    manifest = runs.read_json(folder / "manifest.json") or {}
    if kind == "extract":
        return extracted.read(folder, manifest, truth)
    if kind == "evaluate":
        return evaluated.read(folder, manifest)
    raise UserError(f"{folder}: no run of detect, extract or evaluate")


def _refuse(folder: Path) -> None:
    """An error for people, if a folder is neither a run nor one of pictures."""
    inside = sorted(each.name for each in folder.glob("*/") if kind_of(each))
    if inside:
        more = ", ..." if len(inside) > 8 else ""
        raise UserError(f"{folder} holds runs; name one of them: {', '.join(inside[:8])}{more}")
    if (folder / "annotations.jsonl").is_file() and "recipe" not in (
        runs.read_json(folder / "manifest.json") or {}
    ):
        raise UserError(f"{folder}: a prepared dataset; look at one of its splits, images/SPLIT")
    if "recipe" in (runs.read_json(folder / "manifest.json") or {}):
        raise UserError(
            f"{folder}: a dataset of heatmaps, without what stage 1 found; look at the pictures "
            "that it was made from, or at 'uncover extract --source'"
        )
    if any((folder / name).is_file() for name in _OURS):
        raise UserError(f"{folder}: no run of detect, extract or evaluate, or a damaged one")
