"""Readers of formats whose classes go by name: Pascal VOC, YOLO txt, COCO."""

import json
from pathlib import Path

import numpy as np
import pytest
from annotation_files import BOM, coco, load, put, put_picture, told, voc, voc_object

from pipeline.annotations import names
from pipeline.annotations.types import Source
from pipeline.errors import UserError
from pipeline.parts import PARTS, WHOLE_FACE


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Whole_Face", WHOLE_FACE),
        ("HaveMask", WHOLE_FACE),
        ("mask_weared_incorrect", WHOLE_FACE),
        ("left-eye-face", PARTS.index("left eye face")),
        ("head", None),
        ("", None),
    ],
)
def test_what_class_names_mean(tmp_path, name, part):
    """Parts and the usual names of a face are known; a head is more than a face."""
    assert part == names.part_of(Source("voc", tmp_path), name)


def test_own_face_names_take_the_place_of_the_usual_ones(tmp_path):
    """Where 'mask' means the mask alone, the names given decide."""
    source = Source("voc", tmp_path, face_names=frozenset({"Head"}))
    assert [names.part_of(source, name) for name in ("head", "mask")] == [WHOLE_FACE, None]


def test_voc_objects(tmp_path):
    """A face by its name, a part by its name, difficult ones to be ignored, notes kept."""
    more = "<pose>Rear</pose><truncated>1</truncated><difficult>1</difficult>"
    voc(tmp_path, voc_object("NoMask", more=more), voc_object("mouth", (1, 2, 3, 4)))
    picture = put_picture(tmp_path / "JPEGImages" / "a.jpg")
    (annotation,), report = load("voc", tmp_path)
    face, part = annotation.faces[0], annotation.parts[0]
    assert face.box.tolist() == [[10, 20, 30, 40]]
    assert face.attributes == {"label": "NoMask", "pose": "Rear", "truncated": 1}
    assert face.ignore
    assert (PARTS.index("mouth"), [[1, 2, 3, 4]]) == (part.part, part.box.tolist())
    assert (annotation.picture, annotation.complete) == (picture, False)
    assert report.total == 0


@pytest.mark.parametrize("filename", ["image\\a.jpg.", "other.jpg", "", "../../../etc/a.jpg"])
def test_voc_picture_goes_by_the_name_of_the_xml(tmp_path, filename):
    """The filename tag is often wrong: a picture with the stem of the XML comes first."""
    voc(tmp_path, voc_object(), stem="é 1.b", filename=filename)
    picture = put_picture(tmp_path / "JPEGImages" / "é 1.b.png")
    (annotation,), _ = load("voc", tmp_path)
    assert picture == annotation.picture


def test_voc_picture_by_its_tag_where_no_other_is_there(tmp_path):
    """The last name of the tag's path counts, whichever slashes it has."""
    voc(tmp_path, voc_object(), stem="label7", filename="image\\a.jpg")
    picture = put_picture(tmp_path / "JPEGImages" / "a.jpg")
    assert [picture] == [a.picture for a in load("voc", tmp_path)[0]]


def test_voc_bad_objects_are_told_with_their_line(tmp_path):
    """Unknown names, corners inside out, letters, doubles; the other objects stay."""
    objects = [
        voc_object(),  # 3
        voc_object("dog"),  # 6
        voc_object(corners=(30, 20, 10, 40)),  # 9
        voc_object(corners=("x", 20, 30, 40)),  # 12
        voc_object(corners=("nan", 20, 30, 40)),  # 15
        voc_object(),  # 18: the first one again
        "<object>\n<name>face</name>\n</object>\n",  # 21
        voc_object("mouth", more=voc_object("nose", (1, 2, 3, 4))),  # one inside another
    ]
    voc(tmp_path, *objects)
    (annotation,), report = load("voc", tmp_path)
    assert (len(annotation.faces), len(annotation.parts)) == (1, 2)
    assert [line for _, line, _ in told(report)] == [6, 9, 12, 15, 18, 21]
    assert "--face-names" in report.skips[0].detail
    assert "'dog'" in report.skips[0].detail


def test_voc_files_that_are_none_are_told(tmp_path):
    """Cut, empty, binary, of another kind: one line each, and the next file is read."""
    whole = voc(tmp_path, voc_object(), stem="z").read_bytes()
    broken = {
        "cut": whole[:60],
        "empty": b"",
        "binary": bytes(range(256)),
        "other": b"<html></html>",
        "encoding": b'<?xml version="1.0" encoding="klingon"?><annotation/>',
        "latin": whole.replace(b"a.jpg", b"\xe9.jpg"),
    }
    for stem, data in broken.items():
        put(tmp_path / "Annotations" / f"{stem}.xml", data)
    put(tmp_path / "Annotations" / "y.xml", BOM + whole.replace(b"\n", b"\r\n"))
    found, report = load("voc", tmp_path)
    assert [Path(a.where).name for a in found] == ["y.xml", "z.xml"]
    assert sorted(f"{stem}.xml" for stem in broken) == sorted(name for name, _, _ in told(report))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_voc_refuses_entities(tmp_path, encoding):
    """Entities that would unfold to gigabytes are refused where they are declared."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">\n' for n in range(1, 12))
    bomb = f'<!DOCTYPE annotation [\n<!ENTITY e0 "ha">\n{levels}]>\n<annotation>&e11;</annotation>'
    put(tmp_path / "Annotations" / "a.xml", bomb.encode(encoding))
    voc(tmp_path, voc_object(), stem="b")
    found, report = load("voc", tmp_path)
    assert len(found) == 1
    assert told(report) == [("a.xml", 2, "XML with entities is not read")]


def test_voc_document_type_without_entities_is_read(tmp_path):
    """A DOCTYPE alone is harmless."""
    path = voc(tmp_path, voc_object())
    path.write_text("<!DOCTYPE annotation>\n" + path.read_text())
    found, report = load("voc", tmp_path)
    assert (len(found), report.total) == (1, 0)


def test_voc_splits(tmp_path):
    """ImageSets/Main says the split; who is in two is told."""
    for stem in "abcd":
        voc(tmp_path, voc_object(), stem=stem)
    lists = {"train": "a\r\n", "test": "b  1\na\n", "trainval": "a\nc\n"}
    for name, content in lists.items():
        put(tmp_path / "ImageSets" / "Main" / f"{name}.txt", content)
    found, report = load("voc", tmp_path)
    assert [a.split for a in found] == ["train", "test", "train", None]
    assert told(report) == [("test.txt", 2, "a picture in two splits")]


def test_coco_labels(tmp_path):
    """Faces, parts, crowds and attributes; an image without labels is one without faces."""
    entries = [
        {
            "image_id": 1,
            "category_id": 1,
            "bbox": [10, 20, 30, 40],
            "iscrowd": 1,
            "attributes": {"age": 1},
        },
        {"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4.5], "attributes": {"deep": {}}},
    ]
    coco(tmp_path / "annotations" / "instances_val2017.json", entries, images=("a é.jpg", "b.jpg"))
    picture = put_picture(tmp_path / "val2017" / "a é.jpg")
    (first, second), report = load("coco", tmp_path)
    assert first.faces[0].box.tolist() == [[10, 20, 40, 60]]
    assert (first.faces[0].ignore, first.faces[0].attributes) == (True, {"age": 1})
    assert (PARTS.index("nose"), [[1, 2, 4, 6.5]]) == (
        first.parts[0].part,
        first.parts[0].box.tolist(),
    )
    assert (first.picture, first.split, first.complete) == (picture, "val", True)
    assert (second.faces, second.complete) == ((), True)
    assert report.total == 0


def test_coco_bad_entries_are_told(tmp_path):
    """Whatever stands in the lists, the good entries are read and the others told."""
    good = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    bad = [
        *(good | {"image_id": key} for key in (9, None, [1], {}, 1.5)),
        *(good | {"category_id": key} for key in (9, None, [1], 3)),
        *(good | {"bbox": value} for value in (None, [], "1234", [1, 2, 0, 4], [1, 2, 3, "4"])),
        *(good | {"bbox": [1, 2, 3, value]} for value in (float("nan"), float("inf"), 10**400)),
        *(None, 7, [], "text"),
    ]
    path = coco(tmp_path / "a.json", [*bad, good], images=("a.jpg", "../../b.jpg"))
    content = json.loads(path.read_text())
    content["images"] += [{"id": 1, "file_name": "c.jpg"}, {"id": 7}, 5, {"file_name": "d.jpg"}]
    content["categories"] += [{"id": 8}, None]
    path.write_text(json.dumps(content))
    (annotation,), report = load("coco", path)
    assert (len(annotation.faces), annotation.complete) == (1, False)
    assert len(bad) + 4 + 2 + 1 == report.total


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"images": []}', b"\xff\xfe", b"[" * 100_000, b"9" * 5000]
)
def test_coco_refuses_what_is_no_coco(tmp_path, data):
    """A file that is not COCO's is refused; beside a good one, it is told and passed over."""
    path = put(tmp_path / "a.json", data)
    with pytest.raises(UserError, match="nothing in it can be read"):
        load("coco", path)
    coco(tmp_path / "b.json", [])
    found, report = load("coco", tmp_path)
    assert (len(found), report.total) == (2, 1)


def yolo(root, yaml="names: [face, nose]\ntrain: images/train\nval: images/val\n"):
    """Two pictures of 100 x 50, one with a face and a nose, one with nothing."""
    put_picture(root / "images" / "train" / "a é.b.jpg")
    put_picture(root / "images" / "val" / "b.png")
    put(root / "labels" / "train" / "a é.b.txt", "0 0.5 0.5 0.2 0.4\r\n1 .5 .5 .1 .1\r\n")
    return put(root / "data.yaml", yaml)


@pytest.mark.parametrize(
    "yaml",
    [
        "names: [face, nose]\ntrain: images/train\nval: images/val\n",
        "names: {0: face, 1: nose}\ntrain: [images/train]\nval: images/val\ntest:\n",
        "path: .\nnames: ['face', 'nose']\ntrain: ../images/train\nval: images/val\ntest: none\n",
        "path: /of/another/machine\nnames: [face, nose]\ntrain: a.txt\nval: images/val\n",
    ],
)
def test_yolo_shares_become_pixels(tmp_path, yaml):
    """Boxes in pixels of the picture, splits and names from the YAML in its many ways."""
    path = yolo(tmp_path, yaml)
    put(tmp_path / "a.txt", "./images/train/a é.b.jpg\n../../../../etc/x.jpg\n")
    put(tmp_path / "labels" / "val" / "b.txt", "")
    for source in (tmp_path, path):
        (first, second), report = load("yolo", source)
        np.testing.assert_allclose(first.faces[0].box, [[40, 15, 60, 35]], atol=1e-4)
        assert [PARTS.index("nose")] == [part.part for part in first.parts]
        assert (first.split, first.complete) == ("train", True)
        assert (second.split, second.complete, second.faces) == ("val", True, ())
        assert all(skip.line == 2 or "none" in skip.detail for skip in report.skips)


def test_yolo_without_yaml_class_0_is_a_face(tmp_path):
    """images and labels are enough for faces; the split comes from the folders."""
    put_picture(tmp_path / "images" / "val" / "a.jpg")
    put(tmp_path / "labels" / "val" / "a.txt", "0 0.5 0.5 0.2 0.4\n")
    (annotation,), report = load("yolo", tmp_path)
    assert (len(annotation.faces), annotation.split) == (1, "val")
    assert report.total == 0


def test_yolo_without_yaml_other_classes_need_names(tmp_path):
    """Nobody can know what class 3 is; a classes.txt says it as well as a YAML."""
    put_picture(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.2 0.4\n")
    with pytest.raises(UserError, match=r"a.txt:2: class 1, but no data.yaml"):
        load("yolo", tmp_path)
    put(tmp_path / "labels" / "classes.txt", "mouth\nface\n")
    (annotation,), report = load("yolo", tmp_path)
    assert (len(annotation.faces), len(annotation.parts)) == (1, 1)
    assert report.total == 0


def test_yolo_outlines_become_boxes(tmp_path):
    """A longer row is an outline."""
    yolo(tmp_path)
    put(tmp_path / "labels" / "train" / "a é.b.txt", "0 0.1 0.2 0.3 0.2 0.2 0.6\n")
    np.testing.assert_allclose(
        load("yolo", tmp_path)[0][0].faces[0].box, [[10, 10, 30, 30]], atol=1e-4
    )


def test_yolo_bad_lines_are_told(tmp_path):
    """Each with its line; a label without a picture and a broken picture, too."""
    yolo(tmp_path)
    good = "0 0.5 0.5 0.2 0.4"
    rows = [good, "0 0.5 0.5 0.2", "0 0.5 0.5 0.2 1.4", "x 0.5 0.5 0.2 0.4", "0 nan 0.5 0.2 0.4"]
    rows += [
        f"{'9' * 5000} .5 .5 .2 .4",
        "",
        "0 0.5 0.5 0 0.4",
        "0.0 .5 .5 .2 .4",
        "7 .5 .5 .2 .4",
        f"{good} 0.9",
        good,
    ]
    put(tmp_path / "labels" / "train" / "a é.b.txt", "\n".join(rows))
    put(tmp_path / "labels" / "train" / "alone.txt", good)
    put(tmp_path / "labels" / "val" / "b.txt", good)
    put(tmp_path / "images" / "val" / "b.png", b"no picture")
    (annotation,), report = load("yolo", tmp_path)
    assert (len(annotation.faces), annotation.complete) == (2, False)
    expected = [("alone.txt", None), ("b.png", None)]
    expected += [("a é.b.txt", line) for line in range(2, 12)]
    assert sorted(expected, key=str) == sorted(((n, line) for n, line, _ in told(report)), key=str)


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("names: [face", "data.yaml:1: not YAML"),
        ("just words", "expected train, val and names"),
        ("train: images/train\n", "expected names"),
        ("train: images/train\nnames: 3\n", "expected names"),
        ("names: [face]\ntrain: elsewhere\n", "none of train, val, test"),
        (f"names: [face]\npath: {'x' * 300}\ntrain: {'y' * 300}\n", "none of train, val, test"),
        ("[" * 5000, "not YAML"),
        ("names: [face]\ntrain: images/val\n", "no label file for any picture"),
    ],
)
def test_yolo_refuses_a_yaml_that_says_nothing(tmp_path, yaml, words):
    """Without names and places nothing can be understood: say what was expected."""
    yolo(tmp_path, yaml)
    with pytest.raises(UserError, match=words):
        load("yolo", tmp_path)
