"""Small annotation files in every public format, with known values, and reading them."""

import json
from pathlib import Path

import cv2
import numpy as np
import scipy.io

from pipeline.annotations import Report, Source, read
from pipeline.parts import FGNET68, IBUG68, WFLW98

BOM = b"\xef\xbb\xbf"


def load(name, path, **options):
    """All annotations of a source, and the report."""
    report = Report()
    return list(read(Source(name, path, **options), report)), report


def told(report):
    """File name, line and reason of everything that was left out."""
    return [(Path(skip.file).name, skip.line, skip.what) for skip in report.skips]


def put(path, content):
    """Write a text (or bytes) and the folders it needs; the path again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def put_picture(path, width=100, height=50):
    """A grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix.lower(), np.full((height, width, 3), 128, np.uint8))
    assert done
    path.write_bytes(data.tobytes())
    return path


def points(count=68, start=10.0):
    """Points that tell their number: point i lies at (start + i, start + 2 i)."""
    steps = np.arange(count)
    return np.stack([start + steps, start + 2 * steps], axis=1)


def pts(values=None, *, header=True, end="\n"):
    """The text of a ``.pts`` file."""
    values = points() if values is None else values
    rows = [f"{x:g} {y:g}" for x, y in values]
    if header:
        rows = ["version: 1", f"n_points: {len(values)}", "{", *rows, "}"]
    return end.join(rows) + end


def wflw_line(name="0--Parade/a.jpg", rect=(10, 10, 107, 204), flags=(0, 1, 0, 1, 0, 1)):
    """One line of WFLW's long list."""
    numbers = [f"{value:g}" for value in points(WFLW98.count).ravel()]
    return " ".join([*numbers, *map(str, rect), *map(str, flags), name])


def wflw(root, content, name="list_98pt_rect_attr_train.txt"):
    """WFLW's folders with one list."""
    (root / "WFLW_images").mkdir(parents=True, exist_ok=True)
    return put(root / "WFLW_annotations" / "list_98pt_rect_attr_train_test" / name, content)


def wider(root, content, split="train"):
    """WIDER FACE's folders with one list."""
    (root / f"WIDER_{split}" / "images").mkdir(parents=True, exist_ok=True)
    return put(root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt", content)


def voc_object(name="face", corners=(10, 20, 30, 40), more=""):
    """One object of a VOC file."""
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    frame = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object>\n<name>{name}</name>{more}<bndbox>{frame}</bndbox>\n</object>\n"


def voc(root, *objects, stem="a", filename="a.jpg"):
    """One VOC file in its folder; its first object begins in line 3."""
    content = f"<annotation>\n<filename>{filename}</filename>\n{''.join(objects)}</annotation>\n"
    return put(root / "Annotations" / f"{stem}.xml", content)


def coco(path, annotations, images=("a.jpg", "b.jpg"), categories=("face", "nose", "dog")):
    """A COCO file; images and categories are numbered from 1."""
    content = {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(images, 1)],
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories, 1)],
    }
    return put(path, json.dumps(content))


def cofw(path, values=None, hidden=(3, 5)):
    """A COFW-68 file in which these points are hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    occ = np.zeros((1, 68), np.uint8)
    occ[0, list(hidden)] = 1
    scipy.io.savemat(path, {"Points": points() if values is None else values, "Occ": occ})
    return path


def valid(name, root):
    """A valid source of a text format: what to read, the file, and its lines of one face each.

    Breaking one of those lines must be told with that very line.
    """
    if name in {"ibug", "merl-rav", "fgnet"}:
        count = (FGNET68 if name == "fgnet" else IBUG68).count
        return root, put(root / "007a01.pts", pts(points(count))), range(4, 4 + count)
    if name == "wflw":
        return root, wflw(root, f"{wflw_line('a.jpg')}\n{wflw_line('b.jpg')}\n"), [1]
    if name == "wider":
        row = "10 20 30 40 0 0 0 0 0 0 \n"
        return root, wider(root, f"a.jpg\n2\n{row}{row}b.jpg\n1\n{row}"), [3, 4]
    if name == "fddb":
        row = "40 30 0.5 100 90  1\n"
        path = put(root / "FDDB-fold-01-ellipseList.txt", f"d/a\n2\n{row}{row}d/b\n1\n{row}")
        return root, path, [3, 4]
    if name == "nfd":
        content = "image,x1,y1,x2,y2,patient\na.jpg,1,2,3,4,P1\nb.jpg,1,2,3,4,P2\nc.jpg,,,,,P2\n"
        return root, put(root / "faces.csv", content), [2, 3]
    assert name == "yolo"
    for stem in ("a", "b"):
        put_picture(root / "images" / f"{stem}.jpg")
        path = put(root / "labels" / f"{stem}.txt", "0 0.5 0.5 0.2 0.4\n0 0.4 0.5 0.2 0.4\n")
    return root, path, [1]  # an empty last line would be none
