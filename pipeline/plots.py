"""Curves of an evaluation: recovered by level, precision and recall, calibration."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.judged import OVERLAPS, Judged
from pipeline.points import Ranked, ranked
from pipeline.runs import Json

# Okabe and Ito's colours, with marks of their own for who sees none.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKS = "osD^vP*X"
_BINS = np.linspace(0, 1, 11)
_FEW = 10  # boxes, of which a share says little


def recovered(rows: Sequence[Json], base: str) -> bytes:
    """What share of the faces that one first stage misses each other recovers, level by level."""
    mine = [row for row in rows if row["missed by"] == base and row["missed"]]
    levels = list(dict.fromkeys(row["slice"] for row in mine if "=" not in row["slice"]))
    answerers = list(dict.fromkeys(row["answered by"] for row in mine))
    figure, axes = _axes(f"faces missed by {base}: recovered, with 95 % intervals", wide=True)
    for number, name in enumerate(answerers):
        row_of = {row["slice"]: row for row in mine if row["answered by"] == name}
        there = [(place, row_of[level]) for place, level in enumerate(levels) if level in row_of]
        places = [
            place + (number - len(answerers) / 2) * 0.8 / len(answerers) for place, _ in there
        ]
        values = np.array([row["recovered"] for _, row in there], float)
        low = values - [row["from"] for _, row in there]
        high = np.array([row["to"] for _, row in there], float) - values
        axes.errorbar(
            places,
            values,
            np.clip([low, high], 0, None),
            fmt=_MARKS[(number + number // 8) % len(_MARKS)],
            color=_COLOURS[number % len(_COLOURS)],
            fillstyle=("full", "none")[number // 8 % 2],
            capsize=2,
            label=name,
        )
    missed = {row["slice"]: row["missed"] for row in mine}
    axes.set_xticks(range(len(levels)), [f"{level}\n{missed[level]} missed" for level in levels])
    axes.set_ylabel("recovered of all missed")
    axes.set_ylim(-0.03, 1.03)
    _legend(axes, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)


def precision_recall(parts: Sequence[tuple[str, Judged]], name: str) -> bytes:
    """A detector's curve for every level; each has faces."""
    return _curves(
        f"{name}: precision and recall", [(words, ranked(part, name)) for words, part in parts]
    )


def compared(judged: Judged) -> bytes:
    """The curves of several detectors on the same pictures."""
    return _curves(
        "precision and recall, IoU .5", [(name, ranked(judged, name)) for name in judged.said]
    )


def epochs(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A training of the neonatal detector: losses on the left scale, average precision right."""
    figure, axes = _axes("losses, and average precision on some of validation")
    right = axes.twinx()
    for number, name in enumerate(("first", "second", "box", "quality", "AP50", "AP50-95")):
        ground, style = (right, "--") if name.startswith("AP") else (axes, "-")
        values = [float(row[name]) for row in rows]
        ground.plot(
            range(1, len(rows) + 1),
            values,
            style,
            color=_COLOURS[number % len(_COLOURS)],
            label=name,
        )
    right.set_ylim(0, 1.01)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    right.set_ylabel("average precision (dashed)")
    _legend(axes, fontsize=7, loc="upper left")
    _legend(right, fontsize=7, loc="upper right")
    return _png(figure)


def tightness(judged: Judged) -> bytes:
    """Average precision of several detectors, the tighter a box must be."""
    figure, axes = _axes("average precision over the IoU that a box must reach")
    for number, name in enumerate(judged.said):
        values = [ranked(judged, name, row).average_precision() for row in range(len(OVERLAPS))]
        axes.plot(
            OVERLAPS,
            values,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKS[number % len(_MARKS)],
            label=name,
        )
    axes.set_xlabel("IoU")
    axes.set_ylabel("average precision")
    axes.set_ylim(0, 1.01)
    _legend(axes, fontsize=7, loc="lower left")
    return _png(figure)


def f1(parts: Sequence[tuple[str, Judged]], name: str) -> bytes:
    """F1 of a detector at every threshold, for every level; each has faces."""
    figure, axes = _axes(f"{name}: F1 at every threshold")
    for number, (words, part) in enumerate(parts):
        whole = ranked(part, name)
        if not len(whole.scores):
            continue
        steps = np.linspace(whole.scores.min(), whole.scores.max(), 200)
        values = [whole.f1(float(step)) for step in steps]
        axes.plot(steps, values, color=_COLOURS[number % len(_COLOURS)], label=words)
    axes.set_xlabel("threshold")
    axes.set_ylabel("F1 of the whole face")
    axes.set_ylim(0, 1.01)
    _legend(axes, fontsize=7, loc="lower left")
    return _png(figure)


def calibration(judged: Judged, names: Sequence[str]) -> bytes:
    """How often boxes of a score are right: on the diagonal, a score is a probability."""
    figure, axes = _axes("calibration: what a score is worth")
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for number, name in enumerate(names):
        whole = ranked(judged, name)
        bins = np.clip(np.digitize(whole.scores, _BINS) - 1, 0, len(_BINS) - 2)
        counts = np.bincount(bins, minlength=len(_BINS) - 1)
        enough = counts >= _FEW
        score, share = (
            np.where(enough, np.bincount(bins, each, len(counts)) / np.maximum(counts, 1), np.nan)
            for each in (whole.scores, whole.right)
        )
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(score, share, linewidth=1, color=colour)  # broken where too few boxes are
        axes.scatter(
            score[enough],
            share[enough],
            s=8 * np.log10(counts[enough]) ** 2,
            label=name,
            color=colour,
            marker=_MARKS[number % len(_MARKS)],
        )
    axes.set_xlabel(f"score (a mark: {_FEW} boxes or more, the larger the more)")
    axes.set_ylabel("share of boxes that are right (IoU .5)")
    _legend(axes, fontsize=7, loc="upper left")
    return _png(figure)


def _curves(title: str, of: Sequence[tuple[str, Ranked]]) -> bytes:
    """Precision over recall, a line for each."""
    figure, axes = _axes(title)
    for number, (words, whole) in enumerate(of):
        recall, precision = _curve(whole)
        label = f"{words} (AP50 {whole.average_precision():.3f})"
        axes.plot(recall, precision, color=_COLOURS[number % len(_COLOURS)], label=label)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.01)
    _legend(axes, fontsize=7, loc="lower left")
    return _png(figure)


def _curve(whole: Ranked) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-whole.scores, kind="stable")
    hits = np.cumsum(whole.right[order])
    return hits / max(whole.faces, 1), hits / np.arange(1, len(order) + 1)


def _axes(title: str, *, wide: bool = False) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9 if wide else 5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    return figure, axes


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    return out.getvalue()


def _legend(axes: Axes, **how: Any) -> None:  # noqa: ANN401 - matplotlib's
    """Where there is anything to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**how)
