import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.drift.profile import MOST_PREFIXES, REST, Answers, Census, from_rows, largest, profile_of, to_rows
from tests.unit.drift.answers import CLASSES, answers


def told(profiles):
    return {name: {c: v.tolist() for c, v in profile.counts.items()} for name, profile in profiles.items()}


def test_counts_of_three_photos():
    three = Answers(
        np.array([0, 0, 2]), np.array([1, 1, 0]), np.array([0.0, 0.09, 1.0]), np.array([0.5, 0.55, 0.99]),
        np.array([-3.0, np.nan, 1.0]),
    )  # fmt: skip
    counts = profile_of(three, CLASSES).counts
    assert counts["type"].tolist() == [2, 0, 1] and counts["color"].tolist() == [1, 2]
    assert counts["type_confidence"].tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert counts["color_confidence"].tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert counts["focus"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]


@given(seed=st.integers(0, 99), cut=st.integers(0, 60))
def test_batches_add_up_to_the_whole(seed, cut):
    rng = np.random.default_rng(seed)
    whole, prefixes = answers(rng, 60), rng.choice(["a", "b", "c/d"], 60)
    first = np.arange(60) < cut
    once, twice = Census(CLASSES), Census(CLASSES)
    once.add(whole, prefixes)
    twice.add(whole.of(first), prefixes[first])
    twice.add(whole.of(~first), prefixes[~first])
    assert told(once.profiles()) == told(twice.profiles())
    profiles = once.profiles()
    for kind in ("type=", "prefix="):
        assert sum(p.items for name, p in profiles.items() if name.startswith(kind)) == profiles["all"].items == 60


def test_small_prefixes_stand_together_and_memory_does_not_grow():
    rng = np.random.default_rng(0)
    census = Census(CLASSES)
    for number in range(1500):
        census.add(answers(rng, 1), np.array([f"{number:04d}"]))
    for number in range(3):
        census.add(answers(rng, 50), np.array([f"large{number}"] * 50))
    profiles = census.profiles()
    prefixes = {name: profile.items for name, profile in profiles.items() if name.startswith("prefix=")}
    assert len(census._prefixes) <= 1024 and len(prefixes) == MOST_PREFIXES + 1
    assert [prefixes[f"prefix=large{n}"] for n in range(3)] == [50, 50, 50]
    assert sum(prefixes.values()) == profiles["all"].items == 1650 and prefixes[REST] > 1400


def test_a_single_prefix_is_no_group():
    census = Census(CLASSES)
    census.add(answers(np.random.default_rng(0), 5), np.array(["a"] * 5))
    assert not any(name.startswith("prefix=") for name in census.profiles())


def test_nothing_counted_gives_no_group():
    assert Census(CLASSES).profiles() == {}


def test_rows_come_back_as_profiles():
    census = Census(CLASSES)
    census.add(answers(np.random.default_rng(0), 9), np.array(["a", "b", "c"] * 3))
    assert told(from_rows(to_rows(census.profiles()))) == told(census.profiles())


@pytest.mark.parametrize("most", [0, 1, 2])
def test_the_rest_loses_no_photo(most):
    rng = np.random.default_rng(0)
    prefixes = {f"prefix={n}": profile_of(answers(rng, n), CLASSES) for n in (5, 3, 9)}
    kept = largest(prefixes, most)
    assert sum(profile.items for profile in kept.values()) == 17
    assert set(kept) == {REST, *["prefix=9", "prefix=5"][:most]}
