"""docs/evaluation.md keeps up with the figures and the table of shades."""

import re

import numpy as np
import pytest

from tagger.evaluation.metrics import evaluate
from tagger.flags.shades import NEIGHBOURS
from tagger.report.reference import CHECKOUT


@pytest.fixture(scope="module")
def page():
    return (CHECKOUT / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("pair", NEIGHBOURS, ids=" and ".join)
def test_every_pair_of_shades_stands_on_the_page(page, pair):
    rows = dict(re.findall(r"^\| ([A-Z][\w ]*) \| (.*) \|$", page, re.MULTILINE))
    words = " ".join(page.split())
    in_table = any(second in re.split(r", | \d+,? ?", rows.get(first, "")) for first, second in (pair, pair[::-1]))
    assert in_table or f"{pair[0]} and {pair[1]}" in words


def test_every_figure_of_an_attribute_has_its_row(page):
    figures = set(evaluate("color", ("Red", "Blue"), np.eye(2), np.arange(2)).to_dict())
    plain = {"attribute", "item_count", "per_class"}
    assert {name for name in figures - plain if f"`{name}`" not in page} == set()
