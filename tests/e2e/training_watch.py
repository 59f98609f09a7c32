"""A training from outside: what Ray Train registered, in order, and the process that trains."""

import json
import threading
import time
from collections.abc import Callable

import psutil

from tagger.storage import Root

REGISTER = "checkpoint_manager_snapshot.json"


def registered(folder: Root) -> list[dict]:
    """Ray Train's list of a stage's kept checkpoints, from old to new; empty while there is none to read."""
    try:
        return json.loads(folder.read_bytes(REGISTER))["checkpoint_results"]
    except (FileNotFoundError, ValueError):
        return []


def newest_arrays(folder: Root) -> str:
    """The key of the newest checkpoint's arrays."""
    return f"{registered(folder)[-1]['checkpoint_dir_name']}/arrays.npz"


def cut_short(folder: Root, key: str) -> None:
    """A file without its end, as a crash of the machine leaves it."""
    folder.write_bytes(key, folder.read_bytes(key)[:-100])


def place(checkpoint: dict) -> tuple[int, int]:
    """Epoch and step of a checkpoint."""
    return checkpoint["metrics"]["epoch"], checkpoint["metrics"]["step"]


class Watch:
    """Notes each newly registered checkpoint of a stage, and acts once, when the one at `at` is there."""

    def __init__(self, folder: Root, at: tuple[int, int] | None = None, act: Callable[[], None] = lambda: None) -> None:
        self.folder, self.at, self.act = folder, at, act
        self.places: list[tuple[int, int]] = []
        self._names = {each["checkpoint_dir_name"] for each in registered(folder)}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._look()
            time.sleep(0.05)
        self._look()

    def _look(self) -> None:
        for checkpoint in registered(self.folder):
            if checkpoint["checkpoint_dir_name"] not in self._names:
                self._names.add(checkpoint["checkpoint_dir_name"])
                self.places.append(place(checkpoint))
        if self.at in self.places:
            self.at = None
            self.act()


def kill_a_worker(parent: int | None = None) -> None:
    """SIGKILL to the last of the Ray Train workers below this process, or below the one that is given."""
    children = psutil.Process(parent).children(recursive=True)
    workers = [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]
    workers[-1].kill()
