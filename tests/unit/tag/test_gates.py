from collections import Counter

import pytest

from tagger.errors import GateRefused
from tagger.tables.promises import Expected
from tagger.tag.gates import RowGate, check_flagged, check_rejects
from tagger.tag.ledger import Ledger
from tests.tables_rows import CLASSES, DAY, full_tag, unit


@pytest.fixture
def gate():
    return RowGate(Expected("r1", DAY, CLASSES))


def test_good_rows_pass(gate):
    gate.add(unit([full_tag("a")]))
    assert gate.is_open
    gate.check()


def test_broken_promises_are_counted_over_units_and_the_worst_are_told(gate):
    for key in "ab":
        gate.add(unit([full_tag(key, risk=2.0), full_tag("good")]))
    gate.add(unit([full_tag("c", phash=None, width=0, height=0)]))
    with pytest.raises(
        GateRefused, match=r"break 4 promises.*risk is a number in \[0, 1\] \(not in 2 rows, first 'a'\)"
    ):
        gate.check()
    with pytest.raises(GateRefused, match=r", and 1 more\. Nothing was committed\..*delete work/r1/units and start"):
        gate.check()


def test_only_final_rejects_count_against_the_allowed_share():
    ledger = Ledger(40, 0, rejected_by_reason=Counter(corrupt=30, download_failed=30))
    check_rejects("r1", ledger, 0.25)
    check_rejects("r1", Ledger(), 0.0)
    with pytest.raises(GateRefused, match=r"30 of 100 photos \(30.0%\) were rejected.*0.2 allows \(corrupt 30, down"):
        check_rejects("r1", ledger, 0.2)


def test_a_few_bad_photos_of_a_small_night_stop_nothing_unless_none_is_allowed():
    ledger = Ledger(2, 0, rejected_by_reason=Counter(corrupt=1))
    check_rejects("r1", ledger, 0.2)
    with pytest.raises(GateRefused, match=r"1 of 3 photos"):
        check_rejects("r1", ledger, 0.0)


def test_the_flagged_share_is_refused_only_where_one_is_allowed():
    ledger = Ledger(100, 30, flagged_by_reason=Counter(low_focus=30))
    check_flagged("r1", ledger, None)
    check_flagged("r1", ledger, 0.25)
    check_flagged("r1", Ledger(10, 3), 0.2)
    check_flagged("r1", Ledger(), 0.0)
    with pytest.raises(GateRefused, match=r"30 of 100 photos \(30.0%\) need review.*flagged_share=0.2 .*low_focus 30"):
        check_flagged("r1", ledger, 0.2)
