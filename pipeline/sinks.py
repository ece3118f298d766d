"""Where frames go when both stages have looked: annotated pictures and video, labels, heatmaps.

A video is written in pieces, one for each part of the run, which are joined in the end.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline import annotate, film, heatmap_files, images, media, runs
from pipeline.annotate import Timeline
from pipeline.boxes import to_cxcywh_share
from pipeline.detections import Detections, Heatmap
from pipeline.film import Piece
from pipeline.images import Picture
from pipeline.media import Input
from pipeline.overlap import THREADS, Behind
from pipeline.runs import Json
from pipeline.video import Frame

_DEPTH = 16  # frames that wait to be written
_RATE = 25.0  # frames a second of a video that tells no times


@dataclass(frozen=True)
class Wishes:
    """What is to be written beside the rows."""

    pictures: bool  # annotated pictures and videos
    labels: bool
    heatmaps: bool
    anonymize: bool


@dataclass(eq=False)
class Sinks:
    """The files of a run, apart from its rows."""

    folder: Path
    wishes: Wishes
    given: Sequence[Input]
    lines: dict[int, Timeline] = field(default_factory=dict)
    times: dict[int, list[float]] = field(default_factory=dict)  # of each video's frames
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)  # of each video
    early: dict[int, list[int]] = field(default_factory=dict)  # unreadable before any picture

    def forget(self, first: int) -> None:
        """Pieces of videos from this part on, which an interrupted run has left, are made anew.

        Those before tell the size of their video.
        """
        for half in self.folder.glob("*/.*.partial"):
            half.unlink()
        for piece in (self.folder / "journal").glob("film-*.mp4"):
            _, video, part = piece.stem.split("-")
            if int(part) >= first:
                piece.unlink()
            elif int(video) not in self.sizes:
                self.sizes[int(video)] = film.size_of(piece)

    def remember(self, row: Json) -> None:
        """What an earlier run has done of a video belongs on its time line, too."""
        self.place(row["input"], row["number"], row["seconds"], row["size"], row["outcome"])

    @contextmanager
    def part(self, number: int) -> Iterator["Part"]:
        """A part of the run: when the block ends, all its files are there."""
        for name in ("annotated", "labels", "heatmaps", "journal"):
            (self.folder / name).mkdir(exist_ok=True)
        with (
            ExitStack() as pieces,  # closed when all that waits has been written into them
            Behind(THREADS, _DEPTH) as files,
            Behind(1, _DEPTH) as frames,
        ):
            yield Part(self, number, files, frames, pieces)

    def finish(self) -> None:
        """Join the pieces of every video, and leave no empty folder."""
        for number, times in self.times.items():
            pieces = sorted((self.folder / "journal").glob(f"film-{number:06d}-*.mp4"))
            if pieces and times:
                film.join(
                    pieces, times, self.folder / "annotated" / f"{self.given[number].name}.mp4"
                )
        for name in ("annotated", "labels", "heatmaps"):
            if not any((self.folder / name).iterdir()):
                (self.folder / name).rmdir()

    def place(
        self, number: int, frame: int, seconds: float | None, size: Sequence[int], outcome: str
    ) -> None:
        """A frame of a video has its place on the time line, and if it is one, in the film."""
        if not self.wishes.pictures or self.given[number].kind == "picture":
            return
        if not any(size):  # unreadable: if it comes first, it waits for the size of the line
            if number in self.lines:
                self.lines[number].add(frame, "unreadable")
            else:
                self.early.setdefault(number, []).append(frame)
            return
        if number not in self.lines:
            total = media.length(self.given[number])
            line = self.lines[number] = Timeline(size[0] // 2 * 2, total)
            for each in self.early.get(number, []):
                line.add(each, "unreadable")
        self.lines[number].add(frame, outcome)  # type: ignore[arg-type] # rows hold outcomes
        times = self.times.setdefault(number, [])
        times.append(frame / _RATE if seconds is None else seconds)


class Part:
    """The files of some frames, written while the next are looked at."""

    def __init__(
        self, sinks: Sinks, number: int, files: Behind, frames: Behind, stack: ExitStack
    ) -> None:
        self.sinks, self.number, self.stack = sinks, number, stack
        self.files, self.frames = files, frames
        self.pieces: dict[int, Piece] = {}

    def take(self, frame: Frame, faces: Detections, given: int) -> None:
        """One more frame."""
        wishes, folder = self.sinks.wishes, self.sinks.folder
        if frame.picture is None:
            self.sinks.place(given, frame.number, None, (0, 0), "unreadable")
            return
        if wishes.labels:
            self.files.do(partial(_write_labels, folder / "labels" / f"{frame.name}.txt", faces))
        if wishes.heatmaps and faces.heatmap is not None:
            path = folder / "heatmaps" / f"{frame.name}.tif"
            self.files.do(partial(_write_heatmap, path, faces.heatmap))
        if not wishes.pictures:
            return
        draw = partial(_annotated, frame.picture, frame, faces, wishes.anonymize)
        if self.sinks.given[given].kind == "picture":
            path = folder / "annotated" / f"{frame.name}.jpg"
            self.files.do(partial(_write_picture, path, draw), frame.picture.nbytes)
            return
        self.sinks.place(given, frame.number, frame.seconds, faces.size, faces.outcome)
        line = self.sinks.lines[given]
        strip = line.strip.copy()  # as it is now; the next frame changes it
        self.frames.do(partial(self._film, given, draw, strip), frame.picture.nbytes)

    def _film(self, given: int, draw: "partial[Picture]", strip: Picture) -> None:
        picture = annotate.under(draw(), strip)
        piece = self.pieces.get(given)
        if piece is None:
            path = self.sinks.folder / "journal" / f"film-{given:06d}-{self.number:06d}.mp4"
            size = self.sinks.sizes.setdefault(given, (picture.shape[1], picture.shape[0]))
            piece = self.pieces[given] = self.stack.enter_context(Piece(path, size))
        piece.write(picture)


def _annotated(picture: Picture, frame: Frame, faces: Detections, anonymize: bool) -> Picture:
    if anonymize:
        picture = annotate.anonymized(picture, faces)
    time = "" if frame.seconds is None else f"  {frame.seconds:.2f} s"
    reason = f": {faces.reason}" if faces.reason else ""
    return annotate.annotated(picture, faces, f"{frame.number}{time}  {faces.outcome}{reason}")


def _write_picture(path: Path, draw: "partial[Picture]") -> None:
    images.write(path, draw(), quality=90)


def _write_labels(path: Path, faces: Detections) -> None:
    """In Ultralytics' form: class, centre and size as shares, confidence."""
    shares = to_cxcywh_share(faces.boxes, *faces.size).tolist()
    lines = [
        "0 " + " ".join(f"{value:.6f}" for value in [*share, score]) + "\n"
        for share, score, how in zip(shares, faces.scores.tolist(), faces.how, strict=True)
        if how != "held"  # no detection
    ]
    runs.write_text(path, "".join(lines))


def _write_heatmap(path: Path, shown: Heatmap) -> None:
    heatmap_files.write(path, shown.stack, dict(shown.facts))
