import json
import pickle
from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.errors import BundleError
from tagger.flags.reasons import Signals, Thresholds, audit_draws, excesses, review_reasons

THRESHOLDS = Thresholds(0.8, 0.5, 0.2, 0.6, 3.0, 1.0, 0.01)
# An item that nothing speaks against.
GOOD = {
    "type_confidence": 0.99,
    "color_confidence": 0.9,
    "focus": 0.7,
    "mask_quality": 0.9,
    "color_distance": 1.0,
    "scope_score": 0.0,
    "audit_draw": 0.5,
}
STRICTER = {"color_distance": -1, "out_of_scope_score": -1}


def signals(*items: dict[str, float]) -> Signals:
    return Signals(**{name: np.array([(GOOD | item)[name] for item in items], dtype=np.float32) for name in GOOD})


def reasons(**item: float) -> list[str]:
    return review_reasons(signals(item), THRESHOLDS)[0]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, []),
        ({"type_confidence": 0.7}, ["low_type_confidence"]),
        ({"color_confidence": 0.4}, ["low_color_confidence"]),
        ({"color_confidence": 0.5}, []),  # at the threshold is not below it
        ({"color_confidence": np.nan}, ["low_color_confidence"]),
        ({"focus": 0.1}, ["low_focus"]),
        ({"focus": -3.0}, ["low_focus"]),
        ({"focus": np.nan}, []),  # null is not low
        ({"mask_quality": 0.5}, ["mask_uncertain"]),
        ({"mask_quality": np.nan}, ["mask_uncertain"]),
        ({"focus": 0.1, "mask_quality": 0.5}, ["mask_uncertain"]),  # a focus on a doubtful mask is not believed
        ({"color_distance": 4.0}, ["color_disagrees"]),
        ({"color_distance": np.nan}, []),
        ({"scope_score": np.inf}, ["out_of_scope"]),
        ({"audit_draw": 0.009}, ["audit"]),
    ],
)
def test_each_reason_has_its_own_threshold(item, expected):
    assert reasons(**item) == expected


def test_the_most_decisive_reason_comes_first_and_audit_last():
    # 1 - 0.6/0.8 = 0.25 below, 1 - 0.1/0.5 = 0.8 below, 1 spread beyond: 1/2.
    found = reasons(audit_draw=0.0, type_confidence=0.6, color_confidence=0.1, color_distance=4.0)
    assert found == ["low_color_confidence", "color_disagrees", "low_type_confidence", "audit"]


def flipped(flip: float, **item: float) -> list[str]:
    return review_reasons(replace(signals(item), background_flip=np.array([flip])), THRESHOLDS)[0]


def test_a_confirmed_low_focus_comes_before_everything():
    # Both 100 % beyond their thresholds.
    assert flipped(1.0, focus=0.19, type_confidence=0.0) == ["low_focus", "low_type_confidence"]
    assert flipped(1.0, focus=0.19, color_distance=1e9)[0] == "low_focus"


def test_a_background_that_changes_nothing_halves_a_low_focus_and_keeps_it():
    # Focus is 1 - 0.08/0.2 = 0.6 below, the confidence 1 - 0.3/0.5 = 0.4.
    assert flipped(np.nan, focus=0.08, color_confidence=0.3) == ["low_focus", "low_color_confidence"]
    assert flipped(0.0, focus=0.08, color_confidence=0.3) == ["low_color_confidence", "low_focus"]


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("item", [{}, {"focus": np.nan}, {"focus": 0.1, "mask_quality": 0.5}])
def test_a_flip_alone_is_no_low_focus(flip, item):
    assert "low_focus" not in flipped(flip, **item)


def test_signals_that_are_left_out_are_not_known():
    batch = signals({}, {})
    for name in ("color_margin", "cam_lift", "map_agreement", "background_flip"):
        np.testing.assert_array_equal(getattr(batch, name), [np.nan, np.nan])


def test_no_thresholds_flag_nothing():
    worst = dict.fromkeys(GOOD, 0.0) | {"mask_quality": np.nan, "color_distance": 1e9, "scope_score": 1e9}
    assert review_reasons(signals(worst), Thresholds()) == [[]]


def test_a_batch_of_none_gives_none():
    assert review_reasons(signals(), THRESHOLDS) == []


UNIT = st.floats(0, 1, width=32)
VALUES = st.one_of(st.floats(-2, 5, width=32), st.just(np.nan))


@st.composite
def batches(draw):
    flips = draw(arrays(np.float32, 4, elements=st.sampled_from([0.0, 1.0, np.nan])))
    return Signals(**{name: draw(arrays(np.float32, 4, elements=VALUES)) for name in GOOD}, background_flip=flips)


@st.composite
def thresholds_and_stricter(draw):
    ratios = {"type_confidence", "color_confidence", "mask_quality", "audit_share"}
    values = {
        field.name: draw(UNIT if field.name in ratios else st.floats(-2, 5, width=32)) for field in fields(Thresholds)
    }
    changed = draw(st.sampled_from(sorted(values)))
    step = draw(st.floats(0, 1, width=32)) * STRICTER.get(changed, 1)
    stricter = min(values[changed] + step, 1.0) if changed in ratios else values[changed] + step
    if changed != "audit_share" and draw(st.booleans()):
        values[changed] = None  # from "never" to any threshold is stricter too
    return Thresholds(**values), Thresholds(**values | {changed: stricter}), changed


@settings(deadline=None)
@given(batches(), thresholds_and_stricter())
def test_a_stricter_threshold_never_removes_a_flag(batch, pair):
    loose, strict, changed = pair
    for before, after in zip(review_reasons(batch, loose), review_reasons(batch, strict), strict=True):
        assert bool(before) <= bool(after)
        if changed != "mask_quality":
            assert set(before) <= set(after)


@settings(deadline=None)
@given(batches(), thresholds_and_stricter())
def test_how_far_beyond_is_a_ratio(batch, pair):
    for excess in excesses(batch, pair[0]).values():
        assert np.all(np.isnan(excess) | ((excess >= 0) & (excess <= 1)))


@settings(deadline=None)
@given(batches(), thresholds_and_stricter())
def test_a_batch_equals_its_items(batch, pair):
    singly = [
        review_reasons(Signals(**{f.name: getattr(batch, f.name)[i : i + 1] for f in fields(Signals)}), pair[0])[0]
        for i in range(4)
    ]
    assert review_reasons(batch, pair[0]) == singly


def test_signals_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        replace(signals({}), focus=np.zeros(2))


def test_thresholds_survive_json_and_pickle():
    stored = json.loads(json.dumps(THRESHOLDS.to_dict(), allow_nan=False))
    assert Thresholds.from_dict(stored) == THRESHOLDS
    assert pickle.loads(pickle.dumps(THRESHOLDS)) == THRESHOLDS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type_confidence": 80}, r"type_confidence must be a number in \[0.0, 1.0\]. Received: 80"),
        ({"focus": float("nan")}, "focus must be a number"),
        ({"audit_share": None}, "audit_share must be a number"),
        ({"sharpness": 1}, "Received: .*'sharpness'"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(change, message):
    with pytest.raises(BundleError, match=message):
        Thresholds.from_dict(THRESHOLDS.to_dict() | change)


def test_audit_draws_repeat_for_a_night_and_differ_between_nights():
    keys = [f"images/{i}.jpg" for i in range(2000)]
    first, again, next_night = (audit_draws(keys, date(2026, 11, day)) for day in (22, 22, 23))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, next_night)[0, 1]) < 0.1
    np.testing.assert_array_equal(audit_draws(keys[5:7], date(2026, 11, 22)), first[5:7])


def test_audit_draws_are_uniform():
    draws = audit_draws([str(i) for i in range(20_000)], date(2026, 11, 22))
    np.testing.assert_allclose(np.histogram(draws, bins=10, range=(0, 1))[0] / 20_000, 0.1, atol=0.01)
    assert audit_draws(["\udcff"], date(2026, 1, 1)).max() < 1  # a file name that is not UTF-8
