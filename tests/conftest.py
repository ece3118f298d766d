"""What all tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


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
