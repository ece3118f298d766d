"""The command ``uncover``: a table of commands, each a frozen dataclass with ``run()``.

A command's module is imported when it is called, and heavy libraries only when it runs,
so that every ``--help`` answers at once.
"""

import contextlib
import difflib
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from pipeline.errors import UserError

COMMANDS = {  # command -> where its settings are, what it does
    "demo": ("pipeline.demo:Demo", "see what Uncover does, with what is shipped"),
    "detect": ("pipeline.detect:Detect", "faces in pictures, videos and streams"),
    "inspect": ("pipeline.inspect.command:Inspect", "look into a run: a page in your browser"),
    "prepare": ("pipeline.prepare:Prepare", "public annotation formats -> a dataset to train on"),
    "bench cam": ("pipeline.bench:BenchCam", "heatmaps beside pytorch-grad-cam's"),
    "bench detect": ("pipeline.bench_detect:BenchDetect", "detection beside Ultralytics' predict"),
    "bench neonatal": ("pipeline.bench_neonatal:BenchNeonatal", "what HCC and DAN cost"),
    "train parts": ("pipeline.train:TrainParts", "stage 1: ten facial parts, on pictures"),
    "train face": ("pipeline.train:TrainFace", "the control: the whole face alone"),
    "extract": ("pipeline.extract:Extract", "pictures through stage 1 -> heatmaps"),
    "train heatmap": ("pipeline.train:TrainHeatmap", "stage 2: the whole face, on heatmaps"),
    "train neonatal": (
        "pipeline.train_neonatal:TrainNeonatal",
        "the neonatal detector: whole faces, HCC and DAN",
    ),
    "train all": ("pipeline.ladder:TrainAll", "all of these, one after another"),
    "tune parts": ("pipeline.tune:TuneParts", "hyper-parameters of stage 1, by evolution"),
    "tune heatmap": ("pipeline.tune:TuneHeatmap", "hyper-parameters of stage 2, by evolution"),
    "weights": ("pipeline.weights:Weights", "what is shipped, and whether it is whole"),
    "evaluate": ("pipeline.evaluate:Evaluate", "who finds the hidden face, level by level"),
    "compare": ("pipeline.compare:Compare", "our detectors beside others', in one run"),
}

_HELP = {"-h", "--help", "help"}
_GROUPS = {name.split()[0] for name in COMMANDS if " " in name}
USAGE = """usage: uncover COMMAND [OPTIONS]

Finds the hidden face: two-stage face detection under occlusion.

commands:
{commands}

'uncover COMMAND --help' explains a command. datasets/ and runs/ lie in the folder in
which the command is called, or in $UNCOVER_HOME. --debug shows the traceback of an error.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code.

    0: done; 2: an error of the user's; 3: done but for what could not be read; 130: interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    # A polite kill cleans up like Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _run(arguments)
    except UserError as error:
        code, words = 2, str(error)
        if debug:
            raise
    except BrokenPipeError:  # the reader of our output (head, less) has gone: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a disk, a permission, a name: the user's to mend
        code, words = 2, str(error)
        if debug:
            raise
    except KeyboardInterrupt:
        code, words = 130, "interrupted"
    print(f"uncover: {words}", file=sys.stderr)
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in _HELP:
        print(_usage())
        return 0
    if arguments[1:2] and arguments[1] in _HELP and arguments[0] in _GROUPS:
        print(_usage(f"{arguments[0]} "))
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("uncover-faces"))
        return 0
    command, rest = _command(arguments)
    module, _, name = COMMANDS[command][0].partition(":")
    settings = _settings(getattr(importlib.import_module(module), name), command, rest)
    result = settings.run()
    # Of some commands the result may be whole and yet not all that was asked for.
    return int(settings.exit_code(result)) if hasattr(settings, "exit_code") else 0


def _command(arguments: list[str]) -> tuple[str, list[str]]:
    """The command, of one word or of two, and what follows it."""
    for words in (2, 1):
        command = " ".join(arguments[:words])
        if command in COMMANDS:
            return command, arguments[words:]
    first = arguments[0]
    kinds = [name.split()[1] for name in COMMANDS if name.startswith(f"{first} ")]
    if kinds:
        raise UserError(f"{first} what? One of: {', '.join(kinds)}")
    command = " ".join(arguments[:2])
    near = difflib.get_close_matches(command, COMMANDS, 1)
    near = near or difflib.get_close_matches(first, COMMANDS, 1)
    hint = f"did you mean {near[0]!r}?" if near else "'uncover --help' lists them"
    raise UserError(f"there is no command {first!r}; {hint}")


def _settings(kind: type[Any], command: str, arguments: list[str]) -> Any:  # noqa: ANN401 - any command's
    """The settings that a command line gives; what is wrong with it in a line or two."""
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, prog=f"uncover {command}", args=arguments)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_plain(said.getvalue(), command)) from stop


def _plain(framed: str, command: str) -> str:
    """A message of the parser without its frame: what is wrong, not all that could be right."""
    rows = [row.strip("│╭╮╰╯─ \n") for row in framed.splitlines()]
    rows = [row for row in rows if row]
    told = [row for row in rows if not row.startswith(("For full", "uncover", "Argument helptext"))]
    words = " ".join(told[1:] or told)  # the first is the frame's title
    return f"{words[:300]}\n'uncover {command} --help' explains"


def _usage(group: str = "") -> str:
    """All commands, or those of a group."""
    chosen = {name: what for name, (_, what) in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, chosen))
    rows = [f"  {name:<{width}}  {what}" for name, what in chosen.items()]
    return USAGE.format(commands="\n".join(rows)).rstrip()
