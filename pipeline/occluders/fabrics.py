"""Hats, swaddling blankets and loose cloths."""

from dataclasses import replace

import numpy as np

from pipeline.occluders.canvas import Canvas, Plane, Region, relief
from pipeline.occluders.frame import Local, xy
from pipeline.occluders.shapes import normals, ring, smooth, turned, uneven
from pipeline.occluders.texture import Cloth, Folds, cloth, draped, dye, folds, noise

Rng = np.random.Generator

_HAT_WEAVES = ("knit", "knit", "rib", "jersey", "fleece")
_HAT_PATTERNS = {
    "plain": 4.0,
    "stripes": 2.0,
    "uneven stripes": 1.0,
    "hospital": 1.0,
    "dots": 0.6,
    "zigzag": 0.5,
    "motifs": 0.7,
    "stars": 0.7,
}


class _Dome:
    """The skull under a hat: local places <-> places on the cloth."""

    def __init__(self, canvas: Canvas, rng: Rng) -> None:
        head = canvas.frame.head
        self.centre = np.array([head.cx, head.cy])
        self.rx, self.ry = head.rx * rng.uniform(1.1, 1.2), head.ry * rng.uniform(1.08, 1.2)
        self.tilt = float(rng.normal(0, 0.1))
        self.drop = float(rng.uniform(0.02, 0.2))  # how much lower it sits at the ears
        self.lean = float(rng.normal(0, 0.05))

    def edge(self, low: float) -> Local:
        """The lower edge at this height of its middle, from the right to the left side."""
        side = self._at(low + self.drop)
        t = np.linspace(-1, 1, 33)
        # turned up again where the cloth goes round the head and out of sight
        y = low + self.drop * (t**2 - 0.75 * t**10) - self.centre[1] + self.lean * t
        return np.stack([t * side * self.rx, y], axis=1)

    def _at(self, y: float) -> float:
        """Half width at a height, as a share of the widest; it narrows less below the middle."""
        up = (y - self.centre[1]) / self.ry
        up = 0.75 * up if up > 0 else up
        return float(max(1 - abs(up) ** 2.3, 0.05) ** (1 / 2.3))

    def outline(self, low: float) -> Local:
        """The hat from its lower edge over the crown."""
        edge = self.edge(low)
        start = min((low + 0.2 * self.drop - self.centre[1]) / self.ry, 0.0)
        angle = np.linspace(0, np.pi, 40)
        x, y = np.cos(angle), -np.sin(angle)
        crown = np.stack([np.sign(x) * np.abs(x) ** (2 / 2.3), -(np.abs(y) ** (2 / 2.3))], axis=1)
        crown = crown[crown[:, 1] <= start] * [self.rx, self.ry]
        return self.place(np.concatenate([edge, crown]))

    def place(self, points: Local) -> Local:
        """From the hat's own axes to local coordinates."""
        return np.asarray(turned(points, self.tilt) + self.centre)

    def cloth_at(self, region: Region) -> tuple[Plane, Plane, Plane]:
        """On the cloth: u round the head, v upwards; and the height of the dome."""
        c, s = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        dx, dy = region.x - np.float32(self.centre[0]), region.y - np.float32(self.centre[1])
        x, y = c * dx + s * dy, c * dy - s * dx
        up = np.clip(np.where(y > 0, 0.75 * y, -y) / self.ry, 0, 0.985)
        wide = self.rx * (1 - up**2.3) ** (1 / 2.3)
        t = np.clip(x / wide, -0.985, 0.985)
        bulge = np.sqrt(1 - t**2) * wide - 0.25 * self.rx * t**8
        return np.asarray(np.arcsin(t) * self.rx), y, np.asarray(0.75 * bulge, np.float32)


def hat(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A cap on the skull; ``amount`` pulls it from the hairline down to the tip of the nose."""
    dome = _Dome(canvas, rng)
    material = cloth(rng, _HAT_WEAVES, _HAT_PATTERNS)
    creases = folds(rng, float(rng.uniform(0, np.pi)), float(rng.uniform(0.02, 0.05)), 0.3)
    brim = cloth(rng, ("rib", "knit"), {"plain": 1.0})
    cuff = float(rng.choice([0.0, 0.045, rng.uniform(0.1, 0.24)]))
    top = str(rng.choice(["none", "none", "pompom", "knot", "ears", "bow"]))
    brows = float(canvas.frame.parts["brows"][1])
    low = brows - 0.14 + amount * (0.14 - brows + 0.24)
    if top == "ears":
        _ears(canvas, dome, material, rng)
    if top == "knot":
        _knot(canvas, dome, material, creases, rng)

    def body(region: Region) -> Plane:
        return _on_dome(region, canvas, dome, material, creases)

    canvas.paint(canvas.fill(dome.outline(low)), body, shadow=0.03)
    if cuff:
        own = brim if rng.random() < 0.4 else material
        _cuff(canvas, dome, own, low, cuff)
    if top == "pompom":
        _pompom(canvas, dome.place(np.array([[0.0, -dome.ry * 1.03]]))[0], rng)
    if top == "bow":
        place = dome.place(dome.edge(low)[[int(rng.integers(8, 17))]] - [0, 0.08])[0]
        _bow(canvas, place, rng)


def _on_dome(region: Region, canvas: Canvas, dome: _Dome, material: Cloth, creases: Folds) -> Plane:
    u, v, bulge = dome.cloth_at(region)
    height = bulge + creases.height(region.x, region.y)
    lit = relief(region, np.asarray(height, np.float32), canvas.light, 0.62)
    return np.asarray(material.look(u, v, region.scale) * np.clip(lit, 0.3, 1.2)[..., None])


def _cuff(canvas: Canvas, dome: _Dome, material: Cloth, low: float, width: float) -> None:
    """The folded brim: thicker, a little wider than the cap, with a shadow line above."""
    lower, upper = dome.edge(low + 0.006), dome.edge(low - width)
    lower[:, 0] *= 1.02
    upper[:, 0] *= 1.025
    band = canvas.fill(dome.place(np.concatenate([lower, upper[::-1]])))

    def paint(region: Region) -> Plane:
        u, v, bulge = dome.cloth_at(region)
        inside = np.minimum(region.inside(), 0.04)
        lit = relief(region, np.asarray(bulge + 0.9 * inside, np.float32), canvas.light, 0.62)
        return np.asarray(material.look(u, v, region.scale) * lit[..., None])

    canvas.paint(band, paint, shadow=0.018)


def _pompom(canvas: Canvas, place: Local, rng: Rng) -> None:
    radius = float(rng.uniform(0.11, 0.18))
    ball = canvas.fill(ring(place, (radius, radius), rng=rng, wobble=0.05))
    colour = np.array(dye(rng), np.float32)
    fluff = cloth(rng, ("terry",), {"plain": 1.0})

    def paint(region: Region) -> Plane:
        d = np.clip(np.hypot(region.x - place[0], region.y - place[1]) / radius, 0, 1)
        bump = 0.05 * noise(fluff.rough, region.x / 0.02, region.y / 0.02)
        height = radius * np.sqrt(1 - 0.9 * d**2) + bump * radius
        lit = relief(region, np.asarray(height, np.float32), canvas.light)
        return np.asarray(colour * lit[..., None])

    canvas.paint(ball, paint, shadow=0.02)


def _ears(canvas: Canvas, dome: _Dome, material: Cloth, rng: Rng) -> None:
    radius = float(rng.uniform(0.13, 0.2))
    inner = np.array(dye(rng), np.float32)
    for side in (-1, 1):
        place = dome.place(np.array([[side * 0.66 * dome.rx, -0.82 * dome.ry]]))[0]
        ear = canvas.fill(ring(place, (radius, radius)))
        flat = folds(rng, 0, 0.01, 0.2)

        def paint(region: Region, creases: Folds = flat) -> Plane:
            return draped(region, canvas.light, material, creases, 0.05)

        canvas.paint(ear, paint)
        canvas.paint(canvas.fill(ring(place, (0.55 * radius, 0.55 * radius))), inner * 0.85)


def _knot(canvas: Canvas, dome: _Dome, material: Cloth, creases: Folds, rng: Rng) -> None:
    up = float(rng.uniform(0.12, 0.25))
    base = -0.95 * dome.ry
    bump = np.array(
        [
            *[(-0.1, base), (-0.07, base - 0.06), (-0.13, base - up), (0.0, base - up - 0.07)],
            *[(0.12, base - up), (0.07, base - 0.06), (0.1, base)],
        ]
    )
    shape = canvas.fill(dome.place(smooth(bump, closed=True)))

    def paint(region: Region) -> Plane:
        return draped(region, canvas.light, material, creases, 0.06)

    canvas.paint(shape, paint)


def _bow(canvas: Canvas, place: Local, rng: Rng) -> None:
    material, size = cloth(rng, ("jersey",)), float(rng.uniform(0.1, 0.17))
    creases = folds(rng, 0.0, 0.03, 0.1)

    def paint(region: Region) -> Plane:
        return draped(region, canvas.light, material, creases, 0.025)

    for side in (-1, 1):
        loop = np.array([(0, 0), (0.6, -0.5), (1.1, -0.45), (1.15, 0.4), (0.6, 0.45)]) * size
        canvas.paint(canvas.fill(smooth(loop * [side, 1] + place, closed=True)), paint, shadow=0.02)
    canvas.paint(canvas.fill(ring(place, (0.28 * size, 0.33 * size))), paint, shadow=0.01)


# --- blankets and cloths -----------------------------------------------------------------

_BLANKET_WEAVES = ("muslin", "fleece", "waffle", "jersey", "terry")
_BLANKET_PATTERNS = {
    "plain": 3.0,
    "hospital": 2.0,
    "stripes": 0.7,
    "uneven stripes": 0.8,
    "dots": 0.8,
    "checks": 0.7,
    "motifs": 1.0,
    "stars": 0.8,
    "zigzag": 0.4,
}


def blanket(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A swaddling blanket, drawn up from below or wrapped round the head like a hood."""
    (_hood if rng.random() < 0.4 else _drawn_up)(canvas, amount, rng)


# The lower outline of a swaddled body, from its left to its right side.
_BODY = ((1.8, 1.7), (1.65, 2.5), (1.1, 3.1), (0.0, 3.3), (-1.1, 3.1), (-1.65, 2.5), (-1.8, 1.7))


def _drawn_up(canvas: Canvas, amount: float, rng: Rng) -> None:
    """Layers of cloth across the body whose upper edge lies on the face."""
    material = cloth(rng, _BLANKET_WEAVES, _BLANKET_PATTERNS)
    chin = float(canvas.frame.parts["chin"][1])
    top = chin + 0.12 - amount * (chin + 0.12 + 0.36)
    tilt, sag = float(rng.normal(0, 0.2)), float(rng.uniform(-0.12, 0.3))
    x = np.linspace(-1.9, 1.9, 49)
    wide = float(rng.uniform(1.05, 1.5))  # beyond this the cloth falls away from the head
    fall = 0.9 * np.maximum(np.abs(x) - wide, 0) ** 1.3
    centre = canvas.frame.head.cx
    body = smooth(np.array(_BODY) + rng.normal(0, 0.08, (len(_BODY), 2)) + xy(centre, 0.0), 8)
    for step in range(int(rng.integers(1, 4))):
        y = top + 0.13 * step + tilt * x - sag * np.exp(-((x / 0.8) ** 2)) * -1 + fall
        y = y + uneven(rng, len(x), 0.02)
        edge = np.stack([x + centre, y], axis=1)
        outline = np.concatenate([edge, body])
        creases = folds(
            rng,
            tilt + float(rng.normal(0, 0.5)),
            float(rng.uniform(0.06, 0.13)),
            float(rng.uniform(0.2, 0.5)),
        )
        hem = float(rng.uniform(0.025, 0.06))

        def paint(region: Region, creases: Folds = creases, hem: float = hem) -> Plane:
            return draped(region, canvas.light, material, creases, hem, _skull(region, canvas))

        canvas.paint(canvas.fill(_fluted(outline, creases, 0.5)), paint, shadow=0.05)
        tilt = -0.7 * tilt + float(rng.normal(0, 0.15))


def _hood(canvas: Canvas, amount: float, rng: Rng) -> None:
    """Cloth all round the head; an uneven opening, the smaller the more it hides."""
    material = cloth(rng, _BLANKET_WEAVES, _BLANKET_PATTERNS)
    head = canvas.frame.head
    outer = ring((head.cx, head.cy + 0.1), (head.rx * 1.45, head.ry * 1.25), rng=rng, wobble=0.05)
    body = outer.copy()
    below = np.clip((body[:, 1] - head.cy) / 0.8, 0, 1)
    body[:, 1] += 2.2 * below**2  # it goes on over the body,
    body[:, 0] += 0.7 * below**2 * (body[:, 0] - head.cx)  # which is wider
    size = 1.12 - 0.85 * amount
    slip = rng.normal(0, 0.12, 2) * (1 + amount)
    middle = np.array([0.0, 0.03]) + slip
    hole = ring(
        middle, (0.58 * size, 0.66 * size), tilt=float(rng.normal(0, 0.3)), rng=rng, wobble=0.09
    )
    radial = folds(rng, 0.0, float(rng.uniform(0.05, 0.1)), float(rng.uniform(0.2, 0.4)))
    radial = replace(radial, centre=(float(middle[0]), float(middle[1])))
    hem = float(rng.uniform(0.03, 0.07))

    def around(region: Region) -> Plane:
        return draped(region, canvas.light, material, radial, hem, _skull(region, canvas))

    canvas.paint(canvas.fill(body, _fluted(hole, radial, 0.5)), around, shadow=0.06)
    _flap(canvas, material, float(hole[:, 1].max()), rng)


def _flap(canvas: Canvas, material: Cloth, chin: float, rng: Rng) -> None:
    """The corner of a blanket, tucked slantwise over the body just below the opening."""
    out = float(rng.choice([-1, 1]))
    lift = float(rng.uniform(0.0, 0.12))
    edge = np.array([(-2.0, 1.3), (-0.7, 0.45), (0.1, 0.08), (0.8, -0.05), (1.4, 0.1), (2.4, 0.8)])
    edge = smooth(edge * [out, 1.0], 10) + xy(0.0, chin + 0.02 - lift)
    outline = np.concatenate([edge, [(2.4 * out, 3.6), (-2.0 * out, 3.6)]])
    creases = folds(rng, -0.5 * out, float(rng.uniform(0.06, 0.12)), 0.35)
    hem = float(rng.uniform(0.03, 0.06))

    def paint(region: Region) -> Plane:
        return draped(region, canvas.light, material, creases, hem)

    canvas.paint(canvas.fill(_fluted(outline, creases, 0.4)), paint, shadow=0.05)


def _fluted(outline: Local, creases: Folds, share: float) -> Local:
    """An outline whose edge rises and falls with the folds that run into it."""
    at = outline.astype(np.float32)
    height = creases.height(at[:, :1].copy(), at[:, 1:].copy())
    return np.asarray(outline + normals(outline) * np.clip(share * height, -0.08, 0.08))


def _skull(region: Region, canvas: Canvas) -> Plane:
    """The head as it bulges under a cloth, with a little nose, in units."""
    head, nose = canvas.frame.head, canvas.frame.parts["nose"]
    a = ((region.x - head.cx) / (1.1 * head.rx)) ** 2 + (
        (region.y - head.cy) / (1.1 * head.ry)
    ) ** 2
    b = ((region.x - nose[0]) / 0.16) ** 2 + ((region.y - nose[1] + 0.05) / 0.24) ** 2
    return np.asarray(0.26 * np.exp(-1.5 * a) + 0.05 * np.exp(-b), np.float32)


_TOWEL_WEAVES = ("terry", "muslin", "waffle", "jersey")


def sheet(canvas: Canvas, amount: float, rng: Rng) -> None:
    """A burp cloth, towel or sheet: a loose quadrilateral that comes in from any side."""
    material = cloth(rng, _TOWEL_WEAVES)
    angle = float(rng.uniform(0, 2 * np.pi))  # the side it comes from
    from_side = np.array([np.cos(angle), np.sin(angle)])
    corner = rng.random() < 0.3  # a corner first, or an edge
    half, deep = float(rng.uniform(0.9, 1.6)), float(rng.uniform(1.3, 2.4))
    base = np.array([(-half, 0.0), (0.0, 0.0), (half, 0.0), (half, deep), (-half, deep)])
    if corner:
        base[[0, 2], 1] += float(rng.uniform(0.4, 0.8))
    base[:, :] += rng.normal(0, 0.08, base.shape)
    steps = np.linspace(0, 1, 14, endpoint=False)[:, None]
    sides = [a + (b - a) * steps for a, b in zip(base, np.roll(base, -1, axis=0), strict=True)]
    outline = np.concatenate(sides)
    bow, wave = rng.normal(0, 0.14), rng.normal(0, 0.05)
    outline[:, 1] += bow * (outline[:, 0] / half) ** 2 + wave * np.sin(5 * outline[:, 0])
    outline[:, 0] += 0.25 * rng.normal() * outline[:, 1] * (outline[:, 1] / deep)
    outline += np.stack([uneven(rng, len(outline), 0.035) for _ in range(2)], axis=1)
    outline = turned(smooth(outline, 3, closed=True), angle - np.pi / 2)
    tip = from_side * (0.75 - 1.35 * amount) + rng.normal(0, 0.1, 2)
    creases = folds(
        rng,
        angle + float(rng.choice([0.0, np.pi / 2])),
        float(rng.uniform(0.05, 0.12)),
        float(rng.uniform(0.2, 0.5)),
    )
    hem = float(rng.uniform(0.02, 0.045))

    def paint(region: Region) -> Plane:
        return draped(region, canvas.light, material, creases, hem, _skull(region, canvas))

    canvas.paint(canvas.fill(_fluted(outline + tip, creases, 0.8)), paint, shadow=0.05)
