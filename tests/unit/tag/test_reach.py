import pytest

from tagger.config import TagConfig
from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import open_root
from tagger.tables.units import staged_units, write_unit
from tagger.tag.inspection import Inspection
from tagger.tag.ledger import Ledger
from tagger.tag.runs import RunIdentity
from tagger.tag.watch import Known
from tests.tables_rows import DAY, full_tag, reject, unit

ARCHIVED = "An error occurred (InvalidObjectState) when calling the GetObject operation: it is in an archive"


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def rejects(first, count, reason, detail="told by storage"):
    return [reject(f"{n:03d}", reason=reason, detail=detail) for n in range(first, first + count)]


def inspected(root, units, **tag):
    """What a run of these units is told before its commit."""
    inspection = Inspection("r1", RunIdentity(DAY, "m", "1", "c"), Known(), TagConfig(**tag))
    for number, each in enumerate(units):
        write_unit(root, "r1", f"u{number}", each.tags, each.rejects)
        inspection.add(each)
    return inspection.findings(root, Ledger())


def good(first, count):
    return [full_tag(f"{n:03d}") for n in range(first, first + count)]


def test_a_policy_that_is_gone_commits_nothing_and_its_units_are_fetched_again(root):
    units = [unit(good(0, 20)), unit(good(20, 1), rejects(21, 39, "access_denied"))]
    told = (
        r"out 39 of 60 photos \(65.0%; access_denied 39\), first '021': told by storage\. Nothing was.*bucket's policy"
    )
    with pytest.raises(BadInput, match=told):
        inspected(root, units)
    assert staged_units(root, "r1") == {"u0"}
    inspected(root, units, max_unreachable_share=0.6)


def test_a_mount_that_is_gone_is_an_outage(root):
    with pytest.raises(StorageUnavailable, match=r"not_found 6\).*max_unreachable_share \(now 0.5\)"):
        inspected(root, [unit([], rejects(0, 6, "not_found"))])


def test_photos_that_vanished_in_small_numbers_are_rejects(root):
    inspected(root, [unit([], rejects(0, 5, "not_found"))])
    inspected(root, [unit(good(0, 50), rejects(50, 50, "not_found"))])


def test_archived_photos_stop_no_night_however_many_they_are_and_hide_no_outage(root):
    archived = rejects(0, 200, "access_denied", ARCHIVED)
    inspected(root, [unit([], archived)])
    inspected(root, [unit(good(200, 5), archived)])
    with pytest.raises(BadInput, match="30 of 30 photos"):
        inspected(root, [unit([], archived + rejects(200, 30, "access_denied"))])
    assert staged_units(root, "r1") == set()


def test_a_night_to_which_nothing_is_sent_commits_nothing(root):
    units = [unit([], rejects(n, 3, "download_failed")) for n in range(0, 9, 3)]
    with pytest.raises(StorageUnavailable, match=r"9 of 9 photos \(100.0%; download_failed 9\)"):
        inspected(root, units)
    assert staged_units(root, "r1") == set()


def test_other_rejects_are_no_outage(root):
    inspected(root, [unit([], rejects(0, 30, "corrupt")), unit([], rejects(30, 30, "changed_during_run"))])


def test_a_key_forges_no_line_of_the_sentence(root):
    missed = [reject(f"{n}\n.jpg", reason="not_found", detail="told by storage") for n in range(6)]
    with pytest.raises(StorageUnavailable, match=r"first '0\\n\.jpg': told by storage"):
        inspected(root, [unit([], missed)])
