import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.printable import printable

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("été/雪 😀.jpg", "été/雪 😀.jpg"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\0b", "a\\x00b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u2028b", "a\\u2028b"),
        ("b\udcff", "b\\udcff"),
        ("a%2Fb", "a%2Fb"),
    ],
)
def test_what_deceives_is_shown_by_its_number(text, shown):
    assert printable(text) == shown


@given(ANY_TEXT)
def test_what_is_shown_is_one_line_that_can_be_written_and_commands_nothing(text):
    shown = printable(text)
    shown.encode()
    assert shown.splitlines() in ([], [shown])
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in shown)
    assert not any(unicodedata.bidirectional(letter)[-1:] in "EOIF" and len(unicodedata.bidirectional(letter)) == 3
                   for letter in shown)  # fmt: skip


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_ordinary_text_stays_as_it_is(text):
    assert printable(text) == text
