"""What is fixed to a newborn's face: feeding tube, prongs, mask, pacifier, eye shields."""

import numpy as np

from pipeline.occluders.canvas import Canvas, Colour, Plane, Region, relief
from pipeline.occluders.frame import Local, between, path, xy
from pipeline.occluders.materials import TAPES, plastic, rounded, shine, strap, tape, tube
from pipeline.occluders.shapes import ribbon, ring, smooth, turned
from pipeline.occluders.texture import Cloth, cloth, draped, dye, folds, hsv

Rng = np.random.Generator

_TUBE_COLOURS: tuple[Colour, ...] = (
    (0.9, 0.9, 0.88),
    (0.93, 0.86, 0.66),
    (0.75, 0.82, 0.85),
    (0.95, 0.95, 0.95),
    (0.62, 0.5, 0.75),
    (0.95, 0.62, 0.3),
)
_OPAQUE_TAPES = tuple(name for name in TAPES if name != "film")


def _pick_tape(rng: Rng) -> str:
    names = list(TAPES)
    return names[rng.integers(len(names))]


def feeding_tube(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A feeding tube from nostril or mouth, held by strips of tape; ``amount`` is the tape."""
    side = int(rng.choice([0, 1]))
    out = (-1, 1)[side]
    route = smooth(_route(canvas, side, out, rng), 12)
    radius = float(rng.uniform(0.011, 0.024))
    colour = _TUBE_COLOURS[rng.integers(len(_TUBE_COLOURS))]
    clear = float(rng.choice([0.0, 0.15, 0.35]))
    kind, under = _pick_tape(rng), rng.random() < 0.4
    strips = 1 + int(rng.integers(0, 2)) + int(2.5 * amount)
    size = 0.1 + 0.2 * amount
    # the first strip lies where the tube leaves nose or mouth, the others along the cheek
    places = np.concatenate([[0.12 + 0.1 * rng.random()], rng.uniform(0.3, 0.85, strips - 1)])
    on_face = float((route[:, 1] > canvas.frame.parts["brows"][1]).mean())
    places *= on_face  # no tape in the hair, where the tube goes up over the forehead
    if under:
        spot = route[int(places[-1] * (len(route) - 1))]
        tape(canvas, spot, (2.2 * size, 1.6 * size), float(rng.normal(0, 0.4)), "hydrocolloid", rng)
    tube(canvas, route, radius, colour, clear=clear)
    for number, place in enumerate(places):
        at = int(place * (len(route) - 2))
        along = route[at + 1] - route[at]
        angle = float(np.arctan2(along[1], along[0]))
        across = number == 0 or rng.random() < 0.5
        shape = (float(rng.uniform(1.4, 2.4)) * size, float(rng.uniform(0.7, 1.1)) * size)
        turn = angle + (np.pi / 2 if across else 0) + float(rng.normal(0, 0.2))
        tape(canvas, route[at], shape, turn, kind, rng)


def _route(canvas: Canvas, side: int, out: int, rng: Rng) -> Local:
    """The way of the tube over the face: across the cheek, or up over the forehead."""
    parts = canvas.frame.parts
    tip, ear = canvas.frame.pair("tip")[side], canvas.frame.pair("ear")[side]
    eye = canvas.frame.pair("eye")[side]
    nostril = parts["nose"] + xy(out * 0.055, 0.0)
    loose = rng.normal(0, 0.03, (3, 2))
    style = rng.random()
    if style < 0.2:  # up beside the nose and over the forehead
        brow = np.array([eye[0] * 0.45, parts["brows"][1] - 0.2])
        bend = nostril + xy(out * 0.06, 0.06)
        top = brow + xy(out * float(rng.uniform(-0.1, 0.45)), -0.6)
        end = top + xy(out * float(rng.uniform(-0.2, 0.9)), -1.5)
        return path(nostril, bend, between(bend, eye, 0.5) + loose[0], brow + loose[1], top, end)
    cheek = between(tip, ear, 0.5) + xy(0.0, 0.1) + loose[0]
    far = np.array([canvas.frame.head.cx + out * canvas.frame.head.rx * 1.05, ear[1] + 0.15])
    if style < 0.5:  # from the mouth
        start = between(parts["mouth"], tip, 0.75)
        return path(
            start, tip + xy(out * 0.06, 0.05) + loose[2] / 2, cheek + xy(0, 0.06), far + loose[1]
        )
    bend = nostril + xy(out * 0.05, 0.07)
    return path(nostril, bend, between(bend, cheek, 0.6) + xy(0, 0.03), cheek, far + loose[1])


def prongs(canvas: Canvas, amount: float, rng: Rng) -> None:
    """Nasal prongs: a thin cannula, or the block and hoses of CPAP."""
    (_cannula if rng.random() < 0.5 else _cpap)(canvas, amount, rng)


def _cannula(canvas: Canvas, amount: float, rng: Rng) -> None:
    """Two soft prongs on a tube that runs over both cheeks behind the ears."""
    parts, head = canvas.frame.parts, canvas.frame.head
    nose = parts["nose"] + xy(0.0, 0.035)
    radius = float(rng.uniform(0.016, 0.03))
    colours: tuple[Colour, ...] = ((0.8, 0.88, 0.9), (0.72, 0.86, 0.76), (0.9, 0.9, 0.92))
    colour = colours[rng.integers(len(colours))]
    clear = float(rng.uniform(0.1, 0.4))
    kind, size = _pick_tape(rng), 0.13 + 0.26 * amount
    sag = rng.uniform(0.02, 0.16)
    for side, out in enumerate((-1, 1)):
        ear = canvas.frame.pair("ear")[side]
        cheek = between(nose, ear, 0.55) + xy(0.0, sag)
        far = np.array([head.cx + out * head.rx * 1.04, ear[1] + 0.02])
        start = nose + xy(out * 0.03, 0.02)
        line = smooth(path(start, nose + xy(out * 0.14, 0.03), cheek, far), 12)
        spot = between(nose, cheek, float(rng.uniform(0.75, 1.15)))
        patch = rng.random() < 0.5
        if patch:
            tape(canvas, spot, (1.35 * size, 1.1 * size), 0.2 * out, "hydrocolloid", rng)
        tube(canvas, line, radius, colour, clear=clear)
        if rng.random() < 0.85:
            turn = float(rng.normal(0.3 * out, 0.3))
            tape(canvas, spot, (size, float(rng.uniform(0.6, 0.9)) * size), turn, kind, rng)
    bar = smooth(path(nose + xy(-0.12, 0.03), nose + xy(0, 0.022), nose + xy(0.12, 0.03)), 8)
    tube(canvas, bar, 1.5 * radius, colour, clear=0.5 * clear)
    for out in (-1, 1):
        stub = path(nose + xy(out * 0.05, 0.02), nose + xy(out * 0.05, -0.02))
        tube(canvas, smooth(stub, 4), 0.8 * radius, colour, clear=0.5 * clear)


def _cpap(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A nasal block with two hoses, held by a strip over the lip and straps to the cap."""
    parts, head = canvas.frame.parts, canvas.frame.head
    nose = parts["nose"] + xy(0.0, -0.02)
    grow = 0.8 + 0.75 * amount
    material = cloth(rng, ("rib", "jersey"), {"plain": 1.0}, soft=rng.random() < 0.8)
    width = float(rng.uniform(0.07, 0.12)) * grow
    lower = rng.random() < 0.5
    for side, out in enumerate((-1, 1)):
        ear = canvas.frame.pair("ear")[side]
        far = np.array([head.cx + out * head.rx * 1.03, ear[1] + float(rng.uniform(-0.1, 0.12))])
        middle = between(nose, far, 0.5) + xy(0, 0.05)
        strap(canvas, path(nose + xy(out * 0.08, 0.03), middle, far), width, material)
    if lower:
        tape(canvas, nose + xy(0, 0.1), (0.45 * grow, 0.13 * grow), 0.0, "hydrocolloid", rng)
    greens: tuple[Colour, ...] = (
        (0.55, 0.75, 0.9),
        (0.9, 0.92, 0.95),
        (0.6, 0.82, 0.7),
        (0.35, 0.5, 0.8),
    )
    colour = greens[rng.integers(len(greens))]
    hose = colour if rng.random() < 0.5 else (0.88, 0.9, 0.92)
    radius = float(rng.uniform(0.032, 0.055)) * (0.8 + 0.4 * amount)
    upward, lean = rng.random() < 0.6, float(rng.normal(0, 0.5))
    for side, out in enumerate((-1, 1)):
        start = nose + xy(out * 0.1 * grow, 0.01)
        eye = canvas.frame.pair("eye")[side]
        top = np.array([eye[0] * 0.3, parts["brows"][1] - 0.15])
        up = path(
            start,
            start + xy(out * 0.05, -0.1),
            between(start, top, 0.6),
            top,
            top + xy(0.3 * lean, -1.0),
            top + xy(lean, -2.4),
        )
        ear = canvas.frame.pair("ear")[side]
        flat = path(start, start + xy(out * 0.12, 0.06), between(start, ear, 0.6) + xy(0, 0.16))
        flat = np.concatenate([flat, [[head.cx + out * head.rx * 1.1, ear[1] + 0.25]]])
        tube(canvas, smooth(up if upward else flat, 12), radius, hose, ribs=rng.random() < 0.7)
    block = ring(nose, (0.15 * grow, 0.085 * grow), power=3.2, tilt=float(rng.normal(0, 0.06)))

    def paint(region: Region) -> Plane:
        return plastic(region, canvas.light, colour, 0.05, 0.4)

    canvas.paint(canvas.fill(block), paint, shadow=0.03)


_MASK_COLOURS: tuple[Colour, ...] = (
    (0.78, 0.9, 0.82),
    (0.86, 0.92, 0.95),
    (0.95, 0.95, 0.96),
    (0.55, 0.75, 0.9),
    (0.6, 0.8, 0.62),
    (0.92, 0.75, 0.8),
)


def mask(canvas: Canvas, amount: float, rng: Rng) -> None:
    """An oxygen mask over nose and mouth, clear or opaque, with straps and a hose."""
    parts = canvas.frame.parts
    middle = between(parts["nose"], parts["mouth"], 0.45) + rng.normal(0, 0.025, 2)
    size = 0.75 + 0.55 * amount
    round_one = rng.random() < 0.35
    shell = _shell(middle, size, round_one=round_one)
    colour = _MASK_COLOURS[rng.integers(len(_MASK_COLOURS))]
    clear = rng.random() < 0.4
    opacity = float(rng.uniform(0.3, 0.48)) if clear else float(rng.uniform(0.88, 1.0))
    _mask_straps(canvas, middle, size, rng)
    hose = smooth(
        path(middle + xy(0, 0.06), middle + xy(0, 0.25 * size), *_away(middle, size, rng)), 10
    )
    body = canvas.fill(shell)

    def paint(region: Region) -> Plane:
        return _dome(region, canvas, middle, colour, size)

    canvas.paint(body, paint, opacity=opacity, shadow=0.05)
    rim = canvas.fill(shell, (shell - middle) * 0.86 + middle)
    soft = hsv(float(rng.random()), 0.1, 0.95) if rng.random() < 0.5 else colour

    def edge(region: Region) -> Plane:
        return plastic(region, canvas.light, soft, 0.03, 0.5)

    canvas.paint(rim, edge, opacity=max(opacity, 0.7))
    hose_colour = (0.82, 0.87, 0.88) if rng.random() < 0.6 else colour
    tube(canvas, hose, float(rng.uniform(0.035, 0.06)), hose_colour, ribs=rng.random() < 0.5)
    port = ring(middle + xy(0, 0.06), (0.085 * size, 0.085 * size))
    canvas.paint(canvas.fill(port), edge, shadow=0.02)


def _away(middle: Local, size: float, rng: Rng) -> tuple[Local, Local, Local]:
    """Where the hose goes: down, and off to a side."""
    out = float(rng.choice([-1, 1])) * float(rng.uniform(0.2, 0.9))
    first = middle + xy(0.3 * out, 0.5 * size + 0.1)
    second = middle + xy(1.3 * out, 0.75 * size + float(rng.uniform(0.1, 0.4)))
    return first, second, second + xy(out, float(rng.uniform(-0.2, 1.2)))


def _shell(middle: Local, size: float, *, round_one: bool) -> Local:
    """The outline of a mask: a circle, or a drop that is narrow at the bridge of the nose."""
    if round_one:
        return ring(middle, (0.38 * size, 0.38 * size))
    half = [(0.0, -0.42), (0.1, -0.38), (0.19, -0.15), (0.31, 0.08), (0.33, 0.24), (0.22, 0.36)]
    right = np.array([*half, (0.0, 0.39)])
    left = right[1:-1][::-1] * [-1, 1]
    return smooth(np.concatenate([right, left]) * size, 8, closed=True) + middle


def _dome(region: Region, canvas: Canvas, middle: Local, colour: Colour, size: float) -> Plane:
    """The shell: high over the nose, glossy, darker towards its sides."""
    reach = 0.42 * size
    away = np.hypot(region.x - middle[0], region.y - middle[1]) / np.float32(reach)
    height = np.float32(0.55 * reach) * (1 - np.clip(away, 0, 1.4) ** 2) + rounded(region, 0.05)
    height = np.asarray(height, np.float32)
    lit = np.clip(relief(region, height, canvas.light, 0.6), 0.3, 1.1)
    spot = shine(region, height, canvas.light, 60) + 0.3 * shine(region, height, canvas.light, 8)
    tone = np.array(colour, np.float32)
    return np.asarray(tone * lit[..., None] + 0.5 * spot[..., None], np.float32)


def _mask_straps(canvas: Canvas, middle: Local, size: float, rng: Rng) -> None:
    material = cloth(rng, ("rib", "jersey"), {"plain": 1.0}, soft=rng.random() < 0.8)
    width = float(rng.uniform(0.035, 0.08))
    pairs = ((0.0,), (-0.12, 0.14))[int(rng.integers(2))]
    head = canvas.frame.head
    for off in pairs:
        for side, out in enumerate((-1, 1)):
            ear = canvas.frame.pair("ear")[side]
            start = middle + xy(out * 0.24 * size, 0.1 * size + off)
            far = np.array([head.cx + out * head.rx * 1.03, ear[1] + 1.2 * off])
            strap(canvas, path(start, between(start, far, 0.5) + xy(0, 0.04), far), width, material)


def pacifier(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A pacifier: shield with holes, and a knob or a ring; ``amount`` is the shield's size."""
    middle = canvas.frame.parts["mouth"] + rng.normal(0, 0.02, 2) + xy(0.0, 0.01)
    wide = 0.17 + 0.27 * amount
    tall = wide * float(rng.uniform(0.62, 0.95))
    tilt = float(rng.normal(0, 0.15))
    colour, second = dye(rng), dye(rng)
    shape = ring((0.0, 0.0), (wide, tall), power=float(rng.uniform(1.9, 2.8)))
    if rng.random() < 0.55:  # a butterfly: room for the nose
        pinch = np.exp(-((shape[:, 0] / (0.42 * wide)) ** 2))
        shape[:, 1] *= 1 - float(rng.uniform(0.15, 0.38)) * pinch
    holes = [ring((out * 0.62 * wide, 0.0), (0.1 * wide, 0.2 * tall), power=2.2) for out in (-1, 1)]
    place = [turned(outline, tilt) + middle for outline in (shape, *holes)]

    def paint(region: Region) -> Plane:
        return plastic(region, canvas.light, colour, 0.05, 0.45)

    canvas.paint(canvas.fill(*place), paint, shadow=0.035)
    knob = float(rng.uniform(0.32, 0.45)) * tall + 0.02

    def button(region: Region) -> Plane:
        return plastic(region, canvas.light, second, 0.6 * knob, 0.5)

    canvas.paint(canvas.fill(ring(middle, (1.15 * knob, knob), tilt=tilt)), button, shadow=0.04)
    if rng.random() < 0.6:
        drop = float(rng.uniform(0.08, 0.16))
        loop = ring(middle + xy(float(rng.normal(0, 0.02)), drop), (0.75 * drop + 0.03, drop))
        tube(canvas, np.concatenate([loop, loop[:2]]), float(rng.uniform(0.018, 0.03)), second)


def eye_shields(canvas: Canvas, amount: float, rng: Rng) -> None:
    """Eye protection against the lamps that treat jaundice: two pads, or one band."""
    right, left = canvas.frame.pair("eye")
    across = left - right
    tilt = float(np.arctan2(across[1], across[0])) + float(rng.normal(0, 0.06))
    middle = (right + left) / 2 + xy(0.0, float(rng.normal(0, 0.02)))
    band = cloth(rng, ("jersey", "fleece", "rib"), {"plain": 1.0}, soft=rng.random() < 0.75)
    pads = cloth(
        rng,
        ("fleece", "jersey"),
        {"plain": 5.0, "dots": 1.0, "motifs": 1.0, "stars": 1.0},
        soft=rng.random() < 0.6,
    )
    head = canvas.frame.head
    width = 0.07 + 0.1 * amount
    whole = rng.random() < 0.4
    if whole:
        width = 0.2 + 0.42 * amount
    ends = [
        middle + turned(np.array([[x - middle[0], 0.0]]), tilt)[0] + xy(0, -0.05 * abs(k))
        for k, x in ((-1, head.cx - 1.03 * head.rx), (0, middle[0]), (1, head.cx + 1.03 * head.rx))
    ]
    strap(canvas, path(*ends), width, band)
    if whole and rng.random() < 0.5:
        _sunglasses(canvas, (right, left), tilt, width, rng)
    if not whole:
        _pads(canvas, (right, left), tilt, amount, pads, rng)


def _pads(
    canvas: Canvas, eyes: tuple[Local, Local], tilt: float, amount: float, material: Cloth, rng: Rng
) -> None:
    """An oval or six-sided pad on each eye."""
    gap = float(np.hypot(*(eyes[1] - eyes[0])))
    wide = min(0.15 + 0.1 * amount, 0.52 * gap)
    tall = 0.1 + 0.15 * amount
    power, lift = float(rng.uniform(2.0, 3.5)), 0.02 + 0.05 * amount
    soft = folds(rng, 0.0, 0.012, 0.15)
    bridge = ribbon(path(*eyes) - [0.0, lift], 0.3 * tall)
    outlines = [bridge] + [
        ring(eye - [0.0, lift], (wide, tall), power=power, tilt=tilt, rng=rng, wobble=0.02)
        for eye in eyes
    ]

    def paint(region: Region) -> Plane:
        return draped(region, canvas.light, material, soft, 0.05)

    for outline in outlines:
        canvas.paint(canvas.fill(outline), paint, shadow=0.03)


def _sunglasses(
    canvas: Canvas, eyes: tuple[Local, Local], tilt: float, width: float, rng: Rng
) -> None:
    """The sunglasses that some makers print on the band."""
    dark = np.array(hsv(float(rng.random()), 0.6, 0.3), np.float32)
    radii = (0.36 * width + 0.05, 0.36 * width)
    for eye in eyes:
        lens = canvas.fill(ring(eye, radii, power=2.6, tilt=tilt))
        canvas.paint(lens, dark)
        glint = canvas.fill(ring(eye - [0.3 * radii[0], 0.35 * radii[1]], (0.04, 0.015), tilt=-0.6))
        canvas.paint(glint, (0.95, 0.95, 0.95), opacity=0.8)
