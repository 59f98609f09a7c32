"""A nightly run that can be stopped in its middle: `python -m tests.e2e.slow_night ROOT SECONDS_A_BATCH`.

The whole command but for its Tagger, which needs no TensorFlow and takes its time.
"""

import datetime as dt
import sys
import time

from tagger.cluster import connected
from tagger.config import Config, RayConfig, TagConfig
from tagger.entry import finish
from tagger.picture.fit import Fit
from tagger.tag import night

DAY = dt.date(2026, 11, 22)


class SlowTagger:
    """Black or white by the mean, after `pause_s`."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s

    def tag(self, pixels, image_keys, run_date):
        time.sleep(self.pause_s)
        means = pixels.reshape(len(pixels), -1).mean(axis=1)
        colors = ["White" if mean > 128 else "Black" for mean in means]
        constant = {
            "type": "Shirt", "type_confidence": 1.0, "type_top3": [{"label": "Shirt", "p": 1.0}],
            "color_confidence": 1.0, "focus": 0.5, "focus_map": "class/post_bn", "risk": 0.25, "audit_probability": 0.0,
            "model_name": "slow", "model_version": "v1", "engine": "slow",
        }  # fmt: skip
        return {name: [value] * len(pixels) for name, value in constant.items()} | {
            "color": colors,
            "color_top3": [[{"label": color, "p": 1.0}] for color in colors],
            "needs_review": [color == "White" for color in colors],
            "review_reasons": [["low_focus"] if color == "White" else [] for color in colors],
        }


def load(uri: str) -> SlowTagger:
    """The bundle's place says how slow it is."""
    return SlowTagger(float(uri))


def tag_slowly(root: str, pause_s: str) -> None:
    """One night with units of 4 photos."""
    tag = TagConfig(unit_size=4, batch_size=4, decode_children=1, lock_wait_s=0, max_reject_share=0.5)
    config = Config(root=root, date=DAY, tag=tag, ray=RayConfig(num_cpus=2, object_store_mb=100))
    with connected(config.ray):
        summary = night.run(config, night.Serving(pause_s, "slow", "v1", Fit(), load))
    print(summary.status, summary.tagged)


if __name__ == "__main__":
    finish(lambda: tag_slowly(*sys.argv[1:]), told=True)
