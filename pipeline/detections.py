"""What was found in a picture, by whom, and why not more: the one type of a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.errors import UserError
from pipeline.images import Picture

if TYPE_CHECKING:  # it brings torch
    from pipeline.yolo import Results

How = Literal["found", "recovered", "held"]
Outcome = Literal["found", "recovered", "held", "missed", "unreadable"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
By = Literal["two-stage", "neonatal", "both"]
_KINDS: tuple[How, ...] = get_args(How)
LEAST = 0.05  # under this score no candidate for a face is kept
SAME = 0.45  # IoU from which a box of stage 2 repeats a face that stage 1 has found
# Why a face was missed, where stage 2 was asked; and where there is none.
PARTS_SEEN, FAINT = "parts seen, but no face", "faint evidence, but no face"
NOTHING_SEEN, NO_FACE = "no evidence of any part", "stage 1 gives no face"
# And why the neonatal detector has missed it.
SUSPECTED, NOTHING_LIKE = "a face is suspected, but not believed", "nothing like a face"
REASONS = frozenset({PARTS_SEEN, FAINT, NOTHING_SEEN, NO_FACE, SUSPECTED, NOTHING_LIKE})
STAGES: dict[str, str] = {"found": "rgb", "recovered": "heatmap"}  # of all else: none


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of faces that stage 1 has seen."""

    boxes: Boxes  # (N, 4) pixels of the picture
    scores: NDArray[np.float32]  # (N,)
    names: tuple[str, ...]  # N

    @staticmethod
    def none() -> "Parts":
        """Nothing was seen."""
        return Parts(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a stage takes for faces, best first, down to scores at which it is not believed."""

    boxes: Boxes  # (N, 4) pixels of the picture
    scores: NDArray[np.float32]  # (N,)

    @staticmethod
    def none() -> "Candidates":
        """Nothing, however unsure."""
        return Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True, eq=False)
class Heatmap:
    """What stage 2 was shown."""

    stack: NDArray[np.uint8]  # (C, H, W)
    facts: Mapping[str, object]  # as they are written into its file


@dataclass(frozen=True, eq=False)
class Detections:
    """The whole faces of one picture, best first of each kind; none is no face, never None."""

    boxes: Boxes  # (N, 4) xyxy in pixels of the picture
    scores: NDArray[np.float32]  # (N,)
    how: tuple[How, ...]  # N
    size: tuple[int, int]  # width and height of the picture; 0, 0 if there is none
    reason: str = ""  # why there are fewer faces than were looked for
    parts: Parts = field(default_factory=Parts.none)
    best: Mapping[str, float] = field(default_factory=dict)  # the best score of every part
    by: tuple[By, ...] = ()  # N: who found each, where two detectors have looked; else none
    first: Candidates = field(default_factory=Candidates.none)  # of stage 1, or of the only one
    second: Candidates | None = None  # of stage 2; none: it was not asked
    partner: Candidates | None = None  # of the neonatal detector, beside the two stages
    weak: bool = False  # no part is as sure as a part should be: an "empty" heatmap
    ms: Mapping[str, float] = field(default_factory=dict)  # milliseconds of each step
    heatmap: Heatmap | None = field(default=None, repr=False)
    picture: Picture | None = field(
        default=None, repr=False
    )  # of one picture that was asked about; of a stream, its frame's

    def __post_init__(self) -> None:
        assert self.boxes.shape == (len(self.scores), 4)
        assert len(self.how) == len(self.scores)
        assert len(self.by) in {0, len(self.scores)}

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def outcome(self) -> Outcome:
        """Of the picture: the stage that had the last word."""
        if self.size == (0, 0):
            return "unreadable"
        return outcome_of(self.how)

    def to_ultralytics(self, picture: Picture | None = None, path: str = "") -> "Results":
        """The faces as Ultralytics' Results on their picture: class 0 found, 1 recovered, 2 held.

        Detections of a stream do not keep their pictures: give the frame's.
        """
        from pipeline import yolo

        ground = self.picture if picture is None else picture
        if ground is None:
            raise UserError("to_ultralytics(frame.picture): a stream's results keep no pictures")
        kinds = np.array([_KINDS.index(how) for how in self.how], np.int64)
        return yolo.results(ground, yolo.Found(self.boxes, self.scores, kinds), _KINDS, path)

    @staticmethod
    def empty(size: tuple[int, int] = (0, 0), reason: str = "") -> "Detections":
        """No face; without a size, no picture either."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), (), size, reason)


def outcome_of(how: Sequence[How]) -> Outcome:
    """Of a picture that could be read: the stage that had the last word."""
    order: tuple[How, ...] = ("held", "recovered", "found")
    return next((kind for kind in order if kind in how), "missed")


@dataclass
class Hold:
    """The last faces of a video, carried over short gaps; what is carried is no detection."""

    longest: float  # seconds; 0: nothing is carried
    last: Detections | None = None
    at: float = 0.0

    def over(self, seconds: float | None, faces: Detections) -> Detections:
        """The faces of the next frame, or those of the last one that had some."""
        if seconds is None or faces.outcome == "unreadable":
            return faces
        if len(faces):
            self.last, self.at = faces, seconds
        elif self.last is not None and seconds - self.at <= self.longest:
            how: How = "held"
            carried = (self.last.boxes, self.last.scores, (how,) * len(self.last))
            boxes, scores, kinds = carried
            return replace(faces, boxes=boxes, scores=scores, how=kinds, by=self.last.by)
        return faces
