"""One annotated picture -> the pictures and label files of a dataset that come from it.

The picture itself is linked where every reader would see the same in it, and rewritten
where not. Occluded and turned versions are drawn from it. All of it follows from the
task, the plan and the seed alone, so the work can be spread over processes in any order.
"""

import errno
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import boxes as box
from pipeline import images
from pipeline.annotations import EXTERNAL, SELF, Annotation, Face, Skip
from pipeline.boxes import Boxes
from pipeline.dataset import EMPTY, face_row, label_path, write_labels
from pipeline.images import Header, Picture, Unreadable
from pipeline.occlude import level_of, occlude_all
from pipeline.parts import SCHEMES, WHOLE_FACE, part_boxes
from pipeline.runs import Json
from pipeline.turn import Scene, draw_angle, mirror, turn

SMALLEST_WINDOW = 100  # pixels: the side of one without a face
_WINDOWS_TRIED = 60  # places in a picture
SMALLEST = 2.0  # pixels: a box less wide or high is no box
SMALLEST_PICTURE = 10  # pixels: Ultralytics passes over smaller ones as corrupt


@dataclass(frozen=True)
class Plan:
    """What is to be made of every picture."""

    classes: str  # "parts" or "face"
    levels: tuple[str, ...]  # of occlusion; empty: the pictures as they are
    kinds: tuple[str, ...]  # of occluders; empty: all
    draws: int  # occluded versions for each level
    copies: int  # turned versions for each picture
    turn: float  # degrees, either way
    mirror: bool
    turn_evaluation: bool
    empty: int  # windows without a face from each picture that is labelled completely
    crowd: float  # of the picture's longer side; 0: no rule about unlabelled faces
    forehead: float  # of the height of boxes without landmarks: above the brows, cut off
    boxes_only: bool  # take faces without landmarks into a dataset of parts
    link: str  # "hard", "copy" or "symbolic"
    quality: int
    seed: int


@dataclass(frozen=True, eq=False)
class Task:
    """One picture, and where its versions go."""

    tag: str
    name: str
    split: str
    annotation: Annotation
    parts_labelled: bool  # the source labels parts as boxes of their own


@dataclass
class Made:
    """What became of a task."""

    rows: list[Json] = field(default_factory=list)
    labels: Counter[tuple[str, int]] = field(default_factory=Counter)  # boxes by split and class
    notes: Counter[str] = field(default_factory=Counter)
    skips: list[Skip] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Version:
    """A scene on its way into the dataset, and how it came about."""

    scene: Scene
    suffix: str = ""  # of the file name
    level: str | None = None
    occluders: tuple[str, ...] = ()
    hidden: tuple[Json, ...] = ()  # for each face, what hides how much of it
    degrees: float = 0.0
    mirrored: bool = False

    @property
    def original(self) -> bool:
        """Whether the picture is the source's own, pixel for pixel."""
        return not self.suffix


def make(task: Task, plan: Plan, folder: Path) -> Made:
    """Write everything that comes from one picture; what cannot be written is told in ``skips``."""
    made = Made()
    annotation = task.annotation
    try:
        picture, header = images.read_with_header(annotation.picture)
    except Unreadable as error:
        made.skips.append(_skip(task, "picture cannot be read", str(error)))
        return made
    reason = _unfit(task, plan, header)
    if reason:
        made.skips.append(_skip(task, reason))
        return made
    faces = tuple(face.from_brows(plan.forehead) for face in annotation.faces)
    for split, version in _versions(task, plan, Scene(picture, faces, annotation.parts), made):
        _write(task, plan, folder, split, version, header, made)
    if annotation.complete and task.split in {"train", "val", "test"}:
        for window in _empty(task, plan, picture):
            _write(task, plan, folder, task.split + EMPTY, window, header, made)
    return made


def _unfit(task: Task, plan: Plan, header: Header) -> str | None:
    """Why a readable picture must not be in this dataset, or in this split of it."""
    annotation = task.annotation
    if min(header.width, header.height) < SMALLEST_PICTURE:
        return f"smaller than {SMALLEST_PICTURE} pixels, which Ultralytics passes over"
    faces = [face for face in annotation.faces if not face.ignore]
    needs_points = plan.classes == "parts" and not plan.boxes_only and not task.parts_labelled
    if needs_points and any(face.points is None for face in faces):
        return "a face without landmarks cannot give ten parts (--classes face or --boxes-only)"
    if plan.crowd and task.split in {"val", "test"} and not annotation.complete:
        sides = np.concatenate([box.as_boxes([]), *(face.whole for face in faces)])
        longest = (sides[:, 2:] - sides[:, :2]).max(initial=0)
        if longest < plan.crowd * max(header.width, header.height):
            return "may hold unlabelled faces, not for validation or test (--crowd)"
    return None


def _versions(task: Task, plan: Plan, scene: Scene, made: Made) -> Iterator[tuple[str, Version]]:
    """The picture as it is, occluded, and each of these turned, with the split of each."""
    for version in _occluded(task, plan, scene, made):
        yield task.split, version
        if task.split == "train":
            turned_split = task.split
        elif task.split in {"val", "test"} and plan.turn_evaluation:
            turned_split = f"{task.split}_turned"
        else:
            continue
        for copy in range(plan.copies):
            turned = _turned(task, plan, version, copy)
            if turned is None:
                what = "no turned copy: a face without landmarks turns by quarters only (--turn 90)"
                made.skips.append(_skip(task, what))
            else:
                yield turned_split, turned


def _occluded(task: Task, plan: Plan, scene: Scene, made: Made) -> Iterator[Version]:
    known = tuple(_known_cover(face) for face in scene.faces)
    if not plan.levels or task.split not in {"train", "val", "test"}:
        shares = [cover["hidden_landmarks"] for cover in known if cover]
        yield Version(scene, level=level_of(max(shares)) if shares else None, hidden=known)
        return
    for level in plan.levels:
        if level == "none":  # as it is: what the source flags as hidden stays hidden
            shares = [cover["hidden_landmarks"] for cover in known if cover]
            yield Version(scene, level=level_of(max(shares, default=0)), hidden=known)
            continue
        for draw in range(plan.draws):
            version, why = _cover(task, plan, scene, level, draw)
            if version is None:
                made.skips.append(_skip(task, f"no {level} version: {why}"))
            else:
                yield version


def _cover(
    task: Task, plan: Plan, scene: Scene, level: str, draw: int
) -> tuple[Version | None, str]:
    """One occluded version in which every face reaches the level, or why there is none."""
    if not scene.faces or not scene.any_angle:
        return None, "without landmarks nobody knows what an occluder hides"
    placed = [
        (face.points, SCHEMES[face.scheme], face.states == EXTERNAL)
        for face in scene.faces
        if face.points is not None and face.scheme is not None
    ]
    seed = [plan.seed, _number(task.name), _number(level), draw]
    covered = occlude_all(scene.picture, placed, level, seed, plan.kinds or None)
    if any(found.level != level for found in covered):
        return None, "these occluders cannot hide so much, or so little, of every face"
    faces = tuple(
        replace(face, visibility=_seen(face, found.hidden))
        for face, found in zip(scene.faces, covered, strict=True)
    )
    hidden = tuple(
        {
            "hidden_landmarks": round(found.landmark_share, 4),
            "hidden_face": round(found.face_share, 4),
            "hidden_equivalent": round(found.share, 4),
        }
        for found in covered
    )
    kinds = dict.fromkeys(kind for found in covered for kind in found.kinds)
    version = Version(
        replace(scene, picture=covered[0].picture, faces=faces),
        suffix=f"__{level}{draw}",
        level=level,
        occluders=tuple(kinds),
        hidden=hidden,
    )
    return version, ""


def _turned(task: Task, plan: Plan, version: Version, copy: int) -> Version | None:
    """A turned, perhaps mirrored version of a version; None where no angle is exact."""
    rng = np.random.default_rng([plan.seed, _number(task.name + version.suffix), 1 + copy])
    degrees: float | None = 0.0
    if plan.turn:
        degrees = draw_angle(rng, plan.turn, any_angle=version.scene.any_angle)
    mirrored = plan.mirror and (not degrees or rng.random() < 0.5)
    if degrees is None and not mirrored:
        return None
    scene = mirror(version.scene) if mirrored else version.scene
    return replace(
        version,
        scene=turn(scene, degrees) if degrees else scene,
        suffix=f"{version.suffix}__turn{copy}",
        degrees=degrees or 0.0,
        mirrored=mirrored,
    )


def _empty(task: Task, plan: Plan, picture: Picture) -> Iterator[Version]:
    """Windows of a picture in which there is no face, nor a part of one."""
    height, width = picture.shape[:2]
    parts = [part.box for part in task.annotation.parts]
    whole = [face.whole for face in task.annotation.faces]
    faces = np.concatenate([box.as_boxes([]), *whole, *parts])
    margin = 0.3 * np.tile(faces[:, 2:] - faces[:, :2], 2) * (-1, -1, 1, 1)
    rng = np.random.default_rng([plan.seed, _number(task.name)])
    count = 0
    for _ in range(_WINDOWS_TRIED if plan.empty else 0):
        side = int(rng.uniform(0.3, 0.9) * min(height, width))
        x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
        window = np.array([[x, y, x + side, y + side]], np.float32)
        if side < SMALLEST_WINDOW or box.iou(window, (faces + margin).astype(np.float32)).any():
            continue
        cut = np.ascontiguousarray(picture[y : y + side, x : x + side])
        yield Version(Scene(cut, (), ()), suffix=f"__empty{count}")
        count += 1
        if count == plan.empty:
            return


def _write(
    task: Task, plan: Plan, folder: Path, split: str, version: Version, header: Header, made: Made
) -> None:
    """One picture file, its label file, its line for annotations.jsonl."""
    height, width = version.scene.picture.shape[:2]
    boxes, classes = _labels(version.scene, plan, made.notes)
    source = task.annotation.picture
    linked = version.original and header.plain
    suffix = source.suffix.lower() if linked else ".png" if version.original else ".jpg"
    name = task.name + version.suffix + suffix
    target = folder / "images" / split / name
    for path in (target, label_path(folder, split, name)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if linked:
        place(source, target, plan.link)
    else:
        images.write(target, version.scene.picture, plan.quality)
        made.notes["pictures rewritten upright in 8 bits"] += version.original
    write_labels(label_path(folder, split, name), boxes, classes, (width, height))
    made.labels.update((split, number) for number in classes.tolist())
    made.rows.append(
        {
            "name": name,
            "split": split,
            "size": [width, height],
            "source": task.tag,
            "from": str(source),
            "group": task.annotation.group,
            "complete": task.annotation.complete,
            "level": version.level,
            "occluders": list(version.occluders),
            "turned": version.degrees,
            "mirrored": version.mirrored,
            "faces": [
                face_row(face, cover)
                for face, cover in zip(version.scene.faces, version.hidden, strict=True)
            ],
            "boxes": len(boxes),
        }
    )


def _labels(scene: Scene, plan: Plan, notes: Counter[str]) -> tuple[Boxes, NDArray[np.int64]]:
    """All boxes of a scene, cut at its borders, without those that are then too small."""
    found: list[Boxes] = []
    classes: list[NDArray[np.int64]] = []
    for face in scene.faces:
        if face.ignore:
            notes["faces that the source says to ignore, not labelled"] += 1
        elif plan.classes == "face" or face.points is None or face.scheme is None:
            found.append(face.whole)
            number = 0 if plan.classes == "face" else WHOLE_FACE
            classes.append(np.full(len(face.whole), number, np.int64))
        else:
            boxes, numbers = part_boxes(face.points, SCHEMES[face.scheme])
            found.append(boxes)
            classes.append(numbers)
        if not face.ignore and len(found[-1]) == 0:
            notes["faces without a box: too few of their landmarks have a place"] += 1
    for part in scene.parts if plan.classes == "parts" else ():
        found.append(part.box)
        classes.append(np.array([part.part], np.int64))
    if not found:
        return box.as_boxes([]), np.zeros(0, np.int64)
    boxes, numbers = np.concatenate(found), np.concatenate(classes)
    height, width = scene.picture.shape[:2]
    cut = box.clip(boxes, width, height)
    large = box.at_least(cut, SMALLEST)
    notes["boxes cut at the border of the picture"] += int(
        ((cut != boxes).any(axis=1) & large).sum()
    )
    notes[f"boxes under {SMALLEST:g} px or outside the picture, dropped"] += int((~large).sum())
    return cut[large], numbers[large]


def place(source: Path, target: Path, how: str) -> None:
    """Put a file into the dataset without touching the original.

    A hard link falls back to a copy where the file system cannot link (another disk).
    """
    if how == "symbolic":
        target.symlink_to(source.resolve())
        return
    if how == "hard":
        try:
            os.link(source.resolve(), target)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EEXIST, errno.ENOENT}:
                raise
        else:
            return
    shutil.copyfile(source, target)


def _known_cover(face: Face) -> Json:
    """What the source itself says of how much of a face is hidden."""
    if face.visibility is None:
        return {}
    placed = face.visibility != SELF
    hidden = (face.visibility == EXTERNAL).sum() / max(1, placed.sum())
    return {"hidden_landmarks": round(float(hidden), 4)}


def _seen(face: Face, hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(hidden, EXTERNAL, face.states).astype(np.uint8)  # hidden points have a place


def _number(text: str) -> int:
    """A number for a text that is the same on every machine, unlike ``hash``."""
    return zlib.crc32(text.encode("utf-8", "surrogateescape"))


def _skip(task: Task, what: str, detail: str = "") -> Skip:
    return Skip(str(task.annotation.picture), None, what, detail)
