"""Single cells of a level: what small heads say there, without being asked everywhere.

A cell is a number: those of a batch are counted row by row, picture by picture.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional


def cells_where(where: Tensor) -> Tensor:
    """The cells (M,), ascending, of which values (B, H, W) or (B, 1, H, W) say so."""
    (cells,) = where.flatten().nonzero(as_tuple=True)
    return cells


def rows_of(values: Tensor) -> Tensor:
    """Values (B, C, H, W) cell by cell: (B * H * W, C)."""
    return values.permute(0, 2, 3, 1).flatten(0, 2)


@dataclass(frozen=True)
class Windows:
    """Squares of cells around M chosen ones, K cells each."""

    cells: Tensor  # (M, K) beyond the level's border, one inside it
    inside: Tensor  # (M, K, 1) false of those

    @classmethod
    def around(cls, cells: Tensor, side: int, like: Tensor) -> "Windows":
        """Around cells (M,) of a level of that shape."""
        height, width = like.shape[-2:]
        apart, inside = _neighbours(height, width, side, cells.device)
        own = cells % (height * width)
        return cls(cells[:, None] + apart.index_select(0, own), inside.index_select(0, own))

    def of(self, values: Tensor) -> Tensor:
        """Values (B, C, H, W) in the windows: (M, K, C); beyond the border, any."""
        found = rows_of(values).index_select(0, self.cells.flatten())
        return found.view(*self.cells.shape, values.shape[1])


def asked(head: nn.Conv2d, features: Tensor, cells: Tensor) -> Tensor:
    """What a padded convolution says of features at cells (M,) alone: (M, outputs)."""
    side = head.kernel_size[0]
    if overlap(cells, side, features):
        return rows_of(head(features)).index_select(0, cells)
    around = Windows.around(cells, side, features)
    return summed(head, around.of(features) * around.inside)


def summed(head: nn.Conv2d, seen: Tensor) -> Tensor:
    """A convolution of windows (M, K, C) as large as its own: (M, outputs)."""
    weight = head.weight.permute(0, 2, 3, 1).flatten(1)
    return functional.linear(seen.flatten(1), weight, head.bias)


def overlap(cells: Tensor, side: int, features: Tensor) -> bool:
    """Whether windows overlap so much that asking everywhere costs less.

    On a CPU that was measured where the windows would cover the level twice.
    """
    batch, _, height, width = features.shape
    return len(cells) * side**2 > 2 * batch * height * width


@lru_cache(maxsize=256)  # eight of each shape that letterboxed pictures come in, up to 832 pixels
def _neighbours(height: int, width: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each cell of a picture what to add (H * W, K) for its neighbours, and if inside."""
    reach = torch.arange(side, device=device) - side // 2
    rows = torch.arange(height, device=device)[:, None] + reach
    columns = torch.arange(width, device=device)[:, None] + reach
    held, across = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    inside = (held == rows)[:, None, :, None] & (across == columns)[None, :, None, :]
    cells = held[:, None, :, None] * width + across[None, :, None, :]  # (H, W, side, side)
    own = torch.arange(height * width, device=device)
    return (cells.view(-1, side**2) - own[:, None]).int(), inside.view(-1, side**2, 1)
