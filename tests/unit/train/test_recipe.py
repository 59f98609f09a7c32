"""The recipe: which side an epoch has, and how the step size follows the batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.config import Config, TrainConfig
from tagger.config_file import load_config
from tagger.errors import ConfigError
from tagger.storage import open_root
from tagger.train.recipe import Recipe, stage_plan, step_size

PLAN = {"batch_size": 64, "learning_rate": 1e-3, "schedule": "constant", "warmup_steps": 0, "weight_decay": 0.0,
        "label_smoothing": 0.0, "class_balance": 0.0, "averaging": 0.0}  # fmt: skip


def sides(epochs, sizes):
    recipe = Recipe(epochs=epochs, sizes=tuple(sizes), **PLAN)
    return [recipe.side(epoch) for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("epochs", "sizes", "expected"),
    [
        (4, [], [128, 128, 128, 128]),
        (4, [(64, 0.5)], [64, 64, 128, 128]),
        (8, [(64, 0.5), (96, 0.25)], [64, 64, 64, 64, 96, 96, 128, 128]),
        (3, [(64, 0.9)], [64, 64, 128]),  # the last epoch is at full size, whatever the shares round to
        (1, [(64, 0.9)], [128]),
    ],
)
def test_small_pictures_come_first(epochs, sizes, expected):
    assert sides(epochs, sizes) == expected


@given(st.integers(1, 40), st.lists(st.floats(0, 0.3), max_size=3))
def test_the_last_epoch_is_at_full_size_and_sides_never_shrink(epochs, shares):
    found = sides(epochs, zip((32, 64, 96), shares, strict=False))
    assert found[-1] == 128 and found == sorted(found)


@pytest.mark.parametrize(("scaling", "expected"), [("none", 1e-3), ("sqrt", 4e-3), ("linear", 16e-3)])
def test_the_step_size_follows_the_batch_as_told(scaling, expected):
    assert step_size(TrainConfig(learning_rate=1e-3, batch_size=1024, batch_scaling=scaling)) == pytest.approx(expected)


def test_shares_that_leave_no_full_size_are_refused():
    with pytest.raises(ConfigError, match=r"train\.sizes.*full size"):
        load_config(None, ["train.sizes={64: 0.6, 96: 0.4}"])


@pytest.mark.parametrize(
    ("stage", "transfer", "expected"), [("type", True, None), ("color", True, ("type.npz", 24)), ("color", False, None)]
)
def test_color_starts_from_types_trunk_where_wanted(tmp_path, stage, transfer, expected):
    config = Config(root=str(tmp_path), train=TrainConfig(transfer=transfer))
    plan = stage_plan(stage, config, "run", open_root(str(tmp_path)), {"type": 24, "color": 20})
    assert plan.transfer_from == expected and plan.classes == {"type": 24, "color": 20}[stage]


@pytest.mark.parametrize(("save_every", "expected"), [(None, None), (640, 10), (1, 1)])
def test_checkpoints_within_an_epoch_are_told_in_pictures(tmp_path, save_every, expected):
    config = Config(root=str(tmp_path), train=TrainConfig(save_every=save_every))
    plan = stage_plan("type", config, "run", open_root(str(tmp_path)), {"type": 2, "color": 2})
    assert plan.save_steps == expected
