"""Annotated video, written in pieces that survive a kill and are joined without a loss."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from pipeline.images import Letterbox, Picture

_TICK = Fraction(1, 90_000)  # seconds; of the finished video, in which true times are kept

_LARGEST = 8192  # pixels of a side, which every player takes

# Without frames that look ahead, packets come in the order of frames; one thread, because
# then the same pictures give the same bytes on every machine.
_X264 = {"crf": "23", "preset": "veryfast", "bf": "0", "threads": "1"}


class Piece(AbstractContextManager["Piece"]):
    """Some frames of a video, all of one size; it appears whole when the block ends."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int = 25) -> None:
        self.rate = rate
        largest = min(1.0, _LARGEST / max(size))
        width, height = (max(2, int(side * largest) // 2 * 2) for side in size)
        self.path, self.size = path, (width, height)
        self.partial = path.with_name(f".{path.name}.partial")
        self.file = av.open(str(self.partial), "w", format="mp4")
        self.stream = self.file.add_stream("libx264", rate=rate, options=_X264)
        self.stream.width, self.stream.height = self.size
        self.stream.pix_fmt = "yuv420p"
        self.count = 0

    def write(self, picture: Picture) -> None:
        """One more frame; of another size it is letterboxed."""
        width, height = self.size
        if picture.shape[:2] != (height, width):
            box = Letterbox(picture.shape[1], picture.shape[0], width, height)
            picture = box.picture(picture, pad=0)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.count, Fraction(1, self.rate)
        self.file.mux(self.stream.encode(frame))
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.file.mux(self.stream.encode(None))
        self.file.close()
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self


def size_of(piece: Path) -> tuple[int, int]:
    """Width and height of a finished piece."""
    with av.open(str(piece), "r") as file:
        stream = file.streams.video[0]
        return stream.width, stream.height


def join(pieces: Sequence[Path], seconds: Iterable[float], target: Path) -> None:
    """The pieces one after another as one video, each frame at its time; nothing is encoded."""
    partial = target.with_name(f".{target.name}.partial")
    times, last = iter(seconds), -1
    with av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as out:
        stream = None
        for piece in pieces:
            with av.open(str(piece), "r") as file:
                source = file.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(source)
                    stream.time_base = _TICK
                for packet in file.demux(source):
                    if packet.size == 0:
                        continue  # the mark of the end
                    last = max(last + 1, round(next(times) / _TICK))
                    packet.pts = packet.dts = last
                    packet.time_base, packet.stream = _TICK, stream
                    packet.duration = 0
                    out.mux(packet)
    partial.replace(target)
