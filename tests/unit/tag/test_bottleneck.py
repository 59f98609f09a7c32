import pytest

from tagger.tag.bottleneck import bottleneck, busy_s
from tagger.tag.preflight import Layout

LAYOUT = Layout(fetch_tasks=8, actors=2, stage_tasks=1, planning_tasks=4)


@pytest.mark.parametrize(
    ("seconds", "stage"),
    [
        # Eight processes fetched for 50 s each, two tagged for 90 s: tagging held up the rest, on less time in all.
        ({"download": 300.0, "decode": 100.0, "tag": 180.0, "stage": 5.0}, "tag"),
        # Neither stage of fetching alone is longer than tagging; a process that fetches does both.
        ({"download": 500.0, "decode": 300.0, "tag": 180.0, "stage": 5.0}, "download"),
        ({"download": 300.0, "decode": 500.0, "tag": 180.0, "stage": 5.0}, "decode"),
        # One process puts what ten others make.
        ({"download": 80.0, "decode": 80.0, "tag": 40.0, "stage": 30.0}, "stage"),
        ({}, None),
    ],
)
def test_the_bottleneck_is_the_stage_whose_processes_were_busiest(seconds, stage):
    assert bottleneck(busy_s(seconds, LAYOUT)) == stage


def test_time_is_shared_by_the_processes_of_a_stage():
    assert busy_s({"download": 8.0, "tag": 3.0, "stage": 2.0}, LAYOUT) == {"download": 1.0, "tag": 1.5, "stage": 2.0}
