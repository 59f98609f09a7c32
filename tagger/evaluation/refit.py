"""Other thresholds, promises and risk model for a trained bundle, without training: a new version of the bundle."""

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tagger.catalog.split import check_roles
from tagger.config import Config
from tagger.evaluation.card import card_of_refit
from tagger.evaluation.fitting import BOOTSTRAP_SEED, judged_items, observe_rows, with_review
from tagger.evaluation.items import labelled_table, of_role, read_pictures
from tagger.evaluation.review_fit import MEASURED, JudgedItems, ReviewFit, fit_review
from tagger.flags.reasons import Thresholds
from tagger.model.bundle import BundleInfo, copy_bundle, find_bundle, promote, read_info, read_text
from tagger.release import code_version
from tagger.storage import Root, open_root
from tagger.tag.predict import Tagger

_CARD = "MODEL_CARD.md"
_STAMP = re.compile(r"-t\d{8}T\d{6}$")


@dataclass(frozen=True)
class Refit:
    """What was fitted again. info: of the new version. before: the thresholds of the bundle at `source_uri`.
    counts: role -> items that were read."""

    info: BundleInfo
    source_uri: str
    before: Thresholds
    fit: ReviewFit
    counts: Mapping[str, int]

    def facts(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": self.info.name,
            "version": self.info.version,
            "items": dict(self.counts),
            "thresholds": self.fit.thresholds.to_dict(),
            "thresholds_before": self.before.to_dict(),
            "calibrate_flagged_share": self.fit.flagged_share,
            **self.fit.metrics(),
        }


def refit(config: Config) -> Refit:
    """Fit thresholds, promises and risk model of the bundle that `model` names on the labels' `calibrate` items.

    Temperatures and references stay those of the training. The `report` items, where there are any, only judge the
    risk model. LabelsError where no item has the role calibrate, or labels and bundle do not fit.
    """
    source = find_bundle(config.model, config.root)
    table = labelled_table(config, read_info(source))
    parts = {role: of_role(table, role) for role in ("calibrate", "report")}
    check_roles(pd.Series([role for role, part in parts.items() for _ in range(len(part))]), ["calibrate"])
    # Loading the networks takes seconds: not before the labels are known to fit.
    tagger = Tagger.load(source.uri)
    calibrate = _judged(config, tagger, parts["calibrate"])
    report = _judged(config, tagger, parts["report"]) if len(parts["report"]) else None
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    fit = fit_review(calibrate, report, config.review, config.focus, rng)
    counts = {"calibrate": len(calibrate), "report": len(report) if report is not None else 0}
    digest = hashlib.sha256(pd.concat(parts.values()).to_csv(index=False).encode()).hexdigest()
    of_training = {name: value for name, value in tagger.info.metrics.items() if name not in MEASURED}
    info = with_review(tagger.info, fit, {**of_training, **fit.metrics()})
    named = replace(info, version=_version(config, info), provenance=_provenance(config, info, counts, digest))
    return Refit(named, source.uri, tagger.thresholds, fit, counts)


def write(result: Refit, out: str | None, is_promoted: bool) -> Root:
    """Write the new version into the folder of versions `out`, by default the old one's own: the bundle's place.

    is_promoted: it serves from now on. BadInput where that version is there already.
    """
    source = open_root(result.source_uri)
    versions = open_root(out or result.source_uri.rpartition("/")[0])
    target = versions.child(result.info.version)
    card = card_of_refit(read_text(source, result.info, _CARD), result.info, result.fit)
    copy_bundle(source, target, result.info, {_CARD: card})
    if is_promoted:
        promote(versions, result.info.version)
    return target


def _judged(config: Config, tagger: Tagger, table: pd.DataFrame) -> JudgedItems:
    pictures = read_pictures(config, tagger.info, table)
    return judged_items(tagger, observe_rows(tagger, pictures.take, pictures.items.rows), pictures.items)


def _version(config: Config, info: BundleInfo) -> str:
    """train.version where it names another one, else the old version and the time."""
    wished = config.train.version
    if wished and wished != info.version:
        return wished
    return f"{_STAMP.sub('', info.version)}-t{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"


def _provenance(config: Config, info: BundleInfo, counts: Mapping[str, int], digest: str) -> dict[str, Any]:
    again = {
        "from_version": info.version,
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code_version": code_version(),
        "items": dict(counts),
        "labels_digest": digest,
        "config": config.model_dump(mode="json", include={"focus", "review"}),
    }
    return {**info.provenance, "thresholds": again}
