"""Listing minus what is answered: which photos are new tonight, range by range of the key space.

Both sides come sorted by key, so that one pass over two streams tells new, changed, older and vanished photos, whatever
their number. What a photo's state is, its newest committed row says, in `tags` or in `rejects`. Tables have no order:
their rows are sorted stretch by stretch of the listing, so that the first photos wait for the first stretch alone.
Ranges know nothing of each other: they are planned in parallel, each from where it stopped.
"""

import datetime
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, NamedTuple

import pyarrow as pa

from tagger.catalog.listing import KeyRange, Listing
from tagger.config import TagConfig
from tagger.storage import Root, StoredObject
from tagger.tables.query import Connection, ask_for_batches, connect
from tagger.tables.schema import FINAL_REASONS, TRANSIENT_REASONS
from tagger.tag.manifest import (
    Counts,
    Shard,
    Stand,
    load_range,
    range_name,
    save_range,
    write_shard,
    written_shards,
)
from tagger.tag.runs import RunIdentity

SHARD_PHOTOS = 16_384
"""About 2 MB of keys: a node reads a shard once and works through its units."""
SHARD_S = 10.0
"""A photo waits no longer than this for its shard to fill: the first ones shall be tagged soon."""
STRETCH_PHOTOS = 262_144
"""Photos in a stretch at most, some 100 MB. Its answers are as many, and more by those whose photos are gone."""
STRETCH_S = 10.0
"""A stretch ends after so long a time of listing: its photos wait to be compared."""
ANSWERS_MEMORY_MB = 256
"""What sorting the answers of one stretch may take; DuckDB spills the rest to disk."""

_BATCH_ROWS = 20_000

_ANSWERS = """
WITH answers AS (
    SELECT image_key, etag, NULL AS reason, model_name, model_version, config_digest, date, run_id,
           tagged_at AS answered_at
    FROM tags WHERE {wanted}
    UNION ALL
    SELECT r.image_key, r.etag, r.reason, n.model_name, n.model_version, n.config_digest, r.date, run_id, r.rejected_at
    FROM rejects AS r JOIN runs AS n USING (run_id) WHERE {wanted})
SELECT image_key, etag, reason, model_name, model_version, config_digest, date FROM answers
ORDER BY image_key, answered_at, run_id
"""


class Answer(NamedTuple):
    """The newest committed row of a key. reason: null for a tag."""

    image_key: str
    etag: str
    reason: str | None
    model_name: str
    model_version: str
    config_digest: str
    date: datetime.date


class Pair(NamedTuple):
    """A key on both sides, or on one of them."""

    photo: StoredObject | None
    answer: Answer | None

    @property
    def key(self) -> str:
        """The key."""
        return self.photo.key if self.photo else self.answer.image_key  # type: ignore[union-attr]


@dataclass(frozen=True)
class PlanJob:
    """What planning needs to know; picklable. tag: since, retag, retry_rejects and limit are read."""

    root: Root
    run_id: str
    listing: Listing
    identity: RunIdentity
    tag: TagConfig


@dataclass
class Survey:
    """One pass over a range: yields its new photos, None for any other key, and counts along the way.

    through: the last key that was looked at.
    """

    job: PlanJob
    part: KeyRange
    stand: Stand = field(default_factory=Stand)

    def __post_init__(self) -> None:
        counts = self.stand.counts
        self._listed, self._vanished = counts.listed, counts.vanished or 0
        self._older, self._unreadable = counts.older_answers, counts.unreadable_names
        self.through = self.stand.through

    @property
    def counts(self) -> Counts:
        """What was seen so far."""
        return Counts(self._listed, self._vanished, self._older, self._unreadable)

    def __iter__(self) -> Iterator[StoredObject | None]:
        job, after = self.job, self.stand.through
        with connect(job.root, ANSWERS_MEMORY_MB) as connection:
            for photos, part in stretches(job.listing.photos(self.part, after), self.part):
                answers = committed_answers(connection, job.root, part, after, job.tag.prefix)
                for pair in joined(self._readable(photos), answers):
                    self.through = pair.key
                    yield self._judged(pair)

    def _judged(self, pair: Pair) -> StoredObject | None:
        photo, answer = pair
        if photo is None:
            self._vanished += 1
            return None
        self._listed += 1
        if self.job.tag.since and photo.last_modified < _aware(self.job.tag.since):
            return None
        if answer is None or is_open(photo, answer, self.job.tag.retry_rejects):
            return photo
        if is_redone(answer, self.job.identity, self.job.tag.retag):
            return photo
        self._older += answer.reason is None and _model(answer) != _model(self.job.identity)
        return None

    def _readable(self, listing: Iterable[StoredObject]) -> Iterator[StoredObject]:
        """The listing without names that are not UTF-8, counted."""
        for photo in listing:
            if photo.key.isascii() or _is_utf8(photo.key):
                yield photo
            else:
                self._listed, self._unreadable = self._listed + 1, self._unreadable + 1


def plan_range(job: PlanJob, number: int, part: KeyRange) -> Iterator[Shard]:
    """Plan a range to its end; every shard as soon as it is written, those of an earlier start first.

    Run again at any time, it gives the same shards and then goes on. tag.limit ends it early: it is the whole run's, so
    a run with a limit has one range.
    """
    planned = load_range(job.root, job.run_id, number)
    if planned is not None:
        yield from planned[0]
        return
    shards, stand = written_shards(job.root, job.run_id, number)
    yield from list(shards)
    survey = Survey(job, part, stand)
    limit = None if job.tag.limit is None else job.tag.limit - sum(shard.photos for shard in shards)
    for photos in in_shards(survey, limit):
        name = f"{range_name(number)}-{len(shards):05d}"
        shards.append(write_shard(job.root, job.run_id, name, photos, Stand(survey.through, survey.counts)))
        yield shards[-1]
    save_range(job.root, job.run_id, number, shards, survey.counts)


@dataclass(frozen=True)
class Found:
    """What planning a range would find. first: its first new keys."""

    new: int
    size_bytes: int
    counts: Counts
    first: tuple[str, ...]


def look_at_range(job: PlanJob, part: KeyRange, first: int = 5) -> Found:
    """What `plan_range` would write, counted; nothing is written."""
    survey, keys, new, size_bytes = Survey(job, part), list[str](), 0, 0
    for photo in itertools.islice((found for found in survey if found is not None), job.tag.limit):
        new, size_bytes = new + 1, size_bytes + photo.size_bytes
        keys += [photo.key] if new <= first else []
    return Found(new, size_bytes, survey.counts, tuple(keys))


def in_shards(
    photos: Iterable[StoredObject | None], limit: int | None, most: int = SHARD_PHOTOS, wait_s: float = SHARD_S
) -> Iterator[list[StoredObject]]:
    """Lists of at most `most` photos, `limit` in all, none of which waited longer than `wait_s` while others were
    looked at (None)."""
    waiting: list[StoredObject] = []
    due = time.monotonic() + wait_s
    for photo in _limited(photos, limit):
        if photo is not None:
            waiting.append(photo)
        if len(waiting) >= most or time.monotonic() > due:
            if waiting:
                yield waiting
            waiting, due = [], time.monotonic() + wait_s
    if waiting:
        yield waiting


def _limited(photos: Iterable[StoredObject | None], limit: int | None) -> Iterator[StoredObject | None]:
    """Until `limit` photos were seen; no key is looked at after the last of them."""
    seen = 0
    for photo in photos if limit != 0 else ():
        yield photo
        seen += photo is not None
        if seen == limit:
            return


def stretches(
    photos: Iterable[StoredObject], part: KeyRange, most: int = STRETCH_PHOTOS, wait_s: float = STRETCH_S
) -> Iterator[tuple[list[StoredObject], KeyRange]]:
    """The photos of a range in lists, each with its part of the range; the parts, in order, are the whole range.

    A list has `most` photos, or what came within `wait_s` seconds; a little more where names are no UTF-8, at which no
    table can be cut.
    """
    start, waiting, due = part.start, list[StoredObject](), time.monotonic() + wait_s
    for photo in photos:
        is_due = len(waiting) >= most or time.monotonic() > due
        if waiting and is_due and _is_utf8(photo.key):
            yield waiting, KeyRange(start, photo.key)
            start, waiting, due = photo.key, [], time.monotonic() + wait_s
        waiting.append(photo)
    yield waiting, KeyRange(start, part.end)


def committed_answers(
    connection: Connection, root: Root, part: KeyRange, after: str = "", prefix: str = ""
) -> Iterator[Answer]:
    """The newest committed row of each key of a range that is greater than `after` and begins with `prefix`, sorted by
    key, streamed. connection: to the root's tables, one range at a time. StorageUnavailable where the tables do not
    answer, or the disk to sort on is full."""
    bounds = {
        "image_key >= $start": max(part.start, prefix), "image_key < $end": part.end, "image_key > $after": after,
        "starts_with(image_key, $prefix)": prefix,
    }  # fmt: skip
    bounds = {condition: value for condition, value in bounds.items() if value}
    query = _ANSWERS.format(wanted=" AND ".join(bounds) or "true")
    params = {condition.split("$")[1].rstrip(")"): value for condition, value in bounds.items()}
    batches = ask_for_batches(connection, root, query, params, _BATCH_ROWS)
    rows = (Answer(*row) for batch in batches for row in zip(*_lists(batch), strict=True))
    for _, of_key in itertools.groupby(rows, key=lambda answer: answer.image_key):
        yield list(of_key)[-1]


def joined(listing: Iterable[StoredObject], answers: Iterable[Answer]) -> Iterator[Pair]:
    """Merge two streams that are sorted by key; Python orders text as UTF-8 orders its bytes."""
    source = iter(answers)
    answer = next(source, None)
    for photo in listing:
        while answer is not None and answer.image_key < photo.key:
            yield Pair(None, answer)
            answer = next(source, None)
        if answer is not None and answer.image_key == photo.key:
            yield Pair(photo, answer)
            answer = next(source, None)
        else:
            yield Pair(photo, None)
    if answer is not None:
        yield Pair(None, answer)
    yield from (Pair(None, rest) for rest in source)


def is_open(photo: StoredObject, answer: Answer, retry_rejects: str | None = None) -> bool:
    """The newest row does not answer for the photo as it is now, or is a reject that is to be tried again.

    retry_rejects: `all` final reasons, or one of them.
    """
    is_retried = answer.reason in FINAL_REASONS and retry_rejects in ("all", answer.reason)
    return answer.etag != photo.etag or answer.reason in TRANSIENT_REASONS or is_retried


def is_redone(answer: Answer, identity: RunIdentity, retag: str) -> bool:
    """Whether `tag.retag` asks to answer again. A final reject does not depend on the model.

    `all` spares what this very date, model and configuration answered: a second run adds nothing.
    """
    if retag == "model":
        return answer.reason is None and _model(answer)[:2] != _model(identity)[:2]
    if retag == "config":
        return answer.config_digest != identity.config_digest
    return retag == "all" and (answer.date, *_model(answer)) != (identity.date, *_model(identity))


def _lists(batch: pa.RecordBatch) -> list[list[Any]]:
    return [column.to_pylist() for column in batch.columns]


def _is_utf8(key: str) -> bool:
    """A file name of other bytes comes with lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def _model(of: Answer | RunIdentity) -> tuple[str, str, str]:
    return of.model_name, of.model_version, of.config_digest


def _aware(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
