"""How sure a share is: 95 % intervals by drawing the pictures anew, again and again.

Pictures of one subject, or versions of one photograph, are drawn together: they are not
independent of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]
DRAWS = 1000
FEWEST = 3  # groups: drawing fewer anew says nothing
_SEED = 0


@dataclass(frozen=True, eq=False)
class Groups:
    """Which pictures are drawn together."""

    places: NDArray[np.int64]  # (P,) the number of each picture's group
    count: int  # of all groups, also of those that none of these pictures is in

    def part(self, mask: NDArray[np.bool_]) -> "Groups":
        """Of some of the pictures; the groups are those of all, and are drawn among all."""
        return Groups(self.places[mask], self.count)


def grouped(names: Sequence[str]) -> Groups:
    """The groups of pictures by the name of the group of each."""
    _, places = np.unique(np.asarray(names, str), return_inverse=True)
    return Groups(places.astype(np.int64), int(places.max(initial=-1)) + 1)


def interval(parts: Counts, wholes: Counts, groups: Groups) -> tuple[float, float]:
    """Low and high of the share sum(parts) / sum(wholes), each (P,) a count of every picture.

    0 and 1 if there is nothing to share, or too few groups to draw from. Where all of it is a
    part, or none, drawing anew would claim to be certain: there the interval is that of as many
    coins (Clopper and Pearson's).
    """
    own, whole = (np.bincount(groups.places, each, groups.count) for each in (parts, wholes))
    there = np.count_nonzero(whole)
    if there < FEWEST:
        return 0.0, 1.0
    if not own.any() or np.array_equal(own, whole):
        edge = float(0.025 ** (1 / there))
        return (edge, 1.0) if own.any() else (0.0, 1 - edge)
    return _quantiles(own, whole, groups.count)


def difference(gained: Counts, groups: Groups) -> tuple[float, float]:
    """Low and high of a mean: 1 where one is right and another is not, -1 where that one is.

    -1 and 1 of too few groups; of nothing but zeros what as many coins would leave open.
    """
    own = np.bincount(groups.places, gained, groups.count)
    whole = np.bincount(groups.places, minlength=groups.count)
    there = np.count_nonzero(whole)
    if there < FEWEST:
        return -1.0, 1.0
    edge = float(0.025 ** (1 / there))
    for always, bounds in {0: (edge - 1, 1 - edge), 1: (edge, 1.0), -1: (-1.0, -edge)}.items():
        if np.all(np.asarray(gained) == always):
            return bounds
    return _quantiles(own, whole, groups.count)


def _quantiles(
    own: NDArray[np.number], whole: NDArray[np.number], count: int
) -> tuple[float, float]:
    weights = _drawn(count)
    drawn, sums = ((weights @ each.astype(np.float32)).astype(np.float64) for each in (own, whole))
    low, high = np.quantile(drawn[sums > 0] / sums[sums > 0], [0.025, 0.975])
    return float(low), float(high)


@lru_cache(maxsize=2)
def _drawn(count: int) -> NDArray[np.float32]:
    """How often each of so many groups is drawn (DRAWS, count): small whole numbers, exact."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float32)
