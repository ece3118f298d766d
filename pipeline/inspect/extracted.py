"""Heatmaps of any pictures (``uncover extract --source``) as a record: stage 1 alone."""

import json
from pathlib import Path

from pipeline.inspect.messages import Part, Scored
from pipeline.inspect.record import Looks, Record, Said, Shot, beside, pair_of
from pipeline.inspect.truth import Truth
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json


def read(folder: Path, manifest: Json, truth: Truth) -> Record:
    """What ``uncover extract --source`` has left in a folder."""
    weights, recipe = manifest["weights"], manifest["recipe"]
    where, asked = Path(manifest.get("folder") or Path.cwd()), weights.get("asked", "")
    conf = float(weights.get("threshold") or recipe["conf"])
    name, least = asked or "stage 1", recipe["conf"]
    pair = pair_of(name, (name, None), (max(conf, least), 1.0), least)
    lines = (folder / "frames.jsonl").read_text(encoding="utf-8").splitlines()
    imgsz = int(manifest["settings"]["imgsz"])
    looks = Looks(beside(where, asked), weights["sha256"], imgsz)
    return Record(
        folder,
        "extract",
        [_shot(json.loads(line), where, truth) for line in lines],
        [pair],
        [looks if asked else None],
        settings={
            "detector": asked,
            "heatmaps": f"{recipe['method']}, {recipe['compose']}, levels {recipe['levels']}",
            "command": manifest.get("made", {}).get("command", ""),
        },
        heatmaps=folder,
    )


def _shot(row: Json, where: Path, truth: Truth) -> Shot:
    name, source = row["name"], row["file"]
    video, file = "@" in name, where / Path(source).expanduser()
    faces: list[Scored] = []
    parts: list[Part] = []
    for box, score, kind in zip(row["boxes"], row["scores"], row["classes"], strict=True):
        if kind == WHOLE_FACE:
            faces.append({"box": box, "score": score})
        else:
            parts.append({"part": kind, "box": box, "score": score})
    known = truth.of(name, source, file)
    width, height = row["size"]
    return Shot(
        name=name,
        source=source,
        file=file,
        bytes=None,
        video=video,
        strip=name.split("@")[0] if video else str(Path(source).parent),
        number=row["number"],
        seconds=row["seconds"],
        size=(width, height),
        outcome=None if width else "unreadable",
        said=(Said(faces, None, row["best"]),),
        weak=len(row["weak"]) == len(PARTS),
        parts=parts,
        truth=None if known is None else known.boxes,
        level="" if known is None else known.level,
        facts={} if known is None else known.facts,
    )
