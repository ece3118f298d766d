"""What a person points at: everything in it, once, under a name of its own."""

import io

import numpy as np
import pytest
from films import film

from pipeline import images, media
from pipeline.errors import UserError

GREY = np.full((20, 30, 3), 99, np.uint8)


def seen(*sources):
    return [frame for given in media.inputs(sources) for frame in media.frames(given)]


def test_a_folder_is_all_its_pictures_and_videos(tmp_path):
    """In order of their names, folders below too; other files are passed by."""
    (tmp_path / "deep").mkdir()
    for name in ("b.png", "b.jpg", "deep/c.JPG"):
        images.write(tmp_path / name, GREY)
    film(tmp_path / "a.avi", count=2)
    (tmp_path / "notes.txt").write_text("no picture")
    found = seen(str(tmp_path))

    assert [frame.name for frame in found] == ["a@000000", "a@000001", "b", "b_png", "deep__c"]
    assert found[2].seconds is None
    assert found[4].source == str(tmp_path / "deep" / "c.JPG")


def test_other_files_are_told_and_what_is_meant_twice_is_one(tmp_path, capsys):
    images.write(tmp_path / "a.png", GREY)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "b.heic").write_bytes(b"no picture that we know")
    found = seen(str(tmp_path), str(tmp_path / "*.png"), str(tmp_path / "a.png"))

    assert [frame.name for frame in found] == ["a"]
    assert "2 other files passed over (.heic, .txt)" in capsys.readouterr().err


def test_several_sources_and_patterns(tmp_path):
    """One after another; a pattern with ** goes into folders."""
    for name in ("x/1.png", "x/2.png", "y/z/1.png", "other/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(tmp_path / name, GREY)
    found = seen(str(tmp_path / "other" / "1.png"), str(tmp_path / "[xy]" / "**" / "*.png"))

    assert [frame.name for frame in found] == ["1", "x__1", "x__2", "y__z__1"]


def test_a_file_whose_name_looks_like_a_pattern_or_a_camera_is_that_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a[1].png", "0"):
        images.write(tmp_path / "a.png", GREY)
        (tmp_path / "a.png").rename(tmp_path / name)

    assert [given.kind for given in media.inputs(["a[1].png", "0"])] == ["picture", "video"]
    assert media.inputs(["1"])[0].kind == "camera"


def test_an_address_is_known_without_its_password():
    (given,) = media.inputs(["rtsp://nurse:secret@10.0.0.7:554/bed3?token=abc"])

    assert given.kind == "stream"
    assert given.live
    assert given.text == "rtsp://10.0.0.7:554/bed3"
    assert "secret" not in given.name + given.text
    assert "abc" not in given.name + given.text + given.asked
    assert "secret" not in given.asked
    for nonsense in ("rtsp://cam:99999/x", "rtsp://user:pass#word@cam/x"):
        with pytest.raises(UserError, match="makes no sense") as caught:
            media.inputs([nonsense])
        assert "pass" not in str(caught.value)


def test_frames_and_pictures_never_share_a_name(tmp_path):
    """However a video, a folder beside it and the pictures in it are called."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one / "clip", two):
        folder.mkdir(parents=True)
    film(one / "clip.avi", count=2)
    for name in ("clip/000000.jpg", "clip@000000.jpg", "clip@000001.png", "clip__000000.jpg"):
        images.write(one / name, GREY)
    images.write(two / "clip__000000.jpg", GREY)
    names = [frame.name.lower() for frame in seen(str(one), str(two))]

    assert len(names) == 7
    assert len(set(names)) == 7


def test_what_cannot_be_read_keeps_its_place(tmp_path):
    """A broken picture, and a video that is none, between good ones."""
    (tmp_path / "a.jpg").write_bytes(b"hello")
    (tmp_path / "b.mp4").write_bytes(b"hello")
    images.write(tmp_path / "c.png", GREY)
    found = seen(str(tmp_path))

    assert [frame.name for frame in found] == ["a", "b@000000", "c"]
    assert "not a picture" in found[0].reason
    assert "not a video" in found[1].reason
    assert [frame.picture is None for frame in found] == [True, True, False]


@pytest.mark.parametrize("suffix", [".mkv", ".png"])
def test_standard_input_is_a_video_or_a_picture(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    film(path, size=(64, 48)) if suffix == ".mkv" else images.write(path, GREY)

    class Input:
        buffer = io.BytesIO(path.read_bytes())

    monkeypatch.setattr("sys.stdin", Input)
    found = seen("-")

    assert len(found) == (7 if suffix == ".mkv" else 1)
    assert all(frame.picture is not None for frame in found)
    assert found[0].source == "standard input"


def test_nothing_there_is_an_error_for_people(tmp_path):
    """No such path, a folder without pictures, a pattern that fits nothing."""
    for source, words in (
        ("none", "there is no such picture"),
        (str(tmp_path), "no pictures or videos"),
        (str(tmp_path / "*.jpg"), "no pictures or videos"),
    ):
        with pytest.raises(UserError, match=words):
            media.inputs([source])


def test_a_sample_is_spread_over_a_folder(tmp_path):
    """Evenly, each number once, never the same for all."""
    assert media.evenly(10, 3) == [1, 5, 8]
    assert media.evenly(3, 10) == [0, 1, 2]
    assert media.evenly(0, 4) == []
    film(tmp_path / "a.avi")
    given = media.inputs([str(tmp_path / "a.avi")])
    assert [frame.number for frame in media.sample(given, 4)] == [0, 1, 2, 3]


def test_a_fingerprint_changes_with_the_files(tmp_path):
    """And live sources have none."""
    images.write(tmp_path / "a.png", GREY)
    before = media.fingerprint(media.inputs([str(tmp_path)]))
    images.write(tmp_path / "b.png", GREY)

    assert media.fingerprint(media.inputs([str(tmp_path)])) != before
    with pytest.raises(UserError, match="live source"):
        media.fingerprint(media.inputs(["rtsp://somewhere/x"]))


def test_long_names_fit_into_a_file_system(tmp_path):
    """Folders in folders, and letters of several bytes; still a name for each."""
    folder = tmp_path / ("a" * 100) / ("b" * 100) / ("ä" * 50)
    for name in ("one.png", f"{'ö' * 90}.png"):
        folder.mkdir(parents=True, exist_ok=True)
        images.write(folder / name, GREY)
    names = [frame.name for frame in seen(str(tmp_path))]

    assert len(set(names)) == 2
    assert all(len(name.encode()) <= media.LONGEST + 1 for name in names)
    assert names[0].endswith("ä__one")
