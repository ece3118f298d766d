"""``uncover weights``: what is shipped, whether it is whole, and how a training joins it."""

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from pipeline import runs, shipped
from pipeline.errors import UserError
from pipeline.runs import Json

TERMS = (
    "AGPL-3.0 for the weights' form. Trained on photographs that are for research only; use the "
    "weights for research only, too, unless you hold rights to the photographs."
)


@dataclass(frozen=True)
class Weights:
    """List the weights that are shipped, and verify that each is the file its card is of.

    Wherever a command takes weights, it takes one of these names, or a path.

    With --add, a finished training joins them under --name, with its card.
    """

    add: str = ""
    """The folder of a finished training (runs/train/NAME)."""

    name: str = ""
    """What the added weights are called."""

    note: str = ""
    """For the card of the added weights: what they are for."""

    thresholds: tuple[float, float] | None = None
    """Of an added stage 2: from which score on its first stage is believed, and from which on it
    itself is, as 'uncover evaluate' says (table 'together'); by default as its training chose."""

    overwrite: bool = False
    """Replace weights of this name."""

    def run(self) -> None:
        """Print the list; or add."""
        if self.add:
            self._add(Path(self.add), runs.plain_name(self.name))
        elif self.name or self.note or self.thresholds:
            raise UserError("--name, --note and --thresholds belong to --add")
        found = shipped.shelf()
        faults = []
        for one in found:
            fault = one.fault()
            faults += [f"{one.path}: {fault}"] if fault else []
            size = one.path.stat().st_size / 1e6 if one.path.is_file() else 0.0
            kind = one.card.get("about", {}).get("kind", "?")
            print(f"{one.name:<28}{kind:<9}{size:6.1f} MB  {fault or 'whole'}")
            if one.card.get("note"):
                print(f"  {one.card['note']}")
        if not found:
            print(f"no weights in {runs.weights()}")
        if faults:
            raise UserError("; ".join(faults))

    def _add(self, folder: Path, name: str) -> None:
        manifest = runs.read_json(folder / "manifest.json")
        if manifest is None or not (folder / "best.pt").is_file():
            raise UserError(f"--add {folder}: no finished training")
        if runs.sha256(folder / "best.pt") != manifest["weights"]["sha256"]:
            raise UserError(f"--add {folder}: best.pt is not the file its manifest is of")
        if (runs.weights() / f"{name}.json").exists() and not self.overwrite:
            raise UserError(f"--name {name}: is there already (--overwrite replaces it)")
        runs.weights().mkdir(parents=True, exist_ok=True)
        weights, about = runs.weights() / f"{name}.pt", manifest["about"]
        if self.thresholds is None:
            shutil.copyfile(folder / "best.pt", weights)
        else:
            about = self._rethought(about)
            from pipeline.yolo import training

            training.publish(folder / "best.pt", weights, about)
        card = {
            "note": self.note,
            "sha256": runs.sha256(weights),
            "about": about,
            "command": _plain(manifest["made"]["command"]),
            "settings": manifest["settings"],
            "sources": manifest["sources"],
            "data": _data(manifest["data"]),
            "faces": _data(manifest["faces"]) if "faces" in manifest else None,
            "more": {name: _data(one) for name, one in manifest.get("more", {}).items()},
            "scores": manifest["scores"],
            "made": {key: value for key, value in manifest["made"].items() if key != "command"},
            "terms": TERMS,
        }
        runs.write_json(runs.weights() / f"{name}.json", card)

    def _rethought(self, about: Json) -> Json:
        """What is written into a stage 2 of how it is to be used, with these thresholds."""
        assert self.thresholds is not None
        first, own = self.thresholds
        if about["kind"] != "heatmap" or not (0 < first <= 1 and 0 < own <= 1):
            raise UserError("--thresholds: two numbers up to 1, for a stage 2 of heatmaps")
        chosen = {"first stage's": first, "by": "F1 of the pair on validation"}
        return about | {"threshold": own, "chosen": chosen}


def _data(manifest: Json) -> Json:
    """What a card says of a dataset: where it came from, without the paths of a machine."""
    sources = manifest["sources"]
    return {
        "command": _plain(manifest["made"]["command"]),
        "settings": manifest["settings"],
        "pictures": manifest["pictures"],
        "sources": {
            name: {key: value for key, value in source.items() if key not in {"path", "pictures"}}
            for name, source in sources.items()
            if isinstance(source, dict)
        },
        # Heatmaps are of pictures, which are what people ask after.
        "of": _data(manifest["of"]) if "of" in manifest else None,
    }


def _plain(command: str) -> str:
    """A command line without the folders of the machine it ran on."""
    words = [re.sub(r"[^=,]*[/\\\\][^=,]*", _last, word) for word in shlex.split(command)[1:]]
    return shlex.join(["uncover", *words])


def _last(path: re.Match[str]) -> str:
    return PureWindowsPath(path.group()).name  # it knows both kinds of slash
