"""``uncover tune``: hyper-parameters by evolution.

A finished evolution is ``runs/tune/NAME``::

    best_hyperparameters.yaml   what --hyper of 'uncover train' takes
    tune_results.ndjson         every generation: settings, scores
    tune_fitness.png, tune_scatter_plots.png
    manifest.json               settings, data, versions
"""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from pipeline import runs, schedule
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.schedule import Kind, Schedule, Size
from pipeline.settings import chosen
from pipeline.train import TrainHeatmap, TrainParts


@dataclass(frozen=True)
class _Tuning:
    """What both evolutions share."""

    kind: ClassVar[Kind]
    space: ClassVar[str]

    data: str
    """A prepared dataset, by its name in datasets/ or by its folder."""

    name: str = ""
    """The result is written to runs/tune/NAME; by default the model's kind and the dataset."""

    size: Size = "n"
    """Of the YOLOv5."""

    generations: int = 42
    """How many; 42 are the thesis's."""

    probability: float = 0.8
    """That a setting changes from one generation to the next (the thesis's)."""

    variance: float = 0.04
    """Of the factor by which it changes (the thesis's)."""

    settings: str = ""
    """Which to evolve, separated by commas; by default those that matter for this model.
    Left and right are safe: flips exchange them."""

    schedule: Annotated[Schedule, tyro.conf.OmitArgPrefixes] = field(default_factory=Schedule)
    """How each generation is trained, and from which settings the first one starts. --epochs
    are those of one generation."""

    ray: bool = False
    """Search with Ray Tune, where it is installed, in place of the evolution (not resumable)."""

    device: str = ""
    """cpu or 0; by default the first GPU if there is one."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise."""

    def run(self) -> Path:
        """Evolve and write; or find that it is there already."""
        import yaml

        from pipeline import dataset
        from pipeline.devices import device_of, mixed_pays
        from pipeline.yolo.evolution import Mutation, evolve, search

        if not 0 < self.probability <= 1 or self.variance <= 0 or self.generations < 1:
            raise UserError(
                "--probability is between 0 and 1, --variance and --generations are above 0"
            )
        settings = schedule.settings(self.schedule, self.kind)
        evolvable = schedule.evolvable(self.kind)
        space = chosen("--settings", self.settings or self.space, evolvable)
        if self.ray and importlib.util.find_spec("ray") is None:
            raise UserError("--ray: Ray Tune is not installed (the package is ray[tune])")
        data = dataset.open_dataset(self.data)
        step = self._step()
        step.check(data)
        name = runs.plain_name(self.name or f"{self.kind}-{Path(self.data).name}")
        target = runs.home() / "runs" / "tune" / name
        how: Json = {"kind": self.kind, "size": self.size, "space": list(space)}
        how |= {"probability": self.probability, "variance": self.variance}
        how |= {
            "ray": self.ray,
            "generations": self.generations,
            "fitness": list(self.schedule.fitness),
        }
        record: Json = {"settings": settings | how, "sources": {"dataset": data.fingerprint()}}
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: same settings and pictures")
            return target
        device = device_of(self.device)
        with runs.resumable_folder(target, record, discard=self.overwrite) as folder:
            runs.write_text(folder / "data.yaml", step.described(data, "val"))
            args = settings | {
                "model": f"yolov5{self.size}.yaml",
                "data": str(folder / "data.yaml"),
                "device": str(device),
                "amp": mixed_pays(device),
                "cache": "ram",
                "task": "detect",
                "project": str(folder),
            }
            mutation = Mutation(self.probability, self.variance, self.schedule.seed)
            if self.ray:
                best = search(args, space, self.generations)
            else:
                best = evolve(folder, args, space, mutation, self.generations)
            found = yaml.safe_dump(best["hyperparameters"], sort_keys=False)
            runs.write_text(folder / "best_hyperparameters.yaml", found)
            runs.write_json(folder / "manifest.json", record | {"made": runs.provenance()})
        print(f"{target}\n{found}")
        return target

    def _step(self) -> TrainParts | TrainHeatmap:
        """The training whose settings evolve."""
        raise NotImplementedError


@dataclass(frozen=True)
class TuneParts(_Tuning):
    """Evolve the hyper-parameters of stage 1: generation after generation, by mutation.

    Killed, it goes on with the generation it was in. Use the result with
    'uncover train parts --hyper runs/tune/NAME/best_hyperparameters.yaml'.

    Example: uncover tune parts --data faces --epochs 10 --generations 42 --device 0
    """

    kind: ClassVar[Kind] = "parts"
    space: ClassVar[str] = "lr0,weight_decay,box,cls,dfl,hsv_h,hsv_s,hsv_v,translate,scale,mosaic"

    def _step(self) -> TrainParts:
        return TrainParts(self.data)


@dataclass(frozen=True)
class TuneHeatmap(_Tuning):
    """Evolve the hyper-parameters of stage 2: generation after generation, by mutation.

    Killed, it goes on with the generation it was in. Use the result with
    'uncover train heatmap --hyper runs/tune/NAME/best_hyperparameters.yaml'.

    Example: uncover tune heatmap --data faces-maps --epochs 10 --generations 42
    """

    kind: ClassVar[Kind] = "heatmap"
    space: ClassVar[str] = "lr0,weight_decay,box,cls,dfl,translate,scale"

    def _step(self) -> TrainHeatmap:
        return TrainHeatmap(self.data)
