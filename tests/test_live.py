"""Streams that come, stall, break and come back, from a real FFmpeg over the loopback."""

import contextlib
import http.server
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import imageio_ffmpeg
import pytest
from films import film

from pipeline import live, media
from pipeline.live import Seen


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def camera(path, port, *options):
    """FFmpeg that plays a film in its own time, over and over, to whoever connects first."""
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-stream_loop", "-1"]
    words += ["-i", str(path), "-c", "copy", *options, "-f", "mpegts"]
    process = subprocess.Popen([*words, f"tcp://127.0.0.1:{port}?listen=1"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "clip.ts", count=50, rate=25, codec="libx264", size=(64, 48))


def until(frames, found, enough):
    """Take frames until enough of them have come."""
    for frame in frames:
        found.append(frame)
        if enough(found):
            return
    pytest.fail("the frames have ended")


def test_a_camera_that_vanishes_and_comes_back(clip):
    """A row says that it was gone; numbers and times go on; one that is late is waited for."""
    port, before, between, after = free_port(), [], [], []
    frames = media.frames(media.inputs([f"tcp://127.0.0.1:{port}"])[0], reconnect=30)
    with camera(clip, port):
        until(frames, before, lambda found: sum(each.picture is not None for each in found) == 10)
    until(frames, between, lambda found: found[-1].picture is None)
    with camera(clip, port):
        until(frames, after, lambda found: sum(each.picture is not None for each in found) == 10)
    frames.close()

    assert "no signal" in between[-1].reason
    found = before + between + after
    assert [frame.number for frame in found] == list(range(len(found)))
    seconds = [frame.seconds for frame in found if frame.seconds is not None]
    assert seconds == sorted(seconds)


def test_a_camera_that_stays_away_is_given_up(clip, monkeypatch):
    """After the time that was allowed, with growing pauses, and not before."""
    pauses = []
    wait = live.STOP.wait
    monkeypatch.setattr(live.STOP, "wait", lambda each: pauses.append(each) or wait(each))
    given = media.inputs([f"tcp://127.0.0.1:{free_port()}"])[0]
    begin = time.monotonic()
    (found,) = media.frames(given, reconnect=2.2)

    assert 2.2 <= time.monotonic() - begin < 8
    assert found.picture is None
    assert "no signal" in found.reason
    assert pauses[:2] == [0.5, 1.0]


def test_nobody_waits_once_it_is_told_to_stop():
    """Ctrl-C during a long wait for a camera ends it at once."""
    given = media.inputs([f"tcp://127.0.0.1:{free_port()}"])[0]
    begin = time.monotonic()
    timer = threading.Timer(1.0, live.STOP.set)
    timer.start()
    try:
        list(media.frames(given, reconnect=600))
    finally:
        live.STOP.clear()

    assert time.monotonic() - begin < 10


def test_a_stream_that_stalls_is_gone(monkeypatch):
    """Connected, silent: the wait has an end."""
    monkeypatch.setattr(live, "SILENCE", 0.5)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        given = media.inputs([f"tcp://127.0.0.1:{server.getsockname()[1]}"])[0]
        begin = time.monotonic()
        (found,) = media.frames(given)

        assert time.monotonic() - begin < 10
        assert "no signal" in found.reason


@pytest.mark.parametrize(
    "content", [b"garbage" * 9999, bytes(5000), b"HTTP/1.1 404 Not Found\r\n\r\n"]
)
def test_a_stream_of_garbage_is_a_frame_without_a_picture(content):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.sendall(content)

        thread = threading.Thread(target=answer)
        thread.start()
        found = list(media.frames(media.inputs([f"tcp://127.0.0.1:{server.getsockname()[1]}"])[0]))
        thread.join()

    assert [frame.picture for frame in found] == [None]


@contextlib.contextmanager
def served(folder, cut=()):
    """The files of a folder over HTTP; of the first requests only these shares arrive."""
    shares = iter(cut)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(folder))

        def copyfile(self, source, target):
            content = source.read()
            target.write(content[: int(len(content) * next(shares, 1.0))])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_a_film_with_sound_is_no_camera_either(tmp_path):
    """Matroska tells the length of the whole alone, not of its tracks."""
    tracks = ("testsrc=duration=1:rate=12:size=64x48", "sine=duration=1")
    given = [word for track in tracks for word in ("-f", "lavfi", "-i", track)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *given, str(tmp_path / "a.mkv")]
    subprocess.run(command, check=True)
    with served(tmp_path) as address:
        found = list(media.frames(media.inputs([f"{address}/a.mkv"])[0], reconnect=60))

    assert [frame.number for frame in found] == list(range(12))


def test_a_film_whose_connection_is_lost_is_gone_on_with(tmp_path):
    """Every frame once, with its own time; given up, it says where."""
    film(tmp_path / "a.mkv", count=60, codec="libx264", size=(320, 240))
    given = [frame.seconds for frame in media.frames(media.inputs([str(tmp_path / "a.mkv")])[0])]
    with served(tmp_path, cut=(0.4, 0.7)) as address:
        found = list(media.frames(media.inputs([f"{address}/a.mkv"])[0], reconnect=60))
    with served(tmp_path, cut=[0.5] * 9) as address:
        half = list(media.frames(media.inputs([f"{address}/a.mkv"])[0]))

    assert [(frame.number, frame.seconds) for frame in found] == list(enumerate(given))
    assert 10 < len(half) < 60
    assert half[-1].reason.startswith("no signal")


def test_a_film_behind_an_address_ends(tmp_path):
    """It is no camera: nobody waits for it to come back; what was seen of it is passed."""
    film(tmp_path / "a.mp4", count=12, codec="libx264")

    with served(tmp_path) as address:
        given = media.inputs([f"{address}/a.mp4"])[0]
        found = list(media.frames(given, reconnect=60))
        rest = list(media.frames(given, lambda n, _: n % 2 == 0, 60, Seen(5, 0.16)))

    assert [frame.picture is None for frame in found] == [False] * 12
    assert [(frame.number, frame.seconds) for frame in rest] == [
        (frame.number, frame.seconds) for frame in found[6::2]
    ]
