"""A stage's epochs while it runs: its first worker writes them down after each one, and the driver reads along."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tagger.errors import TaggerError
from tagger.train.recipe import StagePlan

READ_EVERY_S = 15.0


def write_epochs(plan: StagePlan, history: list[dict[str, Any]]) -> None:
    """Replace what was written of this stage. A resumed stage starts with fewer epochs, and comes to the same ones."""
    plan.work.write_bytes(_key(plan), json.dumps(history).encode())


@contextlib.contextmanager
def read_along(
    plan: StagePlan, tell: Callable[[list[dict[str, Any]]], None], every_s: float = READ_EVERY_S
) -> Iterator[None]:
    """For the length of the block, `tell` the stage's epochs so far from time to time, in a thread of its own.

    Where they cannot be read now they are the next time. The block's end waits for a call of `tell`.
    """
    over = threading.Event()

    def read() -> None:
        while not over.wait(every_s):
            with contextlib.suppress(FileNotFoundError, TaggerError):
                tell(json.loads(plan.work.read_bytes(_key(plan))))

    reader = threading.Thread(target=read, name=f"epochs-{plan.stage}", daemon=True)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()


def _key(plan: StagePlan) -> str:
    return f"epochs-{plan.stage}.json"
