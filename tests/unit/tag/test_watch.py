import datetime as dt
import logging
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tagger.config import TagConfig
from tagger.drift.reference import reference_document
from tagger.errors import GateRefused
from tagger.storage import open_root
from tagger.tables.query import run_query
from tagger.tables.store import Tables
from tagger.tag.inspection import Inspection
from tagger.tag.ledger import Ledger
from tagger.tag.runs import RunIdentity
from tagger.tag.watch import Known, Watch
from tests.tables_rows import CLASSES, DAY, full_tag, record, unit
from tests.unit.drift.answers import Answers

IDENTITY = RunIdentity(DAY, "m", "1", "c")


def night(seed, items=200, tops=0.3, flagged=0.1, sure=0.9):
    """A night's rows: the share of `Top`, of flagged items, and the confidence of every type."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(items):
        label, other = ("Top", "Shirt") if rng.random() < tops else ("Shirt", "Top")
        top3 = [{"label": label, "p": sure}, {"label": other, "p": 1 - sure}]
        values = {"type": label, "type_confidence": sure, "type_top3": top3, "focus": rng.random()}
        reasons = ["low_focus"] if number < flagged * items else []
        key = f"{rng.choice(['shoes', 'bags'])}/{number:04d}.jpg"
        rows.append(full_tag(key, **values, review_reasons=reasons, needs_review=bool(reasons)))
    return unit(rows)


def ledger_of(rows):
    ledger = Ledger()
    ledger.add(rows)
    return ledger


def findings(root, rows, known=Known(CLASSES), identity=IDENTITY):  # noqa: B008
    watch = Watch(known, 1)
    watch.add(rows)
    return watch.findings(root, identity, ledger_of(rows))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A shop with eight committed nights that are alike."""
    place = open_root(str(tmp_path_factory.mktemp("shop")))
    tables = Tables(place)
    for number in range(8):
        rows = night(number)
        told = findings(place, rows)
        assert told.warnings == []
        date = DAY + dt.timedelta(days=number)
        files = tables.finalise(f"r{number}", date, [rows])
        counts = {"flagged": 20, "date": date, **told.columns()}
        tables.commit_run(record(f"r{number}", 200, 0, **counts), files.tags, files.rejects)
    return place


def test_a_night_like_the_others_is_silent(root):
    assert findings(root, night(99)).warnings == []


def test_another_mix_of_types_is_told_and_logged(root, caplog):
    with caplog.at_level(logging.WARNING, "tagger"):
        found = findings(root, night(99, tops=0.9))
    assert found.warnings == [each.getMessage() for each in caplog.records]
    assert found.warnings[0].startswith("type of all photos moved against recent runs: stability index")
    assert "over 200 photos; recent runs at most 0.0" in found.warnings[0]
    drift = found.columns()["drift"]
    assert [(row["group"], row["column"]) for row in drift if row["is_alarming"]] == [("all", "type")]
    assert [row["column"] for row in drift] == ["type", "color", "type_confidence", "color_confidence", "focus"]


def test_many_flagged_photos_are_told(root):
    (warning,) = findings(root, night(99, flagged=0.4)).warnings
    assert warning.startswith("80 of 200 photos (40.0%) were flagged, against a usual 10.0%: +")


def test_many_rejects_are_told(root):
    rows = night(99)
    watch = Watch(Known(CLASSES), 1)
    watch.add(rows)
    ledger = replace(ledger_of(rows), rejected_by_reason=Counter(corrupt=100))
    (warning,) = watch.findings(root, IDENTITY, ledger).warnings
    assert warning.startswith("100 of 300 photos (33.3%) were rejected, against a usual 0.0%: +")


def test_other_models_runs_and_small_ones_do_not_hide_this_ones(root, tmp_path):
    for stored in root.list_objects():
        open_root(str(tmp_path)).write_bytes(stored.key, root.read_bytes(stored.key))
    place = open_root(str(tmp_path))
    for number in range(20):
        commit_bare(place, f"s{number}", new=200, model_version="other")
    for number in range(2):  # all of whose photos were out of reach
        commit_bare(place, f"t{number}", new=500)
    (warning,) = findings(place, night(99, flagged=0.4)).warnings
    assert warning.startswith("80 of 200 photos (40.0%) were flagged, against a usual 10.0%: +")
    assert "of the last 8 runs." in warning


def commit_bare(place, run_id, **told):
    """A run without rows."""
    tables, date = Tables(place), DAY + dt.timedelta(days=20)
    files = tables.finalise(run_id, date, [])
    tables.commit_run(record(run_id, 0, 0, date=date, **told), files.tags, files.rejects)


def test_another_model_is_not_compared_with_this_ones_nights(root):
    found = findings(root, night(99, tops=0.9, flagged=0.4), identity=replace(IDENTITY, model_version="2"))
    assert found.warnings == [] and found.comparisons == []


def test_the_bundles_photos_are_a_reference_from_the_first_night(tmp_path):
    rng = np.random.default_rng(0)
    sure = rng.beta(9, 1, (2, 500))
    seen = Answers(rng.choice(2, 500), np.zeros(500, int), *sure, rng.random(500))
    found = findings(open_root(str(tmp_path)), night(0, sure=0.55), Known(CLASSES, reference_document(seen, CLASSES)))
    assert any("type_confidence of all photos moved against the bundle's photos" in told for told in found.warnings)
    assert found.accuracy["type"].estimate == pytest.approx(0.55)
    assert found.accuracy["type"].margin == pytest.approx(1.96 * np.sqrt(0.55 * 0.45 * (1 / 200 + 1 / 500)))


@pytest.mark.parametrize(("new", "shown"), [("new", "new"), ("n\new", r"n\new")])
def test_a_prefix_is_told_against_the_bundles_photos_of_the_same_types(tmp_path, caplog, new, shown):
    rng = np.random.default_rng(0)
    types = rng.choice(2, 2000)
    sure = np.where(types == 1, 0.95, 0.55)  # a Top is always easier: a prefix of Tops alone is no news
    seen = Answers(types, np.zeros(2000, int), sure, np.full(2000, 0.8), rng.random(2000))
    known = Known(CLASSES, reference_document(seen, CLASSES))
    rows = [
        full_tag(
            f"{prefix}/{number}.jpg", type=label, type_confidence=confidence, color=CLASSES["color"][0],
            color_confidence=0.8, focus=rng.random(),
        )
        for prefix, label, confidence in (("tops", "Top", 0.95), ("shirts", "Shirt", 0.55), (new, "Shirt", 0.3))
        for number in range(200)
    ]  # fmt: skip
    found = findings(open_root(str(tmp_path)), unit(rows), known)
    apart = {(each.group, each.column) for each in found.comparisons if each.is_moved and "prefix" in each.group}
    assert apart == {(f"prefix={new}", "type_confidence")}
    [logged] = [each.getMessage() for each in caplog.records if "prefix=" in each.getMessage()]
    assert f"prefix={shown} " in logged and "\n" not in logged


def test_nothing_tagged_has_no_estimate_and_no_warning(tmp_path):
    found = findings(open_root(str(tmp_path)), unit())
    assert found.warnings == [] and found.accuracy == {"type": None, "color": None}
    assert found.columns()["estimated_type_accuracy"] is None


def test_the_runs_row_holds_what_was_found(root):
    sql = "select estimated_type_accuracy, warnings, len(distributions) as n from runs where run_id = 'r7'"
    (row,) = run_query(root, sql).to_pylist()
    assert row["estimated_type_accuracy"] == pytest.approx(0.9) and row["warnings"] == []
    assert row["n"] == 5 * 5  # all, two types, two prefixes; five columns each


def test_the_depth_decides_what_a_prefix_is():
    watch = Watch(Known(CLASSES), 2)
    watch.add(unit([full_tag("a/b/1.jpg"), full_tag("a/c/2.jpg"), full_tag("3.jpg")]))
    assert {"prefix=a/b", "prefix=a/c", "prefix="} <= set(watch._census.profiles())
    flat = Watch(Known(CLASSES), 0)
    flat.add(unit([full_tag("a/b/1.jpg"), full_tag("c/2.jpg")]))
    assert not any(name.startswith("prefix=") for name in flat._census.profiles())


def test_rows_that_break_promises_are_refused_and_never_counted(root):
    inspection = Inspection("r1", IDENTITY, Known(CLASSES), TagConfig())
    inspection.add(unit([full_tag("a", type="Sofa", type_confidence=None)]))
    inspection.add(unit([full_tag("b")]))
    with pytest.raises(GateRefused, match="type is a class of the bundle"):
        inspection.findings(root, Ledger())
