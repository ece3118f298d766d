"""``uncover bench neonatal``: what HCC and DAN cost over the baseline, in one run."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs
from pipeline.errors import UserError, check_shares
from pipeline.runs import Json
from pipeline.shipped import NEONATAL

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.images import Picture
    from pipeline.neonatal.architecture import Quality
    from pipeline.stage1 import Stage1

_MODULES: "dict[str, tuple[bool, bool]]" = {  # row -> with HCC, with DAN
    "hcc+dan": (True, True),
    "hcc": (True, False),
    "dan": (False, True),
}


@dataclass(frozen=True)
class BenchNeonatal:
    """Measure the neonatal detector: forward pass, boxes and NMS, picture by picture in turn.

    neonatal/hcc+dan: the network as it is; the peer is the same network, with the same weights,
    without the two modules. neonatal/hcc and neonatal/dan: each module alone.
    """

    weights: str = NEONATAL
    """Of the detector, with both modules: a file, a training, or the name of shipped ones."""

    imgsz: int = 0
    """Side of the square that it sees; 0: as its weights say."""

    batch: int = 1
    """Pictures at once."""

    pictures: tuple[str, ...] = ()
    """Files or folders to look at; by default faces that come with Ultralytics."""

    most: int = 16
    """No more pictures than this are looked at, from all over what is given."""

    conf: float = 0.05
    """From which score on boxes are decoded."""

    repeat: int = 30
    """Measurements of each, in turn; the ratio is the median of neighbours' ratios, and half of
    them lie between the two figures behind it."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    half: bool = False
    """Half precision (CUDA)."""

    json: str = ""
    """Also write the rows to this file."""

    def run(self) -> list[Json]:
        """Print the table; the rows."""
        if min(self.batch, self.most) < 1 or self.repeat < 2:
            raise UserError("--batch and --most: expected 1 or more; --repeat: 2 or more")
        check_shares(conf=self.conf)
        import torch

        from pipeline import shipped
        from pipeline.neonatal import timing
        from pipeline.neonatal.trained import Trained, open_neonatal

        path = shipped.find(self.weights)
        whole = open_neonatal(path, self.device, self.imgsz, self.half)
        assert isinstance(whole.network, Trained)
        settings = whole.network.model.architecture
        if not settings.hcc or settings.quality == "none":
            raise UserError(f"{path}: it has not both modules; nothing to compare")

        def with_(modules: tuple[bool, bool]) -> "Stage1":
            hcc, dan = modules
            quality: Quality = settings.quality if dan else "none"
            return timing.stripped(whole, hcc=hcc, quality=quality)

        stages = {"baseline": with_((False, False))}
        stages |= {name: with_(modules) for name, modules in _MODULES.items()}
        pictures = self._pictures()
        loaded = [whole.load(picture) for picture in pictures]
        if self.batch > 1:  # what is of another shape would be a batch of its own
            loaded = [each for each in loaded if each[0].shape == loaded[0][0].shape]
        batches = [loaded[n : n + self.batch] for n in range(0, len(loaded), self.batch)]
        times = timing.milliseconds(stages, batches, self.conf, self.repeat)
        print(
            f"{torch.get_num_threads()} threads, torch {torch.__version__}, {settings.backbone}, "
            f"{settings.channels} channels, {whole.imgsz} pixels, {len(loaded)} pictures, batches "
            f"of {self.batch}, ms a picture"
        )
        print(
            f"{'':<22}{'device':>7}{'ours ms':>10}{'peer ms':>10}{'ours/peer':>11}"
            f"{'half of them':>16}"
        )
        rows: list[Json] = []
        for name in _MODULES:
            middle = [round(statistics.median(times[key]), 3) for key in (name, "baseline")]
            row: Json = {"name": f"neonatal/{name}", "ours_ms": middle[0], "peer_ms": middle[1]}
            row["ratio"] = round(timing.ratio(times[name], times["baseline"]), 4)
            low, high = timing.spread(times[name], times["baseline"])
            row["half"] = [round(low, 4), round(high, 4)]
            rows.append(row | {"device": whole.network.device.type})
            print(
                f"{row['name']:<22}{whole.network.device.type:>7}{middle[0]:>10.2f}"
                f"{middle[1]:>10.2f}{row['ratio']:>11.3f}{low:>10.3f}-{high:.3f}"
            )
        if self.json:
            runs.write_json(Path(self.json), rows)
        return rows

    def _pictures(self) -> "list[Picture]":
        """What is looked at."""
        from pipeline import images, media, samples

        if not self.pictures:
            return [window for window, _ in samples.faces()][: self.most]
        given = [one for one in media.inputs(self.pictures) if one.kind == "picture"]
        if not given:
            raise UserError("--pictures: none")
        chosen = [given[number] for number in media.evenly(len(given), self.most)]
        return [images.read_named(Path(one.where)) for one in chosen]
