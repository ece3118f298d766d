"""What holds for every reader, whatever the files hold."""

import os
from pathlib import Path

import numpy as np
import pytest
from annotation_files import load, pts, put, put_picture, valid

from pipeline.annotations import FORMATS, Report, Source, read, text
from pipeline.errors import UserError

TEXT_FORMATS = ("ibug", "merl-rav", "fgnet", "wflw", "wider", "fddb", "nfd", "yolo")
BREAK = {
    "drop a field": lambda f: f[:1] + f[2:],
    "letters": lambda f: [f[0], "abc", *f[2:]],
    "nan": lambda f: [f[0], "nan", *f[2:]],
    "inf": lambda f: [f[0], "-inf", *f[2:]],
    "huge": lambda f: [f[0], "1e300", *f[2:]],
    "underscore": lambda f: [f[0], "1_0", *f[2:]],
    "empty": lambda _: [],
    "binary": lambda _: ["\x00\x01\xff"],
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_a_broken_line_is_told_and_the_rest_is_read(tmp_path, name, how):
    """Whatever breaks a line, it is told with file and line, and nothing is raised."""
    source, path, numbers = valid(name, tmp_path)
    whole, clean = load(name, source)
    assert clean.total == 0
    faces = sum(len(a.faces) for a in whole)
    lines = path.read_text().splitlines()
    mark = "," if name == "nfd" else None
    for number in numbers:
        broken = lines.copy()
        fields = BREAK[how](broken[number - 1].split(mark))
        broken[number - 1] = (mark or " ").join(fields)
        path.write_bytes("\n".join(broken).encode("latin-1") + b"\n")
        found, report = load(name, source)
        assert report.total > 0
        assert faces - 1 == sum(len(a.faces) for a in found)
        assert str(path) in {skip.file for skip in report.skips}
        if how != "empty" and not (name in {"ibug", "merl-rav", "fgnet"} and how == "binary"):
            assert number in {skip.line for skip in report.skips}


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_and_marks_change_nothing(tmp_path, name, mark, end):
    """Windows' and old Macs' line ends and a byte-order mark are read like any other text."""
    source, path, _ = valid(name, tmp_path)
    expected, _ = load(name, source)
    path.write_bytes(mark + path.read_bytes().replace(b"\n", end))
    found, report = load(name, source)
    assert report.total == 0
    for before, after in zip(expected, found, strict=True):
        assert before.picture == after.picture
        for one, other in zip(before.faces, after.faces, strict=True):
            np.testing.assert_array_equal(one.whole, other.whole)


@pytest.mark.parametrize("name", FORMATS)
def test_the_wrong_folder_is_refused(tmp_path, name):
    """A folder with nothing of the format, and a path that is not there, are errors that say so."""
    put(tmp_path / "holiday" / "notes.doc", b"x")
    with pytest.raises(UserError, match=f"{name}=.*holiday"):
        load(name, tmp_path / "holiday")
    with pytest.raises(UserError, match="there is no such file or folder"):
        load(name, tmp_path / "missing")


def test_an_unknown_format_is_refused(tmp_path):
    """The formats that are known are listed."""
    with pytest.raises(UserError, match="known are ibug"):
        load("aflw", tmp_path)


@pytest.mark.parametrize("name", TEXT_FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_noise_is_told(tmp_path, name, seed):
    """Random bytes in place of a file raise nothing but an error for people."""
    source, path, _ = valid(name, tmp_path)
    path.write_bytes(np.random.default_rng(seed).bytes(3000))
    try:
        _, report = load(name, source)
    except UserError:
        return
    assert report.total > 0


def test_a_locked_folder_is_told(tmp_path, monkeypatch):
    """The folders that can be opened are read."""
    put(tmp_path / "a" / "1.pts", pts())
    put(tmp_path / "locked" / "2.pts", pts())
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, report = load("ibug", tmp_path)
    assert [a.picture.name for a in found] == ["1.jpg"]
    assert [str(skip) for skip in report.skips] == [
        f"{tmp_path / 'locked'}: folder cannot be opened (Permission denied)"
    ]
    with pytest.raises(UserError, match="1 cannot be opened"):
        load("ibug", tmp_path / "locked")


@pytest.mark.parametrize("name", ["ibug", "wflw", "wider", "fddb", "voc", "cofw68", "coco"])
def test_a_locked_file_is_told(tmp_path, name, monkeypatch):
    """A file that cannot be opened is one line of the report."""
    ending = {"voc": "a.xml", "cofw68": "1_points.mat", "coco": "a.json"}
    path = tmp_path / ending.get(name, "")
    if name in ending:
        put(path, b"")
    else:
        _, path, _ = valid(name, tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    if name == "coco":  # its one file is the source
        with pytest.raises(UserError, match="Permission denied"):
            load(name, tmp_path)
        return
    found, report = load(name, tmp_path)
    assert not found
    assert "Permission denied" in str(report.skips[0])


def test_linked_folders_are_read_once(tmp_path):
    """A link to a folder elsewhere is followed, a link to a parent not round and round."""
    put(tmp_path / "elsewhere" / "2.pts", pts())
    put(tmp_path / "set" / "1.pts", pts())
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "round").symlink_to(tmp_path / "set")
    found, report = load("ibug", tmp_path / "set")
    assert sorted(a.picture.name for a in found) == ["1.jpg", "2.jpg"]
    assert report.total == 0


@pytest.mark.parametrize(
    "name", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "..\\x.jpg", "", "  "]
)
def test_names_that_lead_out_of_the_source(tmp_path, name):
    """No annotation names a picture outside the source."""
    inside = tmp_path / "in"
    inside.mkdir()
    put_picture(tmp_path / "x.jpg")
    assert Source("nfd", inside).picture(name, inside) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/../x y é.jpg", "x y é.jpg"),
        ("deep\\x.jpg", "deep/x.jpg"),
        ("./x..jpg", "x..jpg"),
        ("x" * 300 + ".jpg", "x" * 300 + ".jpg"),
        ("x\0.jpg", "x\0.jpg"),
    ],
)
def test_odd_names_inside_the_source(tmp_path, name, expected):
    """Dots inside, backslashes, unicode and names too long to exist raise nothing."""
    assert tmp_path / expected == Source("nfd", tmp_path).picture(name, tmp_path)


def test_names_in_latin_1(tmp_path):
    """A line that is no UTF-8 is read as Latin-1, and only that line."""
    path = put(tmp_path / "a.txt", b"\xef\xbb\xbfd\xc3\xa9\r\nd\xe9\n")
    assert list(text.lines(path)) == [(1, "dé"), (2, "dé")]


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("trainset", "train"),
        ("helen_test", "test"),
        ("instances_val2017", "val"),
        ("list_98pt_rect_attr_train", "train"),
        ("training", "train"),
        ("latest", None),
        ("", None),
    ],
)
def test_split_in_a_name(word, split):
    """The split is a word of the name, not a piece of one."""
    assert split == text.split_in(word)


def test_readers_give_a_fixed_order(tmp_path):
    """Reading twice gives the same pictures in the same order."""
    for stem in ("b", "a", "C", "10", "9"):
        put(tmp_path / stem / f"{stem}.pts", pts())
    first, second = (
        [a.picture for a in read(Source("ibug", tmp_path), Report())] for _ in range(2)
    )
    assert first == second == sorted(first)
