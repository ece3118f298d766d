import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel of this checkout, unpacked where no checkout is."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed, cwd, code):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("UNCOVER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_works_outside_a_checkout(installed, tmp_path):
    """The demo runs from an installed package and writes where it was called."""
    code = (
        "import pipeline, sys; from pipeline.cli import main\n"
        f"assert pipeline.__file__.startswith({str(installed)!r})\n"
        "sys.exit(main(['demo']))"
    )

    assert "recovered.jpg" in run(installed, tmp_path, code)
    assert (tmp_path / "runs" / "detect" / "uncover-demo" / "frames.csv").is_file()


def test_shipped_weights_travel_with_the_wheel(installed, tmp_path):
    """What lies in weights/ lies inside the package."""
    code = "from pipeline import runs; print(sorted(p.name for p in runs.weights().iterdir()))"
    shipped = sorted(
        name
        for name in subprocess.run(
            ["git", "ls-files", "weights"], cwd=ROOT, capture_output=True, text=True
        ).stdout.split()
    )
    found = run(installed, tmp_path, code)

    assert "README.md" in found
    assert all(Path(name).name in found for name in shipped)


def test_nothing_but_the_package_is_installed(installed):
    """No tests, datasets or runs in somebody's site-packages."""
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}

    assert names == {"pipeline"}


def test_the_licence_travels_too(installed):
    """AGPL-3.0, in the wheel's metadata and as a file."""
    (info,) = installed.glob("*.dist-info")

    assert "AGPL-3.0-only" in (info / "METADATA").read_text(encoding="utf-8")
    assert "AFFERO" in next(info.rglob("LICENSE")).read_text(encoding="utf-8")
