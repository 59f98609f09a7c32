"""Which picture kills its process? A restarted actor notes what it begins, so that the next one knows on what it died.

A crash in a kernel is no exception that could be caught. An actor that never died notes nothing, for that takes a small
request a batch.
"""

import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tagger.storage import Root
from tagger.tag.infer import Pixels, TaggerLike

DEATHS = 2
"""So often a process dies on a picture alone before that is the picture's fault: nodes are lost, memory runs out."""


class Noted:
    """A Tagger for one unit that refuses what earlier processes died on: a batch, and a picture alone the second time.

    `infer` takes a refused batch apart, and rejects a refused picture. Notes are kept under work/<run_id>/noted/.
    Every method raises StorageUnavailable on an outage.
    """

    def __init__(self, tagger: TaggerLike, root: Root, run_id: str, unit: str) -> None:
        self._tagger = tagger
        self._root = root
        self._key = f"work/{run_id}/noted/{unit}.json"
        self._deaths = self._told()

    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> Mapping[str, Any]:
        """What the Tagger says, noted before. RuntimeError where processes died on these pictures."""
        part = f"{image_keys[0]} and {len(image_keys) - 1} more"
        if self._deaths[part] >= (DEATHS if len(image_keys) == 1 else 1):
            raise RuntimeError(f"the process that tags died on it {self._deaths[part]} times")
        self._note(part)
        return self._tagger.tag(pixels, image_keys, run_date)

    def finish(self) -> None:
        """The unit is done; its actor may die of something else now."""
        self._note(None)

    def _told(self) -> Counter[str]:
        try:
            told = json.loads(self._root.read_bytes(self._key))
        except FileNotFoundError:
            return Counter()
        deaths = Counter[str](told["deaths"])
        deaths.update([told["begun"]] if told["begun"] else [])
        return deaths

    def _note(self, begun: str | None) -> None:
        self._root.write_bytes(self._key, json.dumps({"deaths": self._deaths, "begun": begun}).encode())
