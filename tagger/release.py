"""Which code this is, for what is recorded of a run: the release, and a digest of its files."""

import functools
import hashlib
from pathlib import Path

from tagger import __version__


@functools.cache
def code_version() -> str:
    """As "0.1.0+3f2a9c0d1e4b": the release, and the first 48 bits of a SHA-256 over this package's Python files."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{__version__}+{digest.hexdigest()[:12]}"
