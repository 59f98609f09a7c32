"""A bundle against labelled photos: both attributes' figures, as tables, JSON and one HTML page."""

import html
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagger.catalog.labels import LabelSpace, check_images, labels_place, read_label_space, read_labels
from tagger.catalog.split import assign_roles
from tagger.config import Config
from tagger.errors import BadInput, FetchFailed, GateRefused
from tagger.evaluation.fitting import LabelledRows, evaluate_evidence, observe_rows
from tagger.evaluation.metrics import Evaluation
from tagger.flags.reasons import review_reasons
from tagger.model.bundle import find_bundle
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tag.predict import Tagger

logger = logging.getLogger(__name__)

_CHUNK = 256
_DOWNLOADS = 16


@dataclass(frozen=True)
class Report:
    """What an evaluation found. evaluations: attribute -> figures. unreadable: labelled photos left out."""

    model_name: str
    model_version: str
    split: str
    evaluations: dict[str, Evaluation]
    flagged: float
    mean_focus: float | None
    unreadable: int

    def to_json(self) -> str:
        """Strict JSON."""
        figures = {name: result.to_dict() for name, result in self.evaluations.items()}
        rest = {name: value for name, value in vars(self).items() if name != "evaluations"}
        return json.dumps(rest | figures, indent=1, allow_nan=False)

    def to_html(self) -> str:
        """One page: the figures, the per-class tables, the confusion tables. Every name is escaped."""
        parts = [f"<h1>{html.escape(self.model_name)} {html.escape(self.model_version)}, {self.split} items</h1>"]
        for name, result in self.evaluations.items():
            parts += [f"<h2>{name}</h2><pre>{html.escape(result.as_text())}</pre><h3>Confusion of {name}</h3>"]
            parts.append(result.confusion_table().to_html(border=0))
        style = "body{font:14px sans-serif;margin:2em}td,th{padding:2px 6px;text-align:right}"
        return f"<!doctype html><meta charset=utf-8><title>Evaluation</title><style>{style}</style>" + "\n".join(parts)


def run(config: Config) -> Report:
    """Measure the bundle that `model` names on the labelled photos of `evaluate.split`.

    GateRefused where type accuracy is below evaluate.min_type_accuracy; BadInput where nothing can be measured.
    """
    tagger = Tagger.load(find_bundle(config.model, config.root).uri)
    table, etags = _items(config, tagger)
    pixels, readable = _pixels(config, tagger, table["image_key"].tolist(), etags)
    table = table[readable].reset_index(drop=True)
    if not len(table):
        raise BadInput(f"None of the {len(readable)} labelled photos could be read. Check images={config.images_uri}.")
    labels = {name: table[f"{name}_number"].to_numpy() for name in ("type", "color")}
    items = LabelledRows(np.arange(len(table)), labels, table.index.to_numpy())
    evidence = observe_rows(tagger, lambda rows: pixels[rows], items.rows)
    known = evidence.focus[~np.isnan(evidence.focus)]
    reasons = review_reasons(tagger.signals(evidence, np.ones(len(table))), tagger.thresholds)
    report = Report(
        tagger.info.name,
        tagger.info.version,
        config.evaluate.split,
        evaluate_evidence(tagger, evidence, items),
        float(np.mean([bool(each) for each in reasons])),
        float(known.mean()) if len(known) else None,
        int((~readable).sum()),
    )
    _check_gate(report, config.evaluate.min_type_accuracy)
    return report


def _check_gate(report: Report, needed: float) -> None:
    accuracy = report.evaluations["type"].accuracy
    if accuracy < needed:
        raise GateRefused(f"Type accuracy {accuracy:.3f} is below evaluate.min_type_accuracy = {needed}.")


def _items(config: Config, tagger: Tagger) -> tuple[pd.DataFrame, dict[str, str]]:
    """The labelled items of the split with class numbers of the bundle, and the photos' etags."""
    merge_types, merge_colors = _merges(config)
    space = LabelSpace(tagger.info.classes["type"], tagger.info.classes["color"], merge_types, merge_colors)
    place = labels_place(config.labels, config.root, config.catalog.labels_glob)
    labels = read_labels(*place, space, ignore_columns=config.catalog.ignore_columns)
    wanted = set(labels.table["image_key"])
    etags = {o.key: o.etag for o in open_root(config.images_uri).list_objects() if o.key in wanted}
    labels = check_images(labels, etags, 1.0 if config.catalog.missing_images == "drop" else 0.0)
    table = labels.table.assign(type_number=labels.indices("type"), color_number=labels.indices("color"))
    if config.evaluate.split != "all":
        table = table[(assign_roles(labels.table) == config.evaluate.split).to_numpy()]
    if not len(table):
        raise BadInput(f"No labelled item has the role evaluate.split={config.evaluate.split}. Try evaluate.split=all.")
    return table.reset_index(drop=True), etags


def _merges(config: Config) -> tuple[dict[str, str], dict[str, str]]:
    if not config.catalog.label_space:
        return {}, {}
    space = read_label_space(config.catalog.label_space)
    return dict(space.merge_types), dict(space.merge_colors)


def _pixels(config: Config, tagger: Tagger, keys: list[str], etags: dict[str, str]) -> tuple[Any, Any]:
    """Pictures (n, 128, 128, 3) uint8 of the readable photos, and which ones are readable, (N,) bool."""
    fit = Fit(tagger.info.fit, tagger.info.size_px)  # type: ignore[arg-type]
    good: list[Any] = []
    readable: list[bool] = []
    with DecodeChildren(2, fit, DecodeLimits()) as children:
        for photos in _photos(config, keys, etags):
            answers = children.decode(photos)
            good += [answer.pixels for answer in answers if isinstance(answer, DecodedPhoto)]
            readable += [isinstance(answer, DecodedPhoto) for answer in answers]
            logger.info("read %d of %d photos", len(readable), len(keys))
    return np.stack(good) if good else np.empty((0, fit.size_px, fit.size_px, 3), np.uint8), np.array(readable)


def _photos(config: Config, keys: list[str], etags: dict[str, str]) -> Iterator[list[bytes]]:
    """The photos in chunks; one that cannot be fetched is empty."""
    images = open_root(config.images_uri)

    def fetch(key: str) -> bytes:
        try:
            return images.fetch(key, etags[key])
        except FetchFailed as error:
            logger.warning("%s: %s (%s)", key, error.reason, error.detail)
            return b""

    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        for start in range(0, len(keys), _CHUNK):
            yield list(threads.map(fetch, keys[start : start + _CHUNK]))
