"""Everything that can be asked of one run, in the words of the page: a record at work."""

import base64
from pathlib import Path

import numpy as np

from pipeline import draw
from pipeline.detections import OUTCOMES, SAME
from pipeline.inspect import opened
from pipeline.inspect.maps import METHODS, Atlas
from pipeline.inspect.marks import Notebook
from pipeline.inspect.messages import Frame, Run
from pipeline.inspect.pictures import Album
from pipeline.inspect.record import Record, columns, frame
from pipeline.parts import PARTS


class Room:
    """A run that is looked into, as it was when it was read."""

    def __init__(self, folder: Path, labels: str = "", *, anonymize: bool = False) -> None:
        with opened.legible(folder):
            self.record: Record = opened.read(folder, labels)
            self.columns = columns(self.record)
        self.anonymized = anonymize or self.record.anonymized
        self.album = Album(self.record, anonymize=self.anonymized)
        self.atlas = Atlas(self.record, self.album)
        self.notebook = Notebook(folder)

    def run(self) -> Run:
        """What is known of the whole run."""
        record = self.record
        undrawn = self.atlas.undrawn(0)
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
            "pairs": record.pairs,
            "faces": record.faces,
            "hold": record.hold,
            "same": SAME,
            "labelled": self.columns.labelled,
            "methods": [] if undrawn else METHODS,
            "undrawn": undrawn,
            "anonymized": self.anonymized,
            "colours": base64.b64encode(draw.colours(ramp).astype(np.uint8).tobytes()).decode(),
        }

    def frame(self, index: int, pair: int) -> Frame:
        """One frame in full; where its picture is not the original, its facts say so."""
        found = frame(self.record, index, pair)
        if self.album.drawn(self.record.shots[index]) is not None:
            words = "the original is gone: the annotated one is shown"
            found["facts"] = found["facts"] | {"picture": words}
        return found
