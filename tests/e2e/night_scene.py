"""Where a trial plays: a night under a fresh root on this disk or on S3, and what can be done to it meanwhile."""

import contextlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import psutil

from tests.e2e.faulty_s3 import FaultyS3
from tests.e2e.night_run import OF_COMMANDS, Night
from tests.e2e.night_shop import Shop
from tests.e2e.small_disk import small_disk

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

DISK_MB = 64
NODES = 3
NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20}


@dataclass
class Scene:
    """What a fault has in hand. strikes: how often it struck; the proxy counts its own."""

    shop: Shop
    night: Night
    rng: random.Random
    proxy: FaultyS3 | None = None
    cluster: "Cluster | None" = None
    strikes: int = 0

    def count(self) -> None:
        """The fault struck."""
        self.strikes += 1


Fault = Callable[[Scene], contextlib.AbstractContextManager[None]]
"""Armed before the command starts; when the block is left, what it did to others is undone."""
Place = Callable[[Shop, Path, str, random.Random], contextlib.AbstractContextManager[Scene]]


@contextlib.contextmanager
def on_disk(shop: Shop, folder: Path, name: str, rng: random.Random, disk: Path | None = None) -> Iterator[Scene]:
    """A root on this disk, or on another one; the log is in the folder."""
    root = (disk or folder) / "roots" / name
    shutil.rmtree(root, ignore_errors=True)
    night = Night(shop, str(root), str(shop.photos), folder / f"{name}.log")
    with contextlib.closing(night):
        yield Scene(shop, night, rng)
    shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def on_small_disk(shop: Shop, folder: Path, name: str, rng: random.Random) -> Iterator[Scene]:
    """A root on a disk of its own that little fits on. DiskLeftOut where there can be none."""
    with small_disk(folder / "disk", DISK_MB) as disk, on_disk(shop, folder, name, rng, disk) as scene:
        yield scene


@contextlib.contextmanager
def on_s3(shop: Shop, folder: Path, name: str, rng: random.Random) -> Iterator[Scene]:
    """A root on S3, with a proxy between the command and the server."""
    with contextlib.closing(FaultyS3(shop.endpoint, seed=rng.getrandbits(32))) as proxy:
        with behind(proxy)(shop, folder, name, rng) as scene:
            yield scene


def behind(proxy: FaultyS3) -> Place:
    """A root on S3, for commands and a Ray that reach it through this proxy."""

    @contextlib.contextmanager
    def place(shop: Shop, folder: Path, name: str, rng: random.Random) -> Iterator[Scene]:
        root = f"s3://shop/{name}-{time.time_ns():x}"
        night = Night(shop, root, "s3://photos", folder / f"{name}.log", proxy.uri)
        with contextlib.closing(night):
            yield Scene(shop, night, rng, proxy)

    return place


@contextlib.contextmanager
def on_nodes(shop: Shop, folder: Path, name: str, rng: random.Random) -> Iterator[Scene]:
    """A root on this disk and a Ray cluster of several nodes on this machine; the first one takes no work."""
    with running_ray(0, {}) as cluster, on_disk(shop, folder, name, rng) as scene:
        for _ in range(NODES):
            cluster.add_node(**NODE)
        scene.cluster = cluster
        scene.night.settings.append(f"ray.address={cluster.address}")
        yield scene


@contextlib.contextmanager
def running_ray(cpus: int, environment: dict[str, str]) -> "Iterator[Cluster]":
    """A Ray of one node so far, on this machine, and what its workers find in their environment."""
    from ray.cluster_utils import Cluster  # reads the token that Ray's processes share

    before, head = _children(), NODE | {"num_cpus": cpus, "include_dashboard": False}
    # Ray's own hooks for the end want the main thread, also of nodes that join later.
    cluster = Cluster(shutdown_at_exit=False)
    try:
        with mock.patch.dict(os.environ, OF_COMMANDS | environment):
            cluster.add_node(**head)
        yield cluster
    finally:
        cluster.shutdown()
        for each in _children() - before:  # of a node that did not come up
            _killed(each)


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@contextlib.contextmanager
def beside(act: Callable[[], None]) -> Iterator[None]:
    """Does something in a thread for the length of the block; it must end with the night."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        yield
        acting.result()


def kill_processes(word: str, times: int, every_s: tuple[float, float]) -> Fault:
    """SIGKILL to a random one of the processes that this one started and whose command line holds the word."""

    @contextlib.contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        def strike() -> bool:
            found = _started_by_us(word)
            return bool(found) and _killed(scene.rng.choice(found))

        with beside(lambda: _again_and_again(scene, strike, times, every_s)):
            yield

    return fault


def kill_nodes(times: int, every_s: tuple[float, float], replaced_after_s: tuple[float, float]) -> Fault:
    """SIGKILL to all processes of a random node; some time later another node joins."""

    @contextlib.contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        def strike() -> bool:
            cluster = scene.cluster
            assert cluster is not None
            _kill_node(cluster, scene.rng.choice(sorted(cluster.worker_nodes, key=_raylet)))
            time.sleep(scene.rng.uniform(*replaced_after_s))
            cluster.add_node(wait=False, **NODE)
            return True

        with beside(lambda: _again_and_again(scene, strike, times, every_s)):
            yield

    return fault


def _again_and_again(scene: Scene, strike: Callable[[], bool], times: int, every_s: tuple[float, float]) -> None:
    due = time.monotonic() + scene.rng.uniform(*every_s)
    while not scene.night.is_over and scene.strikes < times:
        if time.monotonic() >= due and strike():
            scene.count()
            due = time.monotonic() + scene.rng.uniform(*every_s)
        time.sleep(0.05)


def _started_by_us(word: str) -> list[psutil.Process]:
    """Of the command, or of the cluster it runs on, by process number."""
    found = []
    for each in _children():
        with contextlib.suppress(psutil.Error):
            if word in " ".join(each.cmdline()):
                found.append(each)
    return sorted(found, key=lambda each: each.pid)


def _killed(process: psutil.Process) -> bool:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _kill_node(cluster: "Cluster", node: "Node") -> None:
    """As a machine goes: without a word, its workers with it."""
    raylet = psutil.Process(_raylet(node))
    for process in [raylet, *raylet.children(recursive=True)]:
        _killed(process)
    cluster.remove_node(node, allow_graceful=False)


def _raylet(node: "Node") -> int:
    """Process number of a node's raylet."""
    return node.all_processes["raylet"][0].process.pid
