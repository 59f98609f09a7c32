"""Which checkpoints a stage looks through where Ray's list of them is lost."""

import pytest

from tagger.model.shape import NetworkShape
from tagger.picture.augment import Augmentation
from tagger.train.recipe import Recipe, StagePlan
from tagger.train.stage import left_checkpoints

REGISTER = "stage-type/checkpoint_manager_snapshot.json"


@pytest.fixture
def plan(tmp_path):
    """A stage with two checkpoints."""
    plan = StagePlan(
        "type", str(tmp_path), "unused", "run", 3, NetworkShape(), Recipe(1, 8, 0.1, "constant", 0, 0, 0, 0, 0, ()),
        Augmentation(), "float32", 0, 1,
    )  # fmt: skip
    for name in ("checkpoint_2026-11-26_02", "checkpoint_2026-11-26_01"):
        plan.work.write_bytes(f"stage-type/{name}/state.json", b"{}")
    return plan


def names(plan):
    return [checkpoint.path.rsplit("/", 1)[1] for checkpoint in left_checkpoints(plan)]


def test_what_ray_has_listed_is_left_to_ray(plan):
    plan.work.write_bytes(REGISTER, b"{}")
    assert names(plan) == []


def test_a_damaged_list_does_not_stand_between_a_second_start_and_the_checkpoints(plan):
    plan.work.write_bytes(REGISTER, b'{"checkpoint_res')
    found = names(plan)
    assert found == ["checkpoint_2026-11-26_01", "checkpoint_2026-11-26_02"]
    assert not plan.work.exists(REGISTER)
    assert names(plan) == found


def test_a_fresh_stage_has_none(plan):
    for found in list(plan.work.list_objects("stage-type/")):
        plan.work.delete(found.key)
    assert names(plan) == []
