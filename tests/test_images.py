import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from synthetic import face_picture, ibug_points

from pipeline import boxes as box
from pipeline import images
from pipeline.images import Letterbox, Unreadable


@pytest.fixture
def picture():
    return face_picture([ibug_points(60, 50, 60)], 120, 100)


def saved(picture, path, **options):
    Image.fromarray(picture).save(path, **options)
    return path


def test_a_png_comes_back_to_the_bit(picture, tmp_path):
    """Writing and reading keep RGB order and every value."""
    images.write(tmp_path / "a.png", picture)

    assert (images.read(tmp_path / "a.png") == picture).all()


def test_a_header_tells_size_and_kind_without_the_pixels(picture, tmp_path):
    """Width, height, and that every reader sees the same in it."""
    path = saved(picture, tmp_path / "a.jpg")

    assert images.peek(path) == images.Header(120, 100, plain=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(picture, tmp_path, orientation):
    """The upright picture is read, and its size told, whatever the EXIF note says."""
    turned = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: picture.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(np.ascontiguousarray(turned), tmp_path / "a.png", exif=exif)

    assert (images.read(path) == picture).all()
    assert images.peek(path) == images.Header(120, 100, plain=orientation == 1)


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "CMYK", "1", "I;16", "YCbCr"])
def test_any_mode_becomes_rgb_of_the_same_brightness(picture, tmp_path, mode):
    """Grey, transparent, palette, CMYK and 16-bit pictures are read as 8-bit RGB."""
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    suffix = {"CMYK": ".jpg", "YCbCr": ".jpg"}.get(mode, ".png")
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"a{suffix}")
    else:
        Image.fromarray(picture).convert(mode).save(tmp_path / f"a{suffix}")

    found, header = images.read_with_header(tmp_path / f"a{suffix}")

    assert found.shape == picture.shape
    assert found.dtype == np.uint8
    assert abs(float(found.mean()) - float(picture.mean())) < 6
    assert header.plain == (mode in {"L", "YCbCr"})


def test_a_transparent_picture_lies_on_white(tmp_path):
    """What is fully transparent is white, not whatever colour hides under it."""
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "a.png")

    assert (images.read(tmp_path / "a.png") == 255).all()


def bomb():
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + data + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4


def broken(picture):
    jpeg, png = images.encode(picture, ".jpg"), images.encode(picture, ".png")
    return {
        "nothing in it": (b"", "0 bytes"),
        "text": (b"this is no picture at all", "not a picture"),
        "half a jpeg": (jpeg[: len(jpeg) // 2], "broken"),
        "half a png": (png[: len(png) // 2], "broken"),
        "only a jpeg's head": (jpeg[:20], "picture"),
        "bomb": (bomb(), "60000x60000"),
        "html": (b"<html><body>404</body></html>", "not a picture"),
    }


@pytest.mark.parametrize("kind", broken(np.zeros((9, 9, 3), np.uint8)))
def test_a_broken_picture_is_refused_with_the_reason(picture, tmp_path, kind):
    """No half picture, no grey bottom: the reason, in words."""
    data, words = broken(picture)[kind]
    path = tmp_path / "a.jpg"
    path.write_bytes(data)

    for reader in (images.read, images.read_with_header):
        with pytest.raises(Unreadable, match=words):
            reader(path)
    if "half" not in kind:  # the header of half a picture may be whole
        with pytest.raises(Unreadable, match=words):
            images.peek(path)


def test_sixteen_bits_keep_their_brightness(tmp_path):
    """Dark or bright, a 16-bit value is divided by 257; the rest of the picture does not matter."""
    for values in ([250, 251], [250, 65535]):
        array = np.array([values] * 12, np.uint16).repeat(6, axis=1)
        Image.fromarray(array).save(tmp_path / "a.png")

        assert images.read(tmp_path / "a.png")[0, 0].tolist() == [0, 0, 0]


def test_whatever_is_wrong_inside_a_file_is_unreadable(picture, tmp_path):
    """Any byte of a picture may be any other byte: read, or refused, never another error."""
    rng = np.random.default_rng(0)
    for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff"):
        data = np.frombuffer(images.encode(picture, suffix), np.uint8)
        for _ in range(40):
            fuzzed = data.copy()
            places = rng.integers(0, len(data), 4)
            fuzzed[places] = rng.integers(0, 256, 4)
            (tmp_path / "a").write_bytes(fuzzed.tobytes())
            try:
                images.read_with_header(tmp_path / "a")
            except Unreadable:
                continue


def test_a_missing_picture_is_told(tmp_path):
    """A name without a file, and a folder with a picture's name."""
    (tmp_path / "b.jpg").mkdir()

    with pytest.raises(Unreadable, match="no such picture"):
        images.read(tmp_path / "a.jpg")
    with pytest.raises(Unreadable, match="cannot be opened"):
        images.read(tmp_path / "b.jpg")


def test_a_misnamed_or_unfinished_picture_is_not_plain(picture, tmp_path):
    """Ultralytics would rewrite a JPEG without its end mark, in the user's own folder."""
    misnamed, unfinished = tmp_path / "png.jpg", tmp_path / "open.jpg"
    misnamed.write_bytes(images.encode(picture, ".png"))
    unfinished.write_bytes(images.encode(picture, ".jpg") + b"\0\0")

    assert not images.peek(misnamed).plain
    assert not images.peek(unfinished).plain


sizes = st.integers(1, 2000)


@given(sizes, sizes, st.integers(8, 1280), st.integers(8, 1280))
def test_the_letterbox_undoes_what_it_applies(width, height, out_width, out_height):
    """Boxes come back to a thousandth of the picture, and stay inside the letterboxed picture."""
    letterbox = Letterbox(width, height, out_width, out_height)
    boxes = box.as_boxes([[0, 0, width, height], [width / 4, height / 3, width / 2, height / 2]])

    inside = letterbox.apply(boxes)

    np.testing.assert_allclose(letterbox.undo(inside), boxes, atol=max(width, height) / 1000)
    assert (inside >= 0).all()
    assert (inside <= np.array([out_width, out_height] * 2)).all()


@pytest.mark.parametrize(("width", "height"), [(200, 100), (100, 200), (40, 30), (641, 479)])
def test_the_letterbox_moves_pixels_and_boxes_alike(width, height):
    """A bright rectangle lies where its box says, after scaling and padding."""
    frame = np.array([[width * 0.25, height * 0.5, width * 0.5, height * 0.75]], np.float32)
    picture = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = np.rint(frame[0]).astype(int)
    picture[y1:y2, x1:x2] = 255
    letterbox = Letterbox(width, height, 320, 320)

    out = letterbox.picture(picture, pad=0)
    rows, columns = np.nonzero(out[..., 0] > 127)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]

    assert out.shape == (320, 320, 3)
    np.testing.assert_allclose(found, letterbox.apply(frame)[0], atol=320 / min(width, height))


def test_the_letterbox_takes_maps_of_any_depth():
    """One channel, ten channels, and padding of its own: a heatmap is padded with 0."""
    letterbox = Letterbox(100, 50, 64, 64)

    assert letterbox.picture(np.ones((50, 100), np.uint8), pad=0).shape == (64, 64)
    out = letterbox.picture(np.ones((50, 100, 10), np.uint8), pad=0)
    assert out.shape == (64, 64, 10)
    assert (out[0] == 0).all()
    assert (out[32] == 1).all()


def test_a_picture_can_come_from_memory(picture):
    """Bytes are decoded like a file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")

    assert (images.decode(file.getvalue()) == picture).all()


@pytest.mark.parametrize("size", [(640, 480), (479, 1001), (64, 48)])
def test_a_glance_at_a_picture_is_the_picture_made_small(tmp_path, size):
    """Never smaller than asked, upright, nearly the same pixels; a broken one is told as ever."""
    y, x = np.mgrid[: size[1], : size[0]]
    picture = np.stack([x * 255 // size[0], y * 255 // size[1], x * 0 + 90], 2).astype(np.uint8)
    for suffix in (".jpg", ".png"):
        path = tmp_path / f"a{suffix}"
        images.write(path, picture)
        for side in (40, 200, 5000):
            small = images.read_small(path, side)
            assert max(small.shape[:2]) >= min(side, max(size))
            expected = cv2.resize(picture, small.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert np.abs(small.astype(int) - expected).mean() < 3
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-200])
    with pytest.raises(Unreadable):
        images.read_small(tmp_path / "b.jpg", 40)
