"""Ward video must not leave the building: no socket, whatever is run."""

import subprocess
import sys

import pytest
from synthetic import ibug_folder

# An audit hook sees every socket of the process, also those of C extensions' Python parts.
WATCH = """
import sys
seen = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        seen.append((event, args[1:]))
    elif event == "socket.__new__" and args[1] not in (None, 1):  # 1: AF_UNIX stays inside
        seen.append((event, args[1:]))
sys.addaudithook(watch)
"""


def sockets(code, cwd):
    done = subprocess.run(
        [sys.executable, "-c", WATCH + code + "\nprint('SEEN', seen)"],
        capture_output=True,
        text=True,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rsplit("SEEN ", 1)[1].strip()


def test_the_watch_sees_a_socket(tmp_path):
    """The test itself can fail: a socket that is opened is seen."""
    assert sockets("import socket; socket.socket()", tmp_path) != "[]"


ENTRIES = {
    "the package, then Ultralytics": "import pipeline; import ultralytics; ultralytics.YOLO",
    "the room": "import pipeline.yolo",
    "the demo": "from pipeline.cli import main; assert main(['demo']) == 0",
    "a detection": (
        "import numpy as np; from pipeline import images; from pathlib import Path\n"
        "images.write(Path('a.png'), np.zeros((60, 80, 3), np.uint8))\n"
        "from pipeline.cli import main; assert main(['detect', 'a.png']) == 0"
    ),
    "a training": (
        "from pipeline.cli import main\n"
        "prepare = 'prepare ibug=faces --name faces --val-share 0.25 --workers 1'\n"
        "train = 'train parts --data faces --epochs 1 --imgsz 64 --batch 2 --device cpu'\n"
        "assert main(prepare.split()) == main(train.split()) == 0"
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_socket_is_opened(tmp_path, monkeypatch, entry):
    """However the package is entered, and whatever Ultralytics' settings file says."""
    monkeypatch.setenv("UNCOVER_HOME", str(tmp_path))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))  # a fresh one: sync is on in it
    monkeypatch.delenv("YOLO_OFFLINE", raising=False)
    ibug_folder(tmp_path / "faces" / "helen_train", count=8)

    assert sockets(ENTRIES[entry], tmp_path) == "[]"


def test_telemetry_is_off_in_this_process(tmp_path, monkeypatch):
    """Events disabled, integrations that call home off, also when Ultralytics came first."""
    code = (
        "import ultralytics, pipeline.yolo\n"
        "from ultralytics.utils import SETTINGS\n"
        "from ultralytics.utils.events import events\n"
        "assert not events.enabled\n"
        "assert not any(SETTINGS.get(name) for name in pipeline.yolo._CALL_HOME)\n"
        "import json, pathlib\n"
        "saved = json.loads(next(pathlib.Path('.').rglob('settings.json')).read_text())\n"
        "assert saved['sync'] is True, 'the file in the user home is not ours to change'\n"
    )
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
