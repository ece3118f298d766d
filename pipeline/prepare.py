"""``uncover prepare``: public annotation formats -> ``datasets/NAME`` in the Ultralytics layout."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.settings import chosen, words

if TYPE_CHECKING:  # these bring numpy and OpenCV, which --help need not wait for
    from pipeline.annotations import Report, Source
    from pipeline.entries import Plan, Task
    from pipeline.sources import Gathered
    from pipeline.splits import Member


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

    sources: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="FORMAT=PATH", help_behavior_hint="(one or more)"),
    ]
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

    forehead: float = 0.0
    """Of the height of boxes that come without landmarks, the share above the brows, which is cut
    off: our whole face begins at the brows, published boxes mostly at the hairline. .22 for WIDER
    FACE (the median of 288 faces that WFLW annotates, too) and for most others. For what is
    trained on together with faces with landmarks, or measured beside them."""

    without: tuple[str, ...] = ()
    """Prepared datasets: photographs in their val and test splits, told by the names of their
    files and folders, are left out. What is trained on here may then be measured there."""

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

    empty: int = 0
    """Cut so many windows without a face from each picture whose source promises that all its
    faces are labelled (wider), into sets of their own (train_empty, val_empty, test_empty): a
    detector that has always seen a face sees one everywhere."""

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

    def __post_init__(self) -> None:
        """Refuse what makes no sense before any work is done."""
        if not 0 <= self.turn <= 180:
            raise UserError(f"--turn {self.turn:g}: expected 0 to 180 degrees")
        if not 0 <= self.val_share < 1 or not 0 <= self.crowd <= 1:
            raise UserError("--val-share and --crowd: expected a share between 0 and 1")
        if not 0 <= self.forehead < 1:
            raise UserError(f"--forehead {self.forehead:g}: expected a share between 0 and 1")
        if not 1 <= self.quality <= 100:
            raise UserError(f"--quality {self.quality}: expected 1 to 100")
        least = {"draws": 1, "copies": 1, "workers": 0, "seed": 0, "empty": 0}
        for option, value in least.items():
            if getattr(self, option) < value:
                raise UserError(f"--{option} {getattr(self, option)}: expected {value} or more")
        if not self.occlude and (self.occluders or self.draws > 1):
            raise UserError("--occluders and --draws do nothing without --occlude")
        if not (self.turn or self.mirror) and (self.copies > 1 or self.turn_evaluation):
            raise UserError("--copies and --turn-evaluation do nothing without --turn or --mirror")

    def run(self) -> Path:
        """Write the dataset, or find that it is there already; its folder."""
        from pipeline import sources as room
        from pipeline.annotations import Report
        from pipeline.assemble import build

        target = runs.datasets() / runs.plain_name(self.name)
        plan, ratio = self._plan(), self._ratio()
        found = room.parse(self.sources, words(self.face_names))
        report = Report()
        pictures = room.gather(found, self._poses(), runs.datasets(), report)
        pictures = list(_not_held_out(self._held_out(), pictures, report))
        record = self._record(room.fingerprints(pictures, found))
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: made with the same settings from the same files")
            return target
        if not pictures:
            _tell_skips(report)
            raise UserError("nothing is left to prepare")
        tasks = self._tasks(pictures, found, ratio, report)
        with runs.whole_folder(target, replace=self.overwrite) as folder:
            try:
                manifest = build(tasks, plan, folder, target, report, self.workers)
            except UserError:
                _tell_skips(report)
                raise
            manifest = record | manifest | {"made": runs.provenance()}
            runs.write_json(folder / "manifest.json", manifest)
        _tell(target, manifest, report)
        return target

    def _plan(self) -> "Plan":
        from pipeline.entries import Plan
        from pipeline.occlude import KINDS, LEVELS

        return Plan(
            classes=self.classes,
            levels=chosen("--occlude", self.occlude, LEVELS),
            kinds=chosen("--occluders", self.occluders, tuple(KINDS)),
            draws=self.draws,
            copies=self.copies if self.turn or self.mirror else 0,
            turn=self.turn,
            mirror=self.mirror,
            turn_evaluation=self.turn_evaluation,
            empty=self.empty,
            crowd=self.crowd,
            forehead=self.forehead,
            boxes_only=self.boxes_only,
            link=self.link,
            quality=self.quality,
            seed=self.seed,
        )

    def _poses(self) -> tuple[str, ...]:
        from pipeline.annotations.merl_rav import POSES

        return chosen("--poses", self.poses, POSES)

    def _ratio(self) -> tuple[float, float, float] | None:
        from pipeline.splits import parse_ratio

        return None if self.split in {"auto", "own"} else parse_ratio(self.split)

    def _held_out(self) -> dict[tuple[str, str], str]:
        """The names of photographs that nobody may train on, each with the dataset it is in."""
        from pipeline.dataset import open_dataset

        return {
            photograph: name
            for name in self.without
            for photograph in open_dataset(name).photographs("val", "test")
        }

    def _record(self, sources: Json) -> Json:
        """What the dataset follows from: compared before it is made again."""
        settings = runs.settings_of(self)
        for name in ("name", "overwrite", "workers", "sources"):  # change nothing in it
            del settings[name]
        return {"settings": settings, "sources": sources}

    def _tasks(
        self,
        pictures: "list[Gathered]",
        found: "dict[str, Source]",
        ratio: tuple[float, float, float] | None,
        report: "Report",
    ) -> "list[Task]":
        """The split of every picture; sources of one format share their subjects."""
        from pipeline import splits
        from pipeline.annotations import FORMATS
        from pipeline.entries import Task

        chosen: dict[str, str] = {}
        for name in dict.fromkeys(source.format for source in found.values()):
            mine = [p for p in pictures if found[p.tag].format == name and p.annotation.labelled]
            has_own = [p for p in mine if p.own_split and ratio is None]
            has_none = [p for p in mine if not (p.own_split and ratio is None)]
            if self.split == "own" and has_none:
                raise UserError(f"{has_none[0].tag} has no split of its own; use --split auto")
            usual = ratio or splits.parse_ratio(FORMATS[name].ratio)
            chosen |= splits.own(_members(has_own), self.val_share, self.seed)
            chosen |= splits.drawn(_members(has_none), usual, self.seed, overrule=ratio is not None)
            report.note(
                f"subjects or photographs that {name}'s own split has in two",
                splits.shared_groups(_members(mine), chosen),
            )
        with_parts = {picture.tag for picture in pictures if picture.annotation.parts}
        return [
            Task(
                picture.tag,
                picture.name,
                chosen.get(picture.name, splits.UNLABELLED),
                picture.annotation,
                picture.tag in with_parts,
            )
            for picture in pictures
        ]


def _not_held_out(
    held_out: dict[tuple[str, str], str], pictures: "list[Gathered]", report: "Report"
) -> "Iterator[Gathered]":
    """The pictures but those that are held out."""
    from pipeline.dataset import known_again

    for picture in pictures:
        path = picture.annotation.picture
        name = held_out.get(known_again(path))
        if name is None:
            yield picture
        else:
            report.skip(path, None, f"photograph is in val or test of {name} (--without)")


def _members(pictures: "list[Gathered]") -> "list[Member]":
    from pipeline.splits import Member

    return [
        Member(each.name, each.annotation.group or each.name, each.annotation.split)
        for each in pictures
    ]


def _tell(target: Path, manifest: Json, report: "Report") -> None:
    """A short account for people."""
    print(f"{target}")
    for split, count in manifest["pictures"].items():
        boxes = manifest["labels"][split]
        print(f"  {split:<12} {count:>7} pictures {sum(boxes.values()):>8} boxes")
    for what, count in report.notes.items():
        print(f"  {count:>7} {what}")
    _tell_skips(report)
    pictures = manifest["pictures"]
    if "train" in pictures and "val" not in pictures:
        print("  warning: no validation pictures; training needs some", file=sys.stderr)
    if "train" not in pictures:
        print("  for evaluation only: there are no training pictures")
    print(f"  look at {target / 'contact-sheet.jpg'}")


def _tell_skips(report: "Report") -> None:
    examples: dict[str, str] = {}
    for skip in report.skips:
        examples.setdefault(skip.what, str(skip))
    for what, count in report.counts.most_common():
        print(f"  left out: {count} x {what}; first: {examples.get(what, '')}", file=sys.stderr)
