import json

import numpy as np

from tagger.drift.profile import by_type, profile_of
from tagger.drift.reference import reference_document, reference_profiles
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
