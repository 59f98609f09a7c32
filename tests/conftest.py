"""What every test gets: properties without deadlines, an environment that is put back, a Ray token of its own."""

import os
import secrets
import tempfile
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("tagger", deadline=None, max_examples=50)
hypothesis.settings.load_profile("tagger")


def pytest_configure(config):
    """A Ray token of these tests' own, before any test imports Ray, which reads it once.

    Ray keeps its token under the home folder otherwise, where it changes what the user's own clusters ask for.
    """
    folder = tempfile.TemporaryDirectory(prefix="ray-token-")
    config.add_cleanup(folder.cleanup)
    token = Path(folder.name, "token")
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))


@pytest.fixture(autouse=True)
def clean_environ():
    """The environment after a test is the one before it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def data():
    """The folder of labelled photos, which the project does not hold: TAGGER_DATA, else one beside the checkout."""
    folder = Path(os.environ.get("TAGGER_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TAGGER_DATA to the folder of the labelled photos")
    return folder
