"""Hands: a skeleton of tapered capsules, its skin, and the arm that it comes on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.occluders.canvas import Canvas, Colour, Plane, Region, relief
from pipeline.occluders.frame import Local, xy
from pipeline.occluders.materials import shine
from pipeline.occluders.shapes import ribbon, ring, smooth, turned, uneven
from pipeline.occluders.texture import cloth, draped, folds, noise, smooth_grid

Rng = np.random.Generator

# The range of human skin, light to dark, as it looks in a white light.
SKINS: tuple[Colour, ...] = (
    (0.98, 0.85, 0.79),
    (0.95, 0.78, 0.69),
    (0.91, 0.70, 0.59),
    (0.83, 0.61, 0.48),
    (0.72, 0.50, 0.38),
    (0.58, 0.39, 0.29),
    (0.45, 0.29, 0.22),
    (0.33, 0.21, 0.16),
)
GLOVES: tuple[Colour, ...] = (
    (0.35, 0.5, 0.85),
    (0.5, 0.42, 0.8),
    (0.93, 0.92, 0.88),
    (0.35, 0.65, 0.7),
    (0.2, 0.22, 0.25),
)


@dataclass(frozen=True)
class Pose:
    """A shape of the hand. Fingers run from the index to the little one."""

    spread: float  # how far the fingers fan out, radians from the middle one
    curl: tuple[float, float, float, float]  # 0 stretched, 1 folded onto the palm
    thumb: float  # 0 along the hand, 1 off to the side, -1 across the palm
    back: bool = True  # the back of the hand is seen: nails and knuckles


POSES: dict[str, Pose] = {
    "open": Pose(0.5, (0.0, 0.0, 0.0, 0.05), 1.0),
    "reach": Pose(0.14, (0.1, 0.0, 0.05, 0.15), 0.5),
    "flat": Pose(0.05, (0.02, 0.0, 0.02, 0.05), 0.25),
    "cup": Pose(0.1, (0.3, 0.28, 0.3, 0.36), 0.7, back=False),
    "palm": Pose(0.25, (0.08, 0.05, 0.08, 0.12), 0.9, back=False),
    "pinch": Pose(0.2, (0.15, 1.0, 1.0, 1.0), 0.4),
    "two": Pose(0.12, (0.05, 0.05, 1.0, 1.0), 0.3),
    "fist": Pose(0.1, (1.0, 1.0, 1.0, 1.0), -1.0, back=False),
}


@dataclass(frozen=True, eq=False)
class Bone:
    """A tapered capsule; in hand lengths until it is placed."""

    start: Local
    end: Local
    thick: tuple[float, float]  # radius at either end
    lift: float = 0.0  # how high it lies over the others
    finger: int = -1  # -1 for palm and arm


def _finger(number: int, pose: Pose, chubby: float, bend: float) -> list[Bone]:
    """The bones of one finger, foreshortened as far as it is curled."""
    x = (0.16, 0.054, -0.052, -0.148)[number]
    y = (0.47, 0.5, 0.48, 0.425)[number]
    reach = (0.4, 0.45, 0.42, 0.33)[number] * (1.12 - 0.3 * chubby)
    thick = (0.054, 0.056, 0.054, 0.047)[number] * (0.97 + 0.3 * chubby)
    curl = pose.curl[number]
    base = np.array([x, y])
    if curl > 0.9:  # folded: seen as one thick sausage over the palm
        tip = base - [0.1 * x, 0.23]
        return [Bone(base + xy(0, 0.02), tip, (1.2 * thick, 1.1 * thick), 0.06, number)]
    angle = pose.spread * (0.75, 0.15, -0.4, -1.0)[number]
    bones, at = [], base
    for share, fold, wide in ((0.44, 0.3, 1.03), (0.31, 0.9, 0.98), (0.25, 1.3, 0.92)):
        step = reach * share * np.cos(min(curl * fold * 1.3, 1.4))
        end = at + step * np.array([np.sin(angle), np.cos(angle)])
        bones.append(Bone(at, end, (thick * wide, thick * (wide - 0.06)), 0.02, number))
        at, angle = end, angle * 0.92 + bend
    return bones


def _thumb(pose: Pose, chubby: float) -> list[Bone]:
    thick = 0.06 * (0.95 + 0.3 * chubby)
    if pose.thumb < 0:  # across the folded fingers
        joints = np.array([(0.15, 0.14), (0.16, 0.29), (0.02, 0.34)])
        lift = 0.12
    else:
        side = 0.35 + 0.65 * pose.thumb
        joints = np.array([(0.09, 0.12), (0.15 + 0.06 * side, 0.27), (0.16 + 0.15 * side, 0.39)])
        joints = np.concatenate([joints, joints[-1:] + xy(0.02 + 0.07 * side, 0.1)])
        lift = 0.01
    widths = (1.2, 1.02, 0.92, 0.72)
    return [
        Bone(a, b, (thick * widths[k], thick * widths[k + 1]), lift, 4)
        for k, (a, b) in enumerate(pairwise(joints))
    ]


def skeleton(pose: Pose, chubby: float, bends: Sequence[float]) -> list[Bone]:
    """All bones of a hand: wrist at the origin, fingers towards y, the thumb towards x.

    ``bends`` is how far each finger leans sideways at each of its joints, in radians.
    """
    palm = [
        Bone(np.array([0.5 * x, 0.03]), np.array([x, y]), (0.085, 0.078), 0.0)
        for x, y in ((0.14, 0.46), (0.05, 0.48), (-0.045, 0.46), (-0.13, 0.41))
    ]
    arm = [Bone(np.array([0.0, 0.06]), np.array([0.0, -1.0]), (0.115 + 0.02 * chubby, 0.15))]
    fingers = [bone for number in range(4) for bone in _finger(number, pose, chubby, bends[number])]
    return [*arm, *palm, *fingers, *_thumb(pose, chubby)]


def hand(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A caregiver's or the infant's own hand; ``amount`` is how far it reaches over the face."""
    own = rng.random() < 0.35
    pose = POSES[list(POSES)[rng.integers(len(POSES))]]
    pose = replace(
        pose,
        spread=pose.spread * float(rng.uniform(0.6, 1.3)),
        curl=tuple(np.clip(np.array(pose.curl) + rng.normal(0, 0.05, 4), 0, 1).tolist()),
    )
    size = float(rng.uniform(0.75, 1.05) if own else rng.uniform(1.35, 2.2))
    chubby = 1.0 if own else float(rng.uniform(0, 0.45))
    from_angle = float(rng.normal(np.pi / 2, 0.7) if own else rng.uniform(0, 2 * np.pi))
    side = np.array([np.cos(from_angle), np.sin(from_angle)])
    tip = side * (0.66 - (1.25 if own else 1.5) * amount)
    tip += np.array([-side[1], side[0]]) * float(rng.normal(0, 0.15))
    turn = from_angle + np.pi / 2 + float(rng.normal(0, 0.22))
    flip = float(rng.choice([-1.0, 1.0]))
    bones = skeleton(pose, chubby, rng.normal(0, 0.045, 4).tolist())
    front = max(float(bone.end[1]) for bone in bones) * size
    wrist = tip - turned(np.array([[0.0, front]]), turn)[0]
    placed = [_placed(bone, size, flip, turn, wrist) for bone in bones]
    gloved = not own and rng.random() < 0.3
    _flesh(
        canvas,
        placed,
        _tone(canvas, rng, own=own, gloved=gloved),
        rng,
        size=size,
        nails=pose.back,
        gloved=gloved,
    )
    back = turned(np.array([[0.0, -1.0]]), turn)[0] * size
    _sleeve(canvas, wrist, back, size, rng, gloved=gloved)


def _placed(bone: Bone, size: float, flip: float, turn: float, wrist: Local) -> Bone:
    ends = turned(np.stack([bone.start, bone.end]) * [flip * size, size], turn) + wrist
    thick = (bone.thick[0] * size, bone.thick[1] * size)
    return replace(bone, start=ends[0], end=ends[1], thick=thick, lift=bone.lift * size)


def _tone(canvas: Canvas, rng: Rng, *, own: bool, gloved: bool) -> NDArray[np.float32]:
    """The colour of glove or skin; an infant's own hand is mostly like its face."""
    if gloved:
        return np.array(GLOVES[rng.integers(len(GLOVES))], np.float32)
    place = float(rng.uniform(0, len(SKINS) - 1))
    number = int(place)
    table = np.array(SKINS, np.float32)
    tone = table[number] + (table[number + 1] - table[number]) * np.float32(place - number)
    like = own and rng.random() < 0.7
    return np.asarray(canvas.skin if like else tone, np.float32)


def _flesh(
    canvas: Canvas,
    bones: Sequence[Bone],
    tone: NDArray[np.float32],
    rng: Rng,
    *,
    size: float,
    nails: bool,
    gloved: bool,
) -> None:
    """Skin over the bones: rounded, darker in the creases, pinker at knuckles and tips."""
    ends = np.concatenate([[bone.start, bone.end] for bone in bones])
    wide = max(max(bone.thick) for bone in bones)
    region = canvas.area(ends.min(axis=0) - wide, ends.max(axis=0) + wide)
    blotches, wrinkles = smooth_grid(rng), smooth_grid(rng)
    if region.empty:
        return
    height, edge, crease = _surface(region, bones)
    solid = replace(region, alpha=np.clip(edge * canvas.scale + 0.5, 0, 1).astype(np.float32))

    def paint(area: Region) -> Plane:
        soft = _softened(height, 0.016 * size * canvas.scale)
        soft = 0.5 * soft + 0.4 * _softened(soft, 0.04 * size * canvas.scale)
        if gloved:
            soft = soft + noise(wrinkles, area.x / 0.02, area.y / 0.05) * np.float32(0.004)
        lit = relief(area, soft, canvas.light, 0.7)
        deep = cv2.blur(height, (2 * int(0.03 * size * canvas.scale) + 1,) * 2) - height
        shade = (
            lit * (1 - np.clip(2.6 * deep / size, 0, 0.4)) * (1 - (0 if gloved else 0.1) * crease)
        )
        red = noise(blotches, area.x / 0.06, area.y / 0.06) * np.float32(0.02)
        shade = shade * (1 + noise(wrinkles, area.x / 0.012, area.y / 0.012) * np.float32(0.022))
        colour = tone * shade[..., None]
        if not gloved:  # shadows on skin are warm: light goes through it
            colour = colour * (1 + (1 - shade[..., None]) * np.array([0.16, 0.0, -0.04]))
            colour = colour + red[..., None] * np.array([1.0, -0.5, -0.4])
        gloss = (0.22 if gloved else 0.07) * shine(area, soft, canvas.light, 22)
        return np.asarray(np.clip(colour, 0, 1.1) + gloss[..., None], np.float32)

    canvas.paint(solid, paint, shadow=0.05)
    if nails and not gloved:
        _nails(canvas, bones, tone)


def _softened(height: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(height, (0, 0), max(sigma, 0.5)), np.float32)


def _surface(region: Region, bones: Sequence[Bone]) -> tuple[Plane, Plane, Plane]:
    """Height, distance inside the outline, and creases at the joints, over the region."""
    height = np.zeros_like(region.x)
    edge = np.full_like(region.x, -1)
    crease = np.zeros_like(region.x)
    for bone in bones:
        wide = max(bone.thick) + 2 / region.scale
        ends = np.stack([bone.start, bone.end])
        rows, cols = _box(region, ends.min(axis=0) - wide, ends.max(axis=0) + wide)
        if rows.stop <= rows.start or cols.stop <= cols.start:
            continue
        x, y = region.x[rows, cols], region.y[rows, cols]
        axis = (bone.end - bone.start).astype(np.float32)
        span = max(float(axis @ axis), 1e-9)
        dx, dy = x - np.float32(bone.start[0]), y - np.float32(bone.start[1])
        t = (dx * axis[0] + dy * axis[1]) / np.float32(span)
        held = np.clip(t, 0, 1)
        away = (dx - held * axis[0]) ** 2 + (dy - held * axis[1]) ** 2
        thick = np.float32(bone.thick[0]) + np.float32(bone.thick[1] - bone.thick[0]) * held
        dome = np.sqrt(np.maximum(thick**2 - away, 0)) * (0.6 if bone.finger < 0 else 1.0)
        tall = np.where(dome > 0, dome + bone.lift, 0).astype(np.float32)
        mine = tall > height[rows, cols]
        height[rows, cols] = np.where(mine, tall, height[rows, cols])
        edge[rows, cols] = np.maximum(edge[rows, cols], thick - np.sqrt(away))
        if bone.finger >= 0:
            line = (t - 1) * np.float32(span**0.5 / (0.12 * bone.thick[1]))
            crease[rows, cols] = np.where(mine, np.exp(-(line**2)), crease[rows, cols])
    return height, edge, crease


def _box(region: Region, low: Local, high: Local) -> tuple[slice, slice]:
    """The rows and columns of the region between two corners."""
    corner = np.array([region.x[0, 0], region.y[0, 0]])
    limit = region.x.shape[::-1]
    first = np.clip(np.floor((low - corner) * region.scale), 0, limit).astype(int)
    last = np.clip(np.ceil((high - corner) * region.scale) + 1, 0, limit).astype(int)
    return slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0]))


def _nails(canvas: Canvas, bones: Sequence[Bone], tone: NDArray[np.float32]) -> None:
    """A nail on the last bone of every stretched finger."""
    last = {bone.finger: bone for bone in bones if bone.finger >= 0 and bone.lift < 0.15}
    colour = np.clip(tone * 0.75 + np.array([0.27, 0.2, 0.2]), 0, 1).astype(np.float32)
    for bone in last.values():
        along = bone.end - bone.start
        reach = float(np.hypot(*along))
        if reach < 1.1 * bone.thick[1]:
            continue
        angle = float(np.arctan2(along[1], along[0]))
        place = bone.end + along / reach * 0.28 * bone.thick[1]
        radii = (0.62 * bone.thick[1], 0.55 * bone.thick[1])
        nail = canvas.fill(ring(place, radii, power=2.6, tilt=angle))
        canvas.paint(nail, colour * 0.8, opacity=0.5)
        canvas.paint(
            canvas.fill(ring(place, (0.85 * radii[0], 0.82 * radii[1]), power=2.6, tilt=angle)),
            colour,
            opacity=0.75,
        )


def _sleeve(
    canvas: Canvas, wrist: Local, back: Local, size: float, rng: Rng, *, gloved: bool
) -> None:
    """A sleeve from somewhere on the forearm to beyond the border, or a glove's rolled end."""
    start = float(rng.uniform(0.12, 0.75))
    if gloved:
        start = min(start, 0.3)
    bend = float(rng.normal(0, 0.35))
    material = cloth(
        rng, ("jersey", "jersey", "fleece", "knit"), {"plain": 4.0, "stripes": 1.0, "dots": 0.4}
    )
    line = np.array([(0.0, start), (0.02 * bend, 0.8), (0.5 * bend, 2.4), (1.4 * bend, 4.6)])
    unit = back / max(float(np.hypot(*back)), 1e-9)
    across = np.array([-unit[1], unit[0]])
    spine = smooth(wrist + size * (line[:, 1:] * unit + line[:, :1] * across), 10)
    grow = np.linspace(0.175, 0.34, len(spine)) + uneven(rng, len(spine), 0.008)
    grow *= np.sqrt(1 - np.linspace(0, 0.995, len(spine)) ** 16)  # a rounded end, far away
    angle = float(np.arctan2(unit[1], unit[0]))
    creases = folds(rng, angle + np.pi / 2 + float(rng.normal(0, 0.3)), 0.07, 0.3 * size)
    width = 0.24 * size

    def paint(region: Region) -> Plane:
        bulge = width * np.sqrt(np.clip(1 - (1 - region.inside() / width) ** 2, 0, 1))
        lit = relief(region, np.asarray(0.5 * bulge, np.float32), canvas.light, 0.55)
        return np.asarray(draped(region, canvas.light, material, creases, 0.03) * lit[..., None])

    canvas.paint(canvas.fill(ribbon(spine, grow * size)), paint, shadow=0.05)
