"""``uncover detect``: faces in pictures, videos and streams, and for each frame who found them.

A run is ``runs/detect/NAME``::

    frames.csv         a row for every face, or for a frame without; in order, none left out
    frames.jsonl       a line for every frame, with what was not believed, too
    predictions.json   COCO's results form; pictures.json lists the pictures
    annotated/         pictures and videos with the faces drawn
    labels/ heatmaps/  with --save-txt, --save-heatmaps
    summary.json       counts, speed, whether the run is complete
    config.json        settings, weights, sources, versions
    journal/           while it runs: what is done, from which --resume goes on
"""

import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from pipeline import runs
from pipeline.errors import UserError, check_shares
from pipeline.runs import Json
from pipeline.shipped import FALLBACK, NEONATAL, STAGE1

if TYPE_CHECKING:  # these bring torch and FFmpeg, which --help need not wait for
    from pipeline.detector import Detector
    from pipeline.media import Input
    from pipeline.neonatal.detector import NeonatalDetector
    from pipeline.two_stage import TwoStage

Name = Literal["two-stage", "neonatal", "both"]
_STAGES: tuple[Name, ...] = ("two-stage", "both")
# Settings that not every detector has, and which have them.
_OF: dict[str, tuple[Name, ...]] = {
    "stage1": _STAGES,
    "fallback": _STAGES,
    "fallback_conf": _STAGES,
    "faces": _STAGES,
    "always": _STAGES,
    "save_heatmaps": _STAGES,
    "neonatal": ("neonatal", "both"),
    "neonatal_conf": ("both",),
}
_INSTEAD = {"save_heatmaps": "; 'uncover inspect' draws those of any run on the spot"}
_WEIGHTS = ("stage1", "fallback", "neonatal")

INTERRUPTED = 130  # the exit code of a run that Ctrl-C has ended


@dataclass(frozen=True)
class Detect:
    """Find the face in every frame that has one, and tell which stage found it.

    Stage 1 looks first. Where it gives no face, heatmaps of the parts that it did see go to
    stage 2. Every frame leaves as found, recovered, missed (with the reason) or unreadable.
    Nothing is sent anywhere. (--detector neonatal: one network looks, without stages.)

    Example: uncover detect ward.mp4

    Example: uncover detect photographs/ "more/**/*.png" --save-txt --name ward7

    Example: uncover detect rtsp://camera/bed3 --fps 2 --reconnect 3600
    """

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Pictures, videos, folders, patterns; a camera's number; an address (rtsp, http, tcp);
    - for standard input."""

    name: str = ""
    """The result is written to runs/detect/NAME; by default the name of the first source."""

    detector: Name = "two-stage"
    """What looks: two-stage is a network of facial parts, and behind it one for heatmaps; neonatal
    is one network for faces in wards ('uncover train neonatal'); both look, and of each face it is
    told who found it, with a box between theirs."""

    stage1: str = STAGE1
    """Weights of the ten parts: a file, or the name of shipped ones."""

    fallback: str = FALLBACK
    """Weights of stage 2, trained on the heatmaps of this stage 1; none switches it off."""

    neonatal: str = NEONATAL
    """Weights of the neonatal detector, for --detector neonatal or both."""

    conf: float = 0.0
    """From which score on stage 1 is believed (with --detector neonatal: it, whose candidates
    have a probability of at least .05, however low this is); 0: as its weights say."""

    neonatal_conf: float = 0.0
    """With --detector both: from which score on the neonatal detector is believed; 0: as its
    weights say."""

    fallback_conf: float = 0.0
    """From which score on stage 2 is believed; 0: as its weights say."""

    iou: float = 0.0
    """Boxes of one network that overlap more are one face; 0: as is usual for it, of the two stages
    .6, of the neonatal detector as its weights say."""

    faces: int = 1
    """So many are looked for: in frames where stage 1 finds fewer, stage 2 is asked."""

    always: bool = False
    """Ask stage 2 of every frame, which changes no outcome: for 'uncover inspect', where stage 1's
    threshold can then be raised as well as lowered."""

    hold: float = 0.0
    """Carry the last face over gaps of at most so many seconds; marked held, no detection."""

    imgsz: int = 0
    """Side of the square that stage 1 sees (with --detector neonatal: it); 0: as its weights
    say."""

    batch: int = 8
    """Frames that go through the networks at once; of live sources, one."""

    device: str = ""
    """cpu, cuda, cuda:1; by default CUDA if there is a device, else the CPU."""

    half: bool = False
    """Half precision (CUDA)."""

    stride: int = 1
    """Look at every n-th frame."""

    fps: float = 0.0
    """Look at most at so many frames of each second; 0: at all."""

    reconnect: float = 60.0
    """Seconds that a stream or camera may be gone before it is given up."""

    save: bool = True
    """Write annotated pictures and videos."""

    save_txt: bool = False
    """Write labels in Ultralytics' form, with confidences."""

    save_heatmaps: bool = False
    """Keep what stage 2 was shown."""

    anonymize: bool = False
    """Blur every face that is seen in whatever is written as a picture; a frame in which none
    is found, as a whole. A face that is missed beside a found one is not blurred."""

    resume: bool = False
    """Go on with an interrupted run of this name."""

    overwrite: bool = False
    """Replace a result of this name."""

    def run(self) -> Path:
        """Look and write; the folder."""
        self._check()
        import torch

        from pipeline import media
        from pipeline.devices import repeatable
        from pipeline.looking import Pace, Run
        from pipeline.sinks import Wishes

        given = media.inputs(self.sources)
        first = Path(self.sources[0])
        usual = first.resolve().name if first.is_dir() else given[0].name
        name = runs.plain_name(self.name) if self.name else runs.name_from(usual)
        target = runs.home() / "runs" / "detect" / name
        detector, how = self._open()
        record = self._record(given, detector, how)
        with runs.alone(target):
            if not self._begin(target, record, given):
                print(f"{target} is up to date: same settings, weights and sources")
                return target
            try:
                wishes = Wishes(self.save, self.save_txt, self.save_heatmaps, self.anonymize)
                pace = Pace(self.batch, self.stride, self.fps, self.hold, self.reconnect)
                with repeatable(detector.device):
                    Run(target, given, detector, wishes, pace).go()
            except torch.OutOfMemoryError as error:
                raise UserError(
                    f"the device's memory is full; --batch {self.batch} is too much; what is done "
                    "is kept, but with another batch it is done anew (--overwrite)"
                ) from error
            except OSError as error:
                raise UserError(
                    f"{target}: not finished: {error.strerror or error}; what is done is kept, "
                    "and --resume goes on from there"
                ) from error
        return target

    def exit_code(self, folder: Path) -> int:
        """3 if something could not be read, 130 if the run was interrupted."""
        summary = runs.read_json(folder / "summary.json") or {}
        if not summary.get("complete"):
            return INTERRUPTED
        return 3 if summary.get("outcomes", {}).get("unreadable") else 0

    def _check(self) -> None:
        if not self.sources:
            raise UserError("detect what? A picture, a video, a folder, a camera, an address")
        if self.batch < 1 or self.stride < 1:
            raise UserError("--batch and --stride: expected 1 or more")
        if min(self.fps, self.hold, self.reconnect) < 0:
            raise UserError("--fps, --hold and --reconnect: expected 0 or more")
        shares = ("conf", "neonatal_conf", "fallback_conf", "iou")
        check_shares(**{key: getattr(self, key) for key in shares})
        usual = {field.name: field.default for field in fields(self)}
        for key, having in _OF.items():
            if self.detector not in having and getattr(self, key) != usual[key]:
                flag = f"--{key.replace('_', '-')}"
                instead = _INSTEAD.get(key, "")
                raise UserError(f"{flag} goes with --detector {' or '.join(having)}{instead}")
        if self.resume and self.overwrite:
            raise UserError("--resume goes on, --overwrite begins anew: not both")

    def _open(self) -> "tuple[Detector[Any], Json]":
        """Who looks, and the settings that their weights have decided."""
        if self.detector == "neonatal":
            alone = self._neonatal(self.conf, self.imgsz)
            return alone, {"conf": alone.conf, "fallback_conf": 1.0, "imgsz": alone.stage.imgsz}
        pair = self._pair()
        how: Json = {"conf": pair.conf, "fallback_conf": pair.fallback_conf}
        how["imgsz"] = pair.first.imgsz
        if self.detector == "two-stage":
            return pair, how
        from pipeline.partners import Partners

        partner = self._neonatal(self.neonatal_conf, 0)
        how |= {"neonatal_conf": partner.conf, "neonatal_imgsz": partner.stage.imgsz}
        return Partners(pair, partner), how

    def _pair(self) -> "TwoStage":
        from pipeline.two_stage import TwoStage

        return TwoStage.load(
            self.stage1,
            self.fallback,
            device=self.device,
            half=self.half,
            imgsz=self.imgsz,
            conf=self.conf,
            fallback_conf=self.fallback_conf,
            iou=self.iou,
            faces=self.faces,
            keep=self.save_heatmaps,
            always=self.always,
        )

    def _neonatal(self, conf: float, imgsz: int) -> "NeonatalDetector":
        from pipeline.neonatal.detector import NeonatalDetector

        return NeonatalDetector.load(
            self.neonatal,
            device=self.device,
            half=self.half,
            imgsz=imgsz,
            conf=conf,
            iou=self.iou,
        )

    def _record(self, given: "list[Input]", detector: "Detector[Any]", how: Json) -> Json:
        """What the result follows from."""
        from pipeline import media, results, shipped
        from pipeline.detections import LEAST

        without = {"sources", "name", "resume", "overwrite", "reconnect", "device"}
        settings = {key: value for key, value in asdict(self).items() if key not in without}
        settings |= {"form": results.FORM, "least": LEAST, "device": detector.device.type} | how
        for key in _WEIGHTS:
            name = getattr(self, key)
            used = self.detector in _OF[key] and name != "none"
            settings[key] = runs.sha256(shipped.find(name)) if used else None
        files = [one for one in given if not one.live]
        sources: Json = {"files": media.fingerprint(files)}
        sources["live"] = [one.text for one in given if one.live]
        return {"settings": settings, "sources": sources}

    def _begin(self, target: Path, record: Json, given: "list[Input]") -> bool:
        """Make the folder ready, new or to go on in; whether there is anything to do."""
        from pipeline.journal import Journal

        config, summary = target / "config.json", target / "summary.json"
        saved = runs.read_json(config)
        if saved is None and target.exists() and any(target.iterdir()):
            raise UserError(f"{target} is there and no result of this command; take another name")
        if saved is not None and not self.overwrite:
            changed = runs.changes(saved, record)
            if changed:
                raise runs.MadeOtherwise(
                    f"{target} is there, made otherwise (--overwrite):{changed}"
                )
            if (runs.read_json(summary) or {}).get("complete"):
                Journal(target).remove()  # if it was killed before that
                if record["sources"]["live"]:
                    raise UserError(f"{target} is there, of another time; --overwrite or --name")
                return False
            if not self.resume:
                raise UserError(
                    f"{target}: an interrupted run; --resume goes on, --overwrite begins anew"
                )
            return True
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():  # the config last: killed here, it is still known as ours
            if old.name not in {config.name, runs.MARKS, runs.OLD_MARKS}:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        if (saved or {}).get("sources") != record["sources"] and (target / runs.MARKS).is_file():
            (target / runs.MARKS).replace(target / runs.OLD_MARKS)  # of other frames
        weights = {key: getattr(self, key) for key in _WEIGHTS if self.detector in _OF[key]}
        made = {"weights": weights, "folder": str(Path.cwd()), "made": runs.provenance()}
        made["bytes"] = {one.text: Path(one.where).stat().st_size for one in given if not one.live}
        runs.write_json(config, record | made)
        return True
