"""A root as the version before wrote it, whose `runs` lacks the columns that were added since."""

import pyarrow as pa

from tagger.tables import schema
from tagger.tables.record import RunRecord
from tagger.tables.store import Tables
from tests.tables_rows import commit_unit, tag, unit

ADDED = [
    "estimated_type_accuracy", "estimated_type_accuracy_margin", "estimated_color_accuracy",
    "estimated_color_accuracy_margin", "warnings", "drift", "distributions",
]  # fmt: skip
OLDER_RUNS = pa.schema([field for field in schema.RUNS if field.name not in ADDED])


def write_with_the_older_version(root, monkeypatch):
    """One committed run in the schema that `runs` had before."""
    written = RunRecord.table
    with monkeypatch.context() as older:
        older.setitem(schema.SCHEMAS, "runs", OLDER_RUNS)
        older.setattr(RunRecord, "table", lambda self: written(self).select(OLDER_RUNS.names))
        commit_unit(Tables(root), "r1", unit([tag("a")]))
