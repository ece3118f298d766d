"""Numeric arrays out of MATLAB 5 files.

SciPy reads these files, too, but a damaged one can end the whole process (a segmentation
fault in 1.17), and annotation files come from strangers. Of the format we need little: a
header of 128 bytes, then elements of a kind, a size and their data, some of them deflated;
an array is an element that holds its flags, its dimensions, its name and its numbers.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.annotations.text import Malformed

_HEADER = 128
_INT8, _INT32, _UINT32, _MATRIX, _DEFLATED = 1, 5, 6, 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"} | {
    12: "i8",
    13: "u8",
}
_NUMERIC_CLASSES = range(6, 16)  # double to uint64; below are cells, structures, text, sparse
_LARGEST = 1 << 20  # bytes after inflating; a face has a thousand

_WHAT = "not a readable .mat file"


def arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """The numeric matrices of a file by name."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Malformed(None, "file cannot be read", error.strerror or str(error)) from error
    order = {b"IM": "<", b"MI": ">"}.get(data[_HEADER - 2 : _HEADER])
    if order is None:
        raise Malformed(None, _WHAT, "expected the header of a MATLAB 5 file")
    found: dict[str, NDArray[np.float64]] = {}
    for kind, content in _elements(data[_HEADER:], order):
        inner = _elements(_inflated(content), order) if kind == _DEFLATED else [(kind, content)]
        for inner_kind, matrix in inner:
            if inner_kind == _MATRIX:
                found |= _array(matrix, order)
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The elements that follow each other in these bytes."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise Malformed(None, _WHAT, "it ends in the middle of an element")
        kind, size = struct.unpack_from(order + "II", data, at)
        start = at + 8
        if kind >> 16:  # up to four bytes of data stand in place of the size
            kind, size, start = kind & 0xFFFF, min(kind >> 16, 4), at + 4
        end = start + size
        if end > len(data):
            raise Malformed(None, _WHAT, f"an element of {size} bytes, {len(data) - start} left")
        yield kind, data[start:end]
        at = end if kind == _DEFLATED else end + -end % 8


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, _LARGEST)
    except zlib.error as error:
        raise Malformed(None, _WHAT, str(error)) from error
    if not stream.eof:
        raise Malformed(None, _WHAT, "a deflated element is cut, or far too large")
    return content


def _array(matrix: bytes, order: str) -> dict[str, NDArray[np.float64]]:
    """One matrix by its name; nothing for text, cells and whatever else is not numeric."""
    pieces = list(_elements(matrix, order))[:4]
    if [kind for kind, _ in pieces[:3]] != [_UINT32, _INT32, _INT8] or len(pieces[0][1]) != 8:
        raise Malformed(None, _WHAT, "an array without flags, dimensions and name")
    flags = int(np.frombuffer(pieces[0][1], order + "u4")[0]) & 0xFF
    name = pieces[2][1].decode("latin-1")
    if flags not in _NUMERIC_CLASSES:
        return {}
    try:
        shape = np.frombuffer(pieces[1][1], order + "i4").tolist()
        numbers = np.frombuffer(pieces[3][1], order + _NUMBERS[pieces[3][0]])
        if len(shape) != 2 or min(shape) < 0:
            raise Malformed(None, _WHAT, f"array {name[:40]!r} has the dimensions {shape[:8]}")
        return {name: numbers.astype(np.float64).reshape(shape, order="F")}
    except (ValueError, KeyError, IndexError) as error:
        raise Malformed(None, _WHAT, f"array {name[:40]!r}: {error}") from error
