import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.cli import COMMANDS, main


def test_help_lists_every_command(capsys):
    """Each with a phrase."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out

    assert all(name in text and what in text for name, (_, what) in COMMANDS.items())


@pytest.mark.parametrize("group", ["train", "bench"])
def test_a_group_of_commands_lists_its_own(group, capsys):
    assert main([group, "--help"]) == 0
    listed = capsys.readouterr().out
    assert all((f"  {name} " in listed) == name.startswith(f"{group} ") for name in COMMANDS)


def test_the_version_is_told(capsys):
    """As installed."""
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("uncover-faces")


def test_an_unknown_command_gets_a_suggestion(capsys):
    """On stderr, exit code 2."""
    assert main(["prepar"]) == 2
    assert "did you mean 'prepare'?" in capsys.readouterr().err


def test_an_error_for_people_has_no_traceback(home, capsys):
    """A line or two on stderr, exit code 2; --debug shows where it was raised."""
    line = ["prepare", "ibug=/nowhere/at/all", "--name", "x"]

    assert main(line) == 2
    error = capsys.readouterr().err
    assert "/nowhere/at/all" in error
    assert len(error.splitlines()) <= 2

    with pytest.raises(Exception, match="nowhere"):
        main(["--debug", *line])


def test_the_package_runs_as_a_module():
    """``python -m pipeline`` is the same command."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--help"], capture_output=True, text=True
    )

    assert done.returncode == 0
    assert "prepare" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nonsense", "1"], "--nonsense"),
        (["ibug=x", "--name", "a", "--seed", "many"], "--seed"),
        (["ibug=x"], "--name"),
        (["ibug=x", "--name", "a", "--classes", "cats"], "parts"),
    ],
)
def test_a_wrong_option_is_told_in_a_line_or_two(capsys, words, told):
    """On stderr, without the parser's frame, exit code 2."""
    assert main(["prepare", *words]) == 2
    error = capsys.readouterr().err

    assert told in error
    assert len(error.splitlines()) == 2
    assert "│" not in error


def test_every_command_that_is_written_can_be_called():
    """A dataclass with run() of a command's kind stands in the table."""
    written = {
        f"pipeline.{path.stem}:{name}"
        for path in (Path(cli.__file__).parent).glob("*.py")
        for name in re.findall(r"^class ((?:Bench|Train|Tune)\w+)", path.read_text(), re.MULTILINE)
    }

    assert written
    assert written <= {place for place, _ in cli.COMMANDS.values()}
