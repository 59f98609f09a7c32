"""The model card that stands beside a bundle: what it was trained on, how good it is, and where its limits are."""

from typing import TYPE_CHECKING

from tagger.evaluation.metrics import Evaluation

if TYPE_CHECKING:
    from tagger.evaluation.fitting import Fitted

_WEAK_CLASS = 0.5


def model_card(fitted: "Fitted") -> str:
    """Markdown text from the bundle's own figures."""
    info, provenance = fitted.info, fitted.info.provenance
    train = provenance["config"]["train"]
    parts = [
        f"# {info.name}, version {info.version}",
        f"Tags product photos with one of {len(info.classes['type'])} types and {len(info.classes['color'])} colors. "
        f"Two `{train['trunk']}` networks of width {info.width} at {info.size_px}x{info.size_px} px, photos fitted by "
        f"`{info.fit}`; trained {provenance['created_at']} by tagger {provenance['code_version']}.",
        "## Data\n\n" + _rows("role", "items", provenance["items"]),
        "## Figures\n\nMeasured on the `report` items, on which nothing was fitted. Argmax unless said otherwise.\n\n"
        + _figures(fitted),
        "## Limits\n\n" + _limits(fitted),
        "## Recipe\n\n" + _rows("setting", "value", train),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(fitted: "Fitted") -> str:
    names = ["accuracy", "among the first three", "macro precision / recall", "weighted precision / recall",
             "confidence > 0.5: weighted precision / recall, coverage", "calibration error"]  # fmt: skip
    columns = {name: _column(result) for name, result in fitted.evaluations.items()}
    rows = [f"| {label} | {columns['type'][n]} | {columns['color'][n]} |" for n, label in enumerate(names)]
    return "\n".join(["| figure | type | color |", "|---|---|---|", *rows])


def _column(result: Evaluation) -> list[str]:
    return [
        f"{result.accuracy:.1%}",
        f"{result.top3_accuracy:.1%}",
        f"{result.macro.precision:.1%} / {result.macro.recall:.1%}",
        f"{result.weighted.precision:.1%} / {result.weighted.recall:.1%}",
        f"{result.reference.precision:.1%} / {result.reference.recall:.1%}, {result.coverage:.1%}",
        f"{result.calibration_error:.3f}",
    ]


def _limits(fitted: "Fitted") -> str:
    metrics = fitted.info.metrics
    lines = [
        f"- At its thresholds it flags {metrics['flagged_share']:.1%} of the report items for review; "
        f"their mean focus is {metrics['mean_focus'] or float('nan'):.2f}.",
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
