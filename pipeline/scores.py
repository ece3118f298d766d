"""What a trained model is worth, as lines for people."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import tables
from pipeline.runs import Json

_AT, _AREAS = ("P", "R", "F1"), ("AP50", "AP50-95")


def rows(manifest: Json) -> Iterator[Json]:
    """The lines of a model: every split, all classes together and the whole face alone.

    P, R and F1 are those at the threshold that validation chose for each class, and the mean of
    them; empty where it has chosen none.
    """
    from pipeline.parts import PARTS, WHOLE_FACE

    scores = manifest["scores"]
    chosen = scores["val"]["classes"] if "val" in scores else {}
    for split, found in scores.items():
        classes = found["classes"]
        several = len(classes) > 1
        face = PARTS[WHOLE_FACE] if several else next(iter(classes))
        sets = {"all": (found["all"], list(classes))} if several else {}
        for words, (areas, names) in (sets | {face: (classes[face], [face])}).items():
            row: Json = {"set": split, "classes": words}
            for key in _AT:
                at = [classes[name]["at_threshold"][key] for name in names if name in chosen]
                row[key] = round(sum(at) / len(at), 4) if len(at) == len(names) else ""
            yield row | {key: round(areas[key], 4) for key in _AREAS}


def tell(target: Path, manifest: Json) -> None:
    """Print them."""
    print(f"{target}\n{tables.as_text(list(rows(manifest)))}")
    threshold = manifest["about"]["threshold"]
    if not 0 < threshold < 1:
        print(
            f"warning: it finds nothing on validation, so its threshold, {threshold:g}, says "
            "nothing: train longer, or look at the pictures that it learned from",
            file=sys.stderr,
        )
    print(f"threshold {threshold:.3f}, chosen on validation; weights: best.pt")
