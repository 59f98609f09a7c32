"""The page of suspicious labels: photo, label and what it should rather be, the worst first, for a person to decide."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from tagger.catalog.labels import ATTRIBUTES
from tagger.picture.fit import Policy
from tagger.report.page import render
from tagger.report.thumbnails import thumbnails
from tagger.storage import Root

Facts: TypeAlias = Mapping[str, Any]

SIDE_PX = 160

_PAGE = """{% extends "frame" %}
{% block head %}
<h1>Suspicious labels</h1>
<div class="faint">Judged by {{ facts.model_name }}, version {{ facts.model_version }}, on items of the role
{{ facts.split }} that it was not fitted on</div>
<nav>{% for name in attributes %}<a href="#{{ name }}">{{ name|capitalize }}</a>{% endfor %}</nav>
{% endblock %}
{% block body %}
<p>The worst come first. Where the suggestion is right, correct the row of this key in the labels table; where the label
is right, leave it: the network is wrong.</p>
{% for name in attributes %}
{% set noise = facts[name].label_noise %}
<h2 id="{{ name }}">{{ name|capitalize }}</h2>
{% if noise is none %}
<p>Labels of one class alone, or none that the networks were not fitted on: nothing to compare.</p>
{% else %}
<p>{{ noise.suspect_count }} of {{ noise.item_count }} labels look wrong ({{ noise.suspect_share|percent }}); the
{{ noise.suspects|length }} worst are shown.</p>
<div class="suspects">
{% for suspect in noise.suspects %}
<figure class="wrong"><div class="shot">{% if suspect.image_key in shots %}
<img src="{{ shots[suspect.image_key] }}" alt="" loading="lazy">{% else %}no photo{% endif %}</div>
<figcaption><div>label <b>{{ suspect.label }}</b> {{ "%.3f"|format(suspect.label_probability) }}</div>
<div>rather <b>{{ suspect.suggested }}</b> {{ "%.3f"|format(suspect.suggested_probability) }}</div>
<div class="faint">{{ suspect.image_key }}</div></figcaption></figure>
{% endfor %}</div>
{% endif %}
{% endfor %}
<footer class="faint">How labels are judged: docs/evaluation.md.</footer>
{% endblock %}
"""


def suspects_page(facts: Facts, images: Root) -> str:
    """HTML text that needs nothing but itself. facts: the evaluation's JSON (docs/evaluation.md). images: its photos.

    About 5 kB a label shown.
    """
    found = [facts[name]["label_noise"] for name in ATTRIBUTES]
    keys = [suspect["image_key"] for noise in found if noise for suspect in noise["suspects"]]
    fit: Policy = facts["fit"]
    shots = thumbnails(keys, images, fit, SIDE_PX)
    return render(_PAGE, "Suspicious labels", facts=facts, attributes=ATTRIBUTES, shots=shots)
