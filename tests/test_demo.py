import pytest

from pipeline import images
from pipeline.dataset import open_dataset
from pipeline.demo import Demo
from pipeline.errors import UserError


def test_the_demo_shows_what_there_is(home, capsys):
    """Four bundled faces, at every level, upright and turned, on a sheet; twice in a row."""
    sheet = Demo().run()
    rows = list(open_dataset("demo").rows())

    assert images.read(sheet).shape[1] > 1000
    assert {row["level"] for row in rows} == {"none", "easy", "medium", "hard"}
    assert sum(row["turned"] != 0 for row in rows) == len(rows) / 2
    assert len({row["group"] for row in rows}) == 4
    assert str(sheet) in capsys.readouterr().out
    assert Demo().run() == sheet
    assert "up to date" in capsys.readouterr().out


def test_somebody_elses_demo_is_not_overwritten(home):
    """A folder called demo that the demo did not make stays."""
    mine = home / "datasets" / "demo"
    mine.mkdir(parents=True)
    (mine / "thesis.txt").write_text("years of work")

    with pytest.raises(UserError, match="manifest"):
        Demo().run()
    assert (mine / "thesis.txt").exists()
