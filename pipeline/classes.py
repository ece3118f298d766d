"""Every class of the first stages on labelled parts: Ultralytics' own figures and curves."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline import runs, scores
from pipeline.dataset import Dataset
from pipeline.parts import PARTS
from pipeline.runs import Json

# Of all that Ultralytics draws, what a report shows; the rest lies beside it.
_CURVES = ("confusion_matrix_normalized.png", "BoxPR_curve.png", "BoxF1_curve.png")


def tables(
    folder: Path,
    earlier: Path,
    firsts: Mapping[str, Path],
    sets: Mapping[str, tuple[Dataset, str]],
    sources: Json,
    how: Json,
) -> tuple[list[Json], dict[str, bytes]]:
    """A row for each model and set, all classes and the whole face alone; curves of the test.

    ``sets`` are val, from which thresholds come, and test; one whose parts are not labelled is
    passed over. ``sources``: the fingerprint of each set, and of the weights by name. ``how``:
    batch, device, imgsz (0: that of the weights). What the folder holds already, or an ``earlier``
    one of the same, is not done again.
    """
    rows, curves = list[Json](), dict[str, bytes]()
    for name, path in firsts.items():
        of_sets: dict[str, Json] = {}
        chosen: dict[str, float] = {}
        for words, (data, split) in sets.items():
            if not _has_parts(data, split):
                continue
            where = Path("parts") / f"{name}-{words}"
            record = {"weights": sources["weights"][name], "data": sources[words], "split": split}
            record |= {"imgsz": how["imgsz"], "thresholds": chosen}
            for place in (folder / where, earlier / where):
                if (runs.read_json(place / "scores.json") or {}).get("of") == record:
                    break
            else:
                place = folder / where
                found = _judge(path, data, split, place, chosen, how)
                runs.write_json(place / "scores.json", {"of": record, "found": found})
            if place != folder / where:
                shutil.copytree(place, folder / where, dirs_exist_ok=True)
            of_sets[words] = (runs.read_json(folder / where / "scores.json") or {})["found"]
            if words == "val":
                classes = of_sets[words]["classes"]
                chosen = {part: one["threshold"] for part, one in classes.items()}
            for curve in _CURVES if words == "test" else ():
                if (folder / where / curve).is_file():
                    curves[str(where / curve)] = (folder / where / curve).read_bytes()
        rows += [{"model": name} | row for row in scores.rows({"scores": of_sets})]
    return rows, curves


def _has_parts(data: Dataset, split: str) -> bool:
    counts = data.manifest()["labels"].get(split, {})
    return sum(bool(counts.get(part)) for part in PARTS) > 1


def _judge(
    path: Path, data: Dataset, split: str, where: Path, chosen: Mapping[str, float], how: Json
) -> Json:
    from pipeline import yolo
    from pipeline.yolo import judging

    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    described = data.described(split) | {"fitness": [0.0, 1.0]}
    runs.write_text(where / "data.yaml", yaml.safe_dump(described, sort_keys=False))
    settings = how | {"imgsz": how["imgsz"] or yolo.about(path)["imgsz"]}
    return judging.judge(path, where / "data.yaml", settings, where, chosen)
