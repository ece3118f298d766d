"""``uncover extract``: heatmap datasets, whole and the same whatever happens on the way."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from synthetic import face_picture, ibug_points, write_pts

from pipeline import (
    dataset,
    heatmap_files,
    heatmap_sheets,
    images,
    media,
    runs,
    video,
    yolo,
)
from pipeline.boxes import from_cxcywh_share
from pipeline.errors import UserError
from pipeline.extract import Extract
from pipeline.images import Letterbox
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.prepare import Prepare
from pipeline.recipe import Recipe, saved
from pipeline.stage1 import open_stage1
from pipeline.two_stage import TwoStage
from pipeline.yolo import Found

SIDE = 96
GRID = SIDE // 8


def save_weights(path, names=PARTS, channels=3):
    """A network that has learned nothing; some of its classes are sure of themselves."""
    torch.manual_seed(0)
    model = yolo.build("n", names, channels)
    for branch in model.model[-1].cv3:
        branch[-1].bias.data = torch.linspace(-6, 1, len(names))
    torch.save({"model": model}, path)
    return path


@pytest.fixture(scope="module")
def place(module_home):
    """A home with weights and a dataset of parts: wide and high pictures, several splits."""
    home = module_home
    folder = home / "source"
    folder.mkdir()
    for number in range(20):
        width, height = (180, 110) if number % 2 else (120, 170)
        points = ibug_points(width * 0.45, height * 0.5, 70, roll=number - 10)
        images.write(folder / f"f{number:02d}.jpg", face_picture([points], width, height, number))
        write_pts(folder / f"f{number:02d}.pts", points)
    images.write(folder / "nobody.jpg", np.zeros((50, 60, 3), np.uint8))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small nets; and sums are the same in every process
    common = {"occlude": "none,hard", "crowd": 0.0, "workers": 1, "split": "6:2:2"}
    Prepare((f"ibug={folder}",), "parts", turn=90, turn_evaluation=True, **common).run()
    Prepare((f"ibug={folder}",), "faces", classes="face", **common).run()
    few = home / "few-pictures"
    few.mkdir()
    for path in sorted(folder.iterdir())[:6]:
        path.rename(few / path.name)
    Prepare((f"ibug={few}",), "few", classes="face", split="1:0:0").run()
    save_weights(home / "stage1.pt")
    yield home
    torch.set_num_threads(threads)


@pytest.fixture
def extract(place, request):
    """The command with small settings, into names that no other test has."""

    def build(**settings):
        name = re.sub(r"\W+", "-", request.node.name) + settings.pop("suffix", "")
        if "source" not in settings:
            settings.setdefault("data", "faces")
        recipe = settings.pop("recipe", Recipe())
        usual = {"weights": str(place / "stage1.pt"), "imgsz": SIDE, "batch": 4, "device": "cpu"}
        return Extract(name=name, recipe=recipe, **usual | settings)

    return build


def contents(folder):
    """Every file's bytes; what says where and how it was made is left out."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {"data.yaml", "data-turned.yaml"}
    }
    manifest = json.loads(found.pop("manifest.json"))
    del manifest["made"]
    return found | {"manifest.json": manifest}


def test_the_layout_is_ultralytics_and_nothing_is_lost(place, extract):
    """A heatmap and a label for every picture of every split, one class, ten channels."""
    target = extract(data="parts").run()
    source, made = dataset.open_dataset("parts"), dataset.open_dataset(target.name)
    rows, lines = list(source.rows()), list(made.rows())
    settings = yaml.safe_load(made.yaml.read_text())

    assert target == place / "datasets" / target.name
    assert {row["split"] for row in lines} == {"train", "val", "test", "val_turned", "test_turned"}
    assert len(lines) == len(rows)
    assert settings["path"] == str(target)
    assert settings["channels"] == 10
    assert settings["names"] == {0: "face"}
    assert (target / "data-turned.yaml").is_file()
    assert max(images.read(target / "contact-sheet.jpg").shape) > 500
    for row, line in zip(rows, lines, strict=True):
        stack, facts = heatmap_files.read(made.picture(line))
        assert stack.shape == (10, GRID, GRID)
        assert facts["picture"] == f"{row['split']}/{row['name']}"
        assert facts["weights"]["sha256"] == runs.sha256(place / "stage1.pt")
        assert facts["recipe"] == made.manifest()["recipe"]
        assert line["original"] == {"name": row["name"], "size": row["size"]}
        assert line["faces"] == row["faces"]
        assert set(line["best"]) == set(PARTS)
        assert [name for name in PARTS if line["best"][name] < 0.25] == line["weak"]
        assert dataset.label_path(target, line["split"], line["name"]).is_file()
    assert sum(1 for _ in target.glob("images/*/*")) == len(rows)


class Blind:
    """A stage 2 that finds nothing, but is shown everything."""

    def __init__(self, recipe):
        self.recipe = recipe

    def boxes(self, stacks, *_):
        return [Found(np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, int)) for _ in stacks]


def test_detection_shows_stage_2_what_it_was_trained_on(place, extract):
    """Bytes and letterbox, for wide and high pictures; a batch's company costs a grey level."""
    made = dataset.open_dataset(extract(data="parts").run().name)
    source = dataset.open_dataset("parts")
    stage = open_stage1(place / "stage1.pt", "cpu", SIDE)
    it = TwoStage(stage, Blind(saved(made.manifest()["recipe"])), 1.0, 0.5, keep=True)
    for row, line in zip(source.rows(), made.rows(), strict=True):
        expected, facts = heatmap_files.read(made.picture(line))
        shown = it(source.picture(row)).heatmap

        assert np.abs(shown.stack.astype(int) - expected).max() <= 1
        assert shown.facts["letterbox"] == facts["letterbox"]


def test_unlabelled_pictures_are_kept(place, extract):
    """They have a split of their own, and empty labels."""
    folder = place / "bare"
    folder.mkdir()
    images.write(folder / "a.png", np.full((40, 60, 3), 90, np.uint8))
    Prepare((f"hand-over-face={folder}",), "bare", classes="face").run()
    made = dataset.open_dataset(extract(data="bare").run().name)

    assert [row["split"] for row in made.rows()] == ["unlabelled"]
    assert [path.read_text() for path in made.root.glob("labels/unlabelled/*")] == [""]


@pytest.mark.parametrize("data", ["parts", "faces"])
def test_a_face_lies_at_the_same_place_of_the_grid(place, extract, data):
    """Label boxes, undone by the letterbox that the file names, are the source's boxes."""
    source = dataset.open_dataset(data)
    made = dataset.open_dataset(extract(data=data).run().name)
    for row, line in zip(source.rows(), made.rows(), strict=True):
        boxes, classes = source.labels(row)
        expected = boxes[classes == (WHOLE_FACE if data == "parts" else 0)]
        letterbox = Letterbox(**line["letterbox"])
        found, zeros = made.labels(line)

        assert (letterbox.width, letterbox.height) == tuple(row["size"])
        assert not zeros.any()
        np.testing.assert_allclose(letterbox.undo(found), expected, atol=0.01)
        text = dataset.label_path(made.root, line["split"], line["name"]).read_text().split()
        in_cells = from_cxcywh_share(np.array([text[1:]], np.float64), GRID, GRID)
        np.testing.assert_allclose(in_cells * 8, letterbox.apply(expected), atol=0.01)


def test_padding_is_zero_in_the_files(extract):
    """Wide and high pictures alike."""
    made = dataset.open_dataset(extract().run().name)
    for line in made.rows():
        stack, _ = heatmap_files.read(made.picture(line))
        letterbox = Letterbox(**line["letterbox"])
        inside = letterbox.picture(np.ones(line["original"]["size"][::-1], np.uint8), pad=0)
        outside = inside[3::8, 3::8] + inside[4::8, 4::8] == 0

        assert outside.any()
        assert not stack[:, outside].any()
        assert stack.any()


def test_several_variants_in_one_pass_are_those_made_singly(extract):
    """Byte for byte, and the trunk runs once for all of them."""
    both = Recipe(method="hirescam,gradcam++", compose="average,stack")
    settings = extract(recipe=both, suffix="-both")
    settings.run()
    for method in ("hirescam", "gradcam++"):
        for compose in ("average", "stack"):
            together = runs.datasets() / f"{settings.name}-{method}-{compose}"
            recipe = Recipe(method=method, compose=compose)
            single = extract(recipe=recipe, suffix=f"-{method}-{compose}-x").run()
            one, other = contents(single), contents(together)
            for each in (one, other):  # the title of the sheet is the dataset's name
                del each["contact-sheet.jpg"]
            assert one == other
            channels = yaml.safe_load((together / "data.yaml").read_text()).get("channels")
            assert channels == (1 if compose == "average" else 10)


def test_the_trunk_runs_once_for_all_variants(extract, monkeypatch):
    """A forward pass for each batch, of the sample for the peak and of the pictures.

    Pictures have one of two shapes, so one batch of each is mixed and takes two.
    """
    passes = []
    look = yolo.Network.look
    monkeypatch.setattr(yolo.Network, "look", lambda *a: passes.append(1) or look(*a))
    settings = extract(recipe=Recipe(method="hirescam,layercam", compose="average,stack"))
    settings.run()
    rows = list(dataset.open_dataset("faces").rows())
    train = sum(row["split"] == "train" for row in rows)

    batches = -(-len(rows) // 4) + -(-train // 4)
    assert batches <= len(passes) <= batches + 2


def test_pytorch_grad_cam_behind_the_same_interface(extract):
    """Same files, no value further than one grey level from ours.

    By HiResCAM: the published Grad-CAM++ is another where logits are small.
    """
    hires = Recipe(method="hirescam")
    ours = dataset.open_dataset(extract(data="few", recipe=hires, suffix="-ours").run().name)
    like = replace(extract(data="few", engine="grad-cam"), like=ours.root.name)
    theirs = dataset.open_dataset(like.run().name)

    assert theirs.manifest()["settings"]["engine"] == "grad-cam"
    for line in ours.rows():
        mine, reference = (heatmap_files.read(each.picture(line))[0] for each in (ours, theirs))
        assert np.abs(mine.astype(int) - reference).max() <= 1


def test_like_takes_the_whole_recipe_and_the_peak(place, extract):
    """The training set's recipe for a test set; other weights or settings are refused."""
    recipe = Recipe(method="layercam", gamma=0.7, levels=(0, 1))
    first = extract(recipe=recipe, suffix="-first").run()
    peak = dataset.open_dataset(first.name).manifest()["recipe"]["peak"]
    second = extract(data="parts", like=first.name).run()
    manifest = dataset.open_dataset(second.name).manifest()

    assert peak > 0
    assert manifest["recipe"] == dataset.open_dataset(first.name).manifest()["recipe"]
    other = save_weights(place / "other.pt", PARTS)
    other.write_bytes(other.read_bytes() + b" ")
    with pytest.raises(UserError, match="made with other weights"):
        extract(like=first.name, weights=str(other)).run()
    with pytest.raises(UserError, match="leave out its settings"):
        extract(like=first.name, recipe=Recipe(method="gradcam")).run()
    for side in (64, 640):  # 640 is what it would be without --like
        with pytest.raises(UserError, match=f"--imgsz {side}"):
            extract(like=first.name, imgsz=side).run()
    third = extract(data="few", like=first.name, imgsz=None, suffix="-third").run()
    assert dataset.open_dataset(third.name).manifest()["settings"]["imgsz"] == SIDE
    with pytest.raises(UserError, match="not of heatmaps"):
        extract(like="faces").run()


def test_a_given_peak_is_used_as_it_is(extract):
    """Nothing is measured."""
    target = extract(recipe=Recipe(peak=0.125)).run()

    assert dataset.open_dataset(target.name).manifest()["recipe"]["peak"] == 0.125


def test_finished_work_is_skipped_and_other_work_refused(place, extract, capsys):
    """Same settings: up to date. Other settings: what differs, and --overwrite."""
    settings = extract()
    target = settings.run()
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    settings.run()
    assert "up to date" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before

    other = replace(settings, recipe=Recipe(gamma=0.9))
    with pytest.raises(UserError, match=r"gamma: 0\.5 -> 0\.9"):
        other.run()
    replace(other, overwrite=True).run()
    assert dataset.open_dataset(target.name).manifest()["recipe"]["gamma"] == 0.9


def _run(home, settings):
    torch.set_num_threads(1)
    os.environ["UNCOVER_HOME"] = str(home)
    settings.run()


def start(place, settings):
    """The command in a process of its own, forked from one that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.heatmap_set"])
    process = context.Process(target=_run, args=(place, settings))
    process.start()
    return process


def kill_when(process, folder, count):
    """SIGKILL as soon as there are so many files; whether it was still running."""
    while process.is_alive():
        with contextlib.suppress(OSError):
            if sum(1 for path in folder.rglob("*") if path.is_file()) >= count:
                process.kill()
                break
        time.sleep(0.001)
    process.join()
    return process.exitcode == -signal.SIGKILL


def test_killed_at_any_moment_it_ends_with_the_same_files(place, extract):
    """kill -9 while maps are written and while labels are; then on to identical bytes."""
    settings = extract(data="parts", recipe=Recipe(compose="stack,average"))
    settings.run()
    targets = [
        runs.datasets() / f"{settings.name}-gradcam++-{kind}" for kind in ("stack", "average")
    ]
    expected = []
    for target in targets:
        expected.append(contents(target))
        target.rename(place / target.name)
    pictures = len(list(dataset.open_dataset("parts").rows()))
    state = runs.datasets() / f".{targets[0].name}.resumable"
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    while_drawing = sorted(rng.integers(8, pictures, 3).tolist())
    moments = [1, *while_drawing, pictures + int(rng.integers(8, pictures))]
    for count in moments:
        assert kill_when(start(place, settings), state, count), f"not killed at {count}"
        assert not targets[0].exists()
    process = start(place, settings)
    process.join()

    assert process.exitcode == 0
    assert [contents(target) for target in targets] == expected, f"killed at {moments}"
    assert not list(runs.datasets().glob(f".{settings.name}*resumable"))


def test_a_missing_file_is_made_again_and_the_rest_is_kept(extract, monkeypatch, capsys):
    """An interrupted run's files stay as they are, its batch is done again whole."""
    settings = extract()
    finish = "pipeline.heatmap_set._finish"
    with monkeypatch.context() as patch, pytest.raises(UserError, match="goes on from there"):
        patch.setattr(finish, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        settings.run()
    state = runs.datasets() / f".{settings.name}.resumable"
    files = sorted(state.glob("folder/images/*/*.tif"))
    expected = {path.name: path.read_bytes() for path in files}
    files[3].unlink()
    before = {path: path.stat().st_mtime_ns for path in files if path != files[3]}
    with monkeypatch.context() as patch, pytest.raises(UserError):
        patch.setattr(finish, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        settings.run()

    assert {path.name: path.read_bytes() for path in files} == expected
    assert sum(path.stat().st_mtime_ns != time for path, time in before.items()) == 3
    other = replace(settings, recipe=Recipe(anchors=3))
    other.run()
    assert "thrown away" in capsys.readouterr().out
    assert not state.exists()


def test_a_full_disk_is_told(extract, monkeypatch):
    """From a thread that writes, as a line for people; no dataset appears."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(heatmap_files, "write", full)
    settings = extract()
    with pytest.raises(UserError, match="No space left"):
        settings.run()

    assert not (runs.datasets() / settings.name).exists()


def test_wrong_requests_are_told(place, extract, tmp_path):
    """What was wrong, and what would be right."""
    face = save_weights(tmp_path / "face.pt", ["face"])
    deep = save_weights(tmp_path / "deep.pt", PARTS, channels=10)
    swapped = save_weights(tmp_path / "swapped.pt", PARTS[::-1])
    hollow = place / "datasets" / "hollow"
    hollow.mkdir(exist_ok=True)
    (hollow / "manifest.json").write_text("{}")
    (hollow / "annotations.jsonl").write_text("")
    (hollow / "data.yaml").write_text("names: {0: face}")
    maps = extract(suffix="-maps").run().name
    for settings, words in (
        ({"data": "unknown"}, "no prepared dataset 'unknown'"),
        ({"weights": face}, "weights for face; stage 1 knows the ten parts: eyes, nose"),
        ({"weights": swapped}, "stage 1 knows the ten parts"),
        ({"weights": deep}, "10 channels; stage 1 sees 3"),
        ({"weights": place / "none.pt"}, "no such file"),
        ({"weights": place / "datasets" / "faces" / "data.yaml"}, "not a file of weights"),
        ({"imgsz": 100}, "a multiple of 32"),
        ({"batch": 0}, "1 or more"),
        ({"device": "cuda:77"}, "no such CUDA device"),
        ({"device": "toaster"}, "expected cpu"),
        ({"half": True}, "--half needs a CUDA device"),
        ({"data": "hollow"}, "without pictures"),
        ({"data": maps}, "a dataset of heatmaps"),
        ({"data": ""}, "either --data"),
        ({"recipe": Recipe(method="magic")}, "known are hirescam"),
        ({"recipe": Recipe(levels=(7,))}, "levels"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            extract(**settings).run()
    with pytest.raises(UserError, match="a plain name, without"):
        replace(extract(), name="../x").run()
    with pytest.raises(UserError, match="the dataset that is read"):
        replace(extract(), name="faces", overwrite=True).run()


def test_any_pictures_and_videos_become_maps_and_sheets(place, extract, tmp_path, capsys):
    """A heatmap and a sheet for each; what cannot be read is counted, and the rest goes on."""
    for number, (width, height) in enumerate([(120, 80), (70, 150)]):
        images.write(tmp_path / f"p{number}.png", face_picture([], width, height, number))
    (tmp_path / "broken.jpg").write_bytes(b"hello")
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (96, 64))
    for number in range(5):
        writer.write(face_picture([], 96, 64, number))
    writer.release()
    settings = extract(source=str(tmp_path))
    target = settings.run()
    lines = [json.loads(line) for line in (target / "frames.jsonl").read_text().splitlines()]
    names = ["p0", "p1", *(f"v@{number:06d}" for number in range(5))]

    assert target == place / "runs" / "extract" / settings.name
    assert [line["name"] for line in lines] == names
    assert lines[-1]["seconds"] == 0.8
    for line in lines:
        stack, facts = heatmap_files.read(target / f"{line['name']}.tif")
        assert stack.shape == (10, GRID, GRID)
        assert facts["letterbox"]["width"] == line["size"][0]
        assert images.read(target / f"{line['name']}.jpg").shape[1] > 1000
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["pictures"] == 7
    assert sum(manifest["left_out"].values()) == 1
    assert "broken.jpg" in capsys.readouterr().err
    settings.run()
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(UserError, match="no picture in it can be read"):
        extract(source=str(tmp_path / "broken.jpg"), suffix="-broken").run()


def test_pictures_that_nobody_can_read_are_told(extract, tmp_path):
    """All those that should tell the peak: why, and what to do."""
    for number in range(3):
        (tmp_path / f"p{number}.jpg").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"no picture in it can be read") as caught:
        extract(source=str(tmp_path)).run()

    assert "--peak" in str(caught.value)
    assert "p0.jpg" in str(caught.value)


def test_few_frames_are_in_flight(place, extract, tmp_path, monkeypatch):
    """Reading, network and writing hold four batches of a long video, however slow the writing."""
    images.write(tmp_path / "p.png", face_picture([], 60, 40, 0))
    alive, most = weakref.WeakSet(), []

    def frames(*_):
        for number in range(40):
            frame = video.Frame(np.zeros((40, 60, 3), np.uint8), f"v@{number:06d}", "v")
            alive.add(frame)
            most.append(len(alive))
            yield frame

    def slowly(view, folder):
        time.sleep(0.05)

    monkeypatch.setattr(media, "frames", frames)
    monkeypatch.setattr(heatmap_sheets, "_write", slowly)
    extract(source=str(tmp_path), batch=4, recipe=Recipe(peak=1e-8)).run()

    assert len(most) == 40
    assert max(most) <= 4 * 4 + 4


def test_a_picture_that_takes_anothers_name_is_noticed(extract, tmp_path):
    """As many files, as many bytes, none newer: another result all the same."""
    for number in range(2):
        images.write(tmp_path / f"p{number}.png", face_picture([], 60, 40, number))
    settings = extract(source=str(tmp_path))
    settings.run()
    for old, new in (("p0", "x"), ("p1", "p0"), ("x", "p1")):
        (tmp_path / f"{old}.png").rename(tmp_path / f"{new}.png")
    with pytest.raises(UserError, match="made otherwise"):
        settings.run()
    replace(settings, overwrite=True).run()


def test_the_rate_counts_what_this_run_has_done(extract, monkeypatch, capsys):
    """Not what an interrupted one had done before it."""
    settings = extract()
    with monkeypatch.context() as patch, pytest.raises(UserError, match="goes on from there"):
        patch.setattr(
            "pipeline.heatmap_set._finish",
            lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")),
        )
        settings.run()
    state = runs.datasets() / f".{settings.name}.resumable"
    min(state.glob("folder/images/*/*.tif")).unlink()
    capsys.readouterr()
    settings.run()

    assert re.search(r"^  4 pictures in ", capsys.readouterr().out, re.MULTILINE)  # one batch


TRAIN = """
import sys
import pipeline.yolo
from ultralytics import YOLO
data, project = sys.argv[1:]
model = YOLO("yolov5n.yaml")
model.train(data=data, epochs=1, imgsz=64, batch=4, device="cpu", workers=0, plots=False,
            project=project, name="x", amp=False, pretrained=False, mosaic=0, fliplr=0)
print("CHANNELS", model.model.yaml["channels"], next(model.model.parameters()).shape[1])
"""


@pytest.mark.parametrize("compose", ["stack", "average"])
def test_ultralytics_reads_labels_and_pixels_as_we_do(extract, compose):
    """Its dataset holds our arrays and boxes; a square heatmap is not padded in training."""
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset

    made = dataset.open_dataset(extract(recipe=Recipe(compose=compose)).run().name)
    data = check_det_dataset(str(made.yaml))
    still = dict.fromkeys(
        ("mosaic", "fliplr", "hsv_h", "hsv_s", "hsv_v", "translate", "scale", "erasing"), 0.0
    )
    options = get_cfg(overrides={"imgsz": GRID, "task": "detect", **still})
    theirs = build_yolo_dataset(options, data["train"], 4, data, mode="train", rect=False)
    lines = {Path(row["name"]).stem: row for row in made.rows("train")}

    assert len(theirs) == len(lines)
    for item in (theirs[number] for number in range(len(theirs))):
        line = lines[Path(item["im_file"]).stem]
        stack, _ = heatmap_files.read(made.picture(line))
        # Their formatting flips the order of channels as it would turn BGR into RGB.
        found = item["img"].numpy()
        assert (found == stack).all() or (found == stack[::-1]).all()
        boxes, classes = made.labels(line)
        xywh = item["bboxes"].numpy().astype(np.float64)
        np.testing.assert_allclose(from_cxcywh_share(xywh, *line["size"]), boxes, atol=0.01)
        assert item["cls"].flatten().tolist() == classes.tolist()


@pytest.mark.slow
def test_stage_2_trains_on_it(extract, tmp_path):
    """One epoch of a YOLOv5n from scratch on ten channels."""
    made = dataset.open_dataset(extract().run().name)
    line = [sys.executable, "-c", TRAIN, str(made.yaml), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "CHANNELS 10 10" in done.stdout
    assert "corrupt" not in (done.stdout + done.stderr).replace("0 corrupt", "")
