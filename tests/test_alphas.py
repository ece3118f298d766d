"""How class and quality are weighed, chosen on validation."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import wider_folder

from pipeline import alphas
from pipeline.boxes import as_boxes
from pipeline.dataset import open_dataset
from pipeline.judged import judge
from pipeline.neonatal.architecture import Architecture
from pipeline.neonatal.network import Network
from pipeline.neonatal.trained import Trained
from pipeline.predictions import Answer, Scene
from pipeline.prepare import Prepare
from pipeline.stage1 import Stage1

FACE, LOOSE, NOBODY = [10, 10, 50, 50], [10, 10, 50, 65], [60, 60, 90, 90]


def said(*boxes):
    """Boxes, the surest first."""
    return Answer(as_boxes(boxes), np.linspace(0.9, 0.5, len(boxes), dtype=np.float32))


@pytest.mark.parametrize("tight_first", [0.4, 0.6])
def test_the_alpha_that_ranks_tight_boxes_first_is_chosen(tight_first):
    answers = {alphas.name_of(each): said(NOBODY, LOOSE, FACE) for each in (0.3, 0.4, 0.6, 1.0)}
    answers[alphas.name_of(tight_first)] = said(FACE, LOOSE, NOBODY)
    judged = judge([Scene("one", "val", "none", as_boxes([FACE]), answers, {})])

    assert alphas.best(judged, (0.3, 0.4, 0.6, 1.0)) == tight_first


def test_where_all_are_as_good_the_baselines_ranking_is_chosen():
    answers = {alphas.name_of(each): said(FACE) for each in (0.3, 0.6, 1.0)}
    judged = judge([Scene("one", "val", "none", as_boxes([FACE]), answers, {})])

    assert alphas.best(judged, (0.3, 1.0, 0.6)) == 1.0


def test_faces_that_are_too_small_count_nowhere(home):
    wider_folder(home / "wider", train=8, val=3)
    how = {"classes": "face", "split": "6:2:2", "workers": 1}
    Prepare((f"wider={home / 'wider'}",), "scenes", **how).run()
    network = Trained(Network(replace(Architecture("mobilenet_v3"), channels=16)).eval())
    asked = [open_dataset("scenes")], "val", Stage1(network, 64), (1.0,)
    every, none = alphas.asked(*asked), alphas.asked(*asked, least=65)

    assert sum(len(scene.truth) for scene in every) > 0
    assert all(len(scene.truth) == 0 for scene in none)
    for one, other in zip(every, none, strict=True):
        assert len(other.ignored) == len(one.truth) + len(one.ignored)
