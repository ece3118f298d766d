"""How the network is trained, as settings: apart from it, so that --help needs no torch."""

from dataclasses import dataclass

from pipeline.errors import UserError


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
        if min(self.epochs, self.batch) < 1 or self.pictures < 0:
            raise UserError("--epochs and --batch: expected 1 or more; --pictures: 0 or more")
        if not (0 < self.zoom[0] <= self.zoom[1] <= 10):
            raise UserError(f"--zoom {self.zoom[0]:g} {self.zoom[1]:g}: expected e.g. .5 2")
        if self.least <= 0 or self.seed < 0 or self.decay < 0 or not 0 <= self.momentum < 1:
            raise UserError("--least: above 0; --seed, --decay: 0 or more; --momentum: under 1")
        if (
            not self.lr > 0
            or list(self.drops) != sorted(self.drops)
            or not all(0 <= each <= 1 for each in (self.warmup, *self.drops))
        ):
            raise UserError("--lr: above 0; --warmup, --drops: shares between 0 and 1, ascending")

    def rate(self, progress: float) -> float:
        """The learning rate after a share of the training."""
        rising = min(progress / self.warmup, 1.0) if self.warmup else 1.0
        passed = sum(progress >= drop for drop in self.drops)
        return float(self.lr * (0.1 + 0.9 * rising) / 10**passed)
