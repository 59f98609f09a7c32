"""A wave of units through the pipeline until all are staged, however many nodes are lost meanwhile."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from tagger.errors import ClusterUnavailable, ConfigError
from tagger.tables.units import staged_units
from tagger.tag.manifest import WorkUnit
from tagger.tag.pipeline import LoadTagger, Stalled, TagJob, tag_units
from tagger.tag.preflight import Layout
from tagger.tag.progress import Worked

_LOG = logging.getLogger(__name__)


NODES_BACK_S = 300.0
"""A cluster that lost nodes, and has no room for the plan, is waited for so long before a pipeline starts again."""
_LOOK_EVERY_S = 5.0


def stage_wave(
    units: Sequence[WorkUnit], job: TagJob, layout: Callable[[], Layout], load_tagger: LoadTagger, worked: Worked
) -> None:
    """Stage every unit; `worked` counts along. A pipeline that lost its workers starts again with the units left.

    layout: for the cluster as it is at each start. ClusterUnavailable where a start staged nothing before it failed,
    where nothing moved for long, or the cluster stays too small; any other TaggerError at once.
    """
    left = list(units)
    while left:
        counted, plan = worked.done, _once_there_is_room(layout)
        _LOG.info(
            "Run %s: %d units, %d fetching, %d tagging, %d staging",
            job.stamp.run_id, len(left), plan.fetch_tasks, plan.actors, plan.stage_tasks,
        )  # fmt: skip
        try:
            return tag_units(left, job, plan, load_tagger, worked)
        except Stalled:
            raise  # what hangs keeps its CPUs until this command ends
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


def _once_there_is_room(layout: Callable[[], Layout]) -> Layout:
    """The layout for the cluster that is left, or that is whole again within NODES_BACK_S."""
    until = time.monotonic() + NODES_BACK_S
    while time.monotonic() < until:
        with contextlib.suppress(ClusterUnavailable, ConfigError):
            return layout()
        time.sleep(_LOOK_EVERY_S)
    return layout()
