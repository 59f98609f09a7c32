from collections import Counter

import numpy as np
import pytest

from tagger.catalog.labels import read_label_space
from tagger.flags.shades import NEIGHBOURS, shade_tolerant_accuracy, tolerated


def test_neighbours_go_both_ways_and_not_further():
    near = tolerated(["White", "Cream", "Beige"])
    assert near.tolist() == [[True, True, False], [True, True, True], [False, True, True]]


def test_a_name_that_is_not_in_the_table_tolerates_only_itself():
    assert tolerated(["Multicolor", "Red", "Plaid"]).tolist() == np.eye(3, dtype=bool).tolist()


def test_names_are_found_whatever_their_case():
    assert tolerated(["NAVY BLUE", "blue"]).all()


def test_by_hand():
    # Right, a neighbour, neither, a neighbour the other way.
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    assert shade_tolerant_accuracy(["Grey", "Silver", "Red"], predicted, labels) == pytest.approx(3 / 4)
    assert np.isnan(shade_tolerant_accuracy(["Grey"], np.zeros(0, int), np.zeros(0, int)))


def test_each_pair_stands_once_and_joins_two_names():
    counts = Counter(frozenset(pair) for pair in NEIGHBOURS)
    assert set(counts.values()) == {1} and all(len(pair) == 2 for pair in counts)


def test_black_and_white_have_no_neighbour_of_another_family_in_the_shipped_label_space():
    colors = read_label_space("configs/fashion-24x20.yaml").colors
    near = tolerated(colors)
    assert near[colors.index("Black")].sum() == 1
    assert [colors[k] for k in np.flatnonzero(near[colors.index("White")])] == ["White", "Cream"]
