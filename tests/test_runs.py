import json
import multiprocessing
import os
import signal
import time

import pytest

from pipeline import runs
from pipeline.errors import UserError


def test_datasets_lie_where_the_command_is_called(tmp_path, monkeypatch):
    """In the working folder, or in UNCOVER_HOME."""
    monkeypatch.delenv("UNCOVER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert runs.datasets() == tmp_path / "datasets"

    monkeypatch.setenv("UNCOVER_HOME", str(tmp_path / "elsewhere"))
    assert runs.datasets() == tmp_path / "elsewhere" / "datasets"


def test_shipped_weights_are_found():
    """In a checkout, and in an installed package."""
    assert (runs.weights() / "README.md").is_file()


def test_a_folder_appears_whole(tmp_path):
    """Nothing is there until the block ends; then everything is."""
    target = tmp_path / "a" / "set"
    with runs.whole_folder(target) as folder:
        (folder / "x").write_text("1")
        assert not target.exists()

    assert (target / "x").read_text() == "1"
    assert sorted(path.name for path in target.parent.iterdir()) in (["set"], [".set.lock", "set"])


def test_an_error_leaves_what_was_there(tmp_path):
    """The old folder stays, the half one goes."""
    target = tmp_path / "set"
    with runs.whole_folder(target) as folder:
        (folder / "x").write_text("old")

    with pytest.raises(ZeroDivisionError), runs.whole_folder(target) as folder:
        (folder / "x").write_text("new")
        raise ZeroDivisionError

    assert (target / "x").read_text() == "old"
    assert not list(tmp_path.glob(".set.partial*"))


def test_a_full_disk_is_told_and_leaves_no_half(tmp_path):
    """An OSError inside becomes a line for people."""
    with pytest.raises(UserError, match="No space left"), runs.whole_folder(tmp_path / "set"):
        raise OSError(28, "No space left on device")

    assert not (tmp_path / "set").exists()
    assert not list(tmp_path.glob(".set.partial*"))


def _fill_and_wait(target):
    with runs.whole_folder(target) as folder:
        (folder / "half").write_text("half")
        time.sleep(60)


def test_a_killed_run_leaves_no_half_dataset(tmp_path):
    """kill -9 in the middle: the folder is not there, and the next run clears up and succeeds."""
    target = tmp_path / "set"
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_wait, args=(target,))
    process.start()
    half = tmp_path / ".set.partial" / "half"
    deadline = time.monotonic() + 30
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(UserError, match="another run"), runs.whole_folder(target):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    assert half.exists()
    assert not target.exists()
    with runs.whole_folder(target) as folder:
        assert list(folder.iterdir()) == []
    assert target.is_dir()
    assert not half.exists()


def test_a_run_killed_between_the_renamings_loses_nothing(tmp_path):
    """The old folder, moved aside, is brought back."""
    (tmp_path / ".set.old").mkdir()
    (tmp_path / ".set.old" / "x").write_text("old")

    with pytest.raises(ZeroDivisionError), runs.whole_folder(tmp_path / "set"):
        raise ZeroDivisionError

    assert (tmp_path / "set" / "x").read_text() == "old"


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    """A failure while writing leaves the old file and no litter."""
    runs.write_json(tmp_path / "a.json", {"a": "ä"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "ä"}

    monkeypatch.setattr(type(tmp_path), "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.write_text(tmp_path / "a.json", "{}")

    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_differences_name_what_changed():
    """One line a setting, nothing for equal settings."""
    assert runs.differences({"a": 1, "b": 2}, {"a": 1, "b": 2}) == []
    assert runs.differences({"a": 1}, {"a": 2, "c": 3}) == ["a: 1 -> 2", "c: 'not set' -> 3"]


def test_provenance_names_the_versions():
    """What a result needs to be made again."""
    found = runs.provenance()

    assert found["numpy"]
    assert found["ultralytics"]
    assert found["python"].count(".") == 2


def test_a_kill_after_the_result_is_in_its_place_leaves_nothing(tmp_path, monkeypatch):
    """The next run, which finds everything done, clears the state away."""
    target, record = tmp_path / "x", {"settings": {"a": 1}}
    with monkeypatch.context() as patch:
        patch.setattr(runs.shutil, "rmtree", lambda *_, **__: None)  # killed before it
        with runs.resumable_folder(target, record) as folder:
            runs.write_json(folder / "manifest.json", record)
    assert (tmp_path / ".x.resumable").exists()
    assert runs.up_to_date(target, record, overwrite=False)

    assert not (tmp_path / ".x.resumable").exists()


def test_nothing_is_said_of_a_run_that_was_killed_before_it_began(tmp_path, capsys):
    """Its state has no record yet, or nothing beside it: other settings may be taken."""
    state = tmp_path / ".x.resumable"
    state.mkdir()
    with runs.resumable_folder(tmp_path / "x", {"settings": {"a": 1}}, discard=False):
        pass
    runs.write_json(state / "record.json", {"settings": {"a": 2}})
    (state / "folder").mkdir()
    with runs.resumable_folder(tmp_path / "x", {"settings": {"a": 1}}, discard=False):
        pass

    assert capsys.readouterr().out == ""


def test_what_a_run_has_made_is_not_thrown_away_unasked(tmp_path):
    state = tmp_path / ".x.resumable"
    runs.write_json(state / "record.json", {"settings": {"a": 2}})
    runs.write_text(state / "folder" / "made", "something")
    with (
        pytest.raises(UserError, match="a: 2 -> 1"),
        runs.resumable_folder(tmp_path / "x", {"settings": {"a": 1}}, discard=False),
    ):
        pass

    assert (state / "folder" / "made").is_file()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-01-01 10:30", "2026-01-01 10_30"),
        ("a/b\\c\n", "a_b_c"),
        ("..", "unnamed"),
        ("ä" * 80, "ä" * 50),
    ],
)
def test_a_name_is_made_of_what_may_not_be_one(text, name):
    assert runs.name_from(text) == name == runs.plain_name(name)
