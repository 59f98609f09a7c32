"""One night through the command line, started as often as it takes, killed from outside where a trial wants it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tagger.storage import open_root
from tests.e2e.night_shop import Shop

CHECKOUT = Path(__file__).parents[2]
DATE = "2026-11-22"
SETTINGS = [
    f"date={DATE}", "tag.unit_size=50", "tag.batch_size=50", "tag.decode_children=1", "tag.decode_memory_mb=512",
    "ray.num_cpus=3", "ray.object_store_mb=150",
]  # fmt: skip
OF_COMMANDS = {"PYTHONPATH": str(CHECKOUT), "RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "error"}
"""Environment of every command, and of a Ray that runs already."""
TRIES = 15
"""Commands of a trial at most: a minute without network takes several."""
PAUSE_S = 5.0
"""Between a command that asks to be started again and the next."""
HUNG_S = 900
HUNG = -1000
"""In the place of an exit code: the command did not end and was killed."""


class Night:
    """A night under its own root. endpoint: what the command takes for S3. settings: besides the usual ones."""

    def __init__(self, shop: Shop, root_uri: str, images_uri: str, log: Path, endpoint: str = "") -> None:
        self.root, self.images, self.log = open_root(root_uri), open_root(images_uri), log
        self.codes, self.seconds, self.is_over = list[int](), 0.0, False
        self.settings = [f"root={root_uri}", f"images={images_uri}", f"model={shop.model}", *SETTINGS]
        self._endpoint = endpoint
        self._ray = tempfile.mkdtemp(prefix="night-")
        self._below: list[psutil.Process] = []
        log.write_bytes(b"")

    def start(self) -> None:
        """In a process of its own."""
        self._started = time.monotonic()
        self.process = self.started()

    def started(self) -> subprocess.Popen[bytes]:
        """The night's command, beside whatever else runs."""
        given = OF_COMMANDS | {"RAY_TMPDIR": self._ray}
        given |= {"AWS_ENDPOINT_URL": self._endpoint} if self._endpoint else {}
        with self.log.open("ab") as log:
            return subprocess.Popen(_command("tag", *self.settings), env=os.environ | given, stdout=log, stderr=log)

    def end(self) -> int:
        """Wait for the exit code. Processes below a killed command may outlive it: Ray's agents do by a minute."""
        try:
            code = self.process.wait(HUNG_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
            code = HUNG
        self.seconds += time.monotonic() - self._started
        self.codes.append(code)
        return code

    def finish(self) -> None:
        """Until a command exits with 0."""
        try:
            while self.end() != 0 and len(self.codes) < TRIES:
                time.sleep(PAUSE_S if self.codes[-1] == 5 else 0)
                self.start()
        finally:
            self.is_over = True

    def kill(self) -> None:
        """SIGKILL to the command; returns when it is dead."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._below += psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()

    def await_file(self, pattern: str, count: int = 1) -> bool:
        """Wait until so many files match below the local root; false where the night is over before."""
        while not self.is_over:
            if len(list(Path(self.root.uri).glob(pattern))) >= count:
                return True
            time.sleep(0.005)
        return False

    def verify(self) -> subprocess.CompletedProcess[str]:
        """`tagger verify` of the night."""
        command = _command("verify", f"root={self.root.uri}", f"date={DATE}")
        return subprocess.run(command, env=os.environ | OF_COMMANDS, capture_output=True, text=True, timeout=HUNG_S)

    def close(self) -> None:
        """Leave nothing behind but the root and the log."""
        if self.process.poll() is None:
            self.kill()
        for each in self._below:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(self._below, 10)
        shutil.rmtree(self._ray, ignore_errors=True)


def _command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", "from tagger.cli import main; main()", name, *arguments]
