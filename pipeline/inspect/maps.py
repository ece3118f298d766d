"""The heatmaps of a frame: as the run has saved them, or drawn on the spot by its stage 1."""

import base64
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline import heatmap_files, media, runs, shipped
from pipeline.errors import UserError
from pipeline.images import Letterbox
from pipeline.inspect.messages import Maps, Method
from pipeline.inspect.pictures import Album, Gone
from pipeline.inspect.record import Looks, Record
from pipeline.parts import PARTS
from pipeline.recipe import Recipe, saved
from pipeline.runs import Json

if TYPE_CHECKING:  # it brings torch, which saved heatmaps need not wait for
    from pipeline.squares import Loaded
    from pipeline.stage1 import Stage1

METHODS: list[Method] = [
    {"name": "gradcam++", "words": "Grad-CAM++: positive gradients, weighed by their own size"},
    {"name": "hirescam", "words": "HiResCAM: gradient times feature, cell by cell"},
    {"name": "gradcam", "words": "Grad-CAM: features, weighed by their mean gradient"},
    {"name": "xgradcam", "words": "XGrad-CAM: gradients, averaged where features are active"},
    {"name": "layercam", "words": "LayerCAM: positive gradient times feature, cell by cell"},
    {"name": "eigencam", "words": "Eigen-CAM: what is strongest in the features; knows no class"},
]
_SAMPLE = 24  # frames that tell how strong the strongest evidence is
_KEPT = 200  # heatmaps


class Artist:
    """One stage 1 that looks again; opened when it is first needed."""

    def __init__(self, looks: Looks, record: Record, album: Album) -> None:
        self.looks, self.record, self.album = looks, record, album
        self.peaks: dict[Recipe, float] = {}

    @cached_property
    def why_not(self) -> str:
        """Why nothing can be drawn; nothing if it can."""
        try:
            same = runs.sha256(shipped.find(self.looks.weights)) == self.looks.sha256
            if self.looks.second:
                shipped.find(self.looks.second)  # it tells how its heatmaps are made
        except UserError as error:
            return f"the weights are not there any more ({error})"
        return "" if same else f"{self.looks.weights} are other weights than the run was made with"

    @cached_property
    def stage(self) -> "Stage1":
        """The network."""
        from pipeline.opening import open_evidence

        return open_evidence(shipped.find(self.looks.weights), "", self.looks.imgsz)

    @cached_property
    def usual(self) -> Recipe:
        """How stage 2 is shown what stage 1 saw, if there is one; else as the logits are made up.

        Grad-CAM++, which stage 2 learns from best, weighs a channel alike everywhere: of the
        neonatal detector it shows the ground as evidence, and the face as a hole in it.
        """
        from pipeline import yolo

        if not self.looks.second:
            return Recipe("hirescam", tuple(range(len(self.stage.network.strides))))
        recipe = yolo.about(shipped.find(self.looks.second)).get("recipe")
        return saved(recipe) if recipe else Recipe()

    def draw(self, index: int, method: str, levels: tuple[int, ...]) -> Maps:
        """The heatmaps of a frame under one scale for all frames of the run."""
        from pipeline import heatmaps

        recipe = replace(self.usual, compose="stack", scale="fixed")
        count = len(self.stage.network.strides)
        if method:
            recipe = replace(recipe, method=method, levels=levels or tuple(range(count)))
        heatmaps.check(recipe, count)
        recipe = replace(recipe, peak=self._peak(recipe))
        picture = self.album.original(self.record.shots[index])
        looked = next(self.stage.look([self.stage.load(picture)]))
        both = [recipe, replace(recipe, compose="average")]
        (maps, stacks), (_, averages) = self.stage.heatmaps(looked, both)
        names = self.stage.names
        facts = heatmap_files.facts_of(
            recipe, names, looked.squares[0], **heatmaps.score_facts(maps, names)[0]
        )
        # Of one class there is one map, which is the average.
        stack = stacks[0] if len(names) == len(PARTS) else stacks[0][:0]
        return _told(index, facts, stack, averages[0], on_the_spot=True)

    def _peak(self, recipe: Recipe) -> float:
        """What becomes the brightest colour: as for training, else measured on the run."""
        from pipeline import heatmaps

        same = (recipe.method, recipe.levels) == (self.usual.method, self.usual.levels)
        if same and self.usual.peak:
            return self.usual.peak
        drawing = recipe.drawing
        if drawing not in self.peaks:
            try:
                self.peaks[drawing] = self.stage.measure([drawing], self._sample())[drawing]
            except heatmaps.Blank:  # no part is seen on these levels: dark at any scale
                self.peaks[drawing] = 1.0
        return self.peaks[drawing]

    def _sample(self) -> "Iterator[Loaded]":
        """Some frames of the run, those whose pictures are gone left out."""
        for number in media.evenly(len(self.record.shots), _SAMPLE):
            with suppress(Gone):
                yield [self.stage.load(self.album.original(self.record.shots[number]))]


class Atlas:
    """The heatmaps of a run; one is drawn at a time."""

    def __init__(self, record: Record, album: Album) -> None:
        self.record, self.lock, self.drawing = record, Lock(), Lock()
        self.kept: OrderedDict[tuple[int, int, str, tuple[int, ...]], Maps] = OrderedDict()
        self.artists = [
            None if looks is None else Artist(looks, record, album) for looks in record.looks
        ]

    def undrawn(self, pair: int) -> str:
        """Why nothing can be drawn on the spot; nothing if it can."""
        artist = self.artists[pair]
        return "nobody knows the weights of the run" if artist is None else artist.why_not

    def maps(self, index: int, pair: int, method: str, levels: tuple[int, ...]) -> Maps:
        """What was saved, if no method is named; else what is drawn now."""
        damaged = ""
        try:
            there = None if method else self._saved(index, pair)
        except UserError as error:
            there, damaged = None, f"; the saved one cannot be read: {error}"
        if there is not None:
            return there
        key = (index, pair, method, levels)
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        with self.drawing:
            with self.lock:
                if key in self.kept:  # another page has asked for it, too
                    return self.kept[key]
            made = self._drawn(index, pair, method, levels)
            made["words"] += damaged
            with self.lock:
                if made["width"]:  # what is missing now may come
                    self.kept[key] = made
                while len(self.kept) > _KEPT:
                    self.kept.popitem(last=False)
        return made

    def _drawn(self, index: int, pair: int, method: str, levels: tuple[int, ...]) -> Maps:
        artist, why = self.artists[pair], self.undrawn(pair)
        if artist is None or why:
            return none(index, f"no heatmap was saved of this frame, and none can be drawn: {why}")
        try:
            return artist.draw(index, method, levels)
        except Gone as gone:
            return none(index, f"there is nothing to draw a heatmap of: {gone}")

    def _saved(self, index: int, pair: int) -> Maps | None:
        """The heatmap that the run has kept of a frame, of what stage 2 was shown."""
        pairs = self.record.pairs
        alone = pairs[pair]["second"] is None and any(each["second"] for each in pairs)
        if self.record.heatmaps is None or alone:
            return None
        path = self.record.heatmaps / f"{self.record.shots[index].name}.tif"
        if not path.is_file():
            return None
        stack, facts = heatmap_files.read(path)
        if facts["recipe"]["compose"] == "average":
            return _told(index, facts, stack[:0], stack)
        recipe = saved(facts["recipe"])
        chosen = [PARTS.index(name) for name in PARTS if name not in facts["weak"]]
        light = (stack[chosen or slice(None)] / 255.0) ** (1 / recipe.gamma)
        average = np.rint(light.mean(axis=0, keepdims=True) ** recipe.gamma * 255)
        return _told(index, facts, stack, average.astype(np.uint8))


def _told(
    index: int,
    facts: Json,
    stack: NDArray[np.uint8],
    average: NDArray[np.uint8],
    *,
    on_the_spot: bool = False,
) -> Maps:
    """Heatmaps as the page wants them."""
    recipe, square = saved(facts["recipe"]), Letterbox(**facts["letterbox"])
    height, width = average.shape[1:]
    scale = width / square.out_width
    scaled = "each by itself" if recipe.scale == "minmax" else f"one scale, peak {recipe.peak:.3g}"
    if not average.any() and not stack.any():
        scaled = "blank: no part is seen on these levels"
    how = "drawn now" if on_the_spot else "as the run has saved it"
    return {
        "index": index,
        "method": recipe.method,
        "levels": list(recipe.levels),
        "saved": not on_the_spot,
        "words": f"{recipe.method}, {scaled}, gamma {recipe.gamma:g}; {how}",
        "width": width,
        "height": height,
        "place": [round(each * scale, 3) for each in (*square.offset, *square.size)],
        "best": facts["best"],
        "weak": facts["weak"],
        "stack": _base64(stack),
        "average": _base64(average),
    }


def none(index: int, why: str) -> Maps:
    """No heatmap, and why."""
    return {
        "index": index,
        "method": "",
        "levels": [],
        "saved": False,
        "words": why,
        "width": 0,
        "height": 0,
        "place": [0, 0, 0, 0],
        "best": {},
        "weak": [],
        "stack": "",
        "average": "",
    }


def _base64(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode()
