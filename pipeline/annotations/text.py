"""Reading annotation text as it is found in the wild."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.annotations.types import Report, Source
from pipeline.errors import UserError

LARGEST = 1e9  # no picture is wider; beyond it a number is a slip, and float32 has an end


class Malformed(Exception):
    """A file that is not as its format says: the line, what was expected, what was found."""

    def __init__(self, line: int | None, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.line, self.what, self.detail = line, what, detail


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, from 1, without line ends; any line end, with or without a byte-order mark.

    One line at a time, so a list of a million faces needs no memory. A line that is no
    UTF-8 is taken as Latin-1: such bytes only ever stand in names.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            yield number, (line if line.isascii() else _latin(line)).rstrip("\n")


def rows(path: Path, report: Report) -> Iterator[tuple[int, str]]:
    """The lines that hold something, stripped.

    An empty line between others stood for something once and is reported; empty lines at
    the end are not. A file that cannot be read is reported, too.
    """
    empty: list[int] = []
    for number, line in filled(path, report, empty):
        for gap in empty:
            report.skip(path, gap, "empty line")
        empty.clear()
        yield number, line


def filled(path: Path, report: Report, empty: list[int] | None = None) -> Iterator[tuple[int, str]]:
    """The lines that hold something, stripped; the numbers of the others go into ``empty``."""
    try:
        for number, line in lines(path):
            plain = line.strip()
            if plain:
                yield number, plain
            elif empty is not None:
                empty.append(number)
    except OSError as error:
        report.skip(path, None, "file cannot be read", error.strerror or str(error))


def floats(fields: Sequence[str]) -> list[float] | None:
    """The fields as numbers; None if one of them is none, not finite, or beyond any picture."""
    try:
        values = list(map(float, fields))
    except ValueError:
        return None
    for value in values:
        if not -LARGEST < value < LARGEST:  # so written, it is true for NaN
            return None
    return None if "_" in "".join(fields) else values  # 1_000 is Python's own way to write it


def numbers(fields: Sequence[str]) -> NDArray[np.float64] | None:
    """The same as an array."""
    values = floats(fields)
    return None if values is None else np.array(values, np.float64)


def shown(line: str) -> str:
    """The beginning of a line, quoted for a message."""
    return repr(line if len(line) <= 40 else line[:40] + "…")


def files(
    source: Source, suffix: str | tuple[str, ...], report: Report, prefix: str = ""
) -> list[Path]:
    """All files under the source whose names end (and begin) so, sorted.

    The source may be one file, whatever its name. A folder that may not be opened is
    reported. No file at all is an error: the wrong folder was given.
    """
    if source.path.is_file():
        return [source.path]
    if not source.path.is_dir():
        raise UserError(f"{source.format}={source.path}: there is no such file or folder")
    before = report.total
    found = [path for path in walk(source.path, suffix, report) if _begins(path, prefix)]
    if not found:
        wanted = prefix + "*" + (suffix if isinstance(suffix, str) else "|".join(sorted(suffix)))
        locked = f" ({report.total - before} cannot be opened)" if report.total > before else ""
        raise UserError(
            f"{source.format}={source.path}: no {wanted} file in this folder{locked}\n"
            "expected the folder of the data set as it is published, or one of its files"
        )
    return found


def walk(top: Path, suffix: str | tuple[str, ...], report: Report) -> list[Path]:
    """All files below a folder whose lower-case names end so, sorted.

    Linked folders are followed, each folder once, so a link to a parent does no harm.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def locked(error: OSError) -> None:
        report.skip(error.filename, None, "folder cannot be opened", error.strerror or "")

    for folder, below, names in os.walk(top, onerror=locked, followlinks=True):
        below.sort()
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        found += [Path(folder, name) for name in names if name.lower().endswith(suffix)]
    return sorted(found)


def split_of(path: Path, root: Path) -> str | None:
    """The split that the folders of a path below root speak of; else the end of root's own name.

    ``trainset``, ``helen_train``, ``WIDER_val``, ``images/test``: the innermost one counts.
    Of root only the end: a folder ``test_of_my_data`` is a name that a person gave.
    """
    words = [*root.name.replace("-", "_").split("_")[-1:], *path.relative_to(root).parent.parts]
    return next((split for word in reversed(words) if (split := split_in(word))), None)


def split_in(word: str) -> str | None:
    """The split that one name speaks of: ``list_98pt_test``, ``instances_val2017``."""
    for piece in reversed(word.lower().replace("-", "_").replace(".", "_").split("_")):
        name = piece.rstrip("0123456789").removesuffix("set").removesuffix("ing")
        if name in _SPLITS:
            return _SPLITS[name]
    return None


_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def _begins(path: Path, prefix: str) -> bool:
    return path.name.lower().startswith(prefix)


def _latin(line: str) -> str:
    try:
        line.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8 came through as surrogates
        return line.encode("utf-8", "surrogateescape").decode("latin-1")
    return line
