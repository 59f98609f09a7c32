"""Both networks behind one engine: the same answers as the networks themselves."""

import numpy as np
import pytest

from tagger.model.engine import TensorFlowEngine
from tests.unit.model.networks import random_pixels, tiny_network


@pytest.fixture(scope="module")
def engine():
    return TensorFlowEngine({"type": tiny_network(seed=1), "color": tiny_network(4, seed=2)})


def test_the_color_network_alone_answers_as_in_both(engine):
    asked = random_pixels()
    np.testing.assert_allclose(engine.color_logits(asked), engine.run(asked)["color"].logits, rtol=1e-4, atol=1e-4)


def test_an_answer_does_not_depend_on_the_batch(engine):
    asked = random_pixels()
    together = engine.run(asked)["type"].logits
    alone = np.concatenate([engine.run(asked[n : n + 1])["type"].logits for n in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_pictures_of_another_size_are_refused(engine):
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        engine.run(np.zeros((1, 64, 64, 3), np.uint8))
