"""What detectors say of a split, kept on disk: asked once, gone on with after a kill."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline import runs
from pipeline.predictions import FORM, Scene, as_json, of_json
from pipeline.runs import Json


def write(folder: Path, scenes: Iterable[Scene]) -> None:
    """The scenes that tables are made of, for who looks into them."""
    with runs.whole_file(folder / runs.MEASURED) as file:
        for scene in scenes:
            file.write(json.dumps(as_json(scene)) + "\n")


def kept(
    folder: Path,
    words: str,
    follows_from: Json,
    ask: Callable[[int], Iterator[Scene]],
    earlier: Path | None = None,
) -> list[Scene]:
    """The scenes of a split, in a file of the folder whose name tells what they follow from.

    ``ask`` gives them but for the first so many; what lies ``earlier`` is not asked again.
    """
    path = folder / f"{words}-{_key(follows_from)}.jsonl"
    partial = path.with_suffix(".partial")
    folder.mkdir(parents=True, exist_ok=True)
    if earlier is not None and not path.is_file() and (earlier / path.name).is_file():
        runs.write_text(path, (earlier / path.name).read_text(encoding="utf-8"))
    if not path.is_file():
        whole = _whole_lines(partial)
        if whole:
            print(f"{words}: {whole} pictures are done already")
        with partial.open("a", encoding="utf-8", newline="\n") as file:
            for scene in ask(whole):
                file.write(json.dumps(as_json(scene)) + "\n")
        partial.replace(path)
    with path.open(encoding="utf-8") as file:
        return [of_json(json.loads(line)) for line in file]


def _whole_lines(path: Path) -> int:
    """How many lines a killed run has written; what it left of another is cut off."""
    if not path.is_file():
        return 0
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    with path.open("rb+") as file:
        file.truncate(end)
    return content.count(b"\n")


def _key(follows_from: Json) -> str:
    known = json.dumps({"form": FORM} | follows_from, sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]
