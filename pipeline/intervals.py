"""How sure a share is: 95 % intervals by drawing the pictures anew, again and again.

Pictures of one subject, or versions of one photograph, are drawn together: they are not
independent of each other.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]
DRAWS = 1000
_SEED = 0


def interval(parts: Counts, wholes: Counts, groups: Sequence[str]) -> tuple[float, float]:
    """Low and high of the share sum(parts) / sum(wholes), each (P,) a count of every picture.

    0 and 1 if there is nothing to share. Where all of it is a part, or none, drawing anew would
    claim to be certain: there the interval is that of as many coins (Clopper and Pearson's).
    """
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    count = int(places.max(initial=-1)) + 1
    own, whole = (np.bincount(places, each, count) for each in (parts, wholes))
    if not whole.sum():
        return 0.0, 1.0
    if own.sum() in {0, whole.sum()}:
        edge = float(0.025 ** (1 / np.count_nonzero(whole)))
        return (edge, 1.0) if own.sum() else (0.0, 1 - edge)
    weights = _drawn(count)
    parts_drawn, sums = (
        (weights @ each.astype(np.float32)).astype(np.float64) for each in (own, whole)
    )
    shares = parts_drawn[sums > 0] / sums[sums > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _drawn(count: int) -> NDArray[np.float32]:
    """How often each of so many groups is drawn (DRAWS, count): small whole numbers, exact."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float32)
