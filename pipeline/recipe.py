"""How heatmaps are made, as settings: apart from the making, so that --help needs no torch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.settings import chosen, words

Compose = Literal["stack", "average"]
Scale = Literal["fixed", "minmax"]
Weighting = Literal["probability", "none"]
Keep = Literal["best", "confident"]


@dataclass(frozen=True)
class Recipe:
    """How heatmaps are made. Stage 2 works only on heatmaps of the recipe it was trained on."""

    method: str = "gradcam++"
    """gradcam++ (which measured best, weights/README.md), hirescam, gradcam, xgradcam, layercam or
    eigencam; of a command several, separated by commas."""

    levels: tuple[int, ...] = (0, 1, 2)
    """Inputs of the head to look at, finest first. The thesis looks at the coarsest alone: 2."""

    anchors: int = 12
    """The best anchors of each class whose evidence is drawn."""

    conf: float = 0.25
    """Under this probability a class is weak: drawn all the same, and marked."""

    keep: Keep = "best"
    """best: the best anchors whatever their score, as many as anchors says. confident: all at
    or above conf, however many, or the best one where there is none."""

    weighting: Weighting = "probability"
    """How much each anchor's logit counts: its probability, or all alike (none)."""

    compose: str = "stack"
    """stack: a channel for each class. average: one channel, the mean of the predicted classes.
    Of a command both, separated by a comma."""

    scale: Scale = "fixed"
    """fixed: one peak for all pictures, so that a class that is absent stays dark beside one
    that is present. minmax: each map between its own extremes, as pytorch-grad-cam does."""

    peak: float = 0.0
    """The value that becomes 255 with a fixed scale; 0: measured on the training pictures."""

    gamma: float = 0.5
    """Values are raised to this power after scaling; under 1, weak evidence takes more of the
    256 steps."""

    @property
    def measures(self) -> bool:
        """Whether the peak is still to be measured."""
        return self.scale == "fixed" and self.peak == 0

    @property
    def drawing(self) -> "Recipe":
        """The recipe but for what is done with its maps once they are drawn.

        Recipes that share it share their maps, and their peak.
        """
        return replace(self, compose="stack", scale="fixed", peak=0.0, gamma=1.0)

    def channels(self, classes: int) -> int:
        """Of a heatmap of so many classes."""
        return 1 if self.compose == "average" else classes


@dataclass(frozen=True)
class Order:
    """One folder of heatmaps that is asked for."""

    target: Path
    recipe: Recipe
    record: Json  # what it follows from


THESIS = Recipe("hirescam", (2,), keep="confident", weighting="none", scale="minmax", gamma=1.0)


def saved(facts: Json) -> Recipe:
    """The recipe that was written as JSON."""
    return Recipe(**{**facts, "levels": tuple(facts["levels"])})


def variants(recipe: Recipe) -> list[Recipe]:
    """The recipes of a command line that names several methods or compositions."""
    composes = chosen("--compose", recipe.compose, get_args(Compose))
    methods = words(recipe.method)
    if not composes or not methods:
        raise UserError("--method and --compose: name at least one of each")
    if recipe.anchors < 1:
        raise UserError(f"--anchors {recipe.anchors}: expected 1 or more")
    if not 0 < recipe.conf < 1:
        raise UserError(f"--conf {recipe.conf:g}: expected a probability between 0 and 1")
    if recipe.peak < 0 or recipe.gamma <= 0:
        raise UserError("--peak and --gamma: expected numbers above 0 (--peak 0: measured)")
    if recipe.peak and len(methods) > 1:
        raise UserError("--peak: every method has a peak of its own, so name one method with it")
    return [
        replace(recipe, method=method, compose=compose)
        for method in methods
        for compose in composes
    ]
