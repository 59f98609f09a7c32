import json

import numpy as np

from tagger.drift.profile import by_type, profile_of
from tagger.drift.reference import reference_document, reference_profiles, with_prefixes
from tests.unit.drift.answers import CLASSES, answers


def test_a_reference_comes_back_from_json_with_its_types():
    seen = answers(np.random.default_rng(0), 771)
    document = json.loads(json.dumps(reference_document(seen, CLASSES)))
    found = reference_profiles(document, CLASSES)
    expected = {"all": profile_of(seen, CLASSES), **by_type(seen, CLASSES)}
    assert set(found) == set(expected)
    for group, profile in found.items():
        for column, counts in profile.counts.items():
            assert counts.tolist() == expected[group].counts[column].tolist(), (group, column)


def test_an_older_reference_without_types_is_read():
    document = reference_document(answers(np.random.default_rng(0), 50), CLASSES)
    del document["by_type"]
    assert set(reference_profiles(document, CLASSES)) == {"all"}


def test_a_reference_of_other_classes_or_none_is_no_reference():
    document = reference_document(answers(np.random.default_rng(0), 50), CLASSES)
    assert reference_profiles(document, CLASSES | {"color": ("White", "Teal")}) == {}
    assert reference_profiles({}, CLASSES) == {}


def with_one_prefix(seen, prefix):
    """What the photos `seen` let one expect of a prefix with these answers."""
    reference = {"all": profile_of(seen, CLASSES), **by_type(seen, CLASSES)}
    return with_prefixes(reference, {"prefix=a": profile_of(prefix, CLASSES)}, CLASSES).get("prefix=a")


def test_a_prefix_with_the_types_of_all_photos_is_expected_to_be_like_all():
    seen = answers(np.random.default_rng(0), 771)
    expected, everything = with_one_prefix(seen, seen), profile_of(seen, CLASSES)
    for column, counts in expected.counts.items():
        assert counts.tolist() == everything.counts[column].tolist(), column
    assert "type" not in expected.counts


def test_a_prefix_of_one_type_is_expected_to_be_like_that_type():
    rng = np.random.default_rng(0)
    seen = answers(rng, 771)
    expected, belts = with_one_prefix(seen, answers(rng, 40, types=(0, 0, 1))), by_type(seen, CLASSES)["type=Belt"]
    assert expected.items == belts.items
    assert expected.counts["focus"].tolist() == belts.counts["focus"].tolist()


def test_nothing_is_expected_of_types_that_were_never_seen():
    rng = np.random.default_rng(0)
    seen = answers(rng, 300, types=(0.5, 0.5, 0))
    assert with_one_prefix(seen, answers(rng, 1000, types=(0.4, 0.4, 0.2))) is None
    assert with_one_prefix(seen, answers(rng, 1000, types=(0.48, 0.48, 0.04))) is not None
