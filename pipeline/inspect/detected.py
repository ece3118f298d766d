"""A detection run as a record: finished, still being written, or of an older version."""

import csv
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, overload

from pipeline import runs
from pipeline.errors import UserError
from pipeline.inspect.messages import Pair, Part, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot, beside, pair_of
from pipeline.inspect.truth import Truth
from pipeline.journal import Journal
from pipeline.neonatal.architecture import LEVELS
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
    least = 1.0 if old else float(settings.get("least", 1.0))
    ways = _ways(settings, weights, where, least)
    return Record(
        folder,
        "detect",
        Rows(lines, where, truth, config.get("bytes", {}), [way.say for way in ways]),
        [way.pair for way in ways],
        [way.looks for way in ways],
        complete=complete,
        warnings=[_OLD] if old else [],
        settings=_words(config),
        hold=float(settings.get("hold", 0)),
        anonymized=bool(settings.get("anonymize")),
        annotated=folder / "annotated",
        heatmaps=folder / "heatmaps",
    )


BOTH = "both"  # what two detectors say together
_PYRAMID = [f"P{number}" for number in LEVELS]


class Way(NamedTuple):
    """One way to read a run: whose boxes they are, and where their thresholds stand."""

    pair: Pair
    looks: Looks | None  # what draws its heatmaps; none: nobody knows the weights
    say: Callable[[Json], Said]  # what it said, in a row of the run


def _ways(settings: Json, weights: Json, where: Path, least: float) -> list[Way]:
    """One for each detector that looked; before two, what they said together."""
    detector = settings.get("detector", "two-stage")
    if detector == "neonatal":
        return [_neonatal(settings, weights, where, least, "conf", "imgsz", "first")]
    pair = _stages(settings, weights, where, least)
    if detector == "two-stage":
        return [pair]
    partner = _neonatal(
        settings, weights, where, least, "neonatal_conf", "neonatal_imgsz", "partner"
    )
    conf = min(pair.pair["conf"], partner.pair["conf"])
    both: Pair = {
        **pair.pair,
        "name": BOTH,
        "called": "Either detector",
        "conf": conf,
        "floor": conf,
    }
    both["fallback_floor"] = both["fallback_conf"]
    both["faces"] = None  # what was recovered stays, however many the partner found
    return [Way(both, pair.looks, _together), pair, partner]


def _stages(settings: Json, weights: Json, where: Path, least: float) -> Way:
    first, second = (str(weights.get(key) or "") for key in ("stage1", "fallback"))
    alone = settings.get("fallback") is None
    name = first if alone else f"{first} + {second}"
    behind = "" if alone else second
    confs = float(settings["conf"]), float(settings["fallback_conf"])
    looks = Looks(
        beside(where, first),
        settings["stage1"],
        settings["imgsz"],
        beside(where, behind) if behind else "",
    )
    return Way(
        pair_of(name, (first, behind or None), confs, least, int(settings.get("faces", 1))),
        looks if first else None,
        lambda row: Said(row["first"], row["second"], row["best"]),
    )


def _neonatal(
    settings: Json, weights: Json, where: Path, least: float, conf: str, imgsz: str, said: str
) -> Way:
    name = weights["neonatal"]
    looks = Looks(beside(where, name), settings["neonatal"], settings[imgsz])
    pair = pair_of(name, (name, None), (float(settings[conf]), 1.0), least)
    pair |= {"called": "The detector", "parts": False, "levels": _PYRAMID}
    return Way(pair, looks, lambda row: Said(row[said] or [], None, {}))


def _together(row: Json) -> Said:
    """The faces of both detectors, merged, as the run has them: nothing lies under thresholds."""
    kinds: dict[str, list[Scored]] = {"found": [], "recovered": []}
    for face in sorted(row["faces"], key=lambda face: -float(face["conf"])):
        if face["how"] in kinds:  # what is held the page holds itself
            one: Scored = {"box": face["box"], "score": face["conf"], "by": face["by"]}
            kinds[face["how"]].append(one)
    asked = row["second"] is not None
    return Said(kinds["found"], kinds["recovered"] if asked else None, row["best"])


class Rows(Sequence[Shot]):
    """The frames of a run; a line is read when its frame is asked for."""

    def __init__(
        self,
        lines: list[str],
        where: Path,
        truth: Truth,
        sizes: dict[str, int],
        say: Sequence[Callable[[Json], Said]],
    ) -> None:
        self.lines, self.where, self.truth, self.sizes = lines, where, truth, sizes
        self.say = say

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Shot: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Shot | Rows":
        if isinstance(index, slice):
            return Rows(self.lines[index], self.where, self.truth, self.sizes, self.say)
        try:
            return self._shot(json.loads(self.lines[index]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"frame {index} (line {index + 1}) is damaged: {error!r}") from error

    def _shot(self, row: Json) -> Shot:
        name, source = row["name"], row["source"]
        video = "@" in name
        file = _file(str(self.where), source)
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
            # Of two detectors each has its own outcome, which follows from what it said.
            outcome=row["outcome"] if len(self.say) == 1 or not width else None,
            said=tuple(say(row) for say in self.say),
            reason=row["reason"],
            weak=row["weak"],
            parts=parts,
            truth=None if known is None else known.boxes,
            level="" if known is None else known.level,
            facts={} if known is None else known.facts,
            ms=row["ms"],
        )


@lru_cache(maxsize=16)  # thousands of frames are of one film
def _file(where: str, source: str) -> Path:
    return where / Path(source).expanduser()


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


def _thresholds(settings: Json) -> list[float]:
    """Of each network that was asked, in the order of the weights."""
    detector = settings.get("detector", "two-stage")
    of_stages = ["conf"] if detector == "neonatal" else ["conf", "fallback_conf"]
    return [settings[key] for key in of_stages + ["neonatal_conf"] * (detector == "both")]


def _words(config: Json) -> dict[str, str]:
    """What people want to know of how a run was made."""
    settings, made = config["settings"], config.get("made", {})
    words = {
        "detector": settings.get("detector", ""),
        "weights": ", ".join(str(name) for name in config.get("weights", {}).values()),
        "thresholds": " and ".join(f"{each:.2f}" for each in _thresholds(settings)),
        "looked at": f"{settings['imgsz']} pixels, {settings.get('device', '')}",
        "command": made.get("command", ""),
    }
    return {key: value for key, value in words.items() if value}
