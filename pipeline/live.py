"""Cameras and streams: they go and come back, and when they are gone it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline import video
from pipeline.video import Frame, Unopened, Wanted

SILENCE = 10.0  # seconds without a byte after which a stream has stalled
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between two attempts to reconnect

_TCP = {"rtsp_transport": "tcp"}  # lost packets would be lost faces

STOP = threading.Event()  # set: nobody waits for a lost stream any longer


class _Finished(Exception):
    """The end of what was never endless: a file behind an address."""


class _Clock:
    """Seconds since the beginning, over all connections; they never go back."""

    def __init__(self, passed: float) -> None:
        self.begin, self.since, self.latest = time.monotonic() - passed, 0.0, 0.0

    def connect(self) -> None:
        """A connection is made; its own times begin at 0."""
        self.since = time.monotonic() - self.begin

    def at(self, seconds: float | None) -> float:
        """A time of the connection; a stream without times has those of its frames' coming."""
        return time.monotonic() - self.begin if seconds is None else seconds + self.since

    def tell(self, seconds: float | None) -> float:
        """As :meth:`at`, not before any time that was told."""
        self.latest = max(self.latest, round(self.at(seconds), 4))
        return self.latest


# The number of its first frame, which are wanted, the clock -> frames, timed from its beginning.
Connection = Callable[[int, Wanted, _Clock], Iterator[Frame]]


@dataclass(frozen=True)
class Seen:
    """How much of a source is seen already."""

    frames: int = 0
    seconds: float = 0.0


def stream(
    address: str, name: str, text: str, wanted: Wanted, reconnect: float, seen: Seen
) -> Iterator[Frame]:
    """The frames of an address; a file behind it ends, anything else is gone and waited for.

    A file begins anew with every connection: what was seen of it is passed.
    """

    def connection(number: int, wanted: Wanted, clock: _Clock) -> Iterator[Frame]:
        options = _TCP if address.lower().startswith("rtsp") else {}
        with video.opened(address, options, SILENCE) as container:
            if not video.length(container):
                yield from video.frames(container, name, text, wanted, number)
                return
            clock.since = 0.0
            new = video.frames(container, name, text, lambda n, s: n >= number and wanted(n, s))
            yield from (frame for frame in new if frame.number >= number)
        raise _Finished

    yield from _patiently(connection, name, text, wanted, reconnect, seen)


def camera(number: int, name: str, wanted: Wanted, reconnect: float, seen: Seen) -> Iterator[Frame]:
    """The frames of a camera of this machine."""
    text = f"camera {number}"

    def connection(place: int, wanted: Wanted, _: _Clock) -> Iterator[Frame]:
        device, begin = cv2.VideoCapture(number), time.monotonic()
        try:
            if not device.isOpened():
                raise Unopened("there is no such camera, or another program has it")
            while device.grab():
                seconds = round(time.monotonic() - begin, 4)
                if wanted(place, seconds):
                    whole, picture = device.retrieve()
                    named = f"{name}@{place:06d}"
                    if whole:
                        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
                        yield Frame(rgb, named, text, place, seconds)
                    else:
                        yield Frame(None, named, text, place, seconds, "the frame is damaged")
                place += 1
        finally:
            device.release()

    yield from _patiently(connection, name, text, wanted, reconnect, seen)


def _patiently(
    connection: Connection, name: str, text: str, wanted: Wanted, reconnect: float, seen: Seen
) -> Iterator[Frame]:
    """Connect, and when the connection is lost, again, with growing pauses."""
    clock, number = _Clock(seen.seconds), seen.frames
    lost, pause = None, _FIRST_PAUSE
    while True:
        clock.connect()
        reason = "it has ended"
        try:
            for frame in connection(number, lambda n, s: wanted(n, clock.at(s)), clock):
                if frame.picture is not None:
                    lost, pause = None, _FIRST_PAUSE
                elif lost is not None:  # still nothing: no row for each attempt
                    continue
                yield replace(frame, seconds=clock.tell(frame.seconds))
                number = frame.number + 1
        except _Finished:
            return
        except Unopened as error:
            reason = str(error)
        if lost is None:
            lost, words = time.monotonic(), f"no signal: {reason}"
            yield Frame(None, f"{name}@{number:06d}", text, number, clock.tell(None), words)
            number += 1
        left = reconnect - (time.monotonic() - lost)
        if left <= 0 or STOP.wait(min(pause, left)):
            return
        pause = min(2 * pause, _LONGEST_PAUSE)
