"""Lists of blocks, as WIDER FACE and FDDB have them: a picture's name, a count, so many rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.annotations import text
from pipeline.annotations.types import Report

Rows = list[tuple[int, str]]  # line number, line


@dataclass(frozen=True)
class Block:
    """One picture of a list."""

    line: int  # where its name stands
    name: str
    rows: Rows
    whole: bool  # as many rows as were counted


def read(path: Path, is_name: Callable[[str], bool], report: Report) -> Iterator[Block]:
    """The blocks of a list, one in memory at a time.

    After a block that is not as it should be, reading goes on at the next line that looks
    like a name; the lines between are reported together.
    """
    state = _Reading(path, report)
    for number, line in text.filled(path, report):
        if is_name(line):
            yield from state.finish()
            state = _Reading(path, report, number, line)
        else:
            state.add(number, line)
    yield from state.finish()


@dataclass
class _Reading:
    """A block that is being read."""

    path: Path
    report: Report
    line: int | None = None  # where the name stands; None before the first one
    name: str = ""
    count: int | None = None
    rows: Rows = field(default_factory=list)
    stray: Rows = field(default_factory=list)  # the first line that belongs to nothing
    strays: int = 0
    broken: bool = False  # the count is no number: nothing says what the rows are

    def add(self, number: int, line: str) -> None:
        """Take the next line for what it must be at this place."""
        if self.line is None or self.broken:
            self._lose(number, line)
        elif self.count is None:
            self._begin(number, line)
        elif len(self.rows) < self.count:
            self.rows.append((number, line))
        elif self.count > 0 or self.strays or line.strip("0. "):
            self._lose(number, line)
        # else: the row of zeros that stands for "no face"

    def finish(self) -> Iterator[Block]:
        """The block, if there is one; what is wrong with it is reported."""
        if self.strays:
            number, line = self.stray[0]
            detail = f"{self.strays} lines left out, the first is {text.shown(line)}"
            self.report.skip(self.path, number, "expected the name of a picture", detail)
        if self.line is None or self.broken:
            return
        if self.count is None:
            what = "expected the number of faces after a picture's name"
            self.report.skip(self.path, self.line, what, f"after {self.name!r} comes another name")
            return
        missing = self.count - len(self.rows)
        if missing:
            detail = f"{self.count} announced, {len(self.rows)} found"
            self.report.skip(self.path, self.line, "a picture has fewer rows than faces", detail)
        yield Block(self.line, self.name, self.rows, whole=not missing and not self.strays)

    def _begin(self, number: int, line: str) -> None:
        if line.isdecimal() and len(line) < 10:
            self.count = int(line)
            return
        self.broken = True
        what = "expected the number of faces after a picture's name"
        self.report.skip(self.path, number, what, f"found {text.shown(line)}")

    def _lose(self, number: int, line: str) -> None:
        if not self.strays:
            self.stray.append((number, line))
        self.strays += 1
