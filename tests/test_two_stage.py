"""The fallback: who is asked when, and what becomes of the answers."""

from pathlib import Path

import numpy as np
import pytest
import supervision
import torch
from films import film
from hypothesis import given
from hypothesis import strategies as st
from pairs import save_first, save_second

from pipeline import images, runs, samples, yolo
from pipeline.detections import Detections, Hold
from pipeline.errors import UserError
from pipeline.heatmaps import Maps
from pipeline.images import Letterbox
from pipeline.parts import PARTS, WHOLE_FACE
from pipeline.recipe import Recipe
from pipeline.stage1 import Stage1
from pipeline.two_stage import TwoStage
from pipeline.video import Frame
from pipeline.yolo import Found, Network

FACE = np.array([[10, 10, 50, 50]], np.float32)
OTHER = np.array([[60, 10, 90, 40]], np.float32)
NOTHING = np.zeros((0, 4), np.float32)


def found(boxes, score, number=WHOLE_FACE):
    count = len(boxes)
    return Found(boxes, np.full(count, score, np.float32), np.full(count, number, np.int64))


class First:
    """A stage 1 that says what it is told to, by the grey of the picture."""

    names = PARTS

    def __init__(self, says, best=0.1):
        self.says, self.best, self.asked = says, best, []

    def load(self, picture):
        height, width = picture.shape[:2]
        return picture, Letterbox(width, height, width, height)

    def look(self, loaded):
        for shape in dict.fromkeys(picture.shape for picture, _ in loaded):
            numbers = [n for n, (picture, _) in enumerate(loaded) if picture.shape == shape]
            greys = [int(loaded[number][0][0, 0, 0]) for number in numbers]
            yield Looked(numbers, greys, [loaded[number][1] for number in numbers])

    def boxes(self, looked, *_):
        return [self.says[grey] for grey in looked.greys]

    def heatmaps(self, looked, _):
        self.asked.append(looked.greys)
        best = torch.full((len(looked.greys), 10), self.best)
        maps = Maps(torch.zeros(len(looked.greys), 10, 2, 2), best, best < 0.25)
        stacks = np.zeros((len(looked.greys), 10, 2, 2), np.uint8)
        stacks[:, 0, 0, 0] = looked.greys
        return [(maps, stacks)]


class Looked:
    def __init__(self, numbers, greys, letterboxes):
        self.numbers, self.greys, self.letterboxes = numbers, greys, letterboxes

    @property
    def squares(self):
        return self.letterboxes

    def only(self, numbers):
        return Looked(
            [self.numbers[number] for number in numbers],
            [self.greys[number] for number in numbers],
            [self.letterboxes[number] for number in numbers],
        )


class Second:
    recipe = Recipe(peak=1.0)

    def __init__(self, says):
        self.says = says

    def boxes(self, stacks, *_):
        return [self.says[int(stack[0, 0, 0])] for stack in stacks]


def picture(grey):
    return np.full((80, 100, 3), grey, np.uint8)


def detector(first, second=None, **settings):
    return TwoStage(first, second, 0.5, 0.3, **settings)


def batch(it, greys):
    return it.batch([it.first.load(picture(grey)) for grey in greys])


def test_stage_2_is_asked_only_where_stage_1_is_silent():
    """And with the very features of that batch."""
    first = First({1: found(FACE, 0.9), 2: found(NOTHING, 0), 3: found(NOTHING, 0)})
    it = detector(first, Second({2: found(OTHER, 0.4, 0), 3: found(NOTHING, 0)}))
    one, two, three = batch(it, [1, 2, 3])

    assert first.asked == [[2, 3]]
    assert [each.outcome for each in (one, two, three)] == ["found", "recovered", "missed"]
    np.testing.assert_array_equal(two.boxes, OTHER)
    assert two.scores.tolist() == pytest.approx([0.4])
    assert three.reason == "faint evidence, but no face"
    assert two.weak
    assert not one.weak
    assert set(two.ms) == {"stage 1", "heatmap", "stage 2"}
    assert set(one.ms) == {"stage 1"}


@pytest.mark.parametrize(
    ("best", "reason"),
    [
        (0.001, "no evidence of any part"),
        (0.1, "faint evidence, but no face"),
    ],
)
def test_a_missed_face_has_a_reason(best, reason):
    first = First({1: found(NOTHING, 0)}, best)
    it = detector(first, Second({1: found(NOTHING, 0)}))

    assert batch(it, [1])[0].reason == reason


def test_parts_that_are_named_are_the_reason():
    """What the row lists and what the reason says are one: seen is what is at least .25."""
    for score, reason in ((0.3, "parts seen, but no face"), (0.2, "faint evidence, but no face")):
        first = First({1: found(FACE, score, PARTS.index("nose"))}, score)
        one = batch(detector(first, Second({1: found(NOTHING, 0)})), [1])[0]

        assert one.reason == reason
        assert one.parts.names == (("nose",) if score == 0.3 else ())


def test_without_a_fallback_a_miss_is_a_miss():
    (one,) = batch(detector(First({1: found(NOTHING, 0)})), [1])

    assert one.outcome == "missed"
    assert one.reason == "stage 1 gives no face"


def test_parts_are_told_but_are_no_faces():
    """Boxes of other classes go where parts go."""
    both = Found(
        np.concatenate([FACE, OTHER]),
        np.array([0.9, 0.8], np.float32),
        np.array([WHOLE_FACE, PARTS.index("nose")]),
    )
    (one,) = batch(detector(First({1: both})), [1])

    assert len(one) == 1
    assert one.parts.names == ("nose",)


def test_several_faces_are_looked_for_and_none_twice():
    """A box of stage 2 on a face that is found already is dropped, and no more than are missing."""
    answers = Found(
        np.concatenate([FACE + 1, OTHER, OTHER + 30]),
        np.array([0.9, 0.6, 0.5], np.float32),
        np.zeros(3, np.int64),
    )
    first = First({1: found(FACE, 0.9)})
    (one,) = batch(detector(first, Second({1: answers}), faces=2), [1])
    (four,) = batch(detector(first, Second({1: answers}), faces=4), [1])

    np.testing.assert_array_equal(one.boxes, np.concatenate([FACE, OTHER]))
    assert one.how == ("found", "recovered")
    assert one.outcome == "recovered"
    assert len(four) == 3
    assert four.reason == "3 of 4 faces"


def test_frames_keep_their_order_whatever_their_size(tmp_path):
    """Pictures of several shapes, unreadable ones between them, and a video."""
    for number, shape in enumerate([(80, 100), (80, 100), (100, 80), (80, 100)]):
        images.write(tmp_path / f"{number}.png", np.full((*shape, 3), 1, np.uint8))
    (tmp_path / "1b.png").write_bytes(b"hello")
    film(tmp_path / "z.mkv", count=3)
    first = First(dict.fromkeys(range(256), found(FACE, 0.9)))
    seen = list(detector(first).stream(str(tmp_path), batch=2))

    assert [frame.name for frame, _ in seen] == [
        *("0", "1", "1b", "2", "3", "z@000000", "z@000001", "z@000002")
    ]
    assert [faces.outcome for _, faces in seen] == ["found"] * 2 + ["unreadable"] + ["found"] * 5
    assert seen[2][1].reason.startswith("not a picture")
    assert seen[3][1].size == (80, 100)


def test_a_batch_ends_where_a_part_ends():
    """So that who goes on from there has the same batches."""
    first = First({1: found(FACE, 0.9)})
    sizes = []
    it = detector(first)
    look = first.look
    first.look = lambda loaded: sizes.append(len(loaded)) or look(loaded)
    frames = (Frame(picture(1), str(number), "x", number) for number in range(11))
    assert len(list(it.look(frames, 4, 6))) == 11
    assert sizes == [4, 2, 4, 1]


def test_who_looks_frame_by_frame_gets_each_before_the_next_comes():
    """A camera's frame is answered before its next is there."""
    first, asked = First({1: found(FACE, 0.9)}), []

    def camera():
        for number in range(4):
            asked.append(number)
            yield Frame(picture(1), str(number), "x", number)

    looked = detector(first).look(camera(), 1)
    for number in range(3):
        next(looked)
        assert asked[-1] == number


def test_a_batch_ends_early_where_frames_are_large(monkeypatch):
    """Memory is bounded in bytes, too: a folder may hold 100-megapixel photographs."""
    first = First({1: found(FACE, 0.9)})
    sizes = []
    it = detector(first)
    look = first.look
    first.look = lambda loaded: sizes.append(len(loaded)) or look(loaded)
    monkeypatch.setattr("pipeline.detector.LARGE", 3 * picture(1).nbytes - 1)
    frames = (Frame(picture(1), str(number), "x", number) for number in range(7))
    assert len(list(it.look(frames, 4))) == 7
    assert sizes == [3, 3, 1]


def test_shapes_may_be_mixed_in_a_batch():
    """Each goes through the network with its like, and all come back in order."""
    first = First({grey: found(FACE + grey, 0.9) for grey in range(5)})
    frames = (
        Frame(picture(grey)[: 80 - 20 * (grey % 2)], str(grey), "x", grey) for grey in range(5)
    )
    seen = list(detector(first).look(frames, 4))
    assert [faces.size for _, faces in seen] == [(100, 80 - 20 * (n % 2)) for n in range(5)]
    assert [int(faces.boxes[0, 0]) for _, faces in seen] == [10, 11, 12, 13, 14]


def test_a_face_is_held_over_a_short_gap_and_marked():
    """Not over a long one, not for pictures, and a held face is not held on from itself."""
    hold = Hold(1.0)
    seen = Detections(FACE, np.array([0.9], np.float32), ("found",), (100, 80))
    gap = Detections.empty((100, 80), "faint evidence, but no face")

    assert hold.over(0.0, seen) is seen
    held = hold.over(0.6, gap)
    assert held.outcome == "held"
    assert held.reason == "faint evidence, but no face"
    np.testing.assert_array_equal(held.boxes, FACE)
    assert hold.over(1.2, gap).outcome == "missed"
    assert hold.over(None, gap).outcome == "missed"
    assert hold.over(0.9, Detections.empty(reason="broken")).outcome == "unreadable"
    assert Hold(0.0).over(0.0, gap).outcome == "missed"


def test_a_rectangle_is_the_square_without_its_padding():
    """The same pixels at the same scale; the cells that are padding alone are left out."""
    stage = Stage1(Network(yolo.build("n", PARTS)), 320)
    wide = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    small, part = stage.load(wide)
    whole = Letterbox(1920, 1080, 320, 320)
    square = whole.picture(wide)

    assert small.shape == (192, 320, 3)
    assert part.scale == whole.scale
    top = whole.offset[1] - part.offset[1]
    np.testing.assert_array_equal(small, square[top : top + 192])
    assert stage.load(wide[:, :1080])[0].shape == (320, 320, 3)


@given(st.integers(8, 5000), st.integers(8, 5000))
def test_the_scale_is_that_of_the_square(width, height):
    """Also where a side is a hair over whole cells."""
    stage = Stage1(NETWORK, 320)
    part, whole = stage.letterbox(width, height), Letterbox(width, height, 320, 320)

    assert part.scale == pytest.approx(whole.scale)
    assert part.out_width % 32 == part.out_height % 32 == 0
    assert max(part.out_width, part.out_height) == 320


NETWORK = Network(yolo.build("n", PARTS))


@pytest.fixture
def weights(tmp_path):
    """A stage 1, and how to make a stage 2 that knows the heatmaps of another."""
    first = save_first(tmp_path / "first.pt")

    def second(sha256, imgsz=64):
        return str(save_second(tmp_path / f"second-{sha256[:4]}-{imgsz}.pt", sha256, imgsz))

    return str(first), second


def test_thresholds_come_with_the_weights(weights):
    first, second = weights
    behind = second(runs.sha256(Path(first)))
    it = TwoStage.load(first, behind, device="cpu")

    assert (it.conf, it.fallback_conf, it.first.imgsz) == (0.2, 0.4, 64)
    assert TwoStage.load(first, behind, device="cpu", conf=0.7).conf == 0.7
    chosen = Path(behind).with_stem("chosen")
    save_second(chosen, runs.sha256(Path(first)), threshold=0.3, first=0.6)
    together = TwoStage.load(first, str(chosen), device="cpu")
    assert (together.conf, together.fallback_conf) == (0.6, 0.3)
    assert TwoStage.load(first, "none", device="cpu", imgsz=128).second is None
    assert it(picture(9)).size == (100, 80)


def test_a_pair_that_does_not_belong_together_is_refused(weights):
    first, second = weights
    with pytest.raises(UserError, match="another stage 1"):
        TwoStage.load(first, second("0000"), device="cpu")
    with pytest.raises(UserError, match="made at imgsz 64"):
        TwoStage.load(first, second(runs.sha256(Path(first))), device="cpu", imgsz=128)
    with pytest.raises(UserError, match="made at imgsz 96"):
        TwoStage.load(first, second(runs.sha256(Path(first)), 96), device="cpu")


def test_it_is_found_where_people_look():
    """In the package itself, which does not bring torch until it is asked."""
    import pipeline

    assert pipeline.TwoStage is TwoStage
    assert pipeline.Detections is Detections
    with pytest.raises(AttributeError):
        pipeline.ThreeStage  # noqa: B018 - the asking is the test


def test_others_can_read_the_result():
    """Ultralytics' Results on the picture, and from them supervision's Detections."""
    first = First({1: found(FACE, 0.9), 2: found(NOTHING, 0)})
    it = detector(first, Second({2: found(OTHER, 0.4, 0)}))
    one, two = it(picture(1)).to_ultralytics(path="a.jpg"), it(picture(2)).to_ultralytics()
    read = supervision.Detections.from_ultralytics(two)

    assert one.path == "a.jpg"
    assert one.orig_img.shape == (80, 100, 3)
    assert one.boxes.xyxy.tolist() == FACE.tolist()
    assert [one.names[int(number)] for number in one.boxes.cls] == ["found"]
    np.testing.assert_array_equal(read.xyxy, OTHER)
    assert read.confidence.tolist() == pytest.approx([0.4])
    assert read.data["class_name"].tolist() == ["recovered"]
    assert len(Detections.empty((9, 9)).to_ultralytics(picture(1)).boxes) == 0
    with pytest.raises(UserError, match=r"frame\.picture"):
        Detections.empty((9, 9)).to_ultralytics()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"conf": 1.5}, "--conf 1.5"),
        ({"fallback_conf": -1}, "--fallback-conf"),
        ({"iou": 2}, "--iou"),
        ({"faces": 0}, "--faces 0"),
        ({"imgsz": 65}, "multiple of 32"),
    ],
)
def test_what_makes_no_sense_is_refused(weights, settings, words):
    with pytest.raises(UserError, match=words):
        TwoStage.load(weights[0], "none", device="cpu", **settings)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 3)),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(UserError, match="RGB uint8"):
        detector(First({}))(image)


def test_the_shipped_pair_finds_the_faces_on_bundled_photographs(tmp_path):
    """Cut out of the photographs that Ultralytics ships; a file or its pixels, the same."""
    it = TwoStage.load(device="cpu")
    seen = [it(window) for window, _ in samples.faces()]

    assert len(seen) == 4
    assert all(len(faces) for faces in seen)
    window, _ = next(samples.faces())
    images.write(tmp_path / "a.png", window)
    np.testing.assert_array_equal(it(tmp_path / "a.png").boxes, seen[0].boxes)
