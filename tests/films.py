"""Small videos, made with the FFmpeg inside PyAV."""

from fractions import Fraction

import av
import numpy as np


def film(
    path, count=7, rate=10, size=(48, 32), codec="mpeg4", times=None, rotation=0, container=None
):
    """A video whose frames get redder from frame to frame; ``times`` in seconds, else even."""
    with av.open(str(path), "w", format=container) as file:
        fast = {"preset": "ultrafast"} if codec == "libx264" else {}
        stream = file.add_stream(codec, rate=rate, options=fast)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        tick = Fraction(1, 1000 if times else rate)
        stream.codec_context.time_base = tick
        stream.bit_rate = 2_000_000
        reds = sorted({30 * number % 250 for number in range(count)})
        frames = {red: _frame(red, size, stream.pix_fmt) for red in reds}
        for number in range(count):
            frame = frames[30 * number % 250]
            second = number / rate if times is None else times[number]
            frame.pts, frame.time_base = round(second / tick), tick
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def _frame(red, size, kind):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[..., 0] = red
    picture[: size[1] // 4, : size[0] // 4, 2] = 255  # blue where the frame begins
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=kind)
