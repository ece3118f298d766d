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


class _Film(Exception):
    """What is behind an address is not endless, but a film."""


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


# The number of its first frame, which are wanted -> frames, timed from its beginning.
Connection = Callable[[int, Wanted], Iterator[Frame]]


@dataclass(frozen=True)
class Seen:
    """How much of a source is seen already."""

    frames: int = 0
    seconds: float = 0.0


def stream(
    address: str, name: str, text: str, wanted: Wanted, reconnect: float, seen: Seen
) -> Iterator[Frame]:
    """The frames of an address; a film behind it ends, anything else is gone and waited for."""
    options = _TCP if address.lower().startswith("rtsp") else {}

    def connection(number: int, wanted: Wanted) -> Iterator[Frame]:
        with video.opened(address, options, SILENCE) as container:
            if video.ends(container):
                raise _Film
            yield from video.frames(container, name, text, wanted, number)

    try:
        yield from _patiently(connection, name, text, wanted, reconnect, seen)
    except _Film:
        yield from _film(address, name, text, wanted, reconnect, seen)


def _film(
    address: str, name: str, text: str, wanted: Wanted, reconnect: float, seen: Seen
) -> Iterator[Frame]:
    """The frames of a film behind an address, with its own numbers and times.

    It begins anew with every connection: what was seen of it is passed.
    """
    number, lost, pause = seen.frames, None, _FIRST_PAUSE
    while True:
        reason, damaged = "", list[Frame]()  # what is damaged where it breaks off is whole later
        try:
            with video.opened(address, patience=SILENCE) as container:
                for frame in video.frames(container, name, text, wanted, again=True):
                    if frame.breaks_off:
                        reason = frame.reason
                    elif frame.number >= number and frame.picture is None:
                        damaged.append(frame)
                    elif frame.number >= number:
                        yield from (*damaged, frame)
                        damaged.clear()
                        number, lost, pause = frame.number + 1, None, _FIRST_PAUSE
        except Unopened as error:
            reason = str(error)
        if not reason:
            yield from damaged
            return
        lost = time.monotonic() if lost is None else lost
        left = reconnect - (time.monotonic() - lost)
        if left <= 0 or STOP.wait(min(pause, left)):
            named = f"{name}@{number:06d}"
            yield Frame(None, named, text, number, None, f"no signal: {reason}", breaks_off=True)
            return
        pause = min(2 * pause, _LONGEST_PAUSE)


def camera(number: int, name: str, wanted: Wanted, reconnect: float, seen: Seen) -> Iterator[Frame]:
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
            for frame in connection(number, lambda n, s: wanted(n, clock.at(s))):
                if frame.picture is not None:
                    lost, pause = None, _FIRST_PAUSE
                elif lost is not None:  # still nothing: no row for each attempt
                    continue
                yield replace(frame, seconds=clock.tell(frame.seconds))
                number = frame.number + 1
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
