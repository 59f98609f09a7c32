import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.flags.reasons import Signals, Thresholds
from tagger.flags.risk import risk

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
