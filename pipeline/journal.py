"""What a long run has done so far, in parts that are whole: the memory it goes on from.

Part N of ``journal/`` is the rows of its frames, written when everything else of them is on
the disk. What a killed run did of a part that is not there is done again.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json


class Journal:
    """The parts of a run in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder / "journal", 0
        while self._part(self.count).is_file():
            self.count += 1

    def add(self, rows: Sequence[Json]) -> None:
        """One more part."""
        lines = [json.dumps(row, ensure_ascii=True) + "\n" for row in rows]
        runs.write_text(self._part(self.count), "".join(lines))
        self.count += 1

    def rows(self) -> Iterator[Json]:
        """All rows so far, in order."""
        for number in range(self.count):
            with self._part(number).open(encoding="utf-8") as file:
                for line in file:
                    try:
                        row: Json = json.loads(line)
                    except ValueError as error:
                        raise UserError(
                            f"{self._part(number)}: damaged; --overwrite begins anew"
                        ) from error
                    yield row

    def remove(self) -> None:
        """Forget it: the results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.jsonl"
