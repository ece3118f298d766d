"""Detectors over a prepared dataset, once: their boxes are then asked every question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import images
from pipeline.alternatives import FaceFromParts, bright_region
from pipeline.boxes import Boxes, as_boxes, iou
from pipeline.dataset import EMPTY, Dataset
from pipeline.overlap import THREADS, ahead
from pipeline.parts import WHOLE_FACE
from pipeline.runs import Json
from pipeline.stage1 import Looked, Stage1
from pipeline.stage2 import Stage2
from pipeline.yolo import Found

FORM = 2  # of the lines on disk: other lines are not read
_SAME = 0.5  # IoU of a label with the face that it is of
LEAST = 0.001  # boxes under this score are not kept
FROM_PARTS, BRIGHT, HELD = " (from parts)", " (brightest)", " (held)"  # behind a first stage's name


@dataclass(frozen=True, eq=False)
class Answer:
    """What one detector says of one picture."""

    boxes: Boxes  # (N, 4) whole faces in pixels, best first
    scores: NDArray[np.float32]  # (N,)


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture with its truth, and what every detector says of it."""

    name: str
    split: str
    level: str  # of occlusion: none, easy, medium, hard; or unknown
    truth: Boxes  # (G, 4) whole faces
    answers: dict[str, Answer]
    best: dict[str, NDArray[np.float32]]  # of each stage 1: (K,) the best score of every part
    blank: frozenset[str] = frozenset()  # second stages whose heatmap of it is black
    source: str = ""  # the photograph that it is of
    group: str = ""  # of pictures that belong together: a subject, a photograph
    facts: Mapping[str, str] = field(default_factory=dict)  # what else is known of the picture
    of_faces: tuple[Mapping[str, str], ...] = ()  # and of each true face: WFLW's pose=1 ...
    ignored: Boxes = field(default_factory=partial(as_boxes, ()))  # (I, 4) faces that count nowhere
    ms: Mapping[str, float] = field(default_factory=dict)  # what each detector took, of a batch

    def of(self, mine: NDArray[np.bool_]) -> "Scene":
        """With some of its faces (G,); the others count nowhere."""
        ignored = np.concatenate([self.ignored, self.truth[~mine]])
        faces = tuple(one for one, each in zip(self.of_faces, mine, strict=True) if each)
        return replace(self, truth=self.truth[mine], ignored=ignored, of_faces=faces)


@dataclass(frozen=True, eq=False)
class Detectors:
    """Who is asked, each by its name."""

    firsts: Mapping[str, Stage1]
    seconds: Mapping[str, tuple[str, Stage2]]  # each with the name of its first stage
    controls: Mapping[str, Stage1] = field(default_factory=dict)  # of the whole face alone
    geometry: FaceFromParts | None = None  # if known: faces fitted to the parts that were seen

    @property
    def names(self) -> list[str]:
        """Of everybody who answers."""
        behind = [name + more for name in self.firsts for more in (FROM_PARTS, BRIGHT)]
        return [*self.firsts, *self.seconds, *self.controls, *behind]


def scene_of(data: Dataset, row: Json, face: int) -> Scene:
    """What is known of a picture, before anybody is asked; ``face``: the class of its faces."""
    boxes, classes = data.labels(row)
    truth = boxes[classes == face]
    facts = {"source": row["source"], "occluders": "+".join(row["occluders"])}
    return Scene(
        row["name"],
        row["split"],
        "no face" if row["split"].endswith(EMPTY) else row["level"] or "unknown",
        truth,
        {},
        {},
        source=row["from"],
        group=row["group"] or row["from"],
        facts={key: value for key, value in facts.items() if value},
        of_faces=tuple(_facts(one, row) for one in truth),
        ignored=as_boxes([face["box"] for face in row["faces"] if face["ignore"] and face["box"]]),
    )


def films(scenes: Sequence[Scene]) -> set[str]:
    """The groups of more than one photograph."""
    sources: dict[str, set[str]] = {}
    for scene in scenes:
        sources.setdefault(scene.group, set()).add(scene.source)
    return {group for group, own in sources.items() if len(own) > 1}


def held(scenes: Sequence[Scene], base: str, conf: float, most: int) -> list[Scene]:
    """Each with one more answer: the last face that a first stage was sure of.

    Scenes of one group are frames of one video, in the order of the dataset, unless they are
    versions of one photograph. A face is held for at most so many frames, and counts the less the
    older it is.
    """
    out, last, together = list[Scene](), dict[str, tuple[int, Answer]](), films(scenes)
    frames = dict.fromkeys((scene.group for scene in scenes), 0)
    for scene in scenes:
        frame = frames[scene.group]
        frames[scene.group] += 1
        own = scene.answers[base]
        if scene.group not in together:
            last.pop(scene.group, None)
        if len(own.scores) and own.scores[0] >= conf:
            last[scene.group] = frame, own
        begun, old = last.get(scene.group, (-most - 1, own))
        left = max(1 - (frame - begun) / (most + 1), 0)
        kept = slice(0, 1 if left else 0)
        answer = Answer(old.boxes[kept], old.scores[kept] * np.float32(left))
        out.append(replace(scene, answers=scene.answers | {base + HELD: answer}))
    return out


def look(
    data: Dataset, split: str, who: Detectors, batch: int = 16, skip: int = 0
) -> Iterator[Scene]:
    """Every picture of a split, but the first so many, past all detectors."""
    rows = list(data.rows(split))[skip:]
    parts = [rows[first : first + batch] for first in range(0, len(rows), batch)]
    bar = tqdm(parts, desc=f"{data.root.name} {split}", unit="batch", disable=None, leave=False)
    face = data.face
    pictures = ahead(
        lambda part: [images.read_named(data.picture(row)) for row in part],
        bar,
        THREADS,
        THREADS + 1,
    )
    for part, loaded in zip(parts, pictures, strict=True):
        said = [_Said() for _ in part]
        for name, stage in who.firsts.items():
            begin = perf_counter()
            for looked in stage.look([stage.load(picture) for picture in loaded]):
                _ask(who, name, looked, [said[number] for number in looked.numbers], begin)
                begin = perf_counter()
        for name, stage in who.controls.items():
            begin = perf_counter()
            for looked in stage.look([stage.load(picture) for picture in loaded]):
                asked = [said[number] for number in looked.numbers]
                for one, found in zip(asked, stage.boxes(looked, LEAST), strict=True):
                    one.answers[name] = _answer(found, 0)
                begin = _took(asked, name, begin)
        for row, one in zip(part, said, strict=True):
            known = scene_of(data, row, face)
            blank = frozenset(one.blank)
            yield replace(known, answers=one.answers, best=one.best, blank=blank, ms=one.ms)


@dataclass(eq=False)
class _Said:
    """What is said of one picture, while detectors are asked."""

    answers: dict[str, Answer] = field(default_factory=dict)
    best: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    blank: set[str] = field(default_factory=set)
    ms: dict[str, float] = field(default_factory=dict)


def _took(said: Sequence[_Said], name: str, begin: float) -> float:
    """Note the time since ``begin``, shared out among pictures; the time now."""
    now = perf_counter()
    for one in said:
        one.ms[name] = (now - begin) * 1000 / len(said)
    return now


def _ask(who: Detectors, name: str, looked: Looked, said: Sequence[_Said], begin: float) -> None:
    """Pictures past one first stage and all that lives on what it has seen."""
    stage = who.firsts[name]
    all_found = stage.boxes(looked, LEAST)
    begin = _took(said, name, begin)
    for one, found in zip(said, all_found, strict=True):
        one.answers[name] = _answer(found, WHOLE_FACE)
        if who.geometry is not None:
            one.answers[name + FROM_PARTS] = _answer(who.geometry.box(found), 0)
    peaks = [level.logits.flatten(2).amax(2) for level in looked.levels]
    scores = np.max([peak.float().sigmoid().cpu().numpy() for peak in peaks], axis=0)  # (B, K)
    for one, values in zip(said, scores, strict=True):
        one.best[name] = values
    follow = {key: second for key, (first, second) in who.seconds.items() if first == name}
    recipes = [second.recipe for second in follow.values()]
    begin = perf_counter()
    drawn = stage.heatmaps(looked, recipes)
    drawing = perf_counter() - begin  # one pass for all of them, counted for each
    for (key, second), (_, stacks) in zip(follow.items(), drawn, strict=True):
        begin = perf_counter() - drawing
        answers = second.boxes(list(stacks), looked.squares, LEAST)
        _took(said, key, begin)
        for one, found, stack in zip(said, answers, stacks, strict=True):
            one.answers[key] = _answer(found, 0)
            if not stack.any():
                one.blank.add(key)
    for _, stacks in drawn[:1]:  # the first of its recipes is as good as any
        for one, stack, square in zip(said, stacks, looked.squares, strict=True):
            one.answers[name + BRIGHT] = _answer(bright_region(stack, square), 0)


def _answer(found: Found, face: int) -> Answer:
    chosen = found.classes == face
    return Answer(found.boxes[chosen], found.scores[chosen])


def _facts(truth: NDArray[np.float32], row: Json) -> dict[str, str]:
    """What the annotations say of a face that was labelled."""
    placed = [face for face in row["faces"] if face["box"] and not face["ignore"]]
    fits = iou(truth[None], as_boxes([face["box"] for face in placed]))[0]
    if not len(fits) or fits.max() < _SAME:
        return {}
    attributes = placed[int(np.argmax(fits))]["attributes"]
    return {name: str(value) for name, value in attributes.items() if value is not None}


def best_first(found: Iterable[tuple[Sequence[float], float]]) -> Answer:
    """Boxes with their scores, in any order."""
    best = sorted(found, key=lambda each: -float(each[1]))
    boxes = np.array([box for box, _ in best], np.float32).reshape(-1, 4)
    return Answer(boxes, np.array([score for _, score in best], np.float32))


def as_json(scene: Scene) -> Json:
    """A line of a file of predictions."""
    return {
        "name": scene.name,
        "split": scene.split,
        "level": scene.level,
        "truth": np.round(scene.truth.astype(float), 2).tolist(),
        "answers": {
            name: {
                "boxes": np.round(answer.boxes.astype(float), 2).tolist(),
                "scores": np.round(answer.scores.astype(float), 4).tolist(),
            }
            for name, answer in scene.answers.items()
        },
        "best": {
            name: np.round(values.astype(float), 4).tolist() for name, values in scene.best.items()
        },
        "blank": sorted(scene.blank),
        "source": scene.source,
        "group": scene.group,
        "facts": dict(scene.facts),
        "of_faces": [dict(facts) for facts in scene.of_faces],
        "ignored": scene.ignored.tolist(),
        "ms": {name: round(value, 3) for name, value in scene.ms.items()},
    }


def of_json(line: Json) -> Scene:
    """Inverse of :func:`as_json`."""
    answers = {
        name: Answer(
            np.array(said["boxes"], np.float32).reshape(-1, 4),
            np.array(said["scores"], np.float32),
        )
        for name, said in line["answers"].items()
    }
    best = {name: np.array(values, np.float32) for name, values in line["best"].items()}
    truth = np.array(line["truth"], np.float32).reshape(-1, 4)
    words = (line["name"], line["split"], line["level"])
    blank, ignored = frozenset[str](line["blank"]), as_boxes(line["ignored"])
    more = (line["source"], line["group"], line["facts"])
    faces = tuple(line["of_faces"])
    return Scene(*words, truth, answers, best, blank, *more, faces, ignored, line["ms"])
