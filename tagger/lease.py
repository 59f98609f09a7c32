"""One holder at a time of a date, of all nights of a root, or of whatever else has a name: leases that are renewed.

Lease number n on a name is the object `work/locks/<name>/<n>.json`, made by a conditional write. The highest number
holds the name; a free, expired or orphaned lease is taken over by making number n + 1, which only one of many can, and
which is looked at once more for the sake of servers that take conditional writes less strictly.
So a holder that slept too long never overwrites its successor: it sees a higher number, or at its own number a lease
that another wrote, and stops. Leases are not deleted (a listing of a folder that changes may show neither the old nor
the new name, and numbers would start again); they take 200 bytes a run, and a vacuum leaves the newest of a name that
rests.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from types import TracebackType

from tagger.errors import DateLocked, TaggerError
from tagger.storage import LocalRoot, Root, StoredObject

_LOG = logging.getLogger(__name__)

LEASE_S = 20.0
"""A lease that was not renewed for so long is expired. Hosts' clocks must agree to a few seconds."""
RENEW_S = 5.0
CONFIRM_S = 1.0
"""Some servers let several of many simultaneous conditional writes win. So whoever made a number looks again after this
long: the name is whose lease stands there, the last that was written."""
RESTS_S = 86_400.0
"""A name whose newest lease was renewed so long ago rests: no run is about to take over an older one."""
NIGHTS = "nights"
"""The name of all nights of a root, beside those of its dates."""
WAIT = "Wait for it, or raise tag.lock_wait_s."
"""What who is refused may do, as a rule."""
_TOLD = {NIGHTS: "the nights of this root"}
"""What people read for a name that does not speak for itself."""

_LEASE = re.compile(r"(\d{8,})\.json")
"""A lease's name. Whatever else people and systems leave in such a folder is passed over."""


@dataclass(frozen=True)
class Lease:
    """Who holds a name. `boot_id` names the boot and the process namespace, in which `pid` means something; `nonce` is
    drawn by each holder, and empty in leases of older versions."""

    host: str
    boot_id: str
    pid: int
    renewed_at: float
    released: bool = False
    nonce: str = ""

    def is_held(self, now: float) -> bool:
        """Whether its holder must be believed alive: renewed of late, and not known to be dead. What a clock far ahead
        wrote would hold the name until then."""
        return not self.released and abs(now - self.renewed_at) <= LEASE_S and not self._holder_is_dead()

    def _holder_is_dead(self) -> bool:
        if (self.host, self.boot_id) != (socket.gethostname(), _boot_id()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lock:
    """Context manager: holds a name under a root, of a date (as ISO 8601) or another.

    DateLocked where another run keeps it for `wait_s` seconds; `advice` ends its sentence.
    """

    def __init__(self, root: Root, name: str, wait_s: float, renew_s: float = RENEW_S, advice: str = WAIT) -> None:
        self._leases = _leases(root, name)
        self._held = _TOLD.get(name, name)
        self._advice = advice
        self._wait_s = wait_s
        self._renew_s = renew_s
        self._lease = Lease(socket.gethostname(), _boot_id(), os.getpid(), time.time(), nonce=secrets.token_hex(8))
        self._number = 0
        self._is_ours = False
        self._is_taken = False
        self._failure: TaggerError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{self._held}", daemon=True)

    def __enter__(self) -> "Lock":
        deadline = time.monotonic() + self._wait_s
        while (holder := self._try_to_take()) is not None:
            if time.monotonic() >= deadline:
                raise DateLocked(
                    f"Another run holds {self._held}: process {holder.pid} on {holder.host}, seen "
                    f"{time.time() - holder.renewed_at:.0f} s ago. {self._advice}"
                )
            time.sleep(min(1.0, max(0.05, deadline - time.monotonic())))
        self._is_ours = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the name back, if it is held; from any thread, and once or more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._is_ours:
            with contextlib.suppress(TaggerError):  # it expires by itself
                if self._is_as_written():
                    self._write(replace(self._lease, released=True))
            self._is_ours = False

    @property
    def is_held(self) -> bool:
        """Whether the lease is ours and was renewed of late."""
        return self._is_ours and time.time() - self._lease.renewed_at <= LEASE_S

    def stop_if_taken(self) -> None:
        """DateLocked where a renewal found that another run took the name over. Asks nobody; an outage is no loss."""
        if self._is_taken:
            raise self._lost()

    def check(self) -> None:
        """DateLocked where the lease was lost meanwhile, by a look at it: another run may hold the name by now."""
        self._is_taken = self._is_taken or not self._is_newest()
        if self._is_taken or not self.is_held:
            raise self._lost()

    def _lost(self) -> DateLocked:
        why = "another run took it over"
        if not self._is_taken:
            why = f"it was not renewed for {LEASE_S:.0f} s{f' ({self._failure})' if self._failure else ''}"
        return DateLocked(
            f"The lease on {self._held} was lost: {why}. Nothing of this run was lost; start the command again to "
            "resume it."
        )

    def _try_to_take(self) -> Lease | None:
        """None when the name is ours now, else the lease that stands in the way."""
        while True:
            highest = _newest(self._leases)
            holder = _load(self._leases, _key(highest)) if highest else None
            if holder is not None and holder.is_held(time.time()):
                return holder
            self._lease, self._number = replace(self._lease, renewed_at=time.time()), highest + 1
            if self._leases.create_once(_key(self._number), _bytes(self._lease)) and self._is_confirmed():
                return None

    def _is_confirmed(self) -> bool:
        """Whether the new lease is still ours. On a disk no second one can have taken its place."""
        if isinstance(self._leases, LocalRoot):
            return True
        time.sleep(CONFIRM_S)
        return self._is_as_written()

    def _keep(self) -> None:
        while not self._stop.wait(self._renew_s):
            try:
                if not self._is_newest():
                    _LOG.warning("the lease on %s was lost: another run took it over", self._held)
                    self._is_ours, self._is_taken = False, True
                    return
                self._write(replace(self._lease, renewed_at=time.time()))
                self._failure = None
            except TaggerError as error:  # whatever it is may pass, as credentials are renewed
                if self._failure is None:
                    _LOG.warning("the lease on %s could not be renewed, which is tried again: %s", self._held, error)
                self._failure = error

    def _is_newest(self) -> bool:
        return _newest(self._leases) == self._number and self._is_as_written()

    def _is_as_written(self) -> bool:
        """Whether our lease stands at our number: where several may win it, the last writer has it."""
        lease = _load(self._leases, _key(self._number))
        return lease is not None and lease.nonce == self._lease.nonce

    def _write(self, lease: Lease) -> None:
        self._leases.write_bytes(_key(self._number), _bytes(lease))
        self._lease = lease


def newest_lease(root: Root, name: str) -> Lease | None:
    """The lease that decides who holds the name; none where no run ever did."""
    place = _leases(root, name)
    number = _newest(place)
    return _load(place, _key(number)) if number else None


def spent_leases(root: Root, now: float) -> Iterator[tuple[Date, list[StoredObject]]]:
    """Leases that decide nothing any more: of each name that rests, all but the newest, which numbers go on from. With
    the date that is the name, else the day of the last one.

    now: seconds since 1970. Keys are relative to the root.
    """
    stored = (each for each in root.list_objects("work/locks/") if _LEASE.fullmatch(each.key.rpartition("/")[2]))
    for name, group in itertools.groupby(stored, key=lambda each: each.key.split("/")[2]):
        *older, newest = group
        lease = _load(root, newest.key) if older else None
        if lease is not None and now - lease.renewed_at > RESTS_S:
            yield _date_of(name) or datetime.fromtimestamp(lease.renewed_at, UTC).date(), older


def _date_of(name: str) -> Date | None:
    try:
        return Date.fromisoformat(name)
    except ValueError:
        return None


def _leases(root: Root, name: str) -> Root:
    return root.child("work", "locks", name)


def _newest(place: Root) -> int:
    """The highest number of a lease there, 0 where there is none."""
    matches = (_LEASE.fullmatch(found.key) for found in place.list_objects())
    return max((int(match[1]) for match in matches if match), default=0)


def _load(place: Root, key: str) -> Lease | None:
    try:
        return Lease(**json.loads(place.read_bytes(key)))
    except FileNotFoundError:  # vacuumed just now
        return None


def _key(number: int) -> str:
    return f"{number:08d}.json"


def _bytes(lease: Lease) -> bytes:
    return json.dumps(asdict(lease)).encode()


def _boot_id() -> str:
    """Containers of one machine share its boot id, not their process ids: so the namespace is part of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return "unknown"
