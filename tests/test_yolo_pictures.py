"""What networks see while they learn: the same as in detection, left and right kept apart."""

import random

import numpy as np
import pytest
import torch
from synthetic import face_picture, ibug_points
from ultralytics.cfg import get_cfg
from ultralytics.utils import DEFAULT_CFG

from pipeline import heatmap_files, images
from pipeline.dataset import write_labels
from pipeline.images import PAD, Letterbox
from pipeline.parts import IBUG68, PARTS, WHOLE_FACE, mirror_points, part_boxes
from pipeline.recipe import Recipe
from pipeline.yolo.pictures import Pictures

SIDE = 96
WIDTH, HEIGHT = 180, 110
POINTS = ibug_points(70, 55, 80, roll=12)
OFF = {"mosaic": 0.0, "scale": 0.0, "translate": 0.0, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0}


def pictures(folder, mode="val", data=None, **settings):
    args = get_cfg(DEFAULT_CFG, {"imgsz": SIDE, "cache": False, **settings})
    data = {"names": dict(enumerate(PARTS)), "channels": 3} | (data or {})
    return Pictures(str(folder / "images" / "train"), data, args, augment=mode == "train", batch=2)


@pytest.fixture
def faces(tmp_path):
    """One wide picture of one face with its ten parts."""
    for name in ("images", "labels"):
        (tmp_path / name / "train").mkdir(parents=True)
    picture = face_picture([POINTS], WIDTH, HEIGHT)
    images.write(tmp_path / "images" / "train" / "a.png", picture)
    boxes, classes = part_boxes(POINTS, IBUG68)
    write_labels(tmp_path / "labels" / "train" / "a.txt", boxes, classes, (WIDTH, HEIGHT))
    return tmp_path


@pytest.fixture
def heat(tmp_path):
    """One stack of ten heatmaps, each channel with its own value, and a face."""
    for name in ("images", "labels"):
        (tmp_path / name / "train").mkdir(parents=True)
    side = SIDE // 4
    stack = np.zeros((10, side, side), np.uint8)
    for channel in range(10):
        stack[channel, 8:16, 2:10] = 20 * (channel + 1)
    facts = heatmap_files.facts_of(Recipe(), list(PARTS), Letterbox(side, side, side, side))
    heatmap_files.write(tmp_path / "images" / "train" / "a.tif", stack, facts)
    box = np.array([[2, 8, 10, 16]], np.float32)
    write_labels(tmp_path / "labels" / "train" / "a.txt", box, np.zeros(1, int), (side, side))
    return tmp_path


HEAT = {"names": {0: "face"}, "channels": 10}


def test_validation_sees_what_detection_sees(faces):
    """The same bytes as stage 1 makes of the file: RGB, scaled by areas, centred on grey."""
    item = pictures(faces)[0]
    picture = images.read(faces / "images" / "train" / "a.png")
    expected = Letterbox(WIDTH, HEIGHT, SIDE, SIDE).picture(picture, PAD)

    assert np.array_equal(item["img"].permute(1, 2, 0).numpy(), expected)


def test_boxes_move_with_the_letterbox(faces):
    """A label is where the letterbox puts it."""
    item = pictures(faces)[0]
    boxes, _ = part_boxes(POINTS, IBUG68)
    expected = Letterbox(WIDTH, HEIGHT, SIDE, SIDE).apply(boxes)
    middle = item["bboxes"][:, :2].numpy() * SIDE

    assert np.allclose(middle, (expected[:, :2] + expected[:, 2:]) / 2, atol=0.6)


def test_a_mirrored_face_has_its_left_where_its_right_was(faces):
    """Each class lies where the mirrored landmarks put it, and the picture is mirrored."""
    item = pictures(faces, "train", fliplr=1.0, **OFF)[0]
    mirrored = mirror_points(POINTS, IBUG68, WIDTH)
    boxes, classes = part_boxes(mirrored, IBUG68)
    expected = Letterbox(WIDTH, HEIGHT, SIDE, SIDE).apply(boxes)
    middles = (expected[:, :2] + expected[:, 2:]) / 2
    for number in range(10):
        found = item["bboxes"][item["cls"][:, 0] == number, :2].numpy() * SIDE
        wanted = middles[classes == number]
        assert np.allclose(np.sort(found, axis=0), np.sort(wanted, axis=0), atol=1), PARTS[number]

    plain = pictures(faces, "train", fliplr=0.0, **OFF)[0]["img"]
    assert torch.equal(item["img"], plain.flip(2))


def test_upside_down_is_mirrored_too(faces):
    """A vertical flip exchanges left and right as a horizontal one does."""
    flat = pictures(faces, "train", fliplr=0.0, flipud=1.0, **OFF)[0]
    wide = pictures(faces, "train", fliplr=1.0, flipud=0.0, **OFF)[0]

    assert torch.equal(flat["cls"], wide["cls"])
    assert torch.equal(flat["img"].flip(1), wide["img"].flip(2))


def test_a_dataset_leaves_and_reads_no_cache(faces):
    """Ultralytics' cache of labels is a pickle: one from elsewhere could run code."""
    (faces / "labels" / "train.cache").write_bytes(b"not even a pickle")
    pictures(faces)

    assert not list(faces.rglob("*.cache"))


def test_a_mirrored_face_without_our_flip_would_be_wrong(faces):
    """The test above can fail: left and right really change places."""
    plain = pictures(faces, "train", fliplr=0.0, **OFF)[0]
    turned = pictures(faces, "train", fliplr=1.0, **OFF)[0]

    assert not torch.equal(plain["cls"], turned["cls"])


def test_a_mirrored_stack_exchanges_its_channels(heat):
    """The channel of the right face takes the place of the left one's; the rest stays."""
    off = {"translate": 0.0, "scale": 0.0}
    plain = pictures(heat, "train", HEAT, fliplr=0.0, **off)[0]["img"]
    turned = pictures(heat, "train", HEAT, fliplr=1.0, **off)[0]["img"]
    left, right = PARTS.index("left face"), PARTS.index("right face")

    assert torch.equal(turned[left], plain[right].flip(1))
    assert torch.equal(turned[right], plain[left].flip(1))
    assert torch.equal(turned[WHOLE_FACE], plain[WHOLE_FACE].flip(1))
    assert plain[left].max() != plain[right].max()


def test_darkness_surrounds_a_heatmap(heat):
    """However it is moved and scaled, only its own values and darkness appear."""
    random.seed(0)
    moved = pictures(heat, "train", HEAT, fliplr=0.5, translate=0.4, scale=0.5)
    for _ in range(20):
        image = moved[0]["img"]
        assert image.shape == (10, SIDE, SIDE)
        assert all(int(image[channel].max()) <= 20 * 10 for channel in range(10))
        assert (image == 0).float().mean() > 0.5


def test_a_heatmap_is_scaled_not_padded(heat):
    """Validation fills the square with the map, as stage 2 does."""
    image = pictures(heat, "val", HEAT)[0]["img"]
    stack, _ = heatmap_files.read(heat / "images" / "train" / "a.tif")
    side = stack.shape[1]
    expected = Letterbox(side, side, SIDE, SIDE).picture(
        np.ascontiguousarray(stack.transpose(1, 2, 0))
    )

    assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_one_class_of_ten(faces):
    """The control learns the whole face alone, from the same labels."""
    item = pictures(faces, data={"names": {0: "whole face"}, "only": WHOLE_FACE})[0]

    assert item["cls"].tolist() == [[0.0]]
