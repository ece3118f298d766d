"""Readers of lists of boxes: WIDER FACE, FDDB, NFD."""

import time
import tracemalloc

import numpy as np
import pytest
from annotation_files import BOM, load, put, put_picture, told, wider

from pipeline import boxes as box
from pipeline.annotations import Report, Source, fddb, read
from pipeline.errors import UserError

ROW = "10 20 30 40 2 1 0 0 2 1 \n"
BLOCKS = f"0--Parade/a.jpg\n1\n{ROW}"


def test_wider_block(tmp_path):
    """x y w h become corners, the six columns attributes; invalid faces are to be ignored."""
    wider(tmp_path, f"0--Parade/my é a.jpg\n2\n{ROW}1 2 3 4 0 0 0 1 0 0\n", split="val")
    (annotation,), report = load("wider", tmp_path)
    first, second = annotation.faces
    assert first.box.tolist() == [[10, 20, 40, 60]]
    names = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
    assert dict(zip(names, (2, 1, 0, 0, 2, 1), strict=True)) == first.attributes
    assert (first.ignore, second.ignore) == (False, True)
    assert annotation.picture == tmp_path / "WIDER_val" / "images" / "0--Parade" / "my é a.jpg"
    assert (annotation.split, annotation.complete) == ("val", True)
    assert report.total == 0


@pytest.mark.parametrize("zeros", ["", "0 0 0 0 0 0 0 0 0 0 \n"])
@pytest.mark.parametrize("last", [True, False])
def test_wider_picture_without_faces(tmp_path, zeros, last):
    """A count of 0 may be followed by a row of zeros or by nothing, also at the end."""
    wider(tmp_path, f"b.jpg\n0\n{zeros}" + ("" if last else BLOCKS))
    found, report = load("wider", tmp_path)
    assert ([0] if last else [0, 1]) == [len(a.faces) for a in found]
    assert found[0].complete
    assert report.total == 0


def test_wider_rows_of_four_numbers(tmp_path):
    """The attributes may be missing."""
    wider(tmp_path, "a.jpg\n1\n1 2 3 4\n")
    (annotation,), report = load("wider", tmp_path)
    assert annotation.faces[0].attributes == {}
    assert report.total == 0


def test_wider_goes_on_at_the_next_name(tmp_path):
    """Wrong counts, rows and boxes are told with their line; every later block is read."""
    bad_row = "10 x 30 40 2 1 0 0 2 1 \n"
    lines = [
        *("1 2 3 4\n", "5 6 7 8\n"),  # 1: rows before any name
        *("a.jpg\n", "2\n", ROW, bad_row),  # 6
        *("b.jpg\n", "many\n", ROW, ROW),  # 8, and 9 with the row after it
        *("c.jpg\n", "2\n", ROW),  # 11: one row is missing
        *("d.jpg\n", "1\n", ROW, ROW),  # 17: one too many
        *("e.jpg\n", "1\n", "10 20 0 40 0 0 0 0 0 0\n"),  # 20
        *("f.jpg\n", "g.jpg\n", "1\n", ROW),  # 21: no count
        "../../../h.jpg\n0\n",  # 25
    ]
    wider(tmp_path, "".join(lines))
    found, report = load("wider", tmp_path)
    expected = [("a.jpg", 1), ("c.jpg", 1), ("d.jpg", 1), ("g.jpg", 1)]
    assert expected == [(a.picture.name, len(a.faces)) for a in found]
    assert [a.complete for a in found] == [False, False, False, True]
    assert sorted(line for _, line, _ in told(report)) == [1, 6, 8, 9, 11, 17, 20, 21, 25]


def test_wider_byte_order_mark_and_windows_line_ends(tmp_path):
    """The first name has no mark in it, the last none of the line end."""
    wider(tmp_path, BOM + BLOCKS.replace("\n", "\r\n").encode())
    (annotation,), report = load("wider", tmp_path)
    assert annotation.picture.name == "a.jpg"
    assert report.total == 0


def test_wider_list_of_names_is_read_if_given_itself(tmp_path):
    """The test set has names only: pictures without labels."""
    wider(tmp_path, BLOCKS)
    path = put(
        tmp_path / "wider_face_split" / "wider_face_test_filelist.txt", "0--P/a.jpg\nb.jpg\n"
    )
    assert [a.split for a in load("wider", tmp_path)[0]] == ["train"]
    found, _ = load("wider", path)
    assert [(a.picture.name, a.split, a.labelled) for a in found] == [
        ("a.jpg", "test", False),
        ("b.jpg", "test", False),
    ]


@pytest.mark.timed
def test_a_million_lines_pass_in_seconds_and_little_memory(tmp_path):
    """A list is read block by block: its length costs time, not memory."""
    with wider(tmp_path, "").open("w") as file:
        for number in range(100_000):
            file.write(f"{number}.jpg\n8\n" + ROW * 8)
    source, report = Source("wider", tmp_path), Report()
    start = time.monotonic()
    faces = sum(len(annotation.faces) for annotation in read(source, report))
    assert faces == 800_000
    assert time.monotonic() - start < 60  # about 5 s on an idle core
    assert report.total == 0
    tracemalloc.start()
    for _, annotation in zip(range(5000), read(source, report), strict=False):
        assert len(annotation.faces) == 8
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_million_bad_lines_fill_no_memory(tmp_path):
    """Of many troubles of one kind, the report keeps examples and counts the rest."""
    wider(tmp_path, "a.jpg\n1000\n" + "x y z\n" * 1000 + "b.jpg\n300\n" + "1 2 0 4\n" * 300)
    found, report = load("wider", tmp_path)
    assert not found
    assert len(report.skips) == Report.KEPT
    assert report.total == 1300


def test_fddb_ellipse_and_its_box(tmp_path):
    """The box touches the turned ellipse; the ellipse stays in the attributes."""
    put(tmp_path / "FDDB-fold-07-ellipseList.txt", f"d/img_1\n1\n40 30 {np.pi / 2} 100 90  1\n")
    (annotation,), report = load("fddb", tmp_path)
    face = annotation.faces[0]
    np.testing.assert_allclose(face.box, [[70, 50, 130, 130]], atol=1e-3)
    expected = {"major": 40, "minor": 30, "angle": np.pi / 2, "cx": 100, "cy": 90, "fold": 7}
    assert expected == face.attributes
    assert annotation.picture == tmp_path / "d" / "img_1.jpg"
    assert (annotation.group, annotation.complete) == ("d/img_1", True)
    assert report.total == 0


@pytest.mark.parametrize("where", ["originalPics", "elsewhere"])
def test_fddb_pictures(tmp_path, where):
    """Pictures lie in originalPics, or where the source says."""
    put(tmp_path / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt", "2002/img_1\n0\n")
    picture = put_picture(tmp_path / where / "2002" / "img_1.jpg")
    apart = {"pictures": tmp_path / where} if where == "elsewhere" else {}
    (annotation,), _ = load("fddb", tmp_path, **apart)
    assert picture == annotation.picture


def test_fddb_goes_on_at_the_next_name(tmp_path):
    """Ellipses without a size and rows of other lengths are told; the rest is read."""
    content = "d/a\n2\n40 0 0 1 1 1\n40 30 0 9 9 1\nd/b\n1\n40 30 0 9 9\nd/c\nx\nd/d\n0\n"
    put(tmp_path / "FDDB-fold-01-ellipseList.txt", content)
    found, report = load("fddb", tmp_path)
    assert [(a.group, len(a.faces), a.complete) for a in found] == [
        ("d/a", 1, False),
        ("d/d", 0, True),
    ]
    assert [line for _, line, _ in told(report)][:3] == [3, 7, 8]


def test_fddb_detections_read_back_as_the_same_boxes(tmp_path):
    """Boxes written as FDDB's result file are the boxes that come out of it."""
    found = box.as_boxes([[10, 20, 50, 90], [5.5, 6.5, 80.25, 30], [0, 0, 7, 7]])
    content = fddb.detections("d/img_1", found, np.array([0.9, 0.5, 0.1]))
    content += fddb.detections("d/img_2", box.as_boxes([]), np.array([]))
    put(tmp_path / "FDDB-fold-01-ellipseList.txt", content)
    (first, second), report = load("fddb", tmp_path)
    back = np.concatenate([face.box for face in first.faces])
    np.testing.assert_allclose(back, found, atol=1e-4)
    assert second.faces == ()
    assert report.total == 0


NFD = "Patient;Y1;X1;image;X2;Y2;Week\n"


def test_nfd_columns_in_any_order_and_case(tmp_path):
    """Columns go by name, further ones become attributes, a decimal comma is understood."""
    put(tmp_path / "faces.csv", BOM + f"{NFD}P7;2,5;1;my é a.jpg;30;40;12\r\n".encode())
    picture = put_picture(tmp_path / "images" / "my é a.jpg")
    (annotation,), report = load("nfd", tmp_path)
    assert annotation.faces[0].box.tolist() == [[1, 2.5, 30, 40]]
    assert annotation.faces[0].attributes == {"week": "12"}
    assert (annotation.group, annotation.picture, annotation.complete) == ("P7", picture, True)
    assert report.total == 0


def test_nfd_rows_of_one_picture_are_one_annotation(tmp_path):
    """A row a face; a row without corners is a picture without a face; quotes may stand."""
    content = (
        'image,x1,y1,x2,y2,patient\n"a,1.jpg",1,2,3,4,P1\n"a,1.jpg",5,6,7,8,P1\nb.jpg,,,,,P2\n'
    )
    path = put(tmp_path / "faces.csv", content)
    found, report = load("nfd", path)
    assert [(a.picture.name, len(a.faces)) for a in found] == [("a,1.jpg", 2), ("b.jpg", 0)]
    assert [f"{path}:2", f"{path}:4"] == [a.where for a in found]
    assert report.total == 0


def test_nfd_bad_rows_are_told(tmp_path):
    """Two patients in a picture, no patient, corners inside out, fields missing or too many."""
    rows = [
        "a.jpg,1,2,3,4,P1",
        "a.jpg,1,2,3,4,P2",  # 3
        "b.jpg,1,2,3,4,",  # 4
        "c.jpg,9,2,3,4,P1",  # 5
        "d.jpg,1,2,3,P1",  # 6
        'e"".jpg,"1,2,3,4,P1',  # 7: a quote that never closes
        "f.jpg,1,2,,4,P1",  # 8
        "../../g.jpg,1,2,3,4,P1",  # 9
        "h.jpg,1,2,3,4,P3",
        "a.jpg,5,6,7,8,P9",  # 11: later, still another patient
    ]
    put(tmp_path / "in" / "faces.csv", "image,x1,y1,x2,y2,patient\n" + "\n".join(rows) + "\n")
    found, report = load("nfd", tmp_path / "in")
    assert [(a.picture.name, len(a.faces), a.complete) for a in found] == [
        ("a.jpg", 1, False),
        ("h.jpg", 1, True),
    ]
    assert sorted(line for _, line, _ in told(report)) == [3, 4, 5, 6, 7, 8, 9, 11]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.csv": "image,x1,y1,x2,y2\n"}, "no column patient"),
        ({"a.csv": ""}, "no column image"),
        ({"a.csv": "", "b.csv": ""}, "2 .csv files"),
        ({"a.txt": ""}, r"no \*.csv file"),
    ],
)
def test_nfd_refuses_what_is_no_such_table(tmp_path, files, words):
    """Without the columns, or with several tables, nothing can be read: say why."""
    for name, content in files.items():
        put(tmp_path / name, content)
    with pytest.raises(UserError, match=words):
        load("nfd", tmp_path)
