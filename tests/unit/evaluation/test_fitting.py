"""What a bundle says of itself after two networks are trained."""

from dataclasses import replace

import numpy as np
import pytest

from tagger.config import FocusConfig, ReviewConfig
from tagger.evaluation.fitting import LabelledRows, evaluate_evidence, fit_bundle, observe_rows
from tagger.tag.predict import Tagger
from tests.unit.evaluation.small_shop import INFO
from tests.unit.model.networks import random_pixels, tiny_network

COUNT = 60


@pytest.fixture(scope="module")
def networks():
    return {name: tiny_network(len(INFO.classes[name]), seed=seed) for name, seed in (("type", 1), ("color", 2))}


@pytest.fixture(scope="module")
def pictures():
    return random_pixels(COUNT)


@pytest.fixture(scope="module")
def roles():
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, len(classes), COUNT) for name, classes in INFO.classes.items()}
    parts = zip(("select", "calibrate", "report"), np.split(np.arange(COUNT), 3), strict=True)
    return {role: LabelledRows(rows, {k: v[rows] for k, v in labels.items()}, rows) for role, rows in parts}


def test_calibration_errors_before_and_after_the_temperature_are_of_the_same_items(networks, pictures, roles):
    draft = replace(INFO, temperatures={"type": 1.0, "color": 1.0}, thresholds={}, metrics={})
    fitted = fit_bundle(draft, networks, pictures.__getitem__, roles, ReviewConfig(), FocusConfig())
    plain, report = Tagger(draft, networks), roles["report"]
    before = evaluate_evidence(plain, observe_rows(plain, pictures.__getitem__, report.rows), report)
    for name, result in before.items():
        assert fitted.info.metrics["calibration_error_before"][name] == pytest.approx(result.calibration_error)
        assert fitted.info.metrics[name]["calibration_error"] == fitted.evaluations[name].calibration_error
