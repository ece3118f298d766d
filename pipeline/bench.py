"""``uncover bench cam``: our heatmaps beside pytorch-grad-cam's, in one run, same weights."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline import runs
from pipeline.runs import Json
from pipeline.settings import chosen

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    import torch
    from torch import Tensor

    from pipeline.cam import Level, Method, Targets
    from pipeline.cam_reference import Logits
    from pipeline.recipe import Weighting
    from pipeline.yolo import Network

METHODS = "hirescam,gradcam++,gradcam,xgradcam,layercam,eigencam"
WARM = 1  # runs of each, ours and the peer's, before those that count


@dataclass(frozen=True)
class BenchCam:
    """Measure heatmaps against pytorch-grad-cam, on the photographs that Ultralytics ships.

    Ten class maps of one picture, the forward pass included, at the coarsest level (p5)
    and at all three (all). The peer runs one forward and backward pass a class, as its users
    do, on the network as it is loaded: its parameters ask for gradients, too. Rows ending in
    /frozen give it a network whose parameters ask for none (nobody's default, but kinder);
    rows ending in /batch its batch trick, one pass over ten copies of the picture.
    Rows ending in /overhead set the maps alone (ours) against the forward pass of all
    levels that detection has paid anyway (peer). max_abs_diff is a share of the map's
    peak; Eigen-CAM has none, for its maps have no sign of their own.
    """

    weights: str = ""
    """A ten-class checkpoint; without one, an untrained YOLOv5 of --size."""

    size: Literal["n", "s", "m", "l", "x"] = "m"
    """Of the untrained YOLOv5; m is the thesis's."""

    methods: str = METHODS
    """Which, separated by commas."""

    imgsz: int = 640
    """Side of the letterboxed picture."""

    anchors: int = 12
    """Targets of each class, as many at each level that is drawn."""

    repeat: int = 5
    """Measurements of ours, of which the median counts."""

    peer_repeat: int = 1
    """Measurements of the peer, which take some ten seconds each."""

    device: str = ""
    """cpu, cuda, or both where there is CUDA (the default)."""

    double: bool = False
    """Compare the maps in float64. In float32 the published Grad-CAM++ of a trained network
    hangs on the last bits of the gradient, whoever computes it."""

    json: str = ""
    """Also write the rows to this file."""

    def run(self) -> list[Json]:
        """Print the table, row by row; the rows."""
        import torch

        from pipeline.devices import device_of

        both = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        devices = [device_of(name) for name in ([self.device] if self.device else both)]
        rows: list[Json] = []
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
        print(
            f"{'':<30}{'device':>7}{'ours ms':>10}{'peer ms':>10}{'ratio':>8}{'MB':>7}{'diff':>10}"
        )
        for device in devices:
            for row in self._cam(device):
                rows.append(row)
                print(_line(row), flush=True)
        if self.json:
            runs.write_json(Path(self.json), rows)
        return rows

    def _cam(self, device: "torch.device") -> Iterator[Json]:
        from pipeline import cam
        from pipeline.stage1 import check_side

        methods = chosen("--methods", self.methods, cam.METHODS)
        network = self._network(device)
        check_side(self.imgsz, network.strides)
        batch = _photograph(self.imgsz).to(device)
        for method in methods:
            for reach, numbers in (("p5", [2]), ("all", [0, 1, 2])):
                yield from self._rows(network, batch, method, reach, numbers)

    def _network(self, device: "torch.device") -> "Network":
        import torch

        from pipeline import yolo
        from pipeline.parts import PARTS

        if self.weights:
            return yolo.load(Path(self.weights), device)
        torch.manual_seed(0)
        return yolo.Network(yolo.build(self.size, PARTS), device)

    def _rows(
        self, network: "Network", batch: "Tensor", method: str, reach: str, numbers: list[int]
    ) -> Iterator[Json]:
        from pipeline import cam

        def drawn(levels: "list[Level]") -> "Tensor":
            targets = self._targets(levels, numbers)
            found = cam.maps(levels, targets, cam.METHODS[method], numbers)
            return cam.fuse(found, levels[0].features.shape[2:])

        levels = network.look(batch)
        targets = self._targets(levels, numbers)
        frozen, loaded = (_peer(network, loaded=asks) for asks in (False, True))
        difference = None if method == "eigencam" else self._differ(frozen, batch, method, numbers)
        forward = self._ours(lambda: network.look(batch), batch)
        maps_only = self._ours(lambda: drawn(levels), batch)
        whole = self._ours(lambda: drawn(network.look(batch)), batch)
        peak = _peak_mb(lambda: drawn(network.look(batch)), batch)
        name, device = f"cam/{method}/{reach}", batch.device.type
        loop, trick = _runs(loaded, batch, targets, method, numbers)
        yield _row(name, device, whole, self._theirs(loop, batch), peak, difference)
        if method != "eigencam":  # asks for no gradient and knows no class
            kinder, _ = _runs(frozen, batch, targets, method, numbers)
            yield _row(f"{name}/frozen", device, whole, self._theirs(kinder, batch))
            yield _row(f"{name}/batch", device, whole, self._theirs(trick, batch))
        yield _row(f"{name}/overhead", device, maps_only, forward)

    def _targets(self, levels: "list[Level]", numbers: list[int]) -> "Targets":
        return everywhere(levels, max(1, self.anchors // len(numbers)), numbers)

    def _differ(
        self, network: "Network", batch: "Tensor", method: str, numbers: list[int]
    ) -> float:
        """How far the two maps of the same targets, levels and scale lie apart."""
        from pipeline import cam
        from pipeline.cam_reference import reference_maps

        if self.double:
            network, batch = copy.deepcopy(network), batch.double()
            network.model.double()
        levels = network.look(batch)
        targets = self._targets(levels, numbers)
        theirs = reference_maps(_logits(network), batch, targets, method, numbers)
        return _difference(cam.maps(levels, targets, as_theirs(method), numbers), theirs)

    def _ours(self, work: Callable[[], object], batch: "Tensor") -> float:
        return _median_ms(work, self.repeat, batch)

    def _theirs(self, work: Callable[[], object], batch: "Tensor") -> float:
        return _median_ms(work, self.peer_repeat, batch)


def _peer(network: "Network", *, loaded: bool) -> "Network":
    """The network for pytorch-grad-cam: a copy, because ours asks for no gradient."""
    copied = copy.deepcopy(network)
    for parameter in copied.model.parameters():
        parameter.requires_grad_(loaded)
    return copied


def _logits(network: "Network") -> "Logits":
    """The network as pytorch-grad-cam wants it."""
    from pipeline.cam_reference import Logits

    return Logits(network.trunk, network.branches, network.device)


def _runs(
    network: "Network", batch: "Tensor", targets: "Targets", method: str, numbers: list[int]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """pytorch-grad-cam on one picture: a pass for each class, and one over a copy for each."""
    import torch

    from pipeline.cam_reference import REFERENCES, target

    model = _logits(network)
    classes = 1 if method == "eigencam" else targets.best.shape[1]
    scores = [target(model, targets, 0, part) for part in range(classes)]

    def run(pictures: "Tensor", wanted: list[Callable[["Tensor"], "Tensor"]]) -> object:
        engine = REFERENCES[method](model=model, target_layers=model.layers(numbers))
        with torch.enable_grad():
            out: object = engine(input_tensor=pictures.requires_grad_(), targets=wanted)
        engine.activations_and_grads.release()
        return out

    def loop() -> object:
        return [run(batch.detach().clone(), [score]) for score in scores]

    def trick() -> object:
        return run(batch.detach().repeat(classes, 1, 1, 1), scores)

    return loop, trick


def _photograph(side: int) -> "Tensor":
    import numpy as np
    import torch

    from pipeline import images, yolo

    picture = images.read(yolo.sample_photographs()[-1])
    height, width = picture.shape[:2]
    square = images.Letterbox(width, height, side, side).picture(picture)
    return torch.from_numpy(np.moveaxis(square, 2, 0)[None] / np.float32(255))


def everywhere(
    levels: "list[Level]",
    count: int,
    numbers: Sequence[int] = (0, 1, 2),
    weighting: "Weighting" = "probability",
) -> "Targets":
    """The best anchors of each class, as many of each of these levels.

    An untrained network's best anchors all lie on one level, and the others would have
    nothing to do.
    """
    import torch

    from pipeline import cam

    each = [cam.choose([levels[n].logits], count, weighting=weighting) for n in numbers]
    number = [torch.full_like(one.level, n) for n, one in zip(numbers, each, strict=True)]
    image, part, cell, weight = (
        torch.cat([getattr(one, name) for one in each])
        for name in ("image", "part", "cell", "weight")
    )
    return cam.Targets(torch.cat(number), image, part, cell, weight, each[0].best, each[0].weak)


def as_theirs(method: str) -> "Method":
    """Our method with the peer's constants and roundings, where the maps hang on them.

    Grad-CAM++ takes the peer's epsilon. It and XGrad-CAM divide by the sum of a channel, which
    may be next to zero: there the last bits of the sum show, so it is rounded as numpy does.
    """
    import torch

    from pipeline import cam

    def numpys(features: "Tensor") -> "Tensor":
        return torch.from_numpy(features.cpu().numpy().sum(axis=2)).to(features.device)

    if method == "gradcam++":
        return lambda found, features: cam.gradcam_plus_plus(found, features, 1e-6, numpys)
    if method == "xgradcam":
        return lambda found, features: cam.xgradcam(found, features, numpys)
    return cam.METHODS[method]


def _difference(mine: "list[Tensor]", theirs: "list[Tensor]") -> float:
    """The greatest difference of two sets of maps as a share of each map's peak."""
    import torch

    worst = []
    for one, other in zip(mine, theirs, strict=True):
        peak = other.flatten(2).amax(2)[..., None, None]
        worst.append(((one - other).abs() / peak.clamp(min=1e-30)).max())
    return float(torch.stack(worst).max())  # a value that is no number stays one


def _median_ms(work: Callable[[], object], count: int, batch: "Tensor") -> float:
    import torch

    times = []
    for number in range(WARM + max(1, count)):
        start = time.perf_counter()
        work()
        if batch.is_cuda:
            torch.cuda.synchronize()
        if number >= WARM:
            times.append(time.perf_counter() - start)
    return float(statistics.median(times)) * 1000


def _peak_mb(work: Callable[[], object], batch: "Tensor") -> float:
    """Memory that the work takes beyond what was there before, in MB."""
    import torch

    if batch.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return float(torch.cuda.max_memory_allocated() - before) / 2**20
    import threading

    import psutil

    process, done = psutil.Process(), threading.Event()
    before = seen = process.memory_info().rss

    def watch() -> None:
        nonlocal seen
        while not done.wait(0.001):
            seen = max(seen, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(0, seen - before) / 2**20


def _row(
    name: str,
    device: str,
    ours: float,
    peer: float,
    peak: float | None = None,
    difference: float | None = None,
) -> Json:
    return {
        "name": name,
        "device": device,
        "ours_ms": round(ours, 2),
        "peer_ms": round(peer, 2),
        "ratio": round(peer / ours, 2),
        "peak_mb": None if peak is None else round(peak, 1),
        "max_abs_diff": difference,
    }


def _line(row: Json) -> str:
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
    difference = "" if row["max_abs_diff"] is None else f"{row['max_abs_diff']:.1e}"
    return (
        f"{row['name']:<30}{row['device']:>7}{row['ours_ms']:>10.1f}{row['peer_ms']:>10.1f}"
        f"{row['ratio']:>8.1f}{peak:>7}{difference:>10}"
    )
