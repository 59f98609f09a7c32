"""Charts of an evaluation: confusion heat-maps, reliability, risk against coverage; each as a PNG.

No pyplot: a figure here belongs to nobody else. What is drawn comes as the evaluation's JSON has it, see
docs/evaluation.md.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Facts: TypeAlias = Mapping[str, Any]

_DPI = 110
_COLORS = {"type": "#1f5fa8", "color": "#c2571a"}
_FAINT = "#8a8f98"
_DARK_CELL = 0.55


def confusion_chart(attribute: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> bytes:
    """Heat-map, row: label, column: prediction, each row as shares of its label, with the counts written in.

    classes: K names. counts: K x K. Classes without labels and predictions are left out.
    """
    table = np.array(counts)
    used = (table.sum(axis=0) + table.sum(axis=1)) > 0
    table, names = table[used][:, used], [name for name, is_used in zip(classes, used, strict=True) if is_used]
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.36 * len(names)
    figure = Figure((side, side), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(table), strict=True):
        ink = "white" if shares[row, column] > _DARK_CELL else "#20242b"
        axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=7, color=ink)
    _name_cells(axes, names, attribute)
    return _png(figure)


def reliability_chart(bins: Mapping[str, Sequence[Facts]]) -> bytes:
    """Accuracy against confidence, and below it how many items have which confidence. bins: attribute -> bins."""
    figure = Figure((5.2, 5.2), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=_FAINT, linestyle="--", linewidth=1, label="as it should be")
    for attribute, each in bins.items():
        known = [part for part in each if part["item_count"]]
        upper.plot(
            [part["confidence"] for part in known], [part["accuracy"] for part in known],
            color=_COLORS.get(attribute), marker="o", markersize=4, linewidth=1.6, label=attribute,
        )  # fmt: skip
        middles = [(part["low"] + part["high"]) / 2 for part in each]
        lower.step(middles, [part["item_count"] for part in each], where="mid", color=_COLORS.get(attribute))
    _finish(upper, "", "share that is right")
    _finish(lower, "confidence", "items")
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.legend(frameon=False, loc="upper left")
    return _png(figure)


def risk_coverage_chart(curves: Mapping[str, Facts]) -> bytes:
    """Error rate of the surest part against its size. curves: attribute -> area, coverage, risk."""
    figure = Figure((5.2, 5.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for attribute, curve in curves.items():
        told = f"{attribute}, area {curve['area']:.3f}"
        axes.plot(curve["coverage"], curve["risk"], color=_COLORS.get(attribute), linewidth=1.8, label=told)
    _finish(axes, "coverage: the surest share of the items", "risk: share of them that is wrong")
    axes.set(xlim=(0, 1), ylim=(0, None))
    axes.legend(frameon=False, loc="upper left")
    return _png(figure)


def _name_cells(axes: Axes, names: Sequence[str], attribute: str) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_xlabel(f"predicted {attribute}", fontsize=9)
    axes.set_ylabel(f"labelled {attribute}", fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color("#d5d9e0")


def _finish(axes: Axes, below: str, beside: str) -> None:
    axes.set_xlabel(below)
    axes.set_ylabel(beside)
    axes.grid(color="#e6e9ee", linewidth=0.8)
    axes.set_axisbelow(True)
    for name in ("top", "right"):
        axes.spines[name].set_visible(False)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
