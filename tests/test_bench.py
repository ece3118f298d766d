import json

import pytest

from pipeline import bench
from pipeline.bench import BenchCam
from pipeline.cli import main
from pipeline.errors import UserError

KEYS = ["name", "device", "ours_ms", "peer_ms", "ratio", "peak_mb", "max_abs_diff"]


@pytest.fixture(scope="module")
def rows():
    return BenchCam(size="n", methods="hirescam,gradcam++", imgsz=128, repeat=5, device="cpu").run()


def test_rows_are_as_every_benchmark_writes_them(rows):
    """A row for each method and reach, its batch trick and its overhead, with the usual keys."""
    expected = {
        f"cam/{method}/{reach}{kind}"
        for method in ("hirescam", "gradcam++")
        for reach in ("p5", "all")
        for kind in ("", "/frozen", "/batch", "/overhead")
    }

    assert {row["name"] for row in rows} == expected
    assert all(list(row) == KEYS for row in rows)
    assert all(row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"], 0.02) for row in rows)


def test_ours_is_exact_and_faster(rows):
    """On the smallest network, where overhead weighs most, still several times faster."""
    by_name = {row["name"]: row for row in rows}

    for reach in ("p5", "all"):
        assert by_name[f"cam/hirescam/{reach}"]["max_abs_diff"] < 1e-4
        assert by_name[f"cam/gradcam++/{reach}"]["max_abs_diff"] < 1e-4
        assert by_name[f"cam/hirescam/{reach}"]["ratio"] > 2


def test_rows_are_written_as_json(tmp_path):
    """--json FILE holds the rows that were printed."""
    line = ["bench", "cam", "--size", "n", "--imgsz", "64", "--methods", "layercam"]
    assert (
        main([*line, "--repeat", "1", "--device", "cpu", "--json", str(tmp_path / "b.json")]) == 0
    )
    rows = json.loads((tmp_path / "b.json").read_text())

    assert rows[0]["name"] == "cam/layercam/p5"


def test_an_unknown_method_is_named():
    """With those that are known."""
    with pytest.raises(UserError, match="hirescam"):
        BenchCam(methods="magic").run()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"device": "toaster"}, "expected cpu, cuda or cuda:NUMBER"),
        ({"device": "meta"}, "expected cpu, cuda or cuda:NUMBER"),
        ({"device": "77"}, "no such CUDA device"),
        ({"imgsz": 100}, "--imgsz 100: expected a multiple of 32"),
        ({"imgsz": 0}, "--imgsz 0: expected a multiple of 32"),
    ],
)
def test_wrong_settings_are_told(settings, words):
    """As every command tells them."""
    with pytest.raises(UserError, match=words):
        BenchCam(**{"size": "n", "methods": "layercam", "device": "cpu"} | settings).run()


def test_ours_and_the_peer_warm_up_alike(monkeypatch):
    """Each is run as often before the clock counts."""
    runs = []
    measure = bench._median_ms

    def counted(work, count, batch):
        done = []
        result = measure(lambda: done.append(work()), count, batch)
        runs.append(len(done) - count)
        return result

    monkeypatch.setattr(bench, "_median_ms", counted)
    BenchCam(size="n", methods="layercam", imgsz=64, repeat=3, peer_repeat=2, device="cpu").run()

    assert len(runs) == 2 * 6  # forward, maps, whole; loop, frozen, batch: at p5 and at all
    assert set(runs) == {bench.WARM}
