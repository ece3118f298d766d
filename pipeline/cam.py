"""Class activation maps of a detection head, exact, at a few per cent of the forward pass.

A class logit of a convolutional head depends on a handful of cells of the head's input, so
its gradient is zero almost everywhere. Instead of ten backward passes through the network
we cut a small window of the head's hidden features around every target, run the rest of the
class branch on the windows, go back through them in one step, and bring the result through
the branch's first convolution (which is linear) as a matrix product. Nothing is
approximated: at a border the window is moved inwards, so that the border is the window's.

Shapes: B pictures, K classes, C channels of the features, D of the hidden features, H W
cells, L = H * W, N targets, M cells with a gradient, O = B * K maps ("owners").

The network may compute in half precision. What is drawn from it is float32 at least: a target
that counts with a probability of 1e-6 has no place among half precision's numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.recipe import Keep, Weighting

_CHUNK = 1 << 25  # numbers of the widest intermediate array: 128 MB in float32


@dataclass(frozen=True)
class Stem:
    """An affine convolution with stride 1 that keeps the size: where a class branch begins."""

    weight: Tensor  # (D, C, S, S), S odd
    bias: Tensor  # (D,)

    def __call__(self, features: Tensor) -> Tensor:
        """Hidden features (B, D, H, W) of features (B, C, H, W)."""
        return functional.conv2d(
            features, self.weight, self.bias, padding=self.weight.shape[-1] // 2
        )


@dataclass(frozen=True)
class Branch:
    """How the class logits of one level follow from the head's input there."""

    tail: Callable[[Tensor], Tensor]  # hidden (B, D, H, W) -> logits (B, K, H, W), zero padding
    radius: int  # a logit depends on hidden cells at most so far away
    stem: Stem | None = None  # none: the hidden features are the features


@dataclass(frozen=True)
class Level:
    """One level of a head after the forward pass."""

    features: Tensor  # (B, C, H, W) the head's input
    hidden: Tensor  # (B, D, H, W)
    logits: Tensor  # (B, K, H, W)
    branch: Branch

    def only(self, numbers: Sequence[int]) -> "Level":
        """Some pictures of the batch."""
        if len(numbers) == len(self.features):
            return self
        parts = (self.features[numbers], self.hidden[numbers], self.logits[numbers])
        return Level(*parts, self.branch)


@dataclass(frozen=True)
class Targets:
    """The logits whose evidence is asked for: one row a target."""

    level: Tensor  # (N,)
    image: Tensor  # (N,)
    part: Tensor  # (N,)
    cell: Tensor  # (N,) y * W + x on its level
    weight: Tensor  # (N,) float32
    best: Tensor  # (B, K) the highest probability of each class
    weak: Tensor  # (B, K) bool: it lies under the confidence asked for


@dataclass(frozen=True)
class Gradients:
    """The gradient of each map's target at one level, where it is not zero."""

    owner: Tensor  # (M,) b * K + k
    cell: Tensor  # (M,)
    values: Tensor  # (M, C) float32 at least
    maps: int  # O

    def total(self, values: Tensor) -> Tensor:
        """Sums of values (M, C) over the cells of each map: (O, C)."""
        out = values.new_zeros(self.maps, values.shape[1])
        return out.index_add_(0, self.owner, values)


Method = Callable[[Gradients, Tensor], Tensor]  # gradients, features (B, C, L) -> (O, L)
Sum = Callable[[Tensor], Tensor]  # features (B, C, L) -> (B, C)


def look(features: Sequence[Tensor], branches: Sequence[Branch]) -> list[Level]:
    """Hidden features and class logits of every level, from the head's inputs."""
    levels = []
    for feature, branch in zip(features, branches, strict=True):
        hidden = feature if branch.stem is None else branch.stem(feature)
        levels.append(Level(feature, hidden, branch.tail(hidden), branch))
    return levels


def choose(
    logits: Sequence[Tensor],
    count: int = 12,
    conf: float = 0.25,
    weighting: Weighting = "probability",
    keep: Keep = "best",
) -> Targets:
    """For every picture and class, the anchors that speak for it most.

    ``best`` takes the ``count`` best whatever their score: weak evidence is still evidence.
    ``confident`` takes all at or above ``conf``, however many, or the best one where none is.
    Each logit counts with its probability, so that strong anchors lead and weak ones are
    heard; ``none`` counts all alike. A class under ``conf`` is marked weak, never left out.
    """
    sizes = [level.shape[2] * level.shape[3] for level in logits]
    scores = torch.cat([level.flatten(2) for level in logits], dim=2).float()  # (B, K, sum L)
    enough = math.log(conf / (1 - conf))  # as a logit
    if keep == "confident":  # as many as the map that has most of them
        count = max(1, int((scores >= enough).sum(dim=2).max()))
    top, anchor = scores.topk(min(count, scores.shape[2]), dim=2)  # (B, K, count)
    kept = torch.ones_like(top, dtype=torch.bool)
    if keep == "confident":
        kept = top >= enough
        kept[..., 0] = True
    probability = top.sigmoid()
    image, part, _ = kept.nonzero(as_tuple=True)
    ends = torch.tensor(sizes, device=top.device).cumsum(0)
    level = torch.bucketize(anchor[kept], ends, right=True)
    start = torch.cat([ends.new_zeros(1), ends[:-1]])
    weight = probability[kept] if weighting == "probability" else torch.ones_like(top[kept])
    weak = ~(top[..., 0] >= enough)  # so written, a logit that is no number is weak, too
    cell = anchor[kept] - start[level]
    return Targets(level, image, part, cell, weight, probability[..., 0], weak)


@torch.no_grad()
def maps(
    levels: Sequence[Level], targets: Targets, method: Method, numbers: Sequence[int] | None = None
) -> list[Tensor]:
    """The map of every picture and class at these levels, or at all: (B, K, H, W), at least 0.

    Each level's gradient is that of the targets on this level, at its own features; a level
    that is not asked for costs nothing. Numbers count the levels from the finest.
    """
    out = []
    for number in range(len(levels)) if numbers is None else numbers:
        level = levels[number]
        batch, channels, height, width = level.features.shape
        found = _nowhere(level) if method in BLIND else gradients(level, targets, number)
        drawn = method(found, level.features.reshape(batch, channels, height * width))
        out.append(drawn.clamp_(min=0).reshape(batch, -1, height, width))
    return out


def fuse(level_maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """The sum of the levels' maps on one grid: (B, K, *size)."""
    total = level_maps[0].new_zeros(*level_maps[0].shape[:2], *size)
    for each in level_maps:
        total += functional.interpolate(each, tuple(size), mode="bilinear", align_corners=False)
    return total


@torch.no_grad()
def gradients(level: Level, targets: Targets, number: int) -> Gradients:
    """The gradient of each map's targets on level ``number`` with respect to its features."""
    chosen = targets.level == number
    if not bool(chosen.any()):
        return _nowhere(level)
    image, part = targets.image[chosen], targets.part[chosen]
    cell, weight = targets.cell[chosen], targets.weight[chosen]
    batch, classes, height, width = level.logits.shape
    rows, columns = _window(level, cell)
    owners = (image * classes + part)[:, None, None]
    key = owners * (height * width) + rows[:, :, None] * width + columns[:, None, :]  # (N, s, s)
    keys, place = torch.unique(key, return_inverse=True)
    total = _wide(level.hidden.new_zeros(len(keys), level.hidden.shape[1]))
    step = max(1, _CHUNK // (key[0].numel() * level.hidden.shape[1]))
    for first in range(0, len(cell), step):
        some = slice(first, first + step)
        slope = _wide(_slope(level, image[some], part[some], cell[some]))  # (n, D, s, s)
        # The weight comes after the way back: a small one would drown there in half precision.
        values = (slope * weight[some, None, None, None]).permute(0, 2, 3, 1)
        total.index_add_(0, place[some].flatten(), values.flatten(0, 2))
    found = Gradients(keys // (height * width), keys % (height * width), total, batch * classes)
    if level.branch.stem is None:
        return found
    return _through(level.branch.stem, found, height, width)


def _slope(level: Level, image: Tensor, part: Tensor, cell: Tensor) -> Tensor:
    """The gradient (n, D, s, s) of each target's logit, in its window of the hidden features.

    The zeros that the tail pads a window with are the head's own padding at a border, and
    elsewhere too far from the target to be seen by it.
    """
    width = level.hidden.shape[3]
    rows, columns = _window(level, cell)
    # Indexing on both sides of the slice puts the channels last: (n, s, s, D).
    cut = level.hidden[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    windows = cut.permute(0, 3, 1, 2).detach().contiguous()
    with torch.enable_grad():
        windows.requires_grad_()
        logits = level.branch.tail(windows)  # (n, K, s, s)
        pick = torch.arange(len(cell), device=cell.device)
        score = logits[pick, part, cell // width - rows[:, 0], cell % width - columns[:, 0]]
        (slope,) = torch.autograd.grad(score, windows, torch.ones_like(score))
    return slope


def _window(level: Level, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (N, s) of the window of hidden cells that each target depends on.

    A window lies inside the grid: at a border it is moved inwards.
    """
    height, width = level.hidden.shape[2:]
    side = 2 * level.branch.radius + 1
    rows, columns = (
        (at - level.branch.radius).clamp(0, max(0, size - side))[:, None]
        + torch.arange(min(side, size), device=cell.device)
        for at, size in ((cell // width, height), (cell % width, width))
    )
    return rows, columns


def _nowhere(level: Level) -> Gradients:
    """No gradient anywhere: no target on this level, or a method that asks for none."""
    batch, classes = level.logits.shape[:2]
    none = torch.zeros(0, dtype=torch.long, device=level.features.device)
    values = _wide(level.features.new_zeros(0, level.features.shape[1]))
    return Gradients(none, none, values, batch * classes)


def _wide(values: Tensor) -> Tensor:
    return values.to(_precision(values))


def _precision(values: Tensor) -> torch.dtype:
    """What is drawn from these values: float32 at least."""
    return torch.promote_types(values.dtype, torch.float32)


def _through(stem: Stem, found: Gradients, height: int, width: int) -> Gradients:
    """The gradient with respect to what went into the stem.

    The hidden cell p is a sum over offsets o of weight[o] times the feature at p + o, so
    what p's gradient gives to that feature is weight[o] transposed times it.
    """
    hidden, channels, side, _ = stem.weight.shape
    weight = _wide(stem.weight).permute(0, 2, 3, 1).reshape(hidden, side * side * channels)
    reach = torch.arange(side, device=found.cell.device) - side // 2
    row = (found.cell // width)[:, None] + reach.repeat_interleave(side)  # (M, S * S)
    column = (found.cell % width)[:, None] + reach.repeat(side)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    key = found.owner[:, None] * (height * width) + row * width + column
    keys, place = torch.unique(key[inside], return_inverse=True)
    where = torch.full_like(key, -1)
    where[inside] = place
    total = found.values.new_zeros(len(keys), channels)
    step = max(1, _CHUNK // (side * side * channels))
    for first in range(0, len(found.cell), step):
        part = slice(first, first + step)
        spread = (found.values[part] @ weight).reshape(-1, channels)
        target = where[part].reshape(-1)
        valid = target >= 0
        total.index_add_(0, target[valid], spread[valid])
    cells = height * width
    return Gradients(keys // cells, keys % cells, total, found.maps)


def _at(found: Gradients, features: Tensor) -> Tensor:
    """The features (M, C) at the cells that have a gradient."""
    classes = found.maps // features.shape[0]
    return _wide(features[found.owner // classes, :, found.cell])


def _spread(found: Gradients, features: Tensor, values: Tensor) -> Tensor:
    """Values (M,) at their places on maps (O, L) that are zero elsewhere."""
    out = values.new_zeros(found.maps, features.shape[2])
    out[found.owner, found.cell] = values
    return out


def _weighted(found: Gradients, features: Tensor, weights: Tensor) -> Tensor:
    """Channel weights (O, C) times the features of each map's picture: (O, L)."""
    batch, channels, cells = features.shape
    weights = weights.reshape(batch, -1, channels)
    return torch.bmm(weights, _wide(features)).reshape(found.maps, cells)


def hirescam(found: Gradients, features: Tensor) -> Tensor:
    """HiResCAM: gradient times feature at each cell, summed over the channels."""
    return _spread(found, features, (found.values * _at(found, features)).sum(dim=1))


def layercam(found: Gradients, features: Tensor) -> Tensor:
    """LayerCAM: as HiResCAM, with the positive gradients alone."""
    return _spread(found, features, (found.values.relu() * _at(found, features)).sum(dim=1))


def gradcam(found: Gradients, features: Tensor) -> Tensor:
    """Grad-CAM: each channel weighs what its gradient is on average."""
    return _weighted(found, features, found.total(found.values) / features.shape[2])


def sums(features: Tensor) -> Tensor:
    """The sum (B, C) of each channel, rounded once: XGrad-CAM and Grad-CAM++ divide by it."""
    return features.sum(dim=2, dtype=torch.float64).to(_precision(features))


def xgradcam(found: Gradients, features: Tensor, add: Sum = sums) -> Tensor:
    """XGrad-CAM: each channel weighs its gradient, averaged over where it is active."""
    active = add(features) + 1e-7  # (B, C)
    weights = found.total(found.values * _at(found, features))
    classes = found.maps // features.shape[0]
    return _weighted(found, features, weights / active.repeat_interleave(classes, dim=0))


def gradcam_plus_plus(
    found: Gradients, features: Tensor, epsilon: float | None = None, add: Sum = sums
) -> Tensor:
    """Grad-CAM++: positive gradients, weighed against their own squares and cubes.

    The published weights compare the gradient with constants, so the map depends on the
    scale of the logits and vanishes for small ones. Here each map's gradients are first
    divided by the largest of them, and the sum of a channel's activations, meant for
    features after a ReLU, is held at zero or above; the map is given its scale back.
    ``epsilon`` (1e-6) takes pytorch-grad-cam's formula instead, constants and all.
    """
    classes = found.maps // features.shape[0]
    if epsilon is not None:
        slope = found.values
        active = add(features).repeat_interleave(classes, dim=0)[found.owner]
        square = slope.square()
        share = square / (2 * square + active * (square * slope) + epsilon)
        return _weighted(found, features, found.total(slope.relu() * share))
    largest = found.values.new_zeros(found.maps)
    largest = largest.scatter_reduce(0, found.owner, found.values.abs().amax(dim=1), "amax")
    scale = largest.clamp(min=torch.finfo(found.values.dtype).tiny)[found.owner, None]
    slope = (found.values / scale).relu()
    total = features.sum(dim=2, dtype=_precision(features)).clamp_(min=0)
    share = 1 / (2 + total.repeat_interleave(classes, dim=0)[found.owner] * slope)
    weights = found.total(slope * share) * largest[:, None]
    return _weighted(found, features, weights)


def eigencam(found: Gradients, features: Tensor) -> Tensor:
    """Eigen-CAM: the features along their first principal direction; knows no class.

    The direction's sign, which the decomposition leaves open, is chosen so that the
    strongest response is positive.
    """
    centred = _wide(features) - _wide(features).mean(dim=2, keepdim=True)  # (B, C, L)
    _, directions = torch.linalg.eigh(centred @ centred.transpose(1, 2))
    response = (directions[..., -1:].transpose(1, 2) @ centred).squeeze(1)  # (B, L)
    strongest = response.gather(1, response.abs().argmax(dim=1, keepdim=True))
    classes = found.maps // features.shape[0]
    signed: Tensor = response * strongest.sign()
    return signed.repeat_interleave(classes, dim=0)


METHODS: dict[str, Method] = {
    "hirescam": hirescam,
    "gradcam++": gradcam_plus_plus,
    "gradcam": gradcam,
    "xgradcam": xgradcam,
    "layercam": layercam,
    "eigencam": eigencam,
}

BLIND = frozenset({eigencam})  # methods that look at no gradient
