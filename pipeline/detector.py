"""What every detector is: a callable, picture -> :class:`Detections`; frames in, frames out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from pipeline import images, media
from pipeline.detections import Detections, Hold
from pipeline.errors import UserError
from pipeline.images import Picture
from pipeline.overlap import LARGE, THREADS, ahead, read_ahead
from pipeline.video import Frame, Wanted, everything

Ready = TypeVar("Ready")  # a picture as the networks of a detector want it


class Detector(ABC, Generic[Ready]):
    """Finds whole faces. Who derives from it says how pictures are made ready, and looks."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it computes."""

    @abstractmethod
    def ready(self, picture: Picture) -> Ready:
        """A picture as the networks want it; done ahead, in threads."""

    @abstractmethod
    def batch(self, loaded: list[Ready]) -> list[Detections]:
        """Pictures that were made ready, past the networks."""

    def __call__(self, image: Picture | str | Path) -> Detections:
        """A picture (H, W, 3) RGB uint8, or its file."""
        picture = images.read(Path(image)) if isinstance(image, str | Path) else image
        if not isinstance(picture, np.ndarray):
            raise UserError(
                f"a picture is a file, or an array of RGB uint8 (H, W, 3), not {type(image)}"
            )
        kind = picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8
        if not kind or not picture.size:
            raise UserError(
                f"a picture is RGB uint8 (H, W, 3), not {picture.dtype} {picture.shape}"
            )
        faces = self.batch([self.ready(picture)])[0]
        return replace(faces, picture=picture)

    def stream(
        self,
        source: str | Sequence[str],
        batch: int = 8,
        wanted: Wanted = everything,
        reconnect: float = 0.0,
        hold: float = 0.0,
    ) -> Iterator[tuple[Frame, Detections]]:
        """Every frame of pictures, videos, streams, in order; memory stays flat."""
        for given in media.inputs([source] if isinstance(source, str) else source):
            frames, holding = media.frames(given, wanted, reconnect), Hold(hold)
            for frame, faces in self.look(frames, 1 if given.live else batch):
                yield frame, holding.over(frame.seconds, faces)

    def look(
        self, frames: Iterator[Frame], batch: int, cut: int = 0
    ) -> Iterator[tuple[Frame, Detections]]:
        """Frames past the networks; while a batch is in the network, the next is made ready.

        After every ``cut`` frames a batch ends: who goes on from there has the same batches.
        """
        depth = min(1, batch - 1)  # who wants frames one by one wants each at once
        parts = read_ahead(_parts(frames, batch, cut), depth)
        for part, loaded in ahead(self._prepared, parts, THREADS, depth):
            found = iter(self.batch(loaded))
            for frame in part:
                unread = frame.picture is None
                yield frame, Detections.empty(reason=frame.reason) if unread else next(found)

    def _prepared(self, part: list[Frame]) -> tuple[list[Frame], list[Ready]]:
        pictures = [frame.picture for frame in part if frame.picture is not None]
        return part, [self.ready(picture) for picture in pictures]


def _parts(frames: Iterator[Frame], size: int, cut: int) -> Iterator[list[Frame]]:
    """Frames in order, so many at once; fewer where they are large."""
    part: list[Frame] = []
    held = 0
    for number, frame in enumerate(frames, 1):
        part.append(frame)
        held += 0 if frame.picture is None else frame.picture.nbytes
        if len(part) == size or held > LARGE or (cut and number % cut == 0):
            yield part
            part, held = [], 0
    if part:
        yield part
