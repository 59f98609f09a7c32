"""Text from strangers, shown so that it cannot pass for something else.

An object's key may hold line feeds, terminal commands, marks that turn the direction of writing, and code points that
are no characters. Files that are read by programs keep it exactly; what people look at shows such characters by number.
"""

import re

_DECEPTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: line feeds, NUL, the escape that commands a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction (Unicode Bidirectional Algorithm, UAX 9)
    "\u2028\u2029\ufeff\ud800-\udfff]"  # other line ends, the byte order mark, lone surrogates
)


def printable(text: str) -> str:
    r"""The text on one line, deceptive characters as Python writes them: a line feed as \n, U+202E as \u202e."""
    return _DECEPTIVE.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_lines(text: str, between: str = "\n") -> str:
    """Lines of our own sentences stay lines, the later ones as they are joined; what they hold is made printable."""
    return between.join(map(printable, text.split("\n")))
