"""The weights that come with the software: where they lie, and whether they are whole.

Each ``NAME.pt`` has a ``NAME.json`` beside it: what it is for, what it was trained on and how,
its scores, its SHA-256 and the terms of its data.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json

# What detects unless something else is asked for: the pair that finds most, weights/README.md.
STAGE1, FALLBACK = "parts-hardened", "heatmap-hardened"
# The thesis's idea: a stage 1 that knows clear faces alone, and what its heatmaps still tell.
CLEAR, CLEAR_FALLBACK = "parts-clear", "heatmap-clear"
# The yardstick: the whole face alone, on clear faces.
CONTROL = "face-clear"
# The second detector: one stage, HCC and DAN.
NEONATAL = "neonatal-light"


@dataclass(frozen=True)
class Shipped:
    """One file of weights with its card."""

    path: Path
    card: Json

    @property
    def name(self) -> str:
        """By which it is asked for."""
        return self.path.stem

    def fault(self) -> str | None:
        """What is wrong with the file; none if it is what its card says."""
        if not self.path.is_file():
            return "missing"
        same = runs.sha256(self.path) == self.card.get("sha256")
        return None if same else "not the file its card is of"


def shelf() -> list[Shipped]:
    """Everything that is shipped, by name."""
    cards = sorted(runs.weights().glob("*.json"))
    return [Shipped(path.with_suffix(".pt"), runs.read_json(path) or {}) for path in cards]


def find(asked: str | Path) -> Path:
    """A file of weights: a path, the folder of a training, or the name of one that is shipped.

    Paths begin where we are, or else where results lie.
    """
    path = Path(asked).expanduser()
    for folder in (Path(), runs.home()):
        for each in (folder / path, folder / path / "best.pt"):
            if each.is_file():
                return each
    for one in shelf():
        if one.name == str(asked):
            fault = one.fault()
            if fault:
                raise UserError(f"the shipped weights {one.name}: {fault}; install Uncover anew")
            return one.path
    names = ", ".join(one.name for one in shelf()) or "none"
    raise UserError(f"{asked}: no such file of weights, and no shipped ones ({names})")


def called(path: Path) -> str:
    """By what name a file of weights goes."""
    return path.absolute().parent.name if path.stem == "best" else path.stem
