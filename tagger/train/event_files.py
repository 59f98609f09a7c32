"""TensorBoard's event files of a training, on a local disk or S3, without the package `tensorboard`."""

import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import open_root
from tagger.train.record import Point, TrainingRecord

_EVENTS = "events.out.tfevents."
"""TensorBoard reads the files of a folder that hold this, in the order of their names."""


class EventFiles:
    """`<uri>/<run id>` holds facts and final figures, `<uri>/<run id>/<stage>` the curves: one whole file a write.

    A file of curves is named by its last epoch, which is how a resumed training knows what is there.
    """

    failures: tuple[type[Exception], ...] = (BadInput, StorageUnavailable, OSError)

    def __init__(self, uri: str) -> None:
        self.label, self._root = f"train.tensorboard = {uri}", open_root(uri)
        self._written = set[str]()

    def check(self) -> None:
        """Write once and clean up. BadInput where that cannot work, StorageUnavailable on an outage."""
        try:
            self._root.write_bytes(".tagger", b"")
            self._root.delete(".tagger")
        except (BadInput, OSError) as error:
            raise BadInput(f"{self.label} cannot be written to: {error}. Name another folder.") from error

    def write(self, record: TrainingRecord) -> None:
        """Bring the folder up to date."""
        run, facts = record.facts.run_id, record.facts
        texts = {name: getattr(facts, name) for name in ("config", "items", "code_version", "data_digest")}
        self._once(f"{run}/{_EVENTS}{0:010d}.facts", [], texts)
        for stage in record.rows:
            points = record.of_stage(stage, after=self._last_epoch(f"{run}/{stage}/{_EVENTS}"))
            if points:
                self._once(f"{run}/{stage}/{_EVENTS}{points[-1].step:010d}", points, {})
        if record.figures:
            self._once(f"{run}/{_EVENTS}{1:010d}.figures", record.of_figures(), {})

    def _last_epoch(self, prefix: str) -> int:
        return max((int(found.key[len(prefix) :]) for found in self._root.list_objects(prefix)), default=0)

    def _once(self, key: str, points: list[Point], texts: Mapping[str, Any]) -> None:
        if key not in self._written:
            self._root.write_bytes(key, event_file(points, texts))
            self._written.add(key)


def event_file(points: Iterable[Point], texts: Mapping[str, Any]) -> bytes:
    """The bytes of an event file: numbers as scalars, texts as JSON for TensorBoard's page of texts.

    Made of TensorFlow's records and messages alone: `tf.summary` would start TensorFlow's runtime in the driver, which
    takes the GPU's memory from the workers, and its scalars need the package `tensorboard`.
    """
    import tensorflow as tf

    now = time.time()
    events = [tf.compat.v1.Event(wall_time=now, file_version="brain.Event:2")]
    for name, value in texts.items():
        summary = tf.compat.v1.Summary()
        text = summary.value.add(tag=name)
        text.metadata.plugin_data.plugin_name = "text"
        indented = "\n".join(f"    {line}" for line in json.dumps(value, indent=1).splitlines())
        text.tensor.CopyFrom(tf.make_tensor_proto(indented))
        events.append(tf.compat.v1.Event(wall_time=now, step=0, summary=summary))
    for point in points:
        summary = tf.compat.v1.Summary()
        summary.value.add(tag=point.name, simple_value=point.value)
        events.append(tf.compat.v1.Event(wall_time=now, step=point.step, summary=summary))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "events")
        try:
            with tf.io.TFRecordWriter(str(file)) as writer:
                for event in events:
                    writer.write(event.SerializeToString())
        except tf.errors.OpError as error:
            raise OSError(f"No event file could be made in {folder}: {error.message}") from error
        return file.read_bytes()
