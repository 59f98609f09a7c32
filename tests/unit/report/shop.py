"""A small shop for drawings: photos on disk and committed rows about them."""

import datetime as dt
import io
from pathlib import Path

import numpy as np
from PIL import Image

from tagger.storage import Root, open_root
from tagger.tables.store import Tables
from tests.tables_rows import commit_unit, reject, tag, unit

NEXT_DAY = dt.date(2026, 11, 23)
MAPS = {
    "type_cam": bytes([0] * 32 + [255] * 32), "color_cam": bytes([255] * 32 + [0] * 32),
    "product_mask": bytes([0] * 48 + [0, 255, 255, 0] * 8 + [0] * 48),
}  # fmt: skip


def photo(width: int = 60, height: int = 80, color: tuple[int, int, int] = (200, 30, 40), **options: object) -> bytes:
    """A picture of one color as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), color, np.uint8)).save(stream, format="JPEG", **options)
    return stream.getvalue()


def row(key: str, run_id: str = "r1", **values: object) -> dict[str, object]:
    """A row of `tags` with all that drawings read; focus 0.5 on a mask that is believed."""
    known = {
        "type_confidence": 0.9, "color_confidence": 0.8, "focus": 0.5, "cam_on_product": 0.6, "mask_quality": 0.9,
        "model_name": "m", "model_version": "1", "width": 60, "height": 80, "focus_map": "class/post_bn",
    }  # fmt: skip
    return tag(key, run_id, **(MAPS | known | values))


def shop(folder: Path, *rows: dict[str, object], rejects: tuple[str, ...] = ()) -> Root:
    """A root in which every photo is there, and the rows are committed with its etag, one run for each run_id."""
    root = open_root(str(folder))
    images = root.child("images")
    for each in rows:
        images.write_bytes(str(each["image_key"]), photo())
        each["etag"] = images.stat(str(each["image_key"])).etag
    for run_id in dict.fromkeys(str(each["run_id"]) for each in rows):
        mine = [each for each in rows if each["run_id"] == run_id]
        refused = [reject(key, run_id, date=mine[0]["date"], detail="ends early") for key in rejects]
        commit_unit(Tables(root), run_id, unit(mine, refused), date=mine[0]["date"])
    return root
