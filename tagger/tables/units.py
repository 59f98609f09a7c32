"""Staged units: what a run has finished and not yet committed, one Parquet file a unit, tags and rejects together.

No reader of the tables ever looks here. A unit is done when its file is there; done again, the file is replaced.
"""

import io
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagger.errors import GateRefused
from tagger.storage import Root
from tagger.tables.schema import REJECTS, TAGS

_STAGED = pa.unify_schemas([pa.schema([("kind", pa.string())]), TAGS, REJECTS])
_KINDS = {"tag": TAGS, "reject": REJECTS}


class Unit(NamedTuple):
    """The rows of one unit: `tags` in the schema TAGS, `rejects` in the schema REJECTS."""

    tags: pa.Table
    rejects: pa.Table


def write_unit(root: Root, run_id: str, unit: str, tags: pa.Table, rejects: pa.Table) -> None:
    """Stage a unit in one atomic write. Columns may come in any order; KeyError for a missing one."""
    rows = pa.concat_tables([_staged("tag", tags), _staged("reject", rejects)])
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    root.write_bytes(_key(run_id, unit), buffer.getvalue())


def read_unit(root: Root, run_id: str, unit: str) -> Unit:
    """A staged unit, rows in the order in which they were written. FileNotFoundError where it is not staged,
    GateRefused where another version staged it in other columns."""
    rows = pq.read_table(pa.BufferReader(root.read_bytes(_key(run_id, unit))))
    if not rows.schema.equals(_STAGED):
        raise GateRefused(_told(rows.schema, f"{root.uri}/{_key(run_id, unit)}"))
    tags, rejects = (
        rows.filter(pc.equal(rows["kind"], kind)).select(schema.names).cast(schema) for kind, schema in _KINDS.items()
    )
    return Unit(tags, rejects)


def staged_units(root: Root, run_id: str) -> set[str]:
    """Names of the units of a run that are done, by listing alone."""
    folder = _folder(run_id)
    keys = (stored.key for stored in root.list_objects(folder))
    return {key.removeprefix(folder).removesuffix(".parquet") for key in keys}


def remove_unit(root: Root, run_id: str, unit: str) -> None:
    """The unit is not done, and will be done again; no error where it is not staged."""
    root.delete(_key(run_id, unit))


def _told(schema: pa.Schema, place: str) -> str:
    # Equality and not sets: what Parquet calls the inside of a list changes a field's hash, and nothing else.
    found, wanted = list(schema), list(_STAGED)
    differing = sorted({field.name for field in found + wanted if field not in found or field not in wanted})
    return (
        f"{place} has other columns than this version of tagger stages ({', '.join(differing) or 'in other order'}). "
        "Nothing was committed. Delete the file and start the command again: its photos alone are tagged again."
    )


def _folder(run_id: str) -> str:
    return f"work/{run_id}/units/"


def _key(run_id: str, unit: str) -> str:
    return f"{_folder(run_id)}{unit}.parquet"


def _staged(kind: str, rows: pa.Table) -> pa.Table:
    schema = _KINDS[kind]
    typed = rows.select(schema.names).cast(schema)
    columns = {name: typed[name] for name in schema.names} | {"kind": pa.repeat(kind, len(typed))}
    return pa.table([columns.get(f.name, pa.nulls(len(typed), f.type)) for f in _STAGED], schema=_STAGED)
