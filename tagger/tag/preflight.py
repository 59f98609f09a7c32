"""Whether the cluster can run the plan, before anything starts: Ray itself waits without a word for what never comes.

Actors hold their CPUs for the whole run; fetch and stage tasks need theirs besides, or no unit ever moves.
"""

import logging
import math
from dataclasses import dataclass

from tagger.cluster import Capacity
from tagger.config import TagConfig
from tagger.errors import ClusterUnavailable, ConfigError

_LOG = logging.getLogger(__name__)

FETCH_CPUS = 0.5
"""Logical CPUs of a fetch task: it mostly waits for storage and for its decode children."""
STAGE_CPUS = 0.5
"""Logical CPUs of a stage task. Fetch, one actor of 1 and stage fit into two CPUs."""

PHOTO_BYTES = 128 * 128 * 3 + 2048
"""A decoded photo with its key: 13 MB for 256."""
UNITS_PER_ACTOR = 3
"""Units that an actor keeps the object store busy with: in work, waiting, and being put."""
ACTOR_BYTES = 1536 * 2**20
"""Resident memory of an actor with TensorFlow and both networks."""
CHILD_BYTES = 96 * 2**20
"""Resident memory of an idle decode child."""
PLAN_BYTES = 768 * 2**20
"""Memory of a planning task: interpreter and libraries 200 MiB, a stretch of photos and its answers 350 MiB, and the
footers of 300 files of the tables, 0.7 MiB each."""
_ACTORS_PER_STAGE = 8


@dataclass(frozen=True)
class Layout:
    """How many processes of each operator run at once, and how many tasks plan meanwhile."""

    fetch_tasks: int
    actors: int
    stage_tasks: int
    planning_tasks: int


def lay_out(tag: TagConfig, has: Capacity) -> Layout:
    """The layout for this cluster. ConfigError or ClusterUnavailable, with the numbers, where none can run."""
    stage_tasks = max(1, tag.actors // _ACTORS_PER_STAGE)
    reserved = tag.actors * tag.cpus_per_actor + STAGE_CPUS * stage_tasks
    _check_cpus(tag, has, reserved)
    _check_gpus(tag, has)
    _check_object_store(tag, has)
    _check_memory(tag, has)
    planning_tasks = planning_at_once(tag, has.memory_bytes - _actor_bytes(tag) - _fetch_bytes(tag))
    by_cpu = math.floor((has.cpus - reserved) / max(tag.decode_children, FETCH_CPUS))
    left_bytes = has.memory_bytes - _actor_bytes(tag) - planning_tasks * PLAN_BYTES
    by_memory = math.floor(left_bytes / _fetch_bytes(tag))
    by_store = math.floor(has.object_store_bytes / _unit_bytes(tag)) - UNITS_PER_ACTOR * tag.actors
    return Layout(max(1, min(by_cpu, by_memory, by_store)), tag.actors, stage_tasks, planning_tasks)


def planning_at_once(tag: TagConfig, memory_bytes: float) -> int:
    """tag.list_tasks, or as many of them as the memory holds; one at least."""
    most = max(1, math.floor(memory_bytes / PLAN_BYTES))
    if most < tag.list_tasks:
        needed, left = _mib(tag.list_tasks * PLAN_BYTES), _mib(memory_bytes)
        _LOG.info("tag.list_tasks=%d may take %s of memory, and has %s: %d at once", tag.list_tasks, needed, left, most)
    return min(most, tag.list_tasks)


def _check_cpus(tag: TagConfig, has: Capacity, reserved: float) -> None:
    needed = reserved + FETCH_CPUS
    told = f"tag.actors={tag.actors} x tag.cpus_per_actor={tag.cpus_per_actor:g}"
    if needed > has.cpus:
        raise ClusterUnavailable(
            f"The cluster has {has.cpus:g} CPUs; the plan needs {needed:g}: {told}, and {needed:g} - "
            f"{tag.actors * tag.cpus_per_actor:g} for fetching and staging. Lower one of them, or raise ray.num_cpus."
        )
    if tag.cpus_per_actor > has.node_cpus:
        raise ClusterUnavailable(
            f"No node has tag.cpus_per_actor={tag.cpus_per_actor:g} CPUs; the largest has {has.node_cpus:g}. Lower it."
        )


def _check_gpus(tag: TagConfig, has: Capacity) -> None:
    if tag.use_gpu and tag.actors > has.gpus:
        raise ClusterUnavailable(
            f"The cluster has {has.gpus:g} GPUs; tag.actors={tag.actors} with tag.use_gpu=true needs {tag.actors}. "
            "Lower tag.actors, or set tag.use_gpu=false."
        )


def _check_object_store(tag: TagConfig, has: Capacity) -> None:
    needed = (UNITS_PER_ACTOR * tag.actors + 1) * _unit_bytes(tag)
    if needed > has.object_store_bytes:
        raise ConfigError(
            f"tag.unit_size={tag.unit_size} with tag.actors={tag.actors} needs {_mib(needed)} of object store for the "
            f"units in flight; the cluster has {_mib(has.object_store_bytes)}. Lower tag.unit_size or tag.actors, or "
            "raise ray.object_store_mb."
        )


def _check_memory(tag: TagConfig, has: Capacity) -> None:
    needed = _actor_bytes(tag) + _fetch_bytes(tag) + PLAN_BYTES
    if needed > has.memory_bytes:
        raise ConfigError(
            f"tag.actors={tag.actors}, tag.decode_children={tag.decode_children} of "
            f"tag.decode_memory_mb={tag.decode_memory_mb}, and one task that plans, may take {_mib(needed)} of memory; "
            f"the cluster has {_mib(has.memory_bytes)}. Lower one of them."
        )


def _unit_bytes(tag: TagConfig) -> int:
    return tag.unit_size * PHOTO_BYTES


def _actor_bytes(tag: TagConfig) -> int:
    return tag.actors * ACTOR_BYTES


def _fetch_bytes(tag: TagConfig) -> int:
    return tag.decode_children * (tag.decode_memory_mb * 2**20 + CHILD_BYTES)


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
