"""Listing minus what is answered: which photos are new tonight.

Both sides come sorted by key, so that one pass over two streams tells new, changed, older and vanished photos, whatever
their number. What a photo's state is, its newest committed row says, in `tags` or in `rejects`.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import date as Date
from typing import Any, NamedTuple

import pyarrow as pa

from tagger.config import TagConfig
from tagger.storage import Root, StoredObject
from tagger.tables.query import connect
from tagger.tables.schema import TRANSIENT_REASONS
from tagger.tag.manifest import Counts, Manifest, save_manifest, write_shards
from tagger.tag.runs import RunIdentity

_LOG = logging.getLogger(__name__)

_BATCH_ROWS = 20_000

_ANSWERS = """
WITH answers AS (
    SELECT image_key, etag, NULL AS reason, model_name, model_version, config_digest, date, run_id,
           tagged_at AS answered_at
    FROM tags
    UNION ALL
    SELECT r.image_key, r.etag, r.reason, n.model_name, n.model_version, n.config_digest, r.date, run_id, r.rejected_at
    FROM rejects AS r JOIN runs AS n USING (run_id))
SELECT image_key, etag, reason, model_name, model_version, config_digest, date FROM answers
WHERE starts_with(image_key, $prefix) ORDER BY image_key, answered_at, run_id
"""


class Answer(NamedTuple):
    """The newest committed row of a key. reason: null for a tag."""

    image_key: str
    etag: str
    reason: str | None
    model_name: str
    model_version: str
    config_digest: str
    date: Date


class Pair(NamedTuple):
    """A key on both sides, or on one of them."""

    photo: StoredObject | None
    answer: Answer | None


@dataclass
class _Seen:
    listed: int = 0
    vanished: int = 0
    older_answers: int = 0
    unreadable_names: int = 0


def make_manifest(root: Root, images: Root, run_id: str, identity: RunIdentity, tag: TagConfig) -> Manifest:
    """List, compare and write the manifest of a run."""
    seen = _Seen()
    listing = readable(images.list_objects(tag.prefix), seen)
    new = new_photos(joined(listing, committed_answers(root, tag.prefix)), identity, tag, seen)
    shards = write_shards(root, run_id, itertools.islice(new, tag.limit))
    is_full = not tag.prefix and tag.limit is None
    vanished = seen.vanished if is_full else None
    counts = Counts(seen.listed, vanished, seen.older_answers, seen.unreadable_names)
    manifest = Manifest(shards, tag.unit_size, counts)
    save_manifest(root, run_id, manifest)
    _tell(manifest, images)
    return manifest


def committed_answers(root: Root, prefix: str = "") -> Iterator[Answer]:
    """The newest committed row of each key that starts with `prefix`, sorted by key, streamed."""
    with connect(root) as connection:
        reader: Any = connection.sql(_ANSWERS, params={"prefix": prefix}).to_arrow_reader(_BATCH_ROWS)
        rows = (Answer(*row) for batch in reader for row in zip(*_lists(batch), strict=True))
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


def new_photos(pairs: Iterable[Pair], identity: RunIdentity, tag: TagConfig, seen: _Seen) -> Iterator[StoredObject]:
    """The photos of the pairs that this run must answer for; `seen` counts the others along the way."""
    since = tag.since and (tag.since if tag.since.tzinfo else tag.since.replace(tzinfo=UTC))
    for photo, answer in pairs:
        if photo is None:
            seen.vanished += 1
            continue
        if since and photo.last_modified < since:
            continue
        if answer is None or is_open(photo, answer) or is_redone(answer, identity, tag.retag):
            yield photo
        elif answer.reason is None and _model(answer) != _model(identity):
            seen.older_answers += 1


def is_open(photo: StoredObject, answer: Answer) -> bool:
    """The newest row does not answer for the photo as it is now."""
    return answer.etag != photo.etag or answer.reason in TRANSIENT_REASONS


def is_redone(answer: Answer, identity: RunIdentity, retag: str) -> bool:
    """Whether `tag.retag` asks to answer again. A final reject does not depend on the model.

    `all` spares what this very date, model and configuration answered: a second run adds nothing.
    """
    if retag == "model":
        return answer.reason is None and _model(answer)[:2] != _model(identity)[:2]
    if retag == "config":
        return answer.config_digest != identity.config_digest
    return retag == "all" and (answer.date, *_model(answer)) != (identity.date, *_model(identity))


def readable(listing: Iterable[StoredObject], seen: _Seen) -> Iterator[StoredObject]:
    """The listing without names that are not UTF-8, counted."""
    for photo in listing:
        seen.listed += 1
        if photo.key.isascii() or _is_utf8(photo.key):
            yield photo
        else:
            seen.unreadable_names += 1


def _lists(batch: pa.RecordBatch) -> list[list[Any]]:
    return [column.to_pylist() for column in batch.columns]


def _is_utf8(key: str) -> bool:
    """A file name of other bytes comes with lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def _model(of: Answer | RunIdentity) -> tuple[str, str, str]:
    return of.model_name, of.model_version, of.config_digest


def _tell(manifest: Manifest, images: Root) -> None:
    counts = manifest.counts
    _LOG.info("%d photos listed under %s, %d new", counts.listed, images.uri, manifest.new)
    if counts.older_answers:
        _LOG.info("%d have answers of an older model or other settings (tag.retag redoes them)", counts.older_answers)
    if counts.vanished:
        _LOG.info("%d answered photos are no longer there", counts.vanished)
    if counts.unreadable_names:
        _LOG.warning("%d files are left out: their names are not UTF-8. Rename them.", counts.unreadable_names)
