"""Frames of one video or stream, as FFmpeg decodes them: upright RGB, with their times.

A frame that cannot be decoded is a frame without a picture, with the reason: nothing
disappears between the first frame and the last.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from pipeline.errors import UserError
from pipeline.images import MAX_PIXELS, Picture

SUFFIXES = frozenset(
    {
        ".3gp",
        ".avi",
        ".avif",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
    }
    | {".mxf", ".ogv", ".ts", ".webm", ".wmv", ".y4m"}
)

_EARLY = 0.0006  # seconds; times are kept to a ten-thousandth, and clocks tick in between
_GUESSED = {"mpeg"}  # containers that do not tell the time of every frame
_AHEAD = 2.0  # seconds that are sooner decoded than wound over
_BREAKS_OFF = 0.5  # seconds that may be missing at the end before it is said


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture on its way in, or the place where one should be."""

    picture: Picture | None  # None: it cannot be read
    name: str  # unique in its run, fit for a file name
    source: str  # what people know it by: a file, an address without its password
    number: int = 0  # in its source, from 0
    seconds: float | None = None  # from the beginning of a video
    reason: str = ""  # why there is no picture
    breaks_off: bool = False  # nothing follows, though more should


# Whether the frame of a number, shown at a second, is wanted; others are decoded and passed.
Wanted = Callable[[int, float | None], bool]


def everything(number: int, seconds: float | None) -> bool:  # noqa: ARG001 - a Wanted
    """Every frame is wanted."""
    return True


class Unopened(UserError):
    """A video or stream that cannot be opened; the text says why."""


@contextmanager
def opened(
    source: str | IO[bytes], options: dict[str, str] | None = None, patience: float | None = None
) -> Iterator[InputContainer]:
    """A file, an address, or bytes that come in, opened; ``patience``: seconds of silence."""
    try:
        container = av.open(source, "r", options=options or {}, timeout=patience)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise Unopened(f"not a video that can be decoded ({_words(error)})") from error
    try:
        if not container.streams.video:
            raise Unopened("there is no video in it")
        yield container
    finally:
        container.close()


def length(container: InputContainer) -> int:
    """About how many frames there are; 0 if nobody knows."""
    stream = container.streams.video[0]
    if stream.frames:
        return int(stream.frames)
    seconds, rate = _duration(container), stream.average_rate
    return round(seconds * rate) if seconds and rate else 0


def ends(container: InputContainer) -> bool:
    """Whether it says how long it is, as a film does and a camera does not."""
    return bool(container.duration) or length(container) > 0


def frames(
    container: InputContainer,
    name: str,
    source: str,
    wanted: Wanted = everything,
    first: int = 0,
    *,
    again: bool = False,
) -> Iterator[Frame]:
    """The frames of an open container, numbered from ``first``; those wanted alone are made RGB.

    ``again``: if it breaks off it is read again, and its very last frames, some of which the
    decoder has lost, are left to that time.
    """
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    number, begin, last, broken = first, None, 0.0, False

    def without(reason: str, *, last: bool = False) -> Frame:
        return Frame(None, f"{name}@{number:06d}", source, number, None, reason, breaks_off=last)

    for decoded in _decoded(container, again=again):
        if isinstance(decoded, str):
            broken = isinstance(decoded, _End)
            yield without(str(decoded), last=broken)
            number += 1
            continue
        clock = decoded.time_base or stream.time_base  # the last ones of a broken file have none
        time = None if decoded.pts is None or not clock else float(decoded.pts * clock)
        if time is not None:
            begin = time if begin is None else begin
            last = time - begin
        seconds = None if time is None else round(last, 4)
        if wanted(number, seconds):
            if decoded.is_corrupt:
                yield without("the frame is damaged")
            elif decoded.width * decoded.height > MAX_PIXELS:
                yield without(f"{decoded.width}x{decoded.height} pixels, more than is allowed")
            else:
                named = f"{name}@{number:06d}"
                yield Frame(_upright(decoded), named, source, number, seconds)
        number += 1
    unfinished = "" if broken else _unfinished(container, number - first, last)
    if unfinished:
        yield without(unfinished, last=True)


class Reel:
    """A video that is looked at in any order: the frame of a second, wherever it lies.

    What follows the last frame soon is decoded on; to what lies farther it is wound. Where times
    are guessed on the way, as in program streams, it is rewound to the beginning instead.
    """

    def __init__(self, where: str, begin: float | None = None) -> None:
        """``begin``: what counts as second 0; by default the time of the first frame."""
        self.where, self.stack = where, ExitStack()
        self.at: VideoFrame | None = None
        self.frames: Iterator[VideoFrame | str] = iter(())
        self.begin = self._rewind() if begin is None else begin
        if begin is not None:
            self._rewind()

    def close(self) -> None:
        """No frame is asked for any more."""
        self.stack.close()

    def frame(self, seconds: float) -> Picture | None:
        """The frame at so many seconds from the first; none if nothing can be decoded there."""
        target = self.begin + seconds - _EARLY
        if self.at is None or not self._time(self.at) <= target + 2 * _EARLY <= self._soon():
            self._wind(target)
        while self.at is not None and self._time(self.at) < target:
            self.at = self._next()
        if self.at is None or self._time(self.at) > target + 4 * _EARLY:
            return None
        return _upright(self.at)

    def _rewind(self) -> float:
        """From the beginning, in a container of its own; the first time that is known."""
        self.at, self.frames = None, iter(())
        self.stack.close()
        self.container = self.stack.enter_context(opened(self.where))
        stream = self.container.streams.video[0]
        stream.thread_type = "AUTO"
        self.clock = stream.time_base
        self.frames = _decoded(self.container, again=False)
        self.at = self._next()
        return 0.0 if self.at is None else self._time(self.at)

    def _soon(self) -> float:
        return _AHEAD + (self._time(self.at) if self.at is not None else 0.0)

    def _wind(self, target: float) -> None:
        """To a frame before the target; where an index lies, farther back, or to the beginning."""
        for back in () if self.container.format.name in _GUESSED else (0.0, 10.0):
            ticks = int((target - back) / (self.clock or 1))
            with suppress(av.error.FFmpegError):  # cannot be wound there: then farther back
                self.container.seek(max(ticks, 0), stream=self.container.streams.video[0])
            self.frames = _decoded(self.container, again=False)
            # What is shown before the first whole frame leans on frames that were passed over.
            self.at = self._next(whole=True)
            if self.at is not None and self._time(self.at) <= target + 2 * _EARLY:
                return
        self._rewind()

    def _next(self, *, whole: bool = False) -> VideoFrame | None:
        """The next frame that has a time, or of those one that needs no other."""
        some = (each for each in self.frames if isinstance(each, VideoFrame))
        timed = (each for each in some if each.pts is not None)
        return next((each for each in timed if each.key_frame or not whole), None)

    def _time(self, frame: VideoFrame) -> float:
        clock = frame.time_base or self.clock
        return float(frame.pts * clock) if frame.pts is not None and clock else 0.0


class _End(str):
    """Words for why nothing can be read any further."""

    __slots__ = ()


def _decoded(container: InputContainer, *, again: bool) -> Iterator[VideoFrame | str]:
    """Decoded frames, and words where something could not be decoded."""
    stream = container.streams.video[0]
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if not again:
                with suppress(av.error.FFmpegError, ValueError):  # what the decoder still holds
                    yield from stream.codec_context.decode(None)
            yield _End(f"the video cannot be read further ({_words(error)})")
            return
        try:
            for decoded in packet.decode():
                assert isinstance(decoded, VideoFrame)
                yield decoded
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            yield f"the frame cannot be decoded ({_words(error)})"


def _upright(decoded: VideoFrame) -> Picture:
    """A decoded frame as RGB, turned as its note says."""
    picture = np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8)
    turns = round(decoded.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _duration(container: InputContainer) -> float | None:
    stream = container.streams.video[0]
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # the length of a container is that of its longest track
    return container.duration / av.time_base if alone and container.duration else None


def _unfinished(container: InputContainer, count: int, last: float) -> str:
    """What is missing at the end of a video, in words; nothing if it is whole."""
    if not count:
        return "there is no frame in it"
    early = _ends_early(container, count, last)
    return f"the video breaks off after {count} frames, {last:.1f} s" if early else ""


def _ends_early(container: InputContainer, count: int, last: float) -> bool:
    """Whether a video has less in it than it says."""
    stream, duration = container.streams.video[0], _duration(container)
    if not duration or not stream.average_rate:
        return False
    # Some containers count the ticks of their clock for frames.
    interval = max(1 / float(stream.average_rate), last / max(1, count - 1))
    missing = duration - last - interval
    if stream.frames:  # containers count one too many now and then
        return count < stream.frames - 1 and missing > 1.5 * interval
    return missing > _BREAKS_OFF + interval


def _words(error: BaseException) -> str:
    """What FFmpeg says, without the name of the file."""
    return str(getattr(error, "strerror", None) or error).split(":")[0].strip() or "no reason given"
