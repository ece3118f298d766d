"""Weights on disk: tensors in half precision, and how they are to be used; no code."""

import pickle
import struct
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from pipeline.errors import UserError
from pipeline.neonatal.architecture import Architecture, Backbone
from pipeline.neonatal.network import Network
from pipeline.runs import Json

KIND = "neonatal"
HUB = "hub"  # in the place of a file: torchvision's own, from the network
_MODELS = {"resnet50": "resnet50", "resnet18": "resnet18", "mobilenet_v3": "mobilenet_v3_large"}
# What torch says of a file that is none of its own depends on the first letters of it.
_NO_TENSORS = (
    *(RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError),
    *(AttributeError, AssertionError, struct.error),
)
_TOP = ("fc.", "classifier.")  # of a backbone: what knows the classes of ImageNet


def publish(path: Path, network: Network, about: Json) -> None:
    """Write a network, and what detection must know of it."""
    state = {
        name: each.half() if each.is_floating_point() else each
        for name, each in network.state_dict().items()
    }
    said = about | {"kind": KIND, "architecture": asdict(network.architecture)}
    partial = path.with_suffix(".partial")
    torch.save({"uncover": said, "state": state}, partial)
    partial.replace(path)


def about(path: Path) -> Json | None:
    """What is written into weights of this detector; none: it is another file."""
    return _said(_content(path))


def load(path: Path) -> tuple[Network, Json]:
    """The network in a file of weights, and what is said of it."""
    content = _content(path)
    said = _said(content)
    if said is None or not isinstance(content, dict):
        raise UserError(
            f"{path}: damaged, or no weights of the neonatal detector ('uncover train neonatal')"
        )
    try:
        network = Network(Architecture(**_tuples(said["architecture"])))
        network.load_state_dict(content["state"])
    except _NO_TENSORS as error:
        raise UserError(f"{path}: damaged, or of another version: {_first_line(error)}") from error
    for name, each in network.state_dict().items():
        if not each.isfinite().all():
            raise UserError(f"{path}: damaged: {name} holds what is no number")
    return network, said


def begin_with(network: Network, path: Path) -> tuple[int, int]:
    """Take over from weights what has the same name and means the same.

    How many tensors of how many that were.
    """
    given, _ = load(path)
    theirs, ours = given.architecture, network.architecture
    if (theirs.backbone, theirs.channels) != (ours.backbone, ours.channels):
        raise UserError(
            f"{path}: weights of another network; they go with --backbone {theirs.backbone} "
            f"--channels {theirs.channels}"
        )
    own = network.state_dict()
    anew = ("second.",) * (theirs.labels != ours.labels)
    anew += ("quality.",) * (theirs.quality != ours.quality)
    fitting = {
        name: each
        for name, each in given.state_dict().items()
        if name in own and not name.startswith(anew)
    }
    network.load_state_dict(fitting, strict=False)
    return len(fitting), len(own)


def backbone(network: Network, name: Backbone, source: str) -> None:
    """Give the backbone torchvision's weights, from a file, or if told so from its hub."""
    if source == HUB:
        try:
            state = get_model_weights(_MODELS[name]).DEFAULT.get_state_dict(progress=True)
        except OSError as error:
            raise UserError(
                f"--backbone-weights {HUB}: cannot be fetched ({error}); give a file instead"
            ) from error
    else:
        state = _content(Path(source).expanduser())
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise UserError(f"--backbone-weights {source}: no state_dict of a {name}")
    kept = {key: each for key, each in state.items() if not key.startswith(_TOP)}
    # Older files of torchvision's do not count batches, nor need they.
    own, theirs = (
        {key: each for key, each in one.items() if not key.endswith("num_batches_tracked")}
        for one in (network.body.features.state_dict(), kept)
    )
    wrong = sorted({*own} ^ {*theirs}) + [
        key for key, each in theirs.items() if key in own and own[key].shape != each.shape
    ]
    if wrong:
        raise UserError(
            f"--backbone-weights {source}: no weights of a {name}; {len(wrong)} tensors are "
            f"missing, too many or of another shape, e.g. {wrong[0]}"
        )
    network.body.features.load_state_dict(theirs, strict=False)


def _said(content: object) -> Json | None:
    said = content.get("uncover") if isinstance(content, dict) else None
    return said if isinstance(said, dict) and said.get("kind") == KIND else None


def _content(path: Path) -> object:
    """What a file holds, if it is tensors and plain values alone."""
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "there is no such file"
        raise UserError(f"{path}: {what}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _NO_TENSORS:
        return None


def _tuples(settings: Json) -> Json:
    return {key: tuple(one) if isinstance(one, list) else one for key, one in settings.items()}


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
