"""Frames of a video: all of them, upright, with their times; and of broken ones the reason."""

import itertools

import av
import cv2
import numpy as np
import pytest
from films import film

from pipeline import media, video
from pipeline.video import Unopened

# Container, codec, rate and size that FFmpeg's writers accept.
KINDS = {
    "avi": ("mjpeg", 10, (48, 32)),
    "mp4": ("libx264", 10, (48, 32)),
    "mkv": ("mpeg4", 10, (48, 32)),
    "webm": ("libvpx-vp9", 10, (48, 32)),
    "mov": ("mjpeg", 10, (48, 32)),
    "ts": ("libx264", 10, (48, 32)),
    "flv": ("libx264", 10, (48, 32)),
    "wmv": ("wmv2", 10, (48, 32)),
    "m2ts": ("libx264", 10, (48, 32)),
    "mpg": ("mpeg2video", 25, (352, 288)),
    "mxf": ("mpeg2video", 25, (352, 288)),
    "3gp": ("mpeg4", 10, (352, 288)),
    "y4m": ("wrapped_avframe", 10, (48, 32)),
}


def frames(path, **settings):
    given = media.inputs([str(path)])[0]
    return list(media.frames(given, **settings))


@pytest.mark.parametrize("suffix", KINDS)
def test_a_video_of_any_kind_is_its_frames_in_order(tmp_path, suffix):
    """RGB, numbered, with their times, none too few and none too many."""
    codec, rate, size = KINDS[suffix]
    found = frames(film(tmp_path / f"a.{suffix}", codec=codec, rate=rate, size=size))

    assert [frame.reason for frame in found] == [""] * 7
    assert [frame.number for frame in found] == list(range(7))
    assert [frame.name for frame in found[:2]] == ["a@000000", "a@000001"]
    for frame in found:
        assert frame.seconds == pytest.approx(frame.number / rate, abs=0.002)
        assert frame.picture.shape == (size[1], size[0], 3)
        assert abs(frame.picture[-8:, -8:, 0].mean() - 30 * frame.number) < 14
        assert frame.picture[-8:, -8:, 2].mean() < 14


def test_times_are_those_of_the_frames(tmp_path):
    """A variable frame rate, and a video that does not begin at 0."""
    times = [0.4, 0.44, 0.5, 1.7, 1.75, 3.0]
    found = frames(film(tmp_path / "a.mkv", count=6, times=times))

    assert [frame.seconds for frame in found] == pytest.approx([t - 0.4 for t in times], abs=0.002)


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)])
def test_a_video_that_was_taken_sideways_is_turned_upright(tmp_path, matrix):
    """As the matrix in its header says, and as OpenCV turns it."""
    data = bytearray(film(tmp_path / "flat.mp4", codec="libx264").read_bytes())
    at = data.rindex(b"tkhd") + 44  # behind version, times, number, length, layer and volume
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        data[at + place : at + place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    picture = frames(path)[0].picture
    _, expected = cv2.VideoCapture(str(path)).read()

    assert picture.shape == ((32, 48, 3) if matrix[0] else (48, 32, 3))
    assert np.abs(picture[..., ::-1].astype(int) - expected).mean() < 3


def test_frames_that_nobody_wants_cost_no_picture(tmp_path, monkeypatch):
    """They are counted all the same."""
    made = []
    upright = video._upright
    monkeypatch.setattr(video, "_upright", lambda each: made.append(1) or upright(each))
    found = frames(film(tmp_path / "a.mkv"), wanted=lambda number, _: number % 3 == 0)

    assert [frame.number for frame in found] == [0, 3, 6]
    assert len(made) == 3


def test_a_video_that_breaks_off_says_so(tmp_path):
    """What is there is given; the account says where it ends."""
    for name in ("whole.avi", "whole.mkv"):
        path = tmp_path / name
        whole = film(path, count=60, size=(160, 120), codec="mjpeg").read_bytes()
        half = path.with_stem("half")
        half.write_bytes(whole[: len(whole) // 2])
        found = frames(half)
        seen = [frame for frame in found if frame.picture is not None]

        assert 0 < len(seen) < 60
        assert found[-1].picture is None
        assert "breaks off" in found[-1].reason or "cannot be" in found[-1].reason
        assert [frame.number for frame in found] == list(range(len(found)))


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv", "ts"])
def test_damage_in_the_middle_loses_frames_not_the_video(tmp_path, suffix):
    """A stretch of noise: the frames behind it are there, what is missing is told or shown."""
    path = film(tmp_path / f"a.{suffix}", count=120, size=(160, 120), codec="mpeg4")
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).bytes(len(data) // 12)
    data[len(data) // 2 : len(data) // 2 + len(noise)] = noise
    path.write_bytes(data)
    found = frames(path)

    assert len(found) > 50
    assert [frame.number for frame in found] == list(range(len(found)))


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000), b"\x00\x00\x00\x18ftypmp42" * 9])
def test_what_is_no_video_is_one_frame_without_a_picture(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    (found,) = frames(path)

    assert found.picture is None
    assert "not a video" in found.reason
    with pytest.raises(Unopened), video.opened(str(path)):
        pass


def test_a_file_with_sound_alone_has_no_video(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = np.zeros((1, 800), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    (found,) = frames(path)

    assert found.reason == "there is no video in it"


def test_a_long_video_is_not_held_in_memory(tmp_path):
    """Frame by frame, each let go of: taking the first ten decodes little more than ten."""
    path = film(tmp_path / "a.mkv", count=300)
    given = media.inputs([str(path)])[0]
    ten = list(itertools.islice(media.frames(given), 10))

    assert [frame.number for frame in ten] == list(range(10))
    assert media.length(given) in {0, *range(295, 306)}


@pytest.mark.parametrize(
    ("codec", "suffix", "times"),
    [
        ("mpeg4", "mp4", None),
        ("libx264", "mkv", None),
        ("libx264", "mp4", [0.5, 0.9, 1.0, 2.5, 2.6, 7.0, *np.arange(8, 30).tolist()]),
        ("mjpeg", "avi", None),
        ("mpeg2video", "ts", None),
        ("mpeg1video", "mpg", None),
    ],
)
def test_a_reel_shows_every_frame_in_any_order(tmp_path, codec, suffix, times):
    """Forward, backward, at random: the picture of a second is that of the frame shown then."""
    count = len(times) if times else 60
    rate = 25 if suffix == "mpg" else 10
    path = film(tmp_path / f"a.{suffix}", count=count, rate=rate, codec=codec, times=times)
    with video.opened(str(path)) as container:
        straight = list(video.frames(container, "a", "a"))
    order = [*range(count), *reversed(range(count))]
    order += np.random.default_rng(0).permutation(count).tolist()
    reel = video.Reel(str(path))
    for number in order:
        shown = reel.frame(straight[number].seconds)
        np.testing.assert_array_equal(shown, straight[number].picture)
    reel.close()


def test_a_reel_beyond_the_end_shows_nothing_and_goes_on(tmp_path):
    path = film(tmp_path / "a.mp4", count=5)
    reel = video.Reel(str(path))
    assert reel.frame(99.0) is None
    assert reel.frame(0.2) is not None
    reel.close()
