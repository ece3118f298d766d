"""How sure a share is: 95 % intervals by drawing the pictures anew, again and again.

Pictures of one subject, or versions of one photograph, are drawn together: they are not
independent of each other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
_SEED = 0


def interval(
    parts: NDArray[np.floating], wholes: NDArray[np.floating], groups: Sequence[str]
) -> tuple[float, float]:
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
    rng = np.random.default_rng(_SEED)
    weights = rng.multinomial(count, np.full(count, 1 / count), DRAWS)  # (DRAWS, G)
    sums = weights @ whole
    shares = (weights @ own)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
