"""The loop: batches -> losses -> weights, an epoch at a time; killed, it goes on.

Precision, devices, several of them, and checkpoints are lightning-fabric's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline import runs, tables
from pipeline.devices import repeatable
from pipeline.errors import UserError
from pipeline.neonatal.anchors import Anchors, Truth, joined
from pipeline.neonatal.architecture import STRIDES
from pipeline.neonatal.data import Example, Samples, batched, drawn
from pipeline.neonatal.learning import Learning
from pipeline.neonatal.loss import losses
from pipeline.neonatal.network import Network
from pipeline.runs import Json

_LAST = "last.ckpt"
_STEEP = 10.0  # gradients longer than this are shortened
_PARTS = ("first", "second", "box", "quality")  # of the loss
_COUNTS = ("before", "after")  # positives and negatives
Judge = Callable[[Network], Json]  # what a network is worth, after an epoch


@dataclass(frozen=True)
class Where:
    """What trains."""

    devices: Sequence[torch.device]
    mixed: bool
    workers: int


class Learner(nn.Module):
    """The network with its losses: one forward pass, as several devices share it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.anchors = network, Anchors()

    def forward(self, pictures: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Pictures (B, 3, H, W) uint8 -> the loss, its parts, and what is counted beside it."""
        height, width = pictures.shape[2:]
        placed = joined(self.anchors.levels(height, width, pictures.device))
        batch = (pictures.float() / 255).contiguous(memory_format=torch.channels_last)
        found = losses(self.network(batch), placed, truth, self.network.architecture)
        return {part: getattr(found, part) for part in ("total", *_PARTS, *_COUNTS)}


@dataclass(frozen=True, eq=False)
class Training:
    """One training: what is learned from, how, on what, and where it is kept."""

    folder: Path  # what lies in it goes on after a kill
    sets: Sequence[Sequence[Example]]
    imgsz: int
    learning: Learning
    where: Where
    judge: Judge

    def run(self, network: Network) -> None:
        """Train the network in place.

        Several devices learn in processes of their own, which begin with it and end in a
        checkpoint.
        """
        count = len(self.where.devices)
        if self.learning.batch % count:
            raise UserError(f"--batch {self.learning.batch}: not the same for every GPU")
        seen = -(-min(self.learning.batch, len(drawn(self.sets, self.learning, 0))) // count)
        if seen * (self.imgsz // STRIDES[-1]) ** 2 < 2:
            raise UserError(
                f"one picture at a time at --imgsz {self.imgsz} leaves a single cell on the "
                "coarsest level, and batch normalisation needs two or more: choose a larger "
                "--batch (or --pictures) or --imgsz"
            )
        learn: Callable[..., None] = self._learn
        _fabric(self.where).launch(learn, network)  # each process gets a network of its own
        if count > 1:
            last = torch.load(self.folder / _LAST, map_location="cpu", weights_only=True)
            learned = {key.removeprefix("network."): one for key, one in last["model"].items()}
            network.load_state_dict(learned)

    def _learn(self, fabric: Fabric, network: Network) -> None:
        """All epochs that are not done, on one of the devices."""
        network.to(memory_format=torch.channels_last)
        learner, how = Learner(network), self.learning
        optimizer = torch.optim.SGD(
            learner.parameters(), how.lr, how.momentum, weight_decay=how.decay
        )
        model, optimizer = fabric.setup(learner, optimizer)
        state: Json = {"model": model, "optimizer": optimizer, "rows": []}
        last = self.folder / _LAST
        if last.is_file():
            fabric.load(last, state)
            print(f"{len(state['rows'])} of {how.epochs} epochs are done already")
        for epoch in range(len(state["rows"]), how.epochs):
            begin = perf_counter()
            samples = Samples(drawn(self.sets, how, epoch), self.imgsz, how, epoch)
            with repeatable(fabric.device):
                row = _epoch(fabric, model, optimizer, _loader(fabric, samples, self.where), how)
            row["seconds"] = round(perf_counter() - begin, 1)
            state["rows"].append({"epoch": epoch + 1} | row | _judged(fabric, network, self.judge))
            begun = last.with_suffix(".partial")
            fabric.save(begun, state)
            if fabric.is_global_zero:
                begun.replace(last)
                runs.write_text(self.folder / "results.csv", tables.as_csv(state["rows"]))
                print(", ".join(f"{key} {value}" for key, value in state["rows"][-1].items()))


def _epoch(
    fabric: Fabric,
    model: Any,  # noqa: ANN401 - as fabric wraps it
    optimizer: Any,  # noqa: ANN401
    loader: Any,  # noqa: ANN401
    learning: Learning,
) -> Json:
    """All batches of an epoch: the mean of each part of the loss, positives to negatives."""
    model.train()
    samples = loader.dataset
    assert isinstance(samples, Samples)
    total = torch.zeros(len(_PARTS) + 2 * len(_COUNTS), device=fabric.device)
    rate = 0.0
    bar = tqdm(
        loader,
        desc=f"epoch {samples.epoch + 1} of {learning.epochs}",
        unit="batch",
        disable=None if fabric.is_global_zero else True,
        leave=False,
    )
    for step, (pictures, truth) in enumerate(bar):
        rate = learning.rate((samples.epoch + step / len(loader)) / learning.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        found: dict[str, Tensor] = model(pictures, truth)
        optimizer.zero_grad()
        fabric.backward(found["total"])
        fabric.clip_gradients(model, optimizer, max_norm=_STEEP, error_if_nonfinite=False)
        optimizer.step()
        total += torch.hstack([found[key].detach().float() for key in (*_PARTS, *_COUNTS)])
    whole = fabric.all_reduce(total, reduce_op="sum")
    assert isinstance(whole, Tensor)
    sums, counts = whole[: len(_PARTS)].tolist(), whole[len(_PARTS) :].view(-1, 2).tolist()
    # The weights as they will be kept: in half precision.
    kept = [each.half() for each in model.state_dict().values() if each.is_floating_point()]
    if not (all(each.isfinite().all() for each in kept) and all(map(math.isfinite, sums))):
        raise UserError(
            "the loss or the weights are no numbers any more: try a smaller --lr (and --overwrite)"
        )
    row = {"lr": rate}
    row |= {
        part: one / len(loader) / fabric.world_size for part, one in zip(_PARTS, sums, strict=True)
    }
    for key, (one, rest) in zip(_COUNTS, counts, strict=True):
        row[key] = one / max(rest, 1) if one or rest else math.nan  # of nothing there is no ratio
    return {key: float(f"{value:.5g}") for key, value in row.items()}


def _judged(fabric: Fabric, network: Network, judge: Judge) -> Json:
    found: Json = {}
    if fabric.is_global_zero:
        network.eval()
        found = judge(network)
    fabric.barrier()
    return found


def _loader(fabric: Fabric, samples: Samples, where: Where) -> Any:  # noqa: ANN401 - fabric's
    """Batches in the order of the epoch, shared out among the devices."""
    count = len(where.devices)
    anchors = joined(Anchors().levels(samples.imgsz, samples.imgsz, torch.device("cpu")))
    workers = where.workers if fabric.device.type != "cpu" else 0
    loader = DataLoader(
        samples,
        samples.learning.batch // count,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        pin_memory=fabric.device.type != "cpu",
        collate_fn=partial(batched, anchors),
        drop_last=len(samples) > samples.learning.batch,  # a rest of one has no spread to learn
    )
    return fabric.setup_dataloaders(loader)


def _one_thread(_: int) -> None:
    """Of OpenCV in each process that loads pictures: there are as many of these as of threads."""
    cv2.setNumThreads(1)


def _fabric(where: Where) -> Fabric:
    first = where.devices[0]
    cuda = first.type == "cuda"
    return Fabric(
        accelerator=first.type,
        devices=[device.index or 0 for device in where.devices] if cuda else len(where.devices),
        precision="bf16-mixed" if where.mixed else "32-true",
        strategy="ddp_spawn" if len(where.devices) > 1 else "auto",
    )
