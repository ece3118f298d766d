"""``uncover train``: the ladder of models, step by step or all at once.

A finished training is ``runs/train/NAME``::

    best.pt             the averaged network of the best epoch, half precision
    manifest.json       settings, data, scores of every split, thresholds, versions
    results.csv, .png   losses and scores, epoch by epoch
    val/ test/ ...      for each split the curves and the confusion matrix
"""

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro

from pipeline import runs, schedule, scores, shipped
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.schedule import Kind, Schedule, Size

if TYPE_CHECKING:  # this brings numpy, which --help need not wait for
    import torch

    from pipeline.dataset import Dataset

_KEPT = ("results.csv", "results.png", "labels.jpg", "train_batch0.jpg", "train_batch1.jpg")


@dataclass(frozen=True)
class _Training:
    """What all trainings share."""

    kind: ClassVar[Kind]

    data: str
    """A prepared dataset, by its name in datasets/ or by its folder."""

    name: str = ""
    """The result is written to runs/train/NAME; by default the model's kind and the dataset."""

    size: Size = "n"
    """Of the YOLOv5. m is the thesis's."""

    weights: str = ""
    """A checkpoint to begin with; without one, training begins from scratch."""

    schedule: Annotated[Schedule, tyro.conf.OmitArgPrefixes] = field(default_factory=Schedule)
    """How it is trained."""

    device: str = ""
    """cpu, 0, or 0,1 for several GPUs; by default the first GPU if there is one."""

    workers: int = 4
    """Processes that load pictures beside a GPU (a CPU has none to spare)."""

    cache: bool = True
    """Keep the scaled pictures in memory, where they fit."""

    mixed: bool = True
    """Mixed precision: bfloat16 on processors that have it, float16 on GPUs."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise."""

    def run(self) -> Path:
        """Train, judge and write; or find that it is there already."""
        settings = schedule.settings(self.schedule, self.kind)
        name = runs.plain_name(self.name or f"{self.kind}-{Path(self.data).name}")
        from pipeline import dataset

        data = dataset.open_dataset(self.data)
        self.check(data)
        start = shipped.find(self.weights) if self.weights else None
        if start is not None:
            _check_start(start, data, self.size)
        record = self._record(data, settings, start)
        target = runs.home() / "runs" / "train" / name
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: same settings and pictures")
            return target
        if settings["batch"] % len(self._devices()):
            raise UserError(f"--batch {settings['batch']}: not the same for every GPU")
        with runs.resumable_folder(target, record, discard=self.overwrite) as folder:
            manifest = runs.read_json(folder / "manifest.json")
            if manifest is None:
                self._train(folder, data, settings, start)
                manifest = record | self._published(folder, data, settings)
                manifest |= self._origins(data)
                manifest["made"] = runs.provenance()
                runs.write_json(folder / "manifest.json", manifest)
            _tidy(folder)
        scores.tell(target, manifest)
        return target

    def _record(self, data: "Dataset", settings: Json, start: Path | None) -> Json:
        """What the result follows from."""
        how: Json = {"kind": self.kind, "size": self.size, "fitness": list(self.schedule.fitness)}
        how |= {"mixed": self.mixed, "cache": self.cache, "device": self._devices()[0].type}
        weights = None if start is None else runs.sha256(start)
        sources = {"dataset": data.fingerprint(), "weights": weights}
        return {"settings": settings | how, "sources": sources}

    def _origins(self, data: "Dataset") -> Json:
        """Where what was learned from comes from."""
        return {"data": data.origin()}

    def _train(self, folder: Path, data: "Dataset", settings: Json, start: Path | None) -> None:
        from pipeline.devices import mixed_pays
        from pipeline.yolo import training

        described = folder / "data.yaml"
        runs.write_text(described, self.described(data, "val"))
        devices = self._devices()
        device = self.device if len(devices) > 1 else str(devices[0])
        more: Json = {"device": device, "workers": self.workers}
        more["cache"] = "ram" if self.cache else False
        more["amp"] = self.mixed and mixed_pays(devices[0])
        if start is not None:
            more["pretrained"] = str(start)
        training.train(folder / "training", described, f"yolov5{self.size}.yaml", settings | more)

    def _published(self, folder: Path, data: "Dataset", settings: Json) -> Json:
        """Write best.pt; its scores on every split but the training's, and its threshold."""
        from pipeline.yolo import judging, training

        about = {"kind": self.kind, "size": self.size, "imgsz": settings["imgsz"]}
        about |= self._about(data)
        trained, judged = folder / "training" / "weights" / "best.pt", folder / "training" / "j.pt"
        training.publish(trained, judged, about)
        how: Json = {name: settings[name] for name in ("imgsz", "batch")}
        how["device"] = str(self._devices()[0])
        judged_as: Json = {}
        chosen: dict[str, float] = {}  # on validation, which is judged first
        labelled = data.manifest()["labels"]
        for split in sorted(labelled, key=lambda split: split != "val"):
            if split != "train" and labelled[split].get(data.names[data.face]):
                described = folder / "training" / f"data-{split}.yaml"
                runs.write_text(described, self.described(data, split))
                found = judging.judge(judged, described, how, folder / split, chosen)
                chosen = chosen or {
                    name: one["threshold"] for name, one in found["classes"].items()
                }
                judged_as[split] = found
        about["threshold"] = judged_as["val"]["classes"][data.names[data.face]]["threshold"]
        best = folder / "best.pt"
        training.publish(trained, best, about)
        about |= self._believed(best, data)
        training.publish(trained, best, about)
        return {
            "weights": {"sha256": runs.sha256(best)},
            "about": about,
            "scores": judged_as,
        }

    def _about(self, data: "Dataset") -> Json:  # noqa: ARG002 - of heatmaps there is more to say
        """What else detection must know of the weights."""
        return {}

    def _believed(self, weights: Path, data: "Dataset") -> Json:  # noqa: ARG002 - as above
        """Another threshold than the one of F1, where there is reason for one."""
        return {}

    def _devices(self) -> "list[torch.device]":
        """Where it is trained, each checked."""
        from pipeline.devices import device_of

        return [device_of(text.strip()) for text in self.device.split(",")]

    def described(self, data: "Dataset", judged: str) -> str:
        """What Ultralytics, and our own pictures, are told of the data."""
        import yaml

        content = data.described(judged) | {"names": dict(enumerate(self._names(data)))}
        content["fitness"] = list(self.schedule.fitness)
        if len(self._names(data)) < len(data.names):
            content["only"] = data.face
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    def _names(self, data: "Dataset") -> list[str]:
        return data.names

    def check(self, data: "Dataset") -> None:
        """Whether the dataset is one for this kind of model."""
        for split in ("train", "val"):
            counted = data.faces_in(split)
            # Counted when it was prepared; somebody may have emptied the files since.
            if not counted or not any(data.face in data.labels(row)[1] for row in data.rows(split)):
                raise UserError(
                    f"{data.root}: there are no faces in {split}; 'uncover prepare' with "
                    "--split or --val-share makes such pictures"
                )


@dataclass(frozen=True)
class _Beside(_Training):
    """A training that may learn from a second dataset, of scenes, beside the first."""

    faces: str = ""
    """Another prepared dataset to learn whole faces from: scenes (prepare --classes face --empty 2)
    with small ones, several in a picture, really hidden ones; for stage 2, its heatmaps. Its
    windows without a face are learned and validated on, too."""

    faces_weight: int = 3
    """How often an epoch comes upon each picture of --faces."""

    def check(self, data: "Dataset") -> None:
        """Of --faces: whole faces alone, pictures of the same kind."""
        super().check(data)
        beside = self.beside
        if beside is not None:
            labels = beside.manifest()["labels"]
            fits = beside.names == ["face"] and beside.channels == data.channels
            if not fits or not labels.get("train"):
                raise UserError(
                    f"--faces {self.faces}: no dataset of whole faces alone with pictures of "
                    f"{data.channels} channels in train"
                )
            if beside.root.resolve() == data.root.resolve():
                raise UserError(f"--faces {self.faces}: the dataset itself; give another one")
        if self.faces_weight < 1:
            raise UserError(f"--faces-weight {self.faces_weight}: expected 1 or more")

    def described(self, data: "Dataset", judged: str) -> str:
        """Behind the others come pictures with whole faces alone, and pictures without.

        Those without a face are validated on, too, or no threshold would know of them.
        """
        import yaml

        content = yaml.safe_load(super().described(data, judged))
        beside = self.beside
        if beside is not None:
            root = beside.root.resolve() / "images"
            more = [root / "train"] * self.faces_weight + [root / "train_empty"]
            content["train"] = [content["train"], *(str(each) for each in more if each.is_dir())]
            if judged == "val" and (root / "val_empty").is_dir():
                content["val"] = [content["val"], str(root / "val_empty")]
            if len(content["names"]) > 1:  # of the other classes nothing is known there
                content["faces"] = {"root": str(beside.root.resolve()), "number": data.face}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    @cached_property
    def beside(self) -> "Dataset | None":
        """The dataset of --faces."""
        from pipeline.dataset import open_dataset

        return open_dataset(self.faces) if self.faces else None

    def _record(self, data: "Dataset", settings: Json, start: Path | None) -> Json:
        record = super()._record(data, settings, start)
        beside = self.beside
        if beside is not None:
            record["settings"]["faces_weight"] = self.faces_weight
            record["sources"]["faces"] = beside.fingerprint()
        return record

    def _origins(self, data: "Dataset") -> Json:
        beside = self.beside
        more = {} if beside is None else {"faces": beside.origin()}
        return super()._origins(data) | more


@dataclass(frozen=True)
class TrainParts(_Beside):
    """Train stage 1: a YOLOv5 of the ten facial parts, on pictures.

    Left and right are safe: a mirrored face exchanges the classes of its sides.

    Example: uncover train parts --data faces --size n
    Then:    uncover train parts --data hidden --faces wider --weights parts-clear --preset onward
    """

    kind: ClassVar[Kind] = "parts"

    def check(self, data: "Dataset") -> None:
        """A dataset of the ten parts."""
        from pipeline.parts import PARTS

        if data.names != list(PARTS):
            raise UserError(
                f"{data.root}: a dataset of {', '.join(data.names)}; the ten parts come from "
                "'uncover prepare' with --classes parts"
            )
        super().check(data)


@dataclass(frozen=True)
class TrainFace(_Training):
    """Train the control: a YOLOv5 of the whole face alone, on pictures.

    A dataset of the ten parts serves as well: of its labels, the whole face is taken.

    Example: uncover train face --data faces --size n
    """

    kind: ClassVar[Kind] = "face"

    def check(self, data: "Dataset") -> None:
        """A dataset of pictures with faces, or with the ten parts."""
        from pipeline.parts import PARTS

        if data.channels != 3 or (len(data.names) > 1 and data.names != list(PARTS)):
            raise UserError(f"{data.root}: no dataset of pictures with faces or the ten parts")
        super().check(data)

    def _names(self, data: "Dataset") -> list[str]:
        return [data.names[data.face]]


@dataclass(frozen=True)
class TrainHeatmap(_Beside):
    """Train stage 2: a YOLOv5 that finds the whole face in heatmaps, from scratch.

    Example: uncover extract --data faces --weights runs/train/parts-faces/best.pt --name maps
    Then:    uncover train heatmap --data maps
    With scenes: uncover extract --data scenes --weights ... --name scene-maps --like maps
             uncover train heatmap --data maps --faces scene-maps
    """

    kind: ClassVar[Kind] = "heatmap"

    first_conf: float = 0.0
    """From which score on stage 1 is believed, beside this stage 2, whose own threshold is chosen
    where stage 1 is silent; 0: the threshold in the weights of stage 1."""

    def check(self, data: "Dataset") -> None:
        """A dataset of heatmaps; beside it, others that were made in the same way."""
        if "recipe" not in data.manifest():
            raise UserError(f"{data.root}: no heatmaps; 'uncover extract' makes them")
        super().check(data)
        if not 0 <= self.first_conf <= 1:
            raise UserError(f"--first-conf {self.first_conf:g}: expected a number between 0 and 1")
        beside = self.beside
        if beside is not None and self._about(beside) != self._about(data):
            raise UserError(
                f"--faces {self.faces}: heatmaps of another kind than those of {self.data}; "
                f"'uncover extract --like {self.data}' makes such as they are"
            )

    def _about(self, data: "Dataset") -> Json:
        manifest = data.manifest()
        first = {"sha256": manifest["weights"]["sha256"], "imgsz": manifest["settings"]["imgsz"]}
        return {"recipe": manifest["recipe"], "stage1": first}

    def _believed(self, weights: Path, data: "Dataset") -> Json:
        from pipeline import fallback, stage2

        conf = self.first_conf or data.manifest()["weights"].get("threshold")
        if conf is None:
            return {}
        second = stage2.open_stage2(weights, self._devices()[0])
        return fallback.chosen(second, data, self.beside, conf) or {}

    def _record(self, data: "Dataset", settings: Json, start: Path | None) -> Json:
        record = super()._record(data, settings, start)
        if self.first_conf:
            record["settings"]["first_conf"] = self.first_conf
        return record


def _check_start(path: Path, data: "Dataset", size: Size) -> None:
    """A checkpoint to begin with must be of the same size, for as many channels."""
    from pipeline import yolo

    channels = data.channels
    network = yolo.load(path)
    if network.channels != channels:
        raise UserError(
            f"--weights {path}: a network for {network.channels} channels; the data have {channels}"
        )
    found = sum(each.numel() for each in network.model.parameters())
    expected = yolo.Network(yolo.build(size, network.names, channels))
    if found != sum(each.numel() for each in expected.model.parameters()):
        raise UserError(f"--weights {path}: no YOLOv5 of --size {size}")


def _tidy(folder: Path) -> None:
    """Keep what people look at; the optimizer's state has done its work."""
    training = folder / "training"
    for name in _KEPT:
        if (training / name).is_file():
            (training / name).replace(folder / name)
    shutil.rmtree(training, ignore_errors=True)
