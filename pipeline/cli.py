"""The command ``uncover``: a table of commands, each a frozen dataclass with ``run()``.

A command's module is imported when it is called, and heavy libraries only when it runs,
so that every ``--help`` answers at once.
"""

import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from pipeline.errors import UserError

COMMANDS = {  # command -> where its settings are, what it does
    "demo": ("pipeline.demo:Demo", "see what Uncover does, with what is shipped"),
    "prepare": ("pipeline.prepare:Prepare", "public annotation formats -> a dataset to train on"),
}

USAGE = """usage: uncover COMMAND [OPTIONS]

Finds the hidden face: two-stage face detection under occlusion.

commands:
{commands}

'uncover COMMAND --help' explains a command. datasets/ and runs/ lie in the folder in
which the command is called, or in $UNCOVER_HOME. --debug shows the traceback of an error.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code: 0 done, 2 an error of the user's, 130 interrupted."""
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
    except BrokenPipeError as error:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code, words = 1, str(error)
    except OSError as error:  # a disk, a permission, a name: the user's to mend
        code, words = 2, str(error)
        if debug:
            raise
    except KeyboardInterrupt:
        code, words = 130, "interrupted"
    print(f"uncover: {words}", file=sys.stderr)
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(_usage())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("uncover-faces"))
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else "'uncover --help' lists them"
        raise UserError(f"there is no command {command!r}; {hint}")
    import tyro

    module, _, name = COMMANDS[command][0].partition(":")
    settings = tyro.cli(
        getattr(importlib.import_module(module), name),
        prog=f"uncover {command}",
        args=rest,
    )
    settings.run()
    return 0


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return USAGE.format(commands="\n".join(rows)).rstrip()
