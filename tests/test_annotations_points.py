"""Readers of landmark formats: iBUG, MERL-RAV, FG-NET, WFLW, COFW-68, and bare frames."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
from annotation_files import cofw, load, points, pts, put, put_picture, told, wflw, wflw_line

from pipeline.annotations import EXTERNAL, SELF, VISIBLE, mat5
from pipeline.errors import UserError
from pipeline.parts import IBUG68, WFLW98


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_pts_with_and_without_header(tmp_path, header, end, mark):
    """A .pts file is read with any line end, with or without header, braces, byte-order mark."""
    put(tmp_path / "helen_train" / "100_1.pts", mark + pts(header=header, end=end).encode())
    (annotation,), report = load("ibug", tmp_path)
    np.testing.assert_array_equal(points(), annotation.faces[0].points)
    assert report.total == 0
    assert annotation.split == "train"
    assert annotation.group == "100"


def test_pts_says_which_line_is_wrong(tmp_path):
    """A point that is none is told with file and line; the other files are read."""
    put(tmp_path / "a.pts", pts().replace("11 12\n", "11 nan\n"))
    put(tmp_path / "b.pts", pts(points(67)))
    put(tmp_path / "c.pts", pts(points(69)))
    put(tmp_path / "d.pts", b"")
    put(tmp_path / "e é.pts", pts())
    found, report = load("ibug", tmp_path)
    assert [a.picture.name for a in found] == ["e é.jpg"]
    assert told(report) == [
        ("a.pts", 5, "expected two numbers for a point"),
        ("b.pts", 71, "expected 68 points"),
        ("c.pts", 72, "expected 68 points"),
        ("d.pts", 0, "expected 68 points"),
    ]


def test_lfpw_photographs_of_train_and_test_are_different_ones(tmp_path):
    """LFPW counts from image_0001 in both sets: the same name is not the same group."""
    for folder in ("lfpw_train", "lfpw_test"):
        put(tmp_path / folder / "image_0001.pts", pts())
    found, _ = load("ibug", tmp_path)
    assert {"lfpw_train/image_0001", "lfpw_test/image_0001"} == {a.group for a in found}


def test_merl_rav_states(tmp_path):
    """Negative: hidden, at the absolute value. Exactly -1 -1: no place. Else seen."""
    values = points()
    values[3] *= -1
    values[5] = -1
    values[6] = (-4, 50)  # left of the picture
    path = put(tmp_path / "lefthalf" / "testset" / "image00001_2.pts", pts(values))
    put_picture(path.with_name("image00001.jpg"))
    (annotation,), report = load("merl-rav", tmp_path)
    face = annotation.faces[0]
    assert tuple(face.visibility[[3, 5, 6]]) == (EXTERNAL, SELF, VISIBLE)
    np.testing.assert_array_equal(points()[3], face.points[3])
    assert np.isnan(face.points[5]).all()
    assert face.points[6].tolist() == [-4, 50]
    assert face.attributes == {"pose": "lefthalf"}
    assert annotation.picture.name == "image00001.jpg"
    assert annotation.split == "test"
    assert report.total == 0


def test_fgnet_takes_subject_and_age_from_the_name(tmp_path):
    """The group is the subject; another name is told, for it cannot be kept in one split."""
    for stem in ("007a01", "040A03a", "portrait"):
        put(tmp_path / f"{stem}.pts", pts())
    found, report = load("fgnet", tmp_path)
    assert [(a.group, a.faces[0].attributes["age"]) for a in found] == [("7", 1), ("40", 3)]
    assert told(report) == [("portrait.pts", None, "the name says no subject and age")]


def test_fgnet_as_published_has_other_letters_in_another_folder(tmp_path):
    """points/001a02.pts speaks of images/001A02.JPG."""
    put(tmp_path / "points" / "001a02.pts", pts())
    picture = put(tmp_path / "images" / "001A02.JPG", b"")
    (annotation,), _ = load("fgnet", tmp_path)
    assert picture.resolve() == annotation.picture.resolve()


def test_wflw_line(tmp_path):
    """196 numbers, a rect, six attributes, and a name that may have spaces."""
    wflw(tmp_path, wflw_line("0--Parade/my é picture.jpg") + "\n")
    (annotation,), report = load("wflw", tmp_path)
    face = annotation.faces[0]
    np.testing.assert_array_equal(points(WFLW98.count), face.points)
    assert face.box.tolist() == [[10, 10, 107, 204]]
    expected = {"pose": 0, "expression": 1, "illumination": 0, "occlusion": 0, "blur": 1} | {
        "make-up": 1
    }
    assert expected == face.attributes
    assert annotation.picture == tmp_path / "WFLW_images" / "0--Parade" / "my é picture.jpg"
    assert (annotation.split, annotation.group) == ("train", "my é picture.jpg")
    assert not annotation.complete
    assert report.total == 0


@pytest.mark.parametrize("given", ["root", "folder", "list"])
def test_wflw_may_be_given_from_any_level(tmp_path, given):
    """The root, the folder of annotations and a list lead to the same pictures."""
    path = wflw(tmp_path, wflw_line("a.jpg"))
    picture = put_picture(tmp_path / "WFLW_images" / "a.jpg")
    source = {"root": tmp_path, "folder": tmp_path / "WFLW_annotations", "list": path}[given]
    (annotation,), report = load("wflw", source)
    assert picture == annotation.picture
    assert report.total == 0


def test_wflw_list_without_rect_and_attributes(tmp_path):
    """The plain lists have points and a name only."""
    line = " ".join([*(f"{v:g}" for v in points(98).ravel()), "a b.jpg"])
    wflw(tmp_path, line, name="list_98pt_test.txt")
    (annotation,), report = load("wflw", tmp_path)
    assert annotation.faces[0].box is None
    assert (annotation.picture.name, annotation.split) == ("a b.jpg", "test")
    assert report.total == 0


def test_wflw_goes_on_after_bad_lines(tmp_path):
    """Each bad line is told with what it should have been; the good ones are read."""
    good = wflw_line("a.jpg")
    content = [
        good,
        good.replace(" 10 10 107 204 ", " 10 10 107 x "),
        wflw_line(rect=(50, 10, 20, 30)),
        wflw_line(flags=(0, 0, 0, 0, 0, 7)),
        "",
        "1 2 3",
        wflw_line("../../../etc/passwd.jpg"),
        wflw_line("b.jpg"),
    ]
    wflw(tmp_path, "\r\n".join(content) + "\r\n\r\n")
    found, report = load("wflw", tmp_path)
    assert [a.picture.name for a in found] == ["a.jpg", "b.jpg"]
    assert [line for _, line, _ in told(report)] == [2, 3, 4, 5, 6, 7]
    assert "field 200 is 'x'" in report.skips[0].detail


def test_cofw_hidden_points_have_a_place(tmp_path):
    """Occ makes a point EXTERNAL; its place stays as it stands in the file."""
    cofw(tmp_path / "12_points.mat")
    (annotation,), report = load("cofw68", tmp_path)
    face = annotation.faces[0]
    assert np.flatnonzero(face.visibility == EXTERNAL).tolist() == [3, 5]
    np.testing.assert_array_equal(points(), face.points)
    assert (face.scheme, annotation.split, annotation.group) == (IBUG68.name, "test", "12")
    assert annotation.picture == tmp_path / "12.jpg"
    assert report.total == 0


def test_cofw_broken_files_are_told(tmp_path):
    """A .mat cut anywhere, turned into something else, or with NaN, is told and passed over."""
    whole = cofw(tmp_path / "1_points.mat").read_bytes()
    lengths = range(0, len(whole), 97)
    for number, length in enumerate(lengths, 2):
        put(tmp_path / f"{number}_points.mat", whole[:length])
    values = points()
    values[7, 0] = np.nan
    cofw(tmp_path / "900_points.mat", values)
    cofw(tmp_path / "901_points.mat", points(29))
    put(tmp_path / "902_points.mat", b"MATLAB 7.3 MAT-file" + b"\0" * 200)
    found, report = load("cofw68", tmp_path)
    assert [a.group for a in found] == ["1"]
    assert len(lengths) + 3 == report.total
    told_files = {skip.file for skip in report.skips}
    assert len(told_files) == report.total


def test_cofw_flipped_bytes_never_raise(tmp_path):
    """Whatever a damaged file makes SciPy raise becomes a line of the report."""
    whole = cofw(tmp_path / "1_points.mat").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(2, 60):
        data = bytearray(whole)
        for place in rng.integers(124, len(whole), 8):
            data[place] = rng.integers(256)
        put(tmp_path / f"{number}_points.mat", bytes(data))
    found, report = load("cofw68", tmp_path)
    assert len(found) + report.total == 59
    assert all(np.isfinite(a.faces[0].points).all() for a in found)


def test_frames_come_in_the_order_people_count(tmp_path):
    """Frame 9 comes before frame 10, a folder is a group, nothing is labelled."""
    for name in ("clip 1/f10.jpg", "clip 1/f9.jpg", "b/f1.PNG", "b/notes.txt"):
        put(tmp_path / name, b"")
    found, report = load("hand-over-face", tmp_path)
    assert [a.picture.name for a in found] == ["f1.PNG", "f9.jpg", "f10.jpg"]
    assert [a.group for a in found] == ["b", "clip 1", "clip 1"]
    assert not any(a.labelled for a in found)
    assert report.total == 0


def test_a_video_is_no_folder_of_frames(tmp_path):
    """One file that is no picture is refused with what was expected."""
    with pytest.raises(UserError, match="expected a folder of frames"):
        load("hand-over-face", put(tmp_path / "clip.mp4", b"x"))


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "i8"])
def test_mat_arrays_are_what_was_saved(tmp_path, deflated, kind):
    """Arrays of every kind come back as SciPy wrote them; text and structures are passed over."""
    values = np.arange(136).reshape(68, 2).astype(kind)
    content = {"Points": values, "b": np.ones((1, 3), kind), "word": "text", "cell": {"a": 1}}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=deflated)
    found = mat5.arrays(tmp_path / "a.mat")
    assert {"Points", "b"} == set(found)
    np.testing.assert_array_equal(values, found["Points"])


def test_mat_bomb_is_refused(tmp_path):
    """A small file that inflates to gigabytes is refused in passing."""
    cofw(tmp_path / "1_points.mat")
    header = (tmp_path / "1_points.mat").read_bytes()[:128]
    data = zlib.compress(bytes(1 << 27), 9)
    put(tmp_path / "2_points.mat", header + struct.pack("<II", 15, len(data)) + data)
    found, report = load("cofw68", tmp_path)
    assert len(found) == 1
    assert "far too large" in report.skips[0].detail
