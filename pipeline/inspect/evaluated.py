"""An evaluation as a record: what each pair of detectors said of the pictures measured on."""

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline import runs
from pipeline.dataset import EMPTY, Dataset
from pipeline.inspect.messages import Pair, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot, pair_of
from pipeline.parts import PARTS
from pipeline.runs import Json

LOWEST, MOST = 0.01, 20  # scores, and boxes of a picture, that people look at
_OLD = (
    "made by an older version, which did not keep its pictures as they were measured (levels, "
    "windows without a face), nor where they and the weights lie"
)


def read(folder: Path, manifest: Json) -> Record:
    """What ``uncover evaluate`` has left in a folder."""
    places, pairs = manifest.get("datasets", {}), list(_pairs(manifest))
    settings = manifest["settings"]
    return Record(
        folder,
        "evaluate",
        [shot for path in _files(folder) for shot in _shots(path, pairs, places)],
        pairs,
        [_looks(manifest, pair) for pair in pairs],
        warnings=[] if places and _files(folder)[0].name == runs.MEASURED else [_OLD],
        settings={
            "split": settings["split"],
            "thresholds kept precision": f"{settings['precision']:.2f}",
            "command": manifest.get("made", {}).get("command", ""),
        },
    )


def _files(folder: Path) -> list[Path]:
    """What was measured, as it was measured; of older versions, what the networks said."""
    measured = folder / "predictions" / runs.MEASURED
    if measured.is_file():
        return [measured]
    return sorted((folder / "predictions").glob("data-*.jsonl"))


def _pairs(manifest: Json) -> Iterator[Pair]:
    """Each second stage behind its first, and each first alone; the last pair first."""
    for name, (first, conf, fallback_conf) in reversed(manifest.get("pairs", {}).items()):
        yield pair_of(f"{first} + {name}", (first, name), (conf, fallback_conf), LOWEST)
    for first, conf in manifest["thresholds"].items():
        yield pair_of(first, (first, None), (conf, 1.0), LOWEST)


def _looks(manifest: Json, pair: Pair) -> Looks | None:
    """The weights of a pair, if it was noted where they lie."""
    paths, first = manifest.get("weights", {}), pair["first"]
    if first not in paths:
        return None
    hashes, sides = manifest["sources"]["weights"], manifest["sides"]
    return Looks(paths[first], hashes[first], sides[first], paths.get(pair["second"], ""))


def _shots(path: Path, pairs: list[Pair], places: Json) -> Iterator[Shot]:
    """The pictures of one file of predictions."""
    sets = {key: Dataset(Path(place)) for key, place in places.items()}
    sizes: dict[tuple[str, str], list[int]] = {}
    for data in sets.values():
        if (data.root / "annotations.jsonl").is_file():
            sizes |= {(row["split"], row["name"]): row["size"] for row in data.rows()}
    with path.open(encoding="utf-8") as file:
        for line in file:
            scene = json.loads(line)
            split, name = scene["split"], scene["name"]
            own = sets.get("empty" if split.endswith(EMPTY) else "data")
            width, height = sizes.get((split, name)) or _extent(scene)
            photograph = Path(scene["source"]).name
            facts = {"photograph": photograph, "group": Path(scene["group"]).name}
            facts |= {("set" if key == "source" else key): x for key, x in scene["facts"].items()}
            yield Shot(
                name=f"{split}/{name}",
                source=name,
                file=own.picture(scene) if own else None,
                bytes=None,
                video=False,
                strip=split,
                number=0,
                seconds=None,
                size=(width, height),
                outcome=None,
                said=tuple(_said(scene, pair) for pair in pairs),
                truth=scene["truth"],
                ignored=scene["ignored"],
                level="" if scene["level"] == "unknown" else scene["level"],
                facts=facts,
                ms=scene["ms"],
            )


def _said(scene: Json, pair: Pair) -> Said:
    answers, second = scene["answers"], pair["second"]
    best = dict(zip(PARTS, scene["best"].get(pair["first"], ()), strict=False))
    return Said(_scored(answers[pair["first"]]), _scored(answers[second]) if second else None, best)


def _scored(answer: Json) -> list[Scored]:
    return [
        {"box": box, "score": score}
        for box, score in zip(answer["boxes"][:MOST], answer["scores"][:MOST], strict=True)
        if score >= LOWEST
    ]


def _extent(scene: Json) -> tuple[int, int]:
    """About the size of a picture that is gone, from the boxes in it."""
    boxes = [box for answer in scene["answers"].values() for box in answer["boxes"]]
    boxes += scene["truth"] or [[0, 0, 1, 1]]
    return round(max(box[2] for box in boxes)), round(max(box[3] for box in boxes))
