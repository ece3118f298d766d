"""What a person points at: pictures, folders, patterns, videos, cameras, streams -> frames."""

import glob
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pipeline import images, live, video
from pipeline.errors import UserError
from pipeline.images import Unreadable
from pipeline.live import Seen
from pipeline.runs import Json
from pipeline.video import Frame, Unopened, Wanted, everything

Kind = Literal["picture", "video", "camera", "stream", "stdin"]
LONGEST = 150  # bytes of a name
_NOTHING = Seen()
SUFFIXES = images.SUFFIXES | video.SUFFIXES


@dataclass(frozen=True)
class Input:
    """One picture, video, camera or stream."""

    name: str  # unique in its run, fit for a file name; without @, which divides off a number
    text: str  # what people know it by; of an address, without its password
    where: str
    kind: Kind
    asked: str  # the word of the command line that it was behind; an address without password

    @property
    def live(self) -> bool:
        """Whether what has passed cannot be seen again."""
        return self.kind in {"camera", "stream", "stdin"}


def inputs(sources: Sequence[str]) -> list[Input]:
    """All that is meant, in order; each under a name of its own."""
    found, taken, known = list[Input](), set[str](), set[Path]()
    for source in sources:
        for name, text, where, kind in _meant(source):
            if kind in {"picture", "video"}:  # one that is meant twice is one all the same
                if Path(where).resolve() in known:
                    continue
                known.add(Path(where).resolve())
            unique = _fit(name.replace("@", "_"))
            if unique.lower() in taken and kind in {"picture", "video"}:  # a.jpg and a.png
                unique += "_" + Path(where).suffix[1:].lower()
            while unique.lower() in taken:
                unique += "_"
            taken.add(unique.lower())
            found.append(Input(unique, text, where, kind, text if kind == "stream" else source))
    return found


def frames(
    given: Input, wanted: Wanted = everything, reconnect: float = 0.0, seen: Seen = _NOTHING
) -> Iterator[Frame]:
    """The frames of an input; what cannot be read is a frame without a picture.

    A live one goes on after what is ``seen`` of it; when it is gone it is waited for,
    ``reconnect`` seconds.
    """
    if given.kind == "camera":
        yield from live.camera(int(given.where), given.name, wanted, reconnect, seen)
    elif given.kind == "stream":
        yield from live.stream(given.where, given.name, given.text, wanted, reconnect, seen)
    elif given.kind == "picture":
        try:
            yield Frame(images.read(Path(given.where)), given.name, given.text)
        except Unreadable as error:
            yield Frame(None, given.name, given.text, reason=str(error))
    else:
        source = sys.stdin.buffer if given.kind == "stdin" else given.where
        try:
            with video.opened(source) as container:
                if video.ends(container):  # it begins anew, also behind a pipe
                    new = video.frames(container, given.name, given.text, wanted)
                    yield from (frame for frame in new if frame.number >= seen.frames)
                    return
                for frame in video.frames(container, given.name, given.text, wanted, seen.frames):
                    own = frame.seconds
                    later = None if own is None else round(own + seen.seconds, 4)
                    yield replace(frame, seconds=later)
        except Unopened as error:
            name = f"{given.name}@{seen.frames:06d}"
            yield Frame(None, name, given.text, seen.frames, reason=str(error))


def fingerprint(given: Sequence[Input]) -> Json:
    """What tells, without opening a file, that pictures or videos have changed since."""
    lines, size = [], 0
    for one in given:
        if one.live:
            raise UserError(f"{one.text}: a live source; pictures and videos are meant here")
        status = Path(one.where).stat()
        size += status.st_size
        lines.append(f"{one.name!r} {status.st_size} {status.st_mtime_ns}\n")
    digest = hashlib.sha256("".join(lines).encode())
    return {"count": len(lines), "bytes": size, "of names, sizes, times": digest.hexdigest()}


def length(given: Input) -> int:
    """About how many frames there are; 0 if nobody knows."""
    if given.kind == "picture":
        return 1
    if given.live:
        return 0
    try:
        with video.opened(given.where) as container:
            return video.length(container)
    except Unopened:
        return 0


def sample(given: Sequence[Input], count: int) -> Iterator[Frame]:
    """Some frames: of evenly spaced inputs one each, or the beginning of a single one."""
    each = count if len(given) == 1 else 1
    for number in evenly(len(given), count):
        yield from islice(frames(given[number]), each)


def evenly(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of the numbers below ``count``, evenly spaced."""
    wanted = min(count, wanted)
    return [(2 * number + 1) * count // (2 * wanted) for number in range(wanted)]


def _meant(source: str) -> Iterator[tuple[str, str, str, Kind]]:
    """Name, words, place and kind of everything behind one word of a command line."""
    path = Path(source).expanduser()
    if source == "-":
        yield "stdin", "standard input", "-", "stdin"
    elif path.is_file():
        yield path.stem, source, str(path), _kind(path)
    elif path.is_dir():
        yield from _files(source, path, path.rglob("*"))
    elif source.isdecimal():
        yield f"camera{source}", f"camera {source}", source, "camera"
    elif re.match(r"[a-z]{3,5}://", source, re.IGNORECASE):
        try:
            parts = urlsplit(source)
            port = f":{parts.port}" if parts.port else ""
        except ValueError as error:
            raise UserError("an address that makes no sense: SCHEME://HOST:PORT/PATH") from error
        plain = f"{parts.scheme}://{parts.hostname or ''}{port}"
        name = re.sub(r"\W+", "_", f"{parts.hostname or parts.scheme}{parts.path}").strip("_")
        yield name[-60:], plain + parts.path, source, "stream"
    elif glob.has_magic(source):
        found = [Path(each) for each in glob.iglob(str(path), recursive=True)]  # noqa: PTH207 - absolute patterns
        yield from _files(source, _fixed(path), found)
    else:
        raise UserError(f"{source}: there is no such picture, video or folder")


def _fit(name: str) -> str:
    """A name that file systems take with a number and a suffix behind it: its end, and a mark."""
    whole = os.fsencode(name)  # of a name that is no UTF-8, its bytes
    if len(whole) <= LONGEST:
        return name
    end = whole[-(LONGEST - 9) :].decode(errors="ignore")
    return f"{hashlib.sha256(whole).hexdigest()[:8]}_{end}"


def _files(
    source: str, root: Path, paths: Iterator[Path] | list[Path]
) -> Iterator[tuple[str, str, str, Kind]]:
    there = sorted(each for each in paths if each.is_file())
    known = [each for each in there if each.suffix.lower() in SUFFIXES]
    if not known:
        raise UserError(f"{source}: no pictures or videos there")
    others = sorted({each.suffix.lower() or each.name for each in there} - SUFFIXES)
    if others:
        count = len(there) - len(known)
        kinds = ", ".join(others[:5])
        print(f"  {source}: {count} other files passed over ({kinds})", file=sys.stderr)
    for path in known:
        parts = path.relative_to(root).with_suffix("").parts
        yield "__".join(parts), str(path), str(path), _kind(path)


def _fixed(pattern: Path) -> Path:
    """The folder of a pattern down to where it begins to vary."""
    while glob.has_magic(str(pattern)):
        pattern = pattern.parent
    return pattern


def _kind(path: Path) -> Kind:
    """A file that is no picture by its name may be any video: FFmpeg looks inside."""
    return "picture" if path.suffix.lower() in images.SUFFIXES else "video"
