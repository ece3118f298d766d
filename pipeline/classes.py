"""Every class of the first stages on labelled parts: Ultralytics' own figures and curves."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline import runs, scores
from pipeline.dataset import Dataset
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.runs import Json

# Of all that Ultralytics draws, what a report shows; the rest lies beside it.
_CURVES = ("confusion_matrix_normalized.png", "BoxPR_curve.png", "BoxF1_curve.png")


def judged(
    folder: Path,
    firsts: Mapping[str, Path],
    sets: Mapping[str, tuple[Dataset, str]],
    how: Json,
) -> tuple[list[Json], dict[str, bytes]]:
    """A row for each model and set, all classes and the whole face alone; curves of the last set.

    ``how``: batch, device, imgsz (0: that of the weights).
    Thresholds come from the first of the sets. Sets on which parts are not labelled are passed
    over. What is in the folder already is not done again.
    """
    rows, curves = list[Json](), dict[str, bytes]()
    for name, path in firsts.items():
        of_sets: dict[str, Json] = {}
        chosen: dict[str, float] = {}
        for words, (data, split) in sets.items():
            if not data.manifest()["labels"].get(split, {}).get(PARTS[WHOLE_FACE]):
                continue
            where = folder / "parts" / f"{name}-{words}"
            found = runs.read_json(where / "scores.json")
            if found is None:
                found = _judge(path, data, split, where, chosen, how)
                runs.write_json(where / "scores.json", found)
            each = {part: one["threshold"] for part, one in found["classes"].items()}
            chosen, of_sets[words] = chosen or each, found
            for curve in _CURVES:
                picture = where / curve
                if words == list(sets)[-1] and picture.is_file():
                    curves[f"parts/{name}-{words}/{curve}"] = picture.read_bytes()
        rows += [{"model": name} | row for row in scores.rows({"scores": of_sets})]
    return rows, curves


def _judge(
    path: Path,
    data: Dataset,
    split: str,
    where: Path,
    chosen: Mapping[str, float],
    how: Json,
) -> Json:
    from pipeline import yolo
    from pipeline.yolo import judging

    where.mkdir(parents=True, exist_ok=True)
    described: Json = {"path": str(data.root), "train": "images/train", "val": f"images/{split}"}
    described |= {"channels": data.channels, "names": dict(enumerate(data.names))}
    described["fitness"] = [0.0, 1.0]
    runs.write_text(where / "data.yaml", yaml.safe_dump(described, sort_keys=False))
    settings = how | {"imgsz": how["imgsz"] or yolo.about(path)["imgsz"]}
    return judging.judge(path, where / "data.yaml", settings, where, chosen)
