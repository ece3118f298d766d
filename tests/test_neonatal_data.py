"""Annotated pictures -> what the neonatal detector learns from."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import wider_folder

from pipeline import images
from pipeline.boxes import as_boxes
from pipeline.dataset import open_dataset
from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.neonatal.anchors import Anchors, assign, joined
from pipeline.neonatal.data import Example, Samples, batched, drawn, examples, placed
from pipeline.neonatal.learning import Learning
from pipeline.prepare import Prepare

NONE = as_boxes([])


def red(picture):
    """The box of what is red, edges in pixels."""
    mask = (picture[..., 0] > 200) & (picture[..., 1] < 60)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def scene(width=240, height=160, face=(100, 60, 140, 110)):
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[face[1] : face[3], face[0] : face[2]] = (255, 0, 0)
    return picture, as_boxes([face])


@pytest.fixture
def written(tmp_path):
    picture, face = scene()
    images.write(tmp_path / "scene.png", picture)
    return Example(tmp_path / "scene.png", face, NONE)


def test_without_zoom_a_picture_lies_as_in_detection():
    picture, face = scene()
    box = Letterbox(240, 160, 128, 128)
    out, faces, _ = placed(picture, face, NONE, 128, (1, 1), np.random.default_rng(0))

    assert np.array_equal(out, box.picture(picture))
    assert np.array_equal(faces, box.apply(face))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.3, 3.0))
def test_a_box_stays_on_its_face_however_it_is_zoomed(seed, factor):
    """Smaller, larger, cut: what is still a face is where the red is; else it is ignored."""
    picture, face = scene()
    out, faces, ignored = placed(
        picture, face, NONE, 192, (factor, factor), np.random.default_rng(seed)
    )

    assert out.shape == (192, 192, 3)
    assert len(faces) + len(ignored) <= 1
    if len(faces):
        assert np.abs(faces[0] - red(out)).max() <= 2.5
    elif len(ignored):
        assert (ignored[0, 2:] > ignored[0, :2]).all()
    else:
        assert not ((out[..., 0] > 200) & (out[..., 1] < 60)).any()


def test_a_mirrored_picture_has_mirrored_boxes(tmp_path):
    """About half of all draws are; whatever their colours, the face is where its box is."""
    picture, face = scene(face=(20, 60, 60, 110))
    images.write(tmp_path / "scene.png", picture)
    samples = Samples([Example(tmp_path / "scene.png", face, NONE)] * 40, 128, Learning(), 0)
    left = []
    for number in range(40):
        one = samples[number]
        x1, y1, x2, y2 = one.faces[0].round().int().tolist()
        face = one.picture[:, y1 + 3 : y2 - 3, x1 + 3 : x2 - 3].float().mean(dim=(1, 2))
        opposite = one.picture[:, y1 + 3 : y2 - 3, 131 - x2 : 125 - x1].float().mean(dim=(1, 2))
        assert (face - opposite).abs().max() > 40
        left.append(x1 < 64)
    assert 8 < sum(left) < 32


def test_what_is_drawn_follows_from_seed_epoch_and_number_alone(written):
    learning = Learning(zoom=(0.5, 2.0), seed=3)
    one, two = (Samples([written] * 4, 128, learning, epoch=1) for _ in range(2))
    first = [one[number] for number in range(4)]
    again = [two[number] for number in (3, 2, 1, 0)][::-1]

    assert all((a.picture == b.picture).all() for a, b in zip(first, again, strict=True))
    other = Samples([written] * 4, 128, learning, epoch=2)[0]
    assert (other.picture != first[0].picture).any()


def test_drawing_leaves_torchs_own_chance_alone(written):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Samples([written], 128, Learning(), 0)[0]

    assert torch.equal(torch.rand(3), expected)


def test_small_faces_count_for_nothing(tmp_path, written):
    """Under 8 pixels of the letterboxed picture: neither a face nor a place without one."""
    tiny = Example(written.path, as_boxes([[100, 60, 140, 110], [10, 10, 20, 20]]), NONE)
    one = Samples([tiny], 128, Learning(), 0)[0]

    assert len(one.faces) == 1
    assert len(one.ignored) == 1


def test_an_epoch_has_all_pictures_or_so_many_of_each_set(written):
    few, many = [written] * 3, [written] * 50
    assert len(drawn([few, many], Learning(), 0)) == 53
    assert len(drawn([few, many], Learning(pictures=10), 0)) == 13
    numbered = [Example(written.path, NONE, NONE) for _ in range(50)]
    first, second = (drawn([numbered], Learning(pictures=10), epoch) for epoch in (0, 1))
    assert {id(one) for one in first} != {id(one) for one in second}


def test_examples_have_ignored_faces_and_windows_without_one(home, tmp_path):
    source = wider_folder(tmp_path / "wider", train=6, val=2)
    truth = source / "wider_face_split" / "wider_face_train_bbx_gt.txt"
    lines = truth.read_text().splitlines()
    lines[1:2] = ["2", "5 5 30 30 0 0 0 1 0 0"]  # invalid: WIDER's sixth attribute
    truth.write_text("\n".join(lines) + "\n")
    Prepare((f"wider={source}",), "w", classes="face", empty=1, workers=1).run()
    found = examples(open_dataset("w"))

    assert sum(len(one.ignored) for one in found) == 1
    assert any(not len(one.faces) for one in found)
    assert any(len(one.faces) for one in found)


def test_a_batch_keeps_faces_apart(written):
    samples = Samples([written, Example(written.path, NONE, NONE)], 128, Learning(), 0)
    anchors = joined(Anchors().levels(128, 128, torch.device("cpu")))
    pictures, truth = batched(anchors, [samples[0], samples[1]])
    alone = assign(anchors, samples[0].faces, samples[0].ignored)

    assert pictures.shape == (2, 3, 128, 128)
    assert torch.equal(truth.labels[0], alone.labels.to(torch.int8))
    assert not truth.labels[1].any()
    assert len(truth.boxes) == (truth.labels == 1).sum() > 0
    assert (truth.boxes == samples[0].faces).all()


def test_the_rate_rises_and_falls_as_in_the_paper():
    learning = Learning()
    rates = [learning.rate(epoch / 20) for epoch in range(20)]

    assert rates[0] == pytest.approx(1e-3)
    assert rates[5] == pytest.approx(1e-2)
    assert rates[9] == pytest.approx(1e-2)
    assert rates[10] == pytest.approx(1e-3)
    assert rates[15] == pytest.approx(1e-4)
    assert rates[:6] == sorted(rates[:6])


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        ("epochs", 0, "--epochs 0: expected 1 or more"),
        ("batch", 0, "--batch 0"),
        ("pictures", -(10**6), "--pictures -1000000: expected 0 or more"),
        ("lr", 0.0, "--lr 0.0"),
        ("lr", math.inf, "--lr inf: expected a number above 0"),
        ("lr", math.nan, "--lr nan"),
        ("momentum", 1, "--momentum 1: expected 0 or more, under 1"),
        ("decay", math.nan, "--decay nan"),
        ("zoom", (2.0, 0.5), "--zoom 2.0 0.5"),
        ("zoom", (0.5, 20.0), "up to 10"),
        ("least", math.nan, "--least nan"),
        ("seed", 2**70, "under 2"),
        ("warmup", 2, "--warmup 2: expected a number between 0 and 1"),
        ("drops", (0.8, 0.2), "--drops 0.8 0.2: expected shares"),
        ("drops", (2.0,), "--drops 2.0: expected shares"),
    ],
)
def test_what_trains_nothing_is_refused_by_its_name(option, given, words):
    with pytest.raises(UserError, match=words):
        Learning(**{option: given})
