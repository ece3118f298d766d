"""The neonatal detector at work: faces, heatmaps, runs; alone and beside the two stages."""

import base64
import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detect_runs import run_folder
from pairs import save_first, save_second
from synthetic import ibug_folder

import pipeline
from pipeline import boxes as box
from pipeline import cam, images, results, runs, samples
from pipeline.boxes import as_boxes
from pipeline.compare import Compare
from pipeline.detect import Detect
from pipeline.detections import (
    NOTHING_LIKE,
    OUTCOMES,
    SUSPECTED,
    Candidates,
    Detections,
    Hold,
)
from pipeline.errors import UserError
from pipeline.evaluate import Evaluate
from pipeline.inspect import detected, record
from pipeline.inspect.room import Room
from pipeline.inspect.truth import ByPlace
from pipeline.neonatal import files
from pipeline.neonatal.architecture import Architecture
from pipeline.neonatal.detector import NeonatalDetector
from pipeline.neonatal.network import Network
from pipeline.neonatal.trained import Trained
from pipeline.partners import merged
from pipeline.prepare import Prepare
from pipeline.stage1 import Stage1
from pipeline.video import Frame

SMALL = Architecture("mobilenet_v3", channels=16)


def network(seed=0, **settings):
    """One that has learned nothing, but is unsure of everything, so that anchors are kept.

    And whose second step has the last word on them: it is sure of some.
    """
    torch.manual_seed(seed)
    made = Network(replace(SMALL, **({"labels": "kept"} | settings))).eval()
    for head in [*made.first, *(each.logits for each in made.second.values())]:
        torch.nn.init.normal_(head.weight, std=0.5)
        torch.nn.init.constant_(head.bias, -2)
    return made


def save(path, threshold=0.3, **settings):
    files.publish(path, network(**settings), {"imgsz": 64, "alpha": 0.5, "threshold": threshold})
    return str(path)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, (window, _) in enumerate(samples.faces()):
        images.write(folder / f"{number}.jpg", window)
    images.write(folder / "wide.png", np.full((30, 200, 3), 90, np.uint8))
    return folder


@pytest.mark.parametrize("shape", [(30, 200, 3), (200, 30, 3)])
def test_a_box_that_lies_in_the_padding_alone_is_no_face(shape):
    stage = Stage1(Trained(network()), 64)
    looked = next(stage.look([stage.load(np.full(shape, 90, np.uint8))]))
    (every,) = stage.network.boxes(looked.levels, 0.2, 0.45)
    (found,) = stage.boxes(looked, 0.2)

    assert 0 < len(found.boxes) < len(every.boxes)
    assert len(found.boxes) == len(found.scores) == len(found.classes)
    assert (box.area(found.boxes) > 0).all()


def test_it_is_a_detector_like_the_two_stages(tmp_path, pictures):
    detector = pipeline.NeonatalDetector.load(save(tmp_path / "n.pt"), device="cpu")
    faces = detector(pictures / "0.jpg")
    width, height = faces.size

    assert isinstance(faces, pipeline.Detections)
    assert len(faces) == (faces.scores >= np.float32(0.3)).sum()
    assert set(faces.how) <= {"found"}
    assert (faces.boxes >= 0).all()
    assert (faces.boxes[:, 2] <= width).all()
    assert (faces.boxes[:, 3] <= height).all()
    assert list(faces.scores) == sorted(faces.scores, reverse=True)
    assert faces.to_ultralytics().boxes.shape[0] == len(faces)


@pytest.mark.parametrize("labels", ["kept", "dropped"])
def test_a_batch_says_what_each_picture_says_alone(tmp_path, pictures, labels):
    """Whatever shapes are mixed in it."""
    detector = NeonatalDetector.load(save(tmp_path / "n.pt", labels=labels), device="cpu")
    together = [faces for _, faces in detector.stream(str(pictures), batch=8)]
    alone = [detector(frame.picture) for frame, _ in detector.stream(str(pictures), batch=1)]

    assert len(together) == len(alone) > 2
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(one.boxes, other.boxes, atol=0.05)
        assert np.allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize("labels", ["kept", "dropped"])
def test_why_a_face_was_missed(labels):
    model = network(labels=labels)
    stage = Stage1(Trained(model), 64)
    picture = np.full((64, 64, 3), 128, np.uint8)
    unsure = NeonatalDetector(stage, 1.0)(picture)
    assert len(unsure) == 0
    assert unsure.reason == SUSPECTED
    for head in [*model.first, *(each.logits for each in model.second.values())]:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, -9)  # no anchor is kept
    assert NeonatalDetector(stage, 0.3)(picture).reason == NOTHING_LIKE


@pytest.mark.parametrize("settings", [{}, {"labels": "dropped"}, {"hcc": False}])
def test_its_heatmaps_are_those_of_plain_gradients(settings):
    """Ours, through windows, against autograd through the whole of what follows the features."""
    stage = Stage1(Trained(network(**settings)), 128)
    torch.manual_seed(3)
    looked = next(stage.look([stage.load((torch.rand(128, 128, 3) * 255).byte().numpy())] * 2))
    levels = stage.network.evidence(looked.levels)
    targets = cam.choose([each.logits for each in levels], 8, 0.25, "probability", "best")
    for number, level in enumerate(levels):
        ours = cam.maps(levels, targets, cam.hirescam, (number,))[0]
        features = level.features.detach().clone().requires_grad_()
        said = level.branch.tail(features)
        mine = targets.level == number
        width = said.shape[3]
        rows, columns = targets.cell[mine] // width, targets.cell[mine] % width
        total = (said[targets.image[mine], 0, rows, columns] * targets.weight[mine]).sum()
        if not mine.any():
            assert not ours.any()
            continue
        (slope,) = torch.autograd.grad(total, features)
        expected = (slope * features).sum(dim=1).clamp(min=0)
        assert torch.allclose(ours[:, 0], expected.detach(), atol=1e-5)


@pytest.mark.parametrize("labels", ["kept", "dropped"])
@torch.no_grad()
def test_the_evidence_is_that_of_the_step_with_the_last_word(labels):
    """Of a kept anchor, of those dropped near it, and of all that nobody looked at again."""
    stage = Stage1(Trained(network(labels=labels)), 128)
    looked = next(stage.look([stage.load(np.full((128, 128, 3), 99, np.uint8))]))
    network_, seen = stage.network.model, looked.levels[0]
    torch.nn.init.zeros_(network_.first[0].weight)
    torch.nn.init.constant_(network_.first[0].bias, -20)
    seen.logits.fill_(-20)
    seen.logits[0, 1, 4, 5] = 3
    (found,) = stage.network.evidence(looked.levels)[0].logits[0]
    cell = torch.zeros(1, *found.shape, dtype=torch.bool)
    cell[0, 4, 5] = True
    again = seen.second(seen.features, seen.lateral, cell)[0]
    near = torch.zeros_like(cell[0])
    near[2:7, 3:8] = True

    if labels == "kept":
        assert found[4, 5] == again[1, 4, 5] != 3
        assert (found[~cell[0]] == -20).all()
    else:
        assert torch.equal(found[near & ~cell[0]], again.amax(dim=0)[near & ~cell[0]])
        assert (found[~near] == -20).all()


def detections(*faces, how=None, reason=""):
    boxes = as_boxes([face[:4] for face in faces])
    scores = np.array([face[4] for face in faces], np.float32)
    kinds = tuple(how or ["found"] * len(faces))
    seen = Candidates(boxes, scores)
    return Detections(boxes, scores, kinds, (100, 100), reason, first=seen, ms={"stage 1": 1.0})


def test_two_boxes_of_one_face_become_one_between_them():
    one = detections((10, 10, 50, 50, 0.9), (60, 60, 90, 90, 0.8))
    other = detections((14, 10, 54, 50, 0.3), (0, 80, 20, 100, 0.7))
    both = merged(one, other)
    loose = detections((10, 10, 50, 50, 0.9)), detections((26, 10, 66, 50, 0.3))  # IoU .43
    assert merged(*loose).by == ("both",)

    assert both.by == ("both", "two-stage", "neonatal")
    assert both.boxes[0].tolist() == pytest.approx([11, 10, 51, 50])
    assert both.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert both.boxes[1].tolist() == [60, 60, 90, 90]
    assert both.how == ("found",) * 3


def test_what_the_second_stage_recovered_stays_recovered():
    one = detections((10, 10, 50, 50, 0.4), how=["recovered"])
    both = merged(one, detections((10, 10, 50, 50, 0.8)))

    assert (both.by, both.how, both.outcome) == (("both",), ("recovered",), "recovered")
    alone = merged(detections(reason="no evidence"), detections((10, 10, 50, 50, 0.8)))
    assert (alone.by, alone.outcome, alone.reason) == (("neonatal",), "found", "")
    nobody = merged(detections(reason="no evidence"), detections())
    assert (nobody.by, nobody.outcome, nobody.reason) == ((), "missed", "no evidence")


def test_each_box_is_merged_once():
    """Two of one detector over one of the other: the better fit is it, the other stays alone."""
    one = detections((10, 10, 50, 50, 0.9))
    other = detections((10, 10, 50, 52, 0.5), (12, 12, 50, 50, 0.6))
    assert sorted(merged(one, other).by) == ["both", "neonatal"]
    assert sorted(merged(other, one).by) == ["both", "two-stage"]


@pytest.fixture
def weights(tmp_path):
    first = save_first(tmp_path / "first.pt")
    second = save_second(tmp_path / "second.pt", runs.sha256(first))
    return {
        "stage1": str(first),
        "fallback": str(second),
        "neonatal": save(tmp_path / "n.pt"),
        "device": "cpu",
    }


def of(detector, weights):
    """The settings of a run, with the weights that its detector has."""
    none = {"neonatal": ("stage1", "fallback"), "two-stage": ("neonatal",), "both": ()}[detector]
    own = {key: value for key, value in weights.items() if key not in none}
    return own | {"detector": detector}


@pytest.mark.parametrize("detector", ["neonatal", "both"])
def test_a_run_tells_who_found_what(home, pictures, weights, detector):
    folder = Detect((str(pictures),), name="r", **of(detector, weights)).run()
    rows = list(csv.DictReader((folder / "frames.csv").open()))
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    config = json.loads((folder / "config.json").read_text())

    assert len(lines) == 5
    assert all(row["ms_neonatal"] for row in rows)
    told = {row["by"] for row in rows if row["face"]}
    assert told == ({""} if detector == "neonatal" else told & {"neonatal", "both", "two-stage"})
    assert told
    assert bool(config["settings"]["stage1"]) == (detector == "both")
    assert config["settings"]["neonatal"] == runs.sha256(Path(weights["neonatal"]))
    if detector == "both":
        assert all(line["partner"] is not None for line in lines)
        coco = json.loads((folder / "predictions.json").read_text())
        assert all("by" in each for each in coco)
    Detect((str(pictures),), name="r", **of(detector, weights)).run()  # up to date
    with pytest.raises(UserError, match="made otherwise"):
        Detect((str(pictures),), name="r", **of("two-stage", weights)).run()


def test_the_page_reads_each_detector_of_a_run(home, pictures, weights):
    """Of both: what they found together as the run has it, and what each said by itself."""
    (pictures / "no.jpg").write_text("no picture")
    folder = Detect((str(pictures),), name="r", **of("both", weights)).run()
    config = json.loads((folder / "config.json").read_text())
    made = detected.read(folder, config, ByPlace())
    columns = record.columns(made)
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]

    assert made.pairs[0]["name"] == "both"
    assert len(made.pairs) == 3
    for number, line in enumerate(lines):
        at = record.At(0, made.pairs[0]["conf"], made.pairs[0]["fallback_conf"])
        seen = record.believed(made, columns, number, at)
        assert len(seen.boxes) == len(line["faces"])
        assert seen.outcome == line["outcome"] or line["outcome"] == "unreadable"
        pair = made.pairs[2]
        own = record.believed(made, columns, number, record.At(2, pair["conf"], 1.0))
        assert len(own.boxes) == sum(each["score"] >= 0.3 for each in line["partner"] or ())
    assert columns.frames[0]["outcome"].count(OUTCOMES.index("unreadable")) == 1


def test_the_page_shows_what_was_recovered_beside_what_the_partner_found(home):
    """One face is looked for, two are known: stage 2 gave one, the neonatal detector another."""
    one = detections((10, 10, 30, 30, 0.4), how=["recovered"])
    one = replace(one, second=Candidates(one.boxes, one.scores), first=Candidates.none())
    both = merged(one, detections((60, 40, 90, 60, 0.8)))
    row = results.row(Frame(None, "a.jpg", "a.jpg", 0, None), both, 0)
    settings = {"detector": "both", "neonatal": "2" * 64, "neonatal_conf": 0.3}
    folder = run_folder(home / "runs" / "detect" / "b", [row], **settings, neonatal_imgsz=64)
    config = json.loads((folder / "config.json").read_text())
    config["weights"]["neonatal"] = "n.pt"
    made = detected.read(folder, config, ByPlace())
    columns = record.columns(made)
    seen = [
        record.believed(made, columns, 0, record.At(n, pair["conf"], pair["fallback_conf"]))
        for n, pair in enumerate(made.pairs)
    ]

    assert both.outcome == "recovered"
    assert [each.stages for each in seen] == [["found", "recovered"], ["recovered"], ["found"]]
    assert made.settings["thresholds"] == "0.70 and 0.30 and 0.30"
    assert made.settings["weights"] == "mine.pt, behind.pt, n.pt"


def test_who_found_a_face_is_held_with_it():
    both = merged(detections((10, 10, 50, 50, 0.9)), detections((10, 10, 50, 50, 0.8)))
    hold = Hold(1.0)
    hold.over(0.0, both)
    later = hold.over(0.5, detections())

    assert (later.by, later.how) == (("both",), ("held",))


def test_evaluation_and_comparison_take_it(home, pictures, weights, tmp_path):
    ibug_folder(home / "source" / "helen_train", count=6)
    ibug_folder(home / "source" / "helen_test", count=3, start=100)
    Prepare((f"ibug={home / 'source'}",), "faces", val_share=0.3, workers=1).run()
    given = {"stage1": (weights["stage1"],), "stage2": (), "parts": False, "device": "cpu"}
    folder = Evaluate("faces", control=(weights["neonatal"],), **given).run()
    models = list(csv.DictReader((folder / "models.csv").open()))
    assert {row["model"] for row in models} >= {"n", "first"}
    assert (folder / "precision-recall-n.png").is_file()
    compared = Compare((str(pictures),), checkpoints=(weights["neonatal"],), name="c").run()
    assert "n" in {row["detector"] for row in csv.DictReader((compared / "compare.csv").open())}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"detector": "neonatal", "faces": 2}, "--faces goes with --detector two-stage or both"),
        ({"detector": "neonatal", "save_heatmaps": True}, "both; 'uncover inspect' draws"),
        ({"detector": "neonatal", "fallback": "none"}, "--fallback goes with"),
        ({"neonatal": "first.pt"}, "--neonatal goes with --detector neonatal or both"),
        ({"detector": "neonatal", "neonatal_conf": 0.5}, "goes with --detector both"),
        ({"detector": "neonatal", "conf": 1.5}, "between 0 and 1"),
        ({"detector": "neonatal", "imgsz": 100}, "multiple of 64"),
        ({"detector": "neonatal", "half": True}, "--half"),
        ({"detector": "neonatal", "neonatal": "none.pt"}, "no such file"),
    ],
)
def test_what_makes_no_sense_is_refused(home, pictures, weights, changes, words):
    with pytest.raises(UserError, match=words):
        own = of(changes.get("detector", "two-stage"), weights)
        Detect((str(pictures),), **(own | changes)).run()


def test_weights_that_find_nothing_say_so(tmp_path):
    """A training that found no face on validation writes 1; one that was killed, nothing."""
    never = save(tmp_path / "never.pt", threshold=1.0)
    with pytest.raises(UserError, match="give --conf"):
        NeonatalDetector.load(never, device="cpu")
    assert NeonatalDetector.load(never, device="cpu", conf=0.2).conf == 0.2


def test_weights_of_a_yolo_are_refused_with_words(home, pictures, weights):
    alone = of("neonatal", weights) | {"neonatal": weights["stage1"]}
    with pytest.raises(UserError, match="uncover train neonatal"):
        Detect((str(pictures),), **alone).run()
    swapped = of("two-stage", weights) | {"stage1": weights["neonatal"]}
    with pytest.raises(UserError, match="--detector neonatal"):
        Detect((str(pictures),), **swapped).run()


@pytest.mark.parametrize("words", ["root:x:0", "GIF89", "e,pochs", "(", "a,b", "hello"])
def test_a_file_that_is_no_weights_is_told_whatever_it_begins_with(tmp_path, words):
    (tmp_path / "n.pt").write_text(words)
    with pytest.raises(UserError, match="no weights of the neonatal detector"):
        NeonatalDetector.load(str(tmp_path / "n.pt"), device="cpu")


def test_weights_that_hold_what_is_no_number_are_damaged(tmp_path):
    made = network()
    made.first[2].weight.data[0, 3] = float("nan")
    files.publish(tmp_path / "n.pt", made, {"imgsz": 64, "alpha": 0.5, "threshold": 0.3})
    with pytest.raises(UserError, match=r"damaged: first\.2\.weight"):
        NeonatalDetector.load(str(tmp_path / "n.pt"), device="cpu")


@pytest.mark.slow
def test_the_heat_of_a_found_face_lies_on_it(home):
    """Of the shipped weights, by the method that the page takes of itself."""
    window, _ = next(iter(samples.faces()))
    window = cv2.resize(window, (200, 200))
    picture = np.full((480, 640, 3), 120, np.uint8)
    picture[150:350, 300:500] = window
    images.write(home / "p.png", picture)
    room = Room(Detect((str(home / "p.png"),), "p", detector="neonatal", device="cpu").run())
    (face, *_) = room.record.shots[0].said[0].first
    told = room.atlas.maps(0, 0, "", ())
    heat = np.frombuffer(base64.b64decode(told["average"]), np.uint8).astype(float)
    heat = heat.reshape(told["height"], told["width"])
    left, top, wide, high = told["place"]
    x, y = np.meshgrid(np.arange(heat.shape[1]), np.arange(heat.shape[0]))
    x, y = (x + 0.5 - left) / wide * 640, (y + 0.5 - top) / high * 480
    x1, y1, x2, y2 = face["box"]
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)

    assert 300 < (x1 + x2) / 2 < 500
    assert heat[inside].mean() > 5 * heat[~inside].mean()
