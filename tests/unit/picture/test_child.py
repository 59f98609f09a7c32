"""What a child says on the wire, and what it must not load or print."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from tagger.picture.child import pack_answer, unpack_answer
from tagger.picture.decode import DecodedPhoto, Reject

PICTURE = DecodedPhoto(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), 640, 480, "JPEG", -(2**63), True)


def run(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def test_a_picture_comes_back_as_it_was():
    answer = unpack_answer(pack_answer(PICTURE), 4)
    assert (answer.pixels == PICTURE.pixels).all() and not answer.pixels.flags.writeable
    assert (answer.width, answer.height, answer.format, answer.phash) == (640, 480, "JPEG", -(2**63))
    assert answer.is_turned


def test_a_reject_comes_back_as_it_was():
    reject = Reject("corrupt", "line\nbreak, ünicode")
    assert unpack_answer(pack_answer(reject), 4) == reject


def told(**facts):
    """A picture's answer with other facts, as only a child says it that a photo has taken over."""
    line, _, pixels = pack_answer(PICTURE).partition(b"\n")
    return json.dumps(json.loads(line) | facts).encode() + b"\n" + pixels


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"garbage",
        pack_answer(PICTURE)[:-1],
        b"{}\n" + b"x" * 48,
        b"5\n",
        b"[" * 50_000,
        b'{"reason": "corrupt"}\n',
        told(width=None),
        told(width=float("inf")),
        told(height=0),
        told(phash=2**63),
    ],
)
def test_anything_else_is_an_error(message):
    with pytest.raises(ValueError, match="."):
        unpack_answer(message, 4)


def test_a_child_loads_neither_tensorflow_nor_ray_nor_a_client_of_storage():
    loaded = run("import sys, tagger.picture.child; print(*sys.modules)").stdout.split()
    assert not {"tensorflow", "keras", "ray", "boto3", "pyarrow", "pydantic"} & set(loaded)


ORPHAN = """
from multiprocessing import Pipe
import time
from tagger.picture import child
from tagger.picture.decode import DecodeLimits
from tagger.picture.fit import Fit
parent, connection = Pipe()
parent.send_bytes(b"photo")
child._ORPHAN_GRACE_S = 0.3
child.decode_photo = lambda *_: time.sleep(30)  # as long as nobody ends it
child.serve(connection, Fit(), DecodeLimits(wall_s=0.1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limits on children need Linux")
def test_a_child_whose_photo_takes_too_long_ends_itself_where_no_parent_does():
    ended = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGALRM, ended.stderr


def test_noise_of_c_libraries_is_silenced_and_tracebacks_are_not():
    code = "import os; from tagger.picture import child; child._silence_c_libraries(); os.write(2, b'noise'); 1 / 0"
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run(code)
    assert "ZeroDivisionError" in failure.value.stderr and "noise" not in failure.value.stderr
