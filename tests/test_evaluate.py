"""``uncover evaluate`` and ``train all``: the whole ladder on a tiny set, then its tables."""

import csv
import json
import re

import numpy as np
import pytest
from synthetic import ibug_folder, wider_folder

from pipeline import dataset, images, runs, yolo
from pipeline.errors import UserError
from pipeline.evaluate import Evaluate
from pipeline.inspect.room import Room
from pipeline.ladder import TrainAll
from pipeline.prepare import Prepare
from pipeline.schedule import Schedule

FEW = {"epochs": 1, "imgsz": 96, "batch": 8}


@pytest.fixture(scope="module")
def place(module_home):
    """A home in which the whole ladder has been climbed."""
    home = module_home
    ibug_folder(home / "source" / "helen_train", count=10)
    ibug_folder(home / "source" / "helen_test", count=3, start=100)
    source = (f"ibug={home / 'source'}",)
    Prepare(source, "faces", val_share=0.2, workers=1).run()
    Prepare(source, "hidden", occlude="none,hard", val_share=0.2, workers=1).run()
    ladder = TrainAll(
        "faces",
        "hidden",
        schedule=Schedule(**FEW),
        hidden_epochs=1,
        heatmap_epochs=1,
        heatmap_imgsz=32,
        device="cpu",
    )
    ladder.run()
    return home, ladder


def test_the_ladder_ends_with_the_tables(place):
    """Nine models; every split; all classes and the whole face."""
    home, _ = place
    with (home / "runs" / "train" / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len({row["model"] for row in rows}) == 9
    assert {row["set"] for row in rows} == {"val", "test"}
    assert {row["classes"] for row in rows} == {"all", "whole face", "face"}
    assert (home / "runs" / "train" / "faces.md").read_text().startswith("| model | set |")


def test_a_finished_ladder_is_climbed_at_once(place, capsys):
    """Every step is skipped, because it is there with the same settings."""
    home, ladder = place
    weights = home / "runs" / "train" / "faces-parts" / "best.pt"
    before = weights.stat().st_mtime_ns
    ladder.run()
    said = capsys.readouterr().out

    assert said.count("up to date") == 9 + 6  # trainings and sets of heatmaps
    assert weights.stat().st_mtime_ns == before


def test_stage_2_knows_where_its_heatmaps_come_from(place):
    home, _ = place
    train = home / "runs" / "train"
    about = yolo.about(train / "faces-maps-gradcam++-average" / "best.pt")

    assert about["recipe"]["method"] == "gradcam++"
    assert about["recipe"]["compose"] == "average"
    assert about["recipe"]["peak"] > 0
    assert about["stage1"]["sha256"] == runs.sha256(train / "faces-parts" / "best.pt")
    assert about["stage1"]["imgsz"] == 96


def evaluate(place, **settings):
    train = place[0] / "runs" / "train"
    first = train / "faces-parts" / "best.pt"
    second = train / "faces-maps-hirescam-stack" / "best.pt"
    control = train / "faces-face" / "best.pt"
    given = {"stage1": (str(first),), "stage2": (str(second),), "control": (str(control),)}
    given |= {"device": "cpu", "name": "out", "overwrite": True, "parts": False}
    return Evaluate(**{"data": "hidden"} | given | settings)


def test_windows_without_a_face_count_against_who_answers_there(place):
    """Half of the photographs' in the choosing, half in the measuring, under a level of theirs."""
    home, _ = place
    scenes = wider_folder(home / "wider", train=1, val=4)
    Prepare((f"wider={scenes}",), "scenes", classes="face", empty=2, workers=1).run()
    folder = evaluate(place, empty="scenes", conf=1e-6).run()
    (kept,) = (folder / "predictions").glob("empty-*.jsonl")
    windows = [json.loads(line) for line in kept.read_text().splitlines()]
    with (folder / "missed.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["slice"] == "no face"]
    (kept,) = (folder / "predictions").glob("validation-*.jsonl")
    faces = len(kept.read_text().splitlines())

    assert len(windows) == 8
    assert all(line["truth"] == [] for line in windows)
    assert rows
    assert all(row["pictures"] == row["missed"] == "0" for row in rows)
    assert {row["chosen on"] for row in rows} == {str(faces + 4)}  # nobody has learned anything


def test_an_evaluation_has_a_row_for_every_detector_and_level(place):
    folder = evaluate(place).run()
    with (folder / "missed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert {row["answered by"] for row in rows} == {
        *("its lowered threshold", "faces-maps-hirescam-stack", "faces-face"),
        *("faces-parts (from parts)", "faces-parts (brightest)"),
    }
    assert {row["slice"] for row in rows} == {"none", "hard", "all"}
    assert {path.name.split("-")[0] for path in (folder / "predictions").iterdir()} == {
        *("data", "validation", "measured.jsonl")
    }


def test_the_report_is_whole(place):
    """One page that asks nobody for anything; strict JSON; every table in every form."""
    folder = evaluate(place, parts=True).run()
    page = (folder / "report.html").read_text()
    strict = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
    latex = (folder / "tables.tex").read_text()

    assert strict["tables"].keys() == {
        *("verdict", "silent", "parts", "models", "points", "missed", "pairs", "together"),
        "unions",
    }
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert page.count("data:image/png") >= 4
    assert page.count("<table>") == latex.count("\\begin{tabular}") == 9
    assert "confusion matrix" in page
    with (folder / "parts.csv").open(newline="") as file:
        rows = [(row["set"], row["classes"]) for row in csv.DictReader(file)]
    assert rows == [(words, of) for words in ("val", "test") for of in ("all", "whole face")]
    for name in strict["tables"]:
        assert (folder / f"{name}.csv").is_file()
        assert f"tab:{name}" in latex
    for plot in folder.glob("*.png"):
        assert max(images.read(plot).shape) > 500


def test_fresh_windows_are_measured_on_alone(place):
    """Where there are windows of its own for a test, none of the others is measured on."""
    home, _ = place
    scenes = wider_folder(home / "wider3", train=20, val=0)
    Prepare((f"wider={scenes}",), "fresh", classes="face", split="6:2:2", empty=2, workers=1).run()
    folder = evaluate(place, empty="fresh", conf=1e-6).run()
    counts = {
        path.name.split("-")[1]: len(path.read_text().splitlines())
        for path in (folder / "predictions").glob("empty-*.jsonl")
    }
    (kept,) = (folder / "predictions").glob("validation-*.jsonl")
    chosen_on = len(kept.read_text().splitlines()) + counts["val_empty"]
    with (folder / "missed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert counts["val_empty"] == counts["test_empty"] == 8
    assert {row["chosen on"] for row in rows} == {str(chosen_on)}


def test_frames_without_labels_tell_how_often_nothing_is_found(place, tmp_path):
    """No recall is claimed where nobody knows the truth."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        images.write(frames / f"{number}.png", np.full((60, 80, 3), 90 * number, np.uint8))
    Prepare((f"hand-over-face={frames}",), "ward", workers=1).run()
    folder = evaluate(place, data="ward", split="unlabelled", validation="hidden", parts=True).run()
    found = json.loads((folder / "metrics.json").read_text())["tables"]

    assert found.keys() == {"silent", "parts"}
    assert {row["set"] for row in found["parts"]} == {"val"}
    assert all(row["pictures"] == 3 for row in found["silent"])
    ms = {row["detector"]: row["ms a picture"] for row in found["silent"]}
    assert ms["faces-parts > faces-maps-hirescam-stack"] >= ms["faces-parts"] > 0
    assert ms["faces-face"] > 0
    assert "faces-parts > faces-maps-hirescam-stack" in {row["detector"] for row in found["silent"]}
    assert not any("recall" in row for rows in found.values() for row in rows)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conf": 2.0}, "--conf"),
        ({"precision": -1.0}, "--precision"),
        ({"batch": 0}, "--batch"),
        ({"hold": -1}, "--hold: 0 or more"),
        ({"hold": 2, "data": "faces"}, "belong together"),
        ({"stage1": ()}, "at least one"),
        ({"data": "faces", "split": "unlabelled"}, "thresholds come from --validation"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(place, settings, words):
    with pytest.raises(UserError, match=words):
        evaluate(place, **settings).run()


def test_windows_are_no_split_to_measure_on(place):
    with pytest.raises(UserError, match="belong to --empty"):
        evaluate(place, split="test_empty").run()


def test_first_stages_alone_look_at_another_size(place):
    """Second stages know the heatmaps of one size only."""
    with pytest.raises(UserError, match="--stage2 with nothing"):
        evaluate(place, imgsz=160).run()
    folder = evaluate(place, imgsz=160, stage2=()).run()
    with (folder / "models.csv").open(newline="") as file:
        models = {row["model"] for row in csv.DictReader(file)}

    assert models == {*("faces-parts", "faces-parts (from parts)", "faces-face")}


def test_a_held_box_is_one_more_answer(place):
    """Where pictures belong together, as the frames of a film do."""
    home, _ = place
    root = Prepare((f"ibug={home / 'source'}",), "film", split="0:1:4", workers=1).run()
    path = root / "annotations.jsonl"
    rows = [json.loads(line) | {"group": "film"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = evaluate(place, data="film", validation="hidden", hold=5, conf=1e-6).run()
    with (folder / "missed.csv").open(newline="") as file:
        assert "faces-parts (held)" in {row["answered by"] for row in csv.DictReader(file)}


def test_levels_of_ones_own_and_facts_make_slices(place, tmp_path):
    """By the names of the pictures; what fits nothing is told."""
    path = tmp_path / "levels.csv"
    names = [row["name"] for row in dataset.open_dataset("hidden").rows("test")]
    path.write_text("image,level\n" + "".join(f"{name},medium\n" for name in names[:2]))
    folder = evaluate(place, levels=str(path), by=("source",)).run()
    with (folder / "missed.csv").open(newline="") as file:
        found = {row["slice"]: row["pictures"] for row in csv.DictReader(file)}

    assert found["medium"] == "2"
    assert found["source=ibug"] == found["all"]
    path.write_text("image,level\nnobody.jpg,easy\n")
    with pytest.raises(UserError, match="none of its images"):
        evaluate(place, levels=str(path)).run()
    path.write_bytes(b"image,level\n\xff\xfe\n")
    with pytest.raises(UserError, match="no CSV"):
        evaluate(place, levels=str(path)).run()
    path.write_text("image,level\na.jpg,easy\nb/a.png,hard\n")
    with pytest.raises(UserError, match="line 3: a has another level"):
        evaluate(place, levels=str(path)).run()
    path.write_text("image,level\na.jpg,terrible\n")
    with pytest.raises(UserError, match="line 2: level 'terrible'"):
        evaluate(place, levels=str(path)).run()
    with pytest.raises(UserError, match="known of these pictures"):
        evaluate(place, by=("pose",)).run()


def test_two_of_one_name_are_refused(place, tmp_path):
    """One would take the other's place."""
    path = tmp_path / "faces-parts.json"
    path.write_text("[]")
    with pytest.raises(UserError, match="two detectors are called faces-parts"):
        evaluate(place, predictions=(str(path),)).run()


def test_a_second_stage_without_its_first_is_refused(place):
    """Heatmaps of another network mean nothing to it."""
    train = place[0] / "runs" / "train"
    other = train / "faces-hardened" / "best.pt"
    with pytest.raises(UserError, match="not among --stage1"):
        evaluate(place, stage1=(str(other),)).run()


def test_wrong_weights_are_refused_by_name(place):
    train = place[0] / "runs" / "train"
    with pytest.raises(UserError, match="no weights of a stage 2"):
        evaluate(place, stage2=(str(train / "faces-face" / "best.pt"),)).run()
    with pytest.raises(UserError, match="stage 1 knows the ten"):
        evaluate(place, stage1=(str(train / "faces-face" / "best.pt"),)).run()


def test_stage_2_answers_in_pixels_of_the_picture(place):
    """A box that fills a heatmap fills the picture, however wide it is."""
    import torch

    from pipeline.images import Letterbox
    from pipeline.stage2 import open_stage2
    from pipeline.yolo import Found

    path = place[0] / "runs" / "train" / "faces-maps-hirescam-stack" / "best.pt"
    stage = open_stage2(path, torch.device("cpu"))
    whole = np.array([[0, 0, 32, 32]], np.float32)
    found = Found(whole, np.ones(1, np.float32), np.zeros(1, np.int64))
    stage.network.boxes = lambda *_: [found]
    stacks = [np.zeros((10, 12, 12), np.uint8)]
    answer = stage.boxes(stacks, [Letterbox(200, 100, 96, 96)], 0.1, 0.6)

    assert answer[0].boxes.tolist() == [[0, 0, 200, 100]]


def test_an_evaluation_can_be_looked_into(place):
    """Every pair with its own outcomes; pictures, truth, levels; heatmaps drawn on the spot."""
    folder = evaluate(place, name="looked").run()
    room = Room(folder)
    run, names = room.run(), [pair["name"] for pair in room.run()["pairs"]]

    assert run["command"] == "evaluate"
    assert run["labelled"]
    assert run["frames"] == len(list(dataset.open_dataset("hidden").rows("test")))
    assert "hard" in run["levels"]
    assert run["warnings"] == []
    for number, pair in enumerate(run["pairs"]):
        cases = room.columns.frames[number]["case"]
        assert {case["truths"] for case in cases} == {1}
        assert (pair["second"] is None) == all(case["second"] is None for case in cases)
    assert len(set(names)) == len(names) == len(room.columns.frames)
    assert room.album.shown(0).shape[2] == 3
    maps = [room.atlas.maps(0, number, "", ()) for number in range(len(names))]
    assert all(each["width"] > 0 for each in maps)
    assert room.frame(0, 0)["truth"]
