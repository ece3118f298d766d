"""Ultralytics' tuner, with a mutation that is set by hand and the same every time.

Its own mutates every setting with one chance in two, from a generator without a seed, and
trains in a process that knows nothing of our pictures. The log, the choice of the best, the
plots and the file of the best settings are its own.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ultralytics import YOLO
from ultralytics.engine import trainer as engine
from ultralytics.engine.tuner import Tuner

from pipeline import runs, yolo
from pipeline.runs import Json
from pipeline.yolo.judging import Validator
from pipeline.yolo.training import Trainer

_PARENTS = 5  # the best generations from which the next one comes
_LEAST, _MOST = 0.3, 3.0  # what a mutation may do to a value in one generation


@dataclass(frozen=True)
class Mutation:
    """How a generation differs from its parent."""

    probability: float  # that a setting changes at all
    variance: float  # of the factor by which it changes
    seed: int


class Evolution(Tuner):  # type: ignore[misc]
    """Generation after generation, each trained with our pictures."""

    def __init__(self, args: Json, mutation: Mutation) -> None:
        self.mutation = mutation
        super().__init__(args, model=object())  # each generation begins anew from args

    def _mutate(self, n: int = _PARENTS, sigma: float = 0.0) -> dict[str, float]:  # noqa: ARG002
        """A parent among the best, each of its settings multiplied by a factor around 1."""
        history = self._local_results_to_array(self._load_local_results())
        if history is None:
            return dict(self._constrain({name: getattr(self.args, name) for name in self.space}))
        rng = np.random.default_rng([self.mutation.seed, len(history)])
        best = history[np.argsort(-history[:, 0], kind="stable")][:n]
        weights = best[:, 0] - best[:, 0].min() + 1e-6
        parent = best[rng.choice(len(best), p=weights / weights.sum()), 1:]
        factors = np.ones(len(parent))
        while (factors == 1).all():
            changed = rng.random(len(parent)) < self.mutation.probability
            noise = rng.standard_normal(len(parent)) * np.sqrt(self.mutation.variance)
            factors = np.clip(1 + changed * noise, _LEAST, _MOST)
        # A factor never moves a zero: there the noise is a share of what is allowed.
        spans = np.array([high - low for low, high, *_ in self.space.values()])
        children = np.where(parent == 0, np.abs(factors - 1) * spans, parent * factors)
        values = zip(self.space, children, strict=True)
        return dict(self._constrain({name: float(value) for name, value in values}))

    def _save_local_result(self, result: Json) -> None:
        """The log with one more line: whole, whenever it is killed."""
        before = self.tune_file.read_text(encoding="utf-8") if self.tune_file.is_file() else ""
        line = json.dumps(result, default=self._json_default)
        runs.write_text(self.tune_file, f"{before}{line}\n")


class _Generation:
    """In place of Ultralytics' trainer of many datasets: one dataset, our trainer."""

    def __init__(self, trainer: object, args: Mapping[str, Any], model: object) -> None:
        del trainer, model
        self.args = {**args, "data": args["data"][0], "save_dir": None, "mode": "train"}
        self.mean_metrics: Json = {}
        self.save_dir = Path(self.args["data"]).parent / "generation"

    def train(self) -> dict[str, Json]:
        """The scores of the best epoch, under the dataset's name."""
        settings = {"project": str(self.save_dir), "name": "run", "exist_ok": True}
        trainer = Trainer(overrides=self.args | settings)
        trainer.train()
        best: Json = yolo.checkpoint(trainer.best)["train_metrics"]
        self.mean_metrics = best | {"fitness": float(trainer.best_fitness)}
        return {"run": self.mean_metrics}


class Detector(YOLO):  # type: ignore[misc]
    """Ultralytics' model with our trainer, for what asks a model to train itself (Ray Tune)."""

    @property
    def task_map(self) -> Json:
        """Ours where we have our own."""
        tasks: Json = super().task_map
        return tasks | {"detect": tasks["detect"] | {"trainer": Trainer, "validator": Validator}}


def evolve(
    folder: Path, args: Json, space: Sequence[str], mutation: Mutation, generations: int
) -> Json:
    """Evolve in ``folder``, going on where a killed run was; the best generation's record."""
    place = {"project": str(folder.parent), "name": folder.name, "resume": True}
    fixed = {"iou": yolo.NMS_IOU, "deterministic": True, "plots": False, "mode": "train"}
    evolution = Evolution(args | fixed | place, mutation)
    evolution.space = {name: _around(evolution.space[name], args.get(name)) for name in space}
    evolution(generations)
    lines = (folder / "tune_results.ndjson").read_text(encoding="utf-8").splitlines()
    best: Json = max(map(json.loads, lines), key=lambda result: float(result["fitness"]))
    for name in ("weights", "generation"):  # of the last generation, whichever was the best
        shutil.rmtree(folder / name, ignore_errors=True)
    return best


def _around(bounds: tuple[float, ...], start: float | None) -> tuple[float, ...]:
    """Ultralytics' bounds of a setting, wide enough for the value that is begun with."""
    low, high, *gain = bounds
    return (low, high, *gain) if start is None else (min(low, start), max(high, 2 * start), *gain)


def search(args: Json, space: Sequence[str], generations: int) -> Json:
    """The same search by Ray Tune, where that is installed; the best trial's settings.

    Never run by its authors: Ray was not at hand. It goes by mAP50-95.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would send statistics
    from ray import tune

    bounds = Evolution(dict(args), Mutation(1.0, 1.0, 0)).space
    chosen = {name: tune.uniform(*bounds[name][:2]) for name in space}
    rest = {key: value for key, value in args.items() if key != "model" and key not in space}
    gpus = 0 if args["device"] == "cpu" else 1
    results = Detector(args["model"]).tune(
        use_ray=True,
        space=chosen,
        iterations=generations,
        gpu_per_trial=gpus,
        iou=yolo.NMS_IOU,
        **rest,
    )
    best = results.get_best_result(metric="metrics/mAP50-95(B)", mode="max")
    return {"hyperparameters": {name: best.config[name] for name in space}}


engine.MultiTrainer = _Generation
