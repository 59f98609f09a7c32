"""The page of an evaluation: figures with the words that say which measure each is, charts, and photos to look at."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tagger.catalog.labels import ATTRIBUTES
from tagger.picture.fit import Policy
from tagger.report.charts import confusion_chart, reliability_chart, risk_coverage_chart
from tagger.report.page import render
from tagger.report.thumbnails import data_uri, thumbnails
from tagger.storage import Root

Facts: TypeAlias = Mapping[str, Any]

SIDE_PX = 96
_WEAK = 0.5
"""A class that is found less often than this is marked."""

_PAGE = """{% extends "frame" %}
{% macro photo(example, label) %}
<figure{% if example.predicted != label %} class="wrong"{% endif %}>
<div class="shot">{% if example.image_key in shots %}<img src="{{ shots[example.image_key] }}" alt="" loading="lazy">
{% else %}no photo{% endif %}</div>
<figcaption><b>{{ example.predicted }}</b> {{ "%.2f"|format(example.confidence) }}<br>
<span class="faint">{{ example.image_key }}</span></figcaption></figure>
{% endmacro %}
{% block head %}
<h1>{{ facts.model_name }}, version {{ facts.model_version }}</h1>
<div class="faint">{{ facts.type.item_count }} labelled items of the role {{ facts.split }}; photos that could not be
read: {{ facts.unreadable }}</div>
<nav>{% if facts.against %}<a href="#against">Comparison</a>{% endif %}<a href="#figures">Figures</a>
<a href="#confidence">Confidence</a>{% for name in attributes %}<a href="#{{ name }}">{{ name|capitalize }}</a>
{% endfor %}</nav>
{% endblock %}
{% block body %}
<div class="cards">
{% for name in attributes %}
<div class="card"><b>{{ facts[name].accuracy|percent }}</b><span>{{ name }} accuracy</span></div>
{% endfor %}
<div class="card"><b>{{ facts.color.shade_tolerant_accuracy|percent }}</b>
<span>color, neighbouring shades count as right</span></div>
<div class="card"><b>{{ facts.flagged|percent }}</b><span>flagged for review</span></div>
<div class="card"><b>{{ facts.mean_focus|number }}</b>
<span>mean focus: evidence on the product, 0 is chance</span></div>
</div>

{% if facts.against %}
<h2 id="against">Against {{ facts.against.serving_name }}, version {{ facts.against.serving_version }}</h2>
<p class="verdict {{ 'no' if facts.against.is_refused else 'yes' }}">{% if facts.against.is_refused %}Refused: worse
than the serving bundle on the same items{% else %}Not worse than the serving bundle on the same items{% endif %}</p>
<div class="wide"><table><tr><th></th><th>this</th><th>serving</th><th>difference</th><th>95 % interval</th>
<th>macro recall</th><th>serving</th></tr>
{% for row in facts.against.comparisons %}
<tr><td>{{ row.attribute }} accuracy</td><td>{{ row.accuracy|percent }}</td><td>{{ row.serving_accuracy|percent }}</td>
<td>{{ "%+.1f"|format(100 * row.difference) }}</td>
<td>{{ "%+.1f"|format(100 * row.low) }} to {{ "%+.1f"|format(100 * row.high) }}</td>
<td>{{ row.macro_recall|percent }}</td><td>{{ row.serving_macro_recall|percent }}</td></tr>
{% endfor %}</table></div>
<p class="faint">Differences in percentage points; the interval draws groups of near duplicates again. Refused where the
whole interval lies below 0, or more than {{ facts.against.max_loss|percent }} is lost.</p>
{% endif %}

<h2 id="figures">Figures</h2>
<div class="wide"><table><tr><th>measure</th>{% for name in attributes %}<th>{{ name }}</th>{% endfor %}</tr>
{% for label, note, values in figures %}
<tr><td>{{ label }}<small>{{ note }}</small></td>{% for value in values %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}</table></div>

<h2 id="confidence">Confidence</h2>
<div class="pair"><div><h3>Reliability</h3>
<p class="faint">Of the items with a confidence near 0.8, 80 % should be right: on the dashed line. Above it the model
is better than it says, below it is overconfident.</p>
<img class="chart" src="{{ charts.reliability }}" alt="Reliability diagram"></div>
<div><h3>Risk and coverage</h3>
<p class="faint">If only the surest part of the items is tagged, how much of it is wrong. The right end is the error
rate of all; the area is its mean over all coverages, lower is better.</p>
<img class="chart" src="{{ charts.risk_coverage }}" alt="Risk against coverage"></div></div>

{% for name in attributes %}
{% set result = facts[name] %}
<h2 id="{{ name }}">{{ name|capitalize }}</h2>
<h3>Confusion</h3>
<p class="faint">A row holds the items with one label; the darker, the larger its share. The diagonal is right.</p>
<div class="wide"><img class="heat" src="{{ charts[name] }}" alt="Confusion of {{ name }}"></div>
<div class="pair"><div><h3>Most frequent confusions</h3>
<div class="wide"><table><tr><th>labelled</th><th class="left">predicted</th><th>items</th><th>of the label</th></tr>
{% for pair in result.confused_pairs %}
<tr><td>{{ pair.label }}</td><td class="left">{{ pair.predicted }}</td><td>{{ pair.item_count }}</td>
<td>{{ pair.share_of_label|percent }}</td></tr>
{% else %}<tr><td colspan="4">No item is predicted wrong.</td></tr>
{% endfor %}</table></div></div>
<div><h3>Classes</h3>
<div class="wide"><table><tr><th>class</th><th>labelled</th><th>predicted</th><th>precision</th><th>recall</th>
<th>F1</th></tr>
{% for row in result.per_class|sort(attribute="labelled_count", reverse=true) %}
{% if row.labelled_count or row.predicted_count %}
<tr{% if row.recall is not none and row.recall < weak %} class="weak"{% endif %}><td>{{ row.name }}</td>
<td>{{ row.labelled_count }}</td><td>{{ row.predicted_count }}</td><td>{{ row.precision|percent }}</td>
<td>{{ row.recall|percent }}</td><td>{{ row.f1|number }}</td></tr>
{% endif %}{% endfor %}</table></div>
<p class="faint">Argmax. Marked: fewer than half of the items with the label are found.</p></div></div>
<h3>Photos of each label</h3>
<p class="faint">Red: the most confident errors, with what is predicted. Green: the most confident right answers.</p>
{% for label, examples in result.examples.items() %}
<h3>{{ label }}</h3><div class="photos">
{% for example in examples.errors %}{{ photo(example, label) }}{% endfor %}
{% for example in examples.right %}{{ photo(example, label) }}{% endfor %}</div>
{% endfor %}
{% endfor %}
<footer class="faint">What each measure says and does not say: docs/evaluation.md.</footer>
{% endblock %}
"""


def evaluation_page(facts: Facts, images: Root) -> str:
    """HTML text that needs nothing but itself. facts: the evaluation's JSON (docs/evaluation.md). images: its photos.

    About 2 kB a photo shown, of which there are at most six a class.
    """
    keys = [example["image_key"] for example in _examples(facts)]
    fit: Policy = facts["fit"]
    return render(
        _PAGE,
        f"Evaluation of {facts['model_name']} {facts['model_version']}",
        facts=facts,
        attributes=ATTRIBUTES,
        figures=_figures(facts),
        charts=_charts(facts),
        shots=thumbnails(keys, images, fit, SIDE_PX),
        weak=_WEAK,
    )


def _examples(facts: Facts) -> Iterator[Facts]:
    for attribute in ATTRIBUTES:
        for shown in facts[attribute]["examples"].values():
            yield from (*shown["errors"], *shown["right"])


def _charts(facts: Facts) -> dict[str, str]:
    charts = {
        name: confusion_chart(name, [row["name"] for row in facts[name]["per_class"]], facts[name]["confusion"])
        for name in ATTRIBUTES
    }
    charts["reliability"] = reliability_chart({name: facts[name]["reliability"] for name in ATTRIBUTES})
    charts["risk_coverage"] = risk_coverage_chart({name: facts[name]["risk_coverage"] for name in ATTRIBUTES})
    return {name: data_uri(png, "png") for name, png in charts.items()}


def _figures(facts: Facts) -> list[tuple[str, str, list[str]]]:
    """Rows of the table of figures: measure, which measure that is, its value of each attribute."""
    columns = [_column(facts[name]) for name in ATTRIBUTES]
    return [(label, note, [column[place] for column in columns]) for place, (label, note) in enumerate(_MEASURES)]


_MEASURES = (
    ("Accuracy", "Argmax: the label is the most probable class, however unsure."),
    ("Among the first three", "The label is one of the three most probable classes."),
    ("Reference measure: precision / recall", "A class counts as predicted only above a calibrated confidence of 0.5; "
     "precision and recall weighted by how frequent each class is."),
    ("Coverage of the reference measure", "Share of the items with such a prediction."),
    ("Macro precision / recall", "Argmax; each class counts once, rare ones as much as frequent ones."),
    ("Weighted precision / recall", "Argmax; each class counts by its labels. This recall is the accuracy."),
    ("Neighbouring shades count as right", "Argmax; colors only: the label or a neighbouring shade of it."),
    ("Calibration error, before and after", "Expected gap between confidence and accuracy, before and after the "
     "temperature."),
    ("Area under risk and coverage", "Mean error rate of the surest part, over all its sizes; lower is better."),
    ("Suspicious labels", "Labels that confident learning doubts. A weak network doubts right labels too."),
)  # fmt: skip


def _column(result: Facts) -> list[str]:
    return [
        f"{result['accuracy']:.1%}",
        f"{result['top3_accuracy']:.1%}",
        _two(result["reference"]),
        f"{result['coverage']:.1%}",
        _two(result["macro"]),
        _two(result["weighted"]),
        f"{result['shade_tolerant_accuracy']:.1%}" if "shade_tolerant_accuracy" in result else "-",
        f"{result['calibration_error_before']:.3f}, {result['calibration_error']:.3f}",
        f"{result['risk_coverage']['area']:.3f}",
        _suspicious(result["label_noise"]),
    ]


def _two(mean: Facts) -> str:
    return f"{mean['precision']:.1%} / {mean['recall']:.1%}"


def _suspicious(noise: Facts | None) -> str:
    return "-" if noise is None else f"{noise['suspect_count']} ({noise['suspect_share']:.1%})"
