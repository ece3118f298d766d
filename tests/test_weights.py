"""Shipped weights: listed, verified, found by name; and refused when they are not what they say."""

import json
import re
import zipfile

import pytest
import torch

from pipeline import runs, shipped, yolo
from pipeline.errors import UserError
from pipeline.neonatal.trained import open_neonatal
from pipeline.parts import PARTS
from pipeline.weights import Weights


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty shelf, and a finished training beside it."""
    monkeypatch.setattr(runs, "weights", lambda: tmp_path / "weights")
    folder = tmp_path / "runs" / "train" / "toy"
    folder.mkdir(parents=True)
    torch.save({"model": yolo.build("n", PARTS).half()}, folder / "best.pt")
    made = {
        "command": "/me/__main__.py train parts --data=/home/me/data --hyper 'C:\\me\\h.yaml'",
        "git": "abc",
    }
    data = {
        "settings": {"occlude": ""},
        "sources": {"ibug": {"path": "/home/me/ibug68", "content": "f00"}},
        "pictures": {"train": 3},
        "made": {"command": "/bin/uncover prepare ibug=/home/me/ibug68,/home/me/p --name x"},
    }
    manifest = {
        "settings": {"seed": 0},
        "sources": {"weights": None},
        "weights": {"sha256": runs.sha256(folder / "best.pt")},
        "about": {"kind": "parts", "threshold": 0.4},
        "scores": {},
        "data": data,
        "made": made,
    }
    runs.write_json(folder / "manifest.json", manifest)
    return folder


def test_what_is_added_is_listed_and_found_by_name(shelf, capsys):
    Weights(str(shelf), "parts-toy", "for a test").run()
    said = capsys.readouterr().out

    assert "parts-toy" in said
    assert "whole" in said
    assert "for a test" in said
    assert shipped.find("parts-toy") == runs.weights() / "parts-toy.pt"
    assert yolo.load(shipped.find("parts-toy")).names == list(PARTS)


def test_a_card_says_nothing_of_the_machine(shelf):
    """Commands and sources without folders; terms of use beside the scores."""
    Weights(str(shelf), "parts-toy").run()
    text = (runs.weights() / "parts-toy.json").read_text()
    card = json.loads(text)

    assert "/home/me" not in text
    assert card["command"] == "uncover train parts --data=data --hyper h.yaml"
    assert card["data"]["command"] == "uncover prepare ibug=ibug68,p --name x"
    assert card["data"]["sources"] == {"ibug": {"content": "f00"}}
    assert "research" in card["terms"]


def test_a_changed_file_is_told_and_not_used(shelf):
    """One byte is enough."""
    Weights(str(shelf), "parts-toy").run()
    path = runs.weights() / "parts-toy.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(UserError, match="not the file its card is of"):
        Weights().run()
    with pytest.raises(UserError, match="install Uncover anew"):
        shipped.find("parts-toy")


def test_a_missing_file_is_told(shelf):
    Weights(str(shelf), "parts-toy").run()
    (runs.weights() / "parts-toy.pt").unlink()

    with pytest.raises(UserError, match="missing"):
        Weights().run()


def test_a_path_is_taken_before_a_name(shelf):
    assert shipped.find(shelf / "best.pt") == shelf / "best.pt"
    assert shipped.find(shelf) == shelf / "best.pt"


def test_a_path_begins_where_we_are_or_where_results_lie(tmp_path, monkeypatch):
    training = tmp_path / "runs" / "train" / "mine"
    training.mkdir(parents=True)
    (training / "best.pt").write_bytes(b"weights")
    monkeypatch.setenv("UNCOVER_HOME", str(tmp_path))
    assert shipped.find("runs/train/mine") == training / "best.pt"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"add": "nowhere", "name": "x"}, "no finished training"),
        ({"name": "x"}, "belong to --add"),
        ({"thresholds": (0.5, 0.5)}, "belong to --add"),
        ({"add": "SHELF", "name": "x", "thresholds": (0.5, 0.5)}, "for a stage 2"),
        ({"add": "SHELF", "name": "../x"}, "plain name"),
    ],
)
def test_what_cannot_be_added(shelf, settings, words):
    given = {key: str(shelf) if value == "SHELF" else value for key, value in settings.items()}
    with pytest.raises(UserError, match=words):
        Weights(**given).run()


def test_a_pair_is_shipped_with_the_thresholds_that_were_chosen_for_it(shelf, tmp_path):
    """In the weights and on the card; the training stays as it was."""
    from pairs import save_second

    from pipeline.stage2 import open_stage2

    second = tmp_path / "second"
    second.mkdir()
    save_second(second / "best.pt", "0" * 64, threshold=0.9)
    manifest = json.loads((shelf / "manifest.json").read_text())
    about = yolo.about(second / "best.pt")
    manifest |= {"about": about, "weights": {"sha256": runs.sha256(second / "best.pt")}}
    (second / "manifest.json").write_text(json.dumps(manifest))
    Weights(str(second), "heatmap-toy", thresholds=(0.7, 0.2)).run()
    shipped_one = open_stage2(shipped.find("heatmap-toy"), torch.device("cpu"))
    card = json.loads((runs.weights() / "heatmap-toy.json").read_text())

    assert (shipped_one.first, shipped_one.threshold) == (0.7, 0.2)
    assert card["about"]["threshold"] == 0.2
    assert yolo.about(second / "best.pt")["threshold"] == 0.9


def test_an_unknown_name_lists_the_known_ones(shelf):
    Weights(str(shelf), "parts-toy").run()
    with pytest.raises(UserError, match="parts-toy"):
        shipped.find("parts-tay")


def test_every_file_that_is_really_shipped_is_whole():
    """The shelf of this checkout: hashes, cards, loading, no machine in them."""
    for one in shipped.shelf():
        assert one.fault() is None
        neonatal = one.card["about"]["kind"] == "neonatal"
        assert (open_neonatal(one.path, "cpu") if neonatal else yolo.load(one.path)).names
        assert "NaN" not in (runs.weights() / f"{one.name}.json").read_text()
        assert one.card["terms"]
        assert one.card["scores"]
        assert not paths_in(json.dumps(one.card).encode())
        assert not paths_in(pickled(one.path))


def pickled(weights):
    """All that is in a file of weights but the numbers."""
    with zipfile.ZipFile(weights) as file:
        return b"".join(file.read(name) for name in file.namelist() if "/data/" not in name)


def paths_in(said):
    """What looks like the path of a machine: two folders below its root, or below a drive."""
    return re.findall(rb"(?<![\w.~-])(?:/[\w.-]+/[\w./-]+|[A-Z]:\\[\w.\\-]+)", said)


def test_a_path_in_weights_is_seen(tmp_path):
    """In the pickle of a checkpoint as Ultralytics writes it, and in a card."""
    model = yolo.build("n", PARTS)
    torch.save({"model": model}, tmp_path / "clean.pt")
    model.args = {"data": str(tmp_path / "data.yaml")}
    torch.save({"model": model}, tmp_path / "told.pt")

    assert not paths_in(pickled(tmp_path / "clean.pt"))
    assert paths_in(pickled(tmp_path / "told.pt"))
    assert paths_in(b'"source": "/srv/ward/x.mp4"')
