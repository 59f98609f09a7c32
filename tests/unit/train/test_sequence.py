"""What a training refuses before it costs anything."""

import json
import time
from unittest.mock import MagicMock

import pandas as pd
import pytest

from tagger.catalog.labels import Labels, LabelSpace
from tagger.config import Config, TrainConfig
from tagger.errors import BadInput, ConfigError, DateLocked
from tagger.model.bundle import SHIPPED
from tagger.storage import open_root
from tagger.train import sequence

LABELS = Labels(
    pd.DataFrame({"image_key": ["a"], "type": "Shirt", "color": "Red"}), LabelSpace(("Shirt",), ("Red",), {}, {})
)


@pytest.fixture
def shop(tmp_path):
    """A root where version 1 of the bundle `tagger` was trained by somebody else."""
    root = open_root(str(tmp_path))
    serving = json.loads((SHIPPED / "fashion-24x20" / "production.json").read_text())["version"]
    description = (SHIPPED / "fashion-24x20" / serving / "bundle.json").read_bytes()
    root.write_bytes("models/tagger/1/bundle.json", description)
    return root


def run(root, **train):
    return sequence.run(Config(root=root.uri, train=TrainConfig(**train)), LABELS)


def test_a_version_that_is_there_is_told_before_anything_is_decoded(shop):
    with pytest.raises(BadInput, match=r"models/tagger/1 exists already\. Give another train\.version\."):
        run(shop, version="1")
    assert not list(shop.list_objects("cache/"))


def test_a_training_that_is_not_there_cannot_be_resumed(shop):
    with pytest.raises(BadInput, match="There is no stopped training 'train-of-old'"):
        run(shop, resume="train-of-old")


def test_a_second_command_on_a_training_at_work_is_refused(shop, monkeypatch):
    monkeypatch.setattr("tagger.train.resume.PATIENCE_S", 0)
    refused = []

    def at_work(*_):
        with pytest.raises(DateLocked, match=r"Another run holds train-.*: process .* Wait until that training ends"):
            run(shop, resume="last")
        refused.append(True)

    monkeypatch.setattr(sequence, "_trained", at_work)
    run(shop)
    assert refused
    monkeypatch.setattr(sequence, "_trained", lambda *_: "goes on")
    assert run(shop, resume="last") == "goes on"  # the first has ended


def test_a_training_that_was_taken_over_ends_before_its_next_step(shop, monkeypatch):
    """As when its host slept, and somebody resumed it elsewhere."""
    monkeypatch.setattr("tagger.train.resume.RENEW_S", 0.02)
    stages = []

    def slept(stage, config, run_id, *_):
        stages.append(stage)
        shop.write_bytes(f"work/locks/{run_id}/00000002.json", b"{}")
        time.sleep(0.3)
        return []

    for name in ("_check_room", "_check_batch", "check_data", "_facts", "prepare_items"):
        monkeypatch.setattr(sequence, name, lambda *_: MagicMock())
    monkeypatch.setattr(sequence, "_stage", slept)
    with pytest.raises(DateLocked, match="another run took it over. .* start the command again to resume it"):
        run(shop)
    assert stages == ["type"]
    assert {found.key.split("/")[1] for found in shop.list_objects("models/")} == {"tagger"}


def test_where_nothing_was_started_nothing_is_the_last(tmp_path):
    with pytest.raises(BadInput, match="There is no stopped training under"):
        run(open_root(str(tmp_path)), resume="last")


def test_other_settings_are_not_resumed(shop):
    shop.write_bytes("work/train-1/train.json", json.dumps({"digest": "of other settings"}).encode())
    with pytest.raises(ConfigError, match="the settings, .* differ"):
        run(shop, resume="last")
