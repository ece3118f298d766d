"""Where results lie, what is written with them, and how they appear: whole or not at all."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from pipeline.errors import UserError

Json = dict[str, Any]

MEASURED = "measured.jsonl"  # of an evaluation: its pictures, with all that was said of them
MARKS = "marks.json"  # in a result: what people have marked in it, which outlives the result
OLD_MARKS = "marks-old.json"  # what they had marked in a result of other things

_PACKAGE = Path(__file__).parent
_LONGEST_NAME = 100  # bytes of a result's name; what we put before and behind it needs room, too
_RECORDED = (
    *("uncover-faces", "ultralytics", "torch", "torchvision", "lightning-fabric"),
    *("numpy", "opencv-python", "pillow"),
)


class MadeOtherwise(UserError):
    """A result of this name is there, with other settings or of other things."""


def home() -> Path:
    """The folder in which ``datasets/`` and ``runs/`` lie."""
    return Path(os.environ.get("UNCOVER_HOME") or Path.cwd()).expanduser().absolute()


def datasets() -> Path:
    """Where prepared datasets lie."""
    return home() / "datasets"


def weights() -> Path:
    """Where the shipped weights lie: inside an installed package, or beside it in a checkout."""
    inside = _PACKAGE / "weights"
    return inside if inside.is_dir() else _PACKAGE.parent / "weights"


def settings_of(config: object) -> Json:
    """A settings dataclass as plain JSON values, as it is saved and compared."""
    assert is_dataclass(config)
    assert not isinstance(config, type)
    plain: Json = json.loads(json.dumps(asdict(config), default=str))
    return plain


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of settings, a line each, empty if nothing does."""
    names = sorted({*saved, *now})
    return [
        f"{name}: {saved.get(name, 'not set')!r} -> {now.get(name, 'not set')!r}"
        for name in names
        if saved.get(name) != now.get(name)
    ]


def provenance() -> Json:
    """What a written result needs so that it can be made again: code, versions, machine."""
    import platform

    found: Json = {"python": platform.python_version(), "system": platform.platform()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    found["git"] = _git_hash()
    # An address may hold a password, before its host or behind its path.
    words = [re.sub(r"(\w+://)(?:[^@/]*@)?([^?#]*).*", r"\1\2", word) for word in sys.argv]
    found["command"] = shlex.join(words)
    return found


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    with whole_file(path) as file:
        file.write(text)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A text file to fill, which appears when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # A file name that is no UTF-8 becomes an escape, which in JSON is read back as it was.
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def whole_folder(target: Path, *, replace: bool = True) -> Iterator[Path]:
    """A new folder to fill, which becomes ``target`` when the block ends without an error.

    Until then ``target`` stays as it was. What a killed run left behind is cleared away by
    the next; two runs at once are told apart by a lock that dies with its process. Without
    ``replace``, a target that has appeared since the caller looked is left alone.
    """
    target = target.resolve() if target.is_symlink() else target
    partial = target.parent / f".{target.name}.partial"
    with alone(target, replace=replace):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            yield partial
            _put(partial, target)
        except OSError as error:
            raise UserError(f"{target}: not written: {_reason(error)}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def resumable_folder(target: Path, record: Json, *, discard: bool = True) -> Iterator[Path]:
    """As :func:`whole_folder`, but what a run has filled is kept for the next.

    It is kept as long as ``record``, which says what the content follows from, is the same;
    else it is thrown away, and that is said, or without ``discard`` refused. Files in it must
    appear whole. What lies beside the folder that is given (in ``folder.parent``) is kept as
    well, and goes in the end.
    """
    target = target.resolve() if target.is_symlink() else target
    state = _state(target)
    folder, recorded = state / "folder", state / "record.json"
    with alone(target):
        try:
            saved = read_json(recorded)
            if saved != record and state.exists():
                made = (path for path in state.rglob("*") if path.is_file() and path != recorded)
                if saved is not None and any(made):  # else it ended before anything was made
                    if not discard:
                        raise UserError(
                            f"{target}: an interrupted run was made otherwise (--overwrite throws "
                            f"it away):{changes(saved, record)}"
                        )
                    print(f"{target}: what an interrupted run left was made otherwise: thrown away")
                shutil.rmtree(state)
            state.mkdir(exist_ok=True)
            write_json(recorded, record)
            folder.mkdir(exist_ok=True)
            yield folder
            _put(folder, target)
            shutil.rmtree(state, ignore_errors=True)
        except OSError as error:
            raise UserError(
                f"{target}: not finished: {_reason(error)}; what is done is kept in "
                f"{state}, and the same command goes on from there"
            ) from error


def up_to_date(target: Path, record: Json, overwrite: bool) -> bool:
    """Whether a result is there as asked for; raises if it is there otherwise.

    ``record`` says what the result follows from, in sections; its manifest has them too.
    """
    if not target.exists():
        return False
    saved = read_json(target / "manifest.json")
    if saved is None or not all(isinstance(saved.get(part), dict) for part in record):
        raise UserError(
            f"{target} is there without a readable manifest.json, so it is no result of this "
            "command and is not overwritten; move it away, or take another name"
        )
    changed = changes(saved, record)
    if not changed:
        _tidy(target)
        return True
    if overwrite:
        return False
    raise UserError(f"{target} is there, made otherwise (--overwrite replaces it):{changed}")


def _tidy(target: Path) -> None:
    """Clear away what a run left that was killed after its result was put in its place."""
    target = target.resolve() if target.is_symlink() else target
    with suppress(UserError):  # another run is writing it: then the state is that one's
        if _state(target).exists():
            with alone(target):
                if not (_state(target) / "folder").exists():
                    shutil.rmtree(_state(target), ignore_errors=True)


def plain_name(name: str) -> str:
    """The name of a result, which must not lead out of its folder."""
    odd = any(not letter.isprintable() or letter in '/\\:*?"<>|' for letter in name)
    if not name.strip() or odd or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
        raise UserError(f'--name {name!r}: expected a plain name, without / \\ : * ? " < > |')
    return name


def name_from(text: str) -> str:
    """A plain name that is made of words that may not be one."""
    plain = re.sub(r'[/\\:*?"<>|]', "_", "".join(each for each in text if each.isprintable()))
    short = plain.strip().lstrip(".").encode()[:_LONGEST_NAME].decode(errors="ignore")
    return short.strip() or "unnamed"


def sha256(path: Path) -> str:
    """The fingerprint of a file."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Json | None:
    """The JSON object in a file; none if there is no such thing."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def alone(target: Path, *, replace: bool = True) -> Iterator[None]:
    """Nobody else writes ``target`` meanwhile, and what a killed run moved aside is back."""
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be made: {error.strerror}") from error
    lock = FileLock(target.parent / f".{target.name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{target}: another run is writing it at this moment") from error
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be written to: {error.strerror}") from error
    old = _aside(target)
    try:
        if old.exists() and not target.exists():  # killed between the two renamings of _put
            old.rename(target)
        if target.exists() and not replace:
            raise UserError(f"{target} has been written by another run meanwhile")
        shutil.rmtree(old, ignore_errors=True)
        yield
    finally:
        if not target.exists() and old.exists():  # the second renaming of _put failed
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        lock.release()


def _put(folder: Path, target: Path) -> None:
    """Put a finished folder in its place; what people have marked in the old one stays."""
    before, now = (read_json(each / "manifest.json") or {} for each in (target, folder))
    same = before.get("sources") == now.get("sources")
    for name in (MARKS, OLD_MARKS):
        if (target / name).is_file():
            shutil.copy2(target / name, folder / (name if same else OLD_MARKS))
    if target.exists():
        target.rename(_aside(target))
    folder.rename(target)


def _reason(error: OSError) -> str:
    """What the system says, and of which file."""
    file = "" if error.filename is None else f"{error.filename}: "
    return f"{file}{error.strerror or error}"


def changes(saved: Json, record: Json) -> str:
    """What differs between two records, a line each; empty if nothing does."""
    lines = [line for part in record for line in differences(saved.get(part, {}), record[part])]
    return "".join(f"\n  {line}" for line in lines)


def _state(target: Path) -> Path:
    return target.parent / f".{target.name}.resumable"


def _aside(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _git_hash() -> str | None:
    """The commit of the checkout this code runs from, marked if it has been changed since."""
    root = _PACKAGE.parent
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    git = [shutil.which("git") or "git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if head.returncode != 0:
        return None
    changed = subprocess.run(  # noqa: S603 - fixed words
        [*git, "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    )
    return head.stdout.strip() + ("-changed" if changed.stdout.strip() else "")
