"""Heatmaps as files: a TIFF of one uint8 page a channel, with what it follows from inside.

Apart from their making, so that who only looks at them needs no torch.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import tifffile
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.recipe import Compose, Recipe, saved

Stack = NDArray[np.uint8]  # (K or 1, H, W)

# What tifffile and zlib raise at files that are not what they should be.
_NO_HEATMAP = (
    *(OSError, tifffile.TiffFileError, zlib.error, struct.error, RuntimeError, MemoryError),
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError),
)


def write(path: Path, stack: Stack, facts: dict[str, Any]) -> None:
    """Write a heatmap as a TIFF of one uint8 page a channel, which Ultralytics reads too.

    It appears whole: what a killed run leaves has another name.
    """
    partial = path.with_name(f".{path.name}.partial")
    tifffile.imwrite(
        partial,
        stack,
        photometric="minisblack",
        compression="zlib",
        description=json.dumps(facts | {"crc32": _crc32(stack)}, ensure_ascii=True),
        metadata=None,
    )
    partial.replace(path)


def read(path: Path) -> tuple[Stack, dict[str, Any]]:
    """A heatmap (K or 1, H, W) and the facts that were written with it."""
    with _opened(path) as file:
        pages = list(file.pages)
        wrong = _wrong_pages(pages)
        if wrong:
            raise UserError(f"{path}: not a heatmap: {wrong}; expected one uint8 page a channel")
        facts = _facts(path, file)
        compose = facts["recipe"]["compose"]
        expected = saved(facts["recipe"]).channels(len(facts["names"]))
        if len(pages) != expected:
            raise UserError(
                f"{path}: not the heatmap it says it is: {_size(pages)}; expected {expected} "
                f"channels ({compose})"
            )
        height, width = pages[0].shape
        square = Letterbox(**facts["letterbox"])
        if height > square.out_height or width > square.out_width:  # a bomb, or a changed bit
            raise UserError(f"{path}: a damaged heatmap: {_size(pages)}")
        stack = np.stack([page.asarray() for page in pages])
        # A decoder fills up what a changed header asks for, without a word.
        if facts.get("crc32", _crc32(stack)) != _crc32(stack):
            raise UserError(f"{path}: a damaged heatmap: other pixels than were written")
        return stack, facts


def read_facts(path: Path) -> dict[str, Any]:
    """What was written with a heatmap, without its pixels."""
    with _opened(path) as file:
        return _facts(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF; whatever is wrong with it, in words. It is read bit by bit, inside the block."""
    try:
        with tifffile.TiffFile(path) as file:
            yield file
    except _NO_HEATMAP as error:
        raise UserError(f"{path}: not a heatmap, or a damaged one: {error}") from error


def _facts(path: Path, file: tifffile.TiffFile) -> dict[str, Any]:
    """The facts in the description of the first page."""
    try:
        facts = json.loads(file.pages.first.description)
    except ValueError:
        facts = None
    if not _complete(facts):
        pages = list(file.pages)
        raise UserError(f"{path}: not a heatmap: a TIFF without its facts, with {_size(pages)}")
    return dict(facts)


def _complete(facts: object) -> bool:
    """Whether these are the facts of a heatmap, each of its type."""
    if not isinstance(facts, dict):
        return False
    recipe, names, letterbox = (facts.get(key) for key in ("recipe", "names", "letterbox"))
    return (
        isinstance(recipe, dict)
        and recipe.get("compose") in get_args(Compose)
        and isinstance(names, list)
        and isinstance(letterbox, dict)
    )


def _crc32(stack: Stack) -> int:
    return zlib.crc32(stack.tobytes())


def facts_of(
    recipe: Recipe, names: Sequence[str], letterbox: Letterbox, **more: object
) -> dict[str, Any]:
    """What is written into a heatmap's file."""
    return {"recipe": asdict(recipe), "names": list(names), "letterbox": asdict(letterbox)} | more


def _wrong_pages(pages: Sequence[Any]) -> str | None:
    """What is wrong with the pages of a TIFF; None for those of a heatmap."""
    first = pages[0]
    if first.samplesperpixel != 1:
        how = "planar" if first.planarconfig == 2 else "interleaved"
        return f"{first.samplesperpixel} {how} samples a page"
    if first.dtype != np.uint8:
        return f"{first.dtype} values"
    shapes = {page.shape for page in pages}
    return None if len(shapes) == 1 else f"pages of different shapes {sorted(shapes)}"


def _size(pages: Sequence[Any]) -> str:
    height, width = pages[0].shape[:2]
    return f"{len(pages)} page{'s' * (len(pages) > 1)} of {width}x{height}"
