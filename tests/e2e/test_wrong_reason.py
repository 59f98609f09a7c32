"""White T-shirts on white: tags that are right for the wrong reason are flagged, those read off the product are not.

`make story` prints the rates that are asserted here, with some slack: trainings on several threads differ a little.
"""

import numpy as np
import pytest

from tagger.config import FocusConfig
from tests.e2e import wrong_reason
from tests.e2e.wrong_reason_pictures import composites, story

SEED = 0
# The first one draws the pictures and trains both taggers.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]
DRAWN = ("white T-shirts on white", "products on own color")
CUTOUTS = "cut-outs on own color"


@pytest.fixture(scope="module")
def pictures():
    return story(SEED)


@pytest.fixture(scope="module")
def taggers(pictures):
    return wrong_reason.taggers(pictures, SEED, FocusConfig())


@pytest.fixture(scope="module")
def drawn(taggers, pictures):
    """Set and tagger's name -> answers, of the drawn sets and of the same products moved."""
    return answers(taggers, pictures, DRAWN)


@pytest.fixture(scope="module")
def pasted(data, taggers):
    """The same of real cut-outs."""
    return answers(taggers, composites(data, SEED), [CUTOUTS])


def answers(taggers, pictures, names):
    names = [each for name in names for each in (name, wrong_reason.SETS[name])]
    return {(name, who): wrong_reason.tagged(each, pictures[name]) for name in names for who, each in taggers.items()}


@pytest.mark.parametrize("name", DRAWN)
def test_both_are_right_before_the_products_own_color(drawn, name):
    assert len(drawn[name, "honest"].right) >= 200
    assert drawn[name, "shortcut"].right.mean() > 0.97
    assert drawn[name, "honest"].right.mean() > 0.85


@pytest.mark.parametrize("name", DRAWN)
def test_before_another_color_the_shortcut_collapses_and_the_honest_one_does_not(drawn, name):
    moved = wrong_reason.SETS[name]
    assert drawn[moved, "shortcut"].right.mean() < 0.45
    assert drawn[moved, "honest"].right.mean() > drawn[moved, "shortcut"].right.mean() + 0.2


def test_white_shirts_tagged_white_for_their_background_are_flagged(drawn):
    shirts = drawn["white T-shirts on white", "shortcut"]
    assert shirts.of_believed > 0.88
    assert (shirts.low_focus | shirts.mask_uncertain).mean() > 0.9


def test_most_tags_read_off_a_background_of_the_products_color_are_flagged(drawn):
    products = drawn["products on own color", "shortcut"]
    assert products.of_believed > 0.65
    assert (products.low_focus | products.mask_uncertain).mean() > 0.7


@pytest.mark.parametrize("name", DRAWN)
def test_tags_read_off_the_product_are_seldom_flagged(drawn, name):
    assert drawn[name, "honest"].low_focus.mean() < 0.25
    assert np.nanmedian(drawn[name, "honest"].focus) > np.nanmedian(drawn[name, "shortcut"].focus) + 0.08


def test_repainting_confirms_the_flags_of_the_shortcut(drawn):
    shirts = drawn["white T-shirts on white", "shortcut"]
    assert shirts.flip[shirts.low_focus].mean() > 0.6


def test_so_it_is_with_real_products(pasted):
    first, second = pasted[CUTOUTS, "shortcut"], pasted[CUTOUTS, "honest"]
    assert len(first.right) >= 200
    assert first.right.mean() > 0.97 and pasted[wrong_reason.SETS[CUTOUTS], "shortcut"].right.mean() < 0.15
    assert first.low_focus.mean() > 0.85
    assert second.of_right < 0.25 and second.low_focus.mean() < 0.35
