"""The parts of the network that every setting shares: features, pyramid, context, heads."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.feature_extraction import create_feature_extractor

from pipeline.neonatal.architecture import Backbone

# Where C2 to C5 leave each backbone.
_LEAVES: dict[str, tuple[str, ...]] = {
    "resnet50": ("layer1", "layer2", "layer3", "layer4"),
    "resnet18": ("layer1", "layer2", "layer3", "layer4"),
    "mobilenet_v3": ("features.3", "features.6", "features.12", "features.16"),
}
_BUILDERS = {
    "resnet50": torchvision.models.resnet50,
    "resnet18": torchvision.models.resnet18,
    "mobilenet_v3": torchvision.models.mobilenet_v3_large,
}


class Body(nn.Module):
    """A backbone of torchvision's: pictures (B, 3, H, W) -> C2 to C5."""

    def __init__(self, name: Backbone) -> None:
        super().__init__()
        leaves = OrderedDict((leaf, f"c{number}") for number, leaf in enumerate(_LEAVES[name], 2))
        whole = _BUILDERS[name](weights=None)
        self.features = create_feature_extractor(whole, dict(leaves))
        with torch.no_grad():
            seen = self.features.eval()(torch.zeros(1, 3, 64, 64))
        self.features.train()
        self.channels = [each.shape[1] for each in seen.values()]
        for each in self.features.modules():
            if isinstance(each, nn.BatchNorm2d):
                each.momentum = 0.1  # MobileNet's .01 lags behind a training of some hundred steps

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """C2 to C5, finest first."""
        return list(self.features(pictures).values())


@dataclass(frozen=True)
class Pyramids:
    """One picture at every level, finest first."""

    lateral: list[Tensor]  # (B, C, H, W) the backbone's features of P2 to P6, brought to C channels
    merged: list[Tensor]  # (B, C, H, W) P2 to P6


class Pyramid(nn.Module):
    """P2 to P5 from the top down, P6 by one more step of the backbone's last features."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        one = partial(nn.Conv2d, out_channels=channels, kernel_size=1)
        self.lateral = nn.ModuleList(one(each) for each in inputs)
        smooth = partial(nn.Conv2d, channels, channels, kernel_size=3, padding=1)
        self.smooth = nn.ModuleList(smooth() for _ in inputs)
        self.last = nn.Conv2d(inputs[-1], channels, 3, stride=2, padding=1)
        nn.init.xavier_uniform_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Sequence[Tensor]) -> Pyramids:
        """Features of C2 to C5 -> P2 to P6, and what each level got from the side."""
        lateral = [one(each) for one, each in zip(self.lateral, features, strict=True)]
        top = lateral[-1]
        merged = [top]
        for each in reversed(lateral[:-1]):
            top = each + functional.interpolate(top, size=each.shape[-2:], mode="nearest")
            merged.insert(0, top)
        merged = [smooth(each) for smooth, each in zip(self.smooth, merged, strict=True)]
        last = self.last(features[-1])
        return Pyramids([*lateral, last], [*merged, last])


class Context(nn.Module):
    """What lies around each cell, as RetinaFace and SSH see it: fields of 3, 5 and 7 cells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.near = _convolution(channels, half)
        self.out = _convolution(channels, quarter)
        self.middle = _convolution(quarter, quarter)
        self.far = nn.Sequential(_convolution(quarter, quarter), _convolution(quarter, quarter))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) of the same shape."""
        out = functional.relu(self.out(features))
        fields = [self.near(features), self.middle(out), self._far(out)]
        return functional.relu(torch.cat(fields, dim=1))

    def _far(self, out: Tensor) -> Tensor:
        first, second = self.far
        seen: Tensor = second(functional.relu(first(out)))
        return seen


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def head(channels: int, outputs: int, side: int, bias: float = 0.0) -> nn.Conv2d:
    """A convolution that ends in ``outputs`` numbers a cell; it begins near ``bias``."""
    made = nn.Conv2d(channels, outputs, side, padding=side // 2)
    nn.init.normal_(made.weight, std=0.01)
    assert made.bias is not None
    nn.init.constant_(made.bias, bias)
    return made


def logit(share: float) -> float:
    """Of a probability: the bias at which a head that knows nothing says it."""
    return -math.log((1 - share) / share)


def each_anchor(values: Tensor) -> Tensor:
    """One number an anchor (B, A, H, W) -> (B, N), as the anchors are ordered."""
    return flat(values, 1)[..., 0]


def flat(values: Tensor, numbers: int) -> Tensor:
    """(B, A * numbers, H, W) -> (B, H * W * A, numbers), as the anchors are ordered."""
    batch, _, height, width = values.shape
    values = values.view(batch, -1, numbers, height, width).permute(0, 3, 4, 1, 2)
    return values.reshape(batch, -1, numbers)  # (B, H, W, A, numbers) -> (B, N, numbers)
