import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from tagger.errors import BadInput, DateLocked, StorageUnavailable
from tagger.lease import LEASE_S, RESTS_S, Lease, Lock, newest_lease, spent_leases
from tagger.storage import LocalRoot, Root, open_root

DAY = dt.date(2026, 11, 22)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def lease_of(root):
    leases = root.child("work", "locks", "2026-11-22")
    keys = [found.key for found in leases.list_objects()]
    return leases, keys[-1], Lease(**json.loads(leases.read_bytes(keys[-1])))


def put(root, lease):
    root.write_bytes("work/locks/2026-11-22/00000007.json", json.dumps(asdict(lease)).encode())


def own_lease(root):
    with Lock(root, str(DAY), 0):
        return lease_of(root)[2]


def until(happens):
    """Waits until it has happened, which the threads of a busy machine may take long for."""
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def refusing(error):
    """A method of a root that raises the error."""

    def refuse(*_):
        raise error

    return refuse


def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_held_date_is_refused_with_the_holder_named(root):
    with Lock(root, str(DAY), 0), pytest.raises(DateLocked, match=f"2026-11-22: process {os.getpid()}"):
        Lock(root, str(DAY), 0).__enter__()


def test_other_dates_are_free(root):
    with Lock(root, str(DAY), 0), Lock(root, str(DAY + dt.timedelta(1)), 0):
        pass


def test_a_released_date_is_free_at_once(root):
    for _ in range(3):
        with Lock(root, str(DAY), 0):
            pass
    assert lease_of(root)[2].released


def test_the_second_run_waits_for_the_first(root):
    first, released = Lock(root, str(DAY), 0).__enter__(), threading.Event()

    def release():
        released.set()
        first.release()

    threading.Timer(0.3, release).start()
    with Lock(root, str(DAY), 30):
        assert released.is_set()


def test_a_dead_process_of_this_host_is_taken_over_at_once(root):
    put(root, replace(own_lease(root), pid=dead_pid(), renewed_at=time.time()))
    with Lock(root, str(DAY), 0):
        pass


@pytest.mark.parametrize("elsewhere", [{"host": "other"}, {"boot_id": "container"}])
def test_a_process_elsewhere_is_believed_alive_until_its_lease_expires(root, elsewhere):
    lease = replace(own_lease(root), pid=dead_pid(), renewed_at=time.time(), **elsewhere)
    put(root, lease)
    with pytest.raises(DateLocked):
        Lock(root, str(DAY), 0).__enter__()
    put(root, replace(lease, renewed_at=time.time() - LEASE_S - 1))
    with Lock(root, str(DAY), 0):
        pass


def test_a_lease_from_a_clock_far_ahead_is_not_believed_until_then(root):
    put(root, replace(own_lease(root), host="other", renewed_at=time.time() + 30 * 86_400))
    with Lock(root, str(DAY), 0):
        pass


def test_the_holder_renews(root):
    with Lock(root, str(DAY), 0, renew_s=0.05):
        before = lease_of(root)[2].renewed_at
        until(lambda: lease_of(root)[2].renewed_at > before)


def test_a_holder_that_asks_knows_at_once_that_it_was_taken_over(root):
    with Lock(root, str(DAY), 0, renew_s=60) as lock:
        lock.check()
        put(root, Lease("other", "boot", 1, time.time()))
        with pytest.raises(DateLocked, match="took it over"):
            lock.check()


def test_a_holder_that_was_taken_over_stops_and_leaves_the_successor_alone(root):
    with Lock(root, str(DAY), 0, renew_s=0.05) as lock:
        successor = Lease("other", "boot", 1, time.time())
        put(root, successor)
        until(lambda: not lock.is_held)
        with pytest.raises(DateLocked, match="took it over"):
            lock.check()
    assert lease_of(root)[2] == successor


@pytest.mark.parametrize("error", [BadInput("ExpiredToken"), StorageUnavailable("no answer")])
def test_a_holder_renews_again_after_whatever_error_and_tells_an_outage_once(root, monkeypatch, caplog, error):
    tried = []

    def refuse(self, key, data):
        tried.append(key)
        raise error

    def outage():
        tried.clear()
        with monkeypatch.context() as denied:
            denied.setattr(LocalRoot, "write_bytes", refuse)
            until(lambda: len(tried) > 2)

    def renewed():
        before = lease_of(root)[2].renewed_at
        until(lambda: lease_of(root)[2].renewed_at > before)
        return caplog.text.count(f"could not be renewed, which is tried again: {error}")

    with Lock(root, str(DAY), 0, renew_s=0.02) as lock:
        outage()
        assert renewed() == 1 and lock.is_held
        outage()
        assert renewed() == 2 and lock.is_held
        lock.stop_if_taken()
    assert lease_of(root)[2].released


def test_why_a_lease_was_lost_is_told(root, monkeypatch):
    with Lock(root, str(DAY), 0, renew_s=0.02) as lock:
        with monkeypatch.context() as denied:
            denied.setattr("tagger.lease.LEASE_S", 0.1)
            denied.setattr(LocalRoot, "write_bytes", refusing(BadInput("Not allowed.")))
            until(lambda: not lock.is_held)
            with pytest.raises(DateLocked, match=r"was not renewed for 0 s \(Not allowed.\)"):
                lock.check()
            lock.stop_if_taken()  # storage may answer again before anybody wants the date


def test_a_run_at_work_hears_of_a_lost_lease_without_a_look(root):
    with Lock(root, str(DAY), 0, renew_s=0.02) as lock:
        lock.stop_if_taken()
        put(root, Lease("other", "boot", 1, time.time()))
        until(lambda: not lock.is_held)
        with pytest.raises(DateLocked, match="took it over"):
            lock.stop_if_taken()


@pytest.mark.parametrize("error", [BadInput("ExpiredToken"), StorageUnavailable("no answer")])
def test_a_date_that_cannot_be_given_back_expires_and_hides_no_other_error(root, monkeypatch, error):
    with pytest.raises(KeyError), Lock(root, str(DAY), 0, renew_s=60):
        monkeypatch.setattr(LocalRoot, "write_bytes", refusing(error))
        raise KeyError


def overwrite(root):
    """A lease at the holder's own number, as of a conditional write that also won, only later."""
    leases, key, _ = lease_of(root)
    winner = Lease("other", "boot", 1, time.time(), nonce="other")
    leases.write_bytes(key, json.dumps(asdict(winner)).encode())
    return winner


def test_a_holder_whose_number_another_won_too_leaves_the_last_writer_alone(root):
    with Lock(root, str(DAY), 0, renew_s=0.02) as lock:
        winner = overwrite(root)
        until(lambda: not lock.is_held)
        with pytest.raises(DateLocked, match="took it over"):
            lock.stop_if_taken()
    assert lease_of(root)[2] == winner


def test_a_holder_that_asks_knows_that_another_won_its_number_and_does_not_give_it_back(root):
    with Lock(root, str(DAY), 0, renew_s=60) as lock:
        winner = overwrite(root)
        with pytest.raises(DateLocked, match="took it over"):
            lock.check()
    assert lease_of(root)[2] == winner


@pytest.mark.parametrize(("age_s", "is_held"), [(0, True), (LEASE_S + 1, False)])
def test_a_lease_of_an_older_version_holds_as_it_did(root, age_s, is_held):
    older = {"host": "other", "boot_id": "boot", "pid": 1, "renewed_at": time.time() - age_s, "released": False}
    root.write_bytes("work/locks/2026-11-22/00000007.json", json.dumps(older).encode())
    with pytest.raises(DateLocked) if is_held else contextlib.nullcontext():
        Lock(root, str(DAY), 0).__enter__().release()


@pytest.mark.parametrize("name", [".DS_Store", ".nfs0001", "notes.txt", "notes.json", "00000099.json~"])
def test_a_file_that_is_no_lease_is_passed_over(root, name):
    root.write_bytes(f"work/locks/2026-11-22/{name}", b"stray")
    for number in (1, 2):
        with Lock(root, str(DAY), 0) as lock:
            lock.check()
            assert newest_lease(root, str(DAY)).pid == os.getpid()
            assert root.exists(f"work/locks/2026-11-22/{number:08d}.json")
    [(date, spent)] = spent_leases(root, time.time() + 2 * RESTS_S)
    assert (date, [found.key for found in spent]) == (DAY, ["work/locks/2026-11-22/00000001.json"])


def test_of_many_that_see_an_expired_lease_one_takes_it(root):
    put(root, Lease("other", "boot", 1, time.time() - LEASE_S - 1))
    taken, refused = [], []

    def take():
        try:
            taken.append(Lock(root, str(DAY), 0).__enter__())
        except DateLocked as error:
            refused.append(error)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 7)
    taken[0].__exit__(None, None, None)


class CarelessRoot(Root):
    """A storage whose conditional writes all win, as if each had come first; `all_of_them` meet before and after."""

    def __init__(self, uri, all_of_them):
        super().__init__(uri)
        self._place, self._all_of_them = open_root(uri), all_of_them
        self.read_bytes, self.write_bytes = self._place.read_bytes, self._place.write_bytes

    def child(self, *parts):
        return CarelessRoot(self._place.child(*parts).uri, self._all_of_them)

    def list_objects(self):
        found = list(self._place.list_objects())
        if not found:
            self._all_of_them.wait(60)
        return iter(found)

    def create_once(self, key, data):
        self.write_bytes(key, data)
        self._all_of_them.wait(60)
        return True


def test_where_all_conditional_writes_win_one_run_holds_the_date_all_the_same(root, monkeypatch):
    monkeypatch.setattr("tagger.lease.CONFIRM_S", 0.0)  # nobody looks again before all have written
    careless, outcomes = CarelessRoot(root.uri, threading.Barrier(6)), []

    def take():
        lock = Lock(careless, str(DAY), 0)
        try:
            lock.__enter__()
            outcomes.append(lock)
        except DateLocked:
            outcomes.append(None)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holders = [lock for lock in outcomes if lock]
    assert len(outcomes) == 6 and len(holders) == 1
    holders[0].release()
