"""Cameras and streams: they go and come back, and when they are gone it is told."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from pipeline import video
from pipeline.video import Frame, Unopened, Wanted

SILENCE = 10.0  # seconds without a byte after which a stream has stalled
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between two attempts to reconnect

_TCP = {"rtsp_transport": "tcp"}  # lost packets would be lost faces

# The number of its first frame, which are wanted -> frames, timed from its beginning.
Connection = Callable[[int, Wanted], Iterator[Frame]]


class _Finished(Exception):
    """The end of what was never endless: a file behind an address."""


def stream(
    address: str, name: str, text: str, wanted: Wanted, reconnect: float, first: int
) -> Iterator[Frame]:
    """The frames of an address; a file behind it ends, anything else is gone and waited for."""

    def connection(number: int, wanted: Wanted) -> Iterator[Frame]:
        options = _TCP if address.lower().startswith("rtsp") else {}
        with video.opened(address, options, SILENCE) as container:
            finite = video.length(container) > 0
            yield from video.frames(container, name, text, wanted, number)
        if finite:
            raise _Finished

    yield from _patiently(connection, name, text, wanted, reconnect, first)


def camera(number: int, name: str, wanted: Wanted, reconnect: float, first: int) -> Iterator[Frame]:
    """The frames of a camera of this machine."""
    text = f"camera {number}"

    def connection(place: int, wanted: Wanted) -> Iterator[Frame]:
        device, begin = cv2.VideoCapture(number), time.monotonic()
        try:
            if not device.isOpened():
                raise Unopened("there is no such camera, or another program has it")
            while device.grab():
                seconds = round(time.monotonic() - begin, 4)
                if wanted(place, seconds):
                    _, picture = device.retrieve()
                    rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
                    yield Frame(rgb, f"{name}@{place:06d}", text, place, seconds)
                place += 1
        finally:
            device.release()

    yield from _patiently(connection, name, text, wanted, reconnect, first)


def _patiently(
    connection: Connection, name: str, text: str, wanted: Wanted, reconnect: float, first: int
) -> Iterator[Frame]:
    """Connect, and when the connection is lost, again, with growing pauses."""
    begin, number = time.monotonic(), first
    lost, pause = None, _FIRST_PAUSE
    latest = 0.0  # a stream's clock runs beside ours; times never go back
    while True:
        since = time.monotonic() - begin
        reason = "it has ended"

        def later(number: int, seconds: float | None, since: float = since) -> bool:
            return wanted(number, None if seconds is None else seconds + since)

        try:
            for frame in connection(number, later):
                latest = max(latest, round((frame.seconds or 0.0) + since, 4))
                yield replace(frame, seconds=latest)
                number, lost, pause = frame.number + 1, None, _FIRST_PAUSE
        except _Finished:
            return
        except Unopened as error:
            reason = str(error)
        now = time.monotonic()
        if lost is None:
            lost = now
            latest = max(latest, round(now - begin, 4))
            words = f"no signal: {reason}"
            yield Frame(None, f"{name}@{number:06d}", text, number, latest, words)
            number += 1
        left = reconnect - (now - lost)
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
