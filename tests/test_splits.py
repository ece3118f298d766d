from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.splits import Member, by_ratio, drawn, own, parse_ratio, shared_groups

groups = st.lists(st.integers(0, 12), min_size=1, max_size=80)


def members(numbers, split=None):
    return [Member(f"p{i}", f"g{number}", split) for i, number in enumerate(numbers)]


@given(groups, st.integers(0, 5))
def test_nobody_is_in_two_splits(numbers, seed):
    """Every picture of a group lands in one split, every picture in some split."""
    people = members(numbers)
    chosen = by_ratio(people, (0.6, 0.1, 0.3), seed)

    assert chosen.keys() == {member.key for member in people}
    assert shared_groups(people, chosen) == 0


@pytest.mark.parametrize("ratio", ["8:1:1", "6:1:3", "1:0:1"])
def test_sizes_follow_the_ratio(ratio):
    """With groups of five, as NFD has them, each split is within a group of its share."""
    people = members([number // 5 for number in range(1000)])
    shares = parse_ratio(ratio)
    sizes = Counter(by_ratio(people, shares, 0).values())

    for name, share in zip(("train", "val", "test"), shares, strict=True):
        assert abs(sizes[name] - 1000 * share) <= 5


def test_the_seed_decides():
    """Same seed, same split; another seed, another split."""
    people = members(range(60))
    first = by_ratio(people, (0.8, 0.1, 0.1), 1)

    assert first == by_ratio(list(reversed(people)), (0.8, 0.1, 0.1), 1)
    assert first != by_ratio(people, (0.8, 0.1, 0.1), 2)


def test_a_sources_own_split_is_kept():
    """What the source calls test stays test; validation is lent by training, by groups."""
    people = [*members([n // 2 for n in range(40)], "train"), Member("t", "x", "test")]
    people += [Member("none", "y", None)]
    chosen = own(people, 0.2, 0)

    assert chosen["t"] == "test"
    assert Counter(chosen.values())["val"] in {8, 9}
    assert shared_groups(people, chosen) == 0
    assert set(own(people, 0, 0).values()) == {"train", "test"}


def test_an_existing_validation_split_is_not_enlarged():
    """A source with validation pictures lends none."""
    people = [Member("a", "a", "train"), Member("b", "b", "val")]

    assert own(people, 0.5, 0) == {"a": "train", "b": "val"}


@pytest.mark.parametrize(
    "text", ["8:1", "a:b:c", "0:0:0", "-1:1:1", "", "1:1:1:1", "nan:1:1", "inf:1:1"]
)
def test_a_ratio_that_is_none_is_refused(text):
    """With what was expected."""
    with pytest.raises(UserError, match="8:1:1"):
        parse_ratio(text)


def test_large_groups_go_where_most_is_lacking():
    """A subject with a third of all pictures is trained on, not tested on."""
    sizes = {"a": 100, "b": 90, "c": 80} | {f"s{n}": 1 for n in range(30)}
    people = [Member(f"{g}{n}", g, None) for g, count in sizes.items() for n in range(count)]
    filled = Counter(by_ratio(people, parse_ratio("8:1:1"), 0).values())

    assert filled == {"train": 270, "val": 15, "test": 15}


def test_a_copy_that_is_tested_on_elsewhere_stays_a_test_picture():
    """With its whole group; the other groups are drawn by ratio as if nothing had happened."""
    people = [Member("copy", "g1", "test"), Member("twin", "g1", None)]
    people += members(range(2, 42))
    chosen = drawn(people, (0.5, 0.25, 0.25), 0, overrule=False)

    assert (chosen["copy"], chosen["twin"]) == ("test", "test")
    assert Counter(chosen.values()) == {"train": 20, "val": 10, "test": 12}
    assert Counter(drawn(people, (1, 0, 0), 0, overrule=True).values()) == {"train": 42}
