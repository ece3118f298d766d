"""``uncover train all``: the thesis's ladder from end to end, and what lies beyond it.

::

    DATA ──► parts (stage 1, clear) ──► heatmaps, four ways ──► four second stages
     └─────► face (the control)
    HIDDEN ─► parts, going on from clear (stage 1, hardened) ──► heatmaps ──► its second stage
     └─────► heatmaps of the clear stage 1 ──► a second stage that has seen hidden faces
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from pipeline import runs, schedule, scores, tables
from pipeline.errors import UserError
from pipeline.extract import Extract
from pipeline.recipe import THESIS, Recipe
from pipeline.runs import Json
from pipeline.schedule import Schedule, Size
from pipeline.train import TrainFace, TrainHeatmap, TrainParts

METHODS = ("hirescam", "gradcam++")
SMALLEST = 10  # pixels of a heatmap; of smaller pictures Ultralytics takes none
COMPOSES = ("average", "stack")


@dataclass(frozen=True)
class TrainAll:
    """Run the whole ladder: stage 1, the control, heatmaps, the four second stages.

    With --hidden, a dataset of occluded pictures, also a stage 1 that goes on learning on
    them, and second stages trained on the heatmaps of hidden faces. Every step is a command
    of its own, with its result in runs/train/NAME-STEP or datasets/NAME-STEP; finished steps
    whose settings match are skipped, so the same command goes on after a kill. Ends with the
    thesis's tables 4 to 7, in runs/train/NAME.csv and .md.

    Example: uncover prepare ibug=300w --name faces
    Then:    uncover train all --data faces --size n --device 0
    """

    data: str
    """A prepared dataset of the ten parts."""

    hidden: str = ""
    """A prepared dataset of the ten parts with occluders (prepare --occlude)."""

    name: str = ""
    """What the results are called; by default as the dataset."""

    size: Size = "n"
    """Of every YOLOv5. m is the thesis's."""

    weights: str = ""
    """A checkpoint for stage 1 and the control to begin with; second stages begin from scratch."""

    schedule: Annotated[Schedule, tyro.conf.OmitArgPrefixes] = field(default_factory=Schedule)
    """How stage 1 and the control are trained; of its settings, the preset, patience, fitness and
    seed are the second stages' as well."""

    hidden_epochs: int = 0
    """Of the hardened stage 1, which goes on from the clear one; 0: the preset's."""

    heatmap_epochs: int = 0
    """Of the second stages; 0: the preset's."""

    heatmap_imgsz: int = 0
    """Of the second stages; 0: the preset's."""

    device: str = ""
    """cpu, 0, or 0,1 for several GPUs; by default the first GPU if there is one."""

    overwrite: bool = False
    """Replace steps that were made otherwise."""

    def run(self) -> Path:
        """Climb; the table at the end."""
        name = runs.plain_name(self.name or Path(self.data).name)
        self._check()
        rows = []
        for title, folder in self._steps(name):
            manifest = runs.read_json(folder / "manifest.json")
            if manifest is None:
                raise UserError(f"{folder}: has no manifest.json")
            threshold = {"threshold": round(manifest["about"]["threshold"], 3)}
            rows += [{"model": title} | row | threshold for row in scores.rows(manifest)]
        target = runs.home() / "runs" / "train" / name
        runs.write_text(target.with_name(f"{name}.csv"), tables.as_csv(rows))
        table = tables.as_markdown(rows)
        runs.write_text(target.with_name(f"{name}.md"), table)
        print(table)
        return target.with_name(f"{name}.md")

    def _check(self) -> None:
        """What a later step would refuse is refused before the first, which may take a night."""
        from pipeline.dataset import open_dataset

        for given in filter(None, (self.data, self.hidden)):
            TrainParts(given).check(open_dataset(given))
        side = schedule.settings(self.schedule, "parts")["imgsz"] // 8
        if side < SMALLEST:
            raise UserError(
                f"--imgsz {side * 8}: heatmaps of {side}x{side} pixels, on which no second stage "
                f"can be trained; take 96 or more"
            )
        for epochs in (self.hidden_epochs, self.heatmap_epochs):
            if epochs < 0:
                raise UserError(f"epochs {epochs}: expected 0 (the preset's) or more")

    def _steps(self, name: str) -> Iterator[tuple[str, Path]]:
        """Train step after step; the title and folder of each model."""
        how: Json = {"size": self.size, "device": self.device, "overwrite": self.overwrite}
        clear = TrainParts(
            self.data, f"{name}-parts", weights=self.weights, schedule=self.schedule, **how
        ).run()
        yield "10 classes, pictures", clear
        yield (
            "1 class, pictures",
            TrainFace(
                self.data, f"{name}-face", weights=self.weights, schedule=self.schedule, **how
            ).run(),
        )
        usual = THESIS if self.schedule.preset == "thesis" else Recipe()
        four = replace(usual, method=",".join(METHODS), compose=",".join(COMPOSES))
        maps = self._maps(clear, self.data, f"{name}-maps", four)
        for method in METHODS:
            for compose in COMPOSES:
                second = self._second(f"{maps}-{method}-{compose}", how)
                yield f"{method}, {compose}", second
        if self.hidden:
            maps = self._maps(clear, self.hidden, f"{name}-hidden", usual)
            yield "hidden faces' heatmaps", self._second(maps, how)
            hardened = TrainParts(
                self.hidden,
                f"{name}-hardened",
                weights=str(clear / "best.pt"),
                schedule=self._onward(),
                **how,
            ).run()
            yield "10 classes, hardened", hardened
            maps = self._maps(hardened, self.hidden, f"{name}-hardened-hidden", usual)
            yield "the hardened one's heatmaps", self._second(maps, how)

    def _onward(self) -> Schedule:
        """How the hardened stage 1 is trained: at the size and batch of the clear one."""
        clear = schedule.settings(self.schedule, "parts")
        size = {"imgsz": clear["imgsz"], "batch": clear["batch"]}
        return replace(self.schedule, preset="onward", epochs=self.hidden_epochs, hyper="", **size)

    def _maps(self, stage1: Path, data: str, name: str, recipe: Recipe) -> str:
        """Heatmaps of a dataset, of several kinds in one pass; what they are called."""
        first = self.device.split(",")[0]
        Extract(
            str(stage1 / "best.pt"),
            name,
            data=data,
            recipe=recipe,
            device=first,
            overwrite=self.overwrite,
        ).run()
        return name

    def _second(self, maps: str, how: Json) -> Path:
        how_long = replace(
            self.schedule, epochs=self.heatmap_epochs, imgsz=self.heatmap_imgsz, batch=0, hyper=""
        )
        return TrainHeatmap(maps, maps, schedule=how_long, **how).run()
