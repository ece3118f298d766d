"""The engine against pytorch-grad-cam."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from tiny_head import Head, chosen, everywhere, looked, relative
from torch import nn
from torch.nn import functional

from pipeline import cam, heatmaps, yolo
from pipeline.bench import as_theirs
from pipeline.cam_reference import Logits, reference_maps
from pipeline.parts import PARTS
from pipeline.recipe import Recipe

EXACT = ["hirescam", "gradcam", "xgradcam", "layercam"]


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("stems", [True, False])
def test_maps_are_pytorch_grad_cams(head, batch, method, stems):
    """At every level, to 1e-4 of the peak, with borders and several targets a map."""
    levels = looked(head, batch, stems)
    targets = everywhere(levels)
    expected = reference_maps(Logits(head.trunk, head.with_stems()), batch, targets, method)
    found = cam.maps(levels, targets, cam.METHODS[method])

    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert relative(mine, theirs) < 1e-4


def test_gradcam_plus_plus_with_their_epsilon_is_theirs(head, batch):
    """With the absolute 1e-6 and the sums as they are, the published implementation comes out.

    Near its pole it hangs on the last bits of the gradient, which a weight before the way back
    (theirs) and after it (ours) leaves different: here all count alike, in float64 they need not.
    """
    levels = looked(head, batch)
    targets = everywhere(levels, weighting="none")
    expected = reference_maps(Logits(head.trunk, head.with_stems()), batch, targets, "gradcam++")
    found = cam.maps(levels, targets, as_theirs("gradcam++"))

    for mine, theirs in zip(found, expected, strict=True):
        assert relative(mine, theirs) < 1e-4


@pytest.mark.parametrize("method", [*EXACT, "gradcam++"])
def test_in_double_precision_they_are_the_same(batch, method):
    """A network in float64: to 1e-10 of the peak, Grad-CAM++ with its pole included.

    In float32 the published Grad-CAM++ of trained networks hangs on the gradient's last bits,
    where the sum of a channel is negative and the denominator passes through zero.
    """
    head, batch = Head().eval().double(), batch.double()
    levels = looked(head, batch)
    targets = everywhere(levels)
    expected = reference_maps(Logits(head.trunk, head.with_stems()), batch, targets, method)
    for mine, theirs in zip(cam.maps(levels, targets, as_theirs(method)), expected, strict=True):
        assert mine.dtype == torch.float64
        assert relative(mine, theirs) < 1e-10


class Whole(nn.Module):
    """A detector of Ultralytics, whole; what it gives is its class logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model(batch)[1]["scores"]  # (B, K, sum of L)


@pytest.mark.parametrize(("method", "peer"), [("hirescam", HiResCAM), ("gradcam", GradCAM)])
def test_the_coarsest_level_alone_is_the_thesis_choice(method, peer):
    """``levels=(2,)`` is pytorch-grad-cam hooked on ``model[-2]``, as the thesis hooked it."""
    torch.manual_seed(0)
    network = yolo.Network(yolo.build("n", PARTS))
    picture = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(5))
    levels = network.look(picture)
    recipe = Recipe(method=method, levels=(2,), anchors=200)  # so many lie on every level
    targets = chosen(levels, count=200)
    assert (targets.level == 2).any()
    drawn = heatmaps.draw(levels, recipe).values
    (found,) = cam.maps(levels, targets, cam.METHODS[method], (2,))
    starts = np.cumsum([0, *(level.logits[0, 0].numel() for level in levels)])
    anchor = torch.from_numpy(starts)[targets.level] + targets.cell
    whole = Whole(network.model)
    engine = peer(model=whole, target_layers=[whole.model.model[-2]])
    for part in range(len(PARTS)):
        mine = targets.part == part

        def score(logits, part=part, mine=mine):
            return (logits[part, anchor[mine]] * targets.weight[mine]).sum()

        engine(input_tensor=picture.clone().requires_grad_(), targets=[score])
        inside = engine.activations_and_grads
        expected = engine.get_cam_image(
            picture,
            engine.target_layers[0],
            [score],
            inside.activations[0].numpy(),
            inside.gradients[0].numpy(),
            eigen_smooth=False,
        )
        theirs = torch.from_numpy(expected).clamp(min=0)[None]
        assert relative(found[:, part : part + 1], theirs) < 1e-4
        large = functional.interpolate(theirs, drawn.shape[2:], mode="bilinear")
        assert relative(drawn[:, part : part + 1], large) < 1e-4


def test_the_reference_computes_where_the_network_is():
    """pytorch-grad-cam asks the first parameter, also for a head whose branches have no stem."""
    head = Head()
    model = Logits(head.trunk, head.without_stems(), torch.device("meta"))

    assert next(model.parameters()).device.type == "meta"


def test_eigencam_is_theirs_up_to_its_sign(head, batch):
    """The principal direction has no sign of its own; the responses agree in size."""
    levels = looked(head, batch)
    targets = everywhere(levels)
    expected = reference_maps(Logits(head.trunk, head.with_stems()), batch, targets, "eigencam")
    for number, theirs in enumerate(expected):
        flat = levels[number].features.flatten(2)
        slopes = cam.gradients(levels[number], targets, number)
        signed = cam.eigencam(slopes, flat).reshape(theirs.shape)
        either = torch.minimum(
            (signed.clamp(min=0) - theirs).abs().amax((1, 2, 3)),
            ((-signed).clamp(min=0) - theirs).abs().amax((1, 2, 3)),
        )
        assert float(either.max()) < 1e-3 * float(signed.abs().max())
