"""How the network is trained, as settings: apart from it, so that --help needs no torch."""

import math
from dataclasses import dataclass

from pipeline.errors import UserError, check_shares

_SHARES = "shares between 0 and 1, ascending"


@dataclass(frozen=True)
class Learning:
    """The paper's way, unless told otherwise."""

    epochs: int = 20
    """How often every picture is seen, but for a last batch that is not full."""

    batch: int = 16
    """Pictures of a step, of all GPUs together."""

    lr: float = 0.01
    """The learning rate, reached from a tenth of it; then divided by ten twice."""

    warmup: float = 0.25
    """The share of the epochs in which it rises: of 20, 5."""

    drops: tuple[float, ...] = (0.5, 0.75)
    """After which share of the epochs it is divided by ten: of 20, 10 and 15."""

    momentum: float = 0.9
    """Of stochastic gradient descent."""

    decay: float = 5e-4
    """Weight decay."""

    zoom: tuple[float, float] = (1.0, 1.0)
    """Each picture is made smaller or larger by a factor between these, at a random place; 1 1 is
    the paper's. .5 2 helps where there are few pictures."""

    pictures: int = 0
    """So many of each dataset are seen in an epoch, drawn anew each time; 0: all."""

    least: float = 8.0
    """Faces smaller than this, in pixels as the network sees them, count for nothing."""

    seed: int = 0
    """Of everything that is drawn; the same gives the same weights on the same machine."""

    def __post_init__(self) -> None:
        """Refuse what trains nothing."""
        check_shares(warmup=self.warmup)
        low, high = self.zoom
        rising = list(self.drops) == sorted(self.drops)
        for option, given, fits, words in (
            ("epochs", (self.epochs,), self.epochs > 0, "1 or more"),
            ("batch", (self.batch,), self.batch > 0, "1 or more"),
            ("lr", (self.lr,), 0 < self.lr < math.inf, "a number above 0"),
            ("momentum", (self.momentum,), 0 <= self.momentum < 1, "0 or more, under 1"),
            ("decay", (self.decay,), 0 <= self.decay < math.inf, "0 or more"),
            ("zoom", self.zoom, 0 < low <= high <= 10, "two factors up to 10, the smaller first"),
            ("pictures", (self.pictures,), self.pictures >= 0, "0 or more"),
            ("least", (self.least,), 0 < self.least < math.inf, "pixels, above 0"),
            ("seed", (self.seed,), 0 <= self.seed < 2**32, "0 or more, under 2**32"),
            ("drops", self.drops, rising and all(0 <= each <= 1 for each in self.drops), _SHARES),
        ):
            if not fits:
                said = " ".join(map(str, given))
                raise UserError(f"--{option} {said}: expected {words}")

    def rate(self, progress: float) -> float:
        """The learning rate after a share of the training."""
        rising = min(progress / self.warmup, 1.0) if self.warmup else 1.0
        passed = sum(progress >= drop for drop in self.drops)
        return float(self.lr * (0.1 + 0.9 * rising) / 10**passed)
