import base64
import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from tagger.report.charts import confusion_chart, reliability_chart, risk_coverage_chart
from tagger.report.evaluation_page import evaluation_page
from tagger.report.page import render
from tagger.report.suspects_page import suspects_page
from tagger.report.thumbnails import thumbnails
from tagger.storage import open_root
from tests.unit.evaluation.reports import EVIL, small_report

# A key may hold anything that a file name may.
KEYS = [f"{n} & \"<b>'.png" for n in range(30)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    photo = cv2.imencode(".png", np.full((60, 30, 3), (0, 0, 200), np.uint8))[1].tobytes()
    for key in KEYS[1:]:
        (folder / key).write_bytes(photo)
    return open_root(str(folder))


@pytest.fixture(scope="module")
def page(images):
    return evaluation_page(small_report(KEYS, rivalry=True).to_dict(), images)


@pytest.fixture(scope="module")
def suspects(images):
    return suspects_page(small_report(KEYS).to_dict(), images)


@pytest.mark.parametrize("name", ["page", "suspects"])
def test_a_page_needs_nothing_but_itself(name, request):
    text = request.getfixturevalue(name)
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(("data:image/", "#")) for source in sources)
    assert "http" not in text and "@import" not in text and "url(" not in text


@pytest.mark.parametrize("name", ["page", "suspects"])
def test_names_and_keys_are_escaped(name, request):
    text = request.getfixturevalue(name)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "<b>&#39;.png" not in text and "&amp; &#34;&lt;b&gt;&#39;.png" in text


ODD_KEYS = {
    "a\nb": "a\\nb",
    "gpj.\u202eexe": "gpj.\\u202eexe",
    "a\0b": "a\\x00b",
    "a%2Fb": "a%2Fb",
    "b\udcff": "b\\udcff",
    "javascript:alert(1)": "javascript:alert(1)",
    '" onerror="alert(1)': "&#34; onerror=&#34;alert(1)",
    "{{ 7 * 7 }}": "{{ 7 * 7 }}",
    "<!--": "&lt;!--",
    "k" * 1024: "k" * 1024,
}


def test_a_page_shows_which_key_it_is_whatever_the_key_holds(tmp_path):
    keys = [*ODD_KEYS, *(f"{n}.png" for n in range(20))]
    report, nothing = small_report(keys).to_dict(), open_root(str(tmp_path))
    for text in (evaluation_page(report, nothing), suspects_page(report, nothing)):
        text.encode()
        shown = re.findall(r'<(?:span|div) class="faint">([^<]*)</', text)
        assert set(shown) & set(ODD_KEYS.values()) and not set(shown) & (ODD_KEYS.keys() - set(ODD_KEYS.values()))
        assert not set("\0\u202e") & set(text)


def test_a_page_shows_every_odd_key():
    body = "{% for key in keys %}<i>{{ key }}</i>{% endfor %}"
    page = render("{% extends 'frame' %}{% block body %}" + body + "{% endblock %}", "t", keys=list(ODD_KEYS))
    assert re.findall("<i>(.*?)</i>", page) == list(ODD_KEYS.values())


def test_a_phone_gets_its_own_width(page):
    assert '<meta name="viewport" content="width=device-width' in page


def test_the_page_says_which_measure_is_which(page):
    facts = small_report(KEYS).to_dict()
    for words in ("Reference measure", "above a calibrated confidence of 0.5", "weighted by how frequent", "Argmax"):
        assert words in page
    assert f"{facts['type']['accuracy']:.1%}" in page and f"{facts['color']['shade_tolerant_accuracy']:.1%}" in page
    assert "0.250, " in page and "12.5%" in page  # calibration error before; flagged share


def test_a_comparison_shows_its_verdict(page, images):
    assert "Refused: worse" in page and "Against serving, version 7" in page
    assert "Against" not in evaluation_page(small_report(KEYS).to_dict(), images)


def test_a_photo_that_is_gone_is_said_to_be(page):
    assert "no photo" in page


def test_suspects_show_label_suggestion_and_both_probabilities(suspects):
    noise = small_report(KEYS).noise["type"]
    assert f"{noise.suspect_count} of 30 labels look wrong" in suspects
    first = noise.suspects[0]
    assert f"{first.label_probability:.3f}" in suspects and f"{first.suggested_probability:.3f}" in suspects


def test_labels_that_cannot_be_judged_are_told(images):
    facts = small_report(KEYS).to_dict()
    facts["color"] = facts["color"] | {"label_noise": None}
    assert "nothing to compare" in suspects_page(facts, images)


def test_thumbnails_keep_the_photos_shape_and_are_small(images):
    found = thumbnails([*KEYS[:3], KEYS[1]], images, "stretch", 96)
    assert list(found) == KEYS[1:3]
    data = base64.b64decode(found[KEYS[1]].split(",")[1])
    assert Image.open(io.BytesIO(data)).size == (48, 96) and len(data) < 4000


def test_charts_are_pictures_whatever_the_names_hold():
    facts = small_report(KEYS).to_dict()
    charts = [
        confusion_chart("type", [EVIL, "Belt", "unused"], [[3, 1, 0], [0, 2, 0], [0, 0, 0]]),
        reliability_chart({"type": facts["type"]["reliability"]}),
        risk_coverage_chart({"color": facts["color"]["risk_coverage"]}),
    ]
    assert all(Image.open(io.BytesIO(png)).format == "PNG" for png in charts)


def test_a_class_that_no_item_has_takes_no_room():
    sizes = [
        Image.open(io.BytesIO(confusion_chart("type", names, counts))).width
        for names, counts in (
            (["a", "b"], [[1, 0], [0, 1]]),
            (["a", "x", "b"], [[1, 0, 0], [0, 0, 0], [0, 0, 1]]),
            (["a", "x", "b"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        )
    ]
    assert sizes[0] == sizes[1] < sizes[2]
