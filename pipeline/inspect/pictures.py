"""The picture of a frame as a JPEG: from its file, out of its video, or as it was annotated.

Where there is none any more, a drawing that says so: the row stays.
"""

import html
from collections import OrderedDict
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from pipeline import annotate, images, video
from pipeline.boxes import as_boxes
from pipeline.detections import Detections, How, Parts
from pipeline.errors import UserError
from pipeline.images import Picture
from pipeline.inspect.record import Answered, Record, Shot, cases, decided

THUMBNAIL = 240  # pixels; smaller pictures must not keep larger ones waiting
_KEPT = 96 << 20  # bytes of finished pictures
_REELS = 4  # videos that stay open
_OTHER = 0.02  # by which the shape of a small picture may differ through rounding


class Gone(UserError):
    """There is no picture; the text says why."""


class Album:
    """The pictures of a run, each decoded when it is asked for; safe for many at once."""

    def __init__(self, record: Record, *, anonymize: bool) -> None:
        self.record, self.anonymize = record, anonymize
        self.kept, self.lock = OrderedDict[tuple[int, int], bytes](), Lock()
        self.bytes = 0  # of what is kept
        self.shelves = (_Reels(), _Reels())  # of pictures and of thumbnails

    def jpeg(self, index: int, side: int) -> bytes:
        """At most ``side`` pixels wide and high; 0: as it is."""
        with self.lock:
            if (index, side) in self.kept:
                self.kept.move_to_end((index, side))
                return self.kept[index, side]
        data = images.encode(self.shown(index, side), quality=85)
        with self.lock:
            self.bytes += len(data) - len(self.kept.pop((index, side), b""))
            self.kept[index, side] = data
            while self.bytes > _KEPT:
                self.bytes -= len(self.kept.popitem(last=False)[1])
        return data

    def shown(self, index: int, side: int = 0) -> Picture:
        """The picture as people may see it, not larger than they asked."""
        shot = self.record.shots[index]
        picture = self._left(shot, 0 if self.anonymize else side)
        if self.anonymize:
            # Of a film whose pictures were scaled nobody knows the places: all is blurred.
            placed = picture.shape[1::-1] == shot.size
            seen = self._seen(shot) if placed else Detections.empty(shot.size)
            picture = annotate.anonymized(picture, seen)
        shrink = side / max(picture.shape[:2]) if side else 1.0
        if shrink < 1:
            size = tuple(max(1, round(each * shrink)) for each in picture.shape[1::-1])
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        return picture

    def clean(self, index: int) -> Picture:
        """The picture to learn from: never one in which boxes were drawn."""
        shot = self.record.shots[index]
        picture = self.original(shot)
        return annotate.anonymized(picture, self._seen(shot)) if self.anonymize else picture

    def original(self, shot: Shot, side: int = 0) -> Picture:
        """The picture as the detector saw it, or for a glance; :class:`Gone` if there is none."""
        if shot.size == (0, 0):
            raise Gone(shot.reason or "it could not be read")
        if shot.file is None or not self.there(shot):
            raise Gone(f"the picture is not there any more, or another one now: {shot.source}")
        picture = self._read(shot.file, shot, side, begin=None)
        shape, told = picture.shape[1] / picture.shape[0], shot.size[0] / shot.size[1]
        if (not side and picture.shape[1::-1] != shot.size) or abs(shape / told - 1) > _OTHER:
            raise Gone(f"the picture is another one now than the run has seen: {shot.source}")
        return picture

    def _left(self, shot: Shot, side: int) -> Picture:
        """The original, or where that is gone what was annotated, without its time line."""
        drawn = self.drawn(shot)
        if drawn is None:
            return self.original(shot, side)
        picture = self._read(drawn, shot, side, begin=0.0)
        height = round(shot.size[1] * picture.shape[1] / shot.size[0])
        return np.ascontiguousarray(picture[:height])

    def there(self, shot: Shot) -> bool:
        """Whether the file that a frame is of is there, and is the one that was looked at."""
        if shot.file is None or not shot.file.is_file():
            return False
        return shot.bytes in {None, shot.file.stat().st_size}

    def drawn(self, shot: Shot) -> Path | None:
        """The annotated picture or film, if that is all that is left of a frame."""
        if self.record.annotated is None or not shot.size[0]:
            return None
        if self.there(shot):
            return None
        name = shot.name.split("@")[0] + (".mp4" if shot.video else ".jpg")
        file = self.record.annotated / name
        return file if file.is_file() else None

    def _read(self, file: Path, shot: Shot, side: int, begin: float | None) -> Picture:
        try:
            if not shot.video:
                return images.read_small(file, side) if side else images.read(file)
            if shot.seconds is None:
                raise Gone("the video tells no times, so that its frames cannot be found again")
            shelf = self.shelves[0 < side <= THUMBNAIL]
            picture = shelf.frame(file, shot.seconds, begin)
        except (images.Unreadable, video.Unopened, OSError) as error:
            raise Gone(f"{file}: {error}") from error
        if picture is None:
            raise Gone(f"{file}: no frame can be decoded at {shot.seconds} s")
        return picture

    def _seen(self, shot: Shot) -> Detections:
        """All that may be a face, believed or not: who blurs, blurs rather too much."""
        answers = [each for said in shot.said for each in (*said.first, *(said.second or ()))]
        boxes = [each["box"] for each in answers]
        boxes += [*(shot.truth or ()), *shot.ignored]
        placed, seen = as_boxes(boxes), as_boxes([part["box"] for part in shot.parts])
        # Where a face was missed, nobody knows where it is: all is blurred, as if one were held.
        how: How = "found" if self._sure(shot) else "held"
        parts = Parts(seen, np.zeros(len(seen), np.float32), ("",) * len(seen))
        scores = np.zeros(len(placed), np.float32)
        return Detections(placed, scores, (how,) * len(placed), shot.size, parts=parts)

    def _sure(self, shot: Shot) -> bool:
        """Whether a face was found in a frame, by every pair that looked."""
        if shot.outcome is not None:
            return shot.outcome in {"found", "recovered"}
        said = cases([Answered(each, None, []) for each in shot.said])
        return all(
            any(decided(one, pair["conf"], pair["fallback_conf"], pair["faces"]))
            for one, pair in zip(said, self.record.pairs, strict=True)
        )


class _Reels:
    """Some open videos, one of which is wound at a time."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.open: OrderedDict[Path, video.Reel] = OrderedDict()

    def frame(self, file: Path, seconds: float, begin: float | None) -> Picture | None:
        """The frame of a second; ``begin`` as a :class:`~pipeline.video.Reel` takes it."""
        with self.lock:
            reel = self.open.pop(file, None) or video.Reel(str(file), begin)
            try:
                found = reel.frame(seconds)
            except BaseException:
                reel.close()
                raise
            self.open[file] = reel
            if len(self.open) > _REELS:
                self.open.popitem(last=False)[1].close()
            return found


def sorry(words: str) -> bytes:
    """A drawing in place of a picture."""
    words = "".join(each if each.isprintable() else "?" for each in words)
    lines = [words[begin : begin + 60] for begin in range(0, min(len(words), 300), 60)]
    told = "".join(
        f'<text x="320" y="{190 + 28 * number}">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" width="640" height="400">'
        '<rect width="640" height="400" fill="#555"/>'
        '<g fill="#fff" font-family="sans-serif" font-size="18" text-anchor="middle">'
        f'<text x="320" y="150">No picture</text>{told}</g></svg>'
    ).encode()
