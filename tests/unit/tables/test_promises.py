import math

import pyarrow as pa
import pytest

from tagger.tables.promises import Expected, broken_promises
from tests.tables_rows import CLASSES, DAY, full_tag, reject, unit

EXPECTED = Expected("r1", DAY, CLASSES)


def broken(**values):
    """The promises that a good row breaks when these values take the place of its own."""
    return broken_promises(unit([full_tag("good"), full_tag("a", **values)]), EXPECTED)


def test_good_rows_break_nothing():
    assert broken() == [] and broken_promises(unit(), EXPECTED) == []
    assert broken_promises(unit([], [reject("b", detail=None)]), EXPECTED) == []


def test_a_row_without_masks_maps_and_focus_is_good():
    assert broken(focus=None, focus_null_reason="mask_empty", product_mask=None, dominant_rgb=None) == []


def test_ends_of_ranges_and_float_rounding_are_good():
    assert broken(focus=1.0, cam_on_product=0.0, cam_lift=0.0, product_area=1.000001, flip_probability_change=-1) == []
    assert broken(focus=-250.0, product_mask=bytes(128), color_cam=bytes(64), dominant_rgb=[0, 200, 255]) == []


@pytest.mark.parametrize(
    ("values", "promise"),
    [
        ({"run_id": "r2"}, "tags.run_id is r1"),
        ({"phash": None}, "tags.phash is never null"),
        ({"review_reasons": None, "needs_review": None}, "tags.needs_review is never null"),
        ({"risk": 1.01}, "tags.risk is a number in [0, 1]"),
        ({"risk": math.nan}, "tags.risk is a number in [0, 1]"),
        ({"cam_lift": math.inf}, "tags.cam_lift is a number in [0, inf]"),
        ({"focus": 1.1}, "tags.focus is a number in [-inf, 1]"),
        ({"focus": -math.inf}, "tags.focus is a number in [-inf, 1]"),
        ({"focus": None}, "exactly one of focus"),
        ({"focus_null_reason": "mask_empty"}, "exactly one of focus"),
        ({"color_cam": bytes(63)}, "color_cam has 64 bytes"),
        ({"dominant_rgb": [0, 256, 0]}, "dominant_rgb is"),
        ({"dominant_rgb": [0, 1]}, "dominant_rgb is"),
        ({"needs_review": True}, "needs_review tells"),
        ({"needs_review": True, "review_reasons": ["bored"]}, "needs_review tells"),
        ({"type": "Sofa"}, "type is a class of the bundle"),
        ({"color_confidence": 0.7}, "color_top3 holds"),
        ({"color_top3": [{"label": "Cream", "p": 0.75}, {"label": "White", "p": 0.25}]}, "color_top3 holds"),
        ({"color_top3": [{"label": "White", "p": 0.75}, {"label": "White", "p": 0.25}]}, "color_top3 holds"),
        ({"color_top3": [{"label": "White", "p": 0.75}, {"label": "Cream", "p": 0.8}]}, "color_top3 holds"),
        ({"color_top3": [{"label": "White", "p": 0.75}, {"label": "Cream", "p": -0.1}]}, "color_top3 holds"),
        ({"color_top3": [{"label": "White", "p": 0.75}, {"label": "Pink", "p": 0.25}]}, "color_top3 holds"),
        ({"color_top3": [{"label": "White", "p": 0.75}]}, "color_top3 holds"),
        ({"color_top3": []}, "color_top3 holds"),
    ],
)
def test_a_broken_promise_is_told_with_its_row(values, promise):
    found = broken(**values)
    assert any(each.promise.startswith(promise) and (each.rows, each.first) == (1, "a") for each in found), found


def test_a_reject_for_an_unknown_reason_is_told():
    (found,) = broken_promises(unit([], [reject("b"), reject("c", reason="bored")]), EXPECTED)
    assert found == ("rejects.reason is known", 1, "c")


def test_labels_of_unknown_classes_pass_where_the_bundle_is_unknown():
    rows = unit([full_tag("a", type="Sofa", type_top3=[{"label": "Sofa", "p": 0.75}])])
    assert broken_promises(rows, Expected("r1", DAY)) == []


def test_every_column_that_is_never_null_is_asked_for():
    rows = unit([full_tag("a")])
    names = [name for name in rows.tags.column_names if not rows.tags[name].null_count]
    for name in names:
        gone = rows.tags.set_column(
            rows.tags.column_names.index(name), name, pa.nulls(1, rows.tags.schema.field(name).type)
        )
        found = [each.promise for each in broken_promises(rows._replace(tags=gone), EXPECTED)]
        assert found, name
