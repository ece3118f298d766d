"""The network of the neonatal detector, its anchors and its losses."""

import dataclasses
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou, distance_box_iou_loss

from pipeline.errors import UserError
from pipeline.neonatal.anchors import Anchors, Truth, assign, joined
from pipeline.neonatal.architecture import ANCHORS, STRIDES, Architecture
from pipeline.neonatal.blocks import flat, head
from pipeline.neonatal.cells import asked, cells_where, overlap
from pipeline.neonatal.decode import LIKELY, answers
from pipeline.neonatal.loss import CODER, counted, dynamic, focal, losses, quality_of
from pipeline.neonatal.network import Network
from pipeline.neonatal.second import Second, masks_of

CPU = torch.device("cpu")
SMALL = Architecture("mobilenet_v3", channels=16)


def network(**settings):
    torch.manual_seed(0)
    return Network(dataclasses.replace(SMALL, **settings))


def boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def test_there_are_as_many_anchors_as_in_the_paper():
    """102,300 at 640x640, 98.5 % of them on the three finest levels; square, centred on cells."""
    levels = Anchors().levels(640, 640, CPU)
    counts = [len(each) for each in levels]

    assert sum(counts) == 102_300
    assert sum(counts[:3]) / sum(counts) == pytest.approx(0.985, abs=0.001)
    sides = [each[:3, 2] - each[:3, 0] for each in levels]
    for level, own in enumerate(sides):
        expected = [16 * 2**level * 2 ** (k / 3) for k in range(3)]
        assert own.tolist() == pytest.approx(expected, abs=1.01)
    for each, stride in zip(levels, STRIDES, strict=True):
        assert torch.allclose((each[:, :2] + each[:, 2:])[0] / 2, torch.tensor(stride / 2))
        assert torch.equal(each[:, 2] - each[:, 0], each[:, 3] - each[:, 1])


def test_what_the_network_says_is_in_the_order_of_the_anchors():
    """Each level flattens to as many numbers as it has anchors, cell by cell, anchor by anchor."""
    found = network()(torch.zeros(2, 3, 128, 192))
    anchors = Anchors().levels(128, 192, CPU)
    for level, own in zip(found, anchors, strict=True):
        assert level.scores.shape == (2, len(own))
        assert flat(level.deltas, 4).shape == (2, len(own), 4)
    values = torch.arange(2 * ANCHORS * 4 * 3 * 5.0).reshape(2, ANCHORS * 4, 3, 5)
    one = flat(values, 4)
    assert torch.equal(one[1, (1 * 5 + 2) * ANCHORS + 2], values[1, 8:12, 1, 2])


def test_faces_get_the_anchors_that_torchvisions_matcher_gives_them():
    torch.manual_seed(0)
    anchors = joined(Anchors().levels(256, 256, CPU))
    corner = torch.rand(7, 2) * 200
    faces = torch.cat([corner, corner + 6 + torch.rand(7, 2) * 90], dim=1)
    found = assign(anchors, faces, boxes())
    overlap = box_iou(faces, anchors)

    expected = Matcher(0.45, 0.3, allow_low_quality_matches=True)(overlap)
    assert torch.equal(found.labels == 1, expected >= 0)
    assert torch.equal(found.labels == -1, expected == -2)
    assert torch.equal(found.boxes[expected >= 0], faces[expected[expected >= 0]])
    assert set(expected[expected >= 0].tolist()) == set(range(7))  # each face has an anchor


@pytest.mark.parametrize("box", [[60, 60, 63, 64], [40, 40, 47.9, 47.9], [0, 0, 128, 90]])
def test_what_counts_for_nothing_is_nobodys_anchor_either(box):
    """Faces too small for any anchor, and large regions: what lies there is no negative."""
    anchors = joined(Anchors().levels(128, 128, CPU))
    found = assign(anchors, boxes(), boxes(box))
    ignored = anchors[found.labels == -1]
    centres = (ignored[:, :2] + ignored[:, 2:]) / 2
    x1, y1, x2, y2 = box

    assert not (found.labels == 1).any()
    assert len(ignored) >= 9
    low, high = torch.tensor([x1 - 16, y1 - 16]), torch.tensor([x2 + 16, y2 + 16])
    assert ((centres > low) & (centres < high)).all()
    small = (anchors[:, 2] - anchors[:, 0]) < 20
    middle = (anchors[:, :2] + anchors[:, 2:]) / 2 - torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2])
    assert (found.labels[small & (middle.abs().amax(dim=1) < 4)] == -1).all()


def test_no_more_anchors_go_into_nms_than_it_can_bear():
    """Of each picture the surest: a network that has learned nothing is sure of nothing."""
    levels, anchors = said(network(hcc=False))
    few = answers(levels, anchors, 1.0, 0.0, iou=1.0, most=10**6, into_nms=50)
    every = answers(levels, anchors, 1.0, 0.0, iou=1.0, most=10**6, into_nms=10**6)

    assert len(every.scores) > 1000
    for number in (0, 1):
        kept = few.scores[few.picture == number]
        assert len(kept) == 50
        assert torch.equal(kept, every.scores[every.picture == number][:50])


@pytest.mark.parametrize("face", [[60, 60, 60, 80], [500, 500, 540, 540]])
def test_a_face_without_area_or_out_of_sight_has_no_anchor(face):
    anchors = joined(Anchors().levels(128, 128, CPU))
    assert not assign(anchors, boxes(face), boxes()).labels.any()
    beside = assign(anchors, boxes(face, [20, 20, 60, 60]), boxes())
    assert torch.equal(beside.labels, assign(anchors, boxes([20, 20, 60, 60]), boxes()).labels)
    assert (beside.boxes[beside.labels == 1] == torch.tensor([20.0, 20, 60, 60])).all()


def test_a_face_of_one_pixel_has_an_anchor_and_a_picture_without_faces_has_none():
    anchors = joined(Anchors().levels(128, 128, CPU))
    tiny = assign(anchors, boxes([60, 60, 61, 61]), boxes())
    assert 1 <= (tiny.labels == 1).sum() < 20
    none = assign(anchors, boxes(), boxes())
    assert (none.labels == 0).all()


def test_what_lies_on_an_ignored_box_is_no_negative():
    """WIDER's invalid faces; but a true face beside one keeps its anchors."""
    anchors = joined(Anchors().levels(128, 128, CPU))
    ignored = boxes([20, 20, 52, 52])
    found = assign(anchors, boxes([80, 80, 112, 112]), ignored)
    near = box_iou(anchors, ignored)[:, 0]

    assert (found.labels[near >= 0.3] == -1).all()
    assert (found.labels[near == 0] >= 0).any()
    assert (found.labels == 1).any()


def test_focal_loss_of_a_case_by_hand():
    """Alpha a quarter, gamma two; what is ignored counts nothing; over the positives."""
    logits, labels = torch.tensor([2.0, -1.0, 9.0]), torch.tensor([1.0, 0.0, -1.0])
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    expected = -0.25 * (1 - p) ** 2 * math.log(p) - 0.75 * q**2 * math.log(1 - q)

    assert focal(logits, labels, labels).item() == pytest.approx(expected, rel=1e-5)
    assert focal(logits, torch.tensor([-1.0, -1.0, -1.0]), labels).item() == 0
    three = torch.ones(3)  # of all positives of these levels, though only one is left
    assert focal(logits, labels, three).item() == pytest.approx(expected / 3, rel=1e-5)


def test_the_distance_iou_is_torchvisions():
    torch.manual_seed(0)
    low = torch.rand(50, 2) * 20
    one = torch.cat([low, low + 1 + torch.rand(50, 2) * 30], dim=1)
    other = one + torch.randn(50, 4).clamp(-0.4, 0.4) * 6
    other = torch.cat([other[:, :2], torch.maximum(other[:, 2:], other[:, :2] + 1)], dim=1)
    expected = 1 - distance_box_iou_loss(one, other)

    assert torch.allclose(quality_of(one, other, "diou"), expected.clamp(0, 1), atol=1e-5)
    assert torch.allclose(quality_of(one, other, "iou"), box_iou(one, other).diag(), atol=1e-5)
    assert torch.allclose(quality_of(one, one, "diou"), torch.ones(50), atol=1e-5)
    # By hand: IoU 50 / 150, centres 5 apart, a hull of 15 by 10.
    case = quality_of(boxes([0, 0, 10, 10]), boxes([5, 0, 15, 10]), "diou")
    assert case.item() == pytest.approx(1 / 3 - 25 / 325, rel=1e-5)


def test_dynamic_labels_in_both_readings():
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0, -1.0, -1.0])
    kept = torch.tensor([True, True, False, False, True, False])

    assert dynamic(labels, kept, "kept").tolist() == [1, 0, -1, -1, -1, -1]
    assert dynamic(labels, kept, "dropped").tolist() == [-1, -1, 1, 0, -1, -1]
    assert counted(labels).tolist() == [2, 2]
    assert counted(torch.zeros(4)).tolist() == [0, 4]


@pytest.mark.parametrize(("labels", "share"), [("kept", 0.1), ("dropped", 0.01)])
def test_the_second_step_begins_with_how_rare_faces_are_among_what_it_learns_from(labels, share):
    second = network(labels=labels).second["2"]
    assert isinstance(second, Second)
    said = second.classified(torch.zeros(1, 16, 4, 4))

    assert said.sigmoid().mean().item() == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("reach", [(3,), (5,), (3, 5), (5, 3), (7, 1), (1,)])
def test_masks_of_a_hand_made_grid(reach):
    """Two kept cells, one in a corner: their neighbourhoods, cut at the border."""
    kept = torch.zeros(2, 1, 6, 7)
    kept[0, 0, 0, 0] = kept[0, 0, 3, 4] = 1
    expected = torch.zeros(6, 7)
    for side in reach:
        own = torch.zeros(6, 7)
        for row, column in ((0, 0), (3, 4)):
            half = side // 2
            own[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1] = 1
        expected += own

    masks = masks_of(cells_where(kept), reach, kept)
    assert torch.equal(masks[0, 0], expected)
    assert not masks[1].any()


@pytest.fixture
def everywhere(monkeypatch):
    """Whether heads were asked everywhere, time after time: small ones, and the second step's."""
    found = {"cells": [], "second": []}

    def told(room, *given):
        found[room].append(overlap(*given))
        return found[room][-1]

    for room in found:
        monkeypatch.setattr(f"pipeline.neonatal.{room}.overlap", partial(told, room))
    return found


@pytest.mark.parametrize("labels", ["kept", "dropped"])
@pytest.mark.parametrize("reach", [(3,), (3, 5), (7, 1)])
@pytest.mark.parametrize("count", [0, 1, 3, 12, 120])
def test_the_second_step_at_single_cells_is_the_dense_one(count, reach, labels, everywhere):
    """Borders and corners included; where many are kept it is computed densely."""
    torch.manual_seed(count)
    second = Second(Architecture(channels=8, reach=reach, labels=labels))
    features, lateral = torch.randn(2, 2, 8, 33, 41)
    kept = torch.zeros(2, 33, 41, dtype=torch.bool)
    places = torch.randperm(kept.numel())[:count]
    kept.view(-1)[places] = True
    if count == 3:
        kept.zero_()
        kept[0, 0, 0] = kept[1, 32, 40] = kept[1, 14, 0] = True
    dense = second(features, lateral, kept).permute(0, 2, 3, 1)
    cells, logits = second.at(features, lateral, kept)

    near = masks_of(cells_where(kept), (max(reach),), features)[:, 0] > 0
    judged = near if labels == "dropped" else kept
    assert torch.equal(cells, judged.flatten().nonzero()[:, 0])
    assert torch.allclose(logits, dense[judged], atol=1e-5)
    behind = masks_of(cells_where(judged), (3,), features).sum()  # where hidden features are needed
    assert everywhere["second"] == ([9 * behind > 2 * kept.numel()] if count else [])
    assert count in {0, 12} or everywhere["second"] == [count == 120]


@pytest.mark.parametrize("count", [0, 1, 5, 60])
@pytest.mark.parametrize("side", [1, 3])
def test_a_head_at_single_cells_says_what_it_says_everywhere(side, count):
    torch.manual_seed(count)
    made = head(8, 3, side, -1.0)
    features = torch.randn(2, 8, 9, 11)
    where = torch.zeros(2, 9, 11, dtype=torch.bool)
    where.view(-1)[torch.randperm(where.numel())[:count]] = True
    where[:, 0, 0] = where[:, -1, -1] = count > 0
    said = asked(made, features, cells_where(where))

    assert torch.allclose(said, made(features).permute(0, 2, 3, 1)[where], atol=1e-5)


def test_context_reaches_as_far_as_the_neighbourhoods_and_no_farther():
    """What the backbone saw five cells away is let through; elsewhere it is not."""
    second = Second(Architecture(channels=4))
    kept = torch.zeros(1, 20, 20, dtype=torch.bool)
    kept[0, 10, 10] = True
    lateral = torch.randn(1, 4, 20, 20, requires_grad=True)
    logits = second(torch.zeros(1, 4, 20, 20), lateral, kept)
    logits[0, :, 10, 10].sum().backward()
    seen = lateral.grad.abs().sum(dim=(0, 1)) > 0

    assert seen[8:13, 8:13].all()
    seen[8:13, 8:13] = False
    assert not seen.any()


SETTINGS = {
    "baseline": {"hcc": False, "quality": "none"},
    "hcc": {"hcc": True, "quality": "none", "labels": "kept"},
    "dan": {"hcc": False, "quality": "diou"},
    "both": {"hcc": True, "quality": "diou", "labels": "kept"},
    "dropped": {"hcc": True, "quality": "diou", "labels": "dropped"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_gradient_flows_through_every_part_of_every_setting(name):
    """A face for every level, and a picture without one; no weight is left without a gradient."""
    # Early on the first step drops everything: let it keep some, if that is what is learned from.
    made = network(**SETTINGS[name], theta=0.9 if name == "dropped" else 0.995)
    levels = made(torch.randn(2, 3, 256, 256))
    anchors = joined(Anchors().levels(256, 256, CPU))
    faces = boxes(*([3, 3, 3 + side, 3 + side] for side in (20, 40, 80, 160, 252)))
    told = Truth.of([assign(anchors, each, boxes()) for each in (faces, boxes())])
    found = losses(levels, anchors, told, made.architecture)
    found.total.backward()

    assert torch.isfinite(found.total)
    silent = [
        name
        for name, weight in made.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    assert silent == []
    assert (found.second > 0) == SETTINGS[name]["hcc"]
    assert (found.quality > 0) == (SETTINGS[name]["quality"] != "none")


def test_pictures_without_any_face_teach_negatives_alone():
    made = network()
    anchors = joined(Anchors().levels(128, 128, CPU))
    none = Truth.of([assign(anchors, boxes(), boxes())])
    found = losses(made(torch.zeros(1, 3, 128, 128)), anchors, none, made.architecture)

    assert found.box == 0
    assert found.quality == 0
    assert torch.isfinite(found.total)


def test_boxes_are_coded_tenfold_and_sides_fivefold():
    anchor, face = boxes([0, 0, 20, 20]), boxes([3, 1, 43, 21])
    coded = CODER.encode_single(face, anchor)  # twice as wide; its centre 13 and 1 further

    assert coded[0].tolist() == pytest.approx([10 * 13 / 20, 10 * 1 / 20, 5 * math.log(2), 0])
    assert torch.allclose(CODER.decode_single(coded, anchor), face, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"steps": (1,)}, {"reach": (4,)}, {"theta": 1.0}, {"channels": 30}]
)
def test_what_makes_no_network_is_refused(wrong):
    with pytest.raises(UserError):
        Architecture(**wrong)


def said(made, seed=0, count=2, sides=(128, 128), share=1.0):
    """Levels of untrained networks, made less sure of nothing at a ``share`` of their anchors."""
    torch.manual_seed(seed)
    for each in [*made.quality, *(second.logits for second in made.second.values())]:
        nn.init.normal_(each.weight, std=0.2)
    with torch.no_grad():
        levels = made.eval()(torch.randn(count, 3, *sides))
    for level in levels:
        unsure = torch.randn_like(level.logits) * 2 - 3
        chosen = torch.rand_like(level.logits) < share
        level.logits.copy_(torch.where(chosen, unsure, -8.0))
    return levels, Anchors().levels(*sides, CPU)


def dense(levels, anchors, alpha, conf):
    """The same answers before NMS, worked out on every anchor: boxes, scores, pictures."""
    rows = []
    height, width = (4 * side for side in levels[0].logits.shape[2:])
    end = torch.tensor([width, height] * 2)
    for level, own in zip(levels, anchors, strict=True):
        scores = level.logits.sigmoid()
        if level.second is not None:
            kept = level.second.kept(level.logits)
            second = level.second(level.features, level.lateral, kept.any(dim=1)).sigmoid()
            near = functional.max_pool2d(kept.any(dim=1, keepdim=True).float(), 5, 1, 2) > 0
            if not level.second.calls_back:
                scores = torch.where(kept, second, 0)
            else:  # what was dropped near a kept cell is judged again
                scores = torch.where(kept, scores, torch.where(near, second, 0))
        likely = scores >= LIKELY
        if level.quality is not None:
            quality = level.quality(level.features).sigmoid()
            scores = scores**alpha * quality ** (1 - alpha)
        scores = torch.where(likely, scores, 0)
        scores, deltas = flat(scores, 1)[..., 0], flat(level.deltas, 4)
        for picture in range(len(scores)):
            boxes_ = CODER.decode_single(deltas[picture], own)
            rows += [
                (picture, score, box.clamp(min=0).minimum(end))
                for score, box in zip(scores[picture], boxes_, strict=True)
                if score >= conf
            ]
    return rows


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("share", [1.0, 0.002])
@torch.no_grad()
def test_what_survives_is_what_every_anchor_would_have_given(name, alpha, share, everywhere):
    """Decoded late, and of few, whether heads are asked everywhere or not; nothing else changes."""
    levels, anchors = said(network(**SETTINGS[name]), count=3, sides=(128, 192), share=share)
    conf = 0.01 if SETTINGS[name]["hcc"] else 0.3
    found = answers(levels, anchors, alpha, conf, iou=1.0, most=10**6, into_nms=10**6)
    expected = dense(levels, anchors, alpha, conf)

    assert len(found.boxes) == len(expected) > 0
    mine = sorted(zip(found.picture.tolist(), found.scores.tolist(), strict=True))
    theirs = sorted((picture, score.item()) for picture, score, _ in expected)
    assert [each[0] for each in mine] == [each[0] for each in theirs]
    assert [each[1] for each in mine] == pytest.approx([each[1] for each in theirs], rel=1e-4)
    best = max(expected, key=lambda each: each[1])
    place = found.scores.argmax()
    assert torch.allclose(found.boxes[place], best[2], atol=1e-3)
    for room, asks in (
        ("cells", alpha < 1 and SETTINGS[name]["quality"] != "none"),
        ("second", SETTINGS[name]["hcc"]),
    ):
        assert (share == 1) in everywhere[room] or not asks


@torch.no_grad()
def test_what_is_asked_for_more_is_what_of_more_is_worth_it():
    """A bar that moved with ``conf`` would let a threshold be chosen on faces nobody finds."""
    levels, anchors = said(network(labels="kept"))
    all_, few = (answers(levels, anchors, 0.3, conf, 1.0, 10**6, 10**6) for conf in (0.01, 0.3))
    kept = all_.scores >= 0.3

    assert 0 < kept.sum() < len(kept)
    assert torch.equal(few.scores, all_.scores[kept])
    assert torch.equal(few.boxes, all_.boxes[kept])


@pytest.mark.parametrize(
    ("above", "alpha", "found"), [(1.01, 0.3, 1), (0.99, 0.3, 0), (1.01, 1, 1), (0.99, 1, 0)]
)
@torch.no_grad()
def test_what_is_hardly_likely_is_no_face_however_good_its_box(above, alpha, found):
    levels, anchors = said(network(hcc=False), share=0.0)
    for level in levels:
        nn.init.constant_(level.quality.bias, 99)
    levels[1].logits[0, 2, 3, 4] = math.log(above * LIKELY / (1 - above * LIKELY))

    assert len(answers(levels, anchors, alpha, 0.01, 0.4).boxes) == found


def test_with_alpha_one_the_ranking_is_exactly_the_baselines():
    """A predicted quality changes nothing then: the same boxes, scores, order."""
    levels, anchors = said(network(hcc=False, quality="diou"))
    plain = [dataclasses.replace(level, quality=None) for level in levels]
    one, other = (
        answers(each, anchors, alpha, 0.2, 0.45) for each, alpha in ((levels, 1.0), (plain, 0.3))
    )

    assert torch.equal(one.boxes, other.boxes)
    assert torch.equal(one.scores, other.scores)
    assert torch.equal(one.picture, other.picture)
    ranked = answers(levels, anchors, 0.3, 0.2, 0.45)
    assert not torch.equal(ranked.scores[:5], one.scores[:5])


def test_no_anchor_kept_is_no_face():
    """Every level silent; a batch of one, and of several."""
    for count in (1, 3):
        levels, anchors = said(network(), count=count)
        for level in levels:
            level.logits.fill_(-20)
        found = answers(levels, anchors, 0.5, 0.05, 0.45)
        assert found.boxes.shape == (0, 4)
        assert found.scores.shape == found.picture.shape == (0,)


def test_each_picture_keeps_its_own_best():
    levels, anchors = said(network(hcc=False, quality="none"))
    every = answers(levels, anchors, 1.0, 0.05, 0.45)
    few = answers(levels, anchors, 1.0, 0.05, 0.45, most=3)
    for picture in (0, 1):
        own = every.scores[every.picture == picture][:3]
        assert torch.equal(few.scores[few.picture == picture], own)
