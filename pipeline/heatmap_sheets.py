"""Arbitrary pictures through stage 1: heatmaps to work with, and sheets to look at."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from pipeline import draw, heatmap_files, heatmaps, images, media, runs
from pipeline.annotations import Report
from pipeline.errors import UserError
from pipeline.images import Letterbox, Picture
from pipeline.media import Input
from pipeline.overlap import THREADS, Behind, read_ahead
from pipeline.recipe import Order, Recipe
from pipeline.runs import Json
from pipeline.squares import Loaded
from pipeline.stage1 import Stage1
from pipeline.video import Frame
from pipeline.yolo import Found

SAMPLE = 64  # pictures whose maps tell the peak


@dataclass(frozen=True, eq=False)
class View:
    """One picture and all its maps under one scale."""

    frame: Frame
    picture: Picture
    letterbox: Letterbox
    stack: NDArray[np.uint8]  # (K, H, W)
    average: NDArray[np.uint8]  # (1, H, W)
    found: Found
    facts: Json
    recipe: Recipe


def write(
    given: Sequence[Input],
    orders: Sequence[Order],
    stage: Stage1,
    facts: Json,
    batch: int,
    report: Report,
) -> int:
    """Heatmap and sheet of every picture or frame; how many. The report: what cannot be read.

    While a batch is in the network the next is read and the one before is written, so that
    no more than about four batches of whole frames are in memory, however long the video.
    """
    with ExitStack() as stack:
        recipes = _measured(given, orders, stage, batch)
        folders = [stack.enter_context(runs.whole_folder(order.target)) for order in orders]
        files = [
            stack.enter_context((folder / "frames.jsonl").open("w", encoding="utf-8"))
            for folder in folders
        ]
        count = 0
        bar = stack.enter_context(tqdm(unit=" pictures", disable=None, leave=False))
        writers = stack.enter_context(Behind(THREADS, batch))
        everything = (frame for one in given for frame in media.frames(one))
        frames = read_ahead(_readable(everything, report), batch)
        for part in _batched(frames, batch):
            for number, view in _views(part, stage, recipes, facts):
                writers.do(partial(_write, view, folders[number]))
                files[number].write(json.dumps(_line(view)) + "\n")
            count += len(part)
            bar.update(len(part))
        if not count:
            raise UserError(f"--source: no picture in it can be read{_reasons(report)}")
        for order, folder, recipe in zip(orders, folders, recipes, strict=True):
            manifest = {
                "recipe": runs.settings_of(recipe),
                "pictures": count,
                "left_out": dict(report.counts),
                "left_out_examples": [str(skip) for skip in report.skips],
                "weights": facts["weights"],
                "folder": str(Path.cwd()),
                "made": runs.provenance(),
            }
            runs.write_json(folder / "manifest.json", order.record | manifest)
    return count


def sheet(view: View, names: Sequence[str], side: int = 250) -> Picture:
    """The picture with stage 1's boxes, the average, and the map of every part, one scale."""
    picture, best, weak = view.picture, view.facts["best"], view.facts["weak"]
    nothing, none = view.found.boxes[:0], view.found.classes[:0]
    boxes, classes = view.found.boxes, view.found.classes
    average = draw.overlay(picture, view.average[0], view.letterbox)
    words = "1 box" if len(boxes) == 1 else f"{len(boxes)} boxes"
    tiles = [
        draw.Tile(picture, boxes, classes, f"stage 1: {words}", _score_words(view.found, names)),
        draw.Tile(average, boxes, classes, "average of the predicted classes", ""),
    ]
    for number, name in enumerate(names):
        mark = "weak" if name in weak else "found"
        shown = draw.overlay(picture, view.stack[number], view.letterbox)
        tiles.append(draw.Tile(shown, nothing, none, f"{name}  {best[name]:.2f}", mark))
    scale = "each map by itself" if view.recipe.scale == "minmax" else "one scale for all maps"
    title = f"{view.frame.name} · {view.recipe.method} · {scale}"
    painted = draw.sheet(tiles, names, title, columns=6, side=side)
    return np.concatenate([painted, _bar(painted.shape[1], view.recipe)])


def _bar(width: int, recipe: Recipe, length: int = 256, height: int = 34) -> Picture:
    """A strip that says what the colours of the maps mean."""
    strip = np.full((height, width, 3), draw.PAPER, np.uint8)
    ramp = np.arange(length) * 256 // length
    strip[4:18, 100 : 100 + length] = draw.colours(ramp.astype(np.uint8)[None])
    image = Image.fromarray(strip)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    peak = "its own strongest" if recipe.scale == "minmax" else f"{recipe.peak:.3g} and more"
    pen.text((8, 3), "no evidence", fill=draw.INK, font=font)
    pen.text((108 + length, 3), f"{peak} (gamma {recipe.gamma:g})", fill=draw.INK, font=font)
    return np.asarray(image)


def _score_words(found: Found, names: Sequence[str]) -> str:
    """The best score of the classes found, best first, as far as there is room."""
    best: dict[str, float] = {}
    for number, score in zip(found.classes.tolist(), found.scores.tolist(), strict=True):
        best.setdefault(names[number], score)
    words = [f"{name} {score:.2f}" for name, score in list(best.items())[:2]]
    return ", ".join(words)


def _measured(
    given: Sequence[Input], orders: Sequence[Order], stage: Stage1, batch: int
) -> list[Recipe]:
    """The recipes with their peaks, measured on a sample where they are not given."""
    missing = list(dict.fromkeys(o.recipe.drawing for o in orders if o.recipe.measures))
    if not missing:
        return [order.recipe for order in orders]
    report = Report()
    sample = _batched(_readable(media.sample(given, SAMPLE), report), batch)
    peaks = stage.measure(missing, (_loaded(part, stage) for part in sample))
    if not peaks:
        raise UserError(
            f"--source: no picture in it can be read of those ({sum(report.counts.values())}) that "
            f"tell the peak; --peak gives one{_reasons(report)}"
        )
    return [
        replace(o.recipe, peak=peaks[o.recipe.drawing]) if o.recipe.measures else o.recipe
        for o in orders
    ]


def _readable(frames: Iterable[Frame], report: Report) -> Iterator[tuple[Frame, Picture]]:
    """Frames with their pictures; the report: the others."""
    for frame in frames:
        if frame.picture is None:
            report.skip(Path(frame.source), None, frame.reason)
        else:
            yield frame, frame.picture


def _reasons(report: Report) -> str:
    """What could not be read, a line each; the first of many."""
    return "".join(f"\n  {skip}" for skip in report.skips[:3])


def _loaded(part: Sequence[tuple[Frame, Picture]], stage: Stage1) -> Loaded:
    return [stage.load(picture) for _, picture in part]


def _batched(
    frames: Iterator[tuple[Frame, Picture]], size: int
) -> Iterator[list[tuple[Frame, Picture]]]:
    part: list[tuple[Frame, Picture]] = []
    for frame in frames:
        part.append(frame)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _views(
    part: Sequence[tuple[Frame, Picture]], stage: Stage1, recipes: Sequence[Recipe], facts: Json
) -> Iterator[tuple[int, View]]:
    """A batch through the network: the number of the recipe, and each picture under it."""
    both = [replace(recipe, compose=kind) for recipe in recipes for kind in ("stack", "average")]
    views: dict[tuple[int, int], View] = {}
    for looked in stage.look(_loaded(part, stage)):
        found = stage.boxes(looked, min(recipe.conf for recipe in recipes))
        made = stage.heatmaps(looked, both)
        for number, recipe in enumerate(recipes):
            (maps, stacks), (_, averages) = made[2 * number], made[2 * number + 1]
            scores = heatmaps.score_facts(maps, stage.names)
            for place, one in enumerate(looked.numbers):
                frame, picture = part[one]
                more = facts | scores[place] | {"picture": frame.name, "seconds": frame.seconds}
                box, both_maps = looked.squares[place], (stacks[place], averages[place])
                about = heatmap_files.facts_of(recipe, stage.names, box, **more)
                views[one, number] = View(
                    frame, picture, box, *both_maps, found[place], about, recipe
                )
    for one, number in sorted(views):  # as they came
        yield number, views[one, number]


def _write(view: View, folder: Path) -> None:
    kept = view.average if view.recipe.compose == "average" else view.stack
    heatmap_files.write(folder / f"{view.frame.name}.tif", kept, view.facts)
    images.write(folder / f"{view.frame.name}.jpg", sheet(view, view.facts["names"]), quality=90)


def _line(view: View) -> Json:
    """What is known of a frame, for frames.jsonl."""
    frame, found = view.frame, view.found
    return {
        "name": frame.name,
        "file": frame.source,
        "number": frame.number,
        "seconds": frame.seconds,
        "size": [view.letterbox.width, view.letterbox.height],
        "boxes": found.boxes.round(2).tolist(),
        "scores": found.scores.round(4).tolist(),
        "classes": found.classes.tolist(),
        "best": view.facts["best"],
        "weak": view.facts["weak"],
    }
