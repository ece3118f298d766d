"""The second step of HCC: what the first step kept is looked at again, with what lies around it.

The places of kept anchors and their neighbourhoods are masks; each multiplies the features that the
level got from the backbone, and all are added to its own. On that a small classifier works: its
field is five cells, so that it sees what the neighbourhoods let through.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.neonatal.blocks import head

FIELD = 5  # cells of a side that one logit depends on: two convolutions of three
_HIDDEN = 64


class Second(nn.Module):
    """The second classifier of one level; dense for training, at single cells for detection."""

    def __init__(self, channels: int, anchors: int, reach: Sequence[int], bias: float) -> None:
        super().__init__()
        self.reach = tuple(reach)
        self.hidden = nn.Conv2d(channels, _HIDDEN, 3, padding=1)
        self.logits = head(_HIDDEN, anchors, 3, bias)

    def forward(self, features: Tensor, lateral: Tensor, kept: Tensor) -> Tensor:
        """Logits (B, A, H, W) everywhere; ``kept`` (B, H, W) tells where an anchor was kept."""
        return self.classified(self.seen(features, lateral, kept))

    def seen(self, features: Tensor, lateral: Tensor, kept: Tensor) -> Tensor:
        """What the classifier works on (B, C, H, W): the level, and what the masks let through."""
        return features + lateral * self._masks(kept[:, None].to(lateral))

    def classified(self, seen: Tensor) -> Tensor:
        """Logits (B, A, H, W) of that."""
        logits: Tensor = self.logits(functional.relu(self.hidden(seen)))
        return logits

    def at(self, features: Tensor, lateral: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The kept cells (M, 3), as picture, row, column, and their logits (M, A) alone."""
        cells = kept.nonzero()
        height, width = kept.shape[1:]
        if len(cells) * FIELD**2 > kept.numel():  # windows that overlap so much cost more than all
            dense = self(features, lateral, kept).permute(0, 2, 3, 1)
            return cells, dense[kept]
        rows, row_inside = _around(cells[:, 1], height, FIELD // 2)
        columns, column_inside = _around(cells[:, 2], width, FIELD // 2)
        inside = (row_inside[:, :, None] & column_inside[:, None, :])[:, None].to(features)
        place = (cells[:, 0, None, None], slice(None), rows[:, :, None], columns[:, None, :])
        masks = self._masks(kept[:, None].to(lateral))[place].permute(0, 3, 1, 2)
        seen = features[place] + lateral[place] * masks.permute(0, 2, 3, 1)
        seen = seen.permute(0, 3, 1, 2) * inside  # (M, C, 5, 5), nothing beyond the border
        hidden = functional.conv2d(seen, self.hidden.weight, self.hidden.bias)
        hidden = functional.relu(hidden) * inside[..., 1:-1, 1:-1]  # (M, 64, 3, 3)
        logits = functional.conv2d(hidden, self.logits.weight, self.logits.bias)
        return cells, logits.flatten(1)

    def _masks(self, kept: Tensor) -> Tensor:
        """How often (B, 1, H, W) each cell lies in a neighbourhood of a kept one."""
        return torch.stack(
            [functional.max_pool2d(kept, side, 1, side // 2) for side in self.reach]
        ).sum(dim=0)


def _around(centre: Tensor, size: int, reach: int) -> tuple[Tensor, Tensor]:
    """Places (M, 2 * reach + 1) around each centre, held inside; and which of them are inside."""
    places = centre[:, None] + torch.arange(-reach, reach + 1, device=centre.device)
    return places.clamp(0, size - 1), (places >= 0) & (places < size)
