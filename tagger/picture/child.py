"""The program of a decode child: photos in, pictures or reasons out, through one connection, until that closes.

Started by `children.py` as `python -m tagger.picture.child` and not by multiprocessing, whose children import the
parent's main module again. It answers in plain bytes and not in pickles: whoever takes over a decoder stays in here.
"""

import io
import json
import logging
import os
import resource
import signal
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import NoReturn

import numpy as np
from PIL import AvifImagePlugin, Image

from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit

READY = b"ready"
NO_MEMORY_STATUS = 12
"""Exit status of a child that has no memory for the photo's own bytes (ENOMEM)."""

STARVED_WAITS = 4
"""Wall limits that the parent waits at most, where the machine is too busy to let the child work."""

# This much later than its parent would end it the child ends itself, should the parent be gone.
_ORPHAN_GRACE_S = 5.0


def pack_answer(answer: DecodedPhoto | Reject) -> bytes:
    """One line of JSON, then the bytes of the pixels where there are any."""
    if isinstance(answer, Reject):
        return json.dumps(asdict(answer)).encode() + b"\n"
    facts = {name: getattr(answer, name) for name in ("width", "height", "format", "phash", "is_turned")}
    return json.dumps(facts).encode() + b"\n" + answer.pixels.tobytes()


def unpack_answer(message: bytes, size_px: int) -> DecodedPhoto | Reject:
    """Inverse of `pack_answer`; the pixels are a read-only view of the message. Raises ValueError for anything else."""
    try:
        return _unpacked(message, size_px)
    except (LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"not an answer of a decode child: {error}") from error


def _unpacked(message: bytes, size_px: int) -> DecodedPhoto | Reject:
    line, _, pixels = message.partition(b"\n")
    facts = json.loads(line)
    if "reason" in facts:
        return Reject(str(facts["reason"]), str(facts["detail"]))
    picture = np.frombuffer(pixels, np.uint8).reshape(size_px, size_px, 3)
    width, height, phash = int(facts["width"]), int(facts["height"]), int(facts["phash"])
    if not (0 < width < 2**31 and 0 < height < 2**31 and -(2**63) <= phash < 2**63):
        raise ValueError("no photo has such a size or such a hash")
    return DecodedPhoto(picture, width, height, str(facts["format"]), phash, bool(facts["is_turned"]))


def serve(connection: Connection, fit: Fit, limits: DecodeLimits) -> NoReturn:
    """Answers photo by photo. Raises EOFError or ConnectionError when the other side closes the connection.

    MemoryError where the photo's own bytes, or its answer's, do not fit.
    """
    connection.send_bytes(READY)
    while True:
        photo = connection.recv_bytes()
        signal.setitimer(signal.ITIMER_REAL, STARVED_WAITS * limits.wall_s + _ORPHAN_GRACE_S)
        connection.send_bytes(pack_answer(decode_photo(photo, fit, limits)))
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_address_space(headroom_bytes: int) -> None:
    """Lets this process take so much more address space than it has now; more fails as a MemoryError. Linux only."""
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            taken = int(statm.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (taken + headroom_bytes, hard))


def main(arguments: list[str]) -> None:
    """Arguments: the number of the inherited socket, the fit as JSON, the limits as JSON."""
    fit, limits = Fit(**json.loads(arguments[1])), DecodeLimits(**json.loads(arguments[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the parent decides
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there are as many children as there are cores to use
    _silence_c_libraries()
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it would say of a photo is in the photo's reject
    _load_lazy_libraries(fit)
    limit_address_space(limits.memory_bytes)
    try:
        serve(Connection(int(arguments[0])), fit, limits)
    except MemoryError:
        sys.exit(NO_MEMORY_STATUS)
    except (EOFError, ConnectionError):
        pass


def _load_lazy_libraries(fit: Fit) -> None:
    """The first picture imports scipy, which is neither to count against its time nor against its memory."""
    photo = io.BytesIO()
    Image.new("RGB", (64, 64)).save(photo, "PNG")
    decode_photo(photo.getvalue(), fit, DecodeLimits())


def _silence_c_libraries() -> None:
    """libtiff reports every broken file on file descriptor 2; Python's own messages keep the old one."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1:])
