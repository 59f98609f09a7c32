"""A shop on disk: 40 labelled photos in near-duplicate pairs, half of them of the role calibrate, and one bundle."""

import cv2
import numpy as np
import pandas as pd

from tagger.flags.reasons import Thresholds
from tagger.model.bundle import BundleInfo, save_bundle
from tagger.storage import open_root
from tests.unit.model.networks import tiny_network

THRESHOLDS = Thresholds(0.5, 0.5, 0.2, 0.5, 3.0, 1.0, 0.01)
INFO = BundleInfo(
    name="shop",
    version="1",
    classes={"type": ("Shirt", "Belt"), "color": ("Black", "White", "Red")},
    temperatures={"type": 1.25, "color": 2.0},
    width=0.05,
    fit="stretch",
    focus_map="class",
    focus_cut="post_bn",
    thresholds=THRESHOLDS.to_dict(),
    color_reference={},
    scope_reference={},
    metrics={
        "mean_focus": 0.4,
        "type": {"accuracy": 0.8},
        "flagged_share": 0.123,
        "passing_type_precision": 0.987,
        "passing_color_precision": None,
    },  # fmt: skip
    provenance={"run_id": "r"},
)
CARD = "# shop, version 1\n\nTags product photos.\n\n## Data\n\nMany.\n\n## Review\n\nOld.\n\n## Limits\n\nSome.\n"


def make_shop(folder, split="val"):
    """The shop in an empty folder, whose path it returns; its bundle is models/shop/1."""
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        picture = np.full((48, 48, 3), 240, np.uint8)
        picture[12:36, 12:36] = rng.integers(0, 256, 3)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
    keys = [f"{number}.png" for number in range(40)]
    table = pd.DataFrame({"image_key": keys, "type": ["Shirt", "Belt"] * 20, "color": ["Black", "Red"] * 20})
    table = table.assign(split=split, group=[f"g{n // 2}" for n in range(40)])
    table.to_csv(folder / "labels/labels.csv", index=False)
    save_shop_bundle(folder, INFO)
    return folder


def save_shop_bundle(folder, info, seeds=(1, 2)):
    """A bundle of random weights under models/shop/<version>."""
    networks = {
        name: tiny_network(len(info.classes[name]), seed=seed) for name, seed in zip(info.classes, seeds, strict=True)
    }
    save_bundle(open_root(str(folder / "models/shop" / info.version)), info, networks, {"MODEL_CARD.md": CARD})
