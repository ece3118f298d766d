"""Single cells of a level: what small heads say there, without being asked everywhere."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Windows:
    """Squares of ``side`` cells around M chosen ones."""

    flat: Tensor  # (M, side, side) the number of each cell of the batch, held inside its level
    inside: Tensor  # (M, side, side, 1) whether it is one: nothing lies beyond the border

    @classmethod
    def around(cls, cells: Tensor, side: int, like: Tensor) -> "Windows":
        """Around cells (M, 3), as picture, row, column, of a level with such features."""
        _, _, height, width = like.shape
        reach = torch.arange(side, device=cells.device) - side // 2
        rows, columns = cells[:, 1, None] + reach, cells[:, 2, None] + reach
        held, across = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        inside = (held == rows)[:, :, None] & (across == columns)[:, None, :]
        flat = (cells[:, :1] * height + held)[:, :, None] * width + across[:, None, :]
        return cls(flat, inside[..., None])

    def of(self, values: Tensor) -> Tensor:
        """Values (B, C, H, W) in the windows: (M, side, side, C); beyond the border, any."""
        rows = values.permute(0, 2, 3, 1).flatten(0, 2)
        return rows.index_select(0, self.flat.flatten()).view(*self.flat.shape, values.shape[1])


def asked(head: nn.Conv2d, features: Tensor, cells: Tensor) -> Tensor:
    """What a padded convolution says of features at cells (M, 3) alone: (M, outputs)."""
    side = head.kernel_size[0]
    if overlap(cells, side, features):
        said: Tensor = head(features)
        picture, row, column = cells.unbind(dim=1)
        return said[picture, :, row, column]
    around = Windows.around(cells, side, features)
    return summed(head, around.of(features) * around.inside)


def summed(head: nn.Conv2d, seen: Tensor) -> Tensor:
    """A convolution of windows (M, side, side, C) as large as its own: (M, outputs)."""
    weight = head.weight.permute(0, 2, 3, 1).flatten(1)
    return functional.linear(seen.flatten(1), weight, head.bias)


def overlap(cells: Tensor, side: int, features: Tensor) -> bool:
    """Whether windows overlap so much that asking everywhere costs less."""
    batch, _, height, width = features.shape
    return len(cells) * side**2 > batch * height * width
