"""The tables, on scenes small enough to count by hand."""

import numpy as np
import pytest
from test_missed import FACE, FAR, NONE, answer, scene

from pipeline.judged import judge
from pipeline.verdict import Judges, silence, slices, tables

# Ten missed faces: the second knows six of them, a third knows four others and one of these.
SECOND = [answer((FACE, 0.8))] * 6 + [answer()] * 4
THIRD = [answer()] * 5 + [answer((FACE, 0.7))] * 5


def of_three(second, third, truth=FACE, first=None, level="hard", **more):
    one = scene(first or answer(), second, truth, level)
    answers = one.answers | {"third": third}
    values = {name: getattr(one, name) for name in ("name", "split", "level", "truth", "best")}
    return type(one)(**values | {"answers": answers} | more)


SCENES = [of_three(two, three) for two, three in zip(SECOND, THIRD, strict=True)]
JUDGES = Judges(judge(SCENES), {"first": 0.5}, {"second": "first"}, 0.9)


def both(scenes):
    """Chosen and measured on the same."""
    judged = judge(scenes)
    return tables(Judges(judged, {"first": 0.5}, {"second": "first"}, 0.9), judged)


def rows(found, table, **asked):
    return [row for row in found[table] if all(row[key] == asked[key] for key in asked)]


def test_the_union_asks_who_adds_most_first():
    """Six by the second, then the four that are left by the third."""
    (union,) = rows(tables(JUDGES, judge(SCENES)), "unions", slice="all")

    assert union["answered by"] == "second > third"
    assert (union["missed"], union["answered"], union["right"]) == (10, 10, 10)


def test_who_is_not_precise_enough_is_in_no_union():
    wrong = [of_three(answer((FAR, 0.8)), three) for three in THIRD]
    (union,) = rows(
        tables(Judges(judge(wrong), {"first": 0.5}, {}, 0.9), judge(wrong)), "unions", slice="all"
    )

    assert union["answered by"] == "third"
    assert union["recovered"] == 0.5


def test_blank_heatmaps_count_against_who_sees_nothing_in_them():
    """The thesis's coverage leaves them out, recovered does not."""
    blank = frozenset({"second"})
    scenes = [of_three(answer((FACE, 0.8)), answer(), name=name) for name in "abc"]
    scenes += [of_three(answer(), answer(), blank=blank, name=name) for name in "de"]
    asked = {"slice": "all", "answered by": "second"}
    (row,) = rows(both(scenes), "missed", **asked)

    assert (row["missed"], row["blank heatmaps"], row["right"]) == (5, 2, 3)
    assert (row["recovered"], row["of the non-blank"]) == (0.6, 1.0)
    assert row["from"] < 0.6 < row["to"]


def test_alone_it_is_compared_at_the_same_precision():
    """The threshold of the first stage alone gives on validation what the pair gives there."""
    faces = [of_three(answer(), answer(), first=answer((FACE, 0.4)))] * 4
    errors = [of_three(answer(), answer(), truth=NONE, first=answer((FAR, 0.45)))]
    scenes = SCENES + faces + errors
    found = both(scenes)
    (row,) = rows(found, "pairs", slice="all", then="second")

    assert row["recall"] == pytest.approx(6 / 14, abs=1e-4)
    assert row["precision"] == 1
    assert row["first alone as precise"] == 0  # with its four faces comes the error


def test_a_pair_is_best_where_stage_1_is_not_sure_and_stage_2_is():
    """Stage 1 errs between .5 and .65, where stage 2 knows better; both err below .3."""
    sure = [of_three(answer(), answer(), first=answer((FACE, 0.9))) for _ in range(40)]
    unsure = [of_three(answer((FACE, 0.6)), answer(), first=answer((FAR, 0.62)))] * 20
    empty = [of_three(answer((FAR, 0.32)), answer(), truth=NONE, first=answer((FAR, 0.3)))] * 20
    scenes = sure + unsure + empty
    found = both(scenes)
    (row,) = rows(found, "together", slice="all", then="second")

    assert (row["threshold"], row["then's"]) == (0.65, 0.35)
    assert (row["recall"], row["precision"], row["false alarms"]) == (1, 1, 0)


def test_slices_are_levels_and_facts():
    scenes = [
        of_three(answer(), answer(), level="easy", facts={"occluders": "hat+tube"}),
        of_three(answer(), answer(), level="hard", facts={"occluders": "tube"}),
        of_three(answer(), answer(), level="hard"),
    ]
    found = {words: len(part.scenes) for words, part in slices(judge(scenes), ["occluders", "x"])}

    assert found == {"easy": 1, "hard": 2, "occluders=hat": 1, "occluders=tube": 2, "all": 3}


def test_faces_make_slices_of_their_own():
    """Of two faces in a picture one is blurred: the other is neither missed nor wrong to find."""
    two = of_three(
        answer(),
        answer(),
        truth=np.concatenate([FACE, FAR]),
        first=answer((FACE, 0.9), (FAR, 0.8)),
        of_faces=({"blur": "0"}, {"blur": "2"}),
    )
    one = of_three(answer(), answer(), of_faces=({"blur": "0"},))
    found = dict(slices(judge([two, one]), ["blur"]))

    assert {words: part.faces.sum() for words, part in found.items()} == {
        "hard": 3,
        "blur=0": 2,
        "blur=2": 1,
        "all": 3,
    }
    assert found["blur=2"].said["first"].right[0].tolist() == [True]
    assert found["blur=0"].said["first"].right[0].tolist() == [True]


def test_the_verdict_names_the_best_cheap_way():
    """Forty faces missed: the second finds all but two, a third half of them."""
    scenes = [
        of_three(
            answer((FACE, 0.8)) if number > 1 else answer(),
            answer((FACE, 0.7)) if number % 2 else answer(),
            group=str(number),
        )
        for number in range(40)
    ]
    (row,) = rows(both(scenes), "verdict", slice="all")

    assert (row["missed"], row["recovered"], row["best without one"]) == (40, 0.95, "third")
    assert (row["it recovers"], row["difference"], row["so it is"]) == (0.5, 0.45, "better")
    assert 0.2 < row["from"] < 0.45 < row["to"] < 0.7
    (row,) = rows(both(scenes[:2]), "verdict", slice="all")
    assert row["so it is"] == "too few to tell"


def test_who_is_compared_with_is_not_held_down():
    """Beside itself, a first stage is as good as it is: its lowest threshold is that low."""
    scenes = [of_three(answer(), answer(), first=answer((FACE, score))) for score in (0.9, 0.7)]
    wrong = of_three(answer(), answer(), truth=NONE, first=answer((FAR, 0.3)))
    faces = [*scenes, wrong]
    found = tables(
        Judges(judge(faces), {"first": 0.5}, {}, 0.9),
        judge([*faces, of_three(answer(), answer(), first=answer((FACE, 0.6)))]),
    )
    (row,) = rows(found, "pairs", slice="all", then="-")

    assert row["recall"] == row["first alone as precise"] == 1
    assert row["its threshold"] == 0.3


def test_the_first_alone_stands_beside_every_pair():
    """At the one threshold that validation likes best."""
    sure = [of_three(answer(), answer(), first=answer((FACE, 0.9)))] * 3
    (row,) = rows(both(sure), "together", slice="all", then="-")

    assert (row["recall"], row["precision"], row["then's"]) == (1, 1, "")


def test_how_often_nothing_is_found_and_how_long_it_takes():
    """Of four pictures the first is silent in three, the second then in one; its time adds up."""
    ms = {"first": 10.0, "second": 4.0}
    pictures = [
        of_three(answer(), answer(), first=answer((FACE, 0.9)), ms=ms),
        of_three(answer((FACE, 0.9)), answer(), ms=ms),
        of_three(answer((FACE, 0.9)), answer(), ms=ms),
        of_three(answer(), answer((FAR, 0.9)), ms=ms, level="easy"),
        of_three(answer((FAR, 0.9)), answer(), truth=NONE, level="no face"),
    ]
    judges = Judges(judge(SCENES), {"first": 0.5}, {"second": "first"}, 0.9)
    found = {
        row["detector"]: row
        for row in silence(judges, judge(pictures), [])["silent"]
        if row["slice"] == "all"
    }

    assert {name: row["pictures"] for name, row in found.items()} == dict.fromkeys(found, 4)
    assert found["first"]["without a face"] == 0.75
    assert found["first > second"]["without a face"] == 0.25
    assert found["third"]["without a face"] == 0.75
    assert found["first > second"]["ms a picture"] == 10 + 0.75 * 4
    assert (found["second"]["ms a picture"], found["third"]["ms a picture"]) == ("", "")


def test_a_pair_is_told_at_the_thresholds_of_its_weights():
    """As it is shipped, beside what validation would choose."""
    judges = Judges(judge(SCENES), {"first": 0.5}, {"second": "first"}, 0.9, {"second": (0.5, 0.9)})
    found = rows(tables(judges, judge(SCENES)), "together", slice="all", then="second")
    told = {row["chosen by"]: row for row in found}

    assert (told["its weights"]["threshold"], told["its weights"]["then's"]) == (0.5, 0.9)
    assert told["its weights"]["recall"] == 0
    assert told["validation"]["recall"] == 0.6
