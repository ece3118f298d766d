"""The paper's tables on anybody's data: what each module of the neonatal detector adds.

Every variant is a training of its own, which goes on after a kill and is not done twice. A result
is ``runs/ablate/NAME``: tables.md, tables.tex, a CSV for each table, the curves of precision and
recall and of average precision over IoU, manifest.json.
"""

import csv
import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline import alphas, images, plots, runs, tables
from pipeline.dataset import Dataset
from pipeline.detections import LEAST
from pipeline.judged import Judged, judge
from pipeline.neonatal import timing
from pipeline.neonatal.architecture import Architecture
from pipeline.neonatal.trained import Trained, open_neonatal
from pipeline.points import ranked
from pipeline.predictions import Scene
from pipeline.runs import Json

BASELINE, HCC, DAN, BOTH = "baseline", "+ HCC", "+ DAN", "+ HCC + DAN"
_APART = ("AP50", "AP80", "AP50-95")
_TIMED, _REPEAT = 16, 10  # pictures, and how often each is looked at, for the time


@dataclass(frozen=True)
class Table:
    """One table of the paper, and how each of its rows differs from the whole network."""

    words: str
    rows: Mapping[str, Json]


TABLES = {
    "modules": Table(
        "What each module adds (the paper's table 2)",
        {
            BASELINE: {"hcc": False, "quality": "none"},
            HCC: {"quality": "none"},
            DAN: {"hcc": False},
            BOTH: {},
        },
    ),
    "levels": Table(
        "Two steps on one level alone, without DAN (table 3)",
        {BASELINE: {"hcc": False, "quality": "none"}}
        | {f"P{level}": {"quality": "none", "steps": (level,)} for level in (2, 3, 4, 5, 6)},
    ),
    "reach": Table(
        "Sides of the neighbourhoods (table 4)",
        {"3": {"reach": (3,)}, "5": {"reach": (5,)}, "3 and 5": {"reach": (3, 5)}},
    ),
    "quality": Table(
        "What ranks boxes: IoU or DIoU (table 5)",
        {"IoU-aware": {"quality": "iou"}, "DIoU-aware": {"quality": "diou"}},
    ),
    "labels": Table(
        "What the second step learns from (the two readings of the paper's y')",
        {"kept": {"labels": "kept"}, "dropped": {"labels": "dropped"}},
    ),
}


@dataclass(frozen=True, eq=False)
class Made:
    """One variant, trained with one seed, and what it said of the pictures measured on."""

    folder: Path
    scenes: Mapping[str, list[Scene]]  # of each dataset

    @cached_property
    def about(self) -> Json:
        """Its alpha and threshold."""
        manifest = runs.read_json(self.folder / "manifest.json")
        assert manifest is not None
        about: Json = manifest["about"]
        return about

    @property
    def answered(self) -> str:
        """What its answers are called."""
        return alphas.name_of(self.about["alpha"])

    def row(self, measured: str) -> Json:
        """What it is worth on a dataset."""
        judged = judge(self.scenes[measured])
        whole = ranked(judged, self.answered)
        recall, precision = whole.at(self.about["threshold"])
        row: Json = alphas.areas(judged, self.answered)
        row |= {"recall": recall, "precision": precision}
        row |= {"false alarms": whole.alarms(self.about["threshold"]), "alpha": self.about["alpha"]}
        with (self.folder / "results.csv").open(encoding="utf-8", newline="") as file:
            *_, last = csv.DictReader(file)
        before, after = float(last["before"]), float(last["after"])
        return row | {"ratio, times": after / before if before else math.nan}


Train = Callable[[Architecture, int, str], Path]  # a variant, its seed and words -> its folder


def ablate(
    target: Path,
    whole: Architecture,
    seeds: Sequence[int],
    wanted: Sequence[str],
    measured: Sequence[Dataset],
    train: Train,
    device: str,
    trained: Json,
    *,
    overwrite: bool = False,
) -> Path:
    """Train every variant that the tables need with every seed, judge them, write the tables.

    ``trained``: what the training of the whole network follows from.
    """
    settings = {key: one for key, one in trained["settings"].items() if key != "seed"}
    record: Json = {
        "settings": settings | {"tables": list(wanted), "seeds": list(seeds)},
        "sources": trained["sources"],
        "measured": {data.root.name: data.fingerprint() for data in measured},
    }
    there = runs.up_to_date(target, record, overwrite)  # otherwise it is refused before the work
    folders = _trained(whole, seeds, wanted, train)
    record["trainings"] = {each.name: runs.sha256(each / "best.pt") for each in folders.values()}
    if there and runs.up_to_date(target, record, overwrite):
        print(f"{target} is up to date: same trainings and pictures")
        return target
    made = {key: Made(folder, _asked(folder, measured, device)) for key, folder in folders.items()}

    worth = {
        key: {data.root.name: one.row(data.root.name) for data in measured}
        for key, one in made.items()
    }

    def rows(name: str) -> Iterator[Json]:
        for words, changes in TABLES[name].rows.items():
            kind = replace(whole, **changes)
            for data in measured:
                own = [worth[kind, seed][data.root.name] for seed in seeds]
                yield {"network": words, "measured on": data.root.name} | _summary(own)

    written = {name: list(rows(name)) for name in wanted}
    with runs.whole_folder(target) as folder:
        if "modules" in wanted:
            first = {
                words: made[replace(whole, **changes), seeds[0]]
                for words, changes in TABLES["modules"].rows.items()
            }
            written["time"] = _times(first[BOTH].folder, measured, device)
            judged = _together(first, f", seed {seeds[0]}" if len(seeds) > 1 else "")
            (folder / "precision-recall.png").write_bytes(plots.compared(judged))
            (folder / "iou.png").write_bytes(plots.tightness(judged))
        _write(folder, written, _trained_how(next(iter(folders.values())), wanted))
        about: Json = {"data": {data.root.name: data.origin() for data in measured}}
        about["made"] = runs.provenance()
        runs.write_json(folder / "manifest.json", record | about)
    for name, each in written.items():
        print(f"{_title(name)}\n{tables.as_text(each)}")
    print(target)
    return target


def _trained(
    whole: Architecture, seeds: Sequence[int], wanted: Sequence[str], train: Train
) -> dict[tuple[Architecture, int], Path]:
    """The folder of every variant that the tables need, with every seed."""
    called = dict[Architecture, str]()  # by the first table that has it, whichever are wanted
    for table in TABLES.values():
        for words, changes in table.rows.items():
            called.setdefault(replace(whole, **changes), _plain(words))
    rows = [changes for name in wanted for changes in TABLES[name].rows.values()]
    kinds = dict.fromkeys(replace(whole, **changes) for changes in rows)
    folders = dict[tuple[Architecture, int], Path]()
    for seed in seeds:
        for kind in kinds:
            which = f"{len(folders) + 1} of {len(seeds) * len(kinds)}"
            print(f"training {which}: {called[kind]}, seed {seed}")
            folders[kind, seed] = train(kind, seed, called[kind])
    return folders


def _asked(folder: Path, measured: Sequence[Dataset], device: str) -> dict[str, list[Scene]]:
    """What a training says of the test pictures of each dataset, at its alpha."""
    stage = open_neonatal(folder / "best.pt", device)
    assert isinstance(stage.network, Trained)
    at = (stage.network.alpha,)
    return {data.root.name: alphas.asked([data], "test", stage, at) for data in measured}


def _summary(rows: Sequence[Json]) -> Json:
    """The mean over seeds; of average precision how far seeds lie apart, too."""
    summary: Json = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        known = not any(map(math.isnan, values))  # who answers nothing has no precision
        summary[key] = round(statistics.fmean(values), 4) if known else ""
        if key in _APART and len(rows) > 1:
            summary[f"{key} sd"] = round(statistics.stdev(values), 4) if known else ""
    return {"seeds": len(rows)} | summary


def _times(weights: Path, measured: Sequence[Dataset], device: str) -> list[Json]:
    """Milliseconds a picture of the baseline and of the whole network, in turn in one run.

    The ratio is the median of the ratios of neighbouring measurements, not that of the medians.
    """
    stage = open_neonatal(weights / "best.pt", device)
    some = list(measured[0].rows("test"))[:_TIMED]
    pictures = [[stage.load(images.read_named(measured[0].picture(row)))] for row in some]
    stages = {BASELINE: timing.stripped(stage, hcc=False, quality="none"), BOTH: stage}
    times = timing.milliseconds(stages, pictures, LEAST, _REPEAT)
    rows = []
    for name, own in times.items():
        low, high = timing.spread(own, times[BASELINE])
        row: Json = {"network": name, "device": stage.network.device.type}
        row |= {"ms": round(statistics.median(own), 2)}
        row |= {"times the baseline": round(timing.ratio(own, times[BASELINE]), 3)}
        rows.append(row | {"middle half from": round(low, 3), "to": round(high, 3)})
    return rows


def _together(made: Mapping[str, Made], more: str) -> Judged:
    """Several networks on the same pictures, each by its words, and ``more``."""
    every = [[scene for own in one.scenes.values() for scene in own] for one in made.values()]
    return judge(
        [
            replace(
                part[0],
                answers={
                    words + more: scene.answers[one.answered]
                    for (words, one), scene in zip(made.items(), part, strict=True)
                },
            )
            for part in zip(*every, strict=True)
        ]
    )


def _trained_how(training: Path, wanted: Sequence[str]) -> str:
    """What all variants of the tables share."""
    manifest = runs.read_json(training / "manifest.json")
    assert manifest is not None
    apart = {"kind", "seed", *(key for name in wanted for key in _changed(TABLES[name]))}
    shared = {key: one for key, one in manifest["settings"].items() if key not in apart}
    words = ", ".join(f"{key} {_plainly(one)}" for key, one in shared.items())
    sources = manifest["sources"]
    begun = [f"{key} {sources[key][:12]}" for key in ("weights", "backbone") if sources[key]]
    more = f"; begun with {', '.join(begun)}" if begun else ""
    return f"Trained on {', '.join(sources['datasets'])}: {words}{more}.\n"


def _changed(table: Table) -> set[str]:
    return {key for changes in table.rows.values() for key in changes}


def _plainly(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _write(folder: Path, written: Mapping[str, Sequence[Json]], how: str) -> None:
    for name, rows in written.items():
        runs.write_text(folder / f"{name}.csv", tables.as_csv(rows))
    parts = [f"## {_title(name)}\n\n{tables.as_markdown(rows)}" for name, rows in written.items()]
    runs.write_text(folder / "tables.md", "\n".join([how, *parts]))
    parts = [tables.as_latex(rows, _title(name), name) for name, rows in written.items()]
    runs.write_text(folder / "tables.tex", "\n".join(parts))


def _title(name: str) -> str:
    return TABLES[name].words if name in TABLES else "Time per picture (the paper's table 1)"


def _plain(words: str) -> str:
    """A variant's words as a part of a folder's name."""
    return "-".join(re.findall(r"\w+", words.lower()))
