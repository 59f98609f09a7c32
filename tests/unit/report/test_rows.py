import pandas as pd
import pytest

from tagger.config import CatalogConfig
from tagger.errors import BadInput, LabelsError
from tagger.report.rows import SheetRequest, newest_row, read_truth, sheet_rows, unknown_key
from tagger.storage import open_root
from tests.tables_rows import DAY
from tests.unit.report.shop import NEXT_DAY, row, shop

ODD = 'it\'s "odd" %s; DROP TABLE tags --.jpg'


def keys(root, name, count=40, **values):
    return [each["image_key"] for each in sheet_rows(root, SheetRequest(name, count, **values)).rows]


def labels(**answers):
    table = [(key, type_name, color) for key, (type_name, color) in answers.items()]
    return pd.DataFrame(table, columns=["image_key", "type", "color"])


@pytest.fixture
def root(tmp_path):
    return shop(
        tmp_path,
        row("low", focus=-0.1),
        row("high", focus=0.9),
        row("middle", focus=0.4),
        row("null", focus=None, focus_null_reason="zero_map"),
        row("doubtful", focus=-0.9, review_reasons=["low_color_confidence", "mask_uncertain"]),
        row("low", "r2", focus=0.7, date=NEXT_DAY, tagged_at=pd.Timestamp("2026-11-23T12:00Z")),
        rejects=("broken.jpg",),
    )


def test_the_worst_and_the_best_are_ordered_by_focus_where_the_mask_is_believed(root):
    assert keys(root, "worst", date=DAY) == ["low", "middle", "high"]
    assert keys(root, "best", date=DAY) == ["high", "middle", "low"]


def test_a_sheet_is_cut_to_its_count_and_tells_among_how_many(root):
    chosen = sheet_rows(root, SheetRequest("worst", 2, DAY))
    assert [each["focus"] for each in chosen.rows] == pytest.approx([-0.1, 0.4]) and chosen.among == 3
    assert all(each["shown"] == "color" and each["color_cam"] for each in chosen.rows)


def test_without_a_date_the_newest_tag_of_each_photo_counts(root):
    assert keys(root, "worst") == ["middle", "low", "high"] and keys(root, "worst", date=NEXT_DAY) == ["low"]


def test_errors_are_wrong_tags_the_most_confident_first_and_which_attribute_it_is(tmp_path):
    root = shop(
        tmp_path,
        row("right"),
        row("color", color_confidence=0.7, type_confidence=1.0),
        row("type", color_confidence=1.0, type_confidence=0.6),
        row("both", color_confidence=0.2, type_confidence=0.95),
        row("unlabelled", color_confidence=1.0),
    )
    truth = labels(
        right=("Shirt", "White"),
        color=("Shirt", "Red"),
        type=("Top", "White"),
        both=("Top", "Red"),
        gone=("Top", "Red"),
    )
    chosen = sheet_rows(root, SheetRequest("errors", 40, None, truth))
    assert [(each["image_key"], each["shown"]) for each in chosen.rows] == [
        ("both", "type"), ("color", "color"), ("type", "type"),
    ]  # fmt: skip
    assert chosen.among == 4, "labelled rows"
    assert (chosen.rows[1]["label_type"], chosen.rows[1]["label_color"]) == ("Shirt", "Red")


def test_labels_stand_beside_the_rows_of_other_sheets_where_they_are_known(root):
    chosen = sheet_rows(root, SheetRequest("worst", 2, DAY, labels(low=("Top", "Red"))))
    assert [each["label_color"] for each in chosen.rows] == ["Red", None]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("wurst", {}, "no sheet 'wurst'. Choose one of: worst, best, errors"),
        ("errors", {}, "Give labels=FILE.csv"),
        ("errors", {"labels": labels(x=("Shirt", "White"))}, "the first label is of 'x'"),
        ("errors", {"labels": labels(low=("Shirt", "White"))}, "All 1 labelled rows are tagged as their labels say"),
        ("worst", {"date": pd.Timestamp("2026-11-29").date()}, "The newest nights are: 2026-11-23, 2026-11-22"),
    ],
)
def test_a_sheet_that_cannot_be_is_told(root, name, values, words):
    with pytest.raises(BadInput, match=words):
        keys(root, name, **values)


def test_an_empty_root_and_rows_without_focus_are_told_apart(tmp_path):
    with pytest.raises(BadInput, match="no committed rows"):
        keys(open_root(str(tmp_path / "empty")), "worst")
    with pytest.raises(BadInput, match="No row .* has a focus number"):
        keys(shop(tmp_path / "shop", row("a", focus=None)), "best")


def test_the_newest_row_of_a_key_or_that_of_a_night(root):
    assert newest_row(root, "low")["run_id"] == "r2" and newest_row(root, "low", DAY)["run_id"] == "r1"
    assert newest_row(root, "nothing") is None and newest_row(root, "images/\udce9.jpg") is None


def test_keys_are_never_sql(tmp_path):
    root = shop(tmp_path, row(ODD))
    assert newest_row(root, ODD)["image_key"] == ODD and keys(root, "worst") == [ODD]
    assert ODD in unknown_key(root, ODD[:-5])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("mitdle", "nearest keys are: middle"),
        ("broken.jpg", "rejected on 2026-11-23 as corrupt (ends early)"),
        ("\udce9", "keys are UTF-8"),
    ],
)
def test_an_unknown_key_is_told_with_what_is_known(root, key, words):
    assert words in unknown_key(root, key)


def test_a_forgotten_folder_is_found(tmp_path):
    root = shop(tmp_path, row("women/1.jpg"), row("2.jpg"), row("men/21.jpg"))
    assert "are: women/1.jpg" in unknown_key(root, "1.jpg")


def test_another_night_is_told(root):
    assert unknown_key(root, "high", NEXT_DAY) == "high was tagged in the night of 2026-11-22, not of 2026-11-23."


def test_truth_is_the_named_table_or_those_under_the_root(tmp_path):
    with pytest.raises(LabelsError, match=r"Or name a table: labels=FILE\.csv"):
        read_truth("", str(tmp_path), CatalogConfig())
    (tmp_path / "truth.csv").write_text("image_key,type,color,note\na,Top,Red,x\n")
    table = read_truth(str(tmp_path / "truth.csv"), "", CatalogConfig(ignore_columns=("note",)))
    assert table.to_dict("list") == {"image_key": ["a"], "type": ["Top"], "color": ["Red"]}


def test_a_key_forges_no_line_of_a_sentence(tmp_path):
    forged = "a\ntagger: all is well"
    root = shop(tmp_path, row(forged), rejects=("b\nc",))
    sentences = [unknown_key(root, key) for key in ("a", "b\nc", "x\ny")] + [unknown_key(root, forged, NEXT_DAY)]
    with pytest.raises(BadInput) as refused:
        keys(root, "errors", labels=labels(**{"x\ny": ("Shirt", "White")}))
    sentences.append(str(refused.value))
    assert [sentence.count("\n") for sentence in sentences] == [0] * 5
    assert r"nearest keys are: a\ntagger: all is well" in sentences[0] and r"'x\ny'" in sentences[4]
