"""Decode children: order, limits, deaths, and ending together with their parent."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from odd_photos import tiff
from photos import encoded, large, plain, scene, slow

from tagger.errors import ClusterUnavailable
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit

FIT, LIMITS = Fit(), DecodeLimits()
SMALL, LARGE, SLOW = encoded(scene(), "JPEG"), large(), slow()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits on children need Linux")


@pytest.fixture(scope="module")
def children():
    with DecodeChildren(2, FIT, LIMITS) as started:
        yield started


def reasons(answers):
    return [answer.reason if isinstance(answer, Reject) else "picture" for answer in answers]


def address_space(pid):
    return psutil.Process(pid).memory_info().vms


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Killer(threading.Thread):
    """Sends a signal to children that are seen decoding the large photo, so many times, until all is over."""

    def __init__(self, children, how, times):
        super().__init__()
        self.children, self.how, self.left = children, how, times
        self.idle_bytes = address_space(children.pids()[0])
        self.killed, self.over = set(), threading.Event()

    def run(self):
        while len(self.killed) < self.left and not self.over.wait(0.002):
            for pid in set(self.children.pids()) - self.killed:
                with suppress(psutil.NoSuchProcess):
                    if address_space(pid) > self.idle_bytes + 40_000_000:
                        psutil.Process(pid).send_signal(self.how)
                        self.killed.add(pid)


def killed_while_decoding(how, times):
    with DecodeChildren(1, FIT, LIMITS) as children:
        children.decode([SMALL])
        killer = Killer(children, how, times)
        killer.start()
        answers = children.decode([SMALL, LARGE, SMALL])
        killer.over.set()
        killer.join()
        assert len(killer.killed) == times
        return answers


def test_answers_equal_those_of_this_process_in_the_order_of_the_photos(children):
    photos = [encoded(plain((shade, 0, 0)), "PNG") for shade in range(0, 250, 10)] + [b"", b"text", SMALL]
    for answer, photo in zip(children.decode(photos), photos, strict=True):
        expected = decode_photo(photo, FIT, LIMITS)
        if isinstance(expected, DecodedPhoto):
            assert (answer.pixels == expected.pixels).all() and answer.phash == expected.phash
        else:
            assert answer == expected


def test_no_photos_give_no_answers(children):
    assert children.decode([]) == []


def test_several_threads_may_ask_at_once(children):
    lots = [[encoded(plain((shade, 0, 0)), "PNG")] * 20 for shade in (50, 100, 150)]
    seen = {}
    threads = [threading.Thread(target=lambda n=n: seen.update({n: children.decode(lots[n])})) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [{int(answer.pixels[0, 0, 0]) for answer in seen[n]} for n in range(3)] == [{50}, {100}, {150}]


def test_children_carry_no_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with DecodeChildren(1, FIT, LIMITS) as children:
        assert reasons(children.decode([SMALL])) == ["picture"]
        assert b"secret" not in Path(f"/proc/{children.pids()[0]}/environ").read_bytes()


def test_a_photo_over_the_wall_limit_is_given_up_and_its_neighbours_are_not():
    with DecodeChildren(1, FIT, DecodeLimits(wall_s=0.7)) as children:
        before = children.pids()
        assert reasons(children.decode([SMALL, SLOW, SMALL])) == ["picture", "decode_timeout", "picture"]
        assert children.pids() != before


@pytest.mark.parametrize(("wall_s", "stopped_s", "expected"), [(2, 2.5, "picture"), (0.5, 60, "decode_timeout")])
def test_a_child_that_the_machine_does_not_let_work_is_waited_for_but_not_for_ever(wall_s, stopped_s, expected):
    with DecodeChildren(1, FIT, DecodeLimits(wall_s=wall_s)) as children:
        children.decode([SMALL])
        child = children.pids()[0]
        os.kill(child, signal.SIGSTOP)
        wake = threading.Timer(stopped_s, os.kill, (child, signal.SIGCONT))
        wake.start()
        answers = reasons(children.decode([SMALL, SMALL]))
        wake.cancel()
        assert answers == [expected, "picture"]


def test_a_child_that_does_not_even_take_its_photo_is_not_waited_for_for_ever():
    with DecodeChildren(1, FIT, DecodeLimits(wall_s=0.5)) as children:
        children.decode([SMALL])
        os.kill(children.pids()[0], signal.SIGSTOP)
        started = time.monotonic()
        answers = children.decode([SMALL + bytes(2_000_000), SMALL])
        assert reasons(answers) == ["decode_timeout", "picture"]
        assert time.monotonic() - started < 30


def test_a_photo_over_the_memory_limit_is_given_up_and_its_child_lives_on():
    with DecodeChildren(1, FIT, DecodeLimits(memory_bytes=100_000_000)) as children:
        before = children.pids()
        assert reasons(children.decode([SMALL, LARGE, SMALL])) == ["picture", "decode_memory", "picture"]
        assert children.pids() == before


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("WebP", {"method": 0}),
        ("WebP", {"method": 0, "lossless": True}),
        ("AVIF", {"speed": 10}),
    ],
)
def test_a_good_photo_over_the_memory_limit_is_not_called_corrupt(name, options):
    photo = encoded(plain((10, 200, 30), size=(2500, 2000)), name, **options)
    with DecodeChildren(1, FIT, DecodeLimits(memory_bytes=10_000_000)) as children:
        assert reasons(children.decode([photo, SMALL])) == ["decode_memory", "picture"]


def test_a_photo_that_fits_into_no_memory_itself_is_given_up_and_its_neighbours_are_not():
    with DecodeChildren(1, FIT, DecodeLimits(memory_bytes=20_000_000)) as children:
        assert reasons(children.decode([SMALL, SMALL + bytes(60_000_000), SMALL])) == [
            "picture", "decode_memory", "picture"
        ]  # fmt: skip


TAKEN_OVER = """
    from multiprocessing.connection import Connection
    import os, sys
    connection = Connection(int(sys.argv[-3]))
    connection.send_bytes(b"ready")
    while connection.recv_bytes():
        {sends}
"""


@pytest.fixture
def take_over(monkeypatch, tmp_path):
    """Has the next children send something else than an answer."""

    def taken_over(sends):
        interpreter = tmp_path / "python"
        (tmp_path / "child.py").write_text(textwrap.dedent(TAKEN_OVER.replace("{sends}", sends)))
        interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/child.py "$@"\n')
        interpreter.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(interpreter))

    return taken_over


@pytest.mark.parametrize("answer", ["bytes(10**8)", "b'no answer'", "b'{}'"])
def test_a_child_that_answers_anything_else_counts_as_dead(take_over, answer):
    take_over(f"connection.send_bytes({answer})")
    with DecodeChildren(1, FIT, LIMITS) as children:
        assert reasons(children.decode([SMALL])) == ["decode_crashed"]


def test_a_child_that_stops_within_its_answer_is_not_waited_for_for_ever(take_over):
    take_over("os.write(connection.fileno(), bytes([0, 0, 1, 0, 0]))")  # 256 bytes are to come
    with DecodeChildren(1, FIT, DecodeLimits(wall_s=0.5)) as children:
        assert reasons(children.decode([SMALL])) == ["decode_timeout"]


def test_the_large_photo_is_a_picture_under_the_default_limits(children):
    assert reasons(children.decode([LARGE])) == ["picture"]
    assert max(map(address_space, children.pids())) < 1.5 * 2**30


def test_a_photo_longer_than_the_limit_never_reaches_a_child():
    with DecodeChildren(1, FIT, DecodeLimits(max_bytes=len(SMALL))) as children:
        assert reasons(children.decode([SMALL + b"\0", SMALL])) == ["file_too_large", "picture"]


@pytest.mark.parametrize(
    ("how", "times", "expected"),
    [
        (signal.SIGSEGV, 2, "decode_crashed"),
        (signal.SIGKILL, 2, "decode_memory"),  # what the kernel sends when memory runs out
        (signal.SIGKILL, 1, "picture"),  # one death may be somebody else's fault
    ],
)
def test_a_death_is_blamed_on_the_one_photo_in_hand(how, times, expected):
    assert reasons(killed_while_decoding(how, times)) == ["picture", expected, "picture"]


def test_a_crash_is_named():
    assert "SIGABRT" in killed_while_decoding(signal.SIGABRT, 2)[1].detail


def test_what_the_libraries_say_of_a_photo_is_not_printed(children, capfd):
    boastful = tiff([(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (277, 3, 1, 65535)])
    assert reasons(children.decode([boastful] * 2)) == ["corrupt"] * 2
    assert capfd.readouterr().err == ""


def test_a_child_that_died_idle_costs_nothing(children):
    os.kill(children.pids()[0], signal.SIGKILL)
    assert reasons(children.decode([SMALL] * 4)) == ["picture"] * 4


def test_a_child_that_dies_while_it_starts_costs_nothing():
    with DecodeChildren(1, FIT, LIMITS) as children:
        os.kill(children.pids()[0], signal.SIGKILL)
        assert reasons(children.decode([SMALL])) == ["picture"]


def test_a_child_that_cannot_start_is_an_error_and_not_a_reject(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        DecodeChildren(1, FIT, LIMITS) as children,
        pytest.raises(ClusterUnavailable, match="/bin/false on .*status 1"),
    ):
        children.decode([SMALL])


def test_a_node_without_room_for_a_process_is_told(monkeypatch):
    def no_room(*_, **__):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", no_room)
    with pytest.raises(ClusterUnavailable, match=r"can start no decode child: .*Resource temporarily unavailable"):
        DecodeChildren(1, FIT, LIMITS)


def test_no_child_at_all_is_refused():
    with pytest.raises(ValueError, match="Received: 0"):
        DecodeChildren(0, FIT, LIMITS)


def test_closing_ends_the_children():
    children = DecodeChildren(2, FIT, LIMITS)
    children.close()
    assert not any(psutil.pid_exists(pid) for pid in children.pids())


PARENT = """
    import os, signal
    from tagger.picture.children import DecodeChildren
    from tagger.picture.decode import DecodeLimits
    from tagger.picture.fit import Fit
    children = DecodeChildren(2, Fit(), DecodeLimits())
    children.decode([b"text", b"text"])
    print(*children.pids(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_children_end_when_their_parent_is_killed_and_never_run_its_main_module(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    (tmp_path / "json.py").write_text("raise ImportError('the working directory is not searched')")
    printed = subprocess.run([sys.executable, "-P", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    lines = printed.stdout.splitlines()
    assert len(lines) == 1, printed.stderr
    deadline = time.monotonic() + 10
    while any(is_running(int(pid)) for pid in lines[0].split()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
