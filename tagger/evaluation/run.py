"""A bundle against labelled photos: both attributes' figures, as tables, JSON and one HTML page."""

import html
import json
from dataclasses import dataclass

import numpy as np

from tagger.config import Config
from tagger.errors import BadInput, GateRefused
from tagger.evaluation.fitting import evaluate_evidence, observe_rows
from tagger.evaluation.items import labelled_table, of_role, read_pictures
from tagger.evaluation.metrics import Evaluation
from tagger.flags.reasons import review_reasons
from tagger.model.bundle import find_bundle, read_info
from tagger.tag.predict import Tagger


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
    place = find_bundle(config.model, config.root)
    table = of_role(labelled_table(config, read_info(place)), config.evaluate.split)
    if not len(table):
        raise BadInput(f"No labelled item has the role evaluate.split={config.evaluate.split}. Try evaluate.split=all.")
    tagger = Tagger.load(place.uri)
    pictures = read_pictures(config, tagger.info, table)
    evidence = observe_rows(tagger, pictures.take, pictures.items.rows)
    known = evidence.focus[~np.isnan(evidence.focus)]
    reasons = review_reasons(tagger.signals(evidence, np.ones(len(evidence.focus))), tagger.thresholds)
    report = Report(
        tagger.info.name,
        tagger.info.version,
        config.evaluate.split,
        evaluate_evidence(tagger, evidence, pictures.items),
        float(np.mean([bool(each) for each in reasons])),
        float(known.mean()) if len(known) else None,
        pictures.unreadable,
    )
    _check_gate(report, config.evaluate.min_type_accuracy)
    return report


def _check_gate(report: Report, needed: float) -> None:
    accuracy = report.evaluations["type"].accuracy
    if accuracy < needed:
        raise GateRefused(f"Type accuracy {accuracy:.3f} is below evaluate.min_type_accuracy = {needed}.")
