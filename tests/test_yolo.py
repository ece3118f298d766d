import os
import pathlib

import numpy as np
import pytest
import torch

from pipeline import yolo
from pipeline.errors import UserError
from pipeline.parts import PARTS


def save(path, model):
    torch.save({"model": model}, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    return save(tmp_path_factory.mktemp("weights") / "n.pt", yolo.build("n", PARTS))


def test_a_checkpoint_is_the_network_that_was_saved(weights):
    """Names, channels, strides; and the same logits as Ultralytics' own forward pass."""
    network = yolo.load(weights)

    assert network.names == list(PARTS)
    assert network.channels == 3
    assert network.strides == [8, 16, 32]
    batch = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.model(batch)[0][:, 4:]  # (B, K, sum of L) probabilities
    levels = network.look(batch)
    found = torch.cat([level.logits.flatten(2) for level in levels], dim=2).sigmoid()
    torch.testing.assert_close(found, expected)


def test_boxes_are_those_of_ultralytics(weights):
    """Decoded by its own method, freed of duplicates class by class."""
    from ultralytics.utils.nms import non_max_suppression

    network = yolo.load(weights)
    batch = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = non_max_suppression(network.model(batch)[0], 1e-5, 0.5)
    found = network.boxes(network.look(batch), 1e-5, 0.5)

    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine.boxes)
        np.testing.assert_allclose(mine.boxes, theirs[:, :4].numpy(), atol=1e-3)
        np.testing.assert_allclose(mine.scores, theirs[:, 4].numpy(), atol=1e-6)


class Evil:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("inside", [False, True])
def test_a_checkpoint_that_wants_to_run_code_is_refused(tmp_path, inside):
    """A checkpoint is a pickle; this one's code is not run, and the error says what it was."""
    trace = tmp_path / "it-ran"
    evil = Evil(trace)
    model = yolo.build("n", ["face"])
    if inside:
        model.evil = evil
    path = tmp_path / "evil.pt"
    torch.save({"model": model, "more": evil}, path)
    with pytest.raises(UserError, match=r"evil\.pt: .*run code of their own"):
        yolo.load(path)

    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "the test itself can fail"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "damaged"), (b"hello", "damaged"), (b"PK\x03\x04" + b"x" * 100, "damaged")],
)
def test_a_damaged_file_is_told(tmp_path, content, words):
    """Empty, some text, a broken archive."""
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        yolo.load(path)


def test_a_truncated_checkpoint_is_told(tmp_path, weights):
    """Half a download."""
    path = tmp_path / "half.pt"
    data = weights.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"half\.pt"):
        yolo.load(path)


def test_other_contents_are_told(tmp_path):
    """No such file; a file of tensors without a network."""
    with pytest.raises(UserError, match="not a file of weights"):
        yolo.load(pathlib.Path("nowhere.pt"))
    path = tmp_path / "tensors.pt"
    torch.save({"state": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"tensors\.pt"):
        yolo.load(path)
    torch.save({"model": torch.nn.Linear(2, 2)}, path)
    with pytest.raises(UserError, match="Linear"):
        yolo.load(path)


@pytest.mark.parametrize("task", ["Segmentation", "Pose", "OBB"])
def test_other_tasks_are_refused_by_name(tmp_path, task):
    """Their models derive from the detector, and their heads from its head."""
    from ultralytics.nn import tasks

    suffix = {"Segmentation": "seg"}.get(task, task.lower())
    model = getattr(tasks, f"{task}Model")(f"yolov8n-{suffix}.yaml", nc=10, verbose=False)
    with pytest.raises(UserError, match=rf"o\.pt: weights of a {task}Model with a \w+ head"):
        yolo.load(save(tmp_path / "o.pt", model))


def test_a_head_without_duplicates_to_remove_is_refused(tmp_path):
    """Its class branches are others than those that a heatmap would be drawn of."""
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov10n.yaml", nc=10, verbose=False)
    with pytest.raises(UserError, match="v10Detect"):
        yolo.load(save(tmp_path / "o.pt", model))
    model = DetectionModel("yolo26n.yaml", nc=10, verbose=False)
    model.model[-1].end2end = True
    with pytest.raises(UserError, match="end-to-end"):
        yolo.load(save(tmp_path / "o.pt", model))
