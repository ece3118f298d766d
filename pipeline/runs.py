"""Where results lie, what is written with them, and how they appear: whole or not at all."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

Json = dict[str, Any]

_PACKAGE = Path(__file__).parent
_RECORDED = ("uncover-faces", "ultralytics", "torch", "numpy", "opencv-python", "pillow")


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
    found: Json = {"python": platform.python_version(), "system": platform.platform()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    found["git"] = _git_hash()
    found["command"] = " ".join(["uncover", *sys.argv[1:]])
    return found


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes ``target`` when the block ends without an error.

    Until then ``target`` stays as it was. What a killed run left behind is cleared away by
    the next; two runs at once are told apart by a lock that dies with its process.
    """
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
    partial, old = (target.parent / f".{target.name}.{word}" for word in ("partial", "old"))
    try:
        if old.exists() and not target.exists():  # killed between the two renamings below
            old.rename(target)
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        yield partial
        if target.exists():
            target.rename(old)
        partial.rename(target)
    except OSError as error:
        raise UserError(f"{target}: not written: {error.strerror or error}") from error
    finally:
        for leftover in (partial, old):
            if target.exists() or leftover == partial:
                shutil.rmtree(leftover, ignore_errors=True)
        lock.release()


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
