"""``uncover inspect``: a run of any command as the page wants it, and what leaves the page."""

import base64
import csv
import io
import json
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from clocks import least
from detect_runs import CONF, FALLBACK, coco_of, filmed_run, pictured_run, rows_of, run_folder
from films import film
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import save_first, save_second

from pipeline import cam, heatmap_files, images, media, results, runs, samples
from pipeline.boxes import as_boxes
from pipeline.detect import Detect
from pipeline.detections import OUTCOMES, Detections
from pipeline.errors import UserError
from pipeline.extract import Extract
from pipeline.images import Letterbox
from pipeline.inspect import export, gather, opened, page
from pipeline.inspect.command import Inspect
from pipeline.inspect.maps import METHODS
from pipeline.inspect.marks import Notebook, parsed
from pipeline.inspect.pictures import Gone, sorry
from pipeline.inspect.record import Answered, At, Said, cases, decided
from pipeline.inspect.room import Room
from pipeline.inspect.truth import open_truth
from pipeline.journal import Journal
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.prepare import Prepare
from pipeline.shipped import CLEAR, CLEAR_FALLBACK
from pipeline.two_stage import TwoStage
from pipeline.video import Frame
from pipeline.yolo import Found


def table(folder):
    with (folder / "frames.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def everything(folder):
    """All files of a folder with their bytes and times."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def scored(values):
    return [{"box": box, "score": score} for box, score in values]


corner = st.floats(0, 50, width=32)
boxes = st.tuples(corner, corner, st.floats(1, 40, width=32), st.floats(1, 40, width=32)).map(
    lambda each: [each[0], each[1], each[0] + each[2], each[1] + each[3]]
)
answers = st.lists(st.tuples(boxes, st.floats(0.0625, 1, width=16)), max_size=5).map(
    lambda each: sorted(each, key=lambda one: -one[1])
)
share = st.floats(0.0625, 1, width=16)


@given(answers, st.none() | answers, share, share, st.integers(1, 3))
@settings(deadline=None, max_examples=300)
def test_what_is_believed_at_two_thresholds_is_what_the_fallback_says(
    first, second, conf, fallback_conf, faces
):
    """The page recolours by this rule; the detector itself is the reference, past the disk."""
    detector = TwoStage(None, None, conf, fallback_conf, faces=faces)

    def found(some, kind):
        placed = np.array([box for box, _ in some], np.float32).reshape(-1, 4)
        scores = np.array([score for _, score in some], np.float32)
        return Found(placed, scores, np.full(len(some), kind))

    expected = detector._found(found(first, WHOLE_FACE), Letterbox(96, 96, 96, 96))
    asked = len(expected) < faces and second is not None
    if asked:
        known = vars(expected) | {"best": dict.fromkeys(PARTS, 0.5)}
        expected = detector._recovered(Detections(**known), found(second, 0))
    row = json.loads(json.dumps(results.row(Frame(None, "a", "a"), expected, 0)))
    (one,) = cases([Answered(Said(row["first"], row["second"], {}), None, [])])
    mine, new = decided(one, conf, fallback_conf, faces)

    assert expected.how == ("found",) * len(mine) + ("recovered",) * len(new)
    boxes = [row["first"][number]["box"] for number in mine]
    boxes += [row["second"][number]["box"] for number in new]
    np.testing.assert_allclose(as_boxes(boxes), expected.boxes, atol=0.006)


def test_a_score_at_the_edge_of_a_threshold_is_told_as_the_run_has_it(home):
    """Rounded to four places it would have been on the other side."""
    score = np.array([0.67316], np.float32)
    detector = TwoStage(None, None, 0.67318, 0.3)
    one = detector._found(
        Found(as_boxes([[1, 1, 20, 20]]), score, np.array([2])), Letterbox(96, 64, 96, 64)
    )
    rows = [results.row(Frame(None, "a", "a"), one, 0)]
    room = Room(run_folder(home / "runs" / "detect" / "edge", rows, conf=0.67318))
    (edge,) = room.columns.frames[0]["case"]

    assert OUTCOMES[room.columns.frames[0]["outcome"][0]] == "missed"
    assert decided(edge, 0.67318, 0.3, 1) == ([], [])
    assert decided(edge, 0.67315, 0.3, 1) == ([0], [])


def test_a_run_is_told_frame_by_frame(home):
    """Outcomes, times, strips and candidates as the run has them; unreadable rows stay."""
    folder = filmed_run(home, hold=0.1)
    room = Room(folder)
    frames, rows = room.columns.frames[0], table(folder)

    assert len(frames["name"]) == 40
    assert {len(values) for values in frames.values()} == {40}
    by_frame = {}
    for row in rows:  # of a frame with several faces, the stage that had the last word
        kinds = by_frame.setdefault(int(row["frame"]), [])
        kinds.append(row["outcome"])
    told = [OUTCOMES[number] for number in frames["outcome"]]
    for number, kinds in by_frame.items():
        assert told[number] in kinds
    assert {"found", "recovered", "held", "missed", "unreadable"} == set(told)
    assert frames["seconds"][1] == pytest.approx(0.1)
    assert frames["seconds"][12] is None
    assert room.columns.strips == ["ward.mp4"]
    assert room.run()["hold"] == 0.1
    one = room.frame(0, 0)
    assert one["parts"] == [{"part": 0, "box": [10.0, 10.0, 30.0, 20.0], "score": 0.61}]
    assert [each["score"] for each in one["first"]] == frames["case"][0]["first"]


def test_a_run_that_is_being_written_is_read_as_far_as_it_goes(home):
    rng = np.random.default_rng(0)
    rows = list(rows_of("ward.mp4", "ward", 150, rng))
    folder = run_folder(home / "runs" / "detect" / "a", rows[:100], complete=False, journal=True)
    room = Room(folder)

    assert len(room.columns.frames[0]["name"]) == 100
    assert not room.run()["complete"]


def test_a_run_of_an_older_version_is_read_with_a_warning(home):
    """Of frames.csv alone: what was believed, no candidates; thresholds go upward only."""
    folder = filmed_run(home)
    new = Room(folder).columns.frames[0]
    (folder / "frames.jsonl").unlink()
    room = Room(folder)
    old = room.columns.frames[0]

    assert old["outcome"] == new["outcome"]
    assert old["name"] == new["name"]
    assert "older version" in room.run()["warnings"][0]
    assert room.run()["pairs"][0]["floor"] == CONF


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("frames.jsonl", "{}\n"),
        ("frames.jsonl", "hello\n"),
        ("frames.jsonl", '{"name": 3}\n[]\n'),
        ("config.json", '{"settings": {"detector": "two-stage"}}'),
    ],
)
def test_a_damaged_run_is_an_error_for_people(home, name, content):
    folder = filmed_run(home)
    (folder / name).write_text(content)

    with pytest.raises(UserError, match="ward"):
        Room(folder)


def test_a_run_without_frames_is_a_room_without_frames(home):
    folder = run_folder(home / "runs" / "detect" / "none", [])

    assert Room(folder).run()["frames"] == 0


def test_runs_are_found_by_folder_by_name_and_the_newest(home):
    first = filmed_run(home, "first", count=2)
    time.sleep(0.02)
    second = filmed_run(home, "second", count=2)

    assert opened.find("") == second
    assert opened.find("first") == first
    assert opened.find(str(first)) == first
    assert opened.find("nobody") is None
    with pytest.raises(UserError, match="holds runs; name one of them: first, second"):
        opened.find(str(first.parent))
    with pytest.raises(UserError, match="no such picture"):
        Inspect("nobody", browser=False).run()


def test_truth_comes_from_a_coco_file(home):
    """Boxes, levels by the share that is hidden, other facts; and who hits them."""
    folder = filmed_run(home)
    labels = coco_of(folder, home / "labels.json")
    room = Room(folder, str(labels))
    known = {each["image_id"]: each for each in json.loads(labels.read_text())["annotations"]}

    assert room.run()["labelled"]
    assert set(room.columns.levels) <= {"none", "easy", "medium", "hard"}
    for number, each in enumerate(room.columns.frames[0]["case"]):
        assert each["truths"] == (1 if number in known else None)
        if number in known:
            x, y, width, height = known[number]["bbox"]
            one = room.frame(number, 0)
            assert one["truth"] == [[x, y, x + width, y + height]]
            assert one["facts"]["bed"] == "3"
    assert any(hits for each in room.columns.frames[0]["case"] for hits in each["hits"])


def test_labels_that_make_no_sense_are_refused(home):
    folder = filmed_run(home)
    (home / "bad.json").write_text('{"images": []}')

    with pytest.raises(UserError, match="no labels in COCO's form"):
        Room(folder, str(home / "bad.json"))
    with pytest.raises(UserError, match="no prepared dataset"):
        Room(folder, "nothing")


def test_pictures_of_a_film_are_those_of_their_frames(home):
    folder = filmed_run(home)
    album = Room(folder).album
    straight = list(media.frames(media.inputs([str(home / "ward.mp4")])[0]))
    for number in (0, 30, 5, 5, 29, 39):
        np.testing.assert_array_equal(album.shown(number), straight[number].picture)
    assert images.decode(album.jpeg(3, 32)).shape == (21, 32, 3)


def test_a_picture_that_is_gone_is_the_annotated_one_or_a_drawing(home):
    """The row stays; heatmaps are never drawn of a picture with boxes in it."""
    folder = pictured_run(home)
    room = Room(folder)
    whole = room.album.shown(0)
    (home / "pictures" / "p0.png").unlink()
    again = Room(folder)

    assert again.frame(0, 0)["facts"]["picture"].startswith("the original is gone")
    assert again.album.shown(0).shape == whole.shape
    with pytest.raises(Gone):
        again.album.original(again.record.shots[0])
    shutil.rmtree(folder / "annotated")
    with pytest.raises(Gone, match="not there any more"):
        Room(folder).album.shown(0)
    assert len(Room(folder).columns.frames[0]["name"]) == 6
    (home / "pictures" / "p1.png").write_bytes(b"no picture")
    with pytest.raises(Gone, match="not a picture"):
        Room(folder).album.shown(1)


def test_an_anonymized_run_is_shown_without_faces(home):
    """Every candidate is blurred, and a frame without a face as a whole."""
    folder = pictured_run(home, anonymize=True)
    room = Room(folder)
    assert room.run()["anonymized"]
    for number, shot in enumerate(room.record.shots):
        shown, original = room.album.shown(number), room.album.original(shot)
        seen = [each for said in shot.said for each in (*said.first, *(said.second or ()))]
        for each in seen:
            x1, y1, x2, y2 = (round(value) for value in each["box"])
            part = np.s_[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
            assert shown[part].std() < 0.6 * original[part].std()
        if shot.outcome == "missed":
            assert shown.std() < 0.6 * original.std()


def test_saved_heatmaps_are_shown_as_they_are(home):
    folder = filmed_run(home)
    room = Room(folder)
    maps = room.atlas.maps(3, 0, "", ())
    stack, _ = heatmap_files.read(folder / "heatmaps" / "ward@000003.tif")

    assert maps["saved"]
    assert base64.b64decode(maps["stack"]) == stack.tobytes()
    assert (maps["width"], maps["height"]) == (8, 8)
    assert maps["place"] == pytest.approx([0, 16 / 12, 8, 64 / 12], abs=0.001)
    light = (stack[2:].astype(float) / 255) ** 2  # the recipe's gamma is a half
    expected = np.sqrt(light.mean(axis=0)) * 255  # eyes and nose are weak: left out
    found = np.frombuffer(base64.b64decode(maps["average"]), np.uint8).reshape(8, 8)
    np.testing.assert_allclose(found, expected, atol=0.51)
    none = room.atlas.maps(1, 0, "", ())
    assert none["width"] == 0
    assert "none can be drawn" in none["words"]


def test_a_damaged_heatmap_is_told(home):
    folder = filmed_run(home)
    (folder / "heatmaps" / "ward@000003.tif").write_bytes(b"II*\x00garbage")

    maps = Room(folder).atlas.maps(3, 0, "", ())
    assert maps["width"] == 0
    assert "not a heatmap" in maps["words"]


@pytest.fixture
def pair(home):
    first = save_first(home / "first.pt", threshold=0.9)
    second = save_second(home / "second.pt", runs.sha256(first), threshold=1e-6)
    return {"stage1": str(first), "fallback": str(second), "device": "cpu"}


def test_heatmaps_are_drawn_on_the_spot_as_detection_draws_them(home, pair):
    """The usual method is that of stage 2, and gives what the run would have saved."""
    source = pictured_run(home) and str(home / "pictures")
    kept = Detect((source,), "kept", save_heatmaps=True, **pair).run()
    bare = Detect((source,), "bare", **pair).run()
    saved, drawn = Room(kept).atlas.maps(2, 0, "", ()), Room(bare).atlas.maps(2, 0, "", ())

    assert saved["saved"]
    assert not drawn["saved"]
    both = [np.frombuffer(base64.b64decode(each["stack"]), np.uint8) for each in (saved, drawn)]
    np.testing.assert_allclose(both[0].astype(int), both[1].astype(int), atol=1)
    assert saved["place"] == drawn["place"]
    other = Room(bare).atlas.maps(2, 0, "hirescam", (2,))
    assert (other["method"], other["levels"]) == ("hirescam", [2])
    assert other["stack"] != drawn["stack"]
    with pytest.raises(UserError, match="known are"):
        Room(bare).atlas.maps(2, 0, "magic", ())
    assert {each["name"] for each in METHODS} == set(cam.METHODS)


def test_other_weights_than_those_of_the_run_draw_nothing(home, pair):
    source = pictured_run(home) and str(home / "pictures")
    folder = Detect((source,), "bare", **pair).run()
    save_first(home / "first.pt", threshold=0.5)
    room = Room(folder)

    assert "other weights than" in room.run()["pairs"][0]["undrawn"]
    assert room.atlas.maps(0, 0, "hirescam", (0,))["width"] == 0


def test_asking_always_changes_no_outcome_and_keeps_what_stage_2_says(home):
    """With shipped weights, on faces that stage 1 finds."""
    (home / "faces").mkdir()
    for number, (window, _) in enumerate(samples.faces()):
        images.write(home / "faces" / f"{number}.png", window)
    usual = {"stage1": CLEAR, "fallback": CLEAR_FALLBACK, "device": "cpu"}
    plain = Detect((str(home / "faces"),), "plain", **usual).run()
    always = Detect((str(home / "faces"),), "always", always=True, **usual).run()
    said = ("outcome", "x1", "y1", "x2", "y2", "conf", "reason", "parts")

    assert [[row[key] for key in said] for row in table(plain)] == [
        [row[key] for key in said] for row in table(always)
    ]
    asked = [case["second"] is not None for case in Room(plain).columns.frames[0]["case"]]
    assert asked == [row["outcome"] != "found" for row in table(plain)]
    assert not all(asked)
    assert all(case["second"] for case in Room(always).columns.frames[0]["case"])


def test_heatmaps_for_people_can_be_looked_into(home, pair):
    source = pictured_run(home) and str(home / "pictures")
    folder = Extract(weights=pair["stage1"], name="look", source=source, device="cpu").run()
    room = Room(folder)

    assert room.run()["command"] == "extract"
    assert room.run()["frames"] == 6
    assert room.run()["pairs"][0]["second"] is None
    assert room.atlas.maps(0, 0, "", ())["saved"]
    assert room.atlas.maps(0, 0, "hirescam", (1,))["width"] > 0
    assert room.album.shown(0).shape == (64, 96, 3)


def test_marks_survive_and_are_all_that_changes(home):
    folder = filmed_run(home)
    before = everything(folder)
    book = Notebook(folder)
    assert book.read() == {"marks": {}}
    book.change({"names": ["ward@000001", "ward@000002"], "marked": True, "note": "tube"})
    Notebook(folder).change({"names": ["ward@000002"], "marked": True, "note": None})
    book.change({"names": ["ward@000001"], "marked": False, "note": None})
    marks = Notebook(folder).read()["marks"]

    assert list(marks) == ["ward@000002"]
    assert marks["ward@000002"]["note"] == "tube"
    after = everything(folder)
    assert after.pop(Path("marks.json"))
    assert after == before


def test_a_damaged_file_of_marks_is_never_overwritten(home):
    folder = filmed_run(home)
    (folder / "marks.json").write_text("half of it")
    with pytest.raises(UserError, match="damaged"):
        Notebook(folder).change({"names": ["a"], "marked": True, "note": ""})
    assert (folder / "marks.json").read_text() == "half of it"


def test_marks_outlive_a_run_that_is_made_anew(home, pair):
    source = pictured_run(home) and str(home / "pictures")
    folder = Detect((source,), "again", **pair).run()
    Notebook(folder).change({"names": ["p1"], "marked": True, "note": "look"})
    Detect((source,), "again", overwrite=True, conf=0.5, **pair).run()
    extracted = Extract(weights=pair["stage1"], name="look", source=source, device="cpu").run()
    Notebook(extracted).change({"names": ["p2"], "marked": True, "note": ""})
    Extract(
        weights=pair["stage1"], name="look", source=source, device="cpu", batch=2, overwrite=True
    ).run()

    assert Notebook(folder).read()["marks"]["p1"]["note"] == "look"
    assert list(Notebook(extracted).read()["marks"]) == ["p2"]


@pytest.fixture
def marked(home):
    """A room in which four frames are marked, one of them unreadable."""
    folder = filmed_run(home)
    names = [f"ward@{number:06d}" for number in (0, 3, 12, 20)]
    Notebook(folder).change({"names": names, "marked": True, "note": 'a "note", with commas'})
    return Room(folder)


def wanted(room, labels="face", conf=CONF):
    at = At(0, conf, FALLBACK)
    return gather.Wanted(room.record, room.columns, room.notebook.read(), at, labels)


def test_marked_frames_as_a_list(marked):
    text = gather.as_list(wanted(marked))
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = {int(row["frame"]): row for row in table(marked.record.folder)}

    assert [int(row["frame"]) for row in rows] == [0, 3, 12, 20]
    assert rows[2]["outcome"] == "unreadable"
    assert rows[0]["note"] == 'a "note", with commas'
    for row in rows:
        assert row["outcome"] == expected[int(row["frame"])]["outcome"]
        assert row["conf"] == expected[int(row["frame"])]["conf"]


def test_marked_frames_in_coco_form(marked, tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    for labels, count in (("face", 1), ("parts", 10)):
        path = tmp_path / f"{labels}.json"
        path.write_text(gather.as_coco(wanted(marked, labels, conf=0.1)))
        found = COCO(str(path))
        assert len(found.imgs) == 4
        assert len(found.cats) == count
        assert all(each["bbox"][2] > 0 for each in found.anns.values())
        assert len(found.anns) > 0


@pytest.mark.parametrize("labels", ["face", "parts"])
def test_marked_frames_as_a_dataset_that_prepare_reads(marked, home, labels):
    """Pictures with their predicted boxes; what cannot be read is listed."""
    target = home / "marked.zip"
    asked = wanted(marked, labels)
    with target.open("wb") as file:
        gather.as_yolo(asked, marked.album, file)
    with zipfile.ZipFile(target) as file:
        names = file.namelist()
        file.extractall(home / "marked")
    pictures = [name for name in names if name.endswith(".jpg")]

    assert len(pictures) == 3
    assert "ward@000012" in (home / "marked" / "left-out.txt").read_text()
    expected = {shot.name: asked.boxes(shot, seen) for _, shot, seen in asked.frames()}
    for name in pictures:
        label = home / "marked" / name.replace("images/", "labels/").replace(".jpg", ".txt")
        assert len(label.read_text().splitlines()) == len(expected[Path(name).stem])
    made = Prepare((f"yolo={home / 'marked'}",), "corrected", classes=labels, workers=1).run()
    assert sum(1 for _ in (made / "images" / "train").rglob("*.jpg")) == 3


def test_an_exported_page_is_one_file_that_asks_nobody(marked, home, capsys):
    folder = marked.record.folder
    before = everything(folder)
    Inspect(str(folder), export=home / "page.html", frames=10).run()
    text = (home / "page.html").read_text()
    known = json.loads(re.search(r'id="embedded">(.*?)</script>', text, re.DOTALL)[1])

    assert everything(folder) == before
    assert "10 frames" in capsys.readouterr().out
    assert known["run"]["frames"] == 10 == len(known["pictures"]) == len(known["maps"])
    assert {len(values) for values in known["frames"][0].values()} == {10}
    assert known["words"] == "10 of 40 frames"
    assert {"ward@000000", "ward@000003", "ward@000012", "ward@000020"} <= set(
        known["frames"][0]["name"]
    )
    assert [each["index"] for each in known["frame"][0]] == list(range(10))
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert "default-src 'none'" in text


def test_an_anonymized_page_names_nobody(home):
    """No file, folder, note, weights, label; a picture that is gone does not tell its place."""
    folder = filmed_run(home, "smith_john", hold=0.3)
    (home / "mine.pt").write_bytes(b"weights")
    (home / "behind.pt").write_bytes(b"weights")
    labels = coco_of(folder, home / "labels.json")
    content = json.loads(labels.read_text())
    content["images"][0] |= {"level": "johns worst", "nurse": "smith"}
    labels.write_text(json.dumps(content))
    Notebook(folder).change({"names": ["ward@000003"], "marked": True, "note": "john, bed 3"})
    for gone in (False, True):
        if gone:
            (home / "ward.mp4").unlink()
        target = home / "page.html"
        Inspect(
            str(folder),
            export=target,
            frames=12,
            anonymize=True,
            labels=str(labels),
            overwrite=gone,
        ).run()
        text = target.read_text()
        told = re.search(r'id="embedded">(.*?)</script>', text, re.DOTALL)[1]
        known, plain = json.loads(told), re.sub(r"base64,[^\"]*", "", told)
        for name in ("smith", "john", "ward", "mine", "behind", str(home)):
            assert name not in plain
        assert known["run"]["anonymized"]
        assert next(iter(known["marks"]["marks"])) in known["frames"][0]["name"]
        pictures = [base64.b64decode(each.split(",")[1]) for each in known["pictures"]]
        assert not any(b"ward" in each for each in pictures)


@pytest.mark.parametrize("most", [5, 8, 12, 39])
def test_an_exported_page_has_no_more_frames_than_asked_for(home, most):
    """Held faces bring the frame that they come from, and that counts, too."""
    folder = filmed_run(home, hold=0.3)
    target = home / "page.html"
    assert export.write(Room(folder), target, most) <= most
    text = target.read_text()
    known = json.loads(re.search(r'id="embedded">(.*?)</script>', text, re.DOTALL)[1])
    held, kinds = OUTCOMES.index("held"), known["frames"][0]["outcome"]
    for place, kind in enumerate(kinds):
        if kind == held:
            before = [each for each in kinds[:place] if each != held]
            assert set(before) & {0, 1}


def test_a_damaged_heatmap_does_not_stop_an_export(home):
    folder = filmed_run(home)
    (folder / "heatmaps" / "ward@000003.tif").write_bytes(b"II*\x00garbage")
    export.write(Room(folder), home / "page.html", 10**6)
    assert "not a heatmap" in (home / "page.html").read_text()


def test_held_faces_are_gathered_as_held(home):
    """In the list as held, as a box to begin with in the others; as many as frames.csv has."""
    folder = filmed_run(home, hold=0.3)
    rows = [row for row in table(folder) if row["outcome"] == "held"]
    names = [f"ward@{int(row['frame']):06d}" for row in rows]
    Notebook(folder).change({"names": names, "marked": True, "note": ""})
    room = Room(folder)
    listed = list(csv.DictReader(io.StringIO(gather.as_list(wanted(room)))))
    coco = json.loads(gather.as_coco(wanted(room)))

    assert rows
    assert {row["outcome"] for row in listed} == {"held"}
    assert len(coco["annotations"]) == len(rows)
    for row, face in zip(rows, coco["annotations"], strict=True):
        assert face["bbox"][0] == pytest.approx(float(row["x1"]), abs=0.02)


def test_a_missed_frame_of_an_extraction_is_blurred_as_a_whole(home, pair):
    """Nobody wrote an outcome there: it follows from the thresholds."""
    source = pictured_run(home) and str(home / "pictures")
    folder = Extract(weights=pair["stage1"], name="look", source=source, device="cpu").run()
    room = Room(folder, anonymize=True)
    for number, shot in enumerate(room.record.shots):
        assert OUTCOMES[room.columns.frames[0]["outcome"][number]] == "missed"
        assert room.album.shown(number).std() < 0.6 * room.album.original(shot).std()


def test_a_source_is_detected_again_when_it_is_asked_for_otherwise(home, monkeypatch):
    """Marks stay, and nobody is told of a setting that this command does not have."""
    pictured_run(home)
    monkeypatch.setattr(Inspect, "_serve", lambda *_: None)
    source = str(home / "pictures")
    folder = Inspect(source, browser=False).run()
    Notebook(folder).change({"names": ["p1"], "marked": True, "note": ""})
    assert Inspect(source, browser=False).run() == folder
    assert Inspect(source, browser=False, anonymize=True).run() == folder
    assert Room(folder).run()["anonymized"]
    assert list(Notebook(folder).read()["marks"]) == ["p1"]


def test_a_run_that_ends_while_it_is_read_is_read_again(home):
    """What was read of its journal is not taken for all there is."""
    rows = list(rows_of("ward.mp4", "ward", 100, np.random.default_rng(0)))
    folder = run_folder(home / "runs" / "detect" / "a", rows, complete=False)
    book = Journal(folder)
    book.add(rows[:64])
    room = Room(folder)
    assert len(room.columns.frames[0]["name"]) == 100  # frames.jsonl has more
    assert not room.changed
    runs.write_json(folder / "summary.json", {"complete": True})
    assert room.changed


def test_truth_knows_faces_from_parts_and_pictures_of_one_name_apart(home):
    pictures = [{"id": 1, "file_name": "a/p1.png"}, {"id": 2, "file_name": "b/p1.png"}]
    kinds = [{"id": 1, "name": "face"}, {"id": 2, "name": "mouth"}]
    faces = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
        {"image_id": 1, "category_id": 2, "bbox": [2, 5, 4, 4]},
        {"image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10]},
    ]
    content = {"images": pictures, "annotations": faces, "categories": kinds}
    (home / "labels.json").write_text(json.dumps(content))
    truth = open_truth(str(home / "labels.json"))

    assert truth.of("a__p1", "a/p1.png", home / "x.png").boxes == [[0, 0, 10, 10]]
    assert truth.of("b__p1", "b/p1.png", home / "x.png").boxes == [[5, 5, 15, 15]]
    assert truth.of("p1", "p1.png", home / "x.png") is None


@pytest.mark.parametrize("content", ["null", '{"settings": null}', "[]", '{"settings": 3}'])
def test_other_peoples_folders_beside_runs_do_no_harm(home, content):
    (home / "runs" / "detect" / "odd").mkdir(parents=True)
    (home / "runs" / "detect" / "odd" / "config.json").write_text(content)
    run = filmed_run(home, "mine", count=2)
    assert opened.find("") == run


def test_text_of_a_run_cannot_end_the_script_that_holds_it(home):
    folder = filmed_run(home)
    evil = "</script><script>alert(1)</script><!--start-->"
    Notebook(folder).change({"names": ["ward@000003"], "marked": True, "note": evil})
    target = home / "page.html"
    export.write(Room(folder), target, 5)
    text = target.read_text()

    assert evil not in text
    known = json.loads(re.search(r'id="embedded">(.*?)</script>', text, re.DOTALL)[1])
    assert known["marks"]["marks"]["ward@000003"]["note"] == evil


def test_the_page_is_whole_and_names_no_other_host():
    """Every module that is imported is there, nothing is fetched from elsewhere."""
    modules = {name.removesuffix(".js") for name in page.files() if name.endswith(".js")}
    for name, content in page.files().items():
        text = content.decode()
        for wanted_module in re.findall(r'from "uncover/(\w+)"', text):
            assert wanted_module in modules, f"{name} imports {wanted_module}"
        for address in re.findall(r"https?://[^\"'` )]+", text):
            assert address == "http://www.w3.org/2000/svg", f"{name}: {address}"
        assert "innerHTML" not in text
        assert "eval(" not in text
    served = page.served("abc", {"trouble": "</script><script>alert(1)"})
    assert 'nonce="abc"' in served
    assert "</script><script>alert" not in served


@pytest.mark.slow
@pytest.mark.timed
def test_ten_thousand_frames_are_open_within_a_second(home):
    """From the folder to the columns of the time line; the best counts."""
    rng = np.random.default_rng(0)
    rows = rows_of("ward.mp4", "ward", 10_000, rng)
    folder = run_folder(home / "runs" / "detect" / "long", rows)

    def took():
        begin = time.perf_counter()
        json.dumps(Room(folder).columns.frames[0])
        return time.perf_counter() - begin

    assert least(took, 1.0) < 1.0


def test_a_file_that_was_replaced_is_not_shown_under_old_boxes(home):
    """Another film of the same name: no picture, no heat, nothing to learn from; the row stays."""
    folder = filmed_run(home)
    config = json.loads((folder / "config.json").read_text())
    config["bytes"] = {"ward.mp4": (home / "ward.mp4").stat().st_size}
    (folder / "config.json").write_text(json.dumps(config))
    assert Room(folder).frame(0, 0)["shown"] == "original"
    film(home / "ward.mp4", count=41, size=(96, 64))
    room = Room(folder)
    assert room.frame(0, 0)["shown"] == "none"
    with pytest.raises(Gone, match="another one now"):
        room.album.shown(0)
    del config["bytes"]  # an older version: then its size in pixels tells
    (folder / "config.json").write_text(json.dumps(config))
    film(home / "ward.mp4", count=40, size=(64, 64))
    with pytest.raises(Gone, match="another one now"):
        Room(folder).album.shown(0)


def test_labels_that_know_none_of_the_frames_are_told(home):
    folder = filmed_run(home)
    content = {"images": [{"id": 1, "file_name": "other.png"}], "annotations": []}
    (home / "labels.json").write_text(json.dumps(content))
    room = Room(folder, str(home / "labels.json"))
    assert "none of these frames" in room.run()["warnings"][0]


def test_the_newest_run_is_the_one_made_last_not_the_one_marked_last(home):
    first, second = filmed_run(home, "first", count=2), filmed_run(home, "second", count=2)
    for age, folder in enumerate((second, first)):
        for name in ("config.json", "summary.json"):
            os.utime(folder / name, (10**9 - age, 10**9 - age))
    Notebook(first).change({"names": ["ward@000000"], "marked": True, "note": ""})
    assert opened.find("") == second


@pytest.mark.parametrize("name", ["page.jpg", "page", "none/page.html"])
def test_a_page_is_not_written_over_something_else(home, name):
    folder = filmed_run(home, count=3)
    with pytest.raises(UserError, match="--export"):
        Inspect(str(folder), export=home / name).run()
    Inspect(str(folder), export=home / "page.html").run()
    with pytest.raises(UserError, match="is there"):
        Inspect(str(folder), export=home / "page.html").run()
    Inspect(str(folder), export=home / "page.html", overwrite=True).run()


def test_a_folder_that_lost_its_settings_is_no_folder_of_pictures(home):
    folder = filmed_run(home, "lost", count=3)
    (folder / "config.json").unlink()
    for what in (str(folder), "lost"):
        with pytest.raises(UserError, match="damaged"):
            Inspect(what, browser=False).run()


@pytest.mark.parametrize("note", ["\ud800", "x" * 2001])
def test_a_note_that_no_file_can_hold_is_refused(note):
    with pytest.raises(UserError, match="a note is text"):
        parsed(json.dumps({"names": ["a"], "marked": True, "note": note}).encode())
    with pytest.raises(UserError, match="not a change"):
        parsed(b"[" * 100_000)


def test_names_that_are_no_utf8_are_detected_and_looked_into(home, pair):
    pictured_run(home)
    strange = os.fsencode(home / "pictures") + b"/S\xe4ugling.png"
    (home / "pictures" / "p0.png").rename(os.fsdecode(strange))
    folder = Detect((str(home / "pictures"),), "strange", **pair).run()
    room = Room(folder)
    (index,) = (n for n, shot in enumerate(room.record.shots) if "ugling" in shot.name)
    assert room.album.shown(index).shape == (64, 96, 3)
    room.notebook.change({"names": [room.record.shots[index].name], "marked": True, "note": ""})
    assert "ugling" in gather.as_list(wanted(room))


def test_truth_without_a_face_among_its_categories_is_refused(home):
    kinds = [{"id": 1, "name": "eye"}, {"id": 2, "name": "mouth"}]
    content = {"images": [{"id": 1, "file_name": "a"}], "annotations": [], "categories": kinds}
    (home / "labels.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="none of the categories is a face"):
        open_truth(str(home / "labels.json"))


def test_marks_do_not_pass_to_frames_of_other_films(home, pair):
    """The same name, another source: they are kept aside, under another name."""
    pictured_run(home)
    folder = Detect((str(home / "pictures"),), "again", **pair).run()
    Notebook(folder).change({"names": ["p1"], "marked": True, "note": "look"})
    images.write(home / "pictures" / "p1.png", np.zeros((64, 96, 3), np.uint8))
    Detect((str(home / "pictures"),), "again", overwrite=True, **pair).run()
    assert Notebook(folder).read()["marks"] == {}
    assert "look" in (folder / runs.OLD_MARKS).read_text()


def test_a_folder_of_pictures_is_one_whatever_lies_beside(home, monkeypatch):
    """Runs of ours, a run of the same name, somebody else's manifest."""
    filmed_run(home, "pictures-of-mine", count=2)
    pictured_run(home)
    (home / "pictures" / "manifest.json").write_text("[]")
    monkeypatch.chdir(home / "pictures")
    monkeypatch.setattr(Inspect, "_serve", lambda *_: None)
    assert Room(Inspect(".", browser=False).run()).run()["frames"] == 6


def test_a_drawing_in_place_of_a_picture_holds_any_words():
    for words in ("gone: S\udce4ugling\x00.png", "<b>&" * 200, ""):
        assert sorry(words).startswith(b"<svg")
        assert b"<b>" not in sorry(words)


def test_a_reel_that_lost_its_film_is_told_and_comes_back(home):
    folder = filmed_run(home, count=60)
    album = Room(folder).album
    album.shown(50)
    (home / "ward.mp4").rename(home / "elsewhere.mp4")
    with pytest.raises(Gone):
        album.shown(1)
    (home / "elsewhere.mp4").rename(home / "ward.mp4")
    assert album.shown(1).shape == (64, 96, 3)
