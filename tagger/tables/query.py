"""DuckDB over the committed runs: the views `tags`, `rejects`, `runs` and `current`.

DuckDB reads through pyarrow datasets of the Delta tables, so it needs no extension and no credentials, and reads only
the columns and row groups that a query asks for. After the views are made it can reach neither files nor network.
"""

import datetime
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root
from tagger.tables.parts import ROW_GROUP_ROWS
from tagger.tables.schema import COMMITTED, PARTITION
from tagger.tables.store import Tables

Connection = duckdb.DuckDBPyConnection
"""What `connect` gives."""

VIEWS = f"""
CREATE VIEW runs AS SELECT * FROM runs_log WHERE status = '{COMMITTED}';
CREATE VIEW tags AS SELECT * FROM tags_log WHERE run_id IN (SELECT run_id FROM runs);
CREATE VIEW rejects AS SELECT * FROM rejects_log WHERE run_id IN (SELECT run_id FROM runs);
CREATE VIEW current AS SELECT * FROM tags
    QUALIFY row_number() OVER (PARTITION BY image_key ORDER BY tagged_at DESC, run_id DESC) = 1;
"""
"""The views over what the logs of the three tables hold, committed runs or not."""

_SUMMARY = """
WITH means AS (
    SELECT run_id, avg(needs_review::INT)::FLOAT AS flagged_share, avg(type_confidence)::FLOAT AS mean_type_confidence,
           avg(color_confidence)::FLOAT AS mean_color_confidence, avg(focus)::FLOAT AS mean_focus
    FROM tags GROUP BY run_id),
reasons AS (
    SELECT run_id, reason, count(*) AS n FROM (SELECT run_id, unnest(review_reasons) AS reason FROM tags)
    GROUP BY run_id, reason QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY n DESC, reason) <= 3),
top AS (
    SELECT run_id, string_agg(reason || ' ' || n, ', ' ORDER BY n DESC, reason) AS top_reasons
    FROM reasons GROUP BY run_id)
SELECT date, run_id, model_version, tagged, rejected, flagged_share, mean_type_confidence, mean_color_confidence,
       mean_focus, coalesce(top_reasons, '') AS top_reasons
FROM runs LEFT JOIN means USING (run_id) LEFT JOIN top USING (run_id)
ORDER BY date DESC, finished_at DESC
"""

_STREAM_FAILED = "reading the stream registered as"
_NO_SPACE = re.compile("No space left|max_temp_directory_size|temp_directory|temporary", re.IGNORECASE)


def connect(root: Root, memory_mb: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection that sees one moment of the root: committed runs only, empty views where there are none.

    memory_mb: beyond it DuckDB spills to disk, on two threads; null leaves it the machine's memory and processors.
    Ask with `.sql(query)` and take `.to_arrow_table()` or `.df()`: `.fetchall()` needs pytz for timestamps.
    """
    # Large sorts may spill to a folder of their own, which DuckDB makes when needed and removes.
    spill = Path(tempfile.gettempdir(), f"tagger-query-{uuid.uuid4().hex}")
    limits = {"memory_limit": f"{memory_mb}MiB", "threads": "2"} if memory_mb else {}
    connection = duckdb.connect(config={"temp_directory": str(spill), **limits})
    tables = Tables(root)
    # `runs` is committed last and therefore opened first: all rows of the runs it names are in the others by then.
    for name in ("runs", "tags", "rejects"):
        connection.register(f"{name}_log", tables.dataset(name))
    connection.execute(VIEWS)
    _lock(connection)
    return connection


def stream_keys(connection: duckdb.DuckDBPyConnection, root: Root, date: datetime.date) -> None:
    """Register `tags_keys` and `rejects_keys`: run_id and image_key of a date's rows, committed or not.

    They are streams: one statement may read them, once. Unlike the views they read ahead one batch only, so that a
    consumer slower than the files does not fill the memory.
    """
    for name in ("tags", "rejects"):
        connection.register(f"{name}_keys", _stream(root, name, ["run_id", "image_key"], date))


def stream_photos(connection: duckdb.DuckDBPyConnection, root: Root, runs: pa.Table) -> None:
    """Register `photos`: image_key and etag of each row of `tags`, with the columns of its row of `runs` but run_id,
    which are null for a run that `runs` lacks. A stream, as above.

    Joined here: DuckDB cannot know that one side is small, and would hold the other.
    """
    ids, told = runs["run_id"].combine_chunks(), runs.drop_columns("run_id")
    rows = _stream(root, "tags", ["run_id", "image_key", "etag"], None)
    schema = pa.schema([*told.schema, rows.schema.field("image_key"), rows.schema.field("etag")])
    columns = [column.combine_chunks() for column in told.columns]

    def joined() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            at = pc.index_in(batch["run_id"], value_set=ids)
            of_run = [pc.take(column, at) for column in columns]
            yield pa.record_batch([*of_run, batch["image_key"], batch["etag"]], schema=schema)

    connection.register("photos", pa.RecordBatchReader.from_batches(schema, joined()))


def _stream(root: Root, table: str, columns: list[str], date: datetime.date | None) -> pa.RecordBatchReader:
    scanner = (
        Tables(root)
        .dataset(table)
        .scanner(
            columns=columns,
            filter=None if date is None else pc.field(PARTITION) == date,
            batch_size=ROW_GROUP_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,
        )
    )
    return scanner.to_reader()


def run_query(root: Root, sql: str) -> pa.Table:
    """The answer to one statement. BadInput with DuckDB's sentence for SQL it refuses."""
    with connect(root) as connection:
        return ask(connection, root, sql)


def ask(
    connection: duckdb.DuckDBPyConnection, root: Root, sql: str, values: Mapping[str, object] | None = None
) -> pa.Table:
    """The answer to one statement over a connection to the root; `$name` in it stands for a value. Errors as above."""
    try:
        answer = connection.sql(sql, params=dict(values) if values else None)
        if answer is None:
            raise BadInput(f"The query is empty: {sql!r}. Write for example: select count(*) from current")
        return answer.to_arrow_table()
    except duckdb.Error as error:
        raise _refusal(error, root) from error


def ask_for_batches(
    connection: duckdb.DuckDBPyConnection, root: Root, sql: str, values: Mapping[str, object], rows: int
) -> Iterator[pa.RecordBatch]:
    """The answer in batches of so many rows, streamed. Errors as above, StorageUnavailable also where the temporary
    folder lacks the space to sort in."""
    try:
        yield from connection.sql(sql, params=dict(values)).to_arrow_reader(rows)
    except duckdb.Error as error:
        raise _refusal(error, root) from error


def summary(root: Root) -> pa.Table:
    """One row a committed run, newest first: what it tagged, rejected and flagged, how sure it was, and why not.

    Columns: date, run_id, model_version, tagged, rejected, flagged_share (of tagged), mean_type_confidence,
    mean_color_confidence, mean_focus (of those that have one), top_reasons ("low_focus 12, audit 3"; three at most).
    Shares and means are null for a run that tagged nothing.
    """
    return run_query(root, _SUMMARY)


def lacks_space(error: duckdb.Error) -> bool:
    """Whether DuckDB could not spill to the temporary folder."""
    return isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException) and bool(_NO_SPACE.search(str(error)))


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Shut files, network and Python's variables to the user's SQL; answers do not depend on the machine's zone."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")  # it would draw on standard output, into the answer
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refusal(error: duckdb.Error, root: Root) -> Exception:
    """What DuckDB's error means to people, with its sentence, but without the excerpt of the query that follows it."""
    sentence = " ".join(str(error).split("\n\n")[0].split())
    if _STREAM_FAILED in sentence:
        return StorageUnavailable(f"The tables under {root.uri} did not answer: {sentence}. Try again later.")
    if lacks_space(error):
        place = tempfile.gettempdir()
        return StorageUnavailable(f"{place} has too little space to sort in: {sentence} Make space, or set TMPDIR.")
    return BadInput(f"The query was refused. {sentence}")
