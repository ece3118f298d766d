"""A head with three levels, small enough to look at every number."""

import functools

import torch
from torch import nn

from pipeline import bench, cam

everywhere = functools.partial(bench.everywhere, count=4)  # of each level


class Head(nn.Module):
    """A trunk with three levels that feed each other, as YOLO's do, and their class branches."""

    def __init__(self, classes=3, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU())
        self.second = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.SiLU())
        self.third = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.SiLU())
        self.branches = nn.ModuleList(
            nn.ModuleList([nn.Conv2d(c, 10, 3, padding=1), self.tail(10, classes)])
            for c in (8, 12, 16)
        )

    @staticmethod
    def tail(channels, classes):
        return nn.Sequential(
            nn.SiLU(), nn.Conv2d(channels, 10, 3, padding=1), nn.SiLU(), nn.Conv2d(10, classes, 1)
        )

    def trunk(self, batch):
        one = self.first(batch)
        two = self.second(one)
        return [one, two, self.third(two)]

    def with_stems(self):
        return [cam.Branch(tail, 1, cam.Stem(c.weight, c.bias)) for c, tail in self.branches]

    def without_stems(self):
        return [cam.Branch(nn.Sequential(c, tail), 2) for c, tail in self.branches]


@torch.no_grad()
def looked(head, batch, stems=True):
    return cam.look(head.trunk(batch), head.with_stems() if stems else head.without_stems())


def chosen(levels, **settings):
    return cam.choose([level.logits for level in levels], **settings)


def fused(levels, targets, method):
    return cam.fuse(cam.maps(levels, targets, method), levels[0].features.shape[2:])


def relative(found, expected):
    """The greatest difference as a share of each map's peak."""
    peak = expected.flatten(2).amax(2).clamp(min=1e-12)[..., None, None]
    return float(((found - expected).abs() / peak).detach().max())
