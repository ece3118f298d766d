"""Pictures of a result: faces in the colour and line of their stage, and the time line."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.detections import Detections, Outcome
from pipeline.draw import Colour
from pipeline.images import Picture

# Okabe and Ito's colours again; and each stage has a line of its own, for who sees none.
COLOURS: dict[Outcome, Colour] = {
    "found": (86, 180, 233),
    "recovered": (240, 180, 30),
    "held": (204, 121, 167),
    "missed": (213, 94, 0),
    "unreadable": (0, 0, 0),
}
_OUTCOMES = tuple(COLOURS)
_PALETTE = np.array(list(COLOURS.values()), np.uint8)
_DASHES = {"found": (1, 0), "recovered": (9, 6), "held": (2, 5)}  # drawn, left out; in widths
_SMALLEST = 0.3  # of letters that can be read
_UNSEEN = 60  # grey of what has not come yet


def annotated(picture: Picture, faces: Detections, words: str) -> Picture:
    """A copy with every face framed as its stage is, and a line of words above."""
    canvas = picture.copy()
    unit = max(1, round(min(picture.shape[:2]) / 240))  # of a line's width
    who = [f" ({each})" for each in faces.by] or [""] * len(faces)
    for box, score, how, by in zip(faces.boxes, faces.scores, faces.how, who, strict=True):
        corners = np.rint(box).astype(int)
        _frame(canvas, corners, (0, 0, 0), 3 * unit, (1, 0), unit)
        _frame(canvas, corners, COLOURS[how], 2 * unit, _DASHES[how], unit)
        above = int(corners[1]) - 4 * unit  # where the words of the picture are, it goes below
        place = (int(corners[0]), above if above > 30 * unit else int(corners[3]) + 14 * unit)
        _write(canvas, f"{how} {score:.2f}{by}", place, COLOURS[how], unit)
    _write(canvas, words, (4 * unit, 12 * unit), COLOURS[faces.outcome], unit)
    return canvas


def anonymized(picture: Picture, faces: Detections) -> Picture:
    """A copy with every face and every part that was seen blurred.

    Where none was seen, or one is only held, nobody knows where it is: all is blurred.
    """
    canvas = picture.copy()
    height, width = picture.shape[:2]
    boxes = np.concatenate([faces.boxes, faces.parts.boxes])
    if not len(faces) or "held" in faces.how:
        boxes = np.array([[0, 0, width, height]], np.float32)
    for x1, y1, x2, y2 in boxes:
        grow = 0.25 * max(x2 - x1, y2 - y1)  # the box ends at the brows
        left, top = max(0, int(x1 - grow)), max(0, int(y1 - 2 * grow))
        right, bottom = min(width, int(x2 + grow) + 1), min(height, int(y2 + grow) + 1)
        part = canvas[top:bottom, left:right]
        if part.size:
            few = cv2.resize(part, (8, 8), interpolation=cv2.INTER_AREA)
            size = (part.shape[1], part.shape[0])
            canvas[top:bottom, left:right] = cv2.resize(few, size, interpolation=cv2.INTER_LINEAR)
    return canvas


class Timeline:
    """A strip that tells what has become of every frame so far.

    With a known number of frames each column is a share of the video, its colours the shares
    of its outcomes; else columns are frames, written round and round.
    """

    def __init__(self, width: int, total: int) -> None:
        self.width, self.total = width, total
        self.height = max(12, width // 50 // 2 * 2)
        self.next = 0  # the first column that is still without colour
        self.counts = np.zeros((width, len(_OUTCOMES)), np.int64)
        self.strip: Picture = np.full((self.height, width, 3), _UNSEEN, np.uint8)

    def add(self, number: int, outcome: Outcome) -> None:
        """One more frame."""
        if self.total:
            column = min(number * self.width // self.total, self.width - 1)
        else:
            column = number % self.width
            self.counts[column] = 0
            self.strip[:, (column + 1) % self.width] = _UNSEEN
        self.counts[column, _OUTCOMES.index(outcome)] += 1
        first = last = column
        if self.total:
            # A frame may be narrower than a column, or wider; frames that were passed over before
            # it are as it is.
            first = min(self.next, column)
            last = max(column, min((number + 1) * self.width // self.total, self.width) - 1)
            self.next = last + 1
        shares = np.cumsum(self.counts[column]) / self.counts[column].sum()
        rows = (np.arange(self.height) + 0.5) / self.height
        kinds = np.searchsorted(shares, rows)
        self.strip[:, first : last + 1] = _PALETTE[kinds][:, None]


def under(picture: Picture, strip: Picture) -> Picture:
    """A picture with a strip under it."""
    size = (picture.shape[1], strip.shape[0])
    wide = cv2.resize(strip, size, interpolation=cv2.INTER_NEAREST)
    return np.concatenate([picture, np.asarray(wide, np.uint8)])


def _frame(
    canvas: Picture,
    corners: NDArray[np.int64],
    colour: Colour,
    width: int,
    dash: Sequence[int],
    unit: int,
) -> None:
    """The four sides of a box, dashed."""
    x1, y1, x2, y2 = corners.tolist()
    drawn, left = dash[0] * unit * 2, dash[1] * unit * 2
    for begin, end in (
        *(((x1, y1), (x2, y1)), ((x2, y1), (x2, y2))),
        *(((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))),
    ):
        span = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]))
        if not left:
            cv2.line(canvas, begin, end, colour, width, cv2.LINE_AA)
            continue
        for first in range(0, span, drawn + left):
            one, two = (
                tuple(
                    round(a + (b - a) * min(place, span) / span)
                    for a, b in zip(begin, end, strict=True)
                )
                for place in (first, first + drawn)
            )
            cv2.line(canvas, one, two, colour, width, cv2.LINE_8)


def _write(canvas: Picture, words: str, place: tuple[int, int], colour: Colour, unit: int) -> None:
    """Words on any ground: dark edge, light letters, inside the picture."""
    size, room = 0.42 * unit, canvas.shape[1] - 2 * unit
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, unit)
    if width > room:
        size = max(size * room / width, _SMALLEST)
        (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, unit)
    x = max(unit, min(place[0], canvas.shape[1] - width - unit))
    y = max(height + 3 * unit, min(place[1], canvas.shape[0] - 3 * unit))
    ground = canvas[
        max(0, y - height - 3 * unit) : y + 3 * unit, max(0, x - unit) : x + width + unit
    ]
    ground[:] = ground // 4  # dark, whatever is behind
    light = tuple(int(each + (255 - each) * 0.45) for each in colour)
    cv2.putText(canvas, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, light, unit, cv2.LINE_AA)
