"""``uncover detect``: a row for every frame, whatever happens on the way."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import film
from pairs import save_first, save_second
from PIL import Image

from pipeline import annotate, heatmap_files, images, journal, looking, media, runs, sinks
from pipeline.cli import main
from pipeline.detect import Detect
from pipeline.detections import Detections
from pipeline.errors import UserError
from pipeline.results import COLUMNS
from pipeline.stage2 import Stage2
from pipeline.video import Frame

MS = [name for name in COLUMNS if name.startswith("ms_")]


@pytest.fixture(scope="module")
def place(module_home):
    """A home with a pair of weights: stage 1 is silent, stage 2 sees faces everywhere."""
    first = save_first(module_home / "first.pt", threshold=0.9)
    save_second(module_home / "second.pt", runs.sha256(first), threshold=1e-6)
    return module_home


@pytest.fixture
def detect(place, request):
    """The command with small settings, into a name that no other test has."""

    def build(*sources, **settings):
        usual = {"stage1": str(place / "first.pt"), "fallback": str(place / "second.pt")}
        usual |= {"device": "cpu", "name": request.node.name.replace("[", "-").strip("]")}
        return Detect(tuple(map(str, sources)), **usual | settings)

    return build


def table(folder):
    with (folder / "frames.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def settled(folder):
    """All files of a run, of the table without the milliseconds and of the rest the bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and name not in {"config.json", "summary.json", "frames.csv"}:
            found[name] = path.read_bytes()
    lines = map(json.loads, found.pop("frames.jsonl").splitlines())
    found["lines"] = [line | {"ms": {}} for line in lines]
    found["rows"] = [
        {key: value for key, value in row.items() if key not in MS} for row in table(folder)
    ]
    return found


@pytest.fixture
def mixed(tmp_path):
    """Pictures, a broken one between them, and a video."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number in range(3):
        images.write(folder / f"p{number}.png", rng.integers(0, 255, (60, 80, 3), np.uint8))
    (folder / "p1b.jpg").write_bytes(b"hello")
    film(folder / "v.mkv", count=9)
    return folder


def test_every_frame_has_a_row_in_order(detect, mixed):
    folder = detect(mixed, save_txt=True, save_heatmaps=True).run()
    rows = table(folder)

    names = ["p0.png", "p1.png", "p1b.jpg", "p2.png", *["v.mkv"] * 9]
    assert [Path(row["source"]).name for row in rows] == names
    assert [row["frame"] for row in rows[4:]] == [str(number) for number in range(9)]
    assert [float(row["time_s"]) for row in rows[4:]] == pytest.approx(np.arange(9) / 10)
    assert [row["outcome"] for row in rows[:4]] == [
        *("recovered", "recovered", "unreadable", "recovered")
    ]
    assert rows[2]["reason"].startswith("not a picture")
    assert {row["stage"] for row in rows} == {"heatmap", "none"}
    assert all(float(row["ms_stage2"]) > 0 for row in rows if row["stage"] == "heatmap")


def test_all_files_tell_the_same(detect, mixed):
    """COCO's form, Ultralytics' labels, heatmaps, annotated pictures and video, the summary."""
    folder = detect(mixed, save_txt=True, save_heatmaps=True).run()
    rows = [row for row in table(folder) if row["face"] != ""]
    results = json.loads((folder / "predictions.json").read_text())
    pictures = json.loads((folder / "pictures.json").read_text())
    names = {image["id"]: image["file_name"] for image in pictures["images"]}

    assert len(pictures["images"]) == 13
    assert len(results) == len(rows)
    for row, result in zip(rows, results, strict=True):
        x1, y1, x2, y2 = (float(row[key]) for key in ("x1", "y1", "x2", "y2"))
        assert result["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.011)
        assert result["score"] == float(row["conf"])
        file = Path(names[result["image_id"]])  # as it was given; of a video, the frame's name
        name = file.stem if file.suffix else file.name
        assert file.is_file() or "@" in name
        label = (folder / "labels" / f"{name}.txt").read_text().split()
        centre = (x1 + x2) / 2 / float(row["width"])
        assert float(label[1]) == pytest.approx(centre, abs=1e-3)
        _, facts = heatmap_files.read(folder / "heatmaps" / f"{name}.tif")
        assert facts["names"][0] == "eyes"
    drawn = {path.name for path in (folder / "annotated").iterdir()}
    assert drawn == {"p0.jpg", "p1.jpg", "p2.jpg", "v.mp4"}
    seen = list(media.frames(media.inputs([str(folder / "annotated" / "v.mp4")])[0]))
    assert [frame.seconds for frame in seen] == pytest.approx(np.arange(9) / 10, abs=0.001)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["complete"]
    assert summary["frames"] == 13
    assert sum(summary["outcomes"].values()) == 13
    assert not (folder / "journal").exists()


def test_the_exit_code_tells_that_something_was_unreadable(place, mixed, capsys):
    words = ["detect", "--stage1", str(place / "first.pt"), "--fallback", "none", "--no-save"]
    good = str(mixed / "p0.png")

    assert main([*words, "--name", "code-good", good]) == 0
    assert main([*words, "--name", "code-bad", str(mixed)]) == 3
    assert main([*words, "--name", "code-none", str(mixed / "nothing")]) == 2
    assert "missed" in capsys.readouterr().out


def test_a_finished_run_is_not_done_again_nor_overwritten(detect, mixed, capsys):
    detect(mixed).run()
    detect(mixed).run()
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"fallback_conf: 1e-06 -> 0\.5"):
        detect(mixed, fallback_conf=0.5).run()
    images.write(mixed / "new.png", np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(UserError, match="files"):
        detect(mixed).run()
    assert len(table(detect(mixed, overwrite=True).run())) >= 14


SCRIPT = """
import sys
from pipeline import looking
looking.PART = 16
from pipeline.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(place, source, name, *more):
    words = ["detect", str(source), "--name", name, "--stage1", str(place / "first.pt")]
    words += ["--fallback", str(place / "second.pt"), "--device", "cpu", "--save-txt", *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_parts(folder, count, process):
    begin = time.monotonic()
    while not (folder / "journal" / f"{count - 1:06d}.jsonl").is_file():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() - begin < 120
        time.sleep(0.01)


@pytest.fixture
def long(tmp_path):
    """Pictures, a video, pictures: what a run is killed in."""
    folder = tmp_path / "long"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "z"):
        for number in range(20):
            picture = rng.integers(0, 255, (60, 80, 3), np.uint8)
            images.write(folder / f"{name}{number:02d}.png", picture)
    film(folder / "m.mkv", count=150, size=(64, 48))
    return folder


def test_a_killed_run_goes_on_and_ends_the_same(place, long, monkeypatch):
    """Killed -9 twice: nothing is lost, nothing counted twice, every byte as undisturbed."""
    runs_folder = place / "runs" / "detect"
    assert start(place, long, "undisturbed", "--hold", "0.2").wait() == 0
    for parts in (2, 6):
        more = ["--resume"] if parts > 2 else []
        process = start(place, long, "killed", "--hold", "0.2", *more)
        wait_for_parts(runs_folder / "killed", parts, process)
        process.kill()
        process.wait()
    process = start(place, long, "killed", "--hold", "0.2", "--resume")
    said, _ = process.communicate()

    assert process.returncode == 0, said
    assert "done already" in said
    expected, found = (settled(runs_folder / name) for name in ("undisturbed", "killed"))
    assert found.keys() == expected.keys()
    assert found["rows"] == expected["rows"]
    assert [name for name in expected if expected[name] != found[name]] == []


@pytest.mark.parametrize("polite", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_writes_what_there_is(place, long, polite):
    """Ctrl-C: exit 130, rows and film so far, how to go on; then the same end."""
    name = f"stopped{polite}"
    folder = place / "runs" / "detect" / name
    process = start(place, long, name, "--hold", "0.2")
    wait_for_parts(folder, 3, process)
    process.send_signal(polite)
    said, _ = process.communicate(timeout=60)
    rows = len(table(folder))

    assert process.returncode == 130, said
    assert "--resume" in said
    assert 48 <= rows < 190
    assert not json.loads((folder / "summary.json").read_text())["complete"]
    again = start(place, long, name, "--hold", "0.2")
    assert "--resume goes on" in again.communicate()[0]
    assert start(place, long, name, "--hold", "0.2", "--resume").wait() == 0
    assert start(place, long, f"{name}-not", "--hold", "0.2").wait() == 0
    assert settled(folder) == settled(folder.with_name(f"{name}-not"))


def test_a_password_is_in_no_file(place):
    """Nor in what is printed."""
    words = ["rtsp://nurse:secret@127.0.0.1:9/bed3?token=abc", "--name", "bed3", "--reconnect", "0"]
    process = start(place, words[0], words[2], *words[3:])
    said, _ = process.communicate()

    assert process.returncode == 3, said
    folder = place / "runs" / "detect" / "bed3"
    for text in (said, *(path.read_text() for path in folder.rglob("*") if path.is_file())):
        assert "secret" not in text
        assert "abc" not in text


def test_a_held_face_is_no_detection(detect, tmp_path, monkeypatch):
    """A row that says so; none in COCO's results, none in the labels."""
    answers = iter([True, True, False, False, False, True])

    def sometimes(self, stacks, letterboxes, conf, iou):
        found = boxes(self, stacks, letterboxes, conf, iou)
        return [
            each
            if next(answers)
            else replace(
                each, boxes=each.boxes[:0], scores=each.scores[:0], classes=each.classes[:0]
            )
            for each in found
        ]

    boxes = Stage2.boxes
    monkeypatch.setattr(Stage2, "boxes", sometimes)
    path = film(tmp_path / "v.mkv", count=6)
    folder = detect(path, hold=0.25, save_txt=True).run()
    outcomes = [row["outcome"] for row in table(folder)]

    assert outcomes == ["recovered", "recovered", "held", "held", "missed", "recovered"]
    assert len(json.loads((folder / "predictions.json").read_text())) == 3
    assert [len(each.read_text().split()) for each in sorted((folder / "labels").iterdir())] == [
        *(6, 6, 0, 0, 0, 6)
    ]


def test_a_full_disk_is_told_and_nothing_is_lost(detect, long, monkeypatch):
    """In the midst of a part: what the journal has stays, and the same command goes on."""
    monkeypatch.setattr(looking, "PART", 16)
    write, count = images.write, []

    def full(path, *given, **more):
        count.append(path)
        if len(count) > 18:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, *given, **more)

    monkeypatch.setattr(sinks.images, "write", full)
    with pytest.raises(UserError, match=r"No space left.*--resume"):
        detect(long).run()
    monkeypatch.setattr(sinks.images, "write", write)
    folder = detect(long, resume=True).run()

    frames = [(row["source"], row["frame"]) for row in table(folder)]
    assert len(frames) == len(set(frames)) == 190
    assert not list(folder.rglob("*.partial"))


def test_a_damaged_journal_is_told(detect, long, monkeypatch):
    monkeypatch.setattr(looking, "PART", 16)
    monkeypatch.setattr(
        looking.results, "append", lambda *_: (_ for _ in ()).throw(OSError(5, "x"))
    )
    with pytest.raises(UserError, match="not finished"):
        detect(long).run()
    folder = runs.home() / "runs" / "detect" / detect(long).name
    part = journal.Journal(folder).folder / "000000.jsonl"
    part.write_text(part.read_text()[:-20])
    monkeypatch.undo()
    with pytest.raises(UserError, match="damaged"):
        detect(long, resume=True).run()


def test_every_nth_frame_and_so_many_a_second(detect, tmp_path):
    path = film(tmp_path / "v.mkv", count=30)  # ten a second
    third = table(detect(path, name="stride", stride=3, save=False).run())
    two = table(detect(path, name="fps", fps=2.0, save=False).run())

    assert [int(row["frame"]) for row in third] == list(range(0, 30, 3))
    assert [int(row["frame"]) for row in two] == list(range(0, 30, 5))


def test_who_is_anonymized_cannot_be_known(detect, mixed):
    """No detail is left of a frame without a face."""
    blurred = detect(mixed, name="anonymous", anonymize=True, fallback="none").run()
    plain = detect(mixed, name="plain", fallback="none").run()
    first, second = (images.read(each / "annotated" / "p0.jpg") for each in (blurred, plain))

    assert detail(first) < 0.1 * detail(second)


def test_a_face_that_was_seen_is_blurred():
    """And what is far from it is not; where a held one is now, nobody knows."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (200, 300, 3), np.uint8)
    box = np.array([[100, 90, 140, 140]], np.float32)
    for how in ("found", "recovered"):
        seen = Detections(box, np.array([0.9], np.float32), (how,), (300, 200))
        blurred = annotate.anonymized(picture, seen)

        assert np.abs(np.diff(blurred[90:140, 100:140].astype(float), axis=1)).mean() < 5
        np.testing.assert_array_equal(blurred[:, 200:], picture[:, 200:])
    held = Detections(box, np.array([0.9], np.float32), ("held",), (300, 200))
    assert np.abs(np.diff(annotate.anonymized(picture, held).astype(float), axis=1)).mean() < 5


def detail(picture):
    """How much neighbouring pixels differ, but for the line of words above."""
    return np.abs(np.diff(picture[20:60].astype(float), axis=1)).mean()


def test_other_sources_in_another_order_are_another_run(detect, tmp_path, monkeypatch):
    """Rows know their inputs by number."""
    first, second = (film(tmp_path / f"{name}.mkv", count=4) for name in "ab")
    monkeypatch.setattr(looking.Run, "_finish", lambda *_: None)
    detect(first, second).run()
    with pytest.raises(UserError, match="made otherwise"):
        detect(second, first, resume=True).run()


def test_several_live_sources_are_looked_at_together(detect, tmp_path, monkeypatch):
    """None waits until another has ended; each has its own numbers."""
    waiting = threading.Barrier(2, timeout=20)

    def connected(address, name, text, *_):
        waiting.wait()
        for number in range(5):
            yield Frame(np.zeros((40, 60, 3), np.uint8), f"{name}@{number}", text, number, number)

    monkeypatch.setattr(media.live, "stream", connected)
    folder = detect("rtsp://one/a", "rtsp://two/b", save=False).run()
    rows = table(folder)

    assert len(rows) == 10
    for source in ("rtsp://one/a", "rtsp://two/b"):
        own = [int(row["frame"]) for row in rows if row["source"] == source]
        assert own == list(range(5))


def test_unreadable_frames_have_their_place_on_the_time_line(tmp_path):
    """Also those before the first that can be read."""
    path = film(tmp_path / "v.mkv", count=10)
    given = media.inputs([str(path)])
    lines = sinks.Sinks(tmp_path, sinks.Wishes(True, False, False, False), given)
    sizes = [(0, 0)] * 3 + [(64, 48)] * 4 + [(0, 0)] * 3
    for number, size in enumerate(sizes):
        lines.place(0, number, None, size, "found" if any(size) else "unreadable")
    strip = lines.lines[0].strip[0]
    black = (strip == 0).all(axis=1)

    assert black[:19].all()
    assert not black[20:44].any()
    assert black[46:].all()


def broken(folder):
    """Thirty-odd files that are not what their names say."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
    whole = {}
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif"):
        images.write(folder / f"x{suffix}", picture)
        whole[suffix] = (folder / f"x{suffix}").read_bytes()
        (folder / f"x{suffix}").unlink()
    for suffix, codec in (
        (".avi", "mjpeg"),
        (".mp4", "libx264"),
        (".mkv", "mpeg4"),
        (".ts", "libx264"),
    ):
        whole[suffix] = film(
            folder / f"x{suffix}", count=20, codec=codec, size=(64, 48)
        ).read_bytes()
        (folder / f"x{suffix}").unlink()
    files = {}
    for suffix, data in whole.items():
        kind = suffix[1:]
        files[f"{kind}-empty{suffix}"] = b""
        files[f"{kind}-zeros{suffix}"] = bytes(500)
        files[f"{kind}-noise{suffix}"] = rng.bytes(500)
        files[f"{kind}-half{suffix}"] = data[: len(data) // 2]
        files[f"{kind}-head{suffix}"] = data[:20]
    files["text.jpg"] = b"I am no picture"
    files["bomb.png"] = whole[".png"][:16] + (60000).to_bytes(4, "big") * 2 + whole[".png"][24:]
    files["video.jpg"] = whole[".mp4"]
    files["picture.mp4"] = whole[".png"]
    for name, data in files.items():
        (folder / name).write_bytes(data)
    Image.fromarray(picture).convert("CMYK").save(folder / "cmyk.jpg")
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.png").mkdir()
    return len(files)


def test_broken_input_of_every_kind_ends_no_run(detect, tmp_path):
    """Each is an unreadable row, or what can be read of it; the good ones around are all there."""
    folder = tmp_path / "ward"
    folder.mkdir()
    count = broken(folder)
    for name in ("000", "mmm", "zzz"):
        images.write(folder / f"{name}.png", np.zeros((48, 64, 3), np.uint8))
    out = detect(folder).run()
    rows = table(out)
    sources = {Path(row["source"]).name for row in rows}
    bad = {Path(row["source"]).name for row in rows if row["outcome"] == "unreadable"}

    assert count >= 30
    assert len(sources) == count + 4
    assert {"000.png", "mmm.png", "zzz.png", "cmyk.jpg"} <= sources - bad
    for name in sources:
        if (
            "-empty" in name
            or "-zeros" in name
            or "-noise" in name
            or name in {"text.jpg", "bomb.png"}
        ):
            assert name in bad
    assert all(row["reason"] for row in rows if row["outcome"] == "unreadable")


def test_huge_and_tiny_pictures(detect, tmp_path):
    images.write(tmp_path / "huge.jpg", np.zeros((4000, 6000, 3), np.uint8))
    for width, height in ((1, 1), (1, 500), (3000, 1)):
        images.write(tmp_path / f"{width}x{height}.png", np.zeros((height, width, 3), np.uint8))
    rows = table(detect(tmp_path).run())

    assert len(rows) == 4
    assert "unreadable" not in {row["outcome"] for row in rows}


@pytest.mark.parametrize(
    ("sources", "settings", "words"),
    [
        ((), {}, "detect what"),
        (("x.png",), {}, "no such picture"),
        (("OK",), {"batch": 0}, "--batch"),
        (("OK",), {"stride": 0}, "--stride"),
        (("OK",), {"fps": -1.0}, "--fps"),
        (("OK",), {"name": "../x"}, "plain name"),
        (("OK",), {"stage1": "nobody"}, "no such file of weights"),
        (("OK",), {"resume": True, "overwrite": True}, "not both"),
    ],
)
def test_what_makes_no_sense_is_refused(detect, mixed, sources, settings, words):
    given = [mixed / "p0.png" if source == "OK" else source for source in sources]
    with pytest.raises(UserError, match=words):
        detect(*given, **settings).run()
