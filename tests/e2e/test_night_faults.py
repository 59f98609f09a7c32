"""A few faults in short nights; `make faults-night` has all of them, in long ones."""

import json
import os
from contextlib import closing
from dataclasses import replace

import pytest

from tests.e2e.faulty_s3 import FaultyS3
from tests.e2e.night_cases import CASES
from tests.e2e.night_faults import Record, Series, Trial, is_wanting, table
from tests.e2e.night_scene import behind, running_ray
from tests.e2e.night_shop import Shop

# Ray starts slowly where other programs take the machine.
pytestmark = pytest.mark.timeout(900)
PHOTOS = 300


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A series over 300 photos, and the place of its trials: an S3 server behind a proxy, and a Ray that sees it so."""
    folder, before = tmp_path_factory.mktemp("nights"), dict(os.environ)
    with closing(Shop(folder, PHOTOS)) as shop, closing(FaultyS3(shop.endpoint)) as proxy:
        with running_ray(3, {"AWS_ENDPOINT_URL": proxy.uri}) as cluster:
            os.environ["RAY_ADDRESS"] = cluster.address
            yield Series(folder, shop), behind(proxy)
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(
    "name",
    [
        "killed-units-s3",
        "actor-killed",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("killed-tags-s3", "resets")),
    ],
)
def test_after_a_fault_the_same_command_ends_as_an_undisturbed_night(stage, name):
    series, place = stage
    trial = series.run(replace(CASES[name], place=place), 0)
    assert trial.problems == () and trial.strikes and trial.codes[-1] == 0


def test_a_trial_that_is_recorded_is_not_made_again_and_stands_in_the_table(tmp_path):
    case, file = CASES["nodes-killed"], tmp_path / "trials.jsonl"
    Record(file).add(Trial(case.name, 0, 7, 300, (5, -9, 0), repeats=2, strikes=30, seconds=60.4))
    [line] = file.read_text().splitlines()
    assert json.loads(line)["codes"] == [5, -9, 0]
    made = Record(file).of(case)
    assert is_wanting(case, made, None) and is_wanting(case, made, 2) and not is_wanting(case, made, 1)
    assert not is_wanting(case, [*made, replace(made[0], number=1)], None)
    assert f"| `nodes-killed` | {case.words} | 1 | 1 | 5 → killed → 0 (1x) | 30 | 0 | 60 |" in table(Record(file))
