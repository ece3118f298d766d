"""Who goes into training, validation and test, so that nobody is in two of them.

The unit is the group: a subject, a patient, or one photograph. A source's own split is
kept where it has one; otherwise groups are drawn by ratio with a seed.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError

SPLITS = ("train", "val", "test")
UNLABELLED = "unlabelled"  # bare frames: to be detected on, never to be trained or scored on


@dataclass(frozen=True)
class Member:
    """What the split needs to know of one picture."""

    key: str
    group: str
    split: str | None  # the source's own


def parse_ratio(text: str) -> tuple[float, float, float]:
    """``8:1:1`` as shares of training, validation and test."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    good = len(parts) == len(SPLITS) and all(math.isfinite(p) and p >= 0 for p in parts)
    if not good or sum(parts) == 0:
        raise UserError(f"split {text!r}: expected auto, own, or a ratio such as 8:1:1")
    total = sum(parts)
    return parts[0] / total, parts[1] / total, parts[2] / total


def by_ratio(
    members: Sequence[Member], ratio: tuple[float, float, float], seed: int
) -> dict[str, str]:
    """Key -> split; every group in one split, each into the split that lacks most pictures.

    A split whose share is smaller than every group may stay empty.
    """
    sizes = Counter(member.group for member in members)
    order = sorted(sizes)
    np.random.default_rng(seed).shuffle(order)
    # Large groups first: they are the hardest to place. The shuffle decides among equals.
    order.sort(key=lambda group: -sizes[group])
    lacking = {name: share * len(members) for name, share in zip(SPLITS, ratio, strict=True)}
    lacking = {name: count for name, count in lacking.items() if count > 0}
    placed: dict[str, str] = {}
    for group in order:
        placed[group] = max(lacking, key=lambda name: lacking[name])
        lacking[placed[group]] -= sizes[group]
    return {member.key: placed[member.group] for member in members}


def drawn(
    members: Sequence[Member], ratio: tuple[float, float, float], seed: int, *, overrule: bool
) -> dict[str, str]:
    """Key -> split for sources without a split of their own.

    A picture that another source has a copy of, for testing say, brings that split along,
    and its whole group with it, unless the ratio is to overrule the sources.
    """
    brought: dict[str, str] = {}
    for member in [] if overrule else members:
        if member.split is not None:
            known = brought.get(member.group, member.split)
            brought[member.group] = max(known, member.split, key=SPLITS.index)
    free = [member for member in members if member.group not in brought]
    bound = {m.key: brought[m.group] for m in members if m.group in brought}
    return bound | by_ratio(free, ratio, seed)


def own(members: Sequence[Member], val_share: float, seed: int) -> dict[str, str]:
    """Key -> split as the sources say; pictures of which they say nothing are for training.

    Sources without a validation split lend this share of their training groups to one:
    thresholds and early stopping must not be read off the test set.
    """
    chosen = {member.key: member.split or "train" for member in members}
    if val_share > 0 and "val" not in chosen.values():
        training = [member for member in members if chosen[member.key] == "train"]
        chosen |= by_ratio(training, (1 - val_share, val_share, 0), seed)
    return chosen


def shared_groups(members: Sequence[Member], chosen: Mapping[str, str]) -> int:
    """How many groups lie in more than one split: only a source's own split can do that."""
    splits: dict[str, set[str]] = defaultdict(set)
    for member in members:
        splits[member.group].add(chosen[member.key])
    return sum(len(found) > 1 for found in splits.values())
