"""``uncover train neonatal``: whole results, gone on with after a kill, the same weights again."""

import csv
import json
from dataclasses import replace

import pytest
import torch
import torchvision
from synthetic import ibug_folder, wider_folder
from torchvision.models._api import WeightsEnum

from pipeline import runs
from pipeline.bench_neonatal import BenchNeonatal
from pipeline.dataset import open_dataset
from pipeline.errors import UserError
from pipeline.neonatal import files, training
from pipeline.neonatal.anchors import Anchors, Truth, assign, joined
from pipeline.neonatal.architecture import Architecture
from pipeline.neonatal.data import Samples, batched, drawn, examples
from pipeline.neonatal.learning import Learning
from pipeline.neonatal.network import Network
from pipeline.neonatal.trained import open_neonatal
from pipeline.opening import open_face
from pipeline.prepare import Prepare
from pipeline.train_neonatal import TrainNeonatal

SMALL = Architecture("mobilenet_v3", channels=16)
FEW = Learning(epochs=2, batch=4, least=2)


@pytest.fixture(scope="module")
def place(module_home):
    """Faces with parts, scenes with windows without a face, and one training of both."""
    source = module_home / "source"
    ibug_folder(source / "helen_train", count=10)
    ibug_folder(source / "helen_test", count=3, start=100)
    wider_folder(module_home / "wider", train=8, val=3)
    Prepare((f"ibug={source}",), "faces", workers=1).run()
    how = {"classes": "face", "empty": 1, "split": "6:2:2", "workers": 1}
    Prepare((f"wider={module_home / 'wider'}",), "scenes", **how).run()
    settings().run()
    return module_home


def settings(**changes):
    usual = {"data": ("faces", "scenes"), "name": "n", "architecture": SMALL, "learning": FEW}
    return TrainNeonatal(**(usual | {"imgsz": 64, "device": "cpu", "mixed": False} | changes))


def test_a_finished_training_has_weights_scores_and_curves(place):
    folder = place / "runs" / "train" / "n"
    manifest = json.loads((folder / "manifest.json").read_text())
    stage = open_neonatal(folder / "best.pt", "cpu")

    assert {path.name for path in folder.iterdir()} == {
        *("best.pt", "manifest.json", "results.csv", "results.png")
    }
    assert manifest["weights"]["sha256"] == runs.sha256(folder / "best.pt")
    assert set(manifest["more"]) == {"scenes"}
    assert set(manifest["scores"]) == {"val", "test"}
    assert stage.network.model.architecture == SMALL
    assert stage.network.alpha == manifest["about"]["alpha"]
    assert stage.imgsz == 64
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["before"]) > 0 for row in rows)


def test_the_weights_are_in_half_precision_and_without_code(place):
    content = torch.load(place / "runs" / "train" / "n" / "best.pt", weights_only=True)

    assert {each.dtype for each in content["state"].values()} == {torch.float16, torch.int64}


def test_the_same_again_does_nothing_and_another_is_refused(place, capsys):
    settings().run()
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(UserError, match="made otherwise"):
        settings(learning=replace(FEW, lr=0.02)).run()


def test_killed_after_an_epoch_it_ends_with_the_same_weights(place, monkeypatch, capsys):
    from pipeline.neonatal import training

    whole, seen = training._epoch, []

    def killed(*arguments):
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(training, "_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        settings(name="again").run()
    monkeypatch.setattr(training, "_epoch", whole)
    capsys.readouterr()
    settings(name="again").run()

    assert "1 of 2 epochs are done already" in capsys.readouterr().out
    first, second = (
        torch.load(place / "runs" / "train" / name / "best.pt", weights_only=True)
        for name in ("n", "again")
    )
    assert all(torch.equal(one, second["state"][key]) for key, one in first["state"].items())
    assert first["uncover"] == second["uncover"]


def test_another_setting_begins_with_the_baseline(place):
    """What has the same name and meaning is taken over; the modules begin anew."""
    baseline = replace(SMALL, hcc=False, quality="none")
    torch.manual_seed(1)
    begun = Network(baseline)
    files.publish(place / "baseline.pt", begun, {"imgsz": 64, "alpha": 1.0, "threshold": 0.5})
    whole = Network(SMALL)
    taken, every = files.begin_with(whole, place / "baseline.pt")
    own, given = whole.state_dict(), begun.state_dict()

    assert taken == len(given) < len(own) == every
    assert all(torch.allclose(own[key], each, rtol=1e-3, atol=1e-3) for key, each in given.items())
    for changes, anew in (({"labels": "kept"}, "second."), ({"quality": "iou"}, "quality.")):
        files.publish(place / "whole.pt", whole, {"imgsz": 64, "alpha": 1.0, "threshold": 0.5})
        other = Network(replace(SMALL, **changes))
        taken, every = files.begin_with(other, place / "whole.pt")
        assert every - taken == sum(key.startswith(anew) for key in other.state_dict()) > 0
    with pytest.raises(UserError, match="--backbone mobilenet_v3"):
        files.begin_with(Network(replace(SMALL, backbone="resnet18")), place / "baseline.pt")


@pytest.mark.parametrize("counts", [True, False])
def test_a_backbone_from_a_file_of_torchvisions(tmp_path, counts):
    """Its older files do not say how many batches they have seen."""
    torch.manual_seed(2)
    theirs = torchvision.models.resnet18(weights=None)
    given = theirs.state_dict()
    kept = {key: each for key, each in given.items() if counts or "batches" not in key}
    assert (len(kept) < len(given)) != counts
    torch.save(kept, tmp_path / "resnet18.pth")
    ours = Network(replace(SMALL, backbone="resnet18"))
    files.backbone(ours, "resnet18", str(tmp_path / "resnet18.pth"))
    theirs.eval(), ours.eval()
    picture = torch.rand(1, 3, 64, 64)

    expected = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(picture)))))
    assert torch.allclose(ours.body(picture)[0], expected, atol=1e-5)
    with pytest.raises(UserError, match="no weights of a mobilenet_v3"):
        files.backbone(Network(SMALL), "mobilenet_v3", str(tmp_path / "resnet18.pth"))
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "larger.pth")
    with pytest.raises(UserError, match="too many"):
        files.backbone(ours, "resnet18", str(tmp_path / "larger.pth"))
    (tmp_path / "no.pth").write_text("no weights")
    with pytest.raises(UserError, match="no state_dict"):
        files.backbone(ours, "resnet18", str(tmp_path / "no.pth"))


def test_the_hub_is_asked_only_when_it_is_named(place, monkeypatch):
    asked = []

    def fetched(self, **how):
        asked.append(self)
        return torchvision.models.mobilenet_v3_large(weights=None).state_dict()

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fetched)
    settings(name="no-hub", learning=replace(FEW, epochs=1)).run()
    assert not asked
    settings(name="hub", learning=replace(FEW, epochs=1), backbone_weights="hub").run()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"imgsz": 100}, "multiple of 64"),
        ({"learning": replace(FEW, least=64)}, "--least 64: no face in a square of 64"),
        ({"learning": replace(FEW, batch=1), "name": "one"}, "leaves a single cell"),
        ({"learning": replace(FEW, lr=1e9, epochs=1), "name": "wild"}, "are no numbers any more"),
        ({"data": ()}, "which prepared dataset"),
        ({"data": ("faces", "faces")}, "two of one name"),
        ({"data": ("nothing",)}, "no prepared dataset"),
        ({"weights": "a", "backbone_weights": "b"}, "hold a backbone already"),
        ({"device": "cpu,cpu"}, "each once"),
        ({"seeds": (1, 2)}, "go with --ablate"),
        ({"ablate": True, "seeds": (0, 0)}, "different numbers"),
        ({"ablate": True, "learning": replace(FEW, seed=3)}, "with --ablate it is --seeds"),
        ({"ablate": True, "architecture": replace(SMALL, hcc=False)}, "switches the modules"),
        ({"ablate": True, "measure": ("faces", "faces")}, "--measure faces faces: two of one"),
        ({"ablate": True, "seeds": (0, 2**40)}, "--seed 1099511627776: expected"),
    ],
)
def test_what_makes_no_sense_is_refused(place, changes, words):
    with pytest.raises(UserError, match=words):
        settings(**changes).run()


def test_pictures_that_are_gone_are_told_before_an_hour_has_passed(place, monkeypatch):
    data = open_dataset("faces")
    first = next(data.picture(row) for row in data.rows("train"))
    moved = first.rename(first.with_suffix(".away"))
    with pytest.raises(UserError, match=r"1 of \d+ training pictures are gone"):
        settings(name="gone", data=("faces",)).run()
    moved.rename(first)


def test_weights_of_a_yolo_are_told_apart(place, tmp_path):
    from pairs import save_first

    save_first(tmp_path / "yolo.pt")
    with pytest.raises(UserError, match="no weights of the neonatal detector"):
        open_neonatal(tmp_path / "yolo.pt", "cpu")
    with pytest.raises(UserError, match="--detector neonatal"):
        from pipeline import yolo

        yolo.load(place / "runs" / "train" / "n" / "best.pt")
    assert open_face(place / "runs" / "train" / "n" / "best.pt", "cpu").names == ["face"]


def test_the_tables_of_the_paper(place, capsys):
    """Modules and readings with two seeds: a row each, curves, the time; not done twice."""
    quick = {"learning": replace(FEW, epochs=1), "name": "a", "ablate": True, "seeds": (0, 1)}
    how = quick | {"tables": ("modules", "labels"), "measure": ("faces",)}
    folder = settings(**how).run()
    assert "faces: 9 pictures, 9 faces\n" in capsys.readouterr().out
    assert settings(**how).run() == folder
    assert "is up to date: same trainings and pictures" in capsys.readouterr().out
    (_, whole) = csv.DictReader((folder / "time.csv").open())
    assert float(whole["middle half from"]) <= float(whole["times the baseline"])
    assert float(whole["times the baseline"]) <= float(whole["to"])
    table = list(csv.DictReader((folder / "modules.csv").open()))

    assert folder == place / "runs" / "ablate" / "a"
    assert [row["network"] for row in table] == ["baseline", "+ HCC", "+ DAN", "+ HCC + DAN"]
    assert {row["seeds"] for row in table} == {"2"}
    assert all("AP50 sd" in row and "AP80" in row for row in table)
    assert [row["alpha"] for row in table[:2]] == ["1.0", "1.0"]
    names = {path.name for path in folder.iterdir()}
    assert {"tables.md", "tables.tex", "iou.png", "precision-recall.png", "time.csv"} <= names
    trained = sorted(path.name for path in (place / "runs" / "train").glob("a-*"))
    assert len(trained) == 2 * 5  # the whole network is of both tables
    before = {path.name: path.stat().st_mtime for path in (place / "runs" / "train").glob("a-*")}
    with pytest.raises(UserError, match="made otherwise"):  # before it has trained with seed 2
        settings(**(quick | {"seeds": (0, 2)}), tables=("labels",), measure=("faces",)).run()
    settings(**quick, tables=("labels",), measure=("faces",), overwrite=True).run()
    assert before == {
        path.name: path.stat().st_mtime for path in (place / "runs" / "train").glob("a-*")
    }
    assert "are trained on" not in capsys.readouterr().out
    Prepare((f"ibug={place / 'source'}",), "again", split="0:0:1", workers=1).run()
    settings(**quick, tables=("labels",), measure=("again",), overwrite=True).run()
    assert "again: 9 of the photographs" in capsys.readouterr().out
    with pytest.raises(UserError, match="begin with a baseline"):
        settings(**quick, weights=str(place / "runs" / "train" / "n")).run()


def test_the_bench_has_a_row_for_each_module(place, tmp_path, capsys):
    weights = str(place / "runs" / "train" / "n")
    out = str(tmp_path / "rows.json")
    rows = BenchNeonatal(weights, repeat=2, most=2, device="cpu", json=out).run()

    assert [row["name"] for row in rows] == ["neonatal/hcc+dan", "neonatal/hcc", "neonatal/dan"]
    assert all(row["ours_ms"] > 0 and row["peer_ms"] > 0 and row["ratio"] > 0 for row in rows)
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    assert capsys.readouterr().out.count("neonatal/") == 3


def test_mixed_precision_leaves_the_truth_alone(place):
    """Boxes of some hundred pixels, rounded to bfloat16, would lie a pixel or two beside."""
    where = training.Where([torch.device("cpu")], True, 0)
    seen = []

    class Learner(training.Learner):
        def forward(self, pictures, truth):
            seen.append(truth.boxes)
            return super().forward(pictures, truth)

    box = torch.tensor([[201.3, 101.7, 303.3, 217.9]])
    model = training._fabric(where).setup_module(Learner(Network(SMALL)))
    anchors = joined(Anchors().levels(320, 320, torch.device("cpu")))
    truth = Truth.of([assign(anchors, box, box[:0])])
    found = model(torch.zeros(1, 3, 320, 320, dtype=torch.uint8), truth)

    assert torch.equal(seen[0][0], box[0])
    assert all(each.isfinite().all() for each in found.values())


def unjudged(network):
    return {}


def test_positives_to_negatives_are_those_of_the_whole_epoch(place, tmp_path):
    """Not the mean of batches: one in which hardly a negative is kept would outweigh them all."""
    data, how = [examples(open_dataset("faces"))], replace(FEW, epochs=1, batch=3)
    where = training.Where([torch.device("cpu")], False, 0)
    baseline = replace(SMALL, hcc=False, quality="none")
    training.Training(tmp_path, data, 64, how, where, unjudged).run(Network(baseline))
    (row,) = csv.DictReader((tmp_path / "results.csv").open())
    samples = Samples(drawn(data, how, 0), 64, how, 0)
    anchors = joined(Anchors().levels(64, 64, torch.device("cpu")))
    seen = len(samples) - len(samples) % how.batch
    _, truth = batched(anchors, [samples[number] for number in range(seen)])

    expected = (truth.labels == 1).sum() / (truth.labels == 0).sum()
    assert float(row["before"]) == pytest.approx(expected.item(), rel=1e-3)
    assert row["after"] == row["before"]


@pytest.mark.slow
def test_several_devices_learn_together(place, tmp_path):
    """Two processes, as two GPUs would be; what they have learned is in the network given."""
    data = [examples(open_dataset("faces"))]
    network = Network(SMALL)
    before = {name: each.clone() for name, each in network.state_dict().items()}
    where = training.Where([torch.device("cpu")] * 2, False, 0)
    training.Training(tmp_path, data, 64, FEW, where, unjudged).run(network)
    after = network.state_dict()

    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + FEW.epochs
    assert any(not torch.equal(before[name], each) for name, each in after.items())
    assert all(each.isfinite().all() for each in after.values())


@pytest.mark.gpu
def test_on_a_gpu(place):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    settings(name="gpu", device="0", mixed=True).run()
    assert open_neonatal(place / "runs" / "train" / "gpu" / "best.pt", "cuda", half=True).half
