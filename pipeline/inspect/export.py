"""A run as one file for a colleague: some of its frames, with everything that the page shows."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from pipeline import media, runs
from pipeline.detections import OUTCOMES
from pipeline.inspect import page
from pipeline.inspect.messages import Embedded, Frame, Frames, Maps, Marks, Run
from pipeline.inspect.pictures import Gone, sorry
from pipeline.inspect.room import Room

SIDE = 960  # pixels of a picture
_FIRST = ("recovered", "missed", "held", "unreadable", "found")  # who is shown if not all can be

_Any = TypeVar("_Any")


def write(room: Room, target: Path, most: int) -> int:
    """The page; how many frames are in it."""
    marks = room.notebook.read()
    chosen = _chosen(room, marks, most)
    bar = tqdm(chosen, desc="page", unit=" frames", disable=None, leave=False)
    pictures, maps = list[str](), list[Maps]()
    for index in bar:
        pictures.append(_picture(room, index))
        maps.append(room.atlas.maps(index, 0, "", ()))
    run, pairs = room.run(), range(len(room.record.pairs))
    left = f"{len(chosen)} of {run['frames']} frames" if len(chosen) < run["frames"] else ""
    embedded: Embedded = {
        "run": run | {"frames": len(chosen), "methods": [], "undrawn": "an exported page"},
        "frames": [_some(room.columns.frames[pair], chosen) for pair in pairs],
        "frame": [
            [room.frame(index, pair) | {"index": place} for place, index in enumerate(chosen)]
            for pair in pairs
        ],
        "maps": [each | {"index": place} for place, each in enumerate(maps)],
        "pictures": pictures,
        "marks": marks,
        "words": left,
    }
    if room.anonymized:
        _nameless(embedded)
    runs.write_text(target, page.exported(embedded))
    return len(chosen)


def _chosen(room: Room, marks: Marks, most: int) -> list[int]:
    """Marked frames first, then those that tell most, evenly; in the order of the run."""
    frames = room.columns.frames[0]
    if len(frames["name"]) <= most:
        return list(range(len(frames["name"])))
    groups = [[n for n, name in enumerate(frames["name"]) if name in marks["marks"]]]
    for outcome in _FIRST:
        number = OUTCOMES.index(outcome)
        groups.append([n for n, each in enumerate(frames["outcome"]) if each == number])
    taken = set[int]()
    for place, group in enumerate(groups):
        rest = [index for index in group if index not in taken]
        room_left = most - len(taken)
        # All that is marked; of the others a part each, so that none takes all the room.
        share = room_left if place in {0, len(groups) - 1} else -(-room_left // 2)
        taken |= {rest[number] for number in media.evenly(len(rest), share)} if rest else set()
    return sorted(_with_their_holds(room, taken))


def _with_their_holds(room: Room, chosen: set[int]) -> set[int]:
    """A face that is held comes from an earlier frame, without which it is not there."""
    outcomes, strips = room.columns.frames[0]["outcome"], room.columns.frames[0]["strip"]
    held, seen = OUTCOMES.index("held"), {OUTCOMES.index("found"), OUTCOMES.index("recovered")}
    out = set(chosen)
    for index in chosen:
        before = index
        while outcomes[index] == held and outcomes[before] not in seen and before > 0:
            before -= 1
        if strips[before] == strips[index]:
            out.add(before)
    return out


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
    """Names of files and folders often name a patient: numbers take their places."""
    run: Run = embedded["run"]
    run["name"], run["folder"] = "a run", ""
    run["settings"] = {key: run["settings"][key] for key in run["settings"] if key != "command"}
    run["strips"] = [f"source {number}" for number in range(1, len(run["strips"]) + 1)]
    marks, renamed = embedded["marks"]["marks"], dict[str, str]()
    for frames in embedded["frames"]:
        renamed = {name: f"frame {place}" for place, name in enumerate(frames["name"], 1)}
        frames["name"] = list(renamed.values())
    for frame in (each for pair in embedded["frame"] for each in pair):
        _hide(frame, run["strips"][embedded["frames"][0]["strip"][frame["index"]]])
    known = {renamed[name]: mark for name, mark in marks.items() if name in renamed}
    embedded["marks"] = {"marks": known}


def _hide(frame: Frame, source: str) -> None:
    """What of a frame may be a name."""
    frame["name"], frame["source"] = f"frame {frame['index'] + 1}", source
    kept = ("occluders", "occlusion", "level")
    frame["facts"] = {key: value for key, value in frame["facts"].items() if key in kept}
