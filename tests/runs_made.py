"""Runs at every stage of their life, made in one line."""

import datetime as dt

from tagger.catalog.listing import KeyRange
from tagger.storage import Root, StoredObject
from tagger.tables.store import RunFiles, Tables
from tagger.tables.units import Unit, write_unit
from tagger.tag.manifest import Counts, Manifest, Stand, complete, save_range, save_ranges, write_shard
from tagger.tag.runs import RunIdentity, RunState, save_state
from tests.tables_rows import DAY, NOON, commit_unit, record, reject, tag, unit


def run_id_of(number: int, date: dt.date = DAY) -> str:
    return f"{date:%Y%m%d}-0a1b2c3d-{number:03d}"


def begin(root: Root, number: int = 1, date: dt.date = DAY) -> str:
    """A run that has only begun."""
    run_id = run_id_of(number, date)
    save_state(root, RunState(run_id, RunIdentity(date, "fashion", "v1", "0123"), NOON, "basis"))
    return run_id


def plan(root: Root, run_id: str, photos: int = 5, unit_size: int = 2) -> Manifest:
    listed = [StoredObject(f"{n}.jpg", "e1", 3, NOON) for n in range(photos)]
    save_ranges(root, run_id, [KeyRange()])
    save_range(root, run_id, 0, [write_shard(root, run_id, "00000-00000", listed, Stand())], Counts(photos))
    return complete(root, run_id, unit_size, is_full=True)


def rows_of(run_id: str, date: dt.date = DAY) -> Unit:
    """Two tags and a reject."""
    tags = [tag(f"{run_id}/{name}", run_id, date=date) for name in "ab"]
    return unit(tags, [reject(f"{run_id}/c", run_id, date=date)])


def stage(root: Root, run_id: str, name: str = "00000-00000", date: dt.date = DAY) -> None:
    write_unit(root, run_id, name, *rows_of(run_id, date))


def finalise(root: Root, run_id: str, date: dt.date = DAY) -> RunFiles:
    """The run's table files, known to no table."""
    return Tables(root).finalise(run_id, date, [rows_of(run_id, date)])


def commit(root: Root, run_id: str, date: dt.date = DAY) -> None:
    commit_unit(Tables(root), run_id, rows_of(run_id, date), date=date)


def commit_in_part(root: Root, run_id: str, into: tuple[str, ...], date: dt.date = DAY) -> None:
    """The plan of commit, and the transactions of some tables: as after a crash."""
    files, tables = finalise(root, run_id, date), Tables(root)
    whole = tables.commit
    tables.commit = lambda name, *rest: name in into and whole(name, *rest)  # type: ignore[method-assign]
    tables.commit_run(record(run_id, 2, 1, date=date), files.tags, files.rejects)
