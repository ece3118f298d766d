"""What is known of pictures before anybody is asked, and what is held over from frame to frame."""

from dataclasses import replace

import pytest
from synthetic import wider_folder
from test_missed import FACE, FAR, answer, scene

from pipeline.dataset import open_dataset
from pipeline.predictions import held, scene_of
from pipeline.prepare import Prepare


def test_faces_to_ignore_are_known_and_no_truth(home):
    """WIDER marks some as invalid: neither a face to find nor a mistake to find it."""
    folder = wider_folder(home / "wider", train=2, val=1)
    path = folder / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    lines = path.read_text().splitlines()
    lines[1:3] = ["2", lines[2], "5 6 40 50 0 0 0 1 0 0"]
    path.write_text("\n".join(lines) + "\n")
    data = open_dataset(str(Prepare((f"wider={folder}",), "set", classes="face").run()))
    known = [scene_of(data, row, data.face) for row in data.rows("train")]
    (with_ignored,) = [each for each in known if len(each.ignored)]

    assert with_ignored.ignored.tolist() == [[5, 6, 45, 56]]
    assert [len(each.truth) for each in known] == [1, 1]


def frames(*said, group="film"):
    return [
        replace(scene(one, answer()), group=group, source=f"{group}{number}.png")
        for number, one in enumerate(said)
    ]


def test_a_box_is_held_for_so_many_frames():
    """It counts the less the older it is, and a new one takes its place."""
    film = frames(answer((FACE, 0.8)), answer((FAR, 0.1)), answer(), answer(), answer((FAR, 0.9)))
    kept = [each.answers["first (held)"] for each in held(film, "first", 0.5, 2)]

    assert [one.scores.tolist() for one in kept] == [
        pytest.approx([0.8]),
        pytest.approx([0.8 * 2 / 3]),
        pytest.approx([0.8 / 3]),
        [],
        pytest.approx([0.9]),
    ]
    assert kept[1].boxes.tolist() == FACE.tolist()
    assert kept[4].boxes.tolist() == FAR.tolist()


def test_versions_of_a_photograph_are_no_film():
    """What is seen in the clear one is not known of the hidden one."""
    versions = [replace(each, source="one.jpg") for each in frames(answer((FACE, 0.8)), answer())]

    assert not len(held(versions, "first", 0.5, 5)[1].answers["first (held)"].boxes)


def test_nothing_is_held_over_to_another_film():
    film = frames(answer((FACE, 0.8)), answer()) + frames(answer(), answer(), group="other")

    assert not len(held(film, "first", 0.5, 5)[2].answers["first (held)"].boxes)
