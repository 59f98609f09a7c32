from dataclasses import fields

from tagger.tables.record import RunRecord
from tagger.tables.schema import RUNS
from tests.tables_rows import record


def test_the_record_has_exactly_the_columns_of_runs():
    assert [field.name for field in fields(RunRecord)] == RUNS.names
    assert record().table().schema == RUNS


def test_counts_become_pairs_most_frequent_first():
    (row,) = record(rejected_by_reason={"empty": 1, "corrupt": 4}, seconds_per_stage={"tag": 1.5}).table().to_pylist()
    assert row["rejected_by_reason"] == [{"reason": "corrupt", "count": 4}, {"reason": "empty", "count": 1}]
    assert row["seconds_per_stage"] == [{"stage": "tag", "seconds": 1.5}]
    assert row["flagged_by_reason"] == []
