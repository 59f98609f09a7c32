"""Which photos a night is about: where they are looked for, how that is cut into ranges, and what was found."""

import logging
from typing import Any

from tagger.catalog.inventory import InventoryListing
from tagger.catalog.keys_file import KeysListing, file_digest
from tagger.catalog.listing import KeyRange, Listing, StorageListing
from tagger.catalog.sorted_rows import SortedRows
from tagger.config import TagConfig
from tagger.storage import Root
from tagger.tag.manifest import Manifest, load_ranges, save_ranges
from tagger.tag.plan import PlanJob

_LOG = logging.getLogger(__name__)

RANGES_PER_TASK = 4
"""Ranges are never of equal size: with some more of them than tasks, the tasks end at about the same time."""

_ASKED = {"prefix", "since", "limit", "retag", "retry_rejects", "inventory"}


def asked(tag: TagConfig) -> dict[str, Any]:
    """The settings that say which photos are new, and the digest of a file of keys. BadInput where there is none."""
    keys = file_digest(tag.keys_from) if tag.keys_from else None
    return tag.model_dump(mode="json", include=_ASKED) | {"keys": keys}


def is_full(tag: TagConfig) -> bool:
    """Whether every photo is listed, so that an answered one that is missing has vanished."""
    return not tag.prefix and not tag.keys_from and tag.limit is None


def listing(tag: TagConfig, images: Root, into: Root) -> Listing:
    """Where photos are looked for: a file of keys or an inventory, sorted into the folder `into`; else the storage.

    BadInput where that cannot be read, and where all keys of a file are withheld.
    """
    if tag.keys_from:
        keys = KeysListing.prepare(tag.keys_from, images, tag.prefix, into)
        keys.check()
        return keys
    if tag.inventory:
        return InventoryListing.prepare(tag.inventory, images, tag.prefix, into)
    return StorageListing(images, tag.prefix)


def cut(job: PlanJob) -> list[KeyRange]:
    """The key space in ranges; in one where a limit is to be kept, for ranges do not know of each other."""
    return job.listing.ranges(1 if job.tag.limit is not None else RANGES_PER_TASK * job.tag.list_tasks)


def ranges_of(job: PlanJob) -> list[KeyRange]:
    """How a run's key space is cut: once, since its ranges are known by number."""
    known = load_ranges(job.root, job.run_id)
    if known is not None:
        return known
    save_ranges(job.root, job.run_id, cut(job))
    return load_ranges(job.root, job.run_id) or []


def tell(manifest: Manifest, images: Root, tag: TagConfig, listed: Root) -> None:
    """Log what the listing showed. listed: the folder that `listing` sorted into."""
    counts = manifest.counts
    _LOG.info("%d photos listed under %s, %d new", counts.listed, images.uri, manifest.new)
    if counts.older_answers:
        _LOG.info("%d have answers of an older model or other settings (tag.retag redoes them)", counts.older_answers)
    if counts.vanished:
        _LOG.info("%d answered photos are no longer there", counts.vanished)
    if counts.unreadable_names:
        _LOG.warning("%d files are left out: their names are not UTF-8. Rename them.", counts.unreadable_names)
    missing = SortedRows(listed).count() - counts.listed if tag.keys_from and tag.limit is None else 0
    if missing > 0:
        _LOG.warning("%d keys in %s are not there", missing, tag.keys_from)
