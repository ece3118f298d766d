"""Tasks -> the folder of a whole dataset: pictures, labels, yaml, manifest, contact sheet."""

import json
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from pipeline import dataset, draw, images
from pipeline.annotations import Report
from pipeline.dataset import label_path, read_labels
from pipeline.entries import Made, Plan, Task, make
from pipeline.errors import UserError
from pipeline.parts import PARTS
from pipeline.runs import Json

SHEET_TILES = 42
_ALONE = 64  # versions: for fewer, starting processes costs more than it saves


def build(
    tasks: Sequence[Task], plan: Plan, folder: Path, target: Path, report: Report, workers: int
) -> Json:
    """Fill the folder of a dataset that will lie at ``target``; what its manifest says of it."""
    names = list(PARTS) if plan.classes == "parts" else ["face"]
    rows: list[Json] = []
    labels: Counter[tuple[str, int]] = Counter()
    with (folder / "annotations.jsonl").open("w", encoding="utf-8") as file:
        for made in _made(tasks, plan, folder, workers):
            for row in made.rows:
                file.write(json.dumps(row, allow_nan=False) + "\n")
                rows.append(row)
            labels.update(made.labels)
            report.add(made.skips, made.notes)
    if not rows:
        raise UserError("no picture could be used")
    pictures = Counter(row["split"] for row in rows)
    dataset.write_yaml(folder, target, names, list(pictures), turned=False)
    if any(split.endswith("_turned") for split in pictures):
        dataset.write_yaml(folder, target, names, list(pictures), turned=True)
    _contact_sheet(folder, rows, names, target.name)
    return {
        "names": names,
        "pictures": dict(sorted(pictures.items())),
        "levels": dict(Counter(row["level"] or "unknown" for row in rows)),
        "labels": {
            split: {name: labels[split, number] for number, name in enumerate(names)}
            for split in sorted(pictures)
        },
        "changed": dict(report.notes),
        "left_out": dict(report.counts),
        "left_out_examples": [str(skip) for skip in report.skips],
    }


def _made(tasks: Sequence[Task], plan: Plan, folder: Path, workers: int) -> Iterator[Made]:
    """The tasks done, in their order, over several processes."""
    work = partial(make, plan=plan, folder=folder)
    workers = workers or os.cpu_count() or 1
    bar = partial(tqdm, total=len(tasks), unit="picture", disable=None, leave=False)
    versions = max(1, len(plan.levels) * plan.draws) * (1 + plan.copies)
    if workers == 1 or len(tasks) * versions < _ALONE:
        yield from bar(map(work, tasks))
        return
    context = multiprocessing.get_context("spawn")  # the same on every system
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_worker) as pool:
        try:
            yield from bar(pool.map(work, tasks, chunksize=4))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)  # nobody writes any more after this
            raise


def _worker() -> None:
    """Make a process a good worker: one thread, quiet on Ctrl-C, gone when its parent is."""
    cv2.setNumThreads(1)  # a process for each core is enough
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, and the next run clears their folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _contact_sheet(folder: Path, rows: list[Json], names: list[str], title: str) -> None:
    """A seeded sample of the dataset, read back from its own files as a training would."""
    order = np.random.default_rng(0).permutation(len(rows))[:SHEET_TILES]
    tiles = []
    for row in (rows[number] for number in sorted(order)):
        picture = images.read(folder / "images" / row["split"] / row["name"])
        boxes, classes = read_labels(label_path(folder, row["split"], row["name"]), row["size"])
        words = [row["split"], row["level"], *row["occluders"]]
        facts = " · ".join(word for word in words if word)
        tiles.append(draw.Tile(picture, boxes, classes, facts, Path(row["name"]).stem))
    title = f"{title}: {len(tiles)} of {len(rows)} pictures"
    images.write(folder / "contact-sheet.jpg", draw.sheet(tiles, names, title), quality=88)
