"""Nodes may vanish while a wave of units is tagged: it goes on as long as it comes on."""

import json
from types import SimpleNamespace

import pytest

from tagger.errors import ClusterUnavailable, ConfigError, StorageUnavailable
from tagger.storage import open_root
from tagger.tag import waves
from tagger.tag.manifest import WorkUnit
from tagger.tag.pipeline import Stalled
from tagger.tag.preflight import Layout
from tagger.tag.progress import Worked

UNITS = [WorkUnit(f"{n}", "s", n * 10, 10) for n in range(5)]
TOLD = {"tagged": 8, "rejected_by_reason": json.dumps({"corrupt": 2}), "seconds": "{}", "residual": float("nan")}


LAYOUT = Layout(2, 1, 1, 4)


class Cluster:
    """Takes the place of the pipeline. Of each start: how many units it stages and tells of, how many it stages
    without a word, and how it ends."""

    def __init__(self, root, *starts):
        self.root, self.starts, self.asked, self.layouts = root, list(starts), [], []

    def __call__(self, units, job, layout, load_tagger, worked):
        told, silent, error = self.starts.pop(0)
        self.layouts.append(layout)
        self.asked.append([unit.name for unit in units])
        for n, unit in enumerate(units[: told + silent]):
            self.root.write_bytes(f"work/{job.stamp.run_id}/units/{unit.name}.parquet", b"")
            if n < told:
                worked.add(TOLD)
        if error:
            raise error


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setattr(waves, "_LOOK_EVERY_S", 0.01)
    job = SimpleNamespace(root=open_root(str(tmp_path)), stamp=SimpleNamespace(run_id="r"))

    def run(*starts, layout=lambda: LAYOUT):
        cluster, worked = Cluster(job.root, *starts), Worked(planned=50)
        monkeypatch.setattr(waves, "tag_units", cluster)
        try:
            waves.stage_wave(UNITS, job, layout, None, worked)
        except (ClusterUnavailable, StorageUnavailable) as error:
            return cluster, worked, str(error)
        return cluster, worked, ""

    return run


LOST = ClusterUnavailable("The cluster could not finish: a node died.")


def test_what_is_left_goes_on_with_new_workers_and_every_photo_counts_once(stage, caplog):
    cluster, worked, told = stage((1, 1, LOST), (1, 0, LOST), (2, 0, None))
    assert cluster.asked == [["0", "1", "2", "3", "4"], ["2", "3", "4"], ["3", "4"]] and told == ""
    assert (worked.done, worked.tagged, worked.staged_before) == (50, 32, 10)
    assert "a node died. The 3 units of this wave that are left go on with new workers" in caplog.text


def test_a_failure_after_the_last_unit_is_none(stage):
    cluster, worked, told = stage((3, 2, LOST))
    assert (len(cluster.asked), worked.done, told) == (1, 50, "")


def test_a_start_that_stages_nothing_ends_it_with_what_to_do(stage):
    cluster, worked, told = stage((2, 0, LOST), (0, 0, LOST))
    assert len(cluster.asked) == 2 and worked.done == 20
    assert told.startswith(f"{LOST} 20 photos are staged; start the command again")


def test_an_outage_of_the_store_is_not_tried_again_here(stage):
    cluster, _, told = stage((2, 0, StorageUnavailable("away")))
    assert (len(cluster.asked), told) == (1, "away")


def test_a_start_is_laid_out_for_the_nodes_that_are_left(stage):
    layouts = iter([LAYOUT, ClusterUnavailable("too small"), ConfigError("too little memory"), Layout(1, 1, 1, 1)])

    def layout():
        found = next(layouts)
        if isinstance(found, Exception):
            raise found
        return found

    cluster, _, told = stage((2, 0, LOST), (3, 0, None), layout=layout)
    assert cluster.layouts == [LAYOUT, Layout(1, 1, 1, 1)] and told == ""


def test_a_cluster_that_stays_too_small_ends_it_with_the_numbers(stage, monkeypatch):
    monkeypatch.setattr(waves, "NODES_BACK_S", 0.05)
    left = [LAYOUT]

    def layout():
        if not left:
            raise ClusterUnavailable("The cluster has 1 CPUs; the plan needs 2.")
        return left.pop()

    cluster, worked, told = stage((2, 0, LOST), layout=layout)
    assert (len(cluster.asked), worked.done, told) == (1, 20, "The cluster has 1 CPUs; the plan needs 2.")


def test_a_pipeline_that_hangs_is_not_started_again_beside_what_hangs(stage):
    cluster, _, told = stage((2, 0, Stalled("Nothing moves.")))
    assert (len(cluster.asked), told) == (1, "Nothing moves.")
