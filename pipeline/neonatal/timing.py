"""What the modules cost: networks with and without them, side by side in one run."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from pipeline.neonatal.architecture import Quality
from pipeline.neonatal.network import Network
from pipeline.neonatal.trained import Trained
from pipeline.squares import Loaded
from pipeline.stage1 import Stage1

_WARM_UP = 3


def stripped(stage: Stage1, *, hcc: bool, quality: Quality) -> Stage1:
    """The same network without a module, the weights of all else the same."""
    assert isinstance(stage.network, Trained)
    model = stage.network.model
    fewer = Network(replace(model.architecture, hcc=hcc, quality=quality))
    own = model.state_dict()
    fewer.load_state_dict({name: own[name] for name in fewer.state_dict()})
    fewer = fewer.eval().to(stage.network.device).to(memory_format=torch.channels_last)
    fewer = fewer.half() if stage.half else fewer
    return replace(stage, network=replace(stage.network, model=fewer))


def milliseconds(
    stages: Mapping[str, Stage1], batches: Sequence[Loaded], conf: float, repeat: int
) -> dict[str, list[float]]:
    """Milliseconds a picture of each, all in turn, again and again: forward pass, boxes, NMS."""
    times: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(-_WARM_UP, repeat):
        for name, stage in stages.items():
            begin = time.perf_counter()
            for loaded in batches:
                for looked in stage.look(loaded):
                    stage.boxes(looked, conf)  # on the CPU in the end, so a GPU has finished
            took = time.perf_counter() - begin
            if turn >= 0:
                times[name].append(took * 1000 / sum(map(len, batches)))
    return times


def spread(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, float]:
    """Between which ratios of neighbours half of them lie."""
    low, _, high = statistics.quantiles(_ratios(ours, peer), n=4, method="inclusive")
    return low, high


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """Of times that were taken in turn: the median of the ratios of neighbours."""
    return statistics.median(_ratios(ours, peer))


def _ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, peer, strict=True)]
