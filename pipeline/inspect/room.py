"""Everything that can be asked of one run, in the words of the page: a record at work."""

import base64
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from pipeline import draw
from pipeline.detections import OUTCOMES
from pipeline.inspect import opened
from pipeline.inspect.maps import METHODS, Atlas
from pipeline.inspect.marks import Notebook
from pipeline.inspect.messages import Frame, Run
from pipeline.inspect.pictures import Album
from pipeline.inspect.record import Record, columns, frame
from pipeline.parts import PARTS

_TELLING = ("config.json", "manifest.json", "summary.json", "frames.jsonl", "journal")


class Room:
    """A run that is looked into, as it was when it was read."""

    def __init__(self, folder: Path, labels: str = "", *, anonymize: bool = False) -> None:
        self.folder, self.stamp = folder, stamp(folder)
        with opened.legible(folder), _uncollected():
            self.record: Record = opened.read(folder, labels)
            self.columns = columns(self.record)
        self.anonymized = anonymize or self.record.anonymized
        self.album = Album(self.record, anonymize=self.anonymized)
        self.atlas = Atlas(self.record, self.album)
        self.notebook = Notebook(folder)
        if labels and not self.columns.labelled:
            self.record.warnings.append(
                f"--labels {labels}: none of these frames is labelled there"
            )
        elif labels and self.record.command == "evaluate":
            self.record.warnings.append("--labels is passed over: an evaluation has its own truth")

    def run(self) -> Run:
        """What is known of the whole run."""
        record = self.record
        ramp = np.arange(256, dtype=np.uint8)[None]
        return {
            "name": record.folder.name,
            "command": record.command,
            "folder": str(record.folder),
            "frames": len(record.shots),
            "complete": record.complete,
            "warnings": record.warnings,
            "settings": record.settings,
            "strips": self.columns.strips,
            "outcomes": list(OUTCOMES),
            "levels": self.columns.levels,
            "parts": list(PARTS),
            "pairs": [
                {**pair, "undrawn": self.atlas.undrawn(number)}
                for number, pair in enumerate(record.pairs)
            ],
            "hold": record.hold,
            "labelled": self.columns.labelled,
            "methods": METHODS,
            "anonymized": self.anonymized,
            "colours": base64.b64encode(draw.colours(ramp).astype(np.uint8).tobytes()).decode(),
        }

    @property
    def changed(self) -> bool:
        """Whether the run is another now, or has grown."""
        return stamp(self.folder) != self.stamp

    def frame(self, index: int, pair: int) -> Frame:
        """One frame in full; where its picture is not the original, its facts say so."""
        found = frame(self.record, index, pair)
        shot = self.record.shots[index]
        if self.album.drawn(shot) is not None:
            found["shown"] = "annotated"
            words = "the original is gone, or another one now: the annotated one is shown"
            found["facts"] = found["facts"] | {"picture": words}
        elif not self.album.there(shot):
            found["shown"] = "none"
        return found


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: it would go through all that is read, again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def stamp(folder: Path) -> list[int]:
    """What tells that a run was written since."""
    times = []
    for name in _TELLING:
        with suppress(FileNotFoundError):
            times.append((folder / name).stat().st_mtime_ns)
    return times
