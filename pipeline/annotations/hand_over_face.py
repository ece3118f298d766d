"""Hand-Over-Face: frames of faces behind hands, without labels.

Any folder of frames will do; the frames of one folder are one video, and so one group.
Only pictures count: where masks are delivered beside the frames, give the frames' folder.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.annotations import text
from pipeline.annotations.types import Annotation, Report, Source
from pipeline.errors import UserError
from pipeline.images import SUFFIXES


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """One annotation without labels a frame, in the order in which people count."""
    if source.path.is_file() and source.path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{source.format}={source.path}: expected a folder of frames ({', '.join(SUFFIXES)})"
        )
    frames = text.files(source, tuple(SUFFIXES), report)
    for path in sorted(frames, key=_natural):
        yield Annotation(picture=path, where=str(path), group=path.parent.name, labelled=False)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key by which frame 9 comes before frame 10."""
    pieces = re.split(r"(\d{1,18})", path.as_posix())
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in pieces]
