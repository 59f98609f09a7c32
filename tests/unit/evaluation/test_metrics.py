import json

import numpy as np
import pytest

from tagger.errors import BadInput
from tagger.evaluation.metrics import evaluate

CLASSES = ("Black", "White", "Red", "Teal")
# Five items. Label, prediction (confidence): Black Black (0.9), Black Black (0.4, so not counted as predicted),
# Black White (0.8), White White (0.7), Red White (0.6). Nothing is labelled Teal.
LABELS = np.array([0, 0, 0, 1, 2])
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0, 0.0],
        [0.4, 0.3, 0.2, 0.1],
        [0.1, 0.8, 0.1, 0.0],
        [0.1, 0.7, 0.1, 0.1],
        [0.2, 0.6, 0.05, 0.15],
    ]
)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate("color", CLASSES, PROBABILITIES, LABELS)


def test_accuracy_and_top_three(evaluation):
    assert evaluation.accuracy == pytest.approx(3 / 5)
    # The last item's Red is fourth of four.
    assert evaluation.top3_accuracy == pytest.approx(4 / 5)


def test_means_count_classes_or_their_labels(evaluation):
    # Precision: Black 2/2, White 1/3, Red never predicted, so 0. Recall: 2/3, 1, 0. Teal has no label and no say.
    assert evaluation.macro.precision == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert evaluation.macro.recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert evaluation.weighted.precision == pytest.approx((3 * 1 + 1 * 1 / 3 + 0) / 5)
    assert evaluation.weighted.recall == pytest.approx(evaluation.accuracy)
    # F1: Black 4/5, White 1/2.
    assert evaluation.weighted.f1 == pytest.approx((3 * 4 / 5 + 1 / 2) / 5)


def test_the_reference_measure_counts_only_confident_predictions(evaluation):
    # Without the item at 0.4: precision 1/1 and 1/3, recall 1/3 and 1/1.
    assert evaluation.coverage == pytest.approx(4 / 5)
    assert evaluation.reference.precision == pytest.approx((3 * 1 + 1 / 3) / 5)
    assert evaluation.reference.recall == pytest.approx((3 * 1 / 3 + 1) / 5)


def test_exactly_one_half_is_not_above_it():
    half = evaluate("type", ("a", "b"), np.array([[0.5, 0.5]]), np.array([0]))
    assert (half.accuracy, half.coverage, half.reference.recall) == (1.0, 0.0, 0.0)


def test_the_class_table_leaves_the_undefined_open(evaluation):
    white, red, teal = evaluation.per_class[1:]
    assert (white.labelled_count, white.predicted_count) == (1, 3)
    assert (white.precision, white.recall) == (pytest.approx(1 / 3), 1.0)
    assert (red.precision, red.recall) == (None, 0.0)
    assert (teal.precision, teal.recall, teal.f1) == (None, None, None)


def test_the_confusion_has_labels_in_rows(evaluation):
    table = evaluation.confusion_table()
    assert table.loc["Black"].tolist() == [2, 1, 0, 0]
    assert table.loc["Red", "White"] == 1
    assert table.to_numpy().sum() == 5


def test_json_is_strict_and_complete(evaluation):
    data = json.loads(evaluation.to_json())
    assert data["attribute"] == "color"
    assert data["per_class"][3]["precision"] is None
    assert data["confusion"][0] == [2, 1, 0, 0]


def test_the_text_names_the_figures_and_skips_absent_classes(evaluation):
    text = evaluation.as_text()
    assert "color: 5 items, accuracy 60.0%" in text
    assert "coverage 80.0%" in text
    assert "Red" in text and "Teal" not in text
    assert "nan" not in text.lower()


def test_calibration_error_of_certain_and_right_is_nothing():
    perfect = evaluate("color", CLASSES, np.eye(4), np.arange(4))
    assert (perfect.calibration_error, perfect.macro.f1, perfect.coverage) == (0, 1, 1)


def test_two_classes_have_everything_in_the_top_three():
    assert evaluate("type", ("a", "b"), np.array([[0.9, 0.1]]), np.array([1])).top3_accuracy == 1


def test_no_items_are_refused():
    with pytest.raises(BadInput, match="no labelled color"):
        evaluate("color", CLASSES, np.zeros((0, 4)), np.zeros(0, dtype=int))


def test_probabilities_of_another_label_space_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 4\)"):
        evaluate("color", CLASSES, PROBABILITIES[:, :3], LABELS)


def test_neighbouring_shades_count_for_colors_alone():
    classes, probabilities = ("Blue", "Navy Blue", "Red"), np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    labels = np.array([1, 1])
    color, kind = (evaluate(name, classes, probabilities, labels) for name in ("color", "type"))
    assert (color.accuracy, color.shade_tolerant_accuracy) == (0.0, 0.5)
    assert json.loads(color.to_json())["shade_tolerant_accuracy"] == 0.5
    assert "neighbouring shades count as right: accuracy 50.0%" in color.as_text()
    assert kind.shade_tolerant_accuracy is None and "shade_tolerant_accuracy" not in kind.to_dict()
    assert "shade" not in kind.as_text()
