"""From maps to bytes, to files, to what people see."""

import cv2
import numpy as np
import pytest
import tifffile
import torch

from pipeline import draw, heatmap_files, heatmaps
from pipeline.errors import UserError
from pipeline.heatmaps import Maps
from pipeline.images import Letterbox
from pipeline.parts import PARTS
from pipeline.recipe import Recipe, variants

SQUARE = Letterbox(64, 64, 64, 64)
PLAIN = Recipe(peak=1.0, gamma=1.0)


def maps(values, weak=None):
    values = torch.as_tensor(values, dtype=torch.float32)
    none = torch.zeros(values.shape[:2], dtype=torch.bool)
    return Maps(values, torch.full(values.shape[:2], 0.5), none if weak is None else weak)


def facts(compose="stack", side=8):
    recipe = Recipe(peak=1.0, compose=compose)
    return heatmap_files.facts_of(recipe, PARTS, Letterbox(8 * side, 8 * side, 8 * side, 8 * side))


def stack(channels=10, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (channels, side, side), np.uint8)


def test_one_scale_for_all_pictures_and_classes():
    """A map half as strong is half as bright; what is beyond the peak is 255."""
    values = torch.zeros(1, 3, 8, 8)
    values[0, :, 2, 3] = torch.tensor([0.5, 1.0, 7.0])
    found = heatmaps.encode(maps(values), PLAIN, [SQUARE])

    assert found.dtype == np.uint8
    assert found[0, :, 2, 3].tolist() == [128, 255, 255]
    assert found.sum() == 128 + 255 + 255


def test_gamma_lifts_weak_evidence():
    """A hundredth of the peak is a tenth of the brightness at gamma 0.5."""
    values = torch.full((1, 1, 8, 8), 0.01)
    found = heatmaps.encode(maps(values), Recipe(peak=1.0, gamma=0.5), [SQUARE])

    assert set(found.flatten().tolist()) == {26}


def test_minmax_stretches_each_map_by_itself():
    """As pytorch-grad-cam does: an absent class looks like a present one."""
    values = torch.zeros(1, 2, 8, 8)
    values[0, :, 2, 3] = torch.tensor([0.001, 5.0])
    found = heatmaps.encode(maps(values), Recipe(scale="minmax", gamma=1.0), [SQUARE])

    assert found[0, :, 2, 3].tolist() == [255, 255]


def test_the_average_is_over_the_predicted_classes():
    """Weak ones do not count, unless all are."""
    values = torch.zeros(2, 3, 8, 8)
    values[:, :, 2, 3] = torch.tensor([0.2, 0.4, 0.9])
    weak = torch.tensor([[False, False, True], [True, True, True]])
    average = Recipe(peak=1.0, gamma=1.0, compose="average")
    found = heatmaps.encode(maps(values, weak), average, [SQUARE, SQUARE])

    assert found.shape == (2, 1, 8, 8)
    assert found[:, 0, 2, 3].tolist() == [round(0.3 * 255), round(0.5 * 255)]


@pytest.mark.parametrize("size", [(64, 64), (64, 24), (24, 64), (200, 99), (1, 64)])
def test_padding_is_zero(size):
    """Where the letterbox padded nothing is evidence; elsewhere everything stays."""
    letterbox = Letterbox(*size, 64, 64)
    found = heatmaps.encode(maps(torch.ones(1, 1, 16, 16)), PLAIN, [letterbox])[0, 0]
    inside = letterbox.picture(np.full((size[1], size[0]), 255, np.uint8), pad=0)
    middles = inside[2::4, 2::4]  # a cell's middle lies between pixels 1 and 2

    assert (found == middles).all()


def test_the_peak_is_one_that_99_of_100_maps_stay_under():
    """Outliers do not set the scale; blank maps have none."""
    peaks = torch.arange(1.0, 1001.0)
    peak = heatmaps.peak_of(peaks)

    assert (peaks <= peak).float().mean() == pytest.approx(0.99, abs=0.002)
    with pytest.raises(UserError, match="blank"):
        heatmaps.peak_of(torch.zeros(9))


def test_peaks_leave_the_padding_out():
    """What a map shows there is not drawn."""
    values = torch.ones(1, 2, 16, 16)
    values[0, 0, 0, 0] = 9

    assert heatmaps.peaks(maps(values), [Letterbox(64, 24, 64, 64)]).tolist() == [1, 1]


def test_unknown_methods_and_levels_are_told():
    """With what is known."""
    with pytest.raises(UserError, match="known are hirescam"):
        heatmaps.check(Recipe(method="grad"))
    with pytest.raises(UserError, match="levels"):
        heatmaps.check(Recipe(levels=(3,)))


def test_a_command_line_names_several_recipes():
    """Every method with every composition, in order; nonsense is told."""
    found = variants(Recipe(method="hirescam, gradcam++", compose="average,stack"))

    assert [(each.method, each.compose) for each in found] == [
        ("hirescam", "average"),
        ("hirescam", "stack"),
        ("gradcam++", "average"),
        ("gradcam++", "stack"),
    ]
    for wrong in (
        Recipe(compose="sum"),
        Recipe(method=""),
        Recipe(conf=0),
        Recipe(gamma=0),
        Recipe(anchors=0),
        Recipe(method="hirescam,gradcam", peak=1),
    ):
        with pytest.raises(UserError, match="--"):
            variants(wrong)


@pytest.mark.parametrize("channels", [1, 10])
def test_tifffile_ultralytics_and_we_read_the_same(tmp_path, channels):
    """The very array that was written, whoever reads it."""
    from pipeline import yolo  # noqa: F401 - silences Ultralytics first

    from ultralytics.utils.patches import imread  # isort: skip

    path, written = tmp_path / "a.tif", stack(channels)
    heatmap_files.write(path, written, facts("stack" if channels == 10 else "average"))
    read, about = heatmap_files.read(path)
    theirs = imread(str(path), cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_UNCHANGED)

    np.testing.assert_array_equal(read, written)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(written.shape), written)
    np.testing.assert_array_equal(theirs.transpose(2, 0, 1), written)
    assert about["names"] == list(PARTS)
    assert heatmap_files.read_facts(path) == about
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


def test_the_same_heatmap_is_the_same_file(tmp_path):
    """No dates, no random numbers inside."""
    for name in ("a.tif", "b.tif"):
        heatmap_files.write(tmp_path / name, stack(), facts())

    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def _tiff(array, **options):
    return lambda path: tifffile.imwrite(path, array, **options)


ZIP = {"compression": "zlib", "metadata": None}
WRONG = {
    "float": (_tiff(np.zeros((10, 8, 8), np.float32), photometric="minisblack"), "float32 values"),
    "16 bits": (_tiff(np.zeros((10, 8, 8), np.uint16), photometric="minisblack"), "uint16 values"),
    "planar": (
        _tiff(stack(), photometric="minisblack", planarconfig="separate"),
        "10 planar samples a page",
    ),
    "interleaved": (
        _tiff(stack().transpose(1, 2, 0), photometric="minisblack", planarconfig="contig"),
        "10 interleaved samples a page",
    ),
    "colour": (_tiff(np.zeros((8, 8, 3), np.uint8), photometric="rgb"), "3 interleaved samples"),
    "rows as pages": (
        _tiff(stack(10, 12).transpose(1, 2, 0), photometric="minisblack", **ZIP),
        "12 pages of 10x12",
    ),
    "no facts": (_tiff(stack(), photometric="minisblack", **ZIP), "10 pages of 8x8"),
    "text": (lambda path: path.write_text("hello"), "not a heatmap"),
    "nothing": (lambda path: path.write_bytes(b""), "not a heatmap"),
    "three channels": (lambda path: heatmap_files.write(path, stack(3), facts()), "3 pages of 8x8"),
    "ten for one": (
        lambda path: heatmap_files.write(path, stack(), facts("average")),
        "10 pages of 8x8; expected 1 channel",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_of_another_kind_is_named(tmp_path, kind):
    """The error names the file and what was found in it."""
    make, words = WRONG[kind]
    make(tmp_path / "a.tif")
    with pytest.raises(UserError) as caught:
        heatmap_files.read(tmp_path / "a.tif")

    assert words in str(caught.value)
    assert "a.tif" in str(caught.value)


def test_a_missing_and_a_truncated_file_are_told(tmp_path):
    """Errors for people, not tracebacks."""
    with pytest.raises(UserError, match=r"none\.tif"):
        heatmap_files.read(tmp_path / "none.tif")
    heatmap_files.write(tmp_path / "a.tif", stack(side=40), facts(side=40))
    data = (tmp_path / "a.tif").read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "b.tif").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match=r"b\.tif"):
            heatmap_files.read(tmp_path / "b.tif")


def same_or_told(path, written):
    """Whether a damaged file is told; if not, it must give the picture that was written."""
    try:
        found, _ = heatmap_files.read(path)
    except UserError as error:
        assert path.name in str(error)  # noqa: PT017 - either way is right
        return True
    np.testing.assert_array_equal(found, written)
    return False


@pytest.mark.parametrize("channels", [1, 10])
def test_a_truncated_file_is_told(tmp_path, channels):
    """Wherever it ends."""
    path, written = tmp_path / "a.tif", stack(channels, side=16)
    heatmap_files.write(path, written, facts("stack" if channels == 10 else "average", side=16))
    data = path.read_bytes()
    for end in range(0, len(data), 37):
        path.write_bytes(data[:end])
        same_or_told(path, written)


@pytest.mark.parametrize("channels", [1, 10])
def test_a_changed_byte_is_told_or_harmless(tmp_path, channels):
    """Seeded: in headers, facts and pixels alike, the same picture or an error for people."""
    path, written = tmp_path / "a.tif", stack(channels, side=16)
    heatmap_files.write(path, written, facts("stack" if channels == 10 else "average", side=16))
    data = path.read_bytes()
    rng = np.random.default_rng(channels)
    told = 0
    for place, bits in zip(rng.integers(0, len(data), 400), rng.integers(1, 256, 400), strict=True):
        changed = bytearray(data)
        changed[place] ^= int(bits)
        path.write_bytes(changed)
        told += same_or_told(path, written)

    assert told > 100


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recipe", None),
        ("recipe", "stack"),
        ("recipe", {}),
        ("recipe", {"compose": "sum"}),
        ("recipe", {"compose": ["stack"]}),
        ("names", 10),
        ("letterbox", [1, 2]),
        ("letterbox", {"width": 3}),
    ],
)
def test_facts_of_another_type_are_told(tmp_path, key, value):
    """A TIFF with a description of somebody else's."""
    heatmap_files.write(tmp_path / "a.tif", stack(), facts() | {key: value})
    with pytest.raises(UserError, match=r"a\.tif: not a heatmap"):
        heatmap_files.read(tmp_path / "a.tif")


def test_pages_of_different_shapes_are_told(tmp_path):
    """Whichever of them is another."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for side in (8, 8, 9):
            writer.write(stack(1, side)[0], photometric="minisblack", **ZIP)
    with pytest.raises(UserError, match=r"a\.tif: not a heatmap: pages of different shapes"):
        heatmap_files.read(tmp_path / "a.tif")


@pytest.mark.parametrize("size", [(64, 64), (200, 90), (90, 200), (640, 480)])
@pytest.mark.parametrize("cell", [(8, 8), (6, 9)])
def test_an_overlay_lies_where_the_evidence_is(size, cell):
    """A hot cell colours the pixels under it, and none further away than a cell's side."""
    width, height = size
    letterbox = Letterbox(width, height, 128, 128)
    heat = np.zeros((16, 16), np.uint8)
    heat[cell[1], cell[0]] = 255
    square = (np.array([*cell, cell[0] + 1, cell[1] + 1], np.float32) * 8)[None]
    x1, y1, x2, y2 = letterbox.undo(square)[0]
    grey = np.full((height, width, 3), 100, np.uint8)
    shown = draw.overlay(grey, heat, letterbox).astype(int)
    calm = draw.overlay(grey, np.zeros_like(heat), letterbox).astype(int)
    ys, xs = np.nonzero(np.abs(shown - calm).sum(axis=2) > 60)

    assert shown.shape == grey.shape
    assert abs(xs.mean() - ((x1 + x2) / 2 - 0.5)) < 1
    assert abs(ys.mean() - ((y1 + y2) / 2 - 0.5)) < 1
    assert xs.min() > x1 - (x2 - x1)
    assert xs.max() < x2 + (x2 - x1)
    assert ys.min() > y1 - (y2 - y1)
    assert ys.max() < y2 + (y2 - y1)
