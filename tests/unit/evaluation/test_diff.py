import json

import numpy as np
import pandas as pd
import pytest

from tagger.evaluation.diff import diff_tags

# Six photos. Types: Shirt -> Top twice (once unsure), Top -> Shirt once; colors never change.
TAGS = pd.DataFrame(
    {
        "image_key": list("abcdef"),
        "focus": [0.05, 0.5, np.nan, 0.6, 0.05, 0.7],
        "type_before": ["Shirt", "Shirt", "Top", "Top", "Shirt", "Top"],
        "type_after": ["Top", "Top", "Shirt", "Top", "Shirt", "Top"],
        "type_confidence_before": [0.4, 0.97, 0.8, 0.9, 0.9, 0.9],
        "type_confidence_after": [0.6, 0.6, 0.6, 0.9, 0.9, 0.9],
        "color_before": ["Red"] * 6,
        "color_after": ["Red"] * 6,
        "color_confidence_before": [0.9] * 6,
        "color_confidence_after": [0.9] * 6,
    }
)
NAMES = ("shop 1", "shop 2")


@pytest.fixture
def types():
    return diff_tags(NAMES, TAGS, 0.1).attributes[0]


def test_changes_are_counted_by_what_becomes_what(types):
    assert (types.item_count, types.changed_count) == (6, 3)
    told = [(each.before, each.after, each.item_count) for each in types.transitions]
    assert told == [("Shirt", "Top", 2), ("Top", "Shirt", 1)]


def test_changes_are_split_by_focus_and_by_confidence(types):
    assert [(band.name, band.changed_count, band.item_count) for band in types.by_focus] == [
        ("low", 1, 2),
        ("ok", 1, 3),
        ("unknown", 1, 1),
    ]
    # 0.8 belongs to the band that begins with it.
    assert [(band.changed_count, band.item_count) for band in types.by_confidence] == [(1, 1), (0, 0), (1, 4), (1, 1)]
    assert types.transitions[0].by_focus == {"low": 1, "ok": 1, "unknown": 0}


def test_without_labels_no_change_is_good_or_bad(types):
    assert (types.better_count, types.worse_count, types.transitions[0].better_count) == (None, None, None)
    assert "become right" not in types.as_text()


def test_with_labels_a_change_can_be_right_wrong_or_neither():
    labelled = TAGS.assign(label_type=["Top", "Shirt", "Dress", "Top", "Top", "Top"], label_color="Red")
    types = diff_tags(NAMES, labelled, 0.1).attributes[0]
    assert (types.better_count, types.worse_count) == (1, 1)
    assert (types.transitions[1].better_count, types.transitions[1].worse_count) == (0, 0)
    assert "1 become right, 1 were right" in types.as_text()


def test_without_a_threshold_focus_is_low_below_the_median():
    diff = diff_tags(NAMES, TAGS, None)
    assert diff.low_focus == 0.5
    assert [band.item_count for band in diff.attributes[0].by_focus] == [2, 3, 1]


def test_photos_that_change_are_listed_the_surest_first():
    diff = diff_tags(NAMES, TAGS, 0.1, unreadable=4)
    assert [photo["image_key"] for photo in diff.photos] == ["b", "c", "a"]
    facts = json.loads(json.dumps(diff.to_dict(), allow_nan=False))
    assert facts["photos"][1]["focus"] is None and facts["unreadable"] == 4


def test_the_text_names_models_counts_and_photos():
    text = diff_tags(NAMES, TAGS, 0.1).as_text()
    assert "shop 1 -> shop 2: 6 photos" in text and "type: 3 of 6 photos change (50.0%)" in text
    assert "color: 0 of 6 photos change (0.0%)" in text and "  b: Shirt 0.97 -> Top 0.60" in text


def test_equal_tags_are_no_change():
    same = TAGS.assign(type_after=TAGS["type_before"])
    diff = diff_tags(NAMES, same, 0.1)
    assert diff.photos == () and diff.attributes[0].transitions == ()


def test_a_key_takes_one_line_and_commands_no_terminal():
    named = TAGS.assign(image_key=["a\n  z: Shirt", "\x1b[2Jb", "c\u202egpj.exe", "d", "e", "f"])
    lines = diff_tags(NAMES, named, 0.1).as_text().splitlines()
    assert [line.split(": ")[0] for line in lines[-3:-1]] == ["  \\x1b[2Jb", "  c\\u202egpj.exe"]
    assert lines[-1].startswith("  a\\n  z: Shirt: Shirt 0.40")
