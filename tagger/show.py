"""Results to text: one table for people, CSV and JSON for scripts.

CSV and JSON hold every text exactly as it is, also one that a spreadsheet would take for a formula: a script must get
the key that is stored. The table shows characters that deceive by their numbers.
"""

import base64
import csv
import datetime
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tagger.errors import BadInput
from tagger.printable import printable

FORMATS = ("table", "csv", "json")
_WIDEST = 60


def rows_as(rows: Sequence[Mapping[str, Any]], style: str) -> str:
    """Rows as `table`, `csv` or `json` (one array of objects, ISO 8601 dates, bytes in base64)."""
    if style not in FORMATS:
        raise BadInput(f"--format {style} is not known. Use {', '.join(FORMATS)}.")
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    if style == "json":
        return _encodable(json.dumps(plain, ensure_ascii=False, indent=1))
    if style == "csv":
        return _csv([list(plain[0]) if plain else [], *([_flat(value) for value in row.values()] for row in plain)])
    return _table(plain)


def arrow_as(answer: pa.Table, style: str) -> str:
    """A query's answer as `rows_as` prints it; columns show even where there is no row."""
    if not answer.num_rows and style != "json":
        return _csv([answer.column_names]) if style == "csv" else f"no rows ({', '.join(answer.column_names)})"
    return rows_as(answer.to_pylist(), style)


def facts_as_text(facts: Mapping[str, Any]) -> str:
    """Named facts, one a line."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {printable(_flat(_plain(value)))}" for name, value in facts.items())


def facts_as(facts: Mapping[str, Any], style: str) -> str:
    """Named facts as `json`, one object, or in any other style as text."""
    return facts_as_json(facts) if style == "json" else facts_as_text(facts)


def facts_as_json(facts: Mapping[str, Any]) -> str:
    """Named facts as one JSON object, written as `rows_as` writes them."""
    return json.dumps(_plain(facts), ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _flat(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(_flat(each) for each in value)
    return str(value)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    """RFC 4180 but for the line ends, which are the shell's; without the last one."""
    return _encodable("\n".join(map(_csv_line, rows)))


def _csv_line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    # The writer quotes a carriage return only where it is part of its own line end.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _encodable(text: str) -> str:
    """A lone surrogate, of a file name that is no UTF-8, as JSON writes it; standard output refuses it otherwise."""
    return text.encode("utf-8", "backslashreplace").decode()


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_shortened(printable(_flat(value))) for value in row.values()))
    console = Console(width=max(80, 24 * len(rows[0])) if rows else 80, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
