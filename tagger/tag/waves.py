"""A wave of units through the pipeline until all are staged, however many nodes are lost meanwhile."""

import logging
from collections.abc import Sequence

from tagger.errors import ClusterUnavailable
from tagger.tables.units import staged_units
from tagger.tag.manifest import WorkUnit
from tagger.tag.pipeline import LoadTagger, TagJob, tag_units
from tagger.tag.preflight import Layout
from tagger.tag.progress import Worked

_LOG = logging.getLogger(__name__)


def stage_wave(units: Sequence[WorkUnit], job: TagJob, layout: Layout, load_tagger: LoadTagger, worked: Worked) -> None:
    """Stage every unit; `worked` counts along. A pipeline that lost its workers starts again with the units left.

    ClusterUnavailable where a start staged nothing before it failed; any other TaggerError at once.
    """
    left = list(units)
    while left:
        counted = worked.done
        try:
            return tag_units(left, job, layout, load_tagger, worked)
        except ClusterUnavailable as error:
            staged = staged_units(job.root, job.stamp.run_id)
            gained = [unit for unit in left if unit.name in staged]
            left = [unit for unit in left if unit.name not in staged]
            worked.handed_out = worked.units  # nothing is in work any more
            # Some were staged while the pipeline failed, and not told of.
            worked.staged_before += sum(unit.count for unit in gained) - (worked.done - counted)
            if not gained:
                raise ClusterUnavailable(
                    f"{error} {worked.done} photos are staged; start the command again to go on from there. "
                    "If workers die again, give them more memory."
                ) from error
            _LOG.warning("%s The %d units of this wave that are left go on with new workers.", error, len(left))
