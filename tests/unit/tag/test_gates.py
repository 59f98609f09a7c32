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
    ledger = Ledger(7, 0, rejected_by_reason=Counter(corrupt=2, download_failed=1))
    check_rejects("r1", ledger, 0.2)
    check_rejects("r1", Ledger(), 0.0)
    with pytest.raises(GateRefused, match=r"2 of 10 photos \(20.0%\) were rejected.*0.19 allows \(corrupt 2, download"):
        check_rejects("r1", ledger, 0.19)


def test_the_flagged_share_is_refused_only_where_one_is_allowed():
    ledger = Ledger(10, 3, flagged_by_reason=Counter(low_focus=3))
    check_flagged("r1", ledger, None)
    check_flagged("r1", ledger, 0.3)
    check_flagged("r1", Ledger(), 0.0)
    with pytest.raises(GateRefused, match=r"3 of 10 photos \(30.0%\) need review.*max_flagged_share=0.29.*low_focus 3"):
        check_flagged("r1", ledger, 0.29)
