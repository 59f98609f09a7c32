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


def paragraph(page, start):
    """The text from these words to the next empty line, in one line."""
    return " ".join(page.partition(start)[2].partition("\n\n")[0].split())


def test_the_pairs_of_shades_on_the_page_are_those_of_the_product(page):
    rows = re.findall(r"\| ([A-Z][\w ]*) \| ([^|]+) \|", paragraph(page, "| name | neighbours in"))
    table = {frozenset((name, re.sub(r" \d+$", "", near))) for name, nears in rows for near in nears.split(", ")}
    finer = paragraph(page, "For finer label spaces: ").rstrip(".").split(", ")
    assert table | {frozenset(pair.split(" and ")) for pair in finer} == set(map(frozenset, NEIGHBOURS))


def test_every_figure_of_an_attribute_has_its_row(page):
    figures = set(evaluate("color", ("Red", "Blue"), np.eye(2), np.arange(2)).to_dict())
    plain = {"attribute", "item_count", "per_class"}
    assert {name for name in figures - plain if f"`{name}`" not in page} == set()
