import csv
import datetime as dt
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import BadInput, StorageUnavailable
from tagger.flags.reasons import Thresholds
from tagger.review.export import FIELDS, ExportSummary, csv_bytes, due_nights, export_night, jsonl_bytes
from tagger.storage import LocalRoot, Root, open_root
from tagger.tables.store import Tables
from tests.tables_rows import DAY, LABELS, NOON, commit_unit, tag, unit

FOLDER = "review/2026-11-22"
NEXT_DAY = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path) -> Root:
    return open_root(str(tmp_path / "shop"))


def flagged(key: str, **values: object) -> dict[str, object]:
    known = {"risk": 0.42, "needs_review": True, "review_reasons": ["low_focus", "audit"], "color_top3": LABELS}
    return tag(key, **known | {"model_name": "m", "model_version": "1", "focus": -0.25} | values)


def export(root: Root, out: Root, **options: object) -> ExportSummary:
    """The only night that is due, or that of DAY."""
    [night] = due_nights(root, out) or due_nights(root, out, DAY)
    return export_night(root, out, night, **options)


def due(root: Root, out: Root) -> list[dt.date]:
    return [night.date for night in due_nights(root, out)]


def objects(root: Root) -> list[dict[str, object]]:
    return [json.loads(line) for line in root.read_bytes(f"{FOLDER}/queue.jsonl").decode().split("\n")[:-1]]


def cells(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_both_files_hold_the_queue_riskiest_first(root):
    commit_unit(Tables(root), "r1", unit([flagged("a", risk=0.1), flagged("b", risk=0.9), tag("c")]))
    summary = export(root, root)
    table = cells(root.read_bytes(f"{FOLDER}/queue.csv"))
    assert [item["image_key"] for item in objects(root)] == ["b", "a"] == [row["image_key"] for row in table]
    assert list(table[0]) == list(objects(root)[0]) == list(FIELDS)
    uris = (f"{root.uri}/{FOLDER}/queue.jsonl", f"{root.uri}/{FOLDER}/queue.csv")
    assert summary == ExportSummary(DAY, flagged=2, exported=2, audit=2, left_out=0, files=uris)


def test_an_item_is_told_exactly_in_json_and_readably_in_csv(root):
    commit_unit(Tables(root), "r1", unit([flagged("été/a b.jpg")]))
    export(root, root)
    (item,), (row,) = objects(root), cells(root.read_bytes(f"{FOLDER}/queue.csv"))
    assert item["image_uri"] == f"{root.uri}/images/été/a b.jpg"
    assert (item["risk"], item["focus"], item["cam_on_product"], item["date"]) == (0.42, -0.25, None, "2026-11-22")
    assert item["color_top3"] == LABELS and item["review_reasons"] == ["low_focus", "audit"]
    assert (row["risk"], row["focus"], row["cam_on_product"], row["date"]) == ("0.42", "-0.25", "", "2026-11-22")
    assert (row["color_top3"], row["review_reasons"]) == ("White 0.75; Cream 0.25", "low_focus;audit")
    assert row["reasons_in_words"] == " ".join(item["reasons_in_words"]) and "focus -0.25" in row["reasons_in_words"]


def test_sentences_compare_with_the_thresholds_of_the_model_that_judged(root, tmp_path):
    def bundle(place: Root, version: str, focus: float) -> Root:
        document = {"name": "m", "version": version, "thresholds": Thresholds(focus=focus).to_dict()}
        place.write_bytes("bundle.json", json.dumps(document).encode())
        return place

    bundle(root.child("models", "m", "1"), "1", 0.1)
    shipped = bundle(open_root(str(tmp_path / "shipped")), "2", 0.2)
    rows = [flagged("a"), flagged("b", model_version="2"), flagged("c", model_version="3")]
    commit_unit(Tables(root), "r1", unit(rows))
    export(root, root, bundles=[shipped])
    told = [item["reasons_in_words"][0].partition("focus ")[2] for item in objects(root)]
    assert told == ["-0.25, below 0.10.", "-0.25, below 0.20.", "-0.25, too low."]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\0=", "\ufeff=", "＝", "'", "'="])
def test_no_text_cell_is_a_formula_to_a_spreadsheet(start):
    item = dict.fromkeys(FIELDS) | {"image_key": f"{start}1+1", "type_top3": [{"label": f"{start}x", "p": 1.0}]}
    (row,) = cells(csv_bytes([item]))
    assert row["image_key"] == f"'{start}1+1" and row["type_top3"] == f"'{start}x 1.00"
    assert json.loads(jsonl_bytes([item]))["image_key"] == f"{start}1+1"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_taking_one_apostrophe_off_gives_every_key_back(key):
    item = dict.fromkeys(FIELDS) | {"image_key": key}
    told = cells(csv_bytes([item]))[0]["image_key"]
    assert told.removeprefix("'") == key and not told.lstrip(" \t\r\n\0").startswith(("=", "+", "-", "@"))
    assert json.loads(jsonl_bytes([item]))["image_key"] == key


def test_a_negative_number_is_no_formula():
    (row,) = cells(csv_bytes([dict.fromkeys(FIELDS) | {"focus": -0.25}]))
    assert row["focus"] == "-0.25"


def test_a_key_that_is_no_utf8_stops_no_export():
    item = dict.fromkeys(FIELDS) | {"image_key": "b\udcff"}
    assert json.loads(jsonl_bytes([item]))["image_key"] == "b\udcff"
    assert cells(csv_bytes([item]))[0]["image_key"] == "b\\udcff"


def test_csv_is_rfc_4180():
    item = dict.fromkeys(FIELDS) | {"image_key": 'a,"b"\nc', "risk": 0.5}
    data = csv_bytes([item])
    assert data.startswith(b"image_key,image_uri,type,") and data.count(b"\r\n") == 2 and data.endswith(b"\r\n")
    assert b'\r\n"a,""b""\nc",' in data and cells(data)[0]["image_key"] == 'a,"b"\nc'


def test_photos_and_files_may_be_elsewhere(root, tmp_path):
    commit_unit(Tables(root), "r1", unit([flagged("a.jpg")]))
    out = open_root(str(tmp_path / "out"))
    export(root, out, images=open_root("s3://photos/shop"))
    assert objects(out)[0]["image_uri"] == "s3://photos/shop/a.jpg" and not root.exists(f"{FOLDER}/queue.csv")


def test_a_limit_is_told(root):
    rows = [flagged(str(n), risk=n / 10, review_reasons=["low_focus"]) for n in range(5)] + [flagged("x", risk=0.0)]
    commit_unit(Tables(root), "r1", unit(rows))
    summary = export(root, root, limit=3)
    assert [item["image_key"] for item in objects(root)] == ["4", "3", "x"]
    assert (summary.flagged, summary.exported, summary.audit, summary.left_out) == (6, 3, 1, 3)
    assert summary.as_text().splitlines()[:2] == [
        "2026-11-22: 3 of 6 flagged items to review, 1 of them audit",
        "left out, the least risky: 3 (review.minutes)",
    ]


def test_a_night_without_flagged_items_gives_files_without_items(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    summary = export(root, root)
    assert root.read_bytes(f"{FOLDER}/queue.jsonl") == b""
    assert root.read_bytes(f"{FOLDER}/queue.csv").decode() == ",".join(FIELDS) + "\r\n"
    assert summary.exported == 0 and summary.as_text().startswith("2026-11-22: nothing to review\n")


def test_a_second_export_replaces_the_first(root):
    commit_unit(Tables(root), "r1", unit([flagged("a"), flagged("b")]))
    first, second = export(root, root), export(root, root, limit=0)
    assert first.files == second.files and len(objects(root)) == second.exported == 2


def test_each_night_is_exported_once(root, tmp_path):
    commit_unit(Tables(root), "r1", unit([flagged("a")]))
    commit_unit(Tables(root), "r2", unit([flagged("b", date=NEXT_DAY, run_id="r2")]), date=NEXT_DAY)
    nights = due_nights(root, root)
    assert [export_night(root, root, night).date for night in nights] == [DAY, NEXT_DAY] and due(root, root) == []
    assert [item["image_key"] for item in objects(root)] == ["a"]
    assert due(root, open_root(str(tmp_path / "elsewhere"))) == [DAY, NEXT_DAY]


def test_a_run_that_is_committed_after_the_export_of_its_night_makes_that_night_due_again(root):
    commit_unit(Tables(root), "r2", unit([flagged("b", date=NEXT_DAY, run_id="r2")]), date=NEXT_DAY)
    commit_unit(Tables(root), "r1", unit([flagged("a")]))
    [export_night(root, root, night) for night in due_nights(root, root)]
    commit_unit(Tables(root), "r3", unit([flagged("c", run_id="r3", risk=0.9)]))
    assert due(root, root) == [DAY] and export(root, root).exported == 2
    assert [item["image_key"] for item in objects(root)] == ["c", "a"] and due(root, root) == []


def test_a_run_that_is_committed_during_an_export_is_not_taken_for_exported(root):
    commit_unit(Tables(root), "r1", unit([flagged("a")]))
    [night] = due_nights(root, root)
    commit_unit(Tables(root), "r2", unit([flagged("b", run_id="r2")]))
    export_night(root, root, night)
    assert due(root, root) == [DAY]


def test_an_export_that_broke_off_is_made_again(root, monkeypatch):
    commit_unit(Tables(root), "r1", unit([flagged("a")]))
    write = LocalRoot.write_bytes

    def full(self, key, data):
        if key == "queue.jsonl":
            raise StorageUnavailable("no space left")
        write(self, key, data)

    with monkeypatch.context() as patch, pytest.raises(StorageUnavailable):
        patch.setattr(LocalRoot, "write_bytes", full)
        export(root, root)
    assert due(root, root) == [DAY]


def test_a_night_of_long_ago_is_exported_by_its_date_alone(root):
    long_ago = DAY - dt.timedelta(days=30)
    commit_unit(Tables(root), "r0", unit(), date=long_ago, finished_at=NOON - dt.timedelta(days=30))
    commit_unit(Tables(root), "r1", unit())
    assert due(root, root) == [DAY] and [night.date for night in due_nights(root, root, long_ago)] == [long_ago]


def test_a_night_that_is_named_is_exported_again(root):
    commit_unit(Tables(root), "r1", unit([flagged("a")]))
    export(root, root)
    assert due(root, root) == [] and [night.date for night in due_nights(root, root, DAY)] == [DAY]


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_record_of_an_export_is_told(root, record):
    commit_unit(Tables(root), "r1", unit())
    root.write_bytes(f"{FOLDER}/runs.json", record)
    with pytest.raises(BadInput, match="review/2026-11-22/runs.json is damaged. Delete it"):
        due_nights(root, root)


def test_without_a_committed_night_nothing_is_written(root):
    with pytest.raises(BadInput, match="no committed night"):
        export(root, root)
    assert list(root.list_objects("review")) == []
