import cv2
import numpy as np
import pytest

from pipeline import images, video
from pipeline.errors import UserError


def film(path, count=7, rate=10.0, size=(48, 32)):
    """A video whose frames get redder from frame to frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size)
    for number in range(count):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[..., 2] = 30 * number % 250  # OpenCV's red
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture
def left_out():
    return []


@pytest.fixture
def note(left_out):
    return lambda path, reason: left_out.append((path.name, reason))


def test_a_video_is_its_frames_in_order(tmp_path, note, left_out):
    """RGB, numbered, with their time."""
    found = list(video.frames(film(tmp_path / "a.avi"), note))

    assert [frame.number for frame in found] == list(range(7))
    assert [frame.seconds for frame in found] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert [frame.name for frame in found[:2]] == ["a@000000", "a@000001"]
    assert left_out == []
    for frame in found:
        assert frame.picture.shape == (32, 48, 3)
        assert abs(frame.picture[..., 0].mean() - 30 * frame.number) < 12
        assert frame.picture[..., 2].mean() < 12


def test_a_folder_is_all_its_pictures_and_videos(tmp_path, note, left_out):
    """In order of their names, folders below too; other files are passed by."""
    (tmp_path / "deep").mkdir()
    grey = np.full((20, 30, 3), 99, np.uint8)
    images.write(tmp_path / "b.png", grey)
    images.write(tmp_path / "b.jpg", grey)
    images.write(tmp_path / "deep" / "c.JPG", grey)
    film(tmp_path / "a.avi", count=2)
    (tmp_path / "notes.txt").write_text("no picture")
    found = list(video.frames(tmp_path, note))

    assert [frame.name for frame in found] == [
        *("a@000000", "a@000001"),
        *("b", "b_png", "deep__c"),
    ]
    assert found[2].seconds is None


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, note, left_out):
    """A broken picture, and a video that is none."""
    (tmp_path / "a.jpg").write_bytes(b"hello")
    (tmp_path / "b.mp4").write_bytes(b"hello")
    images.write(tmp_path / "c.png", np.zeros((8, 8, 3), np.uint8))
    found = list(video.frames(tmp_path, note))

    assert [frame.name for frame in found] == ["c"]
    assert [name for name, _ in left_out] == ["a.jpg", "b.mp4"]
    assert "not a picture" in left_out[0][1]
    assert "not a video" in left_out[1][1]


def test_a_video_that_breaks_off_is_told(tmp_path, note, left_out):
    """What is there is given, and the account says how much is missing."""
    whole = film(tmp_path / "whole.avi", count=60, size=(160, 120)).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    found = list(video.frames(tmp_path / "half.avi", note))

    assert 0 < len(found) < 60
    assert left_out == [("half.avi", f"the video breaks off after {len(found)} of 60 frames")]


def test_nothing_there_is_an_error_for_people(tmp_path, note):
    """No such path, and a folder without pictures."""
    with pytest.raises(UserError, match="there is no such picture"):
        list(video.frames(tmp_path / "none", note))
    with pytest.raises(UserError, match="no pictures or videos"):
        list(video.frames(tmp_path, note))


def test_frames_and_pictures_never_share_a_name(tmp_path, note):
    """However a video, a folder beside it and the pictures in it are called."""
    grey = np.full((8, 8, 3), 99, np.uint8)
    (tmp_path / "clip").mkdir()
    film(tmp_path / "clip.avi", count=2)
    for name in ("clip/000000.jpg", "clip@000000.jpg", "clip@000001.png", "clip__000000.jpg"):
        images.write(tmp_path / name, grey)
    names = [frame.name.lower() for frame in video.frames(tmp_path, note)]

    assert len(names) == 6
    assert len(set(names)) == 6


def test_a_sample_is_spread_over_a_folder(tmp_path, note):
    """Evenly, each number once, never the same for all."""
    assert video.evenly(10, 3) == [1, 5, 8]
    assert video.evenly(3, 10) == [0, 1, 2]
    assert video.evenly(0, 4) == []
    film(tmp_path / "a.avi")
    assert [frame.number for frame in video.sample(tmp_path / "a.avi", 4, note)] == [0, 1, 2, 3]
