"""What a training leaves in TensorBoard's files and in MLflow, read back from there; and what a failing place costs."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tagger.config import TrainConfig
from tagger.errors import BadInput, ConfigError
from tagger.train.record import TrainingFacts
from tagger.train.tracking import Tracker, open_sinks

CONFIG = {"train": {"width": 0.5, "head": [64], "resume": None, "name": "tagger"}, "catalog": {"fit": "pad"}}
FIGURES = {"type_accuracy": 0.91, "color_accuracy": 0.83, "note": "no number"}
CHECKOUT, BARE = Path(__file__).parents[3], {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
NOBODY = "http://127.0.0.1:9"


def facts(run_id="train-1", **changed):
    whole = {"config": CONFIG, "code_version": "0.1.0", "data_digest": "ab12", "items": {"fit": 800, "select": 100}}
    return TrainingFacts(run_id, **(whole | changed))


def row(stage, epoch, loss=None):
    return {"stage": stage, "epoch": epoch, "loss": loss or 1 / epoch, "is_best": epoch == 2, "seconds": 3.5}


def rows(stage, last, first=1):
    return [row(stage, epoch) for epoch in range(first, last + 1)]


def train(config, told=None, history=(), figures=None):
    with Tracker(open_sinks(config), told or facts()) as tracker:
        tracker.epochs(history)
        if figures is not None:
            tracker.finished(figures)


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_nothing_is_tracked_unless_asked_for():
    assert open_sinks(TrainConfig()) == []


# TensorBoard


def events_of(folder):
    """All events of the folder's own files, in the order in which TensorBoard reads them."""
    import tensorflow as tf

    files = sorted(str(file) for file in Path(folder).glob("*tfevents*"))
    records = tf.data.TFRecordDataset(files).as_numpy_iterator()
    return [tf.compat.v1.Event.FromString(record) for record in records]


def curve(folder, tag):
    """(step, value) of one scalar."""
    values = [(event.step, value) for event in events_of(folder) for value in event.summary.value]
    return [(step, round(value.simple_value, 6)) for step, value in values if value.tag == tag]


def text(folder, tag):
    (value,) = [v for event in events_of(folder) for v in event.summary.value if v.tag == tag]
    assert value.metadata.plugin_data.plugin_name == "text"
    return json.loads(value.tensor.string_val[0])


@pytest.fixture
def board(tmp_path):
    return TrainConfig(tensorboard=str(tmp_path / "board"))


def test_event_files_hold_every_number_of_every_epoch(board):
    train(board, history=[*rows("type", 3), *rows("color", 1)], figures=FIGURES)
    run = Path(board.tensorboard, "train-1")
    assert curve(run / "type", "type/loss") == [(1, 1.0), (2, 0.5), (3, 0.333333)]
    assert curve(run / "type", "type/is_best") == [(1, 0.0), (2, 1.0), (3, 0.0)]
    assert curve(run / "color", "color/seconds") == [(1, 3.5)]
    assert curve(run, "final/type_accuracy") == [(0, 0.91)] and curve(run, "final/note") == []


def test_an_event_file_starts_as_tensorboard_wants_it(board):
    train(board, history=rows("type", 1))
    first, *others = events_of(Path(board.tensorboard, "train-1", "type"))
    assert first.file_version == "brain.Event:2" and first.wall_time == pytest.approx(time.time(), abs=600)
    assert len(others) == 3


def test_event_files_hold_config_code_version_and_data_digest(board):
    train(board)
    run = Path(board.tensorboard, "train-1")
    assert text(run, "config") == CONFIG and text(run, "items") == {"fit": 800, "select": 100}
    assert text(run, "code_version") == "0.1.0" and text(run, "data_digest") == "ab12"


def test_event_files_of_a_resumed_training_hold_no_epoch_twice(board):
    train(board, history=rows("type", 2))
    train(board, history=rows("type", 4), figures=FIGURES)
    run = Path(board.tensorboard, "train-1")
    assert [step for step, _ in curve(run / "type", "type/loss")] == [1, 2, 3, 4]
    assert len(curve(run, "final/type_accuracy")) == 1


def test_more_than_nine_epochs_stay_in_order(board):
    with Tracker(open_sinks(board), facts()) as tracker:
        for epoch in range(1, 13):
            tracker.epochs([row("type", epoch)])
    assert [step for step, _ in curve(Path(board.tensorboard, "train-1", "type"), "type/loss")] == list(range(1, 13))


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"train\.tensorboard = .*file/board cannot be written to"):
        open_sinks(TrainConfig(tensorboard=str(tmp_path / "file" / "board")))
    with pytest.raises(BadInput, match="gs://bucket"):
        open_sinks(TrainConfig(tensorboard="gs://bucket"))


def test_a_folder_that_fails_later_is_told_once_and_made_good(board, caplog):
    with Tracker(open_sinks(board), facts()) as tracker:
        stage = Path(board.tensorboard, "train-1", "type")
        stage.touch()
        tracker.epochs(rows("type", 1))
        tracker.epochs(rows("type", 2))
        stage.unlink()
        tracker.epochs(rows("type", 3))
    (warning,) = warnings_in(caplog)
    assert "the training goes on" in warning and board.tensorboard in warning
    assert [step for step, _ in curve(stage, "type/loss")] == [1, 2, 3]


def test_event_files_leave_tensorflows_runtime_asleep():
    """A driver that wakes it takes the GPU from its workers. Threads can be set only while it sleeps."""
    code = """
import tensorflow as tf
from tagger.train.event_files import event_file
from tagger.train.record import Point
assert event_file([Point("a", 1, 2.0)], {"b": {}})
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.constant(1) + 1
try:
    tf.config.threading.set_inter_op_parallelism_threads(2)
except RuntimeError:
    print("awake only now")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT)
    assert done.stdout == "awake only now\n", done.stderr


# MLflow


@pytest.fixture
def store(tmp_path):
    return TrainConfig(mlflow=str(tmp_path / "ml flow"), name="shop")


def runs_in(store):
    """All runs of the training's experiment, and the client that reads them."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(Path(store.mlflow).as_uri())
    experiment = client.get_experiment_by_name(store.name)
    return client, client.search_runs([experiment.experiment_id])


def metric(store, name):
    client, (run,) = runs_in(store)
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_mlflow_holds_settings_code_and_data(store):
    train(store)
    _, (run,) = runs_in(store)
    assert run.data.params == {
        "train.width": "0.5",
        "train.head": "[64]",
        "train.resume": "null",
        "train.name": "tagger",
        "catalog.fit": "pad",
        "items.fit": "800",
        "items.select": "100",
    }
    tags = {"run_id": "train-1", "code_version": "0.1.0", "data_digest": "ab12", "mlflow.runName": "train-1"}
    assert run.data.tags == tags


def test_mlflow_holds_every_number_of_every_epoch(store):
    train(store, history=[*rows("type", 3), *rows("color", 1)], figures=FIGURES)
    assert metric(store, "type/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert metric(store, "type/is_best") == [(1, 0.0), (2, 1.0), (3, 0.0)]
    assert metric(store, "color/seconds") == [(1, 3.5)]
    assert metric(store, "final/color_accuracy") == [(0, 0.83)]
    _, (run,) = runs_in(store)
    assert run.info.status == "FINISHED" and "final/note" not in run.data.metrics


def test_more_numbers_than_one_call_may_carry(store):
    many = {f"settings.{number}": number for number in range(150)}
    train(store, facts(config=many), rows("type", 400))
    _, (run,) = runs_in(store)
    assert len(run.data.params) == 152 and len(metric(store, "type/loss")) == 400


def test_a_resumed_training_continues_its_mlflow_run(store):
    train(store, facts("train-0"), rows("type", 1))
    train(store, history=rows("type", 2))
    changed = {**CONFIG, "train": {**CONFIG["train"], "resume": "train-1"}}
    train(store, facts(config=changed), rows("type", 4), FIGURES)
    client, runs = runs_in(store)
    assert sorted(run.info.run_name for run in runs) == ["train-0", "train-1"]
    (run,) = [run for run in runs if run.info.run_name == "train-1"]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "type/loss")] == [1, 2, 3, 4]
    assert run.data.params["train.resume"] == "null" and run.data.tags["resumed.train.resume"] == "train-1"


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_stopped_training_is_marked_and_running_again_when_resumed(store, error, status):
    with pytest.raises(error), Tracker(open_sinks(store), facts()):
        raise error
    assert runs_in(store)[1][0].info.status == status
    with Tracker(open_sinks(store), facts()):
        assert runs_in(store)[1][0].info.status == "RUNNING"
    assert runs_in(store)[1][0].info.status == "FINISHED"


def test_a_gate_behind_the_figures_leaves_the_run_finished(store):
    with pytest.raises(BadInput), Tracker(open_sinks(store), facts()) as tracker:
        tracker.finished(FIGURES)
        raise BadInput("not promoted")
    assert runs_in(store)[1][0].info.status == "FINISHED"


def test_a_vanished_store_is_told_once(store, caplog):
    with Tracker(open_sinks(store), facts()) as tracker:
        Path(store.mlflow).rename(f"{store.mlflow} gone")
        tracker.epochs(rows("type", 1))
        tracker.epochs(rows("type", 2))
    (warning,) = warnings_in(caplog)
    assert "is gone" in warning


def test_a_server_that_is_down_is_told_once_and_quickly(caplog):
    started = time.monotonic()
    train(TrainConfig(mlflow=NOBODY), history=rows("type", 2), figures=FIGURES)
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"train.mlflow = {NOBODY}: the training goes on") and "Connection refused" in warning
    assert time.monotonic() - started < 30


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that knows nobody."""

    def do_GET(self):
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"who are you?")

    def log_message(self, *_):
        pass


def test_a_server_that_refuses_is_told_at_the_start():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(BadInput, match=r"train\.mlflow = http.*403.*who are you"):
            open_sinks(TrainConfig(mlflow=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://me:secret@127.0.0.1:9", "MLFLOW_TRACKING_USERNAME"),
        ("s3://bucket/runs", r"'s3://bucket/runs' is no place .* Give a folder"),
    ],
)
def test_a_wrong_uri_is_told_at_the_start(uri, words):
    with pytest.raises(ConfigError, match=words) as caught:
        open_sinks(TrainConfig(mlflow=uri))
    assert "secret" not in str(caught.value)


def test_an_mlflow_folder_that_cannot_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        with pytest.raises(BadInput, match=r"train\.mlflow = .* cannot be written to: .*Not a directory"):
            open_sinks(TrainConfig(mlflow=str(tmp_path / place)))


def test_a_missing_library_is_told_with_its_cure():
    code = """
import sys
sys.modules["mlflow"] = None
from tagger.config import TrainConfig
from tagger.train.tracking import open_sinks
open_sinks(TrainConfig(mlflow="runs"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT)
    assert "ConfigError" in done.stderr and "pip install mlflow-skinny" in done.stderr


def test_mlflow_phones_nobody_and_asks_no_git(tmp_path):
    """Every connection and every process that starts is an audit event of Python's."""
    code = f"""
import sys
told = []
names = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen")
sys.addaudithook(lambda name, arguments: told.append((name, *arguments)) if name in names else None)
from tagger.config import TrainConfig
from tagger.train.record import TrainingFacts
from tagger.train.tracking import Tracker, open_sinks
sinks = open_sinks(TrainConfig(mlflow={str(tmp_path / "runs")!r}))
with Tracker(sinks, TrainingFacts("a", {{}}, "0", "0", {{}})) as tracker:
    tracker.finished({{"accuracy": 1.0}})
print([call for call in told if "uname" not in call], "git" in sys.modules, "tensorflow" in sys.modules)
"""
    # Without this session's environment: MLflow keeps quiet by itself under pytest and in CI.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, env=BARE)
    assert done.stdout == "[] False False\n", done.stderr
