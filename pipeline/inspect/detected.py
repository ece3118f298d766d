"""A detection run as a record: finished, still being written, or of an older version."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from pipeline import runs
from pipeline.errors import UserError
from pipeline.inspect.messages import Pair, Part, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot
from pipeline.inspect.truth import Truth
from pipeline.journal import Journal
from pipeline.parts import PARTS
from pipeline.runs import Json

_OLD = (
    "made by an older version, which kept neither candidates under the thresholds nor the boxes of "
    "parts: detect again (--overwrite) to move the thresholds down and to see the parts"
)


def read(folder: Path, config: Json, truth: Truth) -> Record:
    """What ``uncover detect`` has left in a folder."""
    settings, weights = config["settings"], config.get("weights", {})
    lines, old = _lines(folder)
    where = Path(config.get("folder") or Path.cwd())
    first, second = (str(weights.get(key) or "") for key in ("stage1", "fallback"))
    alone = settings.get("fallback") is None
    least = 1.0 if old else float(settings.get("least", 1.0))
    conf, fallback_conf = float(settings["conf"]), float(settings["fallback_conf"])
    pair: Pair = {
        "name": first if alone else f"{first} + {second}",
        "first": first,
        "second": None if alone else second,
        "conf": conf,
        "fallback_conf": fallback_conf,
        "floor": min(conf, least),
        "fallback_floor": min(fallback_conf, least),
    }
    behind = "" if alone else _beside(where, second)
    looks = Looks(_beside(where, first), settings["stage1"], settings["imgsz"], behind)
    return Record(
        folder,
        "detect",
        Rows(lines, where, truth),
        [pair],
        [looks if first else None],
        complete=bool((runs.read_json(folder / "summary.json") or {}).get("complete")),
        warnings=[_OLD] if old else [],
        settings=_words(config),
        faces=int(settings.get("faces", 1)),
        hold=float(settings.get("hold", 0)),
        anonymized=bool(settings.get("anonymize")),
        annotated=folder / "annotated",
        heatmaps=folder / "heatmaps",
    )


class Rows(Sequence[Shot]):
    """The frames of a run; a line is read when its frame is asked for."""

    def __init__(self, lines: list[str], where: Path, truth: Truth) -> None:
        self.lines, self.where, self.truth = lines, where, truth

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Shot: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Shot | Rows":
        if isinstance(index, slice):
            return Rows(self.lines[index], self.where, self.truth)
        return self._shot(json.loads(self.lines[index]))

    def _shot(self, row: Json) -> Shot:
        name, source = row["name"], row["source"]
        video = "@" in name
        file = self.where / Path(source).expanduser()
        known = self.truth.of(name, file)
        parts: list[Part] = [
            {"part": PARTS.index(each["name"]), "box": each["box"], "score": each["score"]}
            for each in row["parts"]
        ]
        width, height = row["size"]
        return Shot(
            name=name,
            source=source,
            file=file,
            video=video,
            strip=source if video else str(Path(source).parent),
            number=row["number"],
            seconds=row["seconds"],
            size=(width, height),
            outcome=row["outcome"],
            said=(Said(row["first"], row["second"]),),
            reason=row["reason"],
            weak=row["weak"],
            parts=parts,
            best=row["best"],
            truth=None if known is None else known.boxes,
            level="" if known is None else known.level,
            facts={} if known is None else known.facts,
            ms=row["ms"],
        )


def _lines(folder: Path) -> tuple[list[str], bool]:
    """A line of JSON for every frame, and whether they had to be made of an older table."""
    finished = folder / "frames.jsonl"
    begun = [json.dumps(row) for row in _begun(folder)]
    if finished.is_file() and not begun:
        return finished.read_text(encoding="utf-8").splitlines(), False
    if begun:
        return begun, False
    table = folder / "frames.csv"
    return ([json.dumps(row) for row in _of_table(table)], True) if table.is_file() else ([], False)


def _begun(folder: Path) -> Iterator[Json]:
    """The rows of a run that is not finished, as far as its journal goes."""
    try:
        for row in Journal(folder).rows():
            if "first" not in row:
                raise UserError(f"{folder}: begun by an older version; detect again (--overwrite)")
            yield row
    except FileNotFoundError:
        return  # it was finished at this moment


def _of_table(path: Path) -> Iterator[Json]:
    """The frames of a table as an older version has written it: what was believed, no more."""
    with path.open(encoding="utf-8", newline="") as file:
        last: Json = {}
        try:
            for line in csv.DictReader(file):
                row = _old_row(line)
                if last and (last["source"], last["number"]) == (row["source"], row["number"]):
                    for kind in ("first", "second"):
                        last[kind] = (last[kind] or []) + (row[kind] or []) or last[kind]
                    continue
                if last:
                    yield last
                last = row
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise UserError(f"{path}: not the table of a detection run: {error!r}") from error
        if last:
            yield last


def _old_row(line: dict[str, str]) -> Json:
    face: list[Scored] = []
    if line["stage"] != "none":
        box = [float(line[key]) for key in ("x1", "y1", "x2", "y2")]
        face = [{"box": box, "score": float(line["conf"])}]
    found, video = line["outcome"] == "found", line["time_s"] != "" or int(line["frame"]) > 0
    stem, number = Path(line["source"]).stem, int(line["frame"])
    return {
        "name": f"{stem}@{number:06d}" if video else stem,
        "source": line["source"],
        "number": number,
        "seconds": float(line["time_s"]) if line["time_s"] else None,
        "size": [int(line["width"]), int(line["height"])],
        "outcome": line["outcome"],
        "reason": line["reason"],
        "first": face if found else [],
        "second": None if found else face,
        "parts": [],
        "best": {},
        "weak": line["weak"] == "1",
        "ms": {},
    }


def _beside(folder: Path, weights: str) -> str:
    """Weights as they were named: a file of that folder, or shipped ones."""
    path = folder / Path(weights).expanduser()
    return str(path) if path.exists() else weights


def _words(config: Json) -> dict[str, str]:
    """What people want to know of how a run was made."""
    settings, made = config["settings"], config.get("made", {})
    words = {
        "detector": f"{config.get('weights', {}).get('stage1', '')}, "
        f"fallback {config.get('weights', {}).get('fallback', '')}",
        "thresholds": f"{settings['conf']:.2f} and {settings['fallback_conf']:.2f}",
        "looked at": f"{settings['imgsz']} pixels, {settings.get('device', '')}",
        "command": made.get("command", ""),
    }
    return {key: value for key, value in words.items() if value}
