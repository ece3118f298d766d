"""The readers on the true formats: what is known of the data must come out."""

from collections import Counter

import numpy as np
import pytest
import scipy.io
from annotation_files import load

from pipeline.annotations import EXTERNAL, SELF, mat5
from pipeline.parts import SCHEMES

COUNTS = {  # format: folder, annotations, pictures, faces, left out
    "ibug": ("ibug68", 2566, 2566, 2566, 0),
    "wflw": ("wflw", 391, 329, 391, 0),
    "fgnet": ("fgnet68", 76, 76, 76, 0),
    "wider": ("wider", 1500, 1500, 9511 + 1450 - 2, 2),  # two boxes have no size
    "voc": ("masked_voc", 400, 400, 564, 0),
    "merl-rav": ("formats/merl_rav_labels", 400, 400, 400, 0),
    "fddb": ("formats/fddb", 575, 575, 1034, 0),
    "cofw68": ("formats/cofw68", 40, 40, 40, 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(shared_data, name):
    """Every face of the real data is read, or told."""
    folder, annotations, pictures, faces, left_out = COUNTS[name]
    found, report = load(name, shared_data / folder)
    assert annotations == len(found)
    assert pictures == len({a.picture for a in found})
    assert faces == sum(len(a.faces) for a in found)
    assert left_out == report.total
    if not folder.startswith("formats/"):  # there, only the annotations are at hand
        assert all(a.picture.is_file() for a in found)


@pytest.mark.parametrize("name", ["ibug", "fgnet", "wflw", "cofw68"])
def test_the_right_eye_lies_left(shared_data, name):
    """Left and right are the subject's own: on upright faces the right eye lies further left."""
    found, _ = load(name, shared_data / COUNTS[name][0])
    faces = [face for a in found for face in a.faces]
    scheme = SCHEMES[faces[0].scheme]
    eyes = [
        [face.points[list(eye), 0].mean() for eye in (scheme.right_eye, scheme.left_eye)]
        for face in faces
    ]
    assert np.mean([right < left for right, left in eyes]) > 0.95


def test_wflw_rect_is_the_box_of_the_points(shared_data):
    """WFLW's rect lies within a pixel of the box around its points."""
    found, _ = load("wflw", shared_data / "wflw")
    faces = [face for a in found for face in a.faces]
    assert all(np.abs(face.box - face.whole).max() <= 1.01 for face in faces)
    assert {"test"} == {a.split for a in found}


def test_wider_splits_and_invalid_faces(shared_data):
    """1300 training and 200 validation pictures, 34 and 4 invalid faces."""
    found, report = load("wider", shared_data / "wider")
    assert Counter(a.split for a in found) == {"train": 1300, "val": 200}
    invalid = Counter(a.split for a in found for face in a.faces if face.ignore)
    assert invalid == {"train": 34, "val": 4}
    assert report.counts == {"box without a size": 2}
    assert sum(not a.complete for a in found) == 2


def test_merl_rav_poses_and_states(shared_data):
    """80 faces of each of the five poses, half of them for testing; all states occur."""
    found, _ = load("merl-rav", shared_data / "formats" / "merl_rav_labels")
    poses = Counter(a.faces[0].attributes["pose"] for a in found)
    assert dict.fromkeys(("frontal", "lefthalf", "righthalf", "left", "right"), 80) == poses
    assert Counter(a.split for a in found) == {"train": 200, "test": 200}
    states = np.stack([a.faces[0].visibility for a in found])
    assert {0, EXTERNAL, SELF} == set(np.unique(states).tolist())


def test_cofw_has_hidden_points(shared_data):
    """A good fifth of the points of occluded faces are hidden, and all have a place."""
    found, _ = load("cofw68", shared_data / "formats" / "cofw68")
    hidden = np.stack([a.faces[0].visibility for a in found]) == EXTERNAL
    assert 0.1 < hidden.mean() < 0.5
    assert all(np.isfinite(a.faces[0].points).all() for a in found)


def test_ibug_groups_never_cross_its_own_splits(shared_data):
    """No photograph is in the training and in the test sets."""
    found, _ = load("ibug", shared_data / "ibug68")
    trained = {a.group for a in found if a.split == "train"}
    assert not trained & {a.group for a in found if a.split == "test"}


def test_fddb_folds(shared_data):
    """Each fold's number stays with its faces."""
    found, _ = load("fddb", shared_data / "formats" / "fddb")
    assert {1, 2} == {face.attributes["fold"] for a in found for face in a.faces}


def test_mat_files_as_scipy_reads_them(shared_data):
    """Our reader of .mat files gives what SciPy's gives."""
    for path in sorted((shared_data / "formats" / "cofw68").glob("*.mat")):
        expected, found = scipy.io.loadmat(path), mat5.arrays(path)
        for name in ("Points", "Occ"):
            np.testing.assert_array_equal(expected[name], found[name])
