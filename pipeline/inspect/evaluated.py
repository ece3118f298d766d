"""An evaluation as a record: what each pair of detectors said of the pictures measured on."""

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.dataset import Dataset
from pipeline.inspect.messages import Pair, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot
from pipeline.parts import PARTS
from pipeline.runs import Json

LEAST, MOST = 0.01, 20  # scores and boxes of a picture that people look at
_OLD = "made by an older version, which did not note where its pictures and weights lie"


def read(folder: Path, manifest: Json) -> Record:
    """What ``uncover evaluate`` has left in a folder."""
    places, paths = manifest.get("datasets", {}), manifest.get("weights", {})
    hashes = manifest["sources"]["weights"]
    pairs = list(_pairs(manifest))
    looks = [
        Looks(
            paths[pair["first"]],
            hashes[pair["first"]],
            manifest["sides"][pair["first"]],
            paths.get(pair["second"] or "", ""),
        )
        if pair["first"] in paths
        else None
        for pair in pairs
    ]
    files = sorted((folder / "predictions").glob("data-*.jsonl"))
    files += sorted((folder / "predictions").glob("empty-test*.jsonl"))
    shots = [shot for path in files for shot in _shots(path, pairs, places)]
    settings = manifest["settings"]
    return Record(
        folder,
        "evaluate",
        shots,
        pairs,
        looks,
        warnings=[] if places else [_OLD],
        settings={
            "split": settings["split"],
            "thresholds kept precision": f"{settings['precision']:.2f}",
            "command": manifest.get("made", {}).get("command", ""),
        },
    )


def _pairs(manifest: Json) -> Iterator[Pair]:
    """Each second stage behind its first, and each first alone; the last pair first."""
    for name, (first, conf, fallback_conf) in reversed(manifest.get("pairs", {}).items()):
        yield _pair(f"{first} + {name}", first, name, conf, fallback_conf)
    for first, conf in manifest["thresholds"].items():
        yield _pair(first, first, None, conf, 1.0)


def _pair(name: str, first: str, second: str | None, conf: float, fallback_conf: float) -> Pair:
    return {
        "name": name,
        "first": first,
        "second": second,
        "conf": conf,
        "fallback_conf": fallback_conf,
        "floor": LEAST,
        "fallback_floor": LEAST,
    }


def _shots(path: Path, pairs: list[Pair], places: Json) -> Iterator[Shot]:
    """The pictures of one file of predictions."""
    kind, _, split = path.stem.rpartition("-")[0].partition("-")
    data = Dataset(Path(places[kind])) if kind in places else None
    there = data is not None and (data.root / "annotations.jsonl").is_file()
    sizes = {row["name"]: row["size"] for row in data.rows(split)} if there and data else {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            scene = json.loads(line)
            name = f"{scene['split']}/{scene['name']}"
            where = data.picture(scene) if data else None
            width, height = sizes.get(scene["name"]) or _extent(scene)
            level = scene["level"] if scene["level"] != "unknown" else ""
            facts = {"photograph": Path(scene["source"]).name, "group": Path(scene["group"]).name}
            yield Shot(
                name=name,
                source=scene["name"],
                file=where,
                video=False,
                strip=scene["split"],
                number=0,
                seconds=None,
                size=(width, height),
                outcome=None,
                said=tuple(_said(scene["answers"], pair) for pair in pairs),
                best=_best(scene["best"], pairs),
                truth=scene["truth"],
                level=level,
                facts=facts | scene["facts"],
                ms=scene["ms"],
            )


def _said(answers: Json, pair: Pair) -> Said:
    second = pair["second"]
    return Said(_scored(answers[pair["first"]]), _scored(answers[second]) if second else None)


def _scored(answer: Json) -> list[Scored]:
    return [
        {"box": box, "score": score}
        for box, score in zip(answer["boxes"][:MOST], answer["scores"][:MOST], strict=True)
        if score >= LEAST
    ]


def _best(best: Json, pairs: list[Pair]) -> dict[str, float]:
    """Of every part, by the stage 1 of the first pair."""
    scores = best.get(pairs[0]["first"], []) if pairs else []
    return dict(zip(PARTS, scores, strict=False))


def _extent(scene: Json) -> tuple[int, int]:
    """About the size of a picture that is gone, from the boxes in it."""
    boxes = [box for answer in scene["answers"].values() for box in answer["boxes"]]
    boxes += scene["truth"] or [[0, 0, 1, 1]]
    return round(max(box[2] for box in boxes)), round(max(box[3] for box in boxes))
