"""The face's own frame: where its parts lie, whatever its roll, turn and size.

Local coordinates: the origin lies midway between eyes and mouth, x runs along the line of
the eyes from the subject's right to its left, y downwards, and one unit is the height of
the face from brows to chin. Everything is drawn there, upright, and turned afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.parts import Points, Scheme, face_axes

Local = NDArray[np.float64]  # (2,) or (N, 2) in the face's own frame

# Where the parts of a mean face lie; the stand-in for those that a picture does not place.
_MEAN = {
    "right eye": (-0.23, -0.25),
    "left eye": (0.23, -0.25),
    "nose": (0.0, 0.085),  # the base, between the nostrils
    "mouth": (0.0, 0.25),
    "right tip": (-0.19, 0.235),
    "left tip": (0.19, 0.235),
    "chin": (0.0, 0.57),
    "brows": (0.0, -0.39),
    "right ear": (-0.52, -0.14),
    "left ear": (0.52, -0.14),
}
_FOREHEAD = 0.62  # from the brows to the top of the skull


@dataclass(frozen=True)
class Head:
    """The ellipse of the whole head, skull included, in local coordinates."""

    cx: float
    cy: float
    rx: float
    ry: float


@dataclass(frozen=True, eq=False)
class Frame:
    """The frame of one face and its parts in that frame."""

    origin: NDArray[np.float64]  # (2,) pixels of the picture
    axes: NDArray[np.float64]  # (2, 2) rows: local x and local y in the picture
    unit: float  # pixels of the picture
    parts: dict[str, Local]  # the names of _MEAN -> (2,)
    head: Head
    turn: float  # -1 facing its right, 0 towards us, 1 facing its left

    def to_local(self, points: NDArray[np.floating]) -> Local:
        """Pixels of the picture (N, 2) -> local coordinates."""
        return np.asarray((points - self.origin) @ self.axes.T / self.unit)

    def pair(self, name: str) -> tuple[Local, Local]:
        """The right and the left one of eye, tip or ear."""
        return self.parts[f"right {name}"], self.parts[f"left {name}"]


def frame_of(points: Points, scheme: Scheme) -> Frame | None:
    """The frame of a face; None where fewer than a quarter of its landmarks have a place."""
    placed = ~np.isnan(points).any(axis=1)
    if placed.sum() < scheme.count / 4:
        return None
    axes = face_axes(points, scheme)
    turned = points.astype(np.float64) @ axes.T  # (P, 2) upright, still in pixels
    known = _parts(turned, scheme)
    if not known:
        return None
    extent = np.ptp(turned[placed], axis=0)
    unit, start = _fit(known, float(extent.max()))
    if unit <= 0:
        return None
    parts = {name: (known[name] - start) / unit for name in known}
    low, high = ((side - start) / unit for side in _sides(turned[placed]))
    return Frame(
        origin=start @ axes,
        axes=axes,
        unit=unit,
        parts={name: parts.get(name, np.array(place)) for name, place in _MEAN.items()},
        head=_head(parts, float(low[0]), float(high[0])),
        turn=_turn(parts, float(low[0]), float(high[0])),
    )


def _parts(turned: Local, scheme: Scheme) -> dict[str, Local]:
    """The places of the parts that this face has."""
    nose = turned[list(scheme.nose)]
    base = nose[nose[:, 1] >= np.nanquantile(nose[:, 1], 0.6)] if _any(nose) else nose
    groups: dict[str, Local] = {
        "right eye": turned[list(scheme.right_eye)],
        "left eye": turned[list(scheme.left_eye)],
        "nose": base,
        "mouth": turned[list(scheme.mouth)],
        "right tip": turned[[scheme.tips[0]]],
        "left tip": turned[[scheme.tips[1]]],
        "chin": turned[[scheme.right_jaw[-1]]],
        "brows": turned[list(scheme.brows)],
        "right ear": turned[[scheme.ears[0]]],
        "left ear": turned[[scheme.ears[1]]],
    }
    return {name: np.nanmean(group, axis=0) for name, group in groups.items() if _any(group)}


def _any(group: Local) -> bool:
    return len(group) > 0 and bool((~np.isnan(group).any(axis=1)).any())


def _fit(known: dict[str, Local], largest: float) -> tuple[float, Local]:
    """Unit and origin that lay the mean face over the known parts.

    By their heights alone: a turned head is narrower, but not lower.
    """
    mean = np.array([_MEAN[name] for name in known])
    seen = np.array([known[name] for name in known])
    away = mean[:, 1] - mean[:, 1].mean()
    spread = float((away**2).sum())
    unit = float((away * (seen[:, 1] - seen[:, 1].mean())).sum()) / spread if spread > 0.02 else 0.0
    unit = min(max(unit, 0.6 * largest), 1.3 * largest)
    middle = [name for name in ("right eye", "left eye", "mouth", "nose") if name in known]
    start = (seen - unit * mean).mean(axis=0)
    if middle:  # the jaw says little of where the features lie across a turned face
        start[0] = np.mean([known[name][0] - unit * _MEAN[name][0] for name in middle])
    return unit, start


def _sides(turned: Local) -> tuple[Local, Local]:
    return turned.min(axis=0), turned.max(axis=0)


def _turn(parts: dict[str, Local], low: float, high: float) -> float:
    """How far the base of the nose lies from the middle of the face, -1 to 1."""
    nose = float(parts["nose"][0]) if "nose" in parts else (low + high) / 2
    half = max((high - low) / 2, 0.1)
    return float(np.clip(1.4 * (nose - (low + high) / 2) / half, -1, 1))


def _head(parts: dict[str, Local], low: float, high: float) -> Head:
    """The head around the face: skull above the brows, and behind the far ear when turned."""
    turn = _turn(parts, low, high)
    half = max((high - low) / 2, 0.4)
    brows = float(parts["brows"][1]) if "brows" in parts else _MEAN["brows"][1]
    chin = float(parts["chin"][1]) if "chin" in parts else _MEAN["chin"][1]
    top, bottom = brows - _FOREHEAD, chin + 0.03
    return Head(
        cx=(low + high) / 2 - 0.16 * turn,
        cy=(top + bottom) / 2,
        rx=max(half * 1.05, 0.5) + 0.1 * abs(turn),
        ry=(bottom - top) / 2,
    )


def between(first: Local, second: Local, share: float) -> Local:
    """The place at this share of the way from the first to the second."""
    return np.asarray(first + (second - first) * share)


def path(*places: Sequence[float] | Local) -> Local:
    """Places as an array (N, 2)."""
    return np.array([np.asarray(place, np.float64) for place in places])


def xy(x: float, y: float) -> Local:
    """A place, or the way from one place to another, (2,)."""
    return np.array([x, y])
