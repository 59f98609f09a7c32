"""The demonstration begins in an empty folder or in its own, and deletes nothing else."""

import pytest

from tagger import demo
from tagger.config_file import load_config
from tagger.errors import ConfigError


class Drawing(Exception):
    """The folder was accepted."""


def begin(place):
    demo.run(load_config(None, [f"root={place}"]))


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch):
    def draw(*_, **__):
        raise Drawing

    monkeypatch.setattr(demo, "write_catalogue", draw)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("file", ["thesis.txt", "images/a.jpg", ".hidden"])
def test_a_folder_that_holds_anything_else_is_refused_and_left_as_it_is(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(ConfigError, match=f"{tmp_path} holds other files.*root=FOLDER"):
        begin(tmp_path)
    assert names(tmp_path) == before and (tmp_path / file).read_text() == "mine"


def test_an_earlier_demonstration_is_removed_and_the_new_one_may_be_replaced_too(tmp_path):
    folder = tmp_path / "demo"  # not there at first
    for _ in range(2):
        with pytest.raises(Drawing):
            begin(folder)
        assert len(names(folder)) == 1, "the mark alone"
        (folder / "images").mkdir()
        (folder / "images" / "a.jpg").write_bytes(b"drawn")


def test_an_empty_folder_will_do(tmp_path):
    with pytest.raises(Drawing):
        begin(tmp_path)


def test_a_bucket_is_refused():
    with pytest.raises(ConfigError, match="local folder"):
        begin("s3://bucket/shop")
