"""The model card that stands beside a bundle: what it was trained on, how good it is, and where its limits are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tagger.evaluation.metrics import Evaluation
from tagger.evaluation.review_fit import ReviewFit
from tagger.flags.reasons import Thresholds
from tagger.model.bundle import BundleInfo

if TYPE_CHECKING:
    from tagger.evaluation.fitting import Fitted

_WEAK_CLASS = 0.5
_NOTES = ("data_note", "limits_note")
"""Settings that are sections' text, and no part of the recipe."""
# Reason -> where it begins in words, and the name of its threshold.
_WHERE = {
    "low_focus": ("focus below", "focus"),
    "mask_uncertain": ("mask quality below", "mask_quality"),
    "out_of_scope": ("scope score above", "out_of_scope_score"),
    "low_type_confidence": ("type confidence below", "type_confidence"),
    "low_color_confidence": ("color confidence below", "color_confidence"),
    "color_disagrees": ("color distance above", "color_distance"),
    "audit": ("drawn, share", "audit_share"),
}


def model_card(fitted: "Fitted") -> str:
    """Markdown text from the bundle's own figures."""
    info, provenance = fitted.info, fitted.info.provenance
    train = provenance["config"]["train"]
    parts = [
        _title(info),
        f"Tags product photos with one of {len(info.classes['type'])} types and {len(info.classes['color'])} colors. "
        f"Two `{train['trunk']}` networks of width {info.width} at {info.size_px}x{info.size_px} px, photos fitted by "
        f"`{info.fit}`; trained {provenance['created_at']} by tagger {provenance['code_version']}.",
        "\n\n".join(filter(None, ["## Data", train["data_note"], _rows("role", "items", provenance["items"])])),
        "## Figures\n\nMeasured on the `report` items, on which nothing was fitted. Argmax unless said otherwise.\n\n"
        + _figures(fitted),
        _review(fitted.review, info.metrics),
        "\n\n".join(filter(None, ["## Limits", _limits(fitted), train["limits_note"]])),
        "## Recipe\n\n"
        + _rows("setting", "value", {name: value for name, value in train.items() if name not in _NOTES}),
    ]
    return "\n\n".join(parts) + "\n"


def card_of_refit(card: str, info: BundleInfo, fit: ReviewFit) -> str:
    """The card of a bundle whose thresholds were fitted again: the old one's, with another title and Review section.

    card: the text that stood beside the old version. info: of the new one.
    """
    again = info.provenance["thresholds"]
    note = (
        f"Thresholds and risk model were fitted again {again['created_at']} on {again['items']['calibrate']} calibrate "
        f"items. What follows the section Review is of version {again['from_version']}, whose networks these are."
    )
    sections = [section.strip() for section in card.split("\n## ")[1:]]
    kept = [f"## {section}" for section in sections if not section.startswith("Review\n")]
    return "\n\n".join([_title(info), note, _review(fit, info.metrics), *kept]) + "\n"


def review_text(fit: ReviewFit, before: Thresholds | None = None) -> str:
    """For a terminal: by reason where it begins and what it flags, the promises, the risk model.

    before: the thresholds that these replace, shown beside them.
    """
    old = before.to_dict() if before else {}
    now = fit.thresholds.to_dict()
    heads = ["reason", "where", *(["before"] if before else []), "now", "flagged"]
    rows = [
        [reason, where, *([_number(old[name])] if before else []), _number(now[name]), f"{fit.shares[reason]:.1%}"]
        for reason, (where, name) in _WHERE.items()
    ]
    rows.append(["any of them", "", *([""] if before else []), "", f"{fit.flagged_share:.1%}"])
    promises = [f"promise, {name}: {promise.as_text()}" for name, promise in fit.promises.items()]
    told = fit.comparison.as_text() if fit.comparison else "too few labelled errors to fit or to judge one; not used."
    return "\n".join([_aligned([heads, *rows]), "", *_measured(fit), *promises, f"risk model: {told}"])


def _measured(fit: ReviewFit) -> list[str]:
    """Whether what was chosen on the calibrate items holds on the report items."""
    if not fit.measured:
        return ["report items: none, so how many are flagged and how many of the others are right was not measured."]
    told = f"report items: {fit.measured['flagged_share']:.1%} flagged"
    types, colors = fit.measured["passing_type_precision"], fit.measured["passing_color_precision"]
    if types is not None and colors is not None:
        told += f"; of those that pass, {types:.1%} have the right type and {colors:.1%} the right color"
    return [f"{told}."]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:.3f}"


def _title(info: BundleInfo) -> str:
    return f"# {info.name}, version {info.version}"


def _review(fit: ReviewFit, metrics: Mapping[str, Any]) -> str:
    flagged = f"Of the report items {fit.measured['flagged_share']:.1%} are flagged. " if fit.measured else ""
    return (
        f"## Review\n\n{flagged}The mean focus of the training's report items is "
        f"{metrics['mean_focus'] or float('nan'):.2f}. The shares below are of the calibrate items, of which one may "
        f"have several reasons.\n\n```\n{review_text(fit)}\n```"
    )


def _figures(fitted: "Fitted") -> str:
    names = ["accuracy", "among the first three", "macro precision / recall", "weighted precision / recall",
             "confidence > 0.5: weighted precision / recall, coverage",
             "calibration error before / after the temperature"]  # fmt: skip
    before = fitted.info.metrics["calibration_error_before"]
    columns = {name: _column(result, before[name]) for name, result in fitted.evaluations.items()}
    rows = [f"| {label} | {columns['type'][n]} | {columns['color'][n]} |" for n, label in enumerate(names)]
    return "\n".join(["| figure | type | color |", "|---|---|---|", *rows])


def _column(result: Evaluation, calibration_error_before: float) -> list[str]:
    return [
        f"{result.accuracy:.1%}",
        f"{result.top3_accuracy:.1%}",
        f"{result.macro.precision:.1%} / {result.macro.recall:.1%}",
        f"{result.weighted.precision:.1%} / {result.weighted.recall:.1%}",
        f"{result.reference.precision:.1%} / {result.reference.recall:.1%}, {result.coverage:.1%}",
        f"{calibration_error_before:.3f} / {result.calibration_error:.3f}",
    ]


def _limits(fitted: "Fitted") -> str:
    lines = [
        "- It knows its own classes only: a picture of anything else still gets one of them, and is flagged "
        "`out_of_scope` at best.",
    ]
    for name, result in fitted.evaluations.items():
        weak = [c.name for c in result.per_class if c.recall is not None and c.recall < _WEAK_CLASS]
        rare = [c.name for c in result.per_class if c.labelled_count < 10]
        lines.append(f"- {name}: finds fewer than half of {', '.join(weak) or 'no class'}.")
        lines.append(
            f"- {name}: fewer than 10 report items stand behind the figures of {', '.join(rare) or 'no class'}."
        )
    return "\n".join(lines)


def _rows(left: str, right: str, values: dict[str, object]) -> str:
    return "\n".join(
        [f"| {left} | {right} |", "|---|---|", *(f"| {name} | {value} |" for name, value in values.items())]
    )
