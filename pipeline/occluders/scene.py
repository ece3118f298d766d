"""What a picture is like around a face, so that what is drawn there can be made alike."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.images import Picture
from pipeline.occluders.frame import Frame

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# What share of the detail at edges is fine after a Gaussian blur of sigma pixels (medians measured
# on faces that were made sharp by halving them first).
_DETAIL = np.array([0.17, 0.182, 0.2, 0.23, 0.265, 0.33])
_SIGMA = np.array([2.4, 1.9, 1.5, 1.0, 0.7, 0.3])


@dataclass(frozen=True, eq=False)
class Scene:
    """How the camera saw this place."""

    black: NDArray[np.float32]  # (3,) how something black looks here, 0 to 1
    white: NDArray[np.float32]  # (3,) how something white looks here
    light: NDArray[np.float32]  # (3,) where the light comes from, local x and y, and towards us
    skin: NDArray[np.float32]  # (3,) the colour of the face, as it would be in a white light
    blur: float  # sigma, pixels
    grain: float  # standard deviation, 0 to 1
    grey: bool  # the picture has no colour


def scene_of(picture: Picture, frame: Frame) -> Scene:
    """Measured in a window of about two units around the face."""
    window = _window(picture, frame.origin, 1.1 * frame.unit)
    small = _shrunk(window, 96).astype(np.float32) / 255
    luma = np.asarray(small @ _LUMA, np.float32)
    low, high = np.quantile(luma, [0.02, 0.98])
    bright = max(float(high), 0.3)
    cast = _cast(np.asarray(_shrunk(picture, 96) / 255, np.float32))
    grey = bool((np.ptp(window.reshape(-1, 3).astype(np.int16), axis=1) == 0).all())
    tint = np.ones(3, np.float32) if grey else cast
    black = np.full(3, 0.7 * min(float(low), 0.25), np.float32)
    white = np.clip(min(1.04 * bright, 0.98) * tint, 0, 1).astype(np.float32)
    middle = _shrunk(_window(picture, frame.origin, 0.3 * frame.unit), 32).reshape(-1, 3) / 255
    return Scene(
        black=black,
        white=white,
        skin=np.clip((np.quantile(middle, 0.6, axis=0) - black) / (white - black), 0.05, 1).astype(
            np.float32
        ),
        light=_light(luma, frame),
        blur=_blur(_window(picture, frame.origin, min(0.6 * frame.unit, 128))),
        grain=_grain(_window(picture, frame.origin, min(0.6 * frame.unit, 128))),
        grey=grey,
    )


def _window(picture: Picture, centre: NDArray[np.float64], half: float) -> Picture:
    """The part of the picture around a place, at least two pixels a side."""
    height, width = picture.shape[:2]
    x, y = (int(np.clip(v, 0, size - 1)) for v, size in zip(centre, (width, height), strict=True))
    reach = max(int(half), 2)
    return picture[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]


def _shrunk(window: Picture, side: int) -> Picture:
    """The window at no more than this many pixels a side."""
    step = max(-(-max(window.shape[:2]) // side), 1)
    return np.asarray(window[::step, ::step])


def _cast(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """The colour of the light, from the brighter places that are not burnt out; half believed."""
    pixels = small.reshape(-1, 3)
    luma = pixels @ _LUMA
    chosen = pixels[(luma >= np.quantile(luma, 0.6)) & (luma < 0.97)]
    mean = chosen.mean(axis=0) if len(chosen) else np.ones(3, np.float32)
    ratio = mean / max(float(mean @ _LUMA), 1e-3)
    return np.asarray(np.clip(1 + 0.45 * (ratio - 1), 0.82, 1.15), np.float32)


def _light(luma: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """The direction of the light: brighter towards it, and a little from above in the picture."""
    rows, cols = np.indices(luma.shape, np.float32)
    x, y = (2 * (a / max(a.max(), 1) - 0.5) for a in (cols, rows))
    weight = np.exp(-2 * (x**2 + y**2))
    slope = np.array([(weight * luma * a).sum() for a in (x, y)]) / max(float(weight.sum()), 1e-6)
    across = np.clip(4 * slope / max(float(luma.std()), 0.05), -0.7, 0.7) + np.array([0.0, -0.4])
    local = frame.axes @ across
    light = np.array([local[0], local[1], 0.85])
    return np.asarray(light / np.linalg.norm(light), np.float32)


def _blur(window: Picture) -> float:
    """How blurred the picture is: what a second blur takes away, by a measured table."""
    luma = window.astype(np.float32) @ _LUMA
    fine = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 1.0))
    coarse = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 3.0))
    edges = coarse >= np.quantile(coarse, 0.93)  # smooth skin says nothing
    ratio = float(fine[edges].sum()) / max(float(coarse[edges].sum()), 1e-3)
    return float(np.interp(ratio, _DETAIL, _SIGMA))


def _grain(window: Picture) -> float:
    """The noise of the picture (Immerkaer's mask, median instead of mean: edges do not count)."""
    if min(window.shape[:2]) < 6:
        return 0.0
    luma = window.astype(np.float32) @ _LUMA
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = cv2.filter2D(luma, -1, mask)[1:-1, 1:-1]
    return float(min(np.median(np.abs(rough)) / 0.6745 / 6 / 255, 0.04))
