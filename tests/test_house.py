"""The rules of the house that a machine can hold."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clocks import least

from pipeline import cli

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline"

# The README's file tree, top to bottom: a room may import only rooms that stand below it.
TREE = (ROOT / "README.md").read_text(encoding="utf-8").split("pipeline/  ", 1)[1].split("```")[0]
ROOMS = re.findall(r"^  (\w+)(?:\.py|/) ", TREE, re.MULTILINE)
FLOOR = {room: -number for number, room in enumerate(["__main__", *ROOMS])}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Names of everything a module imports, wherever in it; ``from a import b`` gives a.b."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py") + [
    path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    """A room knows the rooms below it, never those above, and nobody knows the root."""
    room = room_of(path)
    for name in imports(path):
        if name.split(".")[0] != "pipeline":
            continue
        other = name.split(".")[1]
        assert other in FLOOR, f"{path.name} imports the package root, or {other} has no floor"
        assert other == room or FLOOR[other] < FLOOR[room], f"{room} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_yolo_knows_ultralytics(path):
    """Ultralytics and torch-heavy things stay behind one door."""
    if room_of(path) != "yolo":
        assert not [name for name in imports(path) if name.split(".")[0] == "ultralytics"]


def test_no_module_is_a_drawer():
    """No utils, no helpers, no module of more than 400 lines."""
    for path in MODULES:
        assert path.stem not in {"utils", "helpers", "misc", "common"}
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_the_tree_in_the_readme_is_the_house():
    """Every room has a line, and every line a room."""
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py"}
    rooms |= {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    folders = {"bundled"}  # data, not code

    assert sorted(rooms - {"__init__", "__main__"} | folders) == sorted(ROOMS)


def test_exactly_one_package_owns_cv2():
    """Two owners overwrite each other's files."""
    from importlib.metadata import distributions

    owners = {
        found.metadata["Name"]
        for found in distributions()
        if any(str(file).startswith("cv2/__init__") for file in found.files or [])
    }

    assert owners == {"opencv-python"}


COMMANDS = [[], *(command.split() for command in cli.COMMANDS)]


@pytest.mark.timed
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "uncover")
def test_help_answers_at_once_and_imports_nothing_heavy(command):
    """Under half a second, the best counts; without torch, OpenCV, numpy and their like."""
    code = (
        "import sys; from pipeline.cli import main\n"
        f"try: main({[*command, '--help']!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'ultralytics', 'cv2', 'numpy', 'pandas', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    def took():
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        assert done.returncode == 0, done.stderr
        assert "usage" in done.stdout.lower()
        return seconds

    assert least(took, 0.5) < 0.5
