"""The colors of the synthetic catalogue."""

import numpy as np
import pytest

from tagger.catalog.synth.palette import COLORS, SHADES, is_shade_of, lab_to_rgb, rgb_to_lab, sample_rgb, sample_vivid


def test_there_are_19_plain_colors_and_multicolor():
    assert len(SHADES) == 19
    assert COLORS[-1] == "Multicolor"
    assert len(COLORS) == 20


def test_lab_of_known_colors():
    """Values of the CIE definition for sRGB primaries under D65."""
    lab = rgb_to_lab(np.array([(255, 255, 255), (255, 0, 0), (0, 0, 0)]))
    assert lab == pytest.approx(np.array([(100, 0, 0), (53.24, 80.09, 67.20), (0, 0, 0)]), abs=0.02)


def test_lab_and_rgb_are_inverse():
    rgb = np.random.default_rng(0).uniform(0, 255, (200, 3))
    assert lab_to_rgb(rgb_to_lab(rgb)) == pytest.approx(rgb, abs=1e-2)


@pytest.mark.parametrize("color", SHADES)
def test_every_shade_lies_in_its_range_and_in_srgb(color):
    rng = np.random.default_rng(1)
    shades = np.stack([sample_rgb(color, rng) for _ in range(50)])
    assert (shades >= 0).all() and (shades <= 255).all()
    assert all(is_shade_of(color, shade, slack=0.01) for shade in shades)
    assert np.ptp(shades, axis=0).max() > 5, "a color is a range, not a constant"


@pytest.mark.parametrize("color", SHADES)
def test_shades_are_seldom_those_of_another_color(color):
    rng = np.random.default_rng(2)
    shades = [sample_rgb(color, rng) for _ in range(60)]
    taken = [any(is_shade_of(other, shade) for other in SHADES if other != color) for shade in shades]
    assert np.mean(taken) < 0.1


def test_vivid_colors_differ_from_each_other():
    colors = sample_vivid(5, np.random.default_rng(3))
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=2)[~np.eye(5, dtype=bool)]
    assert colors.shape == (5, 3)
    assert distances.min() > 20


def test_an_unknown_color_is_refused():
    with pytest.raises(KeyError, match="Mauve"):
        sample_rgb("Mauve", np.random.default_rng(0))
