"""The formats by name. A reader's module is imported when it is first used."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.annotations.types import Annotation, Report, Source
from pipeline.errors import UserError


@dataclass(frozen=True)
class Format:
    """A public annotation format."""

    module: str  # under pipeline.annotations, with a function read(source, report)
    layout: str  # what the path given must hold, for help and for errors
    ratio: str = "8:1:1"  # of train, val and test, where the source has no split of its own


FORMATS = {
    "ibug": Format("ibug", "folders of NAME.jpg + NAME.pts, 68 points"),
    "merl-rav": Format("merl_rav", "POSE/trainset|testset/*.pts, pictures beside them or apart"),
    "fgnet": Format("fgnet", "folder of SSSaAA.jpg + .pts (subject SSS, age AA), 68 points"),
    "wflw": Format("wflw", "WFLW_annotations/**/list_98pt_*.txt and WFLW_images/"),
    "cofw68": Format("cofw68", "folder of N_points.mat; pictures N.jpg"),
    "hand-over-face": Format("hand_over_face", "folder of frames, no labels"),
    "wider": Format("wider", "wider_face_split/*_bbx_gt.txt and WIDER_*/images/"),
    "fddb": Format("fddb", "FDDB-fold-*-ellipseList.txt and the original pictures"),
    "voc": Format("voc", "Annotations/*.xml and JPEGImages/"),
    "yolo": Format("yolo_txt", "data.yaml, or images/ and labels/"),
    "coco": Format("coco", "one .json with images, annotations, categories"),
    "nfd": Format("nfd", "a .csv with image,x1,y1,x2,y2,patient and the pictures", "6:1:3"),
}


def read(source: Source, report: Report) -> Iterator[Annotation]:
    """All annotations of a source, in a fixed order."""
    if source.format not in FORMATS:
        raise UserError(f"unknown format {source.format!r}; known are {', '.join(FORMATS)}")
    if not source.path.exists():
        raise UserError(f"{source.format}={source.path}: there is no such file or folder")
    module = importlib.import_module(f"pipeline.annotations.{FORMATS[source.format].module}")
    annotations: Iterator[Annotation] = module.read(source, report)
    return annotations
