"""``uncover train``: whole results, resumed after a kill, the same numbers again."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml
from synthetic import ibug_folder, wider_folder

from pipeline import runs, schedule, scores, yolo
from pipeline.errors import UserError
from pipeline.extract import Extract
from pipeline.ladder import TrainAll
from pipeline.parts import PARTS
from pipeline.prepare import Prepare
from pipeline.schedule import Schedule
from pipeline.train import TrainFace, TrainHeatmap, TrainParts

FEW = {"epochs": 2, "imgsz": 64, "batch": 8}


@pytest.fixture(scope="module")
def place(module_home):
    """A home with a small dataset of parts and a trained stage 1."""
    home = module_home
    threads = torch.get_num_threads()
    ibug_folder(home / "source" / "helen_train", count=24)
    ibug_folder(home / "source" / "helen_test", count=4, start=100)
    Prepare((f"ibug={home / 'source'}",), "faces", workers=1).run()
    TrainParts("faces", "parts", schedule=Schedule(**FEW), device="cpu").run()
    yield home
    torch.set_num_threads(threads)


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_finished_training_has_all_that_people_look_at(place):
    """Weights, scores, curves, confusion matrix; nothing half, no optimizer."""
    folder = place / "runs" / "train" / "parts"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    wanted = {"best.pt", "manifest.json", "results.csv", "results.png", "data.yaml", "labels.jpg"}
    for split in ("val", "test"):
        wanted |= {f"{split}/BoxF1_curve.png", f"{split}/confusion_matrix.png"}

    assert wanted <= names
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".resumable")]
    found = manifest(folder)
    assert set(found["scores"]) == {"val", "test"}
    assert 0 <= found["about"]["threshold"] <= 1
    assert found["made"]["ultralytics"]
    assert len((folder / "results.csv").read_text().splitlines()) == 1 + 2


def test_the_weights_are_a_stage_1_and_say_nothing_of_this_machine(place):
    """Loaded safely, ten parts in order, and no path of a home or a dataset inside."""
    path = place / "runs" / "train" / "parts" / "best.pt"

    assert yolo.load(path).names == list(PARTS)
    data = path.read_bytes()
    assert str(place).encode() not in data
    assert str(runs.home()).encode() not in data
    assert runs.sha256(path) == manifest(path.parent)["weights"]["sha256"]


def test_the_same_command_again_does_nothing(place, capsys):
    target = TrainParts("faces", "parts", schedule=Schedule(**FEW), device="cpu").run()

    assert target.name == "parts"
    assert "up to date" in capsys.readouterr().out


def test_whole_faces_are_learned_beside_the_parts(place):
    """Scenes and windows without a face go into the training, the windows into validation too."""
    scenes = wider_folder(place / "wider", train=4, val=3)
    Prepare((f"wider={scenes}",), "scenes", classes="face", empty=2, workers=1).run()
    few = Schedule(epochs=1, imgsz=64, batch=8)
    folder = TrainParts("faces", "beside", faces="scenes", schedule=few, device="cpu").run()
    told = yaml.safe_load((folder / "data.yaml").read_text())
    found = manifest(folder)

    root = place / "datasets" / "scenes" / "images"
    assert told["train"][1:] == [str(root / "train")] * 3 + [str(root / "train_empty")]
    assert told["val"][1] == str(root / "val_empty")
    assert found["sources"]["faces"]["pictures"] == 4 + 3 + 2 * 7
    assert found["settings"]["faces_weight"] == 3
    assert found["faces"]["pictures"]["train_empty"] == 8
    with pytest.raises(UserError, match="no dataset of whole faces alone"):
        TrainParts("faces", "wrong", faces="faces", schedule=few, device="cpu").run()


def test_heatmaps_of_scenes_are_learned_beside_others(place):
    """Windows without a face are validated on; heatmaps of another recipe are refused."""
    from pipeline.recipe import Recipe

    weights = str(place / "runs" / "train" / "parts" / "best.pt")
    scenes = wider_folder(place / "more-wider", train=4, val=3)
    Prepare((f"wider={scenes}",), "more-scenes", classes="face", empty=2, workers=1).run()
    Extract(weights, "first-maps", data="faces", imgsz=96).run()
    Extract(weights, "scene-maps", data="more-scenes", like="first-maps").run()
    average = Recipe(compose="average", peak=1.0)
    Extract(weights, "other-maps", data="more-scenes", imgsz=96, recipe=average).run()
    Extract(weights, "peak-maps", data="more-scenes", imgsz=96, recipe=Recipe(peak=1.0)).run()
    few = Schedule(epochs=1, imgsz=64, batch=8)
    with pytest.raises(UserError, match="no dataset of whole faces alone with pictures of 10"):
        TrainHeatmap("first-maps", faces="other-maps", schedule=few, device="cpu").run()
    with pytest.raises(UserError, match="extract --like first-maps"):
        TrainHeatmap("first-maps", faces="peak-maps", schedule=few, device="cpu").run()
    with pytest.raises(UserError, match="the dataset itself"):
        TrainHeatmap("scene-maps", faces="scene-maps", schedule=few, device="cpu").run()
    with pytest.raises(UserError, match="--first-conf 2"):
        TrainHeatmap("first-maps", first_conf=2.0, schedule=few, device="cpu").run()
    folder = TrainHeatmap("first-maps", faces="scene-maps", schedule=few, device="cpu").run()
    told = yaml.safe_load((folder / "data.yaml").read_text())

    root = place / "datasets" / "scene-maps" / "images"
    assert told["train"][1:] == [str(root / "train")] * 3 + [str(root / "train_empty")]
    assert told["val"][1] == str(root / "val_empty")
    assert "faces" not in told
    assert manifest(folder)["faces"]["pictures"]["train_empty"] == 8


def test_other_settings_are_refused_by_name(place):
    with pytest.raises(UserError, match="epochs: 2 -> 3"):
        TrainParts("faces", "parts", schedule=Schedule(**FEW | {"epochs": 3}), device="cpu").run()


def test_the_same_seed_gives_the_same_weights(place):
    """Bit by bit, in another folder."""
    again = TrainParts("faces", "again", schedule=Schedule(**FEW), device="cpu").run()
    other = TrainParts("faces", "other", schedule=Schedule(**FEW, seed=1), device="cpu").run()
    states = [
        yolo.checkpoint(folder / "best.pt")["model"].state_dict()
        for folder in (place / "runs" / "train" / "parts", again, other)
    ]

    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.slow
def test_a_killed_training_goes_on(place):
    """kill -9 after the first checkpoint; the same command ends it, every epoch once."""
    words = ["train", "parts", "--data", "faces", "--name", "killed", "--device", "cpu"]
    words += ["--epochs", "6", "--imgsz", "64", "--batch", "8"]
    command = [sys.executable, "-m", "pipeline", *words]
    state = place / "runs" / "train" / ".killed.resumable" / "folder" / "training"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (state / "weights" / "last.pt").is_file():
        assert first.poll() is None, "ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not (place / "runs" / "train" / "killed").exists()
    second = subprocess.run(command, capture_output=True, text=True)

    assert second.returncode == 0, second.stderr
    assert "Resuming training" in second.stdout + second.stderr
    assert str(place).encode() not in (place / "runs/train/killed/best.pt").read_bytes()
    rows = (place / "runs" / "train" / "killed" / "results.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == [1, 2, 3, 4, 5, 6]


def test_the_control_learns_one_class_from_the_same_labels(place):
    folder = TrainFace("faces", schedule=Schedule(**FEW), device="cpu").run()

    assert folder.name == "face-faces"
    assert yolo.load(folder / "best.pt").names == ["whole face"]


@pytest.mark.parametrize(("compose", "channels"), [("stack", 10), ("average", 1)])
def test_stage_2_learns_on_heatmaps(place, compose, channels):
    """Ten channels or one, from the weights that the test itself has trained."""
    from pipeline.recipe import Recipe

    weights = place / "runs" / "train" / "parts" / "best.pt"
    name = f"maps-{compose}"
    Extract(str(weights), name, data="faces", recipe=Recipe(compose=compose), imgsz=96).run()
    folder = TrainHeatmap(name, schedule=Schedule(**FEW), device="cpu").run()
    network = yolo.load(folder / "best.pt")

    assert network.channels == channels
    assert network.names == ["face"]


def test_training_may_begin_with_a_checkpoint(place):
    """Its weights are taken over, and its fingerprint is part of what is compared."""
    weights = place / "runs" / "train" / "parts" / "best.pt"
    settings = {"schedule": Schedule(**FEW), "device": "cpu"}
    folder = TrainParts("faces", "tuned", weights=str(weights), **settings).run()

    assert manifest(folder)["sources"]["weights"] == runs.sha256(weights)
    assert str(place).encode() not in (folder / "best.pt").read_bytes()
    with pytest.raises(UserError, match="weights"):
        TrainParts("faces", "tuned", **settings).run()


def test_a_checkpoint_of_another_size_is_refused(place, tmp_path):
    """Ultralytics would take over what fits, which is next to nothing, and say so nowhere."""
    torch.save({"model": yolo.build("s", PARTS).half()}, tmp_path / "s.pt")
    with pytest.raises(UserError, match="no YOLOv5 of --size n"):
        TrainParts("faces", "wrong", weights=str(tmp_path / "s.pt"), device="cpu").run()


def test_an_interrupted_run_is_not_thrown_away_by_a_slip(place):
    """Other settings need --overwrite, also where nothing is finished yet."""
    state = place / "runs" / "train" / ".slip.resumable"
    runs.write_json(state / "record.json", {"settings": {"epochs": 300}, "sources": {}})
    runs.write_text(state / "folder" / "training" / "last.pt", "a night's work")
    with pytest.raises(UserError, match="epochs: 300 -> 2"):
        TrainParts("faces", "slip", schedule=Schedule(**FEW), device="cpu").run()

    assert (state / "folder" / "training" / "last.pt").is_file()


def test_a_half_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path, monkeypatch):
    """What a kill left half written is gone before the next is written."""
    from pipeline.yolo.training import DetectionTrainer, Trainer

    trainer = Trainer.__new__(Trainer)
    trainer.best, trainer.last = tmp_path / "best.pt", tmp_path / "last.pt"
    trainer.best.write_bytes(b"whole")
    (tmp_path / "best.partial").write_bytes(b"ha")
    monkeypatch.setattr(
        DetectionTrainer, "save_model", lambda self: self.last.write_bytes(b"new") > 0
    )
    trainer.save_model()

    assert trainer.best.read_bytes() == b"whole"
    assert trainer.last.read_bytes() == b"new"
    assert not list(tmp_path.glob("*.partial"))


WRONG = {
    "no such data": (TrainParts, {"data": "nowhere"}, "no prepared dataset"),
    "no such weights": (TrainParts, {"data": "faces", "weights": "x.pt"}, "no such file"),
    "pictures for stage 2": (TrainHeatmap, {"data": "faces"}, "no heatmaps"),
    "a device that is not there": (TrainParts, {"data": "faces", "device": "77"}, "CUDA"),
    "a nonsense device": (TrainParts, {"data": "faces", "device": "toaster"}, "expected cpu"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_trained_is_said_before_it_begins(place, case):
    kind, settings, words = WRONG[case]
    with pytest.raises(UserError, match=words):
        kind(**settings, name="wrong", schedule=Schedule(**FEW)).run()


def test_pictures_that_would_be_left_out_in_silence_are_named(place):
    """Ultralytics ignores what is under ten pixels; a training without them is no training."""
    weights = place / "runs" / "train" / "parts" / "best.pt"
    Extract(str(weights), "maps-tiny", data="faces", imgsz=64).run()
    with pytest.raises(UserError, match="under 10 pixels"):
        TrainHeatmap("maps-tiny", schedule=Schedule(**FEW), device="cpu").run()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": "nowhere"}, "no prepared dataset"),
        ({"hidden": "faces", "schedule": Schedule(imgsz=64)}, "take 96 or more"),
        ({"heatmap_epochs": -2}, "epochs -2"),
        ({"schedule": Schedule(seed=-1)}, "--seed -1"),
        ({"schedule": Schedule(fitness=(-1, 2))}, "--fitness"),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused_at_its_foot(place, settings, words):
    """Not after a night, where the step comes that needs it."""
    before = set((place / "runs" / "train").iterdir())
    with pytest.raises(UserError, match=words):
        TrainAll("faces", name="foot", device="cpu", **settings).run()
    assert set((place / "runs" / "train").iterdir()) == before


@pytest.mark.parametrize("line", ["lr0: -5", "lr0: .nan", "fliplr: 7", "box: .inf"])
def test_hyper_parameters_are_in_their_range(tmp_path, line):
    path = tmp_path / "h.yaml"
    path.write_text(line)
    with pytest.raises(UserError, match="expected 0 to"):
        schedule.settings(Schedule(hyper=str(path)), "parts")


def test_labels_that_somebody_has_emptied_are_told(place, tmp_path):
    """The manifest still counts them; a night of training would end in nothing."""
    ibug_folder(tmp_path / "source", count=6)
    root = Prepare((f"ibug={tmp_path / 'source'}",), "emptied", val_share=0.3, workers=1).run()
    for path in (root / "labels" / "val").iterdir():
        path.write_text("")
    with pytest.raises(UserError, match="no faces in val"):
        TrainParts("emptied", schedule=Schedule(**FEW), device="cpu").run()


def test_a_model_that_finds_nothing_is_told(capsys, tmp_path):
    face = {"P": 0.0, "R": 0.0, "F1": 0.0, "AP50": 0.0, "AP50-95": 0.0}
    one = face | {"threshold": 0.0, "at_threshold": {"P": 0.0, "R": 0.0, "F1": 0.0}}
    told = {"scores": {"val": {"all": face, "classes": {"face": one}}}, "about": {"threshold": 0.0}}
    scores.tell(tmp_path, told)
    assert "finds nothing on validation" in capsys.readouterr().err
    told["about"]["threshold"] = 0.3
    scores.tell(tmp_path, told)
    assert not capsys.readouterr().err


def test_a_test_set_is_told_at_the_threshold_of_validation(place):
    """What would be best on the test set nobody may know."""
    scores = manifest(place / "runs" / "train" / "parts")["scores"]

    for name, one in scores["test"]["classes"].items():
        if name in scores["val"]["classes"]:
            assert one["threshold"] == scores["val"]["classes"][name]["threshold"]


def test_heatmaps_are_no_pictures(place):
    """A dataset of heatmaps is refused where pictures are expected."""
    from pipeline.recipe import Recipe

    weights = place / "runs" / "train" / "parts" / "best.pt"
    Extract(str(weights), "maps-stack", data="faces", recipe=Recipe(), imgsz=96).run()
    for kind in (TrainParts, TrainFace):
        with pytest.raises(UserError, match="maps-stack"):
            kind("maps-stack", schedule=Schedule(**FEW)).run()


def test_presets_are_what_they_are_called():
    """The thesis's evolved numbers; no augmentation for its second stage."""
    first = schedule.settings(Schedule("thesis"), "parts")
    second = schedule.settings(Schedule("thesis"), "heatmap")

    assert (first["epochs"], first["optimizer"], first["lr0"]) == (300, "SGD", 0.0072)
    assert (first["hsv_h"], first["hsv_s"], first["hsv_v"]) == (0.0107, 0.52782, 0.42373)
    assert (first["translate"], first["scale"]) == (0.07382, 0.48072)
    for name in ("translate", "scale", "fliplr", "mosaic"):
        assert second[name] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"imgsz": 100}, "multiple of 32"),
        ({"epochs": -1}, "1 or more"),
        ({"hyper": "nowhere.yaml"}, "cannot be read"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(UserError, match=words):
        schedule.settings(Schedule(**settings), "parts")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("resume: true", "resume: known are"),
        ("split: test", "split: known are"),
        ("save_dir: /x", "save_dir: known are"),
        ("mosaic: 1.0", "mosaic: known are"),
        ("lr0: fast", "not what belongs there"),
        ("lr0: true", "not what belongs there"),
        ("epochs: 0", "1 or more"),
        ("- lr0", "NAME: VALUE"),
    ],
)
def test_a_file_of_hyper_parameters_holds_hyper_parameters(tmp_path, line, words):
    """Nothing that would change the experiment, or does nothing to heatmaps."""
    (tmp_path / "h.yaml").write_text(line + "\n")
    with pytest.raises(UserError, match=words):
        schedule.settings(Schedule(hyper=str(tmp_path / "h.yaml")), "heatmap")


def test_a_file_of_hyper_parameters_overrules_the_preset(tmp_path):
    (tmp_path / "h.yaml").write_text("lr0: 0.5\nepochs: 7\n")
    found = schedule.settings(Schedule(hyper=str(tmp_path / "h.yaml"), epochs=3), "parts")

    assert (found["lr0"], found["epochs"]) == (0.5, 3)


def test_a_threshold_is_the_lowest_on_the_plateau():
    """F1 that is level from 0.3 to 0.8 gives 0.3, not wherever chance put the maximum."""
    import numpy as np

    from pipeline.yolo.judging import _peak

    confidence = np.linspace(0, 1, 1000)
    plateau = np.where((confidence > 0.25) & (confidence < 0.85), 0.95, 0.2)[None]
    bumped = plateau + 0.002 * (np.abs(confidence - 0.6) < 0.1)
    peaked = np.exp(-(((confidence - 0.6) / 0.02) ** 2))[None]

    assert 0.25 < _peak(confidence, bumped) < 0.36
    assert _peak(confidence, peaked) == pytest.approx(0.6, abs=0.06)
