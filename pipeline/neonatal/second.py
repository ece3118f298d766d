"""The second step of HCC: where the first step kept an anchor, more is looked at, and once more.

The places of kept anchors and their neighbourhoods are masks; each multiplies the features that the
level got from the backbone, and all are added to its own. On that a small classifier works: its
field is five cells, so that it sees what the neighbourhoods let through.

Which anchors it judges follows from what it has learned from. Of the kept ones it has the last
word. If it learned from those that were dropped, it may call back such as lie near a kept one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.neonatal.architecture import ANCHORS, Architecture, Labels
from pipeline.neonatal.blocks import head, logit
from pipeline.neonatal.cells import Windows, cells_where, overlap, rows_of, summed

AROUND = 2  # how many cells away a logit sees: two convolutions of three
_HIDDEN = 64
# Of what the first step keeps a tenth is a face's; of what it drops hardly anything.
_SHARES: dict[Labels, float] = {"kept": 0.1, "dropped": 0.01}


class Second(nn.Module):
    """The second classifier of one level; dense for training, at single cells for detection."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.reach, self.calls_back = architecture.reach, architecture.labels == "dropped"
        self.bar = logit(1 - architecture.theta)  # the logit from which on an anchor is kept
        self.hidden = nn.Conv2d(architecture.channels, _HIDDEN, 3, padding=1)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        assert self.hidden.bias is not None
        nn.init.zeros_(self.hidden.bias)
        self.logits = head(_HIDDEN, ANCHORS, 3, logit(_SHARES[architecture.labels]))

    def kept(self, first: Tensor) -> Tensor:
        """Which anchors (B, A, H, W) the first step leaves, by its logits: not surely negative."""
        return first >= self.bar

    def forward(self, features: Tensor, lateral: Tensor, kept: Tensor) -> Tensor:
        """Logits (B, A, H, W) everywhere; ``kept`` (B, H, W) tells where an anchor was kept."""
        return self.classified(features + lateral * self.masks(cells_where(kept), features))

    def classified(self, seen: Tensor) -> Tensor:
        """Logits (B, A, H, W) of the level's features and those that the masks let through."""
        logits: Tensor = self.logits(functional.relu(self.hidden(seen)))
        return logits

    def at(self, features: Tensor, lateral: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The cells (M,), ascending, that it is asked for, and its logits (M, A) there alone."""
        cells = cells_where(kept)
        if not len(cells):
            return cells, features.new_zeros(0, ANCHORS)
        masks = self.masks(cells, features)
        if self.calls_back:
            cells = cells_where(masks)
        outer = Windows.around(cells, 3, features)
        needed = torch.zeros_like(kept).flatten().index_fill_(0, outer.cells.flatten(), 1)
        behind = cells_where(needed)  # the cells of hidden features
        if overlap(behind, 3, features):
            return cells, rows_of(self.classified(features + lateral * masks))[cells]
        inner = Windows.around(behind, 3, features)
        seen = torch.addcmul(inner.of(features), inner.of(lateral), inner.of(masks))
        hidden = functional.relu(summed(self.hidden, seen * inner.inside))
        hidden = hidden[torch.searchsorted(behind, outer.cells)]
        return cells, summed(self.logits, hidden * outer.inside)

    def masks(self, cells: Tensor, like: Tensor) -> Tensor:
        """How often each cell (B, 1, H, W) is let through, if ``cells`` (M,) have kept anchors."""
        return masks_of(cells, self.reach, like)

    def judged(self, first: Tensor, said: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both steps and what the first kept -> the last word, and of which anchors."""
        if self.calls_back:
            return torch.where(kept, first, said), torch.ones_like(kept)
        return said, kept

    def judges(self, kept: Tensor, near: Tensor) -> Tensor:
        """Of which anchors (B, A, H, W) it has the last word; ``near`` (B, 1, H, W) kept ones."""
        return ~kept & near if self.calls_back else kept


def masks_of(cells: Tensor, reach: Sequence[int], like: Tensor) -> Tensor:
    """How often each cell (B, 1, H, W) lies in a neighbourhood of ``cells`` (M,)."""
    batch, _, height, width = like.shape
    masks = like.new_zeros(batch * height * width)
    for often, side in enumerate(sorted(reach, reverse=True), 1):  # each within the one before
        masks.index_fill_(0, Windows.around(cells, side, like).cells.flatten(), often)
    return masks.view(batch, 1, height, width)
