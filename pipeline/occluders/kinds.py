"""The kinds by name, and which of them go together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.occluders import devices, effects, fabrics, hands
from pipeline.occluders.canvas import Canvas
from pipeline.occluders.effects import Effect

Draw = Callable[[Canvas, float, np.random.Generator], None]


@dataclass(frozen=True)
class Kind:
    """Something that hides a face: an object that is drawn, or an effect on the picture."""

    name: str
    draw: Draw | None = None  # (sheet, amount 0 to 1, generator)
    effect: Effect | None = None
    reach: float = 3.4  # how far from the face it is drawn, in units


# In the order in which they lie on a face: what comes later lies on top.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tube", devices.feeding_tube, reach=2.6),
        Kind("pacifier", devices.pacifier, reach=1.6),
        Kind("prongs", devices.prongs, reach=3.4),
        Kind("mask", devices.mask, reach=2.6),
        Kind("phototherapy", devices.eye_shields, reach=1.6),
        Kind("hat", fabrics.hat, reach=2.2),
        Kind("blanket", fabrics.blanket),
        Kind("cloth", fabrics.sheet),
        Kind("hand", hands.hand, reach=5.0),
        Kind("glare", effects.glare, reach=3.4),
        *(Kind(name, effect=effect) for name, effect in effects.EFFECTS.items()),
    )
}

# No one wears both of these.
EXCLUSIVE = (
    frozenset({"pacifier", "mask"}),
    frozenset({"prongs", "mask"}),
    frozenset({"pacifier", "prongs"}),
    frozenset({"blanket", "cloth"}),
)
