import json
import logging

import numpy as np
import pytest

from tagger.flags.reasons import REASONS, Thresholds
from tagger.review.words import reasons_in_words, stored_thresholds
from tagger.storage import open_root
from tests.tables_rows import tag

THRESHOLDS = Thresholds(0.8, 0.5, 0.3, 0.6, 3.0, 1.0, 0.01)


def words(reason: str, thresholds: Thresholds | None = THRESHOLDS, **values: object) -> str:
    (sentence,) = reasons_in_words(tag("a", review_reasons=[reason], **values), thresholds)
    return sentence


@pytest.mark.parametrize(
    ("reason", "values", "sentence"),
    [
        ("low_focus", {"focus": 0.12, "cam_on_product": 0.35, "product_area": 0.31},
         "The color evidence lies mostly outside the product: focus 0.12, below 0.30; "
         "35% of it is on the product, which covers 31% of the picture."),
        ("low_focus", {"focus": 0.12, "cam_on_product": 0.9, "product_area": 0.88, "background_flip": True},
         "The color evidence does not follow the product: focus 0.12, below 0.30; 90% of it is on the product, "
         "which covers 88% of the picture; repainting the background changes the color."),
        ("low_focus", {"focus": 0.12, "background_flip": False},
         "The color evidence does not follow the product: focus 0.12, below 0.30; "
         "a repainted background changes nothing."),
        ("low_type_confidence", {"type_confidence": 0.41},
         "The type is uncertain: Shirt with confidence 0.41, below 0.80."),
        ("low_color_confidence",
         {"color_confidence": 0.45, "color_top3": [{"label": "White", "p": 0.45}, {"label": "Cream", "p": 0.4}]},
         "The color is uncertain: White with confidence 0.45, below 0.50; next is Cream with 0.40."),
        ("mask_uncertain", {"mask_quality": 0.35},
         "The product mask is uncertain: mask quality 0.35, below 0.60; the focus number is not believed."),
        ("mask_uncertain", {"mask_quality": 0.0, "focus_null_reason": "empty_mask"},
         "No product was found: mask quality 0.00, below 0.60; the focus number is not believed."),
        ("color_disagrees", {"dominant_rgb": [12, 34, 56]},
         "The tag White is far from the product's own pixels, whose median color is #0c2238."),
        ("color_disagrees", {}, "The tag White is far from the product's own pixels."),
        ("out_of_scope", {"type_confidence": 0.41},
         "The picture looks like none of the trained types; the nearest is Shirt with confidence 0.41."),
        ("audit", {"audit_probability": 0.01},
         "Drawn at random with probability 0.01, to measure the precision of what passes."),
    ],
)  # fmt: skip
def test_each_reason_is_a_sentence_with_the_items_own_numbers(reason, values, sentence):
    assert words(reason, **values) == sentence


def test_every_reason_has_a_sentence_even_where_nothing_is_known():
    row = tag("a", review_reasons=list(REASONS), type=None, color=None)
    sentences = reasons_in_words(row, None)
    assert len(sentences) == len(REASONS) and all(text.endswith(".") and text[0].isupper() for text in sentences)


def test_sentences_keep_the_order_of_the_reasons():
    row = tag("a", review_reasons=["audit", "mask_uncertain"])
    assert [sentence.split()[0] for sentence in reasons_in_words(row, THRESHOLDS)] == ["Drawn", "The"]


def test_a_reason_of_another_release_is_told_by_its_name():
    assert words("blurred") == "blurred"


@pytest.mark.parametrize(
    ("value", "threshold", "told"),
    [
        (0.12, None, "0.12, too low"),
        (0.299, 0.3, "0.299, below 0.300"),
        (0.29999, 0.3, "0.3000, just below the threshold"),
        (float(np.float32(0.3)), 0.3, "just below the threshold"),  # judged below, then rounded up by the table
        (0.7, 0.3, "0.70, too low"),  # the bundle has got other thresholds since: no untrue comparison
        (-0.001, 0.3, "0.00, below 0.30"),
        (None, 0.3, "focus unknown."),
    ],
)
def test_the_comparison_is_true_and_shows_the_difference(value, threshold, told):
    assert told in words("low_focus", Thresholds(focus=threshold), focus=value)


def bundle(root, name: str, version: str, thresholds: object) -> None:
    document = {"name": name, "version": version, "thresholds": thresholds}
    root.write_bytes("bundle.json", json.dumps(document).encode())


def test_thresholds_come_from_the_first_place_that_holds_the_model(tmp_path):
    empty, other, right = places = [open_root(str(tmp_path / name)) for name in ("empty", "other", "right")]
    bundle(other, "m", "2", Thresholds(focus=0.1).to_dict())
    bundle(right, "m", "1", THRESHOLDS.to_dict())
    assert stored_thresholds(places, "m", "1") == THRESHOLDS
    assert stored_thresholds(places, "m", "3") is None


@pytest.mark.parametrize("thresholds", [{"sharpness": 0.1}, None, {"focus": "high"}])
def test_thresholds_that_cannot_be_read_are_told_and_left_out(tmp_path, caplog, thresholds):
    place = open_root(str(tmp_path))
    bundle(place, "m", "1", thresholds)
    with caplog.at_level(logging.WARNING):
        assert stored_thresholds([place], "m", "1") is None
    assert "sentences leave its thresholds out" in caplog.text
