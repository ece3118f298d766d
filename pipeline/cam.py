"""Class activation maps of a detection head, exact, at a few per cent of the forward pass.

A class logit of a convolutional head depends on a handful of cells of the head's input, so
its gradient is zero almost everywhere. Instead of ten backward passes through the network
we cut a small window of the head's hidden features around every target, run the rest of the
class branch on the windows, go back through them in one step, and bring the result through
the branch's first convolution (which is linear) as a matrix product. Nothing is
approximated: at a border the window is moved inwards, so that the border is the window's.

Shapes: B pictures, K classes, C channels of the features, D of the hidden features, H W
cells, L = H * W, N targets, M cells with a gradient, O = B * K maps ("owners").
"""

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
    values: Tensor  # (M, C) float32
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
    ``confident`` takes those of them at or above ``conf``, or the best one where none is.
    Each logit counts with its probability, so that strong anchors lead and weak ones are
    heard; ``none`` counts all alike. A class under ``conf`` is marked weak, never left out.
    """
    sizes = [level.shape[2] * level.shape[3] for level in logits]
    scores = torch.cat([level.flatten(2) for level in logits], dim=2).float()  # (B, K, sum L)
    top, anchor = scores.topk(min(count, scores.shape[2]), dim=2)  # (B, K, count)
    probability = top.sigmoid()
    best = probability[..., 0]
    kept = torch.ones_like(top, dtype=torch.bool)
    if keep == "confident":
        kept = probability >= conf
        kept[..., 0] = True
    image, part, _ = kept.nonzero(as_tuple=True)
    ends = torch.tensor(sizes, device=top.device).cumsum(0)
    level = torch.bucketize(anchor[kept], ends, right=True)
    start = torch.cat([ends.new_zeros(1), ends[:-1]])
    weight = probability[kept] if weighting == "probability" else torch.ones_like(top[kept])
    weak = ~(best >= conf)  # so written, a probability that is no number is weak, too
    return Targets(level, image, part, anchor[kept] - start[level], weight, best, weak)


@torch.no_grad()
def maps(levels: Sequence[Level], targets: Targets, method: Method) -> list[Tensor]:
    """The map of every picture and class at every level: (B, K, H, W), not negative.

    Each level's gradient is that of the targets on this level, at its own features.
    """
    out = []
    for number, level in enumerate(levels):
        batch, channels, height, width = level.features.shape
        classes = level.logits.shape[1]
        found = gradients(level, targets, number)
        flat = level.features.reshape(batch, channels, height * width)
        drawn = method(found, flat).clamp_(0, torch.finfo(level.features.dtype).max)
        out.append(drawn.reshape(batch, classes, height, width).to(level.features.dtype))
    return out


def fuse(level_maps: Sequence[Tensor]) -> Tensor:
    """The sum of all levels on the finest grid (B, K, H, W)."""
    size = max((tuple(each.shape[2:]) for each in level_maps), key=lambda shape: shape[0])
    total = torch.zeros(
        (*level_maps[0].shape[:2], *size), dtype=torch.float32, device=level_maps[0].device
    )
    for each in level_maps:
        total += functional.interpolate(each.float(), size, mode="bilinear", align_corners=False)
    return total.to(level_maps[0].dtype)


@torch.no_grad()
def gradients(level: Level, targets: Targets, number: int) -> Gradients:
    """The gradient of each map's targets on level ``number`` with respect to its features."""
    chosen = targets.level == number
    image, part = targets.image[chosen], targets.part[chosen]
    cell, weight = targets.cell[chosen], targets.weight[chosen]
    batch, classes, height, width = level.logits.shape
    windows, rows, columns = _windows(level, image, cell)
    with torch.enable_grad():
        windows.requires_grad_()
        logits = level.branch.tail(windows)  # (N, K, s, s)
        pick = torch.arange(len(cell), device=cell.device)
        y, x = cell // width - rows[:, 0], cell % width - columns[:, 0]
        score = logits[pick, part, y, x].float() * weight
        (slope,) = torch.autograd.grad(score.sum(), windows)
    owner = image * classes + part
    cells = rows[:, :, None] * width + columns[:, None, :]  # (N, s, s)
    owners = owner[:, None, None].expand_as(cells)
    values = slope.float().permute(0, 2, 3, 1).reshape(-1, slope.shape[1])  # (N * s * s, D)
    found = _merged(owners.reshape(-1), cells.reshape(-1), values, height * width, batch * classes)
    if level.branch.stem is None:
        return found
    return _through(level.branch.stem, found, height, width)


def _windows(level: Level, image: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden features (N, D, s, s) around each target, and their rows and columns (N, s).

    A window lies inside the grid. The zeros that the tail pads it with are the head's own
    padding at a border, and elsewhere too far from the target to be seen by it.
    """
    height, width = level.hidden.shape[2:]
    side = 2 * level.branch.radius + 1
    rows, columns = (
        (at - level.branch.radius).clamp(0, max(0, size - side))[:, None]
        + torch.arange(min(side, size), device=cell.device)
        for at, size in ((cell // width, height), (cell % width, width))
    )
    # Indexing on both sides of the slice puts the channels last: (N, s, s, D).
    cut = level.hidden[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).detach().contiguous(), rows, columns


def _merged(owner: Tensor, cell: Tensor, values: Tensor, cells: int, owners: int) -> Gradients:
    """One row for each cell of each map, in order."""
    key, place = torch.unique(owner * cells + cell, return_inverse=True)
    total = values.new_zeros(len(key), values.shape[1]).index_add_(0, place, values)
    return Gradients(key // cells, key % cells, total, owners)


def _through(stem: Stem, found: Gradients, height: int, width: int) -> Gradients:
    """The gradient with respect to what went into the stem.

    The hidden cell p is a sum over offsets o of weight[o] times the feature at p + o, so
    what p's gradient gives to that feature is weight[o] transposed times it.
    """
    hidden, channels, side, _ = stem.weight.shape
    weight = stem.weight.float().permute(0, 2, 3, 1).reshape(hidden, side * side * channels)
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
    return features[found.owner // classes, :, found.cell].float()


def _spread(found: Gradients, features: Tensor, values: Tensor) -> Tensor:
    """Values (M,) at their places on maps (O, L) that are zero elsewhere."""
    out = values.new_zeros(found.maps, features.shape[2])
    out[found.owner, found.cell] = values
    return out


def _weighted(found: Gradients, features: Tensor, weights: Tensor) -> Tensor:
    """Channel weights (O, C) times the features of each map's picture: (O, L)."""
    batch, channels, cells = features.shape
    weights = weights.reshape(batch, -1, channels)
    return torch.bmm(weights, features.float()).reshape(found.maps, cells)


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
    return features.sum(dim=2, dtype=torch.float64).float()


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
    total = add(features).repeat_interleave(found.maps // features.shape[0], dim=0)
    if epsilon is not None:
        slope, active = found.values, total[found.owner]
        square = slope.square()
        share = square / (2 * square + active * (square * slope) + epsilon)
        return _weighted(found, features, found.total(slope.relu() * share))
    largest = found.values.new_zeros(found.maps)
    largest = largest.scatter_reduce(0, found.owner, found.values.abs().amax(dim=1), "amax")
    scale = largest.clamp(min=torch.finfo(torch.float32).tiny)[found.owner, None]
    slope = (found.values / scale).relu()
    share = 1 / (2 + total.clamp(min=0)[found.owner] * slope)
    weights = found.total(slope * share) * largest[:, None]
    return _weighted(found, features, weights)


def eigencam(found: Gradients, features: Tensor) -> Tensor:
    """Eigen-CAM: the features along their first principal direction; knows no class.

    The direction's sign, which the decomposition leaves open, is chosen so that the
    strongest response is positive.
    """
    centred = features.float() - features.float().mean(dim=2, keepdim=True)  # (B, C, L)
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
