"""Drawn faces with exact landmarks, so that tests need no photograph."""

import math
from pathlib import Path

import cv2
import numpy as np

from pipeline import images


def ibug_points(cx=0.0, cy=0.0, height=100.0, roll=0.0):
    """iBUG's 68 points of an upright, symmetric face, turned clockwise by ``roll`` degrees.

    ``height`` is the distance from brows to chin; the centre is the middle of the face.
    """
    jaw = [(-math.cos(t) * 0.42, -0.22 + math.sin(t) * 0.72) for t in np.linspace(0, math.pi, 17)]
    brow = [(-0.36 + 0.07 * i, -0.44 - 0.06 * math.sin(math.pi * (i + 1) / 6)) for i in range(5)]
    brows = brow + [(-x, y) for x, y in reversed(brow)]
    nose = [(0, -0.28 + 0.11 * i) for i in range(4)]
    nose += [(-0.1 + 0.05 * i, 0.12 + 0.02 * math.sin(math.pi * i / 4)) for i in range(5)]
    eye = [(-0.28, -0.26), (-0.22, -0.3), (-0.15, -0.3), (-0.09, -0.26), (-0.15, -0.23)]
    eye += [(-0.22, -0.23)]
    other = [(-x, y) for x, y in (eye[3], eye[2], eye[1], eye[0], eye[5], eye[4])]
    lips = [(-0.17, 0.27), (-0.1, 0.23), (-0.04, 0.21), (0, 0.22), (0.04, 0.21), (0.1, 0.23)]
    lips += [(0.17, 0.27), (0.1, 0.33), (0.04, 0.35), (0, 0.36), (-0.04, 0.35), (-0.1, 0.33)]
    lips += [(-0.13, 0.27), (-0.04, 0.26), (0, 0.26), (0.04, 0.26), (0.13, 0.27), (0.04, 0.29)]
    lips += [(0, 0.3), (-0.04, 0.29)]
    points = np.array(jaw + brows + nose + eye + other + lips)
    angle = math.radians(roll)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (points @ turn * height + [cx, cy]).astype(np.float32)


def face_picture(points, width=200, height=200, seed=0):
    """A picture of drawn faces: list of (68, 2) landmarks on a noisy ground."""
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 200, (5, 5, 3), np.uint8)
    picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    for one in points:
        hull = cv2.convexHull(one.astype(np.float32)).astype(np.int32)
        skin = tuple(int(value) for value in rng.integers((150, 100, 80), (240, 190, 170)))
        cv2.fillPoly(picture, [hull], skin, cv2.LINE_AA)
        for run in (range(36, 42), range(42, 48)):
            cv2.fillPoly(picture, [one[list(run)].astype(np.int32)], (30, 30, 40), cv2.LINE_AA)
        cv2.fillPoly(picture, [one[48:60].astype(np.int32)], (170, 60, 70), cv2.LINE_AA)
        cv2.polylines(picture, [one[27:36].astype(np.int32)], False, (120, 70, 60), 1, cv2.LINE_AA)
        for run in (range(17, 22), range(22, 27)):
            cv2.polylines(picture, [one[list(run)].astype(np.int32)], False, (60, 40, 30), 2)
    noise = rng.normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def write_pts(path: Path, points, header=True):
    """A ``.pts`` file; points without a place are written as MERL-RAV does."""
    rows = ["-1 -1" if np.isnan(x) else f"{x:.3f} {y:.3f}" for x, y in points]
    text = "\n".join(rows)
    path.write_text(f"version: 1\nn_points: {len(rows)}\n{{\n{text}\n}}\n" if header else text)


def ibug_folder(folder: Path, count=6, size=160, start=0):
    """A folder in iBUG's form: ``count`` pictures with one drawn face each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        points = ibug_points(*rng.uniform(70, 90, 2), rng.uniform(70, 90), rng.uniform(-10, 10))
        picture = face_picture([points], size, size, number)
        images.write(folder / f"face{number:03d}.jpg", picture)
        write_pts(folder / f"face{number:03d}.pts", points)
    return folder


def wider_folder(folder: Path, train=4, val=2, size=320):
    """Scenes with a small face each, in WIDER FACE's format; every pixel of a face is red."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        lines = []
        for number in range(count):
            scene = np.full((size, size, 3), 90, np.uint8)
            scene[..., 1] += rng.integers(0, 60, (size, size), np.uint8)
            x, y = rng.integers(0, size - 60, 2)
            scene[y : y + 50, x : x + 40] = (255, 0, 0)
            name = f"0--Ward/{split}{number}.png"
            path = folder / f"WIDER_{split}" / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            images.write(path, scene)
            lines.append(f"{name}\n1\n{x} {y} 40 50 0 0 0 0 0 0\n")
        text = folder / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("".join(lines))
    return folder
