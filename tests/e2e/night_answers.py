"""Whether the tables of a night are as promised: each photo in exactly one row, as in an undisturbed night.

Read with Delta Lake's own library and not with the product's views, so that whatever its log shows is seen.
"""

import math
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from tagger.storage import Root
from tagger.tables.schema import SCHEMAS, TRANSIENT_REASONS

TOLERANCE = 0.01
"""Largest difference between two numbers of the same photo: floating-point noise, seen through rounding to bytes."""
_OWN = {"run_id", "tagged_at", "etag", "last_modified"}
"""Columns in which two nights differ."""


@dataclass(frozen=True)
class Verdict:
    """problems: what is not as promised, in sentences; none where all is well. difference: the largest between two
    numbers of a photo whose answers count as the same. orphans: table files that no log names and no reader sees."""

    problems: tuple[str, ...]
    difference: float
    orphans: int


def read_table(root: Root, name: str) -> pa.Table:
    """All rows that the log shows, in the schema of this version; none before the first commit."""
    uri, options = root.child("tables", name).delta()
    try:
        return DeltaTable(uri, storage_options=options).to_pyarrow_table().select(SCHEMAS[name].names)
    except TableNotFoundError:
        return SCHEMAS[name].empty_table()


def save_expected(root: Root, file: str) -> None:
    """Keep the tags of an undisturbed night."""
    pq.write_table(read_table(root, "tags").sort_by("image_key"), file)


def open_keys(root: Root, images: Root) -> set[str]:
    """Photos that are there and have neither a tag nor a final reject: new again the next night."""
    rejects = read_table(root, "rejects").to_pylist()
    final = {row["image_key"] for row in rejects if row["reason"] not in TRANSIENT_REASONS}
    tagged = set(read_table(root, "tags")["image_key"].to_pylist())
    return {found.key for found in images.list_objects()} - tagged - final


def judged(root: Root, images: Root, expected_file: str, rejected: dict[str, str]) -> Verdict:
    """What there is to say about a night's tables. rejected: the final rejects that there must be, key -> reason."""
    tags, rejects, runs = (read_table(root, name).to_pylist() for name in ("tags", "rejects", "runs"))
    found = _by_key(tags)
    expected = _by_key(pq.read_table(expected_file).to_pylist())
    listed = {each.key: each.etag for each in images.list_objects()}
    distances = {key: _distance(found[key], expected[key]) for key in found.keys() & expected.keys()}
    final = [(row["image_key"], row["reason"]) for row in rejects if row["reason"] not in TRANSIENT_REASONS]
    said = {
        "{} photos are lost, first {}": sorted(expected.keys() - found.keys()),
        "{} photos are tagged that should not be, first {}": sorted(found.keys() - expected.keys()),
        "{} photos are tagged more than once, first {}": _more_than_once(row["image_key"] for row in tags),
        "{} photos are rejected more than once, first {}": _more_than_once(key for key, _ in final),
        "{} final rejects are other ones than expected, first {}": sorted(set(final) ^ set(rejected.items())),
        "{} photos have another etag than listed, first {}": [
            k for k, r in found.items() if r["etag"] != listed.get(k)
        ],
        "{} photos have other answers, first {}": sorted(k for k, far in distances.items() if far > TOLERANCE),
        "{} runs do not hold what their record says, first {}": _half_runs(tags, rejects, runs),
    }
    problems = tuple(text.format(len(which), which[0]) for text, which in said.items() if which)
    same = [far for far in distances.values() if far <= TOLERANCE]
    return Verdict(problems, max(same, default=0.0), _orphans(root))


def apart(one: object, other: object) -> float:
    """The largest difference between numbers of two values of one shape; infinite where they differ otherwise."""
    if one == other:
        return 0.0
    if isinstance(one, float) and isinstance(other, float):
        return 0.0 if math.isnan(one) and math.isnan(other) else abs(one - other)
    if isinstance(one, bytes) and isinstance(other, bytes) and len(one) == len(other):
        return max(abs(a - b) for a, b in zip(one, other, strict=True)) / 255
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max(apart(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(apart, one, other))
    return math.inf


def _distance(row: dict[str, object], other: dict[str, object]) -> float:
    return max(apart(value, other[name]) for name, value in row.items() if name not in _OWN)


def _by_key(rows: list[dict]) -> dict[str, dict]:
    return {row["image_key"]: row for row in rows}


def _more_than_once(keys) -> list[str]:
    return [key for key, count in Counter(keys).items() if count > 1]


def _half_runs(tags: list[dict], rejects: list[dict], runs: list[dict]) -> list[str]:
    """Runs of which there are more or fewer rows than their record tells, and those that have rows and no record."""
    told = {row["run_id"]: (row["tagged"], row["rejected"]) for row in runs}
    tagged, rejected = (Counter(row["run_id"] for row in rows) for rows in (tags, rejects))
    there = {run_id: (tagged[run_id], rejected[run_id]) for run_id in told.keys() | tagged.keys() | rejected.keys()}
    return sorted(run_id for run_id, rows in there.items() if told.get(run_id) != rows)


def _orphans(root: Root) -> int:
    found = 0
    for name in SCHEMAS:
        uri, options = root.child("tables", name).delta()
        try:
            known = {file.rsplit("/", 1)[-1] for file in DeltaTable(uri, storage_options=options).file_uris()}
        except TableNotFoundError:
            known = set()
        keys = (each.key for each in root.child("tables", name).list_objects("date="))
        found += sum(key.rsplit("/", 1)[-1] not in known for key in keys)
    return found
