"""Whether the workers can share the batch and find room in the cluster: Ray itself waits without a word."""

from tagger.cluster import Capacity
from tagger.config import TrainConfig
from tagger.errors import ClusterUnavailable, ConfigError


def check_workers(train: TrainConfig, has: Capacity) -> None:
    """ConfigError where the batch cannot be split; ClusterUnavailable, with the numbers, where workers have no room."""
    if train.batch_size % train.workers:
        raise ConfigError(
            f"train.batch_size = {train.batch_size} cannot be split evenly by train.workers = {train.workers}."
        )
    _check_cpus(train, has)
    if train.use_gpu and train.workers > has.gpus:
        raise ClusterUnavailable(
            f"The cluster has {has.gpus:g} GPUs; train.workers={train.workers} with train.use_gpu=true needs "
            f"{train.workers}. Lower train.workers, or set train.use_gpu=false."
        )


def _check_cpus(train: TrainConfig, has: Capacity) -> None:
    needed = train.workers * train.cpus_per_worker
    if needed > has.cpus:
        raise ClusterUnavailable(
            f"The cluster has {has.cpus:g} CPUs; train.workers={train.workers} x train.cpus_per_worker="
            f"{train.cpus_per_worker:g} needs {needed:g}. Lower one of them, or raise ray.num_cpus."
        )
    if train.cpus_per_worker > has.node_cpus:
        raise ClusterUnavailable(
            f"No node has train.cpus_per_worker={train.cpus_per_worker:g} CPUs; the largest has {has.node_cpus:g}. "
            "Lower it."
        )
