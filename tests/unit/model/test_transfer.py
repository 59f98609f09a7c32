"""What goes from the type network to the color network, and what does not."""

import numpy as np
import pytest

from tagger.model.network import TRUNK, build_network, seed_cnn
from tagger.model.shape import NetworkShape
from tagger.model.transfer import transfer_trunk
from tests.unit.model.networks import WIDTH, answers, random_pixels, tiny_network


@pytest.fixture
def networks():
    return tiny_network(3, seed=1), tiny_network(4, seed=2)


def test_the_color_network_sees_with_the_types_trunk_and_answers_with_its_own_head(networks):
    source, target = networks
    before = head_weights(target)
    transfer_trunk(source, target)
    pixels = random_pixels()
    np.testing.assert_array_equal(answers(target, pixels)[0], answers(source, pixels)[0])
    assert all(np.array_equal(a, b) for a, b in zip(before, head_weights(target), strict=True))


def head_weights(network):
    return network.get_layer("logits").get_weights() + network.get_layer("head_norm").get_weights()


def test_nothing_is_frozen_or_shared(networks):
    source, target = networks
    transfer_trunk(source, target)
    assert len(target.trainable_weights) == len(source.trainable_weights)
    first = target.get_layer(TRUNK).trainable_weights[0]
    first.assign(first + 1)
    assert not np.array_equal(first, source.get_layer(TRUNK).trainable_weights[0])


def test_trunks_of_different_width_do_not_fit(networks):
    wider = NetworkShape(2 * WIDTH)
    with pytest.raises(ValueError, match="shape"):
        transfer_trunk(networks[0], build_network(seed_cnn(wider), 4, wider))
