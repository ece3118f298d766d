"""The network: pictures -> what each anchor is worth, in raw numbers; nobody decodes here."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.neonatal.architecture import ANCHORS, FIRST, LEVELS, Architecture
from pipeline.neonatal.blocks import Body, Context, Pyramid, each_anchor, head, logit
from pipeline.neonatal.second import Second

_SHARE = 0.01  # one anchor in a hundred is a face's, to begin with


@dataclass(frozen=True)
class Level:
    """One level of the pyramid after the forward pass."""

    features: Tensor  # (B, C, H, W) what the heads see
    lateral: Tensor  # (B, C, H, W) what the level got from the backbone
    logits: Tensor  # (B, A, H, W) of the first step
    deltas: Tensor  # (B, 4 A, H, W) from anchors to boxes, coded
    quality: nn.Conv2d | None  # says how good a box is: the logit of its DIoU with the true one
    second: Second | None  # the second step, if the level has one

    @property
    def scores(self) -> Tensor:
        """Of the first step, as the anchors are ordered: (B, N)."""
        return each_anchor(self.logits)


class Network(nn.Module):
    """One of the four settings; what they share has the same names."""

    mean: Tensor
    spread: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture, channels = architecture, architecture.channels
        # As torchvision's backbones were trained.
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("spread", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.body = Body(architecture.backbone)
        self.pyramid = Pyramid(self.body.channels, channels)
        self.context = nn.ModuleList(Context(channels) for _ in LEVELS)
        self.first = nn.ModuleList(head(channels, ANCHORS, 1, logit(_SHARE)) for _ in LEVELS)
        self.box = nn.ModuleList(head(channels, 4 * ANCHORS, 1) for _ in LEVELS)
        ranked = architecture.quality != "none"
        self.quality = nn.ModuleList(head(channels, ANCHORS, 3) for _ in LEVELS if ranked)
        self.second = nn.ModuleDict(
            {
                str(level): Second(architecture)
                for level in LEVELS
                if architecture.hcc and level in architecture.steps
            }
        )

    def forward(self, pictures: Tensor) -> list[Level]:
        """Pictures (B, 3, H, W) in 0 to 1, of sides that 64 divides -> P2 to P6."""
        pyramids = self.pyramid(self.body((pictures - self.mean) / self.spread))
        found = []
        for number, (lateral, merged) in enumerate(
            zip(pyramids.lateral, pyramids.merged, strict=True)
        ):
            features = self.context[number](merged)
            found.append(
                Level(
                    features,
                    lateral,
                    self.first[number](features),
                    self.box[number](features),
                    self._quality(number),
                    self._second(FIRST + number),
                )
            )
        return found

    def _quality(self, number: int) -> nn.Conv2d | None:
        """What judges the boxes of a level, if anything does."""
        if not len(self.quality):
            return None
        found = self.quality[number]
        assert isinstance(found, nn.Conv2d)
        return found

    def _second(self, level: int) -> Second | None:
        """The second step of a level, if it has one."""
        if str(level) not in self.second:
            return None
        found = self.second[str(level)]
        assert isinstance(found, Second)
        return found
