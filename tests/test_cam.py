"""The engine against finite differences, and against its promises."""

import gc
import resource

import numpy as np
import pytest
import torch
from tiny_head import Head, chosen, everywhere, fused, looked, relative

from pipeline import cam


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
    ("dtype", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.06)], ids=["fp16", "bf16"]
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
