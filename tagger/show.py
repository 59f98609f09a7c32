"""Results to text: one table for people, CSV and JSON for scripts.

CSV and JSON hold every text exactly as it is, also one that a spreadsheet would take for a formula: a script must get
the key that is stored. The table shows characters that deceive by their numbers.

Numbers of single precision, and our own figures, have six significant digits; those of double precision have all.
"""

import base64
import csv
import datetime
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tagger.errors import BadInput
from tagger.printable import printable

FORMATS = ("table", "csv", "json")
_WIDEST = 60


def rows_as(rows: Sequence[Mapping[str, Any]], style: str) -> str:
    """Rows as `table`, `csv` or `json` (one array of objects, ISO 8601 dates and times, bytes in base64).

    JSON knows no NaN and no infinity: both are null there. Numbers have six significant digits.
    """
    return _written([_shortened(row) for row in rows], style)


def arrow_as(answer: pa.Table, style: str) -> str:
    """A query's answer as `rows_as` prints it; columns show even where there is no row.

    Numbers of single precision have six significant digits, also inside lists and structs; of double precision, all.
    Columns of the same name stay apart, named as DuckDB names those of a subquery: `run_id`, `run_id_1`.
    """
    names = list(_distinct(answer.column_names))
    if not answer.num_rows and style != "json":
        return _csv([names]) if style == "csv" else f"no rows ({', '.join(names)})"
    columns = [[_of_type(value, column.type) for value in column.to_pylist()] for column in answer.columns]
    return _written([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], style)


def facts_as_text(facts: Mapping[str, Any]) -> str:
    """Named facts, one a line."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {printable(_flat(_plain(_shortened(value))))}" for name, value in facts.items())


def facts_as(facts: Mapping[str, Any], style: str) -> str:
    """Named facts as `json`, one object, or in any other style as text."""
    return facts_as_json(facts) if style == "json" else facts_as_text(facts)


def facts_as_json(facts: Mapping[str, Any]) -> str:
    """Named facts as one JSON object, written as `rows_as` writes them."""
    return _json(_plain(_shortened(facts)))


def _written(rows: Sequence[Mapping[str, Any]], style: str) -> str:
    if style not in FORMATS:
        raise BadInput(f"--format {style} is not known. Use {', '.join(FORMATS)}.")
    plain = [_plain(row) for row in rows]
    if style == "json":
        return _json(plain)
    if style == "csv":
        return _csv([list(plain[0]) if plain else [], *([_flat(value) for value in row.values()] for row in plain)])
    return _table(plain)


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """The names, the later ones of equal ones with the first number that makes them another."""
    taken: set[str] = set()
    for name in names:
        numbered = (f"{name}_{n}" for n in range(1, len(names) + 1))
        chosen = name if name not in taken else next(each for each in numbered if each not in taken)
        taken.add(chosen)
        yield chosen


def _of_type(value: Any, kind: pa.DataType) -> Any:
    """A value of an Arrow column, shortened where its type is of single precision or less."""
    if value is None:
        return None
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        return _shortened(value)
    if pa.types.is_struct(kind):
        return {field.name: _of_type(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return [(_of_type(key, kind.key_type), _of_type(item, kind.item_type)) for key, item in value]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [_of_type(each, kind.value_type) for each in value]
    return value


def _shortened(value: Any) -> Any:
    """With six significant digits, all that single precision and a measurement hold."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: _shortened(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(each) for each in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _json(value: Any) -> str:
    return _encodable(json.dumps(_numbers_of_json(value), ensure_ascii=False, indent=1, allow_nan=False))


def _numbers_of_json(value: Any) -> Any:
    """Plain values, a decimal as an integer where it is whole, and null for what is not finite."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _numbers_of_json(each) for name, each in value.items()}
    return [_numbers_of_json(each) for each in value] if isinstance(value, list) else value


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
        table.add_row(*(_cut(printable(_flat(value))) for value in row.values()))
    console = Console(width=max(80, 24 * len(rows[0])) if rows else 80, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
