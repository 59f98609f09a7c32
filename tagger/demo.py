"""The demonstration: a synthetic catalogue, drawn, trained on, tagged, and measured against its exact truth."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.synth.writer import write_catalogue
from tagger.config import Config, DemoConfig
from tagger.errors import ConfigError
from tagger.evaluation.baseline import baseline_accuracy
from tagger.focus.measures import cam_on_product
from tagger.picture.decode import DecodedPhoto, DecodeLimits, decode_photo
from tagger.picture.fit import Fit, fit_picture
from tagger.storage import Root, open_root
from tagger.tables.query import run_query
from tagger.tag import night
from tagger.train import sequence

logger = logging.getLogger(__name__)

_MARK = ".tagger-demo"
_PRODUCT = 255
_CELLS = 8


@dataclass(frozen=True)
class DemoSummary:
    """What the demonstration shows. accuracy, baseline: attribute -> share of the fresh pictures.

    cam_on_product: mean over the fresh pictures as the table has it; true_cam_on_product: the same maps on the exact
    masks. flagged: share for review; flagged_wrong, passed_wrong: share with a wrong tag among flagged and passed.
    """

    accuracy: Mapping[str, float]
    baseline: Mapping[str, float]
    tagged: int
    flagged: float
    flagged_wrong: float
    passed_wrong: float
    cam_on_product: float
    true_cam_on_product: float
    bundle_uri: str
    tables_uri: str


def run(config: Config) -> DemoSummary:
    """Draw, train, tag, measure. Ray must be connected. An earlier demonstration in the same folder is replaced."""
    shop = open_root(config.root)
    fresh = shop.child("fresh")
    _start_afresh(shop)
    for root, count, seed in (
        (shop, config.demo.count, config.demo.seed),
        (fresh, config.demo.fresh, config.demo.seed + 1),
    ):
        _draw(root, count, seed, config.demo)
    training = sequence.run(config, sequence.labels_of(config))
    logger.info("tagging %d fresh pictures", config.demo.fresh)
    night.run(config.model_copy(update={"images": fresh.child("images").uri}))
    truth = _labels(fresh)
    tags = run_query(shop, "select * from current").to_pandas().merge(truth, on="image_key", suffixes=("", "_true"))
    return _measure(config, shop, fresh, tags, training.bundle_uri)


def _start_afresh(shop: Root) -> None:
    """Remove what an earlier demonstration left; refuse a folder that holds anything else."""
    folder = Path(shop.uri)
    if shop.uri.startswith("s3://"):
        raise ConfigError("The demonstration works in a local folder. Give root=FOLDER.")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise ConfigError(f"{folder} holds other files. Give the demonstration an empty folder: root=FOLDER.")
        shutil.rmtree(folder)
    shop.write_bytes(_MARK, b"made by tagger demo\n")


def _draw(root: Root, count: int, seed: int, demo: DemoConfig) -> None:
    def told(done: int, total: int) -> None:
        if done == total or done % 320 == 0:
            logger.info("drawn %d of %d pictures", done, total)

    write_catalogue(root, count, seed, types=demo.types or None, colors=demo.colors or None, progress=told)


def _labels(root: Root) -> pd.DataFrame:
    return pd.read_csv(Path(root.uri, "labels/labels.csv"), dtype=str)


def _measure(config: Config, shop: Root, fresh: Root, tags: pd.DataFrame, bundle_uri: str) -> DemoSummary:
    wrong = (tags["type"] != tags["type_true"]) | (tags["color"] != tags["color_true"])
    flagged = tags["needs_review"].astype(bool)
    return DemoSummary(
        accuracy={name: float((tags[name] == tags[f"{name}_true"]).mean()) for name in ("type", "color")},
        baseline=_baseline(config, shop, fresh),
        tagged=len(tags),
        flagged=float(flagged.mean()),
        flagged_wrong=float(wrong[flagged].mean()),
        passed_wrong=float(wrong[~flagged].mean()),
        cam_on_product=float(tags["cam_on_product"].astype(float).mean()),
        true_cam_on_product=float(np.nanmean(_true_ratios(fresh, tags, Fit(config.catalog.fit)))),
        bundle_uri=bundle_uri,
        tables_uri=shop.child("tables").uri,
    )


def _true_ratios(fresh: Root, tags: pd.DataFrame, fit: Fit) -> npt.NDArray[np.floating]:
    """The stored color maps on the exact product masks, (N,); NaN where a map is null."""
    known = tags[tags["color_cam"].notna()]
    maps = np.stack([np.frombuffer(cam, np.uint8).reshape(_CELLS, _CELLS) for cam in known["color_cam"]])
    masks = np.stack([_true_mask(fresh, key, fit) for key in known["image_key"]])
    return cam_on_product(maps.astype(np.float32), masks)


def _true_mask(fresh: Root, image_key: str, fit: Fit) -> npt.NDArray[np.floating]:
    data = np.frombuffer(fresh.read_bytes(f"masks/{Path(image_key).stem}.png"), np.uint8)
    mask = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) == _PRODUCT, np.uint8) * 255
    return fit_picture(np.repeat(mask[:, :, None], 3, axis=2), fit)[..., 0].astype(np.float32) / 255


def _baseline(config: Config, shop: Root, fresh: Root) -> dict[str, float]:
    logger.info("measuring the baseline of color histogram and outline")
    known, unknown = _labels(shop)[: config.demo.baseline], _labels(fresh)
    pixels, others = _pixels(shop, known, config), _pixels(fresh, unknown, config)
    return {
        name: baseline_accuracy(pixels, known[name].to_numpy(), others, unknown[name].to_numpy())
        for name in ("type", "color")
    }


def _pixels(root: Root, labels: pd.DataFrame, config: Config) -> npt.NDArray[np.uint8]:
    fit, limits = Fit(config.catalog.fit), DecodeLimits()
    photos = (decode_photo(root.read_bytes(f"images/{key}"), fit, limits) for key in labels["image_key"])
    return np.stack([photo.pixels for photo in photos if isinstance(photo, DecodedPhoto)])


def as_text(summary: DemoSummary) -> str:
    """The summary for a terminal, with three queries to try."""
    accuracy, baseline = summary.accuracy, summary.baseline
    rows = [
        ("fresh pictures tagged", f"{summary.tagged}"),
        ("type accuracy (color histogram and outline)", f"{accuracy['type']:.1%} ({baseline['type']:.1%})"),
        ("color accuracy (color histogram and outline)", f"{accuracy['color']:.1%} ({baseline['color']:.1%})"),
        ("flagged for review", f"{summary.flagged:.1%}"),
        ("wrong among flagged / among passed", f"{summary.flagged_wrong:.1%} / {summary.passed_wrong:.1%}"),
        (
            "mean CAM-on-product, estimated / exact masks",
            f"{summary.cam_on_product:.2f} / {summary.true_cam_on_product:.2f}",
        ),
        ("bundle", summary.bundle_uri),
        ("tables (Parquet, Delta Lake)", summary.tables_uri),
    ]
    width = max(len(name) for name, _ in rows)
    table = "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
    return f"{table}\n\nTry:\n" + "\n".join(f"  {query}" for query in _queries(summary))


def _queries(summary: DemoSummary) -> list[str]:
    command = f".venv/bin/tagger query root={_relative(summary.tables_uri.removesuffix('/tables'))}"
    by_class = "select type, color, count(*) n, avg(focus) focus from current group by all order by n desc limit 10"
    riskiest = (
        "select image_key, color, color_confidence, focus, review_reasons from current "
        "where needs_review order by risk desc limit 10"
    )
    return [command, f'{command} "{by_class}"', f'{command} "{riskiest}"']


def _relative(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
