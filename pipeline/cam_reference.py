"""The same maps from pytorch-grad-cam: slow, and what anyone in the field trusts.

One full forward and backward pass a class. The features are tapped on their way into each
level's class branch, so that a level's gradient is that of its own logits, as in
:mod:`pipeline.cam`; nothing else is changed.
"""

from collections.abc import Callable, Sequence

import torch
from pytorch_grad_cam import EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.base_cam import BaseCAM
from torch import Tensor, nn

from pipeline.cam import Branch, Targets, look

REFERENCES: dict[str, type[BaseCAM]] = {
    "hirescam": HiResCAM,
    "gradcam++": GradCAMPlusPlus,
    "gradcam": GradCAM,
    "xgradcam": XGradCAM,
    "layercam": LayerCAM,
    "eigencam": EigenCAM,
}


class Tap(nn.Module):
    """Where a level's features enter its class branch.

    A view is a tensor of its own: what goes back through it is the branch's gradient alone,
    without what reaches the features by way of the other levels.
    """

    def forward(self, features: Tensor) -> Tensor:
        """The features, as another tensor."""
        return features.view_as(features)


class Logits(nn.Module):
    """A network as pytorch-grad-cam wants it: picture -> class logits (B, K, sum of L)."""

    def __init__(
        self,
        trunk: Callable[[Tensor], Sequence[Tensor]],
        branches: Sequence[Branch],
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__()
        self.trunk, self.branches = trunk, branches
        self.taps = nn.ModuleList(Tap() for _ in branches)
        self.shapes: list[tuple[int, int]] = []
        # pytorch-grad-cam asks the first parameter for the device.
        self.where = nn.Parameter(torch.zeros(1, device=device))

    def layers(self, numbers: Sequence[int] | None = None) -> list[nn.Module]:
        """What pytorch-grad-cam hooks: the taps of these levels, or of all."""
        return [self.taps[n] for n in (range(len(self.taps)) if numbers is None else numbers)]

    def forward(self, batch: Tensor) -> Tensor:
        """Logits of all levels, finest first."""
        tapped = [tap(each) for tap, each in zip(self.taps, self.trunk(batch), strict=True)]
        self.shapes = [(each.shape[2], each.shape[3]) for each in tapped]
        return torch.cat([level.logits.flatten(2) for level in look(tapped, self.branches)], dim=2)


def target(model: Logits, targets: Targets, image: int, part: int) -> Callable[[Tensor], Tensor]:
    """What pytorch-grad-cam differentiates: the weighted logits of one map's targets."""
    mine = (targets.image == image) & (targets.part == part)
    level, cell, weight = targets.level[mine], targets.cell[mine], targets.weight[mine]

    def score(logits: Tensor) -> Tensor:
        """The sum over one picture's logits (K, sum of L)."""
        starts = torch.tensor([0, *(h * w for h, w in model.shapes)], device=cell.device).cumsum(0)
        return (logits[part, starts[level] + cell] * weight).sum()

    return score


def reference_maps(
    model: Logits,
    batch: Tensor,
    targets: Targets,
    method: str,
    numbers: Sequence[int] | None = None,
) -> list[Tensor]:
    """The maps (B, K, H, W) of these levels, or of all, not scaled: what ``cam.maps`` gives."""
    engine = REFERENCES[method](model=model, target_layers=model.layers(numbers))
    count, classes = targets.best.shape
    out: list[list[Tensor]] = [[] for _ in engine.target_layers]
    with torch.enable_grad():
        for image in range(count):
            for part in range(classes):
                score = [target(model, targets, image, part)]
                picture = batch[image : image + 1].detach().requires_grad_()
                engine(input_tensor=picture, targets=score)
                for number, raw in enumerate(_raw(engine, picture, score)):
                    out[number].append(raw)
    engine.activations_and_grads.release()
    return [
        torch.stack(each).reshape(count, classes, *each[0].shape).to(batch.device) for each in out
    ]


def _raw(engine: BaseCAM, picture: Tensor, score: list[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    """The map of each level before pytorch-grad-cam scales it between its own extremes."""
    activations = [each.cpu().numpy() for each in engine.activations_and_grads.activations]
    slopes = [each.cpu().numpy() for each in engine.activations_and_grads.gradients]
    drawn = []
    for number, layer in enumerate(engine.target_layers):
        slope = slopes[number] if slopes else None  # Eigen-CAM asks for none
        raw = engine.get_cam_image(
            picture, layer, score, activations[number], slope, eigen_smooth=False
        )
        drawn.append(torch.from_numpy(raw).clamp(min=0)[0])
    return drawn
