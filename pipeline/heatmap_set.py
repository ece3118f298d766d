"""A prepared dataset through stage 1 -> a dataset of heatmaps, with the whole face alone.

::

    NAME/data.yaml              for Ultralytics: channels, splits, one class
         images/SPLIT/*.tif     labels/SPLIT/*.txt  (shares of the letterboxed square)
         annotations.jsonl      the source's line for each picture, the letterbox, the scores
         manifest.json          settings, recipe with its peak, fingerprints, counts, versions
         contact-sheet.jpg      heatmaps over their pictures

Boxes and landmarks in annotations.jsonl stay those of the source's picture, in its pixels.
A killed run goes on where it was: batches are the same every time, and one is done again
whole if a file of it is missing, because arithmetic may differ in the last bit with a
batch's company. All else is made in the end from the files.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import dataset, draw, heatmap_files, heatmaps, images, runs
from pipeline.boxes import Boxes
from pipeline.dataset import Dataset, label_path, write_labels
from pipeline.errors import UserError
from pipeline.images import Letterbox, Unreadable
from pipeline.media import evenly
from pipeline.overlap import THREADS, Behind, ahead
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.recipe import Order, Recipe
from pipeline.runs import Json
from pipeline.squares import Loaded
from pipeline.stage1 import Stage1

SAMPLE = 256  # pictures whose maps tell the peak
SHEET_TILES = 28


@dataclass(frozen=True)
class Job:
    """One picture of the source."""

    split: str
    name: str
    size: tuple[int, int] = (0, 0)  # width and height of the picture

    def heatmap(self, folder: Path) -> Path:
        """Where its heatmap lies."""
        return folder / "images" / self.split / (Path(self.name).stem + ".tif")


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over the pictures of a dataset, for all that is asked for."""

    data: Dataset
    stage: Stage1
    facts: Json  # written into every file
    batch: int

    def write(self, orders: Sequence[Order]) -> int:
        """Write all the datasets that are asked for; how many pictures were left to be drawn."""
        jobs = [Job(row["split"], row["name"], tuple(row["size"])) for row in self.data.rows()]
        if not jobs:
            raise UserError(f"{self.data.root}: a dataset without pictures")
        jobs.sort(key=self._shape)  # a batch of mixed shapes takes several passes
        with ExitStack() as stack:
            folders = [
                stack.enter_context(runs.resumable_folder(each.target, each.record))
                for each in orders
            ]
            recipes = self._measured(jobs, orders, folders)
            drawn = self._fill(jobs, recipes, folders)
            for order, folder, recipe in zip(orders, folders, recipes, strict=True):
                manifest = order.record | _finish(self.data, folder, order.target, recipe)
                made = {"weights": self.facts["weights"], "made": runs.provenance()}
                made["of"] = self.data.origin()
                runs.write_json(folder / "manifest.json", manifest | made)
        return drawn

    def _shape(self, job: Job) -> tuple[int, int]:
        letterbox = self.stage.letterbox(*job.size)
        return letterbox.out_width, letterbox.out_height

    def _batches(self, jobs: Sequence[Job]) -> list[Sequence[Job]]:
        """The same every time, whatever is done already."""
        return [jobs[first : first + self.batch] for first in range(0, len(jobs), self.batch)]

    def _load(self, jobs: Sequence[Job]) -> Loaded:
        """The letterboxed pictures of a batch."""
        loaded = []
        for job in jobs:
            path = self.data.root / "images" / job.split / job.name
            try:
                loaded.append(self.stage.load(images.read(path)))
            except Unreadable as error:
                raise UserError(f"{path}: {error}; prepare the dataset again") from error
        return loaded

    def _measured(
        self, jobs: Sequence[Job], orders: Sequence[Order], folders: Sequence[Path]
    ) -> list[Recipe]:
        """The recipes with their peaks: given, kept from an interrupted run, or measured now."""
        notes = [folder.parent / "peak.json" for folder in folders]
        peaks: dict[Recipe, float] = {}
        for order, note in zip(orders, notes, strict=True):
            kept = runs.read_json(note)
            if kept and order.recipe.measures:
                peaks[order.recipe.drawing] = kept["peak"]
        wanted = dict.fromkeys(order.recipe.drawing for order in orders if order.recipe.measures)
        missing = [drawing for drawing in wanted if drawing not in peaks]
        if missing:
            pool = [job for job in jobs if job.split == "train"] or jobs
            sample = self._batches([pool[number] for number in evenly(len(pool), SAMPLE)])
            bar = tqdm(sample, desc="peak", unit="batch", disable=None, leave=False)
            peaks |= self.stage.measure(missing, ahead(self._load, bar, THREADS, THREADS + 1))
        recipes = []
        for order, note in zip(orders, notes, strict=True):
            peak = peaks[order.recipe.drawing] if order.recipe.measures else order.recipe.peak
            runs.write_json(note, {"peak": peak})
            recipes.append(replace(order.recipe, peak=peak))
        return recipes

    def _fill(self, jobs: Sequence[Job], recipes: Sequence[Recipe], folders: Sequence[Path]) -> int:
        """Write every heatmap that is not there yet; how many. All its steps overlap."""
        for folder in folders:
            for half in folder.glob(
                "images/*/.*.partial"
            ):  # of a killed run, never asked for again
                half.unlink()
            for split in {job.split for job in jobs}:
                (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        pending = [
            part
            for part in self._batches(jobs)
            if not all(job.heatmap(folder).is_file() for job in part for folder in folders)
        ]
        done = len(jobs) - sum(map(len, pending))
        if done:
            print(f"{done} of {len(jobs)} pictures are done already")
        bar = tqdm(total=len(jobs), initial=done, unit=" pictures", disable=None, leave=False)
        with bar, Behind(THREADS, 4 * self.batch * len(recipes)) as writers:
            parts = ahead(self._load, pending, THREADS, THREADS + 1)
            for part, loaded in zip(pending, parts, strict=True):
                for work in self._drawn(part, loaded, recipes, folders):
                    writers.do(work)
                bar.update(len(part))
        return len(jobs) - done

    def _drawn(
        self,
        part: Sequence[Job],
        loaded: Loaded,
        recipes: Sequence[Recipe],
        folders: Sequence[Path],
    ) -> Iterator[partial[None]]:
        """A batch through the network; the writing that it leaves to be done."""
        names = self.stage.names
        for looked in self.stage.look(loaded):
            made = self.stage.heatmaps(looked, recipes)
            for recipe, folder, (maps, stacks) in zip(recipes, folders, made, strict=True):
                scores = heatmaps.score_facts(maps, names)
                for place, number in enumerate(looked.numbers):
                    job = part[number]
                    more = self.facts | scores[place] | {"picture": f"{job.split}/{job.name}"}
                    about = heatmap_files.facts_of(recipe, names, looked.squares[place], **more)
                    yield partial(heatmap_files.write, job.heatmap(folder), stacks[place], about)


def _finish(data: Dataset, folder: Path, target: Path, recipe: Recipe) -> Json:
    """Labels, lines, yaml and contact sheet from the files; what the manifest says of them."""
    face = data.face
    counts: dict[str, Counter[str]] = {"pictures": Counter(), "faces": Counter(), "weak": Counter()}
    with (folder / "annotations.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in data.rows():
            split = row["split"]
            path = Job(split, row["name"]).heatmap(folder)
            facts = heatmap_files.read_facts(path)
            line = _line(row, path.name, facts)
            file.write(json.dumps(line) + "\n")
            boxes, classes = data.labels(row)
            faces = Letterbox(**facts["letterbox"]).apply(boxes[classes == face])
            labels = label_path(folder, split, path.name)
            labels.parent.mkdir(parents=True, exist_ok=True)
            write_labels(labels, faces, np.zeros(len(faces), np.int64), line["size"])
            counts["pictures"][split] += 1
            counts["faces"][split] += len(faces)
            counts["weak"][split] += len(facts["weak"]) == len(facts["names"])
    splits = list(counts["pictures"])
    channels = recipe.channels(len(facts["names"]))
    for turned in {split.endswith("_turned") for split in splits}:
        dataset.write_yaml(folder, target, ["face"], splits, turned=turned, channels=channels)
    _contact_sheet(data, folder, f"{target.name}: {recipe.method}, {recipe.compose}")
    return {
        "names": ["face"],
        "channels": channels,
        "recipe": runs.settings_of(recipe),
        "pictures": {split: counts["pictures"][split] for split in sorted(splits)},
        "labels": {split: {"face": counts["faces"][split]} for split in sorted(splits)},
        "all_classes_weak": {split: counts["weak"][split] for split in sorted(splits)},
    }


def _contact_sheet(data: Dataset, folder: Path, title: str) -> None:
    """A seeded sample of heatmaps over their pictures."""
    count = sum(1 for _ in data.rows())
    shown = set(np.random.default_rng(0).permutation(count)[:SHEET_TILES].tolist())
    tiles, face = [], data.face
    for number, row in enumerate(data.rows()):
        if number in shown:
            boxes, classes = data.labels(row)
            path = Job(row["split"], row["name"]).heatmap(folder)
            tiles.append(_tile(data, row, path, boxes[classes == face]))
    title = f"{title}, {len(tiles)} of {count} heatmaps"
    images.write(folder / "contact-sheet.jpg", draw.sheet(tiles, ["face"], title), quality=88)


def _line(row: Json, name: str, facts: Json) -> Json:
    """The line of a heatmap: its own name and size, and all that is known of its picture."""
    original = {"name": row["name"], "size": row["size"]}
    size = [facts["letterbox"]["out_width"], facts["letterbox"]["out_height"]]
    more = {key: facts[key] for key in ("letterbox", "best", "weak")}
    return row | {"name": name, "size": size, "original": original} | more


def _tile(data: Dataset, row: Json, path: Path, boxes: Boxes) -> draw.Tile:
    """A heatmap over its picture; of a stack, the strongest class at each place."""
    stack, facts = heatmap_files.read(path)
    picture = images.read(data.picture(row))
    shown = draw.overlay(picture, stack.max(axis=0), Letterbox(**facts["letterbox"]))
    score = facts["best"][PARTS[WHOLE_FACE]]
    words = [row["split"], row["level"], f"whole face {score:.2f}"]
    caption = " · ".join(word for word in words if word)
    return draw.Tile(shown, boxes, np.zeros(len(boxes), np.int64), caption, path.stem)
