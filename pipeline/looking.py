"""A detection run at work: frames past a detector, into the journal and the files.

Frames are counted in parts. What is in the journal is done; a batch ends where a part ends, so
that who goes on after a kill computes what an undisturbed run computes.
"""

import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from pipeline import live, media, results, runs
from pipeline.detections import Detections, Hold
from pipeline.detector import Detector
from pipeline.journal import Journal
from pipeline.live import Seen
from pipeline.media import Input
from pipeline.overlap import merged
from pipeline.results import Tally
from pipeline.runs import Json
from pipeline.sinks import Sinks, Wishes
from pipeline.video import Frame, Wanted

PART = 64  # frames between two entries in the journal
PART_LIVE = 16  # of what cannot be seen again
_POLITE = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Pace:
    """Which frames are looked at, and how patiently."""

    batch: int
    stride: int  # every n-th frame
    fps: float  # at most so many of a second; 0: all
    hold: float  # seconds that the last face is carried
    reconnect: float  # seconds that a live source may be gone


class _Stop:
    """Ctrl-C, or a polite kill, ends a run between two frames; while one is waited for, at once."""

    def __init__(self) -> None:
        self.asked, self.waiting = False, False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        live.STOP.clear()
        if threading.current_thread() is threading.main_thread():
            self.before = {each: signal.signal(each, self._told) for each in _POLITE}
        return self

    def __exit__(self, *_: object) -> None:
        live.STOP.clear()
        for each, handler in self.before.items():
            signal.signal(each, handler)

    def _told(self, *_: object) -> None:
        live.STOP.set()
        if self.asked:  # a second time: the user means it
            raise KeyboardInterrupt
        self.asked = True
        if self.waiting:
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is done in here may be cut short; what follows sees that it was."""
        self.waiting = True
        try:
            yield
        except KeyboardInterrupt:
            self.asked = True
        finally:
            self.waiting = False


class Run:
    """One run at work in its folder."""

    def __init__(
        self,
        folder: Path,
        given: Sequence[Input],
        detector: Detector[Any],
        wishes: Wishes,
        pace: Pace,
    ) -> None:
        self.folder, self.given, self.detector, self.pace = folder, given, detector, pace
        self.journal = Journal(folder)
        self.sinks = Sinks(folder, wishes, given)
        self.tally = Tally()
        self.done: dict[int, Seen] = {}  # of each input, what is in the journal
        self.numbers = {one.name: number for number, one in enumerate(given)}
        self.holds = [Hold(pace.hold) for _ in given]
        self.live = any(one.live for one in given)
        self.size = PART_LIVE if self.live else PART

    def go(self) -> None:
        """All frames that are not done; then the files for people."""
        self.sinks.forget(self.journal.count)
        for row in self.journal.rows():
            self._note(row)
            self.done[row["input"]] = Seen(row["number"] + 1, row["seconds"] or 0.0)
            self.sinks.remember(row)
            seen = results.faces(row)
            if "held" not in seen.how:  # what was carried is not carried on from itself
                self.holds[row["input"]].over(row["seconds"], seen)
        before = self.tally.total().total()
        if before:
            print(f"{before} frames are done already")
        results.write(self.folder, self.journal.rows())
        begin = time.monotonic()
        bar = tqdm(total=self._total(), initial=before, unit=" frames", disable=None, leave=False)
        rows: list[Json] = []
        with bar, _Stop() as stop, closing(self._looked()) as looked, _nobody_waits():
            more = True
            while more and not stop.asked:
                rows = self._part(looked, stop, bar)
                more = len(rows) == self.size
                if rows and (more or self.live or not stop.asked):
                    self.journal.add(rows)
                    results.append(self.folder, rows)
                    rows = []
        self._finish(rows, not stop.asked, before, time.monotonic() - begin)

    def _part(
        self, looked: Iterator[tuple[Frame, Detections]], stop: _Stop, bar: "tqdm[Any]"
    ) -> list[Json]:
        """Some frames, looked at and written; fewer than a part at the end, or if told to stop."""
        rows: list[Json] = []
        with self.sinks.part(self.journal.count) as part:
            while len(rows) < self.size and not stop.asked:
                seen = None
                with stop.at_once():
                    seen = next(looked, None)
                if seen is None:
                    break
                frame, faces = seen
                given = self._given(frame)
                faces = self.holds[given].over(frame.seconds, faces)
                part.take(frame, faces, given)
                rows.append(results.row(frame, faces, given))
                self._note(rows[-1])
                bar.update()
        return rows

    def _looked(self) -> Generator[tuple[Frame, Detections]]:
        """Every frame that is not in the journal."""
        batch = 1 if self.live else self.pace.batch
        yield from self.detector.look(self._frames(), batch, self.size)

    def _frames(self) -> Iterator[Frame]:
        """Files one after another, then what is live all at once."""
        ways = [self._rest(number) for number, one in enumerate(self.given) if one.live]
        reached = max((number for number in self.done if not self.given[number].live), default=-1)
        for number, one in enumerate(self.given):
            if not one.live and number >= reached:
                yield from self._rest(number)
        yield from merged(ways) if len(ways) > 1 else chain(*ways)

    def _rest(self, number: int) -> Iterator[Frame]:
        """The frames of an input that are not in the journal."""
        one, seen = self.given[number], self.done.get(number, Seen())
        if one.kind == "picture":
            yield from () if seen.frames else media.frames(one)
            return
        wanted = _wanted(self.pace.stride, self.pace.fps, seen.frames)
        begin = seen if one.live else Seen()  # of a file, what is done is decoded again
        for frame in media.frames(one, wanted, self.pace.reconnect, begin):
            if frame.number >= seen.frames:
                yield frame

    def _given(self, frame: Frame) -> int:
        """The number of the input that a frame is of."""
        return self.numbers[frame.name.split("@")[0]]

    def _note(self, row: Json) -> None:
        self.tally.add(self.given[row["input"]].asked, row)

    def _total(self) -> int | None:
        """How many frames will come, if that can be known."""
        if self.pace.fps or self.live:
            return None
        lengths = [media.length(one) for one in self.given]
        return sum(-(-each // self.pace.stride) for each in lengths) if all(lengths) else None

    def _finish(self, rest: list[Json], complete: bool, before: int, seconds: float) -> None:
        """The files for people; ``rest`` is what the journal does not have."""
        results.write(self.folder, chain(self.journal.rows(), rest))
        self.sinks.finish()
        outcomes = self.tally.total()
        count = outcomes.total()
        rate = (count - before) / seconds if seconds > 0 else 0.0
        summary = {
            "complete": complete,
            "frames": count,
            "outcomes": dict(outcomes),
            "sources": {name: dict(each) for name, each in self.tally.counts.items()},
            **({"by": dict(self.tally.by)} if self.tally.by else {}),
            "seconds": round(seconds, 2),
            "frames_a_second": round(rate, 2),
        }
        runs.write_json(self.folder / "summary.json", summary)
        if complete:
            self.journal.remove()
        print(
            f"{self.tally.table()}{count - before} frames{' more' if before else ''} in "
            f"{seconds:.1f} s: {rate:.1f} a second"
        )
        print(self.folder)
        if not complete:
            print("interrupted; the same command with --resume goes on", file=sys.stderr)


@contextmanager
def _nobody_waits() -> Iterator[None]:
    """When the run is left, whatever the reason, no thread waits for a lost stream."""
    try:
        yield
    finally:
        live.STOP.set()


def _wanted(stride: int, fps: float, first: int) -> Wanted:
    """Which frames are looked at: every n-th, the first of every so many-th of a second."""
    tick = -1

    def wanted(number: int, seconds: float | None) -> bool:
        nonlocal tick
        if number % stride:
            return False
        if fps and seconds is not None:
            now = int(seconds * fps + 1e-6)
            if now <= tick:
                return False
            tick = now
        return number >= first

    return wanted
