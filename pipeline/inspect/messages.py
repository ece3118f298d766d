"""What the page and its server say to each other, in JSON: the one description of it.

Addresses are relative to the page's own, which ends with the token::

    GET  api/frames?pair=0               Frames
    GET  api/frame/INDEX?pair=0          Frame
    GET  api/maps/INDEX?pair=0&method=hirescam&levels=0,1  Maps; without: as saved, else the usual
    GET  api/marks                       Marks
    PUT  api/marks                       Change -> Marks
    GET  picture/INDEX?side=1280         a JPEG, or an SVG that says why there is none
    GET  gather/list.csv|coco.json|yolo.zip?pair=0&conf=.7&fallback_conf=.3&labels=face|parts

``INDEX`` counts the frames of the run from 0. What goes wrong is ``{"error": "in words"}`` with a
status of 4xx or 5xx. The page itself carries a :class:`Carried`, in the element ``embedded``; one
that was exported carries an :class:`Embedded` there and asks nobody.
"""

from typing import NotRequired, TypedDict

from pipeline.detections import Outcome


class Pair(TypedDict):
    """Detectors that were asked together, and from which scores on they are believed."""

    name: str
    called: str  # who gives the first boxes, as a sentence begins with it: Stage 1, The detector
    first: str
    second: str | None  # none: the first was alone
    parts: bool  # whether it tells the ten parts of a face; else there is one map of it
    levels: list[str]  # inputs of the head that maps can be drawn from, finest first
    conf: float
    fallback_conf: float
    floor: float  # under this score nothing was kept of the first
    fallback_floor: float  # and of stage 2
    faces: int | None  # so many are looked for: stage 2 gives no more than lack; none: all it has
    undrawn: str  # why no heatmap can be drawn on the spot; "": it can


class Method(TypedDict):
    """A way to draw heatmaps on the spot."""

    name: str
    words: str  # for people


class Run(TypedDict):
    """What is known of the whole run."""

    name: str
    command: str  # detect, extract, evaluate
    folder: str
    frames: int
    complete: bool  # false: it is being written, or was interrupted
    warnings: list[str]  # an older version, labels that do not fit ...; for people
    settings: dict[str, str]  # what people want to know of how it was made
    strips: list[str]  # what frames are grouped by on the time line: a video, a folder
    outcomes: list[Outcome]
    levels: list[str]  # of occlusion; empty if nobody knows any
    parts: list[str]  # the ten parts, in the order of their ids
    pairs: list[Pair]
    hold: float  # seconds that a face is carried over a gap
    labelled: bool  # whether the truth of any frame is known
    methods: list[Method]  # in which heatmaps can be drawn on the spot
    anonymized: bool  # faces in pictures are blurred
    colours: str  # base64 of 256 * 3 bytes: the colour of each value of a map


class Case(TypedDict):
    """What may be believed of one frame: all that follows from thresholds follows from it.

    Scores are best first. A truth is named by its number in the frame; -1 is one that counts
    nowhere: who finds it is neither right nor wrong.
    """

    first: list[float]  # of stage 1's boxes of whole faces
    second: list[float] | None  # of stage 2's; none: it was not asked
    same: list[list[int]]  # for each box of stage 2, the boxes of stage 1 that it repeats
    truths: int | None  # faces that are labelled; none: nobody knows
    hits: list[list[list[float]]]  # of each box of stage 1: [truth, IoU] from IoU .5 on
    fallback_hits: list[list[list[float]]]  # of each box of stage 2


class Frames(TypedDict):
    """All frames of the run, a list for each of their facts; all lists are equally long."""

    name: list[str]  # unique in the run; marks go by it
    strip: list[int]
    number: list[int | None]  # in its video, from 0; none of a picture
    seconds: list[float | None]
    outcome: list[int]  # as the run has it
    level: list[int]  # -1: unknown
    weak: list[bool]  # no part was seen as surely as a part should be
    case: list[Case]


class Scored(TypedDict):
    """A box (x1, y1, x2, y2) in pixels of the picture, with its score."""

    box: list[float]
    score: float
    by: NotRequired[str]  # of two detectors, who found it


class Part(Scored):
    """A part of a face that stage 1 has seen."""

    part: int


class Frame(TypedDict):
    """One frame in full; boxes in the order of their scores in :class:`Case`."""

    index: int
    name: str
    source: str  # the file it is of, or the camera
    number: int | None
    seconds: float | None
    size: list[int]  # width, height; 0, 0: unreadable
    reason: str  # why no more faces were found
    first: list[Scored]
    second: list[Scored] | None
    parts: list[Part]
    best: dict[str, float]  # the best score of every part, where it was kept
    truth: list[list[float]]
    shown: str  # original; annotated: boxes are drawn in it; none: only words are shown
    facts: dict[str, str]  # what else is known: occluders, the photograph it is of ...
    ms: dict[str, float]  # milliseconds of each step


class Maps(TypedDict):
    """The heatmaps of one frame; all cells lie on the letterboxed picture, row by row."""

    index: int
    method: str
    levels: list[int]  # inputs of the head, finest first
    saved: bool  # as the run has saved it; else it was drawn now
    words: str  # how they were made, for people; or why there are none
    width: int  # in cells; 0: there are none
    height: int
    place: list[float]  # where the picture lies on the cells: left, top, width, height
    best: dict[str, float]
    weak: list[str]
    stack: str  # base64 of parts * height * width bytes; empty: only the average was saved
    average: str  # base64 of height * width bytes


class Mark(TypedDict):
    """A frame that somebody wants to come back to."""

    note: str
    at: str  # when, ISO 8601


class Marks(TypedDict):
    """The marked frames by their names."""

    marks: dict[str, Mark]


class Change(TypedDict):
    """Frames to mark, or to mark no longer."""

    names: list[str]
    marked: bool
    note: str | None  # none: as it was


class Known(TypedDict):
    """What a served page knows before it asks."""

    run: Run


class Trouble(TypedDict):
    """Or this."""

    trouble: str  # why the run cannot be read any more


Carried = Known | Trouble


class Embedded(TypedDict):
    """All that an exported page knows."""

    run: Run
    frames: list[Frames]  # of each pair
    frame: list[list[Frame]]  # of each pair, of each index
    maps: list[Maps]  # of each index, by the first pair
    pictures: list[str]  # data: addresses
    marks: Marks
    words: str  # what was left out, for people
