"""``uncover tune``: mutation as it is set, the same every time, resumed after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from synthetic import ibug_folder

from pipeline.errors import UserError
from pipeline.prepare import Prepare
from pipeline.schedule import Schedule
from pipeline.tune import TuneParts
from pipeline.yolo.evolution import Detector, Evolution, Mutation
from pipeline.yolo.training import Trainer

FEW = {"epochs": 1, "imgsz": 64, "batch": 8}
PARENT = {"lr0": 0.005, "hsv_s": 0.5, "translate": 0.4, "scale": 0.5}
SPACE = {"lr0": (1e-5, 1e-2), "hsv_s": (0.0, 0.9), "translate": (0.0, 0.9), "scale": (0.0, 0.95)}


@pytest.fixture(scope="module")
def place(module_home):
    home = module_home
    ibug_folder(home / "source" / "helen_train", count=8)
    Prepare((f"ibug={home / 'source'}",), "faces", val_share=0.25, workers=1).run()
    return home


def evolution(folder, **mutation):
    """An evolution with four settings and a history of two generations."""
    usual = {"probability": 0.5, "variance": 0.04, "seed": 0} | mutation
    args = {"data": "x.yaml", "project": str(folder), "name": "e", "resume": True, "space": SPACE}
    found = Evolution(args, Mutation(**usual))
    found.tune_dir.mkdir(parents=True, exist_ok=True)
    if not found.tune_file.is_file():
        for number, fitness in enumerate((0.2, 0.1)):
            found._save_local_result(found._result_record(number + 1, fitness, PARENT, {}))
    return found


def test_a_mutation_is_the_same_every_time(tmp_path):
    first, again, other = (evolution(tmp_path, seed=seed) for seed in (0, 0, 1))

    assert first._mutate() == again._mutate()
    assert first._mutate() != other._mutate()


@pytest.mark.parametrize("probability", [0.25, 0.8])
def test_as_many_settings_change_as_the_probability_says(tmp_path, probability):
    """Over many seeds; a generation in which nothing changes is drawn again."""
    changed = []
    for seed in range(300):
        found = evolution(tmp_path / str(seed), probability=probability, seed=seed)
        child = found._mutate()
        changed.append(np.mean([child[name] != PARENT[name] for name in PARENT]))
    expected = probability / (1 - (1 - probability) ** 4)

    assert np.mean(changed) == pytest.approx(expected, abs=0.05)


def test_the_variance_is_that_of_the_factor(tmp_path):
    """The standard deviation of child / parent is the root of the variance."""
    factors = []
    for seed in range(300):
        found = evolution(tmp_path / str(seed), probability=1.0, seed=seed)
        factors.append(found._mutate()["hsv_s"] / PARENT["hsv_s"])

    assert np.std(factors) == pytest.approx(0.2, abs=0.03)


def test_children_stay_within_the_bounds(tmp_path):
    for seed in range(50):
        found = evolution(tmp_path / str(seed), probability=1.0, variance=4.0, seed=seed)
        for name, value in found._mutate().items():
            assert SPACE[name][0] <= value <= SPACE[name][1]


@pytest.mark.slow
def test_an_evolution_killed_and_gone_on_with(place):
    """kill -9 after the first generation; each generation once, and a file for --hyper."""
    words = ["tune", "parts", "--data", "faces", "--name", "e", "--generations", "3"]
    words += ["--epochs", "1", "--imgsz", "64", "--batch", "8", "--device", "cpu"]
    command = [sys.executable, "-m", "pipeline", *words]
    log = place / "runs" / "tune" / ".e.resumable" / "folder" / "tune_results.ndjson"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not log.is_file():
        assert first.poll() is None, "ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = subprocess.run(command, capture_output=True, text=True)

    assert second.returncode == 0, second.stderr
    folder = place / "runs" / "tune" / "e"
    lines = (folder / "tune_results.ndjson").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [1, 2, 3]
    best = yaml.safe_load((folder / "best_hyperparameters.yaml").read_text())
    assert "fliplr" not in best
    assert set(best) == {name.strip() for name in TuneParts.space.split(",")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"settings": "lr0,colour"}, "--settings colour: known are"),
        ({"probability": 0.0}, "--probability"),
        ({"variance": -1.0}, "--variance"),
        ({"generations": 0}, "--generations"),
        ({"settings": "epochs"}, "--settings epochs: known are"),
        ({"ray": True}, "Ray Tune is not installed"),
    ],
)
def test_what_makes_no_sense_is_refused(place, settings, words):
    with pytest.raises(UserError, match=words):
        TuneParts("faces", "wrong", schedule=Schedule(**FEW), **settings).run()


@pytest.mark.parametrize("kind", ["parts", "heatmap"])
def test_all_that_may_evolve_has_bounds(tmp_path, kind):
    """Ultralytics knows between what values each of them lies."""
    from pipeline import schedule

    args = {"data": "x.yaml", "project": str(tmp_path), "name": "e", "resume": True}
    assert set(schedule.evolvable(kind)) <= set(Evolution(args, Mutation(1.0, 1.0, 0)).space)


def test_ray_would_train_with_our_pictures():
    """What asks a model to train itself gets our trainer."""
    assert Detector("yolov5n.yaml")._smart_load("trainer") is Trainer
