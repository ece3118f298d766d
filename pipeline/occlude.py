"""Occluders drawn onto faces with known landmarks, and the true share that they hide.

A landmark is hidden where the occluder covers its pixel by one half or more; a clear mask
covers less, glare hides where it saturates. The share that decides the level is

    1 - (1 - landmark_share) * (1 - equivalent)

where ``landmark_share`` counts the hidden ones among the landmarks that the picture shows,
and ``equivalent`` is the stated counterpart of darkness, blur and low resolution
(:mod:`pipeline.occluders.effects`), which hide no landmark but the whole face a little.

What is drawn depends on the seed alone. The level stated in a result is always what is
true of its picture. Where the kinds allowed cannot reach the level asked for (a feeding
tube hides no half of a face), the nearest try is what comes back: compare the levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline.errors import UserError
from pipeline.images import Picture
from pipeline.occluders.blend import blend
from pipeline.occluders.canvas import Canvas, Plane
from pipeline.occluders.effects import Effect
from pipeline.occluders.frame import Frame, frame_of
from pipeline.occluders.kinds import EXCLUSIVE, KINDS
from pipeline.occluders.scene import Scene, scene_of
from pipeline.parts import Points, Scheme

__all__ = ["KINDS", "LEVELS", "Occluded", "drawn", "level_of", "occlude", "occlude_all"]

LEVELS = ("none", "easy", "medium", "hard")
# The shares that are aimed at: a little inside the level's own borders.
_AIMS = {"easy": (0.03, 0.23), "medium": (0.27, 0.48), "hard": (0.53, 0.88)}
_TRIES = 14  # castings of occluders before the nearest one is taken
_HALVINGS = 5  # of the amount of the main occluder, in a sketch
_SKETCH = 40.0  # pixels a unit
_FINEST, _COARSEST = 320.0, 72.0  # pixels a unit of the finished drawing

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Occluded:
    """One face of an occluded picture. Several faces share their picture and mask."""

    picture: Picture  # a new array
    mask: NDArray[np.bool_]  # (H, W) where anything hides what was there
    hidden: NDArray[np.bool_]  # (P,) landmarks that the mask hides
    kinds: tuple[str, ...]  # what was used for this face, in the order of KINDS
    landmark_share: float  # of the landmarks that the picture shows
    face_share: float  # of the pixels of the whole-face box
    equivalent: float  # of darkness, blur and low resolution
    share: float  # both together; decides the level
    level: str


@dataclass(frozen=True, eq=False)
class _Target:
    """A face to be covered."""

    points: Points
    frame: Frame
    shown: NDArray[np.int64]  # numbers of the landmarks inside the picture
    local: NDArray[np.float64]  # (N, 2) those landmarks in the frame
    before: NDArray[np.bool_]  # (N,) those that were hidden before anything was drawn


@dataclass(frozen=True)
class _Part:
    """One occluder of a casting: the same seed and amount draw the same thing."""

    kind: str
    amount: float
    seed: int


def level_of(share: float) -> str:
    """The level of a hidden share: none 0, easy under a quarter, medium to a half, hard above."""
    if share <= 0:
        return "none"
    return "easy" if share < 0.25 else "medium" if share <= 0.5 else "hard"


def occlude(
    picture: Picture,
    points: Points,
    scheme: Scheme,
    level: str,
    seed: int | Sequence[int],
    kinds: Sequence[str] | None = None,
) -> Occluded:
    """Cover one face to a level; only with these kinds, or with any."""
    clear = np.zeros(len(points), bool)
    return occlude_all(picture, [(points, scheme, clear)], level, seed, kinds)[0]


def drawn(
    picture: Picture, points: Points, scheme: Scheme, kind: str, amount: float, seed: int
) -> Occluded:
    """One occluder, so much of it (0 to 1): with the same seed, growing amounts are a movement."""
    target = _target(points, scheme, np.zeros(len(points), bool), picture)
    if target is None:
        raise UserError("a face without enough landmarks cannot be covered")
    out, cover, equivalent = picture.copy(), np.zeros(picture.shape[:2], np.float32), 0.0
    part, size = _Part(kind, amount, seed), target.frame.unit
    if KINDS[kind].draw is not None:
        _draw(out, cover, target, scene_of(picture, target.frame), [part])
    else:
        equivalent = _equivalent([part], size, size)
        out = _effect(part).apply(out, amount, size, np.random.default_rng(seed))
    return _result(out, cover >= 0.5, points, target, (kind,), equivalent)


def occlude_all(
    picture: Picture,
    faces: Sequence[tuple[Points, Scheme, NDArray[np.bool_]]],
    level: str,
    seed: int | Sequence[int],
    kinds: Sequence[str] | None = None,
) -> list[Occluded]:
    """Cover every face of a picture to a level; what happens to the picture happens once.

    A face is its landmarks, their scheme, and which of them (P,) something in the picture
    hides already: those count as hidden, whatever is drawn.
    A face with less than a quarter of its landmarks placed, or with none inside the
    picture, is left alone. The results share one picture and one mask, and what was drawn
    for one face counts for its neighbours too.
    """
    allowed = _checked(level, kinds)
    rng = np.random.default_rng(seed)
    out, cover = picture.copy(), np.zeros(picture.shape[:2], np.float32)
    targets = [_target(points, scheme, before, picture) for points, scheme, before in faces]
    sizes = [target.frame.unit for target in targets if target is not None]
    reference = float(np.median(sizes)) if sizes else 1.0
    light = _light(level, allowed, rng) if sizes and level != "none" else []
    amounts = [_equivalent(light, reference, t.frame.unit) if t else 0.0 for t in targets]
    used: list[tuple[str, ...]] = []
    for target, amount in zip(targets, amounts, strict=True):
        casting: list[_Part] = []
        if target is not None and level != "none":
            casting = _cover(out, cover, target, (level, amount), allowed, rng)
        used.append(tuple(part.kind for part in (*casting, *light) if target is not None))
    for part in light:
        out = _effect(part).apply(out, part.amount, reference, np.random.default_rng(part.seed))
    mask = cover >= 0.5
    return [
        _result(out, mask, points, target, names, amount)
        for (points, *_), target, names, amount in zip(faces, targets, used, amounts, strict=True)
    ]


def _checked(level: str, kinds: Sequence[str] | None) -> list[str]:
    """The kinds allowed, in the order of the table."""
    if level not in LEVELS:
        raise UserError(f"no level of occlusion {level!r}; there are {', '.join(LEVELS)}")
    unknown = [name for name in kinds or () if name not in KINDS]
    if unknown:
        raise UserError(f"no kind of occluder {unknown[0]!r}; there are {', '.join(KINDS)}")
    return [name for name in KINDS if kinds is None or name in kinds]


def _target(
    points: Points, scheme: Scheme, before: NDArray[np.bool_], picture: Picture
) -> _Target | None:
    frame, shown = frame_of(points, scheme), _shown(points, picture)
    if frame is None or len(shown) == 0:
        return None
    local = frame.to_local(points[shown].astype(np.float64))
    return _Target(points, frame, shown, local, before[shown])


def _shown(points: Points, picture: Picture) -> NDArray[np.int64]:
    """Numbers of the landmarks that have a place inside the picture."""
    height, width = picture.shape[:2]
    x, y = np.nan_to_num(points, nan=-1.0).T
    return np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))


def _light(level: str, allowed: Sequence[str], rng: Rng) -> list[_Part]:
    """The effects on the whole picture: none, a mild one beside objects, or the whole level."""
    names = [name for name in allowed if KINDS[name].effect is not None]
    only = len(names) == len(allowed)
    chance = rng.random()
    if not names or (not only and chance > 0.27):
        return []
    whole = only or chance < 0.12
    total = float(rng.uniform(*_AIMS[level])) if whole else float(rng.uniform(0.04, 0.16))
    count = min(len(names), 2 if rng.random() < 0.25 else 1)
    chosen = sorted(rng.choice(len(names), count, replace=False).tolist())
    amount = 1 - (1 - total) ** (1 / count)  # together they make the total
    return [_Part(names[k], amount, _seed(rng)) for k in chosen]


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**32))


def _equivalent(light: Sequence[_Part], reference: float, size: float) -> float:
    """What the effects together amount to for a face of this size."""
    seen = 1.0
    for part in light:
        seen *= 1 - _effect(part).share(part.amount, reference, size)
    return 1 - seen


def _effect(part: _Part) -> Effect:
    effect = KINDS[part.kind].effect
    assert effect is not None
    return effect


def _combined(landmark_share: float, equivalent: float) -> float:
    return 1 - (1 - landmark_share) * (1 - equivalent)


def _cover(
    picture: Picture,
    cover: Plane,
    target: _Target,
    goal: tuple[str, float],
    allowed: Sequence[str],
    rng: Rng,
) -> list[_Part]:
    """Draw objects onto one face, in place, until the level is truly met."""
    level, equivalent = goal
    objects = [name for name in allowed if KINDS[name].draw is not None]
    already = _hidden(cover >= 0.5, target)
    so_far = level_of(_combined(float(already.mean()), equivalent))
    if not objects or LEVELS.index(so_far) >= LEVELS.index(level):
        return []
    scene = scene_of(picture, target.frame)
    nearest: tuple[float, list[_Part]] | None = None
    for _ in range(_TRIES):
        aim = float(rng.uniform(*_AIMS[level]))
        wanted = 1 - (1 - aim) / (1 - equivalent)
        casting, got = _cast(target, scene, picture, already, max(wanted, 0.0), objects, rng)
        miss = abs(_combined(got, equivalent) - aim)
        if level_of(_combined(got, equivalent)) == level:
            drawn, sheet = picture.copy(), cover.copy()
            _draw(drawn, sheet, target, scene, casting)
            final = float(_hidden(sheet >= 0.5, target).mean())
            if level_of(_combined(final, equivalent)) == level:
                picture[:], cover[:] = drawn, sheet
                return casting
        if nearest is None or miss < nearest[0]:
            nearest = (miss, casting)
    assert nearest is not None
    _draw(picture, cover, target, scene, nearest[1])
    return nearest[1]


def _cast(
    target: _Target,
    scene: Scene,
    picture: Picture,
    already: NDArray[np.bool_],
    wanted: float,
    objects: Sequence[str],
    rng: Rng,
) -> tuple[list[_Part], float]:
    """Choose occluders and, in sketches, the amount of the main one; what share they hide."""
    names = _together(objects, rng)
    side = [_Part(name, float(rng.uniform(0, 0.7)), _seed(rng)) for name in names[1:]]
    main = _Part(names[0], 0.5, _seed(rng))
    size = picture.shape[:2]
    seen = already.copy()
    for part in side:
        seen |= _sketch(target, scene, size, part)
    low, high = 0.0, 1.0
    best = (np.inf, main, 0.0)
    for _ in range(_HALVINGS):
        part = _Part(main.kind, (low + high) / 2, main.seed)
        share = float((seen | _sketch(target, scene, size, part)).mean())
        if abs(share - wanted) < best[0]:
            best = (abs(share - wanted), part, share)
        if abs(share - wanted) < 0.025:
            break
        low, high = (part.amount, high) if share < wanted else (low, part.amount)
    order = list(KINDS)
    return sorted([best[1], *side], key=lambda part: order.index(part.kind)), best[2]


def _together(objects: Sequence[str], rng: Rng) -> list[str]:
    """One to three objects that can be seen together; the first one decides the level."""
    count = int(rng.choice([1, 2, 3], p=[0.55, 0.33, 0.12]))
    chosen: list[str] = []
    for k in rng.permutation(len(objects)):
        name = objects[k]
        if len(chosen) < count and not any({name, other} in EXCLUSIVE for other in chosen):
            chosen.append(name)
    return chosen


def _sketch(target: _Target, scene: Scene, size: tuple[int, int], part: _Part) -> NDArray[np.bool_]:
    """Which of the shown landmarks one occluder would hide."""
    canvas = Canvas(target.frame, size, _SKETCH, scene, reach=1.2, sketch=True)
    _paint(canvas, part)
    return canvas.hidden(target.local)


def _paint(canvas: Canvas, part: _Part) -> None:
    draw = KINDS[part.kind].draw
    assert draw is not None
    draw(canvas, part.amount, np.random.default_rng(part.seed))


def _draw(
    picture: Picture, cover: Plane, target: _Target, scene: Scene, casting: Sequence[_Part]
) -> None:
    """The finished drawing, in place."""
    unit = target.frame.unit
    scale = float(np.clip(unit, _COARSEST, _FINEST))
    reach = max(KINDS[part.kind].reach for part in casting)
    canvas = Canvas(target.frame, picture.shape[:2], scale, scene, reach=reach)
    for part in casting:
        _paint(canvas, part)
    blend(picture, cover, canvas, scene, np.random.default_rng(casting[0].seed))


def _hidden(mask: NDArray[np.bool_], target: _Target) -> NDArray[np.bool_]:
    """Which of the shown landmarks (N,) the mask hides, or something did before."""
    cols, rows = np.floor(target.points[target.shown]).astype(int).T
    return np.asarray(mask[rows, cols] | target.before)


def _result(
    picture: Picture,
    mask: NDArray[np.bool_],
    points: Points,
    target: _Target | None,
    kinds: tuple[str, ...],
    equivalent: float,
) -> Occluded:
    """The facts about one face, read off the finished mask."""
    hidden = np.zeros(len(points), bool)
    share = 0.0
    if target is not None:
        hidden[target.shown] = _hidden(mask, target)
        share = float(hidden[target.shown].mean())
    combined = _combined(share, equivalent)
    return Occluded(
        picture=picture,
        mask=mask,
        hidden=hidden,
        kinds=tuple(sorted(set(kinds), key=list(KINDS).index)),
        landmark_share=share,
        face_share=_face_share(mask, points),
        equivalent=equivalent,
        share=combined,
        level=level_of(combined),
    )


def _face_share(mask: NDArray[np.bool_], points: Points) -> float:
    """The hidden share of the pixels of the whole-face box, as far as the picture shows it."""
    whole = box.clip(box.around(points), mask.shape[1], mask.shape[0])
    if len(whole) == 0:
        return 0.0
    x1, y1 = np.floor(whole[0, :2]).astype(int)
    x2, y2 = np.ceil(whole[0, 2:]).astype(int)
    inside = mask[y1:y2, x1:x2]
    return float(inside.mean()) if inside.size else 0.0
