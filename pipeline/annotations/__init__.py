"""Public annotation formats, read into one result type.

A reader is a function ``read(source, report) -> Iterator[Annotation]`` in a file of its
own, named in :data:`FORMATS`. It goes on after a bad file or line: that is told to the
:class:`Report` with file, line and what was expected, and counted. Readers do not open
pictures; they name them, and whoever needs the pixels finds out whether they are there.
(YOLO's labels are shares of the picture, so that one reader looks at headers.) A picture
of which every label was left out is left out too: nothing is known of it.
"""

from pipeline.annotations.registry import FORMATS, Format, read
from pipeline.annotations.types import (
    EXTERNAL,
    SELF,
    VISIBLE,
    Annotation,
    Face,
    PartBox,
    Report,
    Skip,
    Source,
)

__all__ = [
    "EXTERNAL",
    "FORMATS",
    "SELF",
    "VISIBLE",
    "Annotation",
    "Face",
    "Format",
    "PartBox",
    "Report",
    "Skip",
    "Source",
    "read",
]
