"""docs/bad-input.md names every reject reason and every limit that can be set, with its default."""

import re

import pytest

from tagger.config import TagConfig
from tagger.picture.decode import REJECT_REASONS, DecodeLimits
from tagger.report.reference import CHECKOUT
from tagger.tables.schema import FINAL_REASONS, TRANSIENT_REASONS

LIMITS = ("max_file_mb", "download_wall_s", "decode_wall_s", "decode_memory_mb")


@pytest.fixture(scope="module")
def page():
    return (CHECKOUT / "docs" / "bad-input.md").read_text(encoding="utf-8")


def test_the_reasons_are_those_of_the_product(page):
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert tuple(FINAL_REASONS) == REJECT_REASONS and set(rows) == {*FINAL_REASONS, *TRANSIENT_REASONS}
    assert tuple(rows[: len(REJECT_REASONS)]) == REJECT_REASONS


@pytest.mark.parametrize("key", LIMITS)
def test_a_limit_stands_there_with_its_default(page, key):
    default = f"{TagConfig.model_fields[key].default:g}"
    assert re.search(rf"^\| [^|]+ \| `tag\.{key}`, {default}\b", page, re.MULTILINE)


def test_the_limits_that_cannot_be_set_stand_in_both_tables(page):
    limits = DecodeLimits()
    millions = f"{limits.max_pixels / 1_000_000:g} million"
    for row in (
        f"| `too_many_pixels` | the header states more than {millions} |",
        f"| `too_small` | the shorter side has fewer than {limits.min_side_px} pixels |",
        f"| pixels | {millions} |",
        f"| scans of a JPEG | {limits.max_jpeg_scans} |",
    ):
        assert f"\n{row}" in page
    assert f"or a JPEG of more than {limits.max_jpeg_scans} scans |" in page
