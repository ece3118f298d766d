"""The engine against pytorch-grad-cam, against finite differences, and against its promises."""

import functools
import gc
import resource

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from torch import nn
from torch.nn import functional

from pipeline import bench, cam, heatmaps, yolo
from pipeline.bench import as_theirs
from pipeline.cam_reference import Logits, reference_maps
from pipeline.parts import PARTS
from pipeline.recipe import Recipe

everywhere = functools.partial(bench.everywhere, count=4)  # of each level
EXACT = ["hirescam", "gradcam", "xgradcam", "layercam"]


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


@pytest.fixture
def head():
    return Head().eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.rand(2, 3, 44, 60)


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


def test_only_the_levels_asked_for_cost_anything(head, batch, monkeypatch):
    """Their gradients alone are computed, and they are those of all levels at once."""
    levels = looked(head, batch)
    targets = everywhere(levels)
    expected = cam.maps(levels, targets, cam.layercam)
    asked = []
    found_at = cam.gradients
    monkeypatch.setattr(cam, "gradients", lambda *a: asked.append(a[2]) or found_at(*a))
    found = cam.maps(levels, targets, cam.layercam, (2, 0))

    assert asked == [2, 0]
    assert torch.equal(found[0], expected[2])
    assert torch.equal(found[1], expected[0])


def test_eigencam_asks_for_no_gradient(head, batch, monkeypatch):
    """Its maps hang on the features alone."""
    levels = looked(head, batch)
    targets = everywhere(levels)
    monkeypatch.setattr(cam, "gradients", None)

    assert all(float(each.max()) > 0 for each in cam.maps(levels, targets, cam.eigencam))


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


def test_gradients_are_finite_differences(head):
    """In float64, the gradient at every cell and channel is what nudging the feature shows."""
    head = head.double()
    batch = torch.rand(
        1, 3, 24, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    levels = looked(head, batch)
    targets = everywhere(levels)
    for number, level in enumerate(levels):
        mine = targets.level == number
        found = cam.gradients(level, targets, number)
        dense = torch.zeros(found.maps, *level.features.shape[1:], dtype=torch.float64)
        width = level.features.shape[3]
        dense[found.owner, :, found.cell // width, found.cell % width] = found.values.double()

        def scores(features, branch=level.branch, mine=mine, width=width):
            logits = branch.tail(branch.stem(features))
            out = torch.zeros(logits.shape[1], dtype=torch.float64)
            y, x = targets.cell[mine] // width, targets.cell[mine] % width
            value = logits[0, targets.part[mine], y, x] * targets.weight[mine].double()
            return out.index_add(0, targets.part[mine], value)

        expected = torch.zeros_like(dense)
        step = 1e-5
        with torch.no_grad():
            for place in np.ndindex(*level.features.shape[1:]):
                nudged = level.features.clone()
                nudged[(0, *place)] += step
                up = scores(nudged)
                nudged[(0, *place)] -= 2 * step
                expected[(slice(None), *place)] = (up - scores(nudged)) / (2 * step)
        torch.testing.assert_close(dense, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", [name for name in cam.METHODS if name != "eigencam"])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_scale_of_the_logits_does_not_matter(head, batch, method, factor):
    """Logits a hundred times smaller or larger, the same targets: the same normalised map."""
    levels = looked(head, batch)
    targets = everywhere(levels, weighting="none")
    before = cam.maps(levels, targets, cam.METHODS[method])
    for _, tail in head.branches:
        tail[-1].weight.data *= factor
        tail[-1].bias.data *= factor
    after = cam.maps(looked(head, batch), targets, cam.METHODS[method])

    for one, other in zip(before, after, strict=True):
        peaks = [each.flatten(2).amax(2).clamp(min=1e-30)[..., None, None] for each in (one, other)]
        torch.testing.assert_close(one / peaks[0], other / peaks[1], atol=1e-4, rtol=1e-4)


def test_published_gradcam_plus_plus_does_fade(head, batch):
    """The reason for the other formula: with the absolute epsilon, the map depends on the scale."""
    levels = looked(head, batch)
    targets = everywhere(levels, weighting="none")

    def published(slopes, features):
        return cam.gradcam_plus_plus(slopes, features, 1e-6)

    before = cam.maps(levels, targets, published)[2]
    for _, tail in head.branches:
        tail[-1].weight.data *= 1e-3
    after = cam.maps(looked(head, batch), targets, published)[2]

    assert float(after.max()) < 1e-4 * float(before.max())  # linear would be 1e-3


def test_the_best_anchors_are_chosen_across_levels(head, batch):
    """Each map's targets are the highest logits of its class, wherever they are."""
    levels = looked(head, batch)
    targets = chosen(levels, count=5)
    flat = torch.cat([level.logits.flatten(2) for level in levels], dim=2)
    expected = flat.topk(5, dim=2).values.sigmoid()

    torch.testing.assert_close(targets.weight.reshape(2, 3, 5), expected)
    torch.testing.assert_close(targets.best, expected[..., 0])
    for row in range(len(targets.cell)):
        level = levels[int(targets.level[row])].logits
        at = level[targets.image[row], targets.part[row]].flatten()[targets.cell[row]]
        torch.testing.assert_close(at.sigmoid(), targets.weight[row])


def test_confident_anchors_alone_or_the_best_one():
    """Above the threshold all, below it one, marked weak: never nothing."""
    logits = torch.full((1, 2, 4, 4), -8.0)
    logits[0, 0, 0, :3] = torch.tensor([3.0, 2.0, 1.0])
    targets = cam.choose([logits], conf=0.25, keep="confident", weighting="none")

    assert targets.part.tolist() == [0, 0, 0, 1]
    assert targets.weak.tolist() == [[False, True]]
    assert targets.weight.tolist() == [1, 1, 1, 1]


def test_all_confident_anchors_count(head, batch):
    """However many: ``count`` bounds the best alone. The best one where there is none."""
    for _, tail in head.branches:
        tail[-1].bias.data[1] = -20.0
    levels = looked(head, batch)
    flat = torch.cat([level.logits.flatten(2) for level in levels], dim=2).sigmoid()
    conf = float(flat[:, 0].flatten().sort().values[500:502].mean())  # between two scores
    targets = chosen(levels, count=3, conf=conf, keep="confident")

    assert int((flat[:, 0] >= conf).sum()) > 100
    for image in range(2):
        for part in range(3):
            mine = (targets.image == image) & (targets.part == part)
            scores = flat[image, part]
            expected = scores[scores >= conf] if part != 1 else scores.max()[None]
            found = targets.weight[mine].sort().values
            torch.testing.assert_close(found, expected.sort().values)
    assert targets.weak.tolist() == [[False, True, False]] * 2


def test_many_targets_are_taken_in_turns(head, batch, monkeypatch):
    """Every anchor of every class: the same maps, however few windows are cut at once."""
    levels = looked(head, batch)
    targets = chosen(levels, count=10**6)
    expected = fused(levels, targets, cam.hirescam)
    monkeypatch.setattr(cam, "_CHUNK", 5000)

    assert relative(fused(levels, targets, cam.hirescam), expected) < 1e-5


def tensors():
    """How many tensors are alive, and their bytes."""
    gc.collect()
    # Not isinstance(), which asks everything in the process for its class and wakes warnings.
    sizes = [each.nbytes for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    return len(sizes), sum(sizes)


def test_memory_does_not_grow_with_the_frames(head):
    """After forty frames as many tensors are alive as after five, and the process is no larger."""
    found, largest = {}, {}
    for number in range(1, 41):
        levels = looked(head, torch.rand(1, 3, 96, 128))
        for method in cam.METHODS.values():
            fused(levels, chosen(levels), method)
        if number in {5, 40}:
            found[number] = tensors()
            largest[number] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB

    assert found[40] == found[5]
    assert largest[40] - largest[5] < 20_000


def test_an_absent_class_stays_dark_beside_a_present_one(head, batch):
    """Without min-max, a class with a thousandth of the probability has a thousandth of the map."""
    for _, tail in head.branches:
        tail[-1].bias.data[0] = 4.0
        tail[-1].bias.data[1] = -8.0
    levels = looked(head, batch)
    found = fused(levels, chosen(levels), cam.hirescam)

    assert float(found[:, 1].max()) < 0.01 * float(found[:, 0].max())


def test_levels_are_fused_on_the_finest_grid():
    """Coarser maps are scaled up and added."""
    fine, coarse = torch.zeros(1, 2, 8, 12), torch.ones(1, 2, 4, 6)
    fine[..., 0, 0] = 5

    found = cam.fuse([fine, coarse], (8, 12))

    assert found.shape == (1, 2, 8, 12)
    assert found[0, 0, 0, 0] == 6
    assert found[0, 1, 7, 11] == 1


@pytest.mark.parametrize("size", [(3, 3), (1, 1), (2, 9)])
def test_a_grid_smaller_than_the_window(head, size):
    """Tiny pictures: the window is the grid."""
    features = [torch.rand(1, 16, *size)]
    branch = head.with_stems()[2]
    with torch.no_grad():
        levels = cam.look(features, [branch])
    targets = chosen(levels)
    found = cam.maps(levels, targets, cam.hirescam)[0]
    inputs = features[0].clone().requires_grad_()
    logits = branch.tail(branch.stem(inputs)).flatten(2)
    picked = logits[0, targets.part, targets.cell] * targets.weight
    slope = torch.autograd.grad(picked[targets.part == 1].sum(), inputs)[0]

    torch.testing.assert_close(found[0, 1], (slope * inputs).sum(1)[0].clamp(min=0).detach())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.06)], ids=["fp16", "bf16"]
)
@pytest.mark.parametrize("bias", [-9.0, -12.0, -18.0])  # probabilities of 1e-4, 6e-6, 2e-8
@pytest.mark.parametrize("method", ["hirescam", "gradcam++"])
def test_weak_evidence_survives_half_precision(batch, dtype, tolerance, bias, method):
    """A network in half precision, targets of next to no probability: float32's maps, nearly."""
    halved, plain = Head().eval().to(dtype), Head().eval()
    for head in (halved, plain):
        for _, tail in head.branches:
            tail[-1].bias.data[:] = bias
    levels = looked(plain, batch)
    targets = everywhere(levels)
    assert float(targets.weight.max()) < 2e-4
    expected = cam.maps(levels, targets, cam.METHODS[method])
    found = cam.maps(looked(halved, batch.to(dtype)), targets, cam.METHODS[method])

    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        assert relative(mine, theirs) < tolerance
    grid = levels[0].features.shape[2:]
    assert cam.fuse(found, grid).dtype == torch.float32
    assert relative(cam.fuse(found, grid), cam.fuse(expected, grid)) < tolerance


def test_a_batch_is_its_pictures(head, batch):
    """Two pictures at once give what each gives alone."""
    levels = looked(head, batch)
    both = fused(levels, chosen(levels), cam.layercam)
    for number in range(2):
        single = looked(head, batch[number : number + 1])
        one = fused(single, chosen(single), cam.layercam)
        torch.testing.assert_close(both[number : number + 1], one, atol=1e-6, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_maps_stay_on_the_device(head, batch):
    """Same maps on CUDA, and they do not leave it."""
    levels = looked(head, batch)
    expected = fused(levels, chosen(levels), cam.hirescam)
    head, batch = head.cuda(), batch.cuda()
    levels = looked(head, batch)
    found = fused(levels, chosen(levels), cam.hirescam)

    assert found.is_cuda
    assert relative(found.cpu(), expected) < 1e-3
