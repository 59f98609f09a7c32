"""The picture of the README: one drawn product before one background, explained by two bundles.

The first bundle was trained on photos as they are and reads the color off the background; the second was trained before
drawn backgrounds. The shoe is white.

python -m benchmarks.explained [--model models/fashion-24x20/1 models/fashion-24x20/5] [--out docs/explained.jpg]
"""

import argparse
import io
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

from tagger.catalog.synth.scene import draw_item
from tagger.model.bundle import find_bundle
from tagger.report.asked import explain_file
from tagger.review.words import reasons_in_words
from tagger.tag.predict import Tagger

NAME = "a white shoe before blue paper"
WIDTH_PX = 1200


def photo() -> bytes:
    """The drawing as a PNG."""
    paper, product = (np.random.default_rng([2, 0, part]) for part in (0, 1))
    item = draw_item("Casual Shoes", "White", paper, "studio", "Blue", product)
    stream = io.BytesIO()
    Image.fromarray(item.picture).save(stream, "PNG")
    return stream.getvalue()


def explained(model: str) -> Image.Image:
    """What `tagger explain` draws of it."""
    tagger = Tagger.load(find_bundle(model, "").uri)
    canvas = explain_file(tagger, photo(), NAME, reasons_in_words).canvas
    return Image.open(io.BytesIO(canvas.png())).convert("RGB")


def main() -> None:
    """Write the two explanations beneath each other."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", nargs="+", default=["models/fashion-24x20/1", "models/fashion-24x20/5"])
    options.add_argument("--out", type=Path, default=Path("docs/explained.jpg"))
    given = options.parse_args()
    drawn = np.concatenate([np.asarray(explained(model)) for model in given.model])
    height = round(WIDTH_PX * drawn.shape[0] / drawn.shape[1])
    Image.fromarray(drawn).resize((WIDTH_PX, height), Image.Resampling.LANCZOS).save(given.out, quality=85)


if __name__ == "__main__":
    main()
