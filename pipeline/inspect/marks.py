"""Frames that somebody has marked, in ``marks.json`` of the run: all that looking changes there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from pipeline import runs
from pipeline.errors import UserError
from pipeline.inspect.messages import Change, Mark, Marks

_LONGEST = 2000  # letters of a note
_LONE = re.compile("[\ud800-\udfff]")  # halves of letters, which no file can hold


class Notebook:
    """The marks of a run; several pages, and several servers, may write at once."""

    def __init__(self, folder: Path) -> None:
        self.path, self.lock = folder / runs.MARKS, Lock()
        self.others = folder.parent / f".{folder.name}.marks.lock"

    def read(self) -> Marks:
        """As they are on the disk now."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"marks": {}}
        try:
            marks = json.loads(text)["marks"]
            found: dict[str, Mark] = {
                str(name): {"note": str(mark["note"]), "at": str(mark["at"])}
                for name, mark in marks.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self.path}: damaged; mend it or move it away: {error!r}") from error
        return {"marks": found}

    def change(self, change: Change) -> Marks:
        """Mark some frames, or mark them no longer; what others have marked meanwhile stays."""
        try:
            with self.lock, FileLock(self.others, timeout=10):
                marks = self.read()["marks"]
                for name in change["names"]:
                    if not change["marked"]:
                        marks.pop(name, None)
                        continue
                    before = marks.get(name)
                    note = change["note"]
                    kept = before["note"] if before is not None else ""
                    now = datetime.now(UTC).isoformat(timespec="seconds")
                    at = before["at"] if before is not None else now
                    marks[name] = {"note": kept if note is None else note, "at": at}
                runs.write_json(self.path, {"marks": marks})
        except Timeout as error:
            raise UserError(f"{self.path}: somebody else is writing marks; try again") from error
        except OSError as error:
            raise UserError(f"{self.path}: marks cannot be saved: {error.strerror}") from error
        return {"marks": marks}


def parsed(body: bytes) -> Change:
    """What a page has sent, if it is a change."""
    try:
        sent = json.loads(body)
        names, marked, note = sent["names"], sent["marked"], sent.get("note")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"not a change of marks: {error!r}") from error
    strings = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not strings or not isinstance(marked, bool) or not isinstance(note, str | None):
        raise UserError("not a change of marks: expected names, marked, note")
    if note is not None and (len(note) > _LONGEST or _LONE.search(note)):
        raise UserError(f"a note is text of at most {_LONGEST} letters")
    return {"names": names, "marked": marked, "note": note}
