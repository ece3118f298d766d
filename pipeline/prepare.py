"""``uncover prepare``: public annotation formats -> ``datasets/NAME`` in the Ultralytics layout."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring numpy and OpenCV, which --help need not wait for
    from pipeline.annotations import Report, Source
    from pipeline.entries import Plan, Task
    from pipeline.sources import Gathered


@dataclass(frozen=True)
class Prepare:
    """Make a dataset to train and evaluate on from public annotation formats.

    Each source is FORMAT=PATH, or FORMAT=LABELS,PICTURES where the pictures lie apart.
    Formats: ibug, merl-rav, fgnet, wflw and cofw68 (landmarks: all ten parts),
    hand-over-face (bare frames), wider, fddb, voc, yolo, coco, nfd (boxes).

    Writes datasets/NAME with data.yaml for Ultralytics, manifest.json, annotations.jsonl
    and contact-sheet.jpg. Nothing is dropped in silence: the manifest counts it.

    Example: uncover prepare ibug=300w wflw=WFLW --name faces --occlude none,easy,medium,hard
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FORMAT=PATH")]
    """What to read; several sources become one dataset."""

    name: str
    """The dataset is written to datasets/NAME."""

    classes: Literal["parts", "face"] = "parts"
    """The ten facial parts, or the whole face alone."""

    split: str = "auto"
    """auto: the source's own split where it has one, else by ratio. own: an error where it has
    none. A ratio such as 8:1:1 for train:val:test overrules the source. Subjects, patients and
    photographs are never in two splits that we draw."""

    val_share: float = 0.1
    """Of the training pictures, lent to validation where a source has no validation split."""

    crowd: float = 0.25
    """Where a source does not promise that all faces are labelled, a picture whose largest
    labelled face is smaller than this share of its longer side may hold others: it stays in
    training and leaves validation and test, as in the thesis. 0 switches the rule off."""

    boxes_only: bool = False
    """Take faces without landmarks into a dataset of parts, as whole faces alone."""

    poses: str = "frontal,lefthalf,righthalf"
    """Of MERL-RAV's poses (frontal, lefthalf, righthalf, left, right), those to take."""

    face_names: str = ""
    """Class names that mean a whole face, separated by commas (voc, coco, yolo). Given, they
    take the place of the usual ones (face, HaveMask, NoMask, ...): name all that do."""

    occlude: str = ""
    """Draw occluders: of none, easy, medium, hard, the levels wanted for every picture,
    separated by commas. none is the picture as it is."""

    occluders: str = ""
    """The kinds of occluder to draw (hat, blanket, tube, ...), separated by commas; all by
    default. Prepare training and test with different kinds to see whether a model has
    learned the face or the occluder."""

    draws: int = 1
    """Occluded versions of each picture for each level."""

    turn: float = 0.0
    """Turn copies by an angle drawn up to this many degrees either way."""

    mirror: bool = False
    """Mirror copies: half of the turned ones, all where --turn is 0. Left and right swap."""

    copies: int = 1
    """Turned or mirrored copies of each training picture (with --turn or --mirror)."""

    turn_evaluation: bool = False
    """Turn copies of validation and test pictures too, into sets of their own
    (val_turned, test_turned, data-turned.yaml)."""

    link: Literal["hard", "copy", "symbolic"] = "hard"
    """How pictures get into the dataset. Hard links cost no space and survive the source's
    moving; they become copies where the disk is another one. Symbolic links break."""

    quality: int = 95
    """JPEG quality of the pictures that are drawn."""

    workers: int = 0
    """Processes that read and draw; 0: one for each core."""

    seed: int = 0
    """Of the split, the occluders and the angles."""

    overwrite: bool = False
    """Replace a dataset of this name that was made otherwise."""

    def run(self) -> Path:
        """Write the dataset, or find that it is there already; its folder."""
        from pipeline import sources as room
        from pipeline.annotations import Report
        from pipeline.assemble import build

        target = self._target()
        plan, ratio = self._plan(), self._ratio()
        found = room.parse(self.sources, _words(self.face_names))
        record = self._record(found)
        if _up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: made with the same settings from the same files")
            return target
        report = Report()
        pictures = room.gather(found, _words(self.poses), report)
        if not pictures:
            _tell_skips(report)
            raise UserError("nothing is left to prepare")
        tasks = self._tasks(pictures, found, ratio, report)
        with runs.whole_folder(target) as folder:
            try:
                manifest = build(tasks, plan, folder, target, report, self.workers)
            except UserError:
                _tell_skips(report)
                raise
            manifest = record | manifest | {"made": runs.provenance()}
            runs.write_json(folder / "manifest.json", manifest)
        _tell(target, manifest, report)
        return target

    def _target(self) -> Path:
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise UserError(f"--name {self.name!r}: expected a plain name, without a path")
        return runs.datasets() / self.name

    def _plan(self) -> "Plan":
        from pipeline.entries import Plan
        from pipeline.occlude import KINDS, LEVELS

        levels, kinds = _words(self.occlude), _words(self.occluders)
        for option, words, known in (
            ("--occlude", levels, tuple(LEVELS)),
            ("--occluders", kinds, tuple(KINDS)),
        ):
            for word in words:
                if word not in known:
                    raise UserError(f"{option} {word}: known are {', '.join(known)}")
        if not 0 <= self.turn <= 180:
            raise UserError(f"--turn {self.turn:g}: expected 0 to 180 degrees")
        for option, value in (("--draws", self.draws), ("--copies", self.copies)):
            if value < 1:
                raise UserError(f"{option} {value}: expected 1 or more")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality {self.quality}: expected 1 to 100")
        return Plan(
            classes=self.classes,
            levels=levels,
            kinds=kinds,
            draws=self.draws,
            copies=self.copies if self.turn or self.mirror else 0,
            turn=self.turn,
            mirror=self.mirror,
            turn_evaluation=self.turn_evaluation,
            crowd=self.crowd,
            boxes_only=self.boxes_only,
            link=self.link,
            quality=self.quality,
            seed=self.seed,
        )

    def _ratio(self) -> tuple[float, float, float] | None:
        from pipeline.splits import parse_ratio

        if not 0 <= self.val_share < 1:
            raise UserError(f"--val-share {self.val_share:g}: expected 0 to 1")
        return None if self.split in {"auto", "own"} else parse_ratio(self.split)

    def _record(self, found: "dict[str, Source]") -> Json:
        """What the dataset follows from: compared before it is made again."""
        from pipeline.sources import fingerprint

        settings = runs.settings_of(self)
        for name in ("name", "overwrite", "workers", "sources"):  # change nothing in it
            del settings[name]
        sources = {
            tag: {
                "path": str(source.path),
                "pictures": str(source.pictures or ""),
                "files": fingerprint(source),
            }
            for tag, source in found.items()
        }
        return {"settings": settings, "sources": sources}

    def _tasks(
        self,
        pictures: "list[Gathered]",
        found: "dict[str, Source]",
        ratio: tuple[float, float, float] | None,
        report: "Report",
    ) -> "list[Task]":
        """The split of every picture, source by source."""
        from pipeline import splits
        from pipeline.annotations import FORMATS
        from pipeline.entries import Task

        tasks: list[Task] = []
        for tag, source in found.items():
            mine = [picture for picture in pictures if picture.tag == tag]
            labelled = [picture for picture in mine if picture.annotation.labelled]
            members = [
                splits.Member(p.name, p.annotation.group or p.name, p.annotation.split)
                for p in labelled
            ]
            has_own = any(member.split for member in members)
            if self.split == "own" and not has_own and members:
                raise UserError(f"{tag} has no split of its own; use --split auto or a ratio")
            if ratio is None and has_own:
                chosen = splits.own(members, self.val_share, self.seed)
                twice = splits.shared_groups(members, chosen)
                report.note(f"subjects or photographs that {tag}'s own split has in two", twice)
            else:
                usual = splits.parse_ratio(FORMATS[source.format].ratio)
                chosen = splits.by_ratio(members, ratio or usual, self.seed)
            parts_labelled = any(picture.annotation.parts for picture in mine)
            tasks += [
                Task(
                    tag,
                    picture.name,
                    chosen.get(picture.name, splits.UNLABELLED),
                    picture.annotation,
                    parts_labelled,
                )
                for picture in mine
            ]
        return tasks


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _up_to_date(target: Path, record: Json, overwrite: bool) -> bool:
    """Whether the dataset is there as asked for; raises if it is there otherwise."""
    if not target.exists():
        return False
    try:
        from pipeline.dataset import Dataset

        saved = Dataset(target).manifest()
        changed = [
            line
            for part in ("settings", "sources")
            for line in runs.differences(saved[part], record[part])
        ]
    except (OSError, ValueError, KeyError):
        changed = ["it has no readable manifest.json, so it was not made by uncover prepare"]
    if not changed:
        return True
    if overwrite:
        return False
    lines = "".join(f"\n  {line}" for line in changed)
    raise UserError(f"{target} is there, made otherwise (--overwrite replaces it):{lines}")


def _tell(target: Path, manifest: Json, report: "Report") -> None:
    """A short account for people."""
    print(f"{target}")
    for split, count in manifest["pictures"].items():
        boxes = manifest["labels"][split]
        print(f"  {split:<12} {count:>7} pictures {sum(boxes.values()):>8} boxes")
    for what, count in report.notes.items():
        print(f"  {count:>7} {what}")
    _tell_skips(report)
    print(f"  look at {target / 'contact-sheet.jpg'}")


def _tell_skips(report: "Report") -> None:
    examples: dict[str, str] = {}
    for skip in report.skips:
        examples.setdefault(skip.what, str(skip))
    for what, count in report.counts.most_common():
        print(f"  left out: {count} x {what}; first: {examples.get(what, '')}", file=sys.stderr)
