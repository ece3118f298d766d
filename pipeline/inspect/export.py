"""A run as one file for a colleague: some of its frames, with everything that the page shows."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from pipeline import media, runs, shipped
from pipeline.detections import OUTCOMES, REASONS, Outcome
from pipeline.errors import UserError
from pipeline.inspect import page
from pipeline.inspect.detected import BOTH
from pipeline.inspect.maps import none
from pipeline.inspect.messages import Embedded, Frames, Maps, Marks
from pipeline.inspect.pictures import Gone, sorry
from pipeline.inspect.record import At, held_from
from pipeline.inspect.room import Room
from pipeline.occlude import LEVELS

SIDE = 960  # pixels of a picture
_PLAIN = ("thresholds", "looked at", "heatmaps", "split", "thresholds kept precision")
_FIRST: tuple[Outcome, ...] = (
    "recovered",
    "missed",
    "held",
    "unreadable",
    "found",
)  # who is shown if not all can be

_Any = TypeVar("_Any")


def write(room: Room, target: Path, most: int) -> int:
    """The page; how many frames are in it."""
    marks = room.notebook.read()
    chosen = _chosen(room, marks, most)
    pictures, maps = list[str](), list[Maps]()
    for index in tqdm(chosen, desc="page", unit=" frames", disable=None, leave=False):
        pictures.append(_picture(room, index))
        maps.append(_map(room, index))
    run, pairs = room.run(), range(len(room.record.pairs))
    whole = run["frames"]
    run["frames"] = len(chosen)
    for pair in run["pairs"]:
        pair["undrawn"] = "an exported page draws nothing"
    names = {room.columns.frames[0]["name"][index] for index in chosen}
    embedded: Embedded = {
        "run": run,
        "frames": [_some(room.columns.frames[pair], chosen) for pair in pairs],
        "frame": [[room.frame(index, pair) for index in chosen] for pair in pairs],
        "maps": maps,
        "pictures": pictures,
        "marks": {"marks": {key: mark for key, mark in marks["marks"].items() if key in names}},
        "words": f"{len(chosen)} of {whole} frames" if len(chosen) < whole else "",
    }
    for pair_frames in embedded["frame"]:
        for place, frame in enumerate(pair_frames):
            frame["index"] = place
    for place, each in enumerate(maps):
        each["index"] = place
    if room.anonymized:
        _nameless(embedded)
    runs.write_text(target, page.exported(embedded))
    return len(chosen)


def _map(room: Room, index: int) -> Maps:
    """A frame's heatmap; a damaged one is told in its place."""
    try:
        return {**room.atlas.maps(index, 0, "", ())}
    except UserError as error:
        return none(index, str(error))


def _chosen(room: Room, marks: Marks, most: int) -> list[int]:
    """Marked frames first, then those that tell most, evenly; in the order of the run."""
    outcomes, places = room.columns.frames[0]["outcome"], room.columns.places
    if len(outcomes) <= most:
        return list(range(len(outcomes)))
    groups = [[places[name] for name in marks["marks"] if name in places]]
    for outcome in _FIRST:
        number = OUTCOMES.index(outcome)
        groups.append([index for index, each in enumerate(outcomes) if each == number])
    taken = set[int]()
    for place, group in enumerate(groups):
        rest = [index for index in group if index not in taken]
        left = most - len(taken)
        # All that is marked; of the others a part each, so that none takes all the room.
        share = left if place in {0, len(groups) - 1} else -(-left // 2)
        for number in media.evenly(len(rest), share) if rest and share else ():
            more = taken | _with_its_source(room, rest[number])
            taken = more if len(more) <= most else taken
    return sorted(taken)


def _with_its_source(room: Room, index: int) -> set[int]:
    """A frame, and where its face is held from an earlier one, without which it is none, that."""
    pair = room.record.pairs[0]
    at = At(0, pair["conf"], pair["fallback_conf"])
    earlier = held_from(room.record, room.columns, index, at)
    return {index} if earlier is None else {index, earlier}


def _some(frames: Frames, chosen: Sequence[int]) -> Frames:
    def cut(values: list[_Any]) -> list[_Any]:
        return [values[index] for index in chosen]

    return {
        "name": cut(frames["name"]),
        "strip": cut(frames["strip"]),
        "number": cut(frames["number"]),
        "seconds": cut(frames["seconds"]),
        "outcome": cut(frames["outcome"]),
        "level": cut(frames["level"]),
        "weak": cut(frames["weak"]),
        "case": cut(frames["case"]),
    }


def _picture(room: Room, index: int) -> str:
    """A picture as an address that holds it."""
    try:
        kind, data = "image/jpeg", room.album.jpeg(index, SIDE)
    except Gone as gone:
        kind, data = "image/svg+xml", sorry("" if room.anonymized else str(gone))
    return f"data:{kind};base64," + base64.b64encode(data).decode()


def _nameless(embedded: Embedded) -> None:
    """Whatever a person may have written, or a file be called, may name a patient: it is left out.

    What stays is what we know the words of: outcomes, scores, levels, reasons, the ten parts.
    """
    run = embedded["run"]
    run["name"], run["folder"], run["warnings"] = "a run", "", []
    run["settings"] = {key: run["settings"][key] for key in _PLAIN if key in run["settings"]}
    run["strips"] = [f"source {number}" for number in range(1, len(run["strips"]) + 1)]
    run["levels"] = [
        level if level in LEVELS else f"level {number}"
        for number, level in enumerate(run["levels"], 1)
    ]
    shelf = {one.name for one in shipped.shelf()}
    for number, pair in enumerate(run["pairs"], 1):
        pair["first"] = pair["first"] if pair["first"] in shelf else pair["called"].lower()
        second = pair["second"]
        pair["second"] = second if second is None or second in shelf else "stage 2"
        weights = " + ".join([pair["first"], *([pair["second"]] if pair["second"] else [])])
        pair["name"] = f"{number}: {BOTH if pair['name'] == BOTH else weights}"
    renamed = {name: f"frame {n}" for n, name in enumerate(embedded["frames"][0]["name"], 1)}
    for frames in embedded["frames"]:
        frames["name"] = list(renamed.values())
    for frame in (each for pair in embedded["frame"] for each in pair):
        strip = embedded["frames"][0]["strip"][frame["index"]]
        frame["name"], frame["source"] = renamed[frame["name"]], run["strips"][strip]
        frame["reason"] = frame["reason"] if frame["reason"] in REASONS else ""
        frame["facts"], frame["ms"] = {}, {}
    for each in embedded["maps"]:
        each["words"] = each["method"] or "there is no heatmap"
    marks = embedded["marks"]["marks"]
    embedded["marks"] = {
        "marks": {renamed[name]: {"note": "", "at": mark["at"]} for name, mark in marks.items()}
    }
