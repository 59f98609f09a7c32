"""Where a night's photos are looked for, and how that is cut."""

from dataclasses import dataclass

import pytest

from tagger.catalog.listing import KeyRange, ranges_between
from tagger.config import TagConfig
from tagger.errors import AccessDenied
from tagger.storage import LocalRoot, open_root
from tagger.tag.plan import PlanJob
from tagger.tag.runs import RunIdentity
from tagger.tag.selection import listing, ranges_of
from tests.tables_rows import DAY


@dataclass(frozen=True)
class Cut:
    """A listing that can be cut as often as one likes."""

    def ranges(self, wanted):
        return ranges_between([f"{number:03d}" for number in range(1, wanted)])


@pytest.fixture
def ranges(tmp_path):
    root = open_root(str(tmp_path))

    def of(run_id, **settings):
        return ranges_of(PlanJob(root, run_id, Cut(), RunIdentity(DAY, "m", "1", "c"), TagConfig(**settings)))

    return of


def test_there_are_more_ranges_than_tasks_and_one_where_a_limit_is_kept(ranges):
    assert len(ranges("r1")) == 16 and len(ranges("r2", list_tasks=64)) == 256
    assert ranges("r3", limit=10) == [KeyRange()]


def test_a_run_that_is_gone_on_with_keeps_the_ranges_it_was_planned_with(ranges):
    assert ranges("r1", list_tasks=2) == ranges("r1", list_tasks=64) == ranges("r9", list_tasks=2)


class Closed(LocalRoot):
    """A folder that may be listed, and of which no key may be looked up."""

    def stat(self, key):
        raise AccessDenied(f"Not allowed to look up {key}.")


def test_a_list_of_keys_that_are_all_withheld_ends_before_anything_is_planned(tmp_path):
    (tmp_path / "keys.txt").write_text("a.jpg\nb.jpg\n")
    tag, into = TagConfig(keys_from=str(tmp_path / "keys.txt")), open_root(str(tmp_path / "listing"))
    (tmp_path / "images").mkdir()
    with pytest.raises(AccessDenied, match="any of the 2 keys"):
        listing(tag, Closed(str(tmp_path / "images")), into)
