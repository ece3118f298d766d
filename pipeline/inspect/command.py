"""``uncover inspect``: look into a run, in a page of your browser that nobody else can see."""

import contextlib
import hashlib
import os
import tempfile
import threading
import webbrowser
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import tyro

from pipeline import runs
from pipeline.errors import UserError


@dataclass(frozen=True)
class Inspect:
    """Look into a run: why frames were missed, what stage 1 saw, where thresholds should be.

    Opens a page on this machine alone (127.0.0.1; its address holds a token, without which nobody
    sees anything). It asks nobody else for anything. Ctrl-C ends it. Of the run nothing is changed
    but marks.json, the frames that you mark.

    What is no run (pictures, a folder of them, a video) goes through 'uncover detect' first, with
    everything kept that the page can show (--always --save-heatmaps), into runs/detect/.

    Keys in the page: arrows move, n m l jump to the next recovered, missed, unsure frame, x marks,
    h shows the heatmap, ? tells all.

    Example: uncover inspect runs/detect/ward

    Example: uncover inspect ward.mp4

    Example: uncover inspect ward --export page.html --frames 100 --anonymize
    """

    what: tyro.conf.Positional[str] = ""
    """A run of detect, extract or evaluate, by its folder or name; or pictures, a folder of them, a
    video. By default the newest run."""

    labels: str = ""
    """Where the faces truly are: a file in COCO's form (file_name as in pictures.json), or a
    prepared dataset. Pictures that lie in a prepared dataset are known anyway."""

    export: Path | None = None
    """Write the page as this one file, instead, for a colleague."""

    frames: int = 200
    """At most so many frames in an exported page: marked ones first, then recovered and missed."""

    overwrite: bool = False
    """Replace the page of --export, if it is there."""

    anonymize: bool = False
    """Blur every face in all pictures, and a frame in which none was found as a whole; in an
    exported page no name, note or other word of yours is left. (Runs made with --anonymize are
    shown so.)"""

    browser: bool = True
    """Open the browser."""

    port: int = 0
    """Where the page is served; 0: a free port."""

    def run(self) -> Path:
        """Serve until Ctrl-C, or write the page; the folder of the run, or the page."""
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port {self.port}: expected 0 to 65535")
        if self.frames < 1:
            raise UserError(f"--frames {self.frames}: expected 1 or more")
        if self.export is not None:
            _check_page(self.export, self.overwrite)
        from pipeline.inspect import opened

        folder = opened.find(self.what) or self._detected()
        if self.export is not None:
            return self._export(folder, self.export)
        self._serve(folder)
        return folder

    def _detected(self) -> Path:
        """The source past both stages, with all that the page can show."""
        from pipeline import media
        from pipeline.detect import Detect

        given = media.inputs([self.what])
        path = Path(self.what).expanduser()
        usual = path.resolve().name if path.is_dir() else given[0].name
        # Of each source a run of its own, which nobody else has given that name.
        mark = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:6]
        name = runs.name_from(f"{usual[-60:]}-inspect-{mark}")
        print(f"{self.what} is no run: it goes through 'uncover detect' first")
        detect = Detect((self.what,), name, always=True, save=False, save_heatmaps=True)
        detect = replace(detect, anonymize=self.anonymize)
        try:
            return replace(detect, resume=True).run()
        except runs.MadeOtherwise:
            print(f"runs/detect/{name} was made otherwise: it is made anew (marks stay)")
            return replace(detect, overwrite=True).run()

    def _export(self, folder: Path, target: Path) -> Path:
        from pipeline.inspect import export
        from pipeline.inspect.room import Room

        if folder.resolve() in target.resolve().parents:
            raise UserError(f"--export {target}: not into the run itself")
        count = export.write(
            Room(folder, self.labels, anonymize=self.anonymize), target, self.frames
        )
        size = target.stat().st_size / 1e6
        print(f"{target}: {count} frames, {size:.1f} MB")
        return target

    def _serve(self, folder: Path) -> None:
        from pipeline.inspect import server
        from pipeline.inspect.room import Room

        reread = partial(Room, folder, self.labels, anonymize=self.anonymize)
        with tempfile.TemporaryDirectory(prefix="uncover-") as own:
            server.serve(reread, self.port, partial(self._ready, folder, Path(own)))

    def _ready(self, folder: Path, own: Path, address: str) -> None:
        print(f"looking into  {folder}\n{address}\nCtrl-C ends it", flush=True)
        if self.browser:
            # Everybody on the machine sees the command line of a browser, but not into this folder:
            # a page there leads to the address with its token.
            page = own / "page.html"
            page.write_text(f'<meta http-equiv="refresh" content="0; url={address}">')
            # Some browsers do not return before they are closed.
            threading.Thread(target=_open, args=(page.as_uri(),), daemon=True).start()


def _check_page(target: Path, overwrite: bool) -> None:
    """An error for people, before any work is done, if the page cannot be written there."""
    if target.is_dir() or target.suffix.lower() not in {".html", ".htm"}:
        raise UserError(f"--export {target}: expected the name of a page, NAME.html")
    if target.exists() and not overwrite:
        raise UserError(f"--export {target}: is there; --overwrite replaces it")
    if not target.absolute().parent.is_dir():
        raise UserError(f"--export {target}: there is no such folder")


def _open(address: str) -> None:
    with contextlib.suppress(webbrowser.Error):  # no browser here: the address has been told
        webbrowser.open(address)
