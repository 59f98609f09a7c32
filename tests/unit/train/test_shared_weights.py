"""What the ranks tell each other about their weights."""

import numpy as np
import pytest

from tagger.train.checkpoint import weights_digest
from tagger.train.learner import is_shared


def digests(*weights):
    return [weights_digest([one]) for one in weights]


def number(digest):
    return int(digest[:12], 16)


@pytest.fixture
def weights():
    return np.linspace(-1, 1, 7, dtype=np.float32)


def seen_by_each(ranks):
    total = sum(map(number, ranks))
    return [is_shared(digest, len(ranks), lambda mine: total) for digest in ranks]


def test_ranks_with_the_same_bits_share_a_digest(weights):
    assert seen_by_each(digests(weights, weights.copy(), weights.copy())) == [True] * 3


def test_one_bit_that_differs_is_seen(weights):
    other = weights.copy()
    other.view("uint32")[3] ^= 1
    assert not any(seen_by_each(digests(weights, other)))
    assert not all(seen_by_each(digests(weights, other, weights)))


def test_ranks_whose_numbers_average_out_are_still_told_apart():
    ranks = ["000000000001" + "0" * 52, "000000000002" + "0" * 52, "000000000003" + "0" * 52]
    assert seen_by_each(ranks) == [False, True, False]
