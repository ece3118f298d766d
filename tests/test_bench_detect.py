"""``uncover bench detect``: both do the same work, and the rows say what was measured."""

import json

from pipeline.bench_detect import BenchDetect


def test_the_rows_tell_what_was_measured(tmp_path, capsys):
    """Every frame found, every frame fallen back, the thesis's way, memory; few frames here."""
    out = tmp_path / "rows.json"
    rows = BenchDetect(frames=12, missed=2, memory=220, repeat=1, device="cpu", json=str(out)).run()

    names = ["all-found", "all-missed", "thesis-way", "memory"]
    assert [row["name"] for row in rows] == [f"detect/{name}" for name in names]
    assert all(row["ours_ms"] > 0 and row["peer_ms"] > 0 for row in rows[:3])
    assert rows[2]["peer_ms"] > 5 * rows[2]["ours_ms"]
    assert json.loads(out.read_text()) == rows
    assert capsys.readouterr().out.count("detect/") == 4
