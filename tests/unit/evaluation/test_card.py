"""What the model card says of a training: its figures, and the words that the shop added."""

from dataclasses import replace

import numpy as np
import pytest

from tagger.config import FocusConfig, ReviewConfig, TrainConfig
from tagger.evaluation.card import model_card
from tagger.evaluation.fitting import Fitted
from tagger.evaluation.metrics import evaluate
from tagger.evaluation.review_fit import fit_review
from tests.unit.evaluation.judged import draw_judged
from tests.unit.evaluation.small_shop import INFO

ANSWERS = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
"""Three of four right at a confidence of 0.9: a calibration error of 0.15."""
LABELS = np.array([0, 0, 1, 1])


@pytest.fixture(scope="module")
def review():
    rng = np.random.default_rng(0)
    return fit_review(draw_judged(40, rng), None, ReviewConfig(), FocusConfig(), rng)


@pytest.fixture
def card(review):
    def write(**train):
        settings = TrainConfig(**train).model_dump(mode="json")
        provenance = {"created_at": "now", "code_version": "1", "items": {"fit": 9}, "config": {"train": settings}}
        metrics = {**INFO.metrics, "calibration_error_before": {"type": 0.25, "color": 0.125}}
        evaluations = {name: evaluate(name, ("A", "B"), ANSWERS, LABELS) for name in ("type", "color")}
        return model_card(Fitted(replace(INFO, metrics=metrics, provenance=provenance), evaluations, review, {}, {}))

    return write


def test_what_the_temperature_mends_stands_in_one_row(card):
    row = "| calibration error before / after the temperature | 0.250 / 0.150 | 0.125 / 0.150 |"
    assert row in card().splitlines()


def test_notes_stand_in_their_sections_and_not_in_the_recipe(card):
    text = card(data_note="Photos of ours.", limits_note="Half as good on the street.")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")}
    assert [name for name, part in sections.items() if "Photos of ours." in part] == ["Data"]
    assert [name for name, part in sections.items() if "Half as good on the street." in part] == ["Limits"]
    assert "_note" not in sections["Recipe"]


def test_without_a_note_the_limits_are_the_bundles_own(card):
    limits = card().split("## Limits\n\n")[1].split("\n\n## ")[0]
    assert all(line.startswith("- ") for line in limits.splitlines())
