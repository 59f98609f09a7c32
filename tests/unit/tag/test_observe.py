"""The maps that people are shown, and the one that the focus number reads."""

import numpy as np
import pytest

from tagger.tag.observe import Observer
from tests.unit.model.networks import random_pixels, tiny_network


@pytest.mark.parametrize(
    ("focus_map", "name", "shown"),
    [
        ("class", "color", ["type", "color", "contrast"]),
        ("contrast", "contrast", ["type", "color", "contrast"]),
        ("runner_up", "runner_up", ["type", "color", "runner_up"]),
    ],
)
def test_the_map_that_focus_reads_is_among_those_shown(focus_map, name, shown):
    observer = Observer({"type": tiny_network(3, seed=1), "color": tiny_network(4, seed=2)}, focus_map, "post_bn")
    pixels = random_pixels()
    maps = observer.maps(pixels)
    assert list(maps) == shown
    np.testing.assert_array_equal(maps[name], observer.observe(pixels).color_map)
