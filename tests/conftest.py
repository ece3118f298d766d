"""What all tests share."""

from pathlib import Path

import pytest
import torch
from tiny_head import Head

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _small_plots():
    """Ultralytics draws its curves for print: a third of the time of all small trainings."""
    from matplotlib.figure import Figure

    whole = Figure.savefig

    def saved(self, *given, **named):
        theirs = named.get("dpi", 0) >= 200  # ours are for the screen
        return whole(self, *given, **(named | {"dpi": 40} if theirs else named))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", saved)
        yield


@pytest.fixture
def shared_data():
    """Real annotated photographs, where they are at hand; users do not have them."""
    if not SHARED.is_dir():
        pytest.skip("the real photographs (../shared/data) are not here")
    return SHARED


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder in which datasets/ and runs/ will lie."""
    monkeypatch.setenv("UNCOVER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def module_home(tmp_path_factory):
    """As ``home``, one for all tests of a file."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNCOVER_HOME", str(folder))
        yield folder


@pytest.fixture
def head():
    """A head with three levels, small enough to look at every number."""
    return Head().eval()


@pytest.fixture
def batch():
    """Two pictures for it, of no round size."""
    torch.manual_seed(1)
    return torch.rand(2, 3, 44, 60)
