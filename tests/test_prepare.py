import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from synthetic import face_picture, ibug_folder, ibug_points, wider_folder, write_pts

from pipeline import images
from pipeline.dataset import open_dataset
from pipeline.errors import UserError
from pipeline.occlude import level_of
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.prepare import Prepare


@pytest.fixture
def faces(home):
    return ibug_folder(home / "faces")


def prepare(source, name="set", **settings):
    root = Prepare(sources=(source,), name=name, **settings).run()
    return open_dataset(str(root))


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_the_layout_is_ultralytics_own(faces, home):
    """Pictures and label files in step, a yaml with an absolute path, sheet, manifest, lines."""
    data = prepare(f"ibug={faces}", split="4:1:1")
    content = yaml.safe_load(data.yaml.read_text())
    pictures = [name for name in files(data.root) if name.startswith("images/")]

    assert data.root == home / "datasets" / "set"
    assert content["path"] == str(data.root)
    assert content["train"] == "images/train"
    assert list(content["names"].values()) == list(PARTS) == data.names
    assert len(pictures) == 6
    for name in pictures:
        label = data.root / name.replace("images/", "labels/").replace(".jpg", ".txt")
        assert len(label.read_text().splitlines()) == 11
    assert Counter(row["split"] for row in data.rows()) == {"train": 4, "val": 1, "test": 1}
    assert (data.root / "contact-sheet.jpg").stat().st_size > 10_000
    manifest = data.manifest()
    assert manifest["pictures"] == {"train": 4, "val": 1, "test": 1}
    assert manifest["labels"]["train"]["eyes"] == 8
    assert manifest["made"]["ultralytics"]


def test_labels_are_the_boxes_of_the_landmarks(faces):
    """The whole face of each label file is the box around the picture's landmarks."""
    data = prepare(f"ibug={faces}")

    for row in data.rows():
        boxes, classes = data.labels(row)
        points = np.array(row["faces"][0]["points"])
        expected = [*points.min(axis=0), *points.max(axis=0)]
        np.testing.assert_allclose(boxes[classes == WHOLE_FACE][0], expected, atol=0.02)


def test_one_class_is_the_whole_face(faces):
    """--classes face: id 0, one box a face."""
    data = prepare(f"ibug={faces}", classes="face")

    assert data.names == ["face"]
    assert [data.labels(row)[1].tolist() for row in data.rows()] == [[0]] * 6


def test_pictures_are_hard_links_and_survive_the_source(faces):
    """No space is used, and moving or deleting the source breaks nothing."""
    data = prepare(f"ibug={faces}")
    row = next(data.rows())

    assert data.picture(row).stat().st_nlink == 2
    shutil.rmtree(faces)
    assert images.read(data.picture(row)).shape == (160, 160, 3)


def test_links_of_other_kinds(faces):
    """Copies are files of their own; symbolic links are only made when asked for."""
    copied = prepare(f"ibug={faces}", "copied", link="copy")
    linked = prepare(f"ibug={faces}", "linked", link="symbolic")

    assert copied.picture(next(copied.rows())).stat().st_nlink == 1
    assert linked.picture(next(linked.rows())).is_symlink()


def test_the_same_again_does_nothing(faces, capsys):
    """Same settings, same sources: not a file is touched, and it is said."""
    data = prepare(f"ibug={faces}")
    before = {name: (data.root / name).stat().st_mtime_ns for name in files(data.root)}
    prepare(f"ibug={faces}", workers=1)

    assert "up to date" in capsys.readouterr().out
    assert {name: (data.root / name).stat().st_mtime_ns for name in files(data.root)} == before


def test_other_settings_are_refused_without_overwrite(faces):
    """What differs is named; the dataset stays until --overwrite."""
    data = prepare(f"ibug={faces}", seed=1)

    with pytest.raises(UserError, match=r"seed: 1 -> 2"):
        prepare(f"ibug={faces}", seed=2)
    assert data.manifest()["settings"]["seed"] == 1
    prepare(f"ibug={faces}", seed=2, overwrite=True)
    assert data.manifest()["settings"]["seed"] == 2


def test_a_changed_source_is_noticed(faces):
    """A new picture, or a corrected annotation, makes the dataset stale."""
    prepare(f"ibug={faces}")
    write_pts(faces / "face000.pts", ibug_points(80, 80, 60))

    with pytest.raises(UserError, match="ibug"):
        prepare(f"ibug={faces}")


def test_a_folder_that_is_no_dataset_is_not_overwritten_unasked(faces, home):
    """Somebody's own folder under datasets/ is safe."""
    (home / "datasets" / "set").mkdir(parents=True)
    (home / "datasets" / "set" / "thesis.txt").write_text("years of work")

    for overwrite in (False, True):
        with pytest.raises(UserError, match="manifest"):
            prepare(f"ibug={faces}", overwrite=overwrite)
    assert (home / "datasets" / "set" / "thesis.txt").exists()


def test_a_dataset_that_appears_meanwhile_is_not_replaced(faces, home, monkeypatch):
    """Two runs of one name, the second faster: the first finds it there and leaves it."""
    from pipeline import runs

    look = runs.up_to_date

    def look_and_be_overtaken(*arguments):
        there = look(*arguments)
        monkeypatch.setattr(runs, "up_to_date", look)
        prepare(f"ibug={faces}", seed=7)
        return there

    monkeypatch.setattr(runs, "up_to_date", look_and_be_overtaken)
    with pytest.raises(UserError, match="meanwhile"):
        prepare(f"ibug={faces}", seed=1)
    assert open_dataset("set").manifest()["settings"]["seed"] == 7


def test_several_annotations_of_one_picture_become_one_label_file(home):
    """Two faces of one file, and a second copy of the picture for its second face."""
    left, right = ibug_points(60, 80, 60), ibug_points(150, 80, 60)
    folder = home / "faces"
    folder.mkdir()
    picture = face_picture([left, right], 220, 160)
    for name, points in (("1000_1", left), ("1000_2", right)):
        images.write(folder / f"{name}.jpg", picture)
        write_pts(folder / f"{name}.pts", points)
    data = prepare(f"ibug={folder}")
    rows = list(data.rows())

    assert len(rows) == 1
    assert len(rows[0]["faces"]) == 2
    assert data.labels(rows[0])[1].tolist().count(WHOLE_FACE) == 2
    assert data.manifest()["changed"]["copies of a picture joined"] == 1


def test_a_face_labelled_twice_is_one_face(faces, home):
    """The same pictures from two sources: joined, and each face kept once."""
    shutil.copytree(faces, home / "again")
    root = Prepare(sources=(f"ibug={faces}", f"ibug={home / 'again'}"), name="set").run()
    rows = list(open_dataset(str(root)).rows())

    assert len(rows) == 6
    assert {len(row["faces"]) for row in rows} == {1}


def test_two_pictures_of_one_stem_keep_their_own_labels(home):
    """a.jpg and a.png would share a label file in Ultralytics' layout."""
    folder = home / "yolo"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for suffix, value in ((".jpg", 50), (".png", 90)):
        images.write(folder / "images" / f"a{suffix}", np.full((60, 60, 3), value, np.uint8))
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    data = prepare(f"yolo={folder}", classes="face")
    names = [row["name"] for row in data.rows()]

    assert len({name.rsplit(".", 1)[0] for name in names}) == 2


def test_names_with_spaces_unicode_and_dots(home):
    """Odd names arrive, under the dataset's roof."""
    folder = ibug_folder(home / "Üb er", count=3)
    for number, name in enumerate(["säugling 1", "..", "名前..x"]):
        for suffix in (".jpg", ".pts"):
            (folder / f"face{number:03d}{suffix}").rename(folder / f"{name}{suffix}")
    data = prepare(f"ibug={home / 'Üb er'}", split="1:0:0")

    assert len([name for name in files(data.root) if name.startswith("images/train/")]) == 3
    assert all(data.picture(row).is_file() for row in data.rows())


def test_subjects_are_never_in_two_splits(home):
    """FG-NET's subject is in the file name."""
    folder = ibug_folder(home / "f", count=24)
    for number in range(24):
        for suffix in (".jpg", ".pts"):
            name = f"{number // 4:03d}a{number % 4:02d}{suffix}"
            (folder / f"face{number:03d}{suffix}").rename(folder / name)
    data = prepare(f"fgnet={folder}", split="1:1:1")
    splits = {(row["group"], row["split"]) for row in data.rows()}

    assert len(splits) == 6
    assert len({split for _, split in splits}) == 3


def test_pictures_that_may_hold_unlabelled_faces_leave_validation_and_test(home):
    """A small face in a large picture of an unpromised source: training only, and counted."""
    folder = home / "f"
    folder.mkdir()
    for number in range(9):
        points = ibug_points(100, 100, 30)
        images.write(folder / f"{number}.jpg", face_picture([points], 200, 200, number))
        write_pts(folder / f"{number}.pts", points)
    data = prepare(f"ibug={folder}", split="1:1:1")
    reason = next(iter(data.manifest()["left_out"]))

    assert set(data.manifest()["pictures"]) == {"train"}
    assert data.manifest()["left_out"][reason] == 6
    assert "unlabelled" in reason
    kept = prepare(f"ibug={folder}", "kept", split="1:1:1", crowd=0)
    assert kept.manifest()["pictures"] == {"train": 3, "val": 3, "test": 3}


def test_bad_pictures_are_counted_and_the_rest_goes_on(faces):
    """Empty, truncated, missing: each with its reason, no damage to the others."""
    data = (faces / "face001.jpg").read_bytes()
    (faces / "face000.jpg").write_bytes(b"")
    (faces / "face001.jpg").write_bytes(data[: len(data) // 2])
    (faces / "face002.jpg").unlink()
    (faces / "face003.pts").write_text("version: 1\nn_points: 68\n{\n1 2\nx y\n}\n")
    made = prepare(f"ibug={faces}", split="1:0:0")
    told = "\n".join(made.manifest()["left_out_examples"])

    assert made.manifest()["pictures"] == {"train": 2}
    assert made.manifest()["left_out"]["picture cannot be read"] == 2
    assert "face000.jpg: picture cannot be read (the file is empty (0 bytes))" in told
    assert "face002.pts: no such picture" in told
    assert "face003.pts:5" in told


def test_pictures_that_readers_disagree_about_are_rewritten(faces):
    """EXIF-turned, unfinished: an upright 8-bit PNG; the source stays as it was."""
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = images.read(faces / "face000.jpg")
    Image.fromarray(np.rot90(upright)).save(faces / "face000.jpg", exif=exif, quality=95)
    (faces / "face001.jpg").write_bytes((faces / "face001.jpg").read_bytes() + b"\0")
    before = {path.name: path.read_bytes() for path in faces.iterdir()}
    data = prepare(f"ibug={faces}", split="1:0:0")
    rewritten = [row for row in data.rows() if row["name"].endswith(".png")]

    assert [row["name"] for row in rewritten] == ["ibug__face000.png", "ibug__face001.png"]
    assert rewritten[0]["size"] == [160, 160]
    assert np.abs(images.read(data.picture(rewritten[0])).astype(int) - upright).mean() < 4
    assert {path.name: path.read_bytes() for path in faces.iterdir()} == before


def test_ultralytics_reads_it_and_leaves_the_source_alone(faces):
    """Its own loader finds every box; a JPEG it would 'restore' in place is not linked."""
    from ultralytics.data import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    (faces / "face001.jpg").write_bytes((faces / "face001.jpg").read_bytes() + b"\0")
    before = {path.name: path.read_bytes() for path in faces.iterdir()}
    data = prepare(f"ibug={faces}", split="5:1:0")
    content = check_det_dataset(str(data.yaml), autodownload=False)
    loaded = YOLODataset(img_path=str(data.root / "images" / "train"), data=content, imgsz=160)

    assert [len(label["cls"]) for label in loaded.labels] == [11] * 5
    assert {path.name: path.read_bytes() for path in faces.iterdir()} == before


def test_every_picture_has_the_level_it_was_asked_for(faces):
    """One version a level, each with the true share of hidden landmarks, flags to match."""
    data = prepare(f"ibug={faces}", split="1:0:0", occlude="none,easy,medium,hard")
    rows = list(data.rows())

    assert Counter(row["level"] for row in rows) == dict.fromkeys(
        ("none", "easy", "medium", "hard"), 6
    )
    for row in rows:
        if row["level"] == "none":
            assert row["occluders"] == []
            continue
        face = row["faces"][0]
        assert row["occluders"]
        assert level_of(face["hidden_equivalent"]) == row["level"]
        flagged = np.mean([state == 1 for state in face["visibility"]])
        assert face["hidden_landmarks"] == pytest.approx(flagged, abs=1e-3)


def test_occluding_is_repeatable_and_follows_the_seed(faces, monkeypatch):
    """Same seed, same bytes, in one process or several; another seed, other pictures."""
    from pipeline import assemble

    monkeypatch.setattr(assemble, "_ALONE", 1000)
    one = prepare(f"ibug={faces}", "one", occlude="medium", draws=3, workers=2)
    monkeypatch.setattr(assemble, "_ALONE", 2)
    started = []
    pool = assemble.ProcessPoolExecutor
    monkeypatch.setattr(
        assemble, "ProcessPoolExecutor", lambda *a, **k: started.append(a) or pool(*a, **k)
    )
    two = prepare(f"ibug={faces}", "two", occlude="medium", draws=3, workers=2)
    three = prepare(f"ibug={faces}", "three", occlude="medium", draws=3, seed=9, split="1:0:0")
    assert len(started) == 2

    def contents(data):
        return {row["name"]: data.picture(row).read_bytes() for row in data.rows()}

    assert contents(one) == contents(two)
    assert set(contents(one).values()).isdisjoint(contents(three).values())


def test_turned_copies_keep_exact_boxes(faces):
    """K copies of each training picture; the whole face is still the box around its points."""
    data = prepare(f"ibug={faces}", split="4:1:1", turn=180, mirror=True, copies=3)
    turned = [row for row in data.rows() if row["turned"] or row["mirrored"]]

    assert data.manifest()["pictures"] == {"train": 16, "val": 1, "test": 1}
    assert len(turned) == 12
    assert len({row["turned"] for row in turned}) > 8
    for row in turned:
        boxes, classes = data.labels(row)
        points = np.array(row["faces"][0]["points"])
        expected = [*points.min(axis=0), *points.max(axis=0)]
        np.testing.assert_allclose(boxes[classes == WHOLE_FACE][0], expected, atol=0.02)


def test_validation_and_test_are_turned_into_sets_of_their_own(faces):
    """Only on request, with a yaml of their own; the upright ones stay."""
    data = prepare(f"ibug={faces}", split="4:1:1", turn=90, turn_evaluation=True)
    content = yaml.safe_load((data.root / "data-turned.yaml").read_text())

    assert data.manifest()["pictures"] == {
        "train": 8,
        "val": 1,
        "test": 1,
        "val_turned": 1,
        "test_turned": 1,
    }
    assert (content["val"], content["test"]) == ("images/val_turned", "images/test_turned")
    assert yaml.safe_load(data.yaml.read_text())["val"] == "images/val"


def test_mirroring_alone_mirrors_every_copy(faces):
    """Without an angle, a copy that is not mirrored would be the picture again."""
    data = prepare(f"ibug={faces}", split="1:0:0", mirror=True)
    copies = [row for row in data.rows() if "turn" in row["name"]]

    assert len(copies) == 6
    assert all(row["mirrored"] and row["turned"] == 0 for row in copies)


def test_bare_frames_are_kept_apart(home):
    """Pictures without labels are neither trained on nor scored: a split of their own."""
    folder = home / "frames"
    folder.mkdir()
    for number in range(3):
        images.write(folder / f"{number}.jpg", face_picture([ibug_points(100, 100)], seed=number))
    data = prepare(f"hand-over-face={folder}")

    assert data.manifest()["pictures"] == {"unlabelled": 3}


def test_boxes_alone_do_not_make_ten_parts(home):
    """A face without landmarks is left out of a dataset of parts, unless asked for."""
    folder = home / "boxes"
    folder.mkdir()
    images.write(folder / "a.jpg", face_picture([ibug_points(100, 100)]))
    (folder / "list.csv").write_text("image,x1,y1,x2,y2,patient\na.jpg,50,50,150,150,p1\n")

    with pytest.raises(UserError, match="no picture could be used"):
        prepare(f"nfd={folder}")
    data = prepare(f"nfd={folder}", boxes_only=True, split="1:0:0")
    assert data.labels(next(data.rows()))[1].tolist() == [WHOLE_FACE]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "../x"}, "--name"),
        ({"name": ""}, "--name"),
        ({"split": "lots"}, "8:1:1"),
        ({"split": "own"}, "no split of its own"),
        ({"occlude": "none,heavy"}, "heavy"),
        ({"occlude": "easy", "occluders": "anvil"}, "anvil"),
        ({"turn": 999.0}, "180"),
        ({"copies": 0, "turn": 9.0}, "--copies"),
        ({"copies": 3}, "--turn"),
        ({"occluders": "hat"}, "--occlude"),
        ({"seed": -1}, "--seed"),
        ({"workers": -3}, "--workers"),
        ({"crowd": float("nan")}, "--crowd"),
        ({"poses": "frontl"}, "--poses"),
        ({"quality": 0}, "--quality"),
        ({"split": "nan:1:1"}, "8:1:1"),
        ({"name": "a\nb"}, "--name"),
        ({"name": "x" * 300}, "--name"),
        ({"sources": ()}, "FORMAT=PATH"),
        ({"sources": ("ibug=",)}, "FORMAT=PATH"),
        ({"sources": ("nonsense",)}, "FORMAT=PATH"),
        ({"sources": ("ibug=/no/such/folder",)}, "no such file"),
    ],
)
def test_settings_that_make_no_sense_are_explained(faces, settings, words):
    """What was wrong and what was expected, before any work is done."""
    usual = {"sources": (f"ibug={faces}",), "name": "set"}

    with pytest.raises(UserError, match=words):
        Prepare(**usual | settings).run()
    assert not (faces.parent / "datasets" / "set").exists()


def test_a_full_disk_stops_with_a_line_and_leaves_nothing(faces, home, monkeypatch):
    """No half dataset, no traceback for the user."""
    from pipeline import entries

    def full(source, target, how):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(entries, "place", full)
    with pytest.raises(UserError, match="No space left"):
        prepare(f"ibug={faces}")

    assert not (home / "datasets" / "set").exists()
    assert not list((home / "datasets").glob(".set.partial*"))


def _group(leader):
    """Living processes of a process group."""
    done = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True)
    rows = [row.split() for row in done.stdout.splitlines()]
    return [row for row in rows if row[0] == str(leader) and not row[1].startswith("Z")]


def test_killed_at_any_moment_it_starts_again(home):
    """kill -9 leaves nothing that looks whole; the next run equals an undisturbed one."""
    ibug_folder(home / "faces", count=80)
    line = [sys.executable, "-m", "pipeline", "prepare", f"ibug={home / 'faces'}"]
    line += ["--name", "set", "--occlude", "easy,medium"]
    for delay in (0.5, 1.5, 2.5):
        process = subprocess.Popen(line, cwd=home, start_new_session=True)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers must notice
        process.wait()
        root = home / "datasets" / "set"
        assert not root.exists() or (root / "manifest.json").exists()
        deadline = time.monotonic() + 10
        while _group(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not _group(process.pid)
    subprocess.run(line, check=True, cwd=home, capture_output=True)
    whole = subprocess.run([*line[:-3], "other", *line[-2:]], cwd=home, capture_output=True)
    assert whole.returncode == 0, whole.stderr
    skip = {"manifest.json", "data.yaml", "contact-sheet.jpg"}
    contents = [
        {name: (root / name).read_bytes() for name in files(root) if name not in skip}
        for root in (home / "datasets" / "set", home / "datasets" / "other")
    ]

    assert contents[0] == contents[1]
    assert len(contents[0]) == 80 * 2 * 2 + 1


def test_what_the_source_says_is_hidden_counts(home):
    """MERL-RAV's flags: no version is said to show more than it does."""
    folder = home / "faces" / "frontal" / "trainset"
    folder.mkdir(parents=True)
    for number in range(6):
        points = ibug_points(80, 80, 80)
        images.write(folder / f"{number}.png", face_picture([points], 160, 160, number))
        points[: 4 * number] *= -1
        write_pts(folder / f"{number}.pts", points)
    data = prepare(
        f"merl-rav={home / 'faces'}", split="1:0:0", occlude="none,easy,medium,hard", draws=2
    )
    rows = list(data.rows())

    for row in rows:
        face = row["faces"][0]
        flagged = np.mean([state == 1 for state in face["visibility"]])
        assert face["hidden_landmarks"] == pytest.approx(flagged, abs=1e-3)
        combined = face.get("hidden_equivalent", flagged)
        assert combined >= flagged - 1e-3
        assert row["level"] == level_of(round(combined, 4))
    plain = [row["level"] for row in rows if row["name"].endswith(".png")]
    assert plain == ["none", "easy", "easy", "easy", "easy", "medium"]
    assert any("easy version" in what for what in data.manifest()["left_out"])


def test_subjects_shared_by_two_sources_are_in_one_split(home):
    """Two wards, or two halves of a collection, that saw the same patients."""
    for part in range(2):
        folder = ibug_folder(home / f"part{part}", count=20, start=100 * part)
        for number in range(20):
            for suffix in (".jpg", ".pts"):
                old = folder / f"face{100 * part + number:03d}{suffix}"
                old.rename(folder / f"{number // 2:03d}a{number % 2:02d}{suffix}")
    root = Prepare(
        sources=(f"fgnet={home / 'part0'}", f"fgnet={home / 'part1'}"), name="set", split="1:1:1"
    ).run()
    splits = {(row["group"], row["split"]) for row in open_dataset(str(root)).rows()}

    assert len(splits) == 10


def test_a_picture_that_is_tested_on_is_never_trained_on(home):
    """One file in trainset and testset (another face of it): a test picture, told or not."""
    left, right = ibug_points(60, 80, 60), ibug_points(150, 80, 60)
    picture = face_picture([left, right], 220, 160)
    for pose, split, points in (("frontal", "trainset", left), ("lefthalf", "testset", right)):
        folder = home / "faces" / pose / split
        folder.mkdir(parents=True)
        images.write(folder / "image1.png", picture)
        write_pts(folder / "image1.pts", points)
    data = prepare(f"merl-rav={home / 'faces'}")

    assert [(row["split"], len(row["faces"])) for row in data.rows()] == [("test", 2)]


def test_poses_that_are_not_asked_for_are_left_out_and_counted(home):
    """The thesis trains on three of MERL-RAV's five poses."""
    for pose in ("frontal", "lefthalf", "righthalf", "left", "right"):
        ibug_folder(home / "faces" / pose / "trainset", count=1, start=len(pose) * 10)
    data = prepare(f"merl-rav={home / 'faces'}", val_share=0)
    everything = prepare(
        f"merl-rav={home / 'faces'}", "all", poses="frontal,lefthalf,righthalf,left,right"
    )

    assert sum(data.manifest()["pictures"].values()) == 3
    assert sum(data.manifest()["left_out"].values()) == 2
    assert sum(everything.manifest()["pictures"].values()) == 5


def ward(home, count=30):
    folder = home / "ward"
    folder.mkdir()
    lines = ["image,x1,y1,x2,y2,patient"]
    for number in range(count):
        points = ibug_points(80, 80, 60)
        images.write(folder / f"{number}.jpg", face_picture([points], 160, 160, number))
        lines.append(f"{number}.jpg,50,50,110,110,p{number // 3}")
    (folder / "list.csv").write_text("\n".join(lines))
    return folder


def test_patients_are_drawn_six_to_one_to_three(home):
    """NFD's split, by patients, unless another ratio is given."""
    data = prepare(f"nfd={ward(home)}", classes="face")

    assert data.manifest()["pictures"] == {"train": 18, "val": 3, "test": 9}


def test_a_changed_label_of_a_list_is_noticed(home):
    """The source is one file, the pictures beside it: both belong to it."""
    folder = ward(home, 6)
    source = f"nfd={folder / 'list.csv'}"
    prepare(source, classes="face")
    prepare(source, classes="face")
    images.write(folder / "0.jpg", face_picture([], 160, 160, 99))

    with pytest.raises(UserError, match="nfd"):
        prepare(source, classes="face")


def test_faces_that_are_only_boxes_turn_by_quarters(home):
    """Exactly, or not at all: no copy passes for turned that is not."""
    folder = ward(home, 6)
    by_45 = prepare(f"nfd={folder}", "a", classes="face", turn=45, split="1:0:0")
    by_180 = prepare(f"nfd={folder}", "b", classes="face", turn=180, split="1:0:0")
    turned = [row for row in by_180.rows() if row["turned"]]

    assert by_45.manifest()["pictures"] == {"train": 6}
    assert sum(by_45.manifest()["left_out"].values()) == 6
    assert {row["turned"] for row in turned} <= {-90.0, 90.0, 180.0}
    assert len(turned) == 6
    for row in turned:
        boxes, _ = by_180.labels(row)
        assert (boxes[0, 2:] - boxes[0, :2]).tolist() == pytest.approx([60, 60], abs=0.02)
        patch = images.read(by_180.picture(row))
        x1, y1, x2, y2 = boxes[0].astype(int)
        upright = images.read(folder / f"{Path(row['from']).name}")[50:110, 50:110]
        back = np.rot90(patch[y1:y2, x1:x2], round(row["turned"] / 90))
        assert np.abs(back.astype(int) - upright).mean() < 6


def test_invalid_faces_and_parts_of_another_kind_are_not_labelled(home):
    """WIDER's invalid flag; complete sources keep their small faces in validation."""
    root = home / "wider"
    (root / "wider_face_split").mkdir(parents=True)
    lines = []
    for number in range(4):
        name = f"0--Parade/{number}.jpg"
        (root / "WIDER_val" / "images" / "0--Parade").mkdir(parents=True, exist_ok=True)
        picture = face_picture([ibug_points(100, 100, 40)], 300, 300, number)
        images.write(root / "WIDER_val" / "images" / name, picture)
        lines += [name, "2", "80 80 40 40 0 0 0 0 0 0 ", "10 10 20 20 0 0 0 1 0 0 "]
    (root / "wider_face_split" / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines))
    data = prepare(f"wider={root}", classes="face")

    assert data.manifest()["pictures"] == {"val": 4}
    assert all(len(data.labels(row)[1]) == 1 for row in data.rows())
    assert [len(row["faces"]) for row in data.rows()] == [2] * 4


def test_a_dataset_of_ours_is_read_again_as_it_is(faces):
    """Parts that are only boxes come through, once; mirrored, left becomes right."""
    first = prepare(f"ibug={faces}", "first", split="1:0:0")
    again = prepare(f"yolo={first.yaml}", "again", split="1:0:0", mirror=True)
    original, copy = (
        next(row for row in again.rows() if row["mirrored"] == mirrored)
        for mirrored in (False, True)
    )
    boxes, classes = again.labels(original)
    mirrored, others = again.labels(copy)
    right = boxes[classes == PARTS.index("right face")][0]
    left = mirrored[others == PARTS.index("left face")][0]

    assert sorted(classes.tolist()) == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    np.testing.assert_allclose(left, [160 - right[2], right[1], 160 - right[0], right[3]], atol=0.1)


def test_faces_that_get_no_box_are_counted(home):
    """All landmarks hidden by the head itself: the face is there, and has no label."""
    folder = ibug_folder(home / "f" / "frontal" / "trainset", count=3)
    write_pts(folder / "face000.pts", np.full((68, 2), np.nan))
    data = prepare(f"merl-rav={home / 'f'}", val_share=0)

    assert data.manifest()["changed"] == {
        "faces without a box: too few of their landmarks have a place": 1
    }


def test_training_never_sees_the_test_set(faces, home):
    """A source that is all test: data.yaml names no training pictures, and says nothing false."""
    faces.rename(home / "testset")
    data = prepare(f"ibug={home / 'testset'}")
    content = yaml.safe_load(data.yaml.read_text())

    assert data.manifest()["pictures"] == {"test": 6}
    assert content["train"] == "images/train"
    assert not (data.root / "images" / "train").exists()
    assert content["val"] == content["test"] == "images/test"


def test_odd_names_and_places_of_the_file_system(home):
    """Latin-1 bytes, very long names in three-byte letters, a link that leads back."""
    folder = ibug_folder(home / ("長" * 60), count=3)
    for suffix in (".jpg", ".pts"):
        latin = os.fsdecode(b"caf\xe9" + suffix.encode())  # no UTF-8
        (folder / f"face000{suffix}").rename(folder / latin)
        (folder / f"face001{suffix}").rename(folder / f"{'顔' * 80}{suffix}")
    (folder / "up").symlink_to(home)
    data = prepare(f"ibug={folder}", occlude="easy", turn=90, split="1:0:0")

    assert data.manifest()["pictures"] == {"train": 6}
    assert all(data.picture(row).is_file() for row in data.rows())


def test_a_source_around_its_own_dataset(faces, home, monkeypatch):
    """Called in the folder of the pictures: the dataset inside does not become its own source."""
    monkeypatch.setenv("UNCOVER_HOME", str(faces))
    data = prepare(f"hand-over-face={faces}")
    prepare(f"hand-over-face={faces}")

    assert data.manifest()["pictures"] == {"unlabelled": 6}


def test_a_linked_dataset_folder_is_replaced_where_it_lies(faces, home):
    """The link stays a link."""
    prepare(f"ibug={faces}", "real")
    (home / "elsewhere").mkdir()
    (home / "datasets" / "real").rename(home / "elsewhere" / "real")
    (home / "datasets" / "real").symlink_to(home / "elsewhere" / "real")
    for seed in (1, 2):
        data = prepare(f"ibug={faces}", "real", seed=seed, overwrite=True)
        assert (home / "datasets" / "real").is_symlink()
        assert data.manifest()["settings"]["seed"] == seed


def test_ten_thousand_faces_in_one_picture(home):
    """Comparing each with each takes seconds, not the machine's memory."""
    folder = home / "crowd"
    folder.mkdir()
    images.write(folder / "a.jpg", face_picture([], 2000, 2000))
    rows = [
        f"a.jpg,{20 * (n % 99)},{20 * (n // 99)},{20 * (n % 99) + 12},{20 * (n // 99) + 12},p"
        for n in range(9800)
    ]
    (folder / "l.csv").write_text("image,x1,y1,x2,y2,patient\n" + "\n".join(rows + rows[:200]))
    data = prepare(f"nfd={folder}", classes="face", split="1:0:0")

    assert len(data.labels(next(data.rows()))[1]) == 9800


@pytest.mark.slow
@pytest.mark.timed
def test_real_faces_are_prepared_in_seconds(shared_data, home):
    """2,566 faces, pictures linked, in under 15 seconds, and nothing left out."""
    start = time.monotonic()
    root = Prepare(sources=(f"ibug={shared_data / 'ibug68'}",), name="set").run()
    seconds = time.monotonic() - start
    manifest = json.loads((root / "manifest.json").read_text())

    assert sum(manifest["pictures"].values()) == 2566
    assert manifest["pictures"]["test"] == 554
    assert manifest["left_out"] == {}
    assert seconds < 15


def test_windows_without_a_face_have_none(home):
    """As many as asked for, in sets of their own, with empty labels; none of the red of a face."""
    data = prepare(f"wider={wider_folder(home / 'wider')}", classes="face", empty=2)
    rows = {split: list(data.rows(split)) for split in ("train", "train_empty", "val_empty")}

    assert [len(rows[split]) for split in rows] == [4, 8, 4]
    assert "train_empty" not in yaml.safe_load(data.yaml.read_text()).values()
    for row in rows["train_empty"] + rows["val_empty"]:
        assert row["faces"] == []
        assert len(data.labels(row)[0]) == 0
        picture = images.read(data.picture(row)).astype(int)
        assert min(picture.shape[:2]) >= 96
        assert not ((picture[..., 0] > 200) & (picture[..., 1] < 60)).any()
    again = prepare(f"wider={home / 'wider'}", name="again", classes="face", empty=2)
    assert [row["size"] for row in again.rows()] == [row["size"] for row in data.rows()]


def test_who_does_not_promise_all_faces_gives_no_windows(faces):
    """Landmark sets label one face of many: what looks empty may hold another."""
    data = prepare(f"ibug={faces}", split="4:1:1", empty=3)

    assert not [row for row in data.rows() if row["split"].endswith("_empty")]


def test_boxes_without_landmarks_begin_at_the_brows(home):
    """The forehead is cut off; windows without a face still keep off it."""
    source = f"wider={wider_folder(home / 'wider')}"
    whole = prepare(source, name="whole", classes="face", empty=1)
    cut = prepare(source, name="cut", classes="face", empty=1, forehead=0.2)
    for before, after in zip(whole.rows("train"), cut.rows("train"), strict=True):
        high, low = whole.labels(before)[0], cut.labels(after)[0]
        assert low[0] - high[0] == pytest.approx([0, 0.2 * 50, 0, 0], abs=0.01)
    places = [[row["size"] for row in data.rows("train_empty")] for data in (whole, cut)]
    assert places[0] == places[1]


def test_landmarks_begin_at_the_brows_anyway(faces):
    kept = [
        prepare(f"ibug={faces}", name=name, forehead=share).fingerprint()["sha256"]
        for name, share in (("a", 0.0), ("b", 0.5))
    ]
    assert kept[0] == kept[1]


def test_photographs_that_others_measure_on_are_left_out(home):
    """Told by the names of their files, from whatever copy of the source they come."""
    first = wider_folder(home / "wider", train=6, val=0)
    shutil.copytree(first, home / "copy")
    measured = prepare(f"wider={first}", name="measured", classes="face", split="4:0:2")
    rest = prepare(
        f"wider={home / 'copy'}", name="rest", classes="face", split="1:0:0", without=("measured",)
    )
    held = {Path(row["from"]).name for row in measured.rows("test")}
    kept = {Path(row["from"]).name for row in rest.rows()}

    assert len(held) == 2
    assert len(kept) == 4
    assert not held & kept
    told = json.loads((rest.root / "manifest.json").read_text())["left_out"]
    assert told == {"photograph is in val or test of measured (--without)": 2}
    with pytest.raises(UserError, match="no prepared dataset 'nobody'"):
        prepare(f"wider={first}", name="x", without=("nobody",))


@pytest.mark.parametrize("share", [-0.1, 1, 3])
def test_a_forehead_is_a_share(home, share):
    with pytest.raises(UserError, match="share between 0 and 1"):
        prepare(f"wider={home}", forehead=share)
