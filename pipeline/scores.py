"""What a trained model is worth, as lines for people."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import tables
from pipeline.runs import Json

_FIGURES = ("P", "R", "F1", "AP50", "AP50-95")


def rows(manifest: Json) -> Iterator[Json]:
    """The lines of a model: every split, all classes together and the whole face alone.

    P, R and F1 of the face are those at the threshold of validation; of all classes together, as
    Ultralytics and the thesis have them, at the best of each split.
    """
    from pipeline.parts import PARTS, WHOLE_FACE

    for split, scores in manifest["scores"].items():
        several = len(scores["classes"]) > 1
        face = PARTS[WHOLE_FACE] if several else next(iter(scores["classes"]))
        sets = {"all": scores["all"]} if several else {}
        known = scores["classes"][face]
        for classes, figures in (sets | {face: known | known["at_threshold"]}).items():
            values = {name: round(figures[name], 4) for name in _FIGURES}
            yield {"set": split, "classes": classes, **values}


def tell(target: Path, manifest: Json) -> None:
    """Print them."""
    print(f"{target}\n{tables.as_text(list(rows(manifest)))}")
    threshold = manifest["about"]["threshold"]
    if not threshold:
        print(
            "warning: it finds nothing on validation, so its threshold, 0, says nothing: "
            "train longer, or look at train_batch0.jpg",
            file=sys.stderr,
        )
    print(f"threshold {threshold:.3f}, chosen on validation; weights: best.pt")
