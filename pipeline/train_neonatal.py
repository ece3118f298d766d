"""``uncover train neonatal``: a RetinaFace with HCC and DAN, for faces in wards.

A finished training is ``runs/train/NAME``::

    best.pt             the network after the last epoch, half precision; alpha and threshold
    manifest.json       settings, data, scores of every split, versions
    results.csv         epoch by epoch: the parts of the loss; the ratio of positives to negatives,
                        before among the anchors that have two steps (without HCC: among all), after
                        among those that the first step keeps; average precision on some of
                        validation
    results.png         the losses and average precision of these
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import tyro

from pipeline import runs, scores, shipped
from pipeline.errors import UserError
from pipeline.neonatal.architecture import STRIDES, Architecture
from pipeline.neonatal.learning import Learning
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    import torch

    from pipeline.dataset import Dataset
    from pipeline.neonatal.data import Example
    from pipeline.neonatal.network import Network
    from pipeline.neonatal.training import Where

TableName = Literal["modules", "levels", "reach", "quality", "labels"]
_TABLES: tuple[TableName, ...] = get_args(TableName)
_GLANCE = 300  # pictures of validation at which each epoch is judged; the end is at all of them
_CELL = STRIDES[-1]  # pixels that divide the sides of what the network sees


@dataclass(frozen=True)
class TrainNeonatal:
    """Train the neonatal detector: whole faces, with contextual classification (HCC) and DAN.

    The four settings of the paper: --no-hcc --quality none is the baseline; --no-hcc is DAN alone;
    --quality none is HCC alone; both are on by default.

    Pre-train on many faces, go on with your own: patients apart is what 'uncover prepare' does
    (--split 6:1:3 is the paper's).

    Example: uncover train neonatal --data wider --backbone resnet18 --channels 64 --imgsz 320

    Then: uncover train neonatal --data ward --weights runs/train/neonatal-wider ...
    """

    data: tuple[str, ...]
    """Prepared datasets, by name or folder: of each the whole faces are learned, and of its windows
    without a face that there is none."""

    name: str = ""
    """The result is written to runs/train/NAME; by default neonatal and the first dataset."""

    architecture: Annotated[Architecture, tyro.conf.OmitArgPrefixes] = field(
        default_factory=Architecture
    )
    """The network."""

    learning: Annotated[Learning, tyro.conf.OmitArgPrefixes] = field(default_factory=Learning)
    """How it is trained."""

    imgsz: int = 640
    """Side of the square that it sees."""

    weights: str = ""
    """A training of this command, or shipped weights of it, to begin with: everything that fits is
    taken over, so that another setting of the network can begin with the baseline. A second step or
    a quality that has learned something else begins anew."""

    backbone_weights: str = ""
    """A file of torchvision's weights for the backbone; hub fetches them from torchvision, which
    is the one thing here that goes online, and only then. Without this or --weights the backbone
    begins at random."""

    ablate: bool = False
    """Train the variants that the paper's tables compare, each as it would be trained alone, and
    write the tables to runs/ablate/NAME."""

    tables: tuple[TableName, ...] = _TABLES
    """With --ablate: which (tables 2 with 1 and the curves, 3, 4, 5, and the readings of y')."""

    seeds: tuple[int, ...] = (0,)
    """With --ablate: of every variant one training each; tables are of their means."""

    measure: tuple[str, ...] = ()
    """With --ablate: prepared datasets whose test pictures (and windows without a face) the tables
    are of; by default those of --data."""

    device: str = ""
    """cpu, 0, or 0,1 for several GPUs; by default the first GPU if there is one."""

    workers: int = 8
    """Processes that load pictures beside a GPU (a CPU has none to spare)."""

    mixed: bool = True
    """Mixed precision: bfloat16, where the device has it."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense before any work is done."""
        if not self.data:
            raise UserError("--data: which prepared dataset?")
        if self.imgsz < _CELL or self.imgsz % _CELL:
            raise UserError(f"--imgsz {self.imgsz}: expected a multiple of {_CELL}")
        if self.learning.least >= self.imgsz:
            raise UserError(
                f"--least {self.learning.least:g}: no face in a square of {self.imgsz} pixels can "
                "be that large"
            )
        if self.workers < 0:
            raise UserError(f"--workers {self.workers}: expected 0 or more")
        if len({*self.seeds}) < len(self.seeds) or min(self.seeds, default=0) < 0:
            words = " ".join(map(str, self.seeds))
            raise UserError(f"--seeds {words}: expected different numbers from 0 on")
        if not self.ablate and (self.seeds != (0,) or self.measure or self.tables != _TABLES):
            raise UserError("--tables, --seeds and --measure go with --ablate; alone it is --seed")
        if self.weights and self.backbone_weights:
            raise UserError("--weights hold a backbone already: not with --backbone-weights")
        if self.ablate:
            self._check_ablation()

    def run(self) -> Path:
        """Train, judge and write; or find that it is there already."""
        from pipeline.dataset import open_dataset

        sets = [open_dataset(name) for name in self.data]
        _check_pictures("--data", sets)
        _check_faces(sets)
        if self.ablate:
            return self._ablated(sets)
        name = runs.plain_name(self.name or f"neonatal-{Path(self.data[0]).name}")
        target = runs.home() / "runs" / "train" / name
        record = self._record(sets)
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: same settings and pictures")
            return target
        network = self._begun()
        with runs.resumable_folder(target, record, discard=self.overwrite) as folder:
            manifest = runs.read_json(folder / "manifest.json")
            if manifest is None:
                self._train(folder, network, sets)
                manifest = record | self._published(folder, network, sets)
                first, *more = sets
                manifest |= {"data": first.origin()}
                manifest["more"] = {data.root.name: data.origin() for data in more}
                manifest["made"] = runs.provenance()
                runs.write_json(folder / "manifest.json", manifest)
            (folder / "last.ckpt").unlink(missing_ok=True)
        scores.tell(target, manifest)
        return target

    def _ablated(self, sets: "list[Dataset]") -> Path:
        """Every variant with every seed; the tables."""
        from pipeline import ablation
        from pipeline.dataset import open_dataset

        if self.weights:
            self._check_start()
        measured = [open_dataset(name) for name in self.measure] or sets
        _check_pictures("--measure", measured)
        for data in measured:
            if not any(data.rows("test")):
                raise UserError(f"{data.root}: no test pictures; --measure names other datasets")
        learned = {one for data in sets for one in data.photographs("train")}
        for data in measured:
            both = data.photographs("test") & learned
            if both:
                print(
                    f"{data.root.name}: {len(both)} of the photographs that are measured on are "
                    "trained on: its rows flatter ('uncover prepare --without' leaves them out)"
                )
        name = runs.plain_name(self.name or f"neonatal-{Path(self.data[0]).name}")

        def train(kind: Architecture, seed: int, words: str) -> Path:
            own = replace(
                self,
                name=f"{name}-{words}-{seed}",
                architecture=kind,
                learning=replace(self.learning, seed=seed),
                ablate=False,
                tables=_TABLES,
                seeds=(0,),
                measure=(),
            )
            return own.run()

        target = runs.home() / "runs" / "ablate" / name
        how = (self.architecture, self.seeds, self.tables, measured)
        device, record = str(self._devices()[0]), self._record(sets)
        return ablation.ablate(target, *how, train, device, record, overwrite=self.overwrite)

    def _check_ablation(self) -> None:
        """All variants are asked for, and nothing else varies."""
        if not (self.seeds and self.tables):
            raise UserError("--ablate: needs --seeds and --tables")
        if self.learning.seed:
            raise UserError("--seed: with --ablate it is --seeds")
        for seed in self.seeds:
            replace(self.learning, seed=seed)  # refused now, not after the trainings before it
        if not self.architecture.hcc or self.architecture.quality != "diou":
            raise UserError("--ablate switches the modules itself: leave --hcc and --quality alone")

    def _check_start(self) -> None:
        """None of the variants begins ahead of the others."""
        from pipeline.neonatal import files

        path = shipped.find(self.weights)
        network, _ = files.load(path)
        if network.architecture.hcc or network.architecture.quality != "none":
            raise UserError(
                f"{path}: has learned some of what --ablate compares; begin with a baseline "
                "(--no-hcc --quality none)"
            )

    def _record(self, sets: "list[Dataset]") -> Json:
        """What the result follows from."""
        settings = runs.settings_of(self.architecture) | runs.settings_of(self.learning)
        settings |= {"kind": "neonatal", "imgsz": self.imgsz}
        devices = self._devices()
        settings |= {"device": devices[0].type, "devices": len(devices)}
        settings["mixed"] = self._mixed(devices[0])
        start = runs.sha256(shipped.find(self.weights)) if self.weights else None
        file = Path(self.backbone_weights).expanduser()
        begun = runs.sha256(file) if file.is_file() else self.backbone_weights or None
        sources: Json = {data.root.name: data.fingerprint() for data in sets}
        return {
            "settings": settings,
            "sources": {"datasets": sources, "weights": start, "backbone": begun},
        }

    def _begun(self) -> "Network":
        """The network as it begins."""
        import torch

        from pipeline.neonatal import files
        from pipeline.neonatal.network import Network

        torch.manual_seed(self.learning.seed)
        network = Network(self.architecture)
        if self.weights:
            taken, whole = files.begin_with(network, shipped.find(self.weights))
            print(f"{taken} of {whole} tensors begin as those of {self.weights}")
        if self.backbone_weights:
            files.backbone(network, self.architecture.backbone, self.backbone_weights)
        return network

    def _train(self, folder: Path, network: "Network", sets: "list[Dataset]") -> None:
        import torch

        from pipeline.neonatal import data, training

        devices, examples = self._devices(), [data.examples(each) for each in sets]
        where = training.Where(devices, self._mixed(devices[0]), self.workers)
        self._announce(examples, where)
        judged = _Glance(sets, self.imgsz, self.learning)
        how = (self.imgsz, self.learning, where, judged)
        try:
            training.Training(folder, examples, *how).run(network)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"the device's memory is full; --batch {self.learning.batch} is too much at "
                f"--imgsz {self.imgsz}"
            ) from error

    def _announce(self, examples: "Sequence[Sequence[Example]]", where: "Where") -> None:
        """What is about to be learned from, on what."""
        from pipeline.neonatal.data import drawn

        for name, own in zip(self.data, examples, strict=True):
            faces = sum(len(one.faces) for one in own)
            print(f"{name}: {len(own)} pictures, {faces} faces")
        count = len(drawn(examples, self.learning, 0))
        begun = self.weights or self.backbone_weights or "random weights"
        print(
            f"{self.learning.epochs} epochs of {count} pictures, begun with {begun}, on "
            f"{', '.join(map(str, where.devices))}{', mixed precision' * where.mixed}"
        )

    def _published(self, folder: Path, network: "Network", sets: "list[Dataset]") -> Json:
        """Write best.pt with its alpha and threshold; what it is worth on every split.

        Faces that are too small to learn have no say in these two; on other splits every face
        counts.
        """
        from pipeline import alphas, plots
        from pipeline.judged import judge
        from pipeline.neonatal import files
        from pipeline.neonatal.trained import NMS, open_neonatal

        best = folder / "best.pt"
        about: Json = {"kind": files.KIND, "imgsz": self.imgsz, "alpha": 1.0, "iou": NMS}
        files.publish(best, network, about)
        # As it will be used: its weights are rounded to half precision.
        stage = open_neonatal(best, str(self._devices()[0]))
        ranked = self.architecture.quality != "none"
        tried = alphas.ALPHAS if ranked else (1.0,)
        how = (self.learning.batch, None, self.learning.least)
        chosen = judge(alphas.asked(sets, "val", stage, tried, *how))
        about["alpha"] = alphas.best(chosen, tried)
        found = {"val": alphas.scores(chosen, about["alpha"])}
        about["threshold"] = found["val"]["all"]["threshold"]
        splits = {row["split"] for data in sets for row in data.rows()}
        for split in sorted(splits - {"train", "val"}):
            if any(data.faces_in(split) for data in sets):
                scenes = alphas.asked(sets, split, stage, (about["alpha"],), self.learning.batch)
                found[split] = alphas.scores(judge(scenes), about["alpha"], about["threshold"])
        files.publish(best, network, about)
        with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
            (folder / "results.png").write_bytes(plots.epochs(list(csv.DictReader(file))))
        return {"weights": {"sha256": runs.sha256(best)}, "about": about, "scores": found}

    def _mixed(self, device: "torch.device") -> bool:
        import torch

        from pipeline.devices import mixed_pays

        # Checkpoints would lose float16's gradient scaler: without bfloat16 in single precision.
        cuda = device.type == "cuda"
        bfloat16 = not cuda or torch.cuda.is_bf16_supported(including_emulation=False)
        return self.mixed and bfloat16 and mixed_pays(device)

    def _devices(self) -> "list[torch.device]":
        from pipeline.devices import device_of

        devices = [device_of(text.strip()) for text in self.device.split(",")]
        if len({*devices}) < len(devices) or len({each.type for each in devices}) > 1:
            raise UserError(f"--device {self.device}: expected GPUs, each once")
        return devices


@dataclass(frozen=True)
class _Glance:
    """How good a network is in the middle of its training; sent to where it is trained."""

    sets: "list[Dataset]"
    imgsz: int
    learning: Learning

    def __call__(self, network: "Network") -> Json:
        from pipeline import alphas
        from pipeline.judged import judge
        from pipeline.neonatal.trained import Trained
        from pipeline.stage1 import Stage1

        stage = Stage1(Trained(network), self.imgsz)
        how = (self.learning.batch, _GLANCE, self.learning.least)
        scenes = alphas.asked(self.sets, "val", stage, (1.0,), *how)
        return alphas.areas(judge(scenes), alphas.name_of(1.0))


def _check_pictures(option: str, sets: "list[Dataset]") -> None:
    """No heatmaps, no two sets of one name."""
    names = [data.root.name for data in sets]
    if len({*names}) < len(names):
        raise UserError(f"{option} {' '.join(names)}: two of one name")
    for data in sets:
        if data.channels != 3:
            raise UserError(f"{data.root}: heatmaps; this network looks at pictures")


def _check_faces(sets: "list[Dataset]") -> None:
    """There are some in train and in val."""
    names = " ".join(data.root.name for data in sets)
    if not any(data.faces_in(split) for data in sets for split in data.manifest()["labels"]):
        raise UserError(f"--data {names}: no whole faces are labelled there")
    for split in ("train", "val"):
        if not any(data.faces_in(split) for data in sets):
            raise UserError(
                f"--data {names}: there are no faces in {split}; 'uncover prepare' with "
                "--split or --val-share makes such pictures"
            )
