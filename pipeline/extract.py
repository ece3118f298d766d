"""``uncover extract``: pictures through stage 1 -> heatmaps, to train stage 2 on or to look at."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from pipeline import runs, shipped
from pipeline.errors import UserError
from pipeline.recipe import Order, Recipe, saved, variants
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.dataset import Dataset


@dataclass(frozen=True)
class Extract:
    """Make heatmaps of what stage 1 sees: of a dataset, or of any pictures and videos.

    With --data, writes the dataset datasets/NAME in the Ultralytics layout, with the whole
    face as its only class, to train stage 2 on. Killed, it goes on where it was. With
    --source, writes runs/extract/NAME: for each picture its heatmap, and a sheet on which
    people see what each part's map shows.

    Several methods or compositions at once (--method hirescam,gradcam++ --compose
    average,stack) make one pass over the pictures and write NAME-METHOD-COMPOSE for each.

    Example: uncover extract --data faces --weights stage1.pt --name faces-maps
    Then:    uncover extract --data ward --weights stage1.pt --name ward-maps --like faces-maps
    """

    weights: str
    """Stage 1: a YOLO of the ten facial parts, as a file or by the name of a shipped one."""

    name: str
    """Where to write: datasets/NAME with --data, runs/extract/NAME with --source."""

    data: str = ""
    """A prepared dataset, by its name in datasets/ or by its folder."""

    source: str = ""
    """A picture, a video, a folder of them, or a pattern."""

    recipe: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = field(default_factory=Recipe)
    """How the heatmaps are made."""

    like: str = ""
    """A dataset of heatmaps whose recipe to follow, peak included: test sets must be made as
    the training set was. Takes the place of the recipe's settings and of --imgsz."""

    imgsz: int | None = None
    """Side of the square into which pictures are letterboxed; by default that of the training,
    or 640 where the weights do not tell."""

    batch: int = 16
    """Pictures that go through the network at once."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    half: bool = False
    """Half precision (CUDA)."""

    engine: Literal["ours", "grad-cam"] = "ours"
    """grad-cam: pytorch-grad-cam, the slow reference; same files."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise."""

    def run(self) -> Path:
        """Write the heatmaps, or find that they are there already; the (first) folder."""
        self._check()
        from pipeline import dataset, media, yolo

        weights = shipped.find(self.weights)
        sha256 = runs.sha256(weights)
        about = yolo.about(weights)
        recipes, imgsz = self._recipes(sha256, about.get("imgsz", 640))
        data = dataset.open_dataset(self.data) if self.data else None
        sources: Json = {"weights": sha256}
        if data is not None:
            _check_data(data)
            sources["dataset"] = data.fingerprint()
        else:
            sources["files"] = media.fingerprint(media.inputs([self.source]))
        orders = []
        for recipe in recipes:
            record = {"settings": self._settings(recipe, imgsz), "sources": sources}
            order = Order(self._target(recipe, len(recipes)), recipe, record)
            if data is not None and order.target == data.root:
                raise UserError(f"--name {self.name}: that is the dataset that is read")
            if runs.up_to_date(order.target, record, self.overwrite):
                print(f"{order.target} is up to date: same settings, weights and pictures")
            else:
                orders.append(order)
        if orders:
            known = {"sha256": sha256, "threshold": about.get("threshold"), "asked": self.weights}
            self._write(data, orders, weights, imgsz, known)
        return self._target(recipes[0], len(recipes))

    def _write(
        self,
        data: "Dataset | None",
        orders: Sequence[Order],
        weights: Path,
        imgsz: int,
        known: Json,
    ) -> None:
        """Everything that is not there yet."""
        import torch

        from pipeline import heatmap_set, heatmap_sheets, media
        from pipeline.annotations import Report
        from pipeline.devices import repeatable
        from pipeline.stage1 import open_stage1

        stage = open_stage1(weights, self.device, imgsz, self.half, self.engine)
        facts: Json = {"weights": known, "engine": self.engine, "half": self.half}
        start = time.monotonic()
        try:
            with repeatable(stage.network.device):
                if data is not None:
                    drawn = heatmap_set.Pass(data, stage, facts, self.batch).write(orders)
                else:
                    given, report = media.inputs([self.source]), Report()
                    drawn = heatmap_sheets.write(given, orders, stage, facts, self.batch, report)
                    for skip in report.skips:
                        print(f"  left out: {skip}", file=sys.stderr)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"the device's memory is full; --batch {self.batch} is too much"
            ) from error
        _tell(orders, drawn, time.monotonic() - start)

    def _check(self) -> None:
        runs.plain_name(self.name)
        if bool(self.data) == bool(self.source):
            raise UserError("give either --data (a prepared dataset) or --source (pictures)")
        if self.batch < 1:
            raise UserError(f"--batch {self.batch}: expected 1 or more")

    def _recipes(self, sha256: str, imgsz: int) -> tuple[list[Recipe], int]:
        """The recipes that are asked for, and the side of the square, by default ``imgsz``."""
        if not self.like:
            from pipeline import heatmaps

            recipes = variants(self.recipe)
            for recipe in recipes:
                heatmaps.check(recipe)
            return recipes, imgsz if self.imgsz is None else self.imgsz
        from pipeline.dataset import open_dataset

        model = open_dataset(self.like)
        manifest = model.manifest()
        if "recipe" not in manifest:
            raise UserError(f"--like {self.like}: a dataset of pictures, not of heatmaps")
        if manifest["weights"]["sha256"] != sha256:
            raise UserError(
                f"--like {self.like}: made with other weights (SHA-256 "
                f"{manifest['weights']['sha256'][:12]}, {self.weights} has {sha256[:12]})"
            )
        if self.recipe != Recipe():
            raise UserError("--like takes the whole recipe: leave out its settings")
        recipe, imgsz = saved(manifest["recipe"]), int(manifest["settings"]["imgsz"])
        if self.imgsz not in {imgsz, None}:
            raise UserError(f"--imgsz {self.imgsz}: {self.like} has {imgsz}")
        print(f"as {self.like}: {recipe.method}, {recipe.compose}, peak {recipe.peak:.4g}")
        return [recipe], imgsz

    def _settings(self, recipe: Recipe, imgsz: int) -> Json:
        """What the bytes follow from, in one list, so that a difference can be named."""
        from pipeline.devices import device_of

        how = {"imgsz": imgsz, "batch": self.batch, "half": self.half, "engine": self.engine}
        return runs.settings_of(recipe) | how | {"device": device_of(self.device).type}

    def _target(self, recipe: Recipe, count: int) -> Path:
        folder = runs.datasets() if self.data else runs.home() / "runs" / "extract"
        several = f"-{recipe.method}-{recipe.compose}" if count > 1 else ""
        return folder / f"{self.name}{several}"


def _check_data(data: "Dataset") -> None:
    """A dataset with whole faces in it, and of pictures."""
    from pipeline.parts import PARTS

    if "recipe" in data.manifest():
        raise UserError(f"{data.root}: a dataset of heatmaps; stage 1 looks at pictures")
    if data.names not in (list(PARTS), ["face"]):
        raise UserError(f"{data.root}: classes {', '.join(data.names)}; expected the parts or face")


def _tell(orders: Sequence[Order], drawn: int, seconds: float) -> None:
    """A short account for people; ``drawn`` pictures were not done already."""
    for order in orders:
        manifest = runs.read_json(order.target / "manifest.json") or {}
        pictures = manifest["pictures"]
        print(f"{order.target}")
        if isinstance(pictures, dict):
            for split, number in pictures.items():
                faces = manifest["labels"][split]["face"]
                weak = manifest["all_classes_weak"][split]
                print(f"  {split:<12} {number:>7} heatmaps {faces:>7} faces {weak:>7} weak")
        else:
            left = sum(manifest["left_out"].values())
            print(f"  {pictures} pictures, {left} left out")
        print(f"  peak {manifest['recipe']['peak']:.4g}")
    print(f"  {drawn} pictures in {seconds:.1f} s: {drawn / seconds:.1f} a second")
