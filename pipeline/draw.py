"""Pictures for people: boxes with names, and heat, on photographs; sheets of many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.boxes import Boxes
from pipeline.images import Letterbox, Picture
from pipeline.parts import PARTS, WHOLE_FACE

Colour = tuple[int, int, int]

# Okabe and Ito's colours, which people with any colour vision can tell apart, and four
# lighter or darker relatives; the pairs left/right share a hue.
PART_COLOURS: dict[str, Colour] = {
    "eyes": (86, 180, 233),
    "nose": (240, 228, 66),
    "whole face": (255, 255, 255),
    "right face": (213, 94, 0),
    "left face": (0, 158, 115),
    "brows": (204, 121, 167),
    "left eye face": (120, 220, 180),
    "right eye face": (255, 160, 90),
    "eyes nose": (0, 114, 178),
    "mouth": (230, 159, 0),
}
# What is drawn beside the truth.
_OTHER_COLOURS: dict[str, Colour] = {"answer": (240, 180, 30)}
PAPER, INK, PALE = (255, 255, 255), (30, 30, 30), (120, 120, 120)


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet, with boxes in its own pixels and two lines of words under it."""

    picture: Picture
    boxes: Boxes
    classes: NDArray[np.int64]
    facts: str
    name: str


def draw_boxes(picture: Picture, boxes: Boxes, colours: Sequence[Colour]) -> Picture:
    """A copy of the picture with a frame for each box, dark-edged to show on any ground."""
    lines = picture.copy()
    # The last pixel of a box is the one before its right and lower side.
    frames = (np.rint(boxes).astype(int) - [0, 0, 1, 1]).tolist()
    for x1, y1, x2, y2 in frames:
        cv2.rectangle(lines, (x1, y1), (x2, y2), (0, 0, 0), 2, cv2.LINE_AA)
    canvas: Picture = cv2.addWeighted(picture, 0.6, lines, 0.4, 0)  # type: ignore[assignment]
    for (x1, y1, x2, y2), colour in zip(frames, colours, strict=True):
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 1, cv2.LINE_8)
    return canvas


def sheet(
    tiles: Sequence[Tile],
    names: Sequence[str],
    title: str,
    columns: int = 7,
    side: int = 260,
) -> Picture:
    """Tiles in rows, each in a square of ``side`` pixels, under a title and a legend."""
    gap, caption, head = 8, 34, 62
    columns = max(4, min(columns, len(tiles)))
    rows = max(1, math.ceil(len(tiles) / columns))
    width = columns * (side + gap) + gap
    canvas = np.full((head + rows * (side + caption + gap) + gap, width, 3), PAPER, np.uint8)
    colours = [colour_of(name) for name in names]
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = gap + column * (side + gap), head + row * (side + caption + gap)
        canvas[y : y + side, x : x + side] = _framed(tile, colours, side)
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    pen.text((gap, 8), title, fill=INK, font=_font(18))
    _legend(pen, names, colours, gap, 36)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        x, y = gap + column * (side + gap), head + row * (side + caption + gap) + side
        pen.text((x, y + 2), _shortened(tile.facts, side), fill=INK, font=_font(12))
        pen.text((x, y + 17), _shortened(tile.name, side), fill=PALE, font=_font(12))
    return np.asarray(image)


def colour_of(name: str) -> Colour:
    """The colour of a class by its name; a class that is no part looks like the whole face."""
    return (PART_COLOURS | _OTHER_COLOURS).get(name, PART_COLOURS[PARTS[WHOLE_FACE]])


def overlay(picture: Picture, heat: NDArray[np.uint8], letterbox: Letterbox) -> Picture:
    """One map (H, W) over its greyed picture: even colours, and opacity by evidence."""
    height, width = picture.shape[:2]
    scale = np.array([heat.shape[1] / letterbox.out_width, heat.shape[0] / letterbox.out_height])
    (left, top), (inner, outer) = np.array(letterbox.offset) * scale, letterbox.size * scale
    # Map cells are squares of the letterboxed picture: cut the content out, cell by cell.
    matrix = np.array([[width / inner, 0, -left * width / inner], [0, height / outer, 0]])
    matrix[1, 2] = -top * height / outer
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - [0.5, 0.5]
    large = cv2.warpAffine(heat, matrix, (width, height), flags=cv2.INTER_LINEAR)
    share = np.asarray(large, np.float32)[..., None] / 255
    # Grey, because the heat's colours are those of skin and cloth; the root lets weak show.
    grey = picture.mean(axis=2, keepdims=True) * 0.6 + 40
    opacity = np.sqrt(share) * 0.85
    mixed = grey * (1 - opacity) + colours(np.asarray(large)) * opacity
    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def colours(heat: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The colour (H, W, 3) of each value of a map (H, W)."""
    painted = cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(painted, cv2.COLOR_BGR2RGB), np.float32)


def _framed(tile: Tile, colours: Sequence[Colour], side: int) -> Picture:
    height, width = tile.picture.shape[:2]
    box = Letterbox(width, height, side, side)
    small = box.picture(tile.picture, pad=235)
    return draw_boxes(small, box.apply(tile.boxes), [colours[number] for number in tile.classes])


def _legend(
    pen: ImageDraw.ImageDraw, names: Sequence[str], colours: Sequence[Colour], x: float, y: float
) -> None:
    for name, colour in zip(names, colours, strict=True):
        pen.rectangle((x, y + 2, x + 12, y + 14), fill=colour, outline=INK)
        pen.text((x + 17, y), name, fill=INK, font=_font(13))
        x += 17 + pen.textlength(name, font=_font(13)) + 14


def _shortened(text: str, width: int) -> str:
    """The end of a caption that is too long, because names differ at their end."""
    font = _font(12)
    short = text
    while len(short) > 1 and font.getlength(short) > width:
        short = "…" + short[2:]
    return short


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
