import dataclasses

import pytest

from tagger.cluster import Capacity
from tagger.config import TagConfig
from tagger.errors import ClusterUnavailable, ConfigError
from tagger.tag.preflight import Layout, lay_out, planning_at_once

GIB = 2**30
TWO_CPUS = Capacity(cpus=2, gpus=0, memory_bytes=20 * GIB, object_store_bytes=600 * 2**20, node_cpus=2)
NODE_64 = Capacity(cpus=64, gpus=0, memory_bytes=256 * GIB, object_store_bytes=64 * GIB, node_cpus=64)


@pytest.mark.parametrize(
    ("tag", "cluster", "layout"),
    [
        ({}, TWO_CPUS, Layout(1, 1, 1, 4)),
        ({"actors": 2, "cpus_per_actor": 0.5}, TWO_CPUS, Layout(1, 2, 1, 4)),
        ({"actors": 16}, NODE_64, Layout(23, 16, 2, 4)),
        # Memory decides: 256 GiB - 16 x 1.5 GiB - 4 x 0.75 GiB, by 8 GiB; 32 tasks that plan leave 2 fewer.
        ({"actors": 16, "decode_children": 1, "decode_memory_mb": 8096}, NODE_64, Layout(28, 16, 2, 4)),
        (
            {"actors": 16, "decode_children": 1, "decode_memory_mb": 8096, "list_tasks": 32},
            NODE_64,
            Layout(26, 16, 2, 32),
        ),
        ({"list_tasks": 64}, TWO_CPUS, Layout(1, 1, 1, 21)),
        ({}, dataclasses.replace(TWO_CPUS, memory_bytes=5 * GIB), Layout(1, 1, 1, 1)),
    ],
)
def test_the_layout_fills_the_cluster(tag, cluster, layout):
    assert lay_out(TagConfig(**tag), cluster) == layout


@pytest.mark.parametrize(
    ("tag", "cluster", "error", "words"),
    [
        ({"actors": 2}, TWO_CPUS, ClusterUnavailable, "has 2 CPUs; the plan needs 3: tag.actors=2"),
        ({"cpus_per_actor": 1.5}, TWO_CPUS, ClusterUnavailable, "needs 2.5"),
        ({"cpus_per_actor": 4}, Capacity(8, 0, 64 * GIB, GIB, 2), ClusterUnavailable, "No node has .*=4 CPUs.* has 2"),
        ({"use_gpu": True}, TWO_CPUS, ClusterUnavailable, "has 0 GPUs; tag.actors=1 .* needs 1"),
        ({"unit_size": 4096}, TWO_CPUS, ConfigError, "tag.unit_size=4096 .* needs 800 MiB .* has 600 MiB"),
        ({"decode_memory_mb": 16384}, TWO_CPUS, ConfigError, "one task that plans, may take 35,264 MiB .* 20,480 MiB"),
    ],
)
def test_a_plan_that_cannot_run_is_refused_with_numbers(tag, cluster, error, words):
    with pytest.raises(error, match=words):
        lay_out(TagConfig(**tag), cluster)


@pytest.mark.parametrize(("memory", "tasks"), [(64 * GIB, 64), (48 * GIB, 64), (48 * GIB - 1, 63), (GIB, 1), (0, 1)])
def test_as_many_tasks_plan_as_memory_holds(memory, tasks):
    assert planning_at_once(TagConfig(list_tasks=64), memory) == tasks
