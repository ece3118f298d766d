"""What the network is, as settings: apart from the network, so that --help needs no torch."""

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import UserError

Backbone = Literal["resnet50", "resnet18", "mobilenet_v3"]
Quality = Literal["none", "diou", "iou"]
Labels = Literal["kept", "dropped"]

FIRST = 2  # the number of the finest level of the pyramid
STRIDES = (4, 8, 16, 32, 64)  # of P2 to P6
LEVELS = tuple(range(FIRST, FIRST + len(STRIDES)))
SIDES = tuple(tuple(4 * stride * 2 ** (k / 3) for k in range(3)) for stride in STRIDES)
ANCHORS = len(SIDES[0])  # a cell


@dataclass(frozen=True)
class Architecture:
    """Which network: the baseline, with HCC, with DAN, or with both. Nothing else changes."""

    backbone: Backbone = "resnet50"
    """What features come from; resnet18 and mobilenet_v3 are lighter."""

    channels: int = 256
    """Of every level of the pyramid."""

    hcc: bool = True
    """Hierarchical contextual classification: a second classifier, which sees more around, on what
    the first has dropped or kept (--labels)."""

    quality: Quality = "diou"
    """What else is predicted of each box, and ranks it: distance IoU (DAN), IoU, or nothing."""

    steps: tuple[int, ...] = (2, 3, 4)
    """Levels of the pyramid on which HCC has two steps; the others have one."""

    reach: tuple[int, ...] = (3, 5)
    """Sides of the neighbourhoods whose features the second step sees, in cells; odd."""

    theta: float = 0.9
    """An anchor that the first step calls negative with more than this confidence is dropped."""

    labels: Labels = "dropped"
    """What the second step learns from: as the paper's text can be read, anchors that the first
    step dropped, so that it calls back what was dropped wrongly; or those that it kept (as SRN's
    two steps), of which it then has the last word."""

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        if self.hcc and not (self.steps and self.reach):
            raise UserError("--steps and --reach: name at least one; --no-hcc is without")
        if not {*self.steps} <= {*LEVELS} or len({*self.steps}) < len(self.steps):
            raise UserError(f"--steps {_words(self.steps)}: expected levels from 2 to 6, each once")
        odd = all(side > 0 and side % 2 for side in self.reach)
        if not odd or len({*self.reach}) < len(self.reach):
            words = _words(self.reach)
            raise UserError(f"--reach {words}: expected odd numbers of cells, each once")
        if not 0 < self.theta < 1:
            raise UserError(f"--theta {self.theta:g}: expected a number between 0 and 1")
        if self.channels < 4 or self.channels % 4:
            raise UserError(f"--channels {self.channels}: expected a multiple of 4")


def _words(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))
