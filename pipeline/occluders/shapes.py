"""Outlines and paths: smooth, slightly irregular curves in local coordinates, (N, 2)."""

import numpy as np

from pipeline.occluders.frame import Local


def smooth(points: Local, steps: int = 10, *, closed: bool = False) -> Local:
    """A Catmull-Rom curve through the points, ``steps`` places for each piece."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    control = np.concatenate([ends[0], points, ends[1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]  # (S, 1)
    pieces = []
    for a, b, c, d in zip(control, control[1:], control[2:], control[3:], strict=False):
        cubic = 3 * b - a - 3 * c + d
        pieces.append(b + ((c - a) + ((2 * a - 5 * b + 4 * c - d) + cubic * t) * t) * t / 2)
    if not closed:
        pieces.append(points[-1:])
    return np.concatenate(pieces)


def ring(
    centre: Local | tuple[float, float],
    radii: tuple[float, float],
    *,
    power: float = 2.0,
    tilt: float = 0.0,
    rng: np.random.Generator | None = None,
    wobble: float = 0.0,
) -> Local:
    """A closed superellipse (power 2: an ellipse, 4: nearly a rectangle), turned, uneven."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    shape = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shape = np.sign(shape) * np.abs(shape) ** (2 / power)
    if rng is not None and wobble > 0:
        waves = rng.normal(size=(2, 4)) * wobble / np.arange(1, 5)
        phase = np.outer(angle, np.arange(1, 5) + 1)
        shape = shape * (1 + np.cos(phase) @ waves[0] + np.sin(phase) @ waves[1])[:, None]
    return np.asarray(turned(shape * np.array(radii), tilt) + np.asarray(centre))


def turned(points: Local, angle: float) -> Local:
    """Points turned about the origin, in radians, from x towards y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def normals(path: Local) -> Local:
    """Unit normals (N, 2) of a path."""
    along = np.gradient(path, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    return np.stack([-along[:, 1], along[:, 0]], axis=1) / length[:, None]


def ribbon(path: Local, half_width: float | Local) -> Local:
    """The outline of a band along a path; the half width may change along it (N,)."""
    side = normals(path) * np.broadcast_to(half_width, len(path))[:, None]
    return np.concatenate([path + side, (path - side)[::-1]])


def length(path: Local) -> Local:
    """How far along the path each of its points lies, (N,)."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


def uneven(rng: np.random.Generator, count: int, size: float) -> Local:
    """A slowly changing random offset (count,), of about this size."""
    knots = rng.normal(size=max(count // 8, 4)) * size
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(knots)), knots)
