"""``uncover bench detect``: detection beside Ultralytics' own, and beside the thesis's way."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs
from pipeline.errors import UserError
from pipeline.runs import Json
from pipeline.shipped import CLEAR, CLEAR_FALLBACK

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.two_stage import TwoStage

SIZE = (640, 480)
_EARLY = 200  # the frame from which on memory must not grow


@dataclass(frozen=True)
class BenchDetect:
    """Measure detection: one run, the same frames, weights and machine.

    detect/all-found: a film in which stage 1 finds every face, against Ultralytics'
    predict(stream=True) with stage 1 alone. detect/all-missed: stage 1 is believed in no
    frame, so that every one falls back; against the same. detect/thesis-way: frames that fall
    back, against detecting, writing pictures, pytorch-grad-cam class by class, writing TIFFs
    and detecting in them. detect/memory: how much the process grows from frame 200 to the last.
    """

    stage1: str = CLEAR
    """Weights of the ten parts: a file, or the name of shipped ones."""

    fallback: str = CLEAR_FALLBACK
    """Weights of stage 2 for its heatmaps."""

    frames: int = 300
    """Of the film."""

    missed: int = 100
    """Frames for the thesis's way."""

    memory: int = 5000
    """Frames over which memory is watched; 0: not at all."""

    repeat: int = 3
    """Measurements of each, in turn, of which the median counts."""

    batch: int = 8
    """Frames that go through our networks at once."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    json: str = ""
    """Also write the rows to this file."""

    def run(self) -> list[Json]:
        """Print the table, row by row; the rows."""
        if min(self.frames, self.missed, self.repeat, self.batch) < 1:
            raise UserError("--frames, --missed, --repeat and --batch: expected 1 or more")
        if 0 < self.memory <= _EARLY:
            raise UserError(f"--memory {self.memory}: expected 0, or more than {_EARLY}")
        import torch

        from pipeline.two_stage import TwoStage

        pair = TwoStage.load(self.stage1, self.fallback, device=self.device)
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, ms a frame")
        print(f"{'':<22}{'device':>7}{'ours ms':>10}{'peer ms':>10}{'ours/peer':>11}{'ratio':>8}")
        rows: list[Json] = []
        with tempfile.TemporaryDirectory() as folder:
            for row in self._rows(pair, Path(folder)):
                rows.append(row | {"device": pair.first.network.device.type})
                print(_line(rows[-1]), flush=True)
        if self.json:
            runs.write_json(Path(self.json), rows)
        return rows

    def _rows(self, pair: "TwoStage", folder: Path) -> Iterator[Json]:
        from pipeline import shipped, yolo

        film, few = folder / "film.mp4", folder / "few.mp4"
        _film(film, self.frames)
        _film(few, self.missed)
        weights, first = shipped.find(self.stage1), pair.first
        theirs = yolo.plain(weights, first.imgsz, pair.conf, first.network.device)

        def plain(source: Path) -> int:
            return sum(1 for _ in theirs(source))

        def ours(detector: "TwoStage", source: Path, outcome: str) -> Callable[[], int]:
            def look() -> int:
                seen = [faces for _, faces in detector.stream(str(source), self.batch)]
                fallen = sum("stage 2" in faces.ms for faces in seen)
                if fallen != (0 if outcome == "found" else len(seen)):
                    raise UserError(
                        f"--stage1 {self.stage1}: of {len(seen)} clear faces {fallen} fall back; "
                        f"this bench is of frames that are all {outcome}"
                    )
                return len(seen)

            return look

        silent = replace(pair, conf=1.0)
        yield self._row("detect/all-found", ours(pair, film, "found"), lambda: plain(film))
        yield self._row("detect/all-missed", ours(silent, film, "missed"), lambda: plain(film))
        slow = _ThesisWay(pair, weights, shipped.find(self.fallback), folder)
        shown = ours(silent, few, "missed")
        yield self._row("detect/thesis-way", shown, lambda: slow.look(few), once=True)
        if self.memory:
            long = folder / "long.mp4"
            _film(long, self.memory)
            yield {"name": "detect/memory", "grown_mb": _growth(silent, long, self.batch)}

    def _row(
        self, name: str, ours: Callable[[], int], peer: Callable[[], int], *, once: bool = False
    ) -> Json:
        """Both in turn, after a warm-up of each; once: a peer so slow that it needs none."""
        if not once:
            ours(), peer()
        times: dict[str, list[float]] = {"ours_ms": [], "peer_ms": []}
        for _ in range(1 if once else self.repeat):
            for key, work in (("ours_ms", ours), ("peer_ms", peer)):
                start = time.perf_counter()
                count = work()
                times[key].append((time.perf_counter() - start) * 1000 / count)
        middle = {key: round(statistics.median(each), 3) for key, each in times.items()}
        return {"name": name, **middle}


class _ThesisWay:
    """Detect, write pictures, draw each class's map by itself, write TIFFs, detect in those."""

    def __init__(self, pair: "TwoStage", weights: Path, second: Path, folder: Path) -> None:
        from pipeline import yolo

        assert pair.second is not None
        self.recipe, self.folder = pair.second.recipe, folder
        self.stage = replace(pair.first, engine="grad-cam")
        device = pair.first.network.device
        self.first = yolo.plain(weights, pair.first.imgsz, 1.0, device)
        self.second = yolo.plain(second, pair.second.imgsz, 0.25, device)

    def look(self, film: Path) -> int:
        """All frames of a film."""
        import numpy as np

        from pipeline import images

        for number, result in enumerate(self.first(film)):
            picture = np.ascontiguousarray(result.orig_img[..., ::-1])
            images.write(self.folder / f"missed-{number:06d}.png", picture)
        pictures = sorted(self.folder.glob("missed-*.png"))
        maps = self.folder / "maps"
        maps.mkdir(exist_ok=True)
        for path in pictures:
            self._draw(path, maps / f"{path.stem}.tif")
        for _ in self.second(maps):
            pass
        return len(pictures)

    def _draw(self, path: Path, target: Path) -> None:
        from pipeline import heatmap_files, heatmaps, images

        looked = next(self.stage.look([self.stage.load(images.read(path))]))
        maps, stacks = self.stage.heatmaps(looked, [self.recipe])[0]
        facts = heatmap_files.facts_of(self.recipe, self.stage.names, looked.squares[0])
        heatmap_files.write(
            target, stacks[0], facts | heatmaps.score_facts(maps, self.stage.names)[0]
        )


def _film(path: Path, count: int) -> None:
    """The bundled faces, clear, drifting a little."""
    import numpy as np

    from pipeline import samples
    from pipeline.film import Piece
    from pipeline.images import Letterbox

    stills = []
    for window, _ in list(samples.faces())[:2]:
        box = Letterbox(window.shape[1], window.shape[0], *SIZE)
        stills.append(box.picture(window))
    with Piece(path, SIZE) as film:
        for number in range(count):
            still = stills[number * len(stills) // count]
            film.write(np.ascontiguousarray(np.roll(still, number % 16, axis=1)))


def _growth(detector: "TwoStage", film: Path, batch: int) -> float:
    """Megabytes that the process takes more at the last frame than at an early one."""
    import psutil

    process, early = psutil.Process(), 0
    for number, _ in enumerate(detector.stream(str(film), batch)):
        if number == _EARLY:
            early = process.memory_info().rss
    return round((process.memory_info().rss - early) / 1e6, 1)


def _line(row: Json) -> str:
    if "grown_mb" in row:
        return f"{row['name']:<22}{row['device']:>7}  grown by {row['grown_mb']:.1f} MB"
    ours, peer = row["ours_ms"], row["peer_ms"]
    times = f"{ours:>10.2f}{peer:>10.2f}{ours / peer:>11.3f}{peer / ours:>7.1f}x"
    return f"{row['name']:<22}{row['device']:>7}{times}"
