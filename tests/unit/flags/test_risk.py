import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.errors import BundleError
from tagger.flags.reasons import Signals, Thresholds
from tagger.flags.risk import FEATURES, RiskModel, color_doubts, risk, risk_features

THRESHOLDS = Thresholds(0.8, 0.5, 0.2, 0.6, 3.0, 1.0, 0.01)
UNIT = st.floats(0, 1)


def risk_of(type_confidence=1.0, color_confidence=1.0, focus=0.7, mask_quality=0.9, color_distance=0.0) -> float:
    values = (type_confidence, color_confidence, focus, mask_quality, color_distance, 0.0, 0.5)
    return float(risk(Signals(*(np.array([value], dtype=np.float64) for value in values)), THRESHOLDS)[0])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, 0.0),
        ({"type_confidence": 0.9, "color_confidence": 0.5}, 1 - 0.45),
        ({"focus": 0.0}, 0.75),  # the map ignores the product
        ({"focus": 0.1}, 1 - (1 - 0.75 * 0.5)),
        ({"focus": 0.0, "mask_quality": 0.1}, 0.0),  # not believed
        ({"focus": np.nan}, 0.0),
        ({"color_distance": 4.0}, 1 - (1 - 0.5 * 0.5)),
        ({"color_confidence": np.nan}, 1.0),
    ],
)
def test_by_hand(item, expected):
    assert risk_of(**item) == pytest.approx(expected)


@settings(deadline=None)
@given(UNIT, UNIT, st.floats(-5, 1), UNIT, st.floats(0, 100), st.floats(0, 1))
def test_is_a_ratio_and_rises_as_any_signal_worsens(type_p, color_p, focus, quality, distance, step):
    item = {"type_confidence": type_p, "color_confidence": color_p, "focus": focus, "color_distance": distance}
    before = risk_of(**item, mask_quality=quality)
    assert 0 <= before <= 1
    for name, change in {"type_confidence": -1, "color_confidence": -1, "focus": -1, "color_distance": 1}.items():
        worse = item[name] + change * step
        worse = max(worse, 0.0) if "confidence" in name else worse
        assert risk_of(**item | {name: worse}, mask_quality=quality) >= before - 1e-12


def test_a_confident_answer_read_off_the_background_comes_before_an_unsure_one():
    assert risk_of(type_confidence=0.99, color_confidence=0.95, focus=0.0) > risk_of(color_confidence=0.5)


# Of the colors' confidence alone; its log odds are 0 at 0.5 and ln 9 at 0.9.
MODEL = RiskModel(("color_confidence", "focus"), (0.0, 0.5), (np.log(9.0), 0.5), (-1.0, -2.0), 0.0)


def signals_of(**item: float) -> Signals:
    good = {"type_confidence": 1.0, "color_confidence": 0.5, "focus": 0.5, "mask_quality": 0.9, "color_distance": 0.0}
    good |= {"scope_score": 0.0, "audit_draw": 0.5}
    return Signals(**{name: np.array([value], dtype=np.float64) for name, value in (good | item).items()})


@pytest.mark.parametrize(
    ("item", "score"),
    [
        ({}, 0.0),
        ({"color_confidence": 0.9}, -1.0),
        ({"focus": 0.0}, 2.0),
        ({"focus": np.nan}, 0.0),  # as its mean
        ({"focus": -100.0}, 8.0),  # four deviations and no more
        ({"color_confidence": 1.0}, -4.0),
    ],
)
def test_the_model_by_hand(item, score):
    assert MODEL.probability(signals_of(**item)) == pytest.approx(1 / (1 + np.exp(-score)))


def test_risk_with_a_model_joins_both_attributes_and_needs_no_objections():
    item = {"type_confidence": 0.8, "focus": 0.0, "color_distance": 50.0}
    wrong_color = 1 / (1 + np.exp(-2.0))
    assert risk(signals_of(**item), THRESHOLDS, MODEL)[0] == pytest.approx(1 - 0.8 * (1 - wrong_color))


def test_a_flip_that_the_model_has_not_seen_raises_its_risk():
    item = signals_of(focus=0.1, color_confidence=0.9)
    tried = [risk(replace(item, background_flip=np.array([flip])), THRESHOLDS, MODEL)[0] for flip in (np.nan, 0, 1)]
    assert tried[0] == tried[1] < tried[2]
    assert 1 - tried[2] == pytest.approx((1 - tried[0]) * 0.25)


def test_an_unknown_confidence_is_certain_risk():
    assert risk(signals_of(color_confidence=np.nan), THRESHOLDS, MODEL)[0] == 1
    assert risk(signals_of(type_confidence=np.nan), THRESHOLDS, MODEL)[0] == 1


def test_a_model_survives_json():
    assert RiskModel.from_dict(json.loads(json.dumps(MODEL.to_dict(), allow_nan=False))) == MODEL


@pytest.mark.parametrize(
    "change",
    [
        {"intercept": float("inf")},
        {"features": {"sharpness": {"mean": 0, "scale": 1, "coefficient": 1}}},
        {"features": {"focus": {"mean": 0, "scale": 0, "coefficient": 1}}},
        {"features": {"focus": {"mean": 0, "scale": 1}}},
        {"features": [1]},
    ],
)
def test_a_damaged_model_is_refused(change):
    with pytest.raises(BundleError, match="risk model"):
        RiskModel.from_dict(MODEL.to_dict() | change)


def test_doubts_by_hand():
    doubts = color_doubts(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]), np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(doubts["color_margin"], [0.25, 1.0])
    np.testing.assert_allclose(doubts["color_entropy"], [1.5 * np.log(2), 0.0], atol=1e-12)
    np.testing.assert_allclose(doubts["color_logit_norm"], [6**0.5, 0.0])


def test_a_network_of_one_color_has_no_doubt():
    doubts = color_doubts(np.ones((2, 1)), np.zeros((2, 1)))
    np.testing.assert_array_equal(doubts["color_margin"], [1.0, 1.0])


def test_features_are_finite_or_unknown_at_every_extreme():
    extreme = signals_of(color_confidence=1.0, type_confidence=0.0)
    features = risk_features(replace(extreme, cam_lift=np.array([0.0])))[0]
    known = dict(zip(FEATURES, features, strict=True))
    assert np.isfinite([known["color_confidence"], known["type_confidence"], known["cam_lift"]]).all()
    assert np.isnan(known["map_agreement"])
