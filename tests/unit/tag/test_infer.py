import datetime as dt

import numpy as np
import pytest

from tagger.tag.infer import Batch, infer

DAY = dt.date(2026, 11, 22)


class Fake:
    """Answers each picture's first value; a value in `poison` fails its whole batch."""

    def __init__(self, poison=(), error=RuntimeError):
        self.poison, self.error, self.sizes = poison, error, []

    def tag(self, pixels, image_keys, run_date):
        assert len(pixels) == len(image_keys) and run_date == DAY
        self.sizes.append(len(pixels))
        values = pixels[:, 0, 0, 0]
        if np.isin(values, self.poison).any():
            raise self.error("poison")
        return {
            "type": list(image_keys), "focus": np.where(values == 1, np.nan, values / 2),
            "dominant_rgb": pixels[:, 0, 0].astype(np.int16), "logit_residual": float(values.max()),
        }  # fmt: skip


def batch(count):
    pixels = np.zeros((count, 2, 2, 3), np.uint8)
    pixels[:] = np.arange(count).reshape(-1, 1, 1, 1)
    return Batch(pixels, [f"k{n}" for n in range(count)], DAY)


def test_batches_answer_in_the_types_of_the_table():
    tagger = Fake()
    got = infer(tagger, batch(5), 2)
    assert tagger.sizes == [2, 2, 1] and got.kept == (0, 1, 2, 3, 4) and not got.failed
    assert got.answers["type"].to_pylist() == ["k0", "k1", "k2", "k3", "k4"]
    assert got.answers["focus"].to_pylist() == [0.0, None, 1.0, 1.5, 2.0]
    assert got.answers["dominant_rgb"].to_pylist()[3] == [3, 3, 3]
    assert got.max_logit_residual == 4.0 and "logit_residual" not in got.answers.column_names


def test_a_picture_on_which_the_networks_fail_is_put_aside():
    got = infer(Fake(poison=(1, 4)), batch(6), 3)
    assert got.kept == (0, 2, 3, 5) and got.failed == {1: "RuntimeError: poison", 4: "RuntimeError: poison"}
    assert got.answers["type"].to_pylist() == ["k0", "k2", "k3", "k5"]


def test_no_pictures_need_no_networks():
    tagger = Fake()
    got = infer(tagger, batch(0), 3)
    assert (tagger.sizes, got.kept, len(got.answers), got.max_logit_residual) == ([], (), 0, None)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_pictures_of_a_small_unit_may_fail(count):
    failed = infer(Fake(poison=range(9)), batch(count), 3).failed
    assert failed == dict.fromkeys(range(count), "RuntimeError: poison")


@pytest.mark.parametrize("count", [1, 4])
def test_an_engine_that_fails_on_everything_ends_the_run(count):
    with pytest.raises(RuntimeError, match="every picture, and on a plain grey one: poison"):
        infer(Fake(poison=range(256)), batch(count), 2)


def test_a_defect_is_not_a_failed_picture():
    with pytest.raises(TypeError):
        infer(Fake(poison=(1,), error=TypeError), batch(4), 2)


def test_a_column_that_the_table_lacks_is_a_defect():
    class Odd(Fake):
        def tag(self, pixels, image_keys, run_date):
            return {"mood": ["good"] * len(pixels)}

    with pytest.raises(KeyError):
        infer(Odd(), batch(1), 1)
