"""A detection run as a record: finished, still being written, or of an older version."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from pipeline import runs
from pipeline.errors import UserError
from pipeline.inspect.messages import Pair, Part, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot, beside
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
    # Before the rows: a run that ends meanwhile is looked at again, and is whole then.
    complete = bool((runs.read_json(folder / "summary.json") or {}).get("complete"))
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
        "undrawn": "",
    }
    behind = "" if alone else beside(where, second)
    looks = Looks(beside(where, first), settings["stage1"], settings["imgsz"], behind)
    return Record(
        folder,
        "detect",
        Rows(lines, where, truth, config.get("bytes", {})),
        [pair],
        [looks if first else None],
        complete=complete,
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

    def __init__(self, lines: list[str], where: Path, truth: Truth, sizes: dict[str, int]) -> None:
        self.lines, self.where, self.truth, self.sizes = lines, where, truth, sizes

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Shot: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Shot | Rows":
        if isinstance(index, slice):
            return Rows(self.lines[index], self.where, self.truth, self.sizes)
        try:
            return self._shot(json.loads(self.lines[index]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"frame {index} (line {index + 1}) is damaged: {error!r}") from error

    def _shot(self, row: Json) -> Shot:
        name, source = row["name"], row["source"]
        video = "@" in name
        file = self.where / Path(source).expanduser()
        known = self.truth.of(name, source, file)
        parts: list[Part] = [
            {"part": PARTS.index(each["name"]), "box": each["box"], "score": each["score"]}
            for each in row["parts"]
        ]
        width, height = row["size"]
        return Shot(
            name=name,
            source=source,
            file=file,
            bytes=self.sizes.get(source),
            video=video,
            strip=name.split("@")[0] if video else str(Path(source).parent),
            number=row["number"],
            seconds=row["seconds"],
            size=(width, height),
            outcome=row["outcome"],
            said=(Said(row["first"], row["second"], row["best"]),),
            reason=row["reason"],
            weak=row["weak"],
            parts=parts,
            truth=None if known is None else known.boxes,
            level="" if known is None else known.level,
            facts={} if known is None else known.facts,
            ms=row["ms"],
        )


def _lines(folder: Path) -> tuple[list[str], bool]:
    """A line of JSON for every frame, and whether they had to be made of an older table."""
    begun = _begun(folder)
    path, table = folder / "frames.jsonl", folder / "frames.csv"
    finished = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if begun or path.is_file():
        return max(begun, finished, key=len), False
    return ([json.dumps(row) for row in _of_table(table)], True) if table.is_file() else ([], False)


def _begun(folder: Path) -> list[str]:
    """The rows of a run that is not finished, as far as its journal goes."""
    lines = []
    try:
        for row in Journal(folder).rows():
            if "first" not in row:
                raise UserError(f"{folder}: begun by an older version; detect again (--overwrite)")
            lines.append(json.dumps(row))
    except FileNotFoundError:  # it was finished at this moment, and its results are written
        return []
    return lines


def _of_table(path: Path) -> list[Json]:
    """The frames of a table as an older version has written it: what was believed, no more."""
    frames: dict[tuple[str, int], list[dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        try:
            for line in csv.DictReader(file):
                key = (line["source"], int(line["frame"]))
                frames.setdefault(key, []).append(line)
            sources = {source for source, _ in frames}
            return [_old_row(lines, sources) for lines in frames.values()]
        except (KeyError, ValueError, TypeError, csv.Error) as error:
            raise UserError(f"{path}: not the table of a detection run: {error!r}") from error


def _old_row(lines: list[dict[str, str]], sources: set[str]) -> Json:
    """A frame from its lines, one for each face or one for none."""
    line = lines[0]
    faces: dict[str, list[Scored]] = {"found": [], "recovered": []}
    for each in lines:
        if each["outcome"] in faces:
            box = [float(each[key]) for key in ("x1", "y1", "x2", "y2")]
            faces[each["outcome"]].append({"box": box, "score": float(each["conf"])})
    video, number = line["time_s"] != "" or int(line["frame"]) > 0, int(line["frame"])
    kinds = {each["outcome"] for each in lines}
    order = ("unreadable", "held", "recovered", "found", "missed")
    first = faces["found"]
    return {
        "name": _old_name(line["source"], sources) + (f"@{number:06d}" if video else ""),
        "source": line["source"],
        "number": number,
        "seconds": float(line["time_s"]) if line["time_s"] else None,
        "size": [int(line["width"]), int(line["height"])],
        "outcome": next(kind for kind in order if kind in kinds),
        "reason": line["reason"],
        "first": first,
        "second": None if first and not faces["recovered"] else faces["recovered"],
        "parts": [],
        "best": {},
        "weak": line["weak"] == "1",
        "ms": {},
    }


def _old_name(source: str, sources: set[str]) -> str:
    """A name for a source, as far as it takes to tell it from the others."""
    path = Path(source)
    alike = [each for each in sources if Path(each).stem == path.stem]
    return path.stem if len(alike) == 1 else "__".join(path.with_suffix("").parts).lstrip("/_")


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
