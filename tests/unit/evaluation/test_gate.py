import re
from dataclasses import replace

import numpy as np
import pytest

from tagger.errors import GateRefused
from tagger.evaluation.fitting import LabelledRows
from tagger.evaluation.gate import check_promotion, compare, incomparable, refuse_if_worse, serving_tagger
from tagger.model.bundle import promote, save_bundle
from tagger.storage import open_root
from tests.unit.evaluation.fakes import ToldTagger, pictures_of
from tests.unit.evaluation.small_shop import INFO
from tests.unit.model.networks import tiny_network

CLASSES = {"type": ("Shirt", "Belt"), "color": ("Black", "White", "Red")}
COUNT = 200
TRUTH = {"type": np.arange(COUNT) % 2, "color": np.arange(COUNT) % 3}
ITEMS = LabelledRows(np.arange(COUNT), TRUTH, np.arange(COUNT))


def spoiled(labels, count, classes):
    """The labels with the first `count` of them wrong."""
    return np.where(np.arange(len(labels)) < count, (labels + 1) % classes, labels)


def answers(wrong_types, wrong_colors):
    return {"type": spoiled(TRUTH["type"], wrong_types, 2), "color": spoiled(TRUTH["color"], wrong_colors, 3)}


def probabilities(wrong_types, wrong_colors):
    numbers = answers(wrong_types, wrong_colors)
    return {name: np.eye(len(CLASSES[name]))[numbers[name]] for name in numbers}


def test_a_comparison_by_hand():
    labels, groups = np.array([0, 0, 1, 1]), np.arange(4)
    found = compare("type", np.array([0, 0, 1, 0]), np.array([0, 1, 0, 0]), labels, groups)
    assert (found.accuracy, found.serving_accuracy, found.difference) == (0.75, 0.25, 0.5)
    assert (found.macro_recall, found.serving_macro_recall) == (0.75, 0.25)
    assert found.low <= 0.5 <= found.high


def test_equal_answers_differ_by_nothing():
    labels = np.arange(30) % 3
    found = compare("color", labels, labels, labels, np.arange(30))
    assert (found.difference, found.low, found.high) == (0, 0, 0) and not found.is_worse(0.0)


def test_near_duplicates_widen_the_interval():
    labels = np.zeros(60, int)
    candidate = spoiled(labels, 30, 2)
    alone = compare("type", candidate, labels, labels, np.arange(60))
    paired = compare("type", candidate, labels, labels, np.arange(60) // 6)
    assert paired.group_count == 10 and paired.high - paired.low > alone.high - alone.low


def test_a_better_candidate_passes_and_is_told():
    serving = ToldTagger(CLASSES, answers(40, 60))
    types, colors = check_promotion(serving, pictures_of, ITEMS, probabilities(10, 60), CLASSES, 0.02)
    assert (types.accuracy, types.serving_accuracy) == (0.95, 0.8)
    assert colors.difference == 0


def test_a_clearly_worse_color_is_refused_however_good_the_type():
    serving = ToldTagger(CLASSES, answers(40, 20))
    with pytest.raises(GateRefused, match=r"worse than told 1.*color: accuracy 80\.0% against 90\.0%.*max_loss = 0\.5"):
        check_promotion(serving, pictures_of, ITEMS, probabilities(0, 40), CLASSES, 0.5)


def test_a_loss_that_may_be_chance_is_refused_only_beyond_max_loss():
    # 30 items are mended and 33 spoiled: the interval holds 0.
    labels = TRUTH["type"]
    candidate, serving = spoiled(labels, 33, 2), spoiled(labels[::-1], 30, 2)[::-1]
    found = compare("type", candidate, serving, labels, np.arange(COUNT))
    assert found.low < 0 < found.high and found.difference == pytest.approx(-0.015)
    refuse_if_worse([found], "told 1", 0.02)
    with pytest.raises(GateRefused):
        refuse_if_worse([found], "told 1", 0.01)


def test_another_order_of_the_classes_is_no_difference():
    turned = {"type": ("Belt", "Shirt"), "color": ("Red", "White", "Black")}
    numbers = {"type": 1 - TRUTH["type"], "color": 2 - TRUTH["color"]}
    serving = ToldTagger(turned, numbers)
    compared = check_promotion(serving, pictures_of, ITEMS, probabilities(0, 0), CLASSES, 0.0)
    assert [each.serving_accuracy for each in compared] == [1.0, 1.0]


def test_other_classes_are_a_mistake_of_the_caller():
    other = ToldTagger({**CLASSES, "color": ("Black", "White", "Teal")}, answers(0, 0))
    with pytest.raises(ValueError, match="Red.*Teal"):
        check_promotion(other, pictures_of, ITEMS, probabilities(0, 0), CLASSES, 0.0)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"classes": {"type": ("Belt", "Shirt"), "color": INFO.classes["color"]}}, ""),
        ({"classes": {"type": ("Belt",), "color": INFO.classes["color"]}}, "other type classes"),
        ({"fit": "pad"}, r"another input \(pad, 128 px\)"),
    ],
)
def test_bundles_are_compared_only_on_the_same_classes_and_pictures(changed, why):
    assert re.fullmatch(why, incomparable(replace(INFO, **changed), INFO))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = open_root(str(tmp_path_factory.mktemp("models")))
    networks = {"type": tiny_network(2, seed=1), "color": tiny_network(3, seed=2)}
    save_bundle(root.child("1"), INFO, networks, {})
    promote(root, "1")
    return root


def test_the_serving_bundle_is_found(models):
    assert serving_tagger(models, INFO).info.version == "1"


def test_nothing_is_compared_where_nothing_serves_or_cannot(models, tmp_path, caplog):
    assert serving_tagger(open_root(str(tmp_path)), INFO) is None
    promote(open_root(str(tmp_path)), "gone")
    assert serving_tagger(open_root(str(tmp_path)), INFO) is None
    assert "gone/bundle.json is missing" in caplog.text
    assert serving_tagger(models, replace(INFO, fit="pad")) is None
    assert "another input" in caplog.text
