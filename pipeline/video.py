"""Frames from pictures, folders of them, and video files; one at a time, RGB."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2

from pipeline import images
from pipeline.errors import UserError
from pipeline.images import Picture, Unreadable

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})

LeaveOut = Callable[[Path, str], None]  # told of what could not be read, and why


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and where it comes from."""

    picture: Picture
    name: str  # unique in its source, fit for a file name
    path: Path
    number: int = 0  # in its file, from 0
    seconds: float | None = None  # from the beginning of a video


def listing(source: Path) -> dict[str, Path]:
    """The pictures and videos in a folder and below it, or the one file, by unique names.

    There is no @ in them: it divides a video's name from its frame's number.
    """
    if source.is_file():
        return {source.stem.replace("@", "_"): source}
    if not source.is_dir():
        raise UserError(f"{source}: there is no such picture, video or folder")
    known = images.SUFFIXES | SUFFIXES
    found: dict[str, Path] = {}
    taken: set[str] = set()
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in known and path.is_file():
            parts = path.relative_to(source).with_suffix("").parts
            name = "__".join(parts).replace("@", "_")
            while name.lower() in taken:  # a.jpg and a.png, a/b.jpg and a__b.jpg
                name += "_" + path.suffix[1:].lower()
            taken.add(name.lower())
            found[name] = path
    if not found:
        raise UserError(f"{source}: no pictures or videos in this folder")
    return found


def frames(source: Path, leave_out: LeaveOut) -> Iterator[Frame]:
    """All frames of a picture, a video, or a folder; what cannot be read is told and passed."""
    for name, path in listing(source).items():
        yield from _frames(name, path, leave_out)


def sample(source: Path, count: int, leave_out: LeaveOut) -> Iterator[Frame]:
    """Some frames: evenly spaced files of a folder, or the beginning of a video."""
    files = list(listing(source).items())
    each = count if len(files) == 1 else 1
    for number in evenly(len(files), count):
        yield from islice(_frames(*files[number], leave_out), each)


def evenly(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of the numbers below ``count``, evenly spaced."""
    wanted = min(count, wanted)
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]


def _frames(name: str, path: Path, leave_out: LeaveOut) -> Iterator[Frame]:
    if path.suffix.lower() in SUFFIXES:
        yield from _video(name, path, leave_out)
        return
    try:
        picture = images.read(path)
    except Unreadable as error:
        leave_out(path, str(error))
    else:
        yield Frame(picture, name, path)


def _video(name: str, path: Path, leave_out: LeaveOut) -> Iterator[Frame]:
    """The frames of a video file as far as they go."""
    film = cv2.VideoCapture(str(path))
    try:
        count, number = int(film.get(cv2.CAP_PROP_FRAME_COUNT)), 0
        rate = film.get(cv2.CAP_PROP_FPS)
        while film.isOpened():
            done, picture = film.read()
            if not done:
                break
            seconds = round(number / rate, 3) if rate > 0 else None
            rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            yield Frame(rgb, f"{name}@{number:06d}", path, number, seconds)  # type: ignore[arg-type]
            number += 1
    finally:
        film.release()
    if number == 0:
        leave_out(path, "not a video that can be decoded")
    elif number < count - 1:  # containers count one too many now and then
        leave_out(path, f"the video breaks off after {number} of {count} frames")
