"""Did storage hand out the photos that it had listed? Where most of them are refused or gone, or never came, they are
not to blame."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from tagger.drift.shares import Share, is_above
from tagger.errors import PhotosLost, PhotosRefused
from tagger.printable import printable
from tagger.storage import Root
from tagger.tables.units import Unit, read_unit, remove_unit, staged_units

_ARCHIVED = "InvalidObjectState"
"""What S3 answers for an object in an archive. Nobody expects such photos, however many lie under the images root."""


class Reach:
    """Counts the photos of a run that storage refused, did not find or never sent, unit after unit. Archived ones do
    not count."""

    def __init__(self, run_id: str, allowed: float) -> None:
        self._run_id = run_id
        self._allowed = allowed
        self._photos = 0
        self._missed: Counter[str] = Counter()
        self._example = ""

    def add(self, unit: Unit) -> None:
        """Take the next unit."""
        missed = _missed(unit.rejects)
        self._photos += len(unit.tags) + len(unit.rejects) - _archived(unit.rejects)
        self._missed.update(missed["reason"].to_pylist())
        if len(missed) and not self._example:
            self._example = printable(f"'{missed['image_key'][0]}': {missed['detail'][0]}")

    def check(self, root: Root) -> None:
        """PhotosRefused (most were refused) or PhotosLost (most did not come) where a surely larger share is out of
        reach than is allowed. Units that hold such photos are no longer staged then, so that they are fetched again.
        """
        if not is_above(Share(self._missed.total(), self._photos), self._allowed):
            return
        for name in staged_units(root, self._run_id):
            if len(_missed(read_unit(root, self._run_id, name).rejects)):
                remove_unit(root, self._run_id, name)
        raise self._told()

    def _told(self) -> PhotosRefused | PhotosLost:
        missed = self._missed.total()
        reasons = ", ".join(f"{reason} {count}" for reason, count in self._missed.most_common())
        told = (
            f"Run {self._run_id}: storage did not hand out {missed} of {self._photos} photos "
            f"({missed / self._photos:.1%}; {reasons}), first {self._example}. Nothing was committed."
        )
        again = (
            "start the command again: it fetches these photos again. If they must be so, start it with a higher "
            f"tag.max_unreachable_share (now {self._allowed:g})."
        )
        if self._missed.most_common(1)[0][0] == "access_denied":
            return PhotosRefused(f"{told} Check the credentials and the bucket's policy on every node, then {again}")
        return PhotosLost(f"{told} Check that every node reaches the images, then {again}")


def _missed(rejects: pa.Table) -> pa.Table:
    is_missed = pc.is_in(rejects["reason"], value_set=pa.array(["access_denied", "not_found", "download_failed"]))
    return rejects.filter(pc.and_(is_missed, pc.invert(_is_archived(rejects))))


def _archived(rejects: pa.Table) -> int:
    return int(pc.sum(_is_archived(rejects)).as_py() or 0)


def _is_archived(rejects: pa.Table) -> pa.ChunkedArray:
    return pc.match_substring(pc.fill_null(rejects["detail"], ""), f"({_ARCHIVED})")
