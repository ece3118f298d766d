"""``uncover evaluate``: who finds the face, at which level of occlusion, and who else would.

A result is ``runs/evaluate/NAME``::

    report.html      everything below on one page, without a server or a network
    tables.md .tex   the tables, for a paper; each is NAME.csv as well
    metrics.json     the tables, for a program
    *.png            recovered by level, precision and recall, calibration
    gallery/         the worst misses, false recoveries, the best recoveries, with heatmaps
    predictions/     what every detector said of every picture; measured.jsonl: as it was measured
    parts/           all classes of the first stages: confusion matrices, curves
    manifest.json    settings, weights, data, thresholds, versions
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import runs, shipped
from pipeline.errors import UserError
from pipeline.runs import Json

if TYPE_CHECKING:  # these bring torch, which --help need not wait for
    from pipeline.dataset import Dataset
    from pipeline.judged import Judged
    from pipeline.predictions import Detectors, Scene
    from pipeline.stage1 import Stage1
    from pipeline.stage2 import Stage2
    from pipeline.theirs import Theirs
    from pipeline.verdict import Judges


@dataclass(frozen=True)
class Evaluate:
    """Measure who finds the faces of a dataset, by level of occlusion, beside the cheap ways.

    For every first stage: the pictures in which it is silent, and how many of them are recovered
    by each second stage, by its own lowered threshold, by a face fitted to the parts that were
    seen, by the brightest region of the heatmap, by a box that is held (--hold), by the other
    models, by predictions of anybody else, and by the union that measures best. With 95 %
    intervals over pictures.

    The threshold of a first stage is in its weights: its training chose it on its own validation
    pictures. All others are the lowest that keep --precision on what that first stage misses in
    the val split of --validation. Then they are held.

    Writes runs/evaluate/NAME: report.html (one page), tables.md, tables.tex, a CSV for each table,
    metrics.json, plots, a gallery, and what every detector said. Killed, the same command goes on.

    Example: uncover evaluate --data unseen --validation hidden

    Example: uncover evaluate --data ward --levels levels.csv --predictions theirs.json
    """

    data: str
    """A prepared dataset with a test split (or --split)."""

    validation: str = ""
    """A prepared dataset with a val split, on which thresholds are chosen; by default --data."""

    name: str = ""
    """The result is written to runs/evaluate/NAME; by default the dataset's name."""

    stage1: tuple[str, ...] = (shipped.CLEAR, shipped.STAGE1)
    """Weights of the ten parts: files (called by their folder, if they are best.pt), or names of
    shipped ones."""

    stage2: tuple[str, ...] = (shipped.CLEAR_FALLBACK, shipped.FALLBACK)
    """Weights for heatmaps; each finds its own first stage among --stage1."""

    control: tuple[str, ...] = (shipped.CONTROL, shipped.NEONATAL)
    """Weights of the whole face alone (train face, train neonatal), or of any YOLO with one
    class."""

    predictions: tuple[str, ...] = ()
    """What any other detector said of these pictures, and of those that thresholds are chosen on:
    files in COCO's results form, several of one name are one detector's. What an image_id is of is
    told by pictures.json beside the file ({"images": [{"id": 1, "file_name": "a.jpg", "ms": 5.2}]},
    every picture that was looked at; ms if you like), or it is the picture's name."""

    levels: str = ""
    """A CSV of image,level (none, easy, medium, hard) that overrules what annotations say."""

    by: tuple[str, ...] = ()
    """Facts of the annotations to slice by, beside levels: source, occluders; of single faces
    WFLW's and WIDER's pose, blur, occlusion ... (other faces then count nowhere)."""

    split: str = "test"
    """Of the dataset, what is measured on; unlabelled: bare frames (hand-over-face), of which only
    the share without a face and the time are told, with thresholds from --validation."""

    empty: str = ""
    """A prepared dataset with windows without a face (prepare --empty), where every answer is
    wrong: its val_empty is chosen on, its test_empty measured on; where there is none, half of the
    photographs of val_empty each (if a training validated on them, its epoch has seen both)."""

    hold: int = 0
    """Where the pictures of a group are frames of one video, in order: for so many frames the last
    box of a first stage is held, as one more answer where it is silent."""

    parts: bool = True
    """Judge the ten parts of the first stages, too, where they are labelled: tables, confusion
    matrices, PR and F1 curves."""

    imgsz: int = 0
    """Side of the square in which first stages and the control look, for small faces; 0: that of
    their weights, which second stages need (--stage2 with nothing behind it leaves them out)."""

    conf: float = 0.0
    """The threshold of first stages; 0: each its own, from its weights."""

    precision: float = 0.9
    """What everything that answers missed pictures must keep on validation."""

    batch: int = 16
    """Pictures that go through the networks at once."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    overwrite: bool = False
    """Replace a result of this name that was made otherwise; what its detectors have said of the
    same pictures is used again."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense before any work is done."""
        if not (0 <= self.conf <= 1 and 0 < self.precision <= 1):
            raise UserError("--conf and --precision: expected a share between 0 and 1")
        if self.batch < 1 or self.hold < 0:
            raise UserError("--batch: expected 1 or more; --hold: 0 or more")
        if not self.stage1:
            raise UserError("--stage1: name at least one, whose misses are asked about")

    def run(self) -> Path:
        """Measure and write."""
        from pipeline import answers, classes, report, theirs, verdict
        from pipeline.devices import device_of
        from pipeline.judged import judge
        from pipeline.splits import UNLABELLED

        data, validation = self._datasets()
        name = runs.plain_name(self.name or data.root.name)
        target = runs.home() / "runs" / "evaluate" / name
        weights = self._weights()
        record = self._record(data, validation, weights)
        if runs.up_to_date(target, record, self.overwrite):
            print(f"{target} is up to date: same settings, weights and pictures")
            return target
        with runs.resumable_folder(target, record) as folder:
            how = {"imgsz": self.imgsz, "batch": self.batch, "device": str(device_of(self.device))}
            who, thresholds = self._opened(validation)
            others = theirs.read_all([Path(path) for path in self.predictions])
            self._check(data, [*who.names, *(each.name for each in others)])
            asked = self._asked(folder, target, record, who, how)
            scenes = self._scenes(asked, others, thresholds)
            answers.write(folder / "predictions", scenes["test"])
            chosen, measured = judge(scenes["val"]), judge(scenes["test"])
            partners = {key: first for key, (first, _) in who.seconds.items()}
            carried = {
                key: (second.first or thresholds[first], second.threshold)
                for key, (first, second) in who.seconds.items()
            }
            judges = verdict.Judges(chosen, thresholds, partners, self.precision, carried)
            if self.split == UNLABELLED:
                found, pictures = verdict.silence(judges, measured, self.by), dict[str, bytes]()
            else:
                found = verdict.tables(judges, measured, self.by)
                pictures = self._pictures(who, judges, measured, found)
            if self.parts:
                firsts = {shipped.called(path): path for path in map(shipped.find, self.stage1)}
                sets = {"val": (validation, "val"), "test": (data, self.split)}
                known = record["sources"] | {"val": record["sources"]["validation"]}
                known["test"] = known["data"]
                rows, curves = classes.tables(folder, target, firsts, sets, known, how)
                found["parts"], pictures = rows, pictures | curves
            report.write(folder, name, record, found, pictures)
            made = {"thresholds": thresholds, "made": runs.provenance() | how}
            made["pairs"] = {key: [partners[key], *both] for key, both in carried.items()}
            made |= self._places(who)
            runs.write_json(folder / "manifest.json", record | made)
        report.tell(found)
        print(target / "report.html")
        return target

    def _datasets(self) -> "tuple[Dataset, Dataset]":
        """What is measured on, and what is chosen on."""
        from pipeline.dataset import EMPTY, open_dataset
        from pipeline.splits import UNLABELLED

        data = open_dataset(self.data)
        validation = open_dataset(self.validation) if self.validation else data
        if data.root == validation.root and self.split.startswith("val"):
            raise UserError(f"--split {self.split}: thresholds are chosen there; take another")
        if self.split == UNLABELLED and not self.validation:
            raise UserError(
                f"--split {self.split}: thresholds come from --validation, a prepared dataset with "
                "a val split"
            )
        if self.split.endswith(EMPTY):
            raise UserError(f"--split {self.split}: windows without a face belong to --empty")
        return data, validation

    def _weights(self) -> dict[str, str]:
        """The SHA-256 of every file of weights, by the name that it goes by."""
        paths = [shipped.find(one) for one in (*self.stage1, *self.stage2, *self.control)]
        weights = {shipped.called(path): runs.sha256(path) for path in paths}
        if len(weights) < len(set(paths)):
            raise UserError("two files of weights have the same name; copy one to another name")
        return weights

    def _record(self, data: "Dataset", validation: "Dataset", weights: dict[str, str]) -> Json:
        """What the tables follow from."""
        from pipeline.dataset import open_dataset

        names = ("split", "conf", "precision", "hold", "parts", "imgsz")
        settings: Json = {name: getattr(self, name) for name in names} | {"by": list(self.by)}
        sources: Json = {"data": data.fingerprint(), "validation": validation.fingerprint()}
        if self.empty:
            sources["empty"] = open_dataset(self.empty).fingerprint()
        files = [each for each in (*self.predictions, self.levels) if each]
        for each in files:
            if not Path(each).is_file():
                raise UserError(f"{each}: there is no such file")
        sources["files"] = {each: runs.sha256(Path(each)) for each in files}
        return {"settings": settings, "sources": sources | {"weights": weights}}

    def _opened(self, validation: "Dataset") -> "tuple[Detectors, dict[str, float]]":
        """The networks by their names, and the thresholds of the first stages."""
        from pipeline import alternatives, yolo
        from pipeline.devices import device_of
        from pipeline.opening import open_face
        from pipeline.predictions import Detectors
        from pipeline.stage1 import open_stage1
        from pipeline.stage2 import open_stage2

        firsts: dict[str, Stage1] = {}
        seconds: dict[str, tuple[str, Stage2]] = {}
        thresholds: dict[str, float] = {}
        fingerprints: dict[str, str] = {}
        for path in map(shipped.find, self.stage1):
            about, name = yolo.about(path), shipped.called(path)
            if "imgsz" not in about:
                raise UserError(f"{path}: weights that 'uncover train' did not write")
            firsts[name] = open_stage1(path, self.device, self.imgsz or about["imgsz"])
            thresholds[name] = self.conf or about["threshold"]
            fingerprints[runs.sha256(path)] = name
        for path in map(shipped.find, self.stage2):
            second = open_stage2(path, device_of(self.device))
            if second.stage1 not in fingerprints:
                raise UserError(f"{path}: its first stage is not among --stage1")
            first = fingerprints[second.stage1]
            if firsts[first].imgsz != second.seen:
                raise UserError(
                    f"{path}: its heatmaps were made at imgsz {second.seen}; --stage2 with nothing "
                    "behind it leaves second stages out"
                )
            seconds[shipped.called(path)] = (first, second)
        controls = {
            shipped.called(path): open_face(path, self.device, self.imgsz)
            for path in map(shipped.find, self.control)
        }
        return Detectors(firsts, seconds, controls, alternatives.learned(validation)), thresholds

    def _scenes(
        self,
        asked: "Callable[[str, str, str], list[Scene]]",
        others: "list[Theirs]",
        thresholds: dict[str, float],
    ) -> "dict[str, list[Scene]]":
        """What everybody says of the pictures that are chosen on, and of those measured on."""
        from pipeline import known
        from pipeline.dataset import EMPTY, open_dataset
        from pipeline.predictions import held

        levels = known.levels(Path(self.levels)) if self.levels else {}
        scenes = {
            "val": asked("validation", self.validation or self.data, "val"),
            "test": asked("data", self.data, self.split),
        }
        if self.empty:
            windows = asked("empty", self.empty, "val" + EMPTY)
            fresh = any(open_dataset(self.empty).rows("test" + EMPTY))
            for number, window in known.numbered(windows):
                scenes["test" if number % 2 and not fresh else "val"].append(window)
            scenes["test"] += asked("empty", self.empty, "test" + EMPTY) if fresh else []
        for words, part in scenes.items():
            scenes[words] = [known.completed(scene, others, levels) for scene in part]
            for base in thresholds if self.hold else ():
                scenes[words] = held(scenes[words], base, thresholds[base], self.hold)
        return scenes

    def _asked(
        self, folder: Path, target: Path, record: Json, who: "Detectors", how: Json
    ) -> "Callable[[str, str, str], list[Scene]]":
        """A way to what the networks say of a split: from disk, where they have been asked."""
        from pipeline import answers, predictions
        from pipeline.dataset import open_dataset

        def ask(kind: str, name: str, split: str) -> "list[Scene]":
            source = open_dataset(name)
            if not any(source.rows(split)):
                raise UserError(f"{source.root}: no pictures in {split}")
            # Faces fitted to parts follow from the training labels beside the validation.
            sources = {key: record["sources"][key] for key in {kind, "weights", "validation"}}
            look = partial(predictions.look, source, split, who, self.batch)
            places = (folder / "predictions", f"{kind}-{split}", sources | how | {"split": split})
            return answers.kept(*places, look, target / "predictions")

        return ask

    def _check(self, data: "Dataset", names: list[str]) -> None:
        """Whether what was asked for is there, before anybody is asked."""
        from pipeline import known
        from pipeline.images import stem
        from pipeline.predictions import films, scene_of

        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UserError(
                f"two detectors are called {twice.pop()}; rename a file of --predictions"
            )
        if not (self.by or self.levels or self.hold):
            return
        face = data.face
        scenes = [scene_of(data, row, face) for row in data.rows(self.split)]
        there = {stem(name) for scene in scenes for name in (scene.name, scene.source)}
        if self.levels and not there & known.levels(Path(self.levels)).keys():
            raise UserError(f"{self.levels}: none of its images is in {self.split} of {self.data}")
        facts = {
            fact for scene in scenes for each in (scene.facts, *scene.of_faces) for fact in each
        }
        if set(self.by) - facts:
            raise UserError(
                f"--by {' '.join(self.by)}: known of these pictures: {', '.join(sorted(facts))}"
            )
        if self.hold and not films(scenes):
            raise UserError(f"--hold: no pictures of {self.data} belong together, as a film's do")

    def _pictures(
        self, who: "Detectors", judges: "Judges", judged: "Judged", found: Json
    ) -> dict[str, bytes]:
        """Plots, and sheets of faces to look at, by the names of their files."""
        from pipeline import gallery, images, plots, verdict

        out: dict[str, bytes] = {}
        for base in who.firsts:
            if any(row["missed"] for row in found["missed"] if row["missed by"] == base):
                out[f"recovered-{base}.png"] = plots.recovered(found["missed"], base)
        parts = list(verdict.with_faces(verdict.slices(judged, ())))
        for name in [*who.firsts, *who.seconds, *who.controls]:
            out[f"precision-recall-{name}.png"] = plots.precision_recall(parts, name)
            out[f"f1-{name}.png"] = plots.f1(parts, name)
        out["calibration.png"] = plots.calibration(
            judged, [*who.firsts, *who.seconds, *who.controls]
        )
        for name, (base, second) in who.seconds.items():
            pair = verdict.pair(judges, base, name)
            for words, (part, count) in gallery.chosen(judged, pair).items():
                if part:
                    title = f"{name} behind {base}: {words}, {len(part)} of {count} shown"
                    sheet = gallery.sheet(
                        judged, part, pair, title, who.firsts[base], second, self._picture
                    )
                    file = f"gallery/{name}-{words.replace(' ', '-')}.jpg"
                    out[file] = images.encode(sheet, ".jpg", 88)
        return out

    def _places(self, who: "Detectors") -> Json:
        """Where pictures and weights lie, for who looks into the result."""
        from pipeline.dataset import open_dataset

        files = map(shipped.find, (*self.stage1, *self.stage2))
        names = {"data": self.data, "empty": self.empty}
        return {
            "datasets": {key: str(open_dataset(name).root) for key, name in names.items() if name},
            "weights": {shipped.called(path): str(path) for path in files},
            "sides": {name: stage.imgsz for name, stage in who.firsts.items()},
        }

    def _picture(self, scene: "Scene") -> Path:
        """Where the picture of a scene lies."""
        from pipeline.dataset import EMPTY, open_dataset

        window = scene.split.endswith(EMPTY)
        return open_dataset(self.empty if window else self.data).picture(
            {"split": scene.split, "name": scene.name}
        )
