"""What the workers of a training must find in the cluster, with the arithmetic in the message."""

import pytest

from tagger.cluster import Capacity
from tagger.config import TrainConfig
from tagger.errors import ClusterUnavailable, ConfigError
from tagger.train.preflight import check_workers

GIB = 2**30
TWO_NODES = Capacity(cpus=8, gpus=2, memory_bytes=64 * GIB, object_store_bytes=GIB, node_cpus=4)


@pytest.mark.parametrize(
    "train", [{}, {"workers": 8}, {"workers": 2, "cpus_per_worker": 4, "use_gpu": True}, {"cpus_per_worker": 0.5}]
)
def test_workers_that_fill_the_cluster_may_start(train):
    check_workers(TrainConfig(**train), TWO_NODES)


@pytest.mark.parametrize(
    ("train", "error", "words"),
    [
        ({"workers": 16}, ClusterUnavailable, r"has 8 CPUs; train\.workers=16 x train\.cpus_per_worker=1 needs 16\."),
        ({"workers": 2, "cpus_per_worker": 4.5}, ClusterUnavailable, "=4.5 needs 9. Lower one of them"),
        ({"cpus_per_worker": 5}, ClusterUnavailable, "No node has .*=5 CPUs; the largest has 4"),
        ({"workers": 4, "use_gpu": True}, ClusterUnavailable, r"has 2 GPUs; train\.workers=4 .* needs 4\. Lower"),
        ({"workers": 3}, ConfigError, r"batch_size = 64 cannot be split evenly by train\.workers = 3"),
    ],
)
def test_workers_that_cannot_start_are_told_with_the_numbers(train, error, words):
    with pytest.raises(error, match=words):
        check_workers(TrainConfig(**train), TWO_NODES)
