import json

import cv2
import numpy as np
import pytest

from tagger.errors import BundleError
from tagger.flags.color_distance import LEAST_SPREAD, ColorReference, color_distance, fit_color_reference, lab_from_rgb


def test_known_lab_values():
    # White, black, middle grey and red of sRGB, as published by Lindbloom's calculator (D65).
    rgb = np.array([[255, 255, 255], [0, 0, 0], [119, 119, 119], [255, 0, 0]])
    expected = [[100, 0, 0], [0, 0, 0], [50.03, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(lab_from_rgb(rgb), expected, atol=0.05)


def test_agrees_with_opencv():
    rgb = np.random.default_rng(0).integers(0, 256, (1, 500, 3), dtype=np.uint8)
    opencv = cv2.cvtColor((rgb / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(lab_from_rgb(rgb), opencv, atol=0.6)


def test_the_reference_is_the_median_and_its_spread():
    grey = np.array([50, 100, 150, 200, 250])
    rgb = np.repeat(grey[:, None], 3, axis=1)
    lightness = lab_from_rgb(rgb)[:, 0]
    reference = fit_color_reference(rgb, ["Grey"] * 5)
    assert reference.lab["Grey"] == pytest.approx((lightness[2], 0, 0), abs=0.01)
    assert reference.spread["Grey"] == pytest.approx(np.median(np.abs(lightness - lightness[2])), abs=0.01)


def test_distance_counts_in_spreads_and_the_median_item_is_at_one():
    rgb = np.random.default_rng(1).integers(0, 256, (101, 3))
    reference = fit_color_reference(rgb, ["Multicolor"] * 101)
    assert np.median(color_distance(reference, rgb, ["Multicolor"] * 101)) == pytest.approx(1.0)


def test_a_white_product_tagged_black_is_far_away():
    rgb = np.array([[250, 250, 250]] * 6 + [[20, 20, 20]] * 6)
    reference = fit_color_reference(rgb, ["White"] * 6 + ["Black"] * 6)
    assert reference.spread["White"] == LEAST_SPREAD
    near, far = color_distance(reference, rgb[[0, 0]], ["White", "Black"])
    assert near < 1 < 30 < far


def test_some_wrong_labels_do_not_move_the_reference():
    rgb = np.array([[250, 250, 250]] * 9 + [[255, 0, 0]] * 3)
    assert fit_color_reference(rgb, ["White"] * 12).lab["White"] == pytest.approx((98.3, 0, 0), abs=0.1)


def test_unknown_colors_and_empty_masks_have_no_distance():
    rgb = np.array([[10.0, 10, 10]] * 5 + [[np.nan] * 3] * 5)
    reference = fit_color_reference(rgb, ["Black"] * 5 + ["Teal"] * 5)
    assert set(reference.lab) == {"Black"}
    distances = color_distance(reference, rgb[[0, 0, 5]], ["Black", "Teal", "Black"])
    np.testing.assert_array_equal(np.isnan(distances), [False, True, True])
    assert color_distance(reference, np.zeros((0, 3)), []).shape == (0,)


def test_a_reference_survives_json_and_refuses_damage():
    reference = ColorReference({"Red": (50.0, 70.0, 60.0)}, {"Red": 9.5})
    assert ColorReference.from_dict(json.loads(json.dumps(reference.to_dict()))) == reference
    with pytest.raises(BundleError, match="damaged"):
        ColorReference.from_dict({"Red": {"lab": [1, 2]}})
