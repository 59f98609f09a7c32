"""Results to text: one table for people, CSV and JSON for scripts."""

import base64
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tagger.errors import BadInput

FORMATS = ("table", "csv", "json")
_WIDEST = 60


def rows_as(rows: Sequence[Mapping[str, Any]], style: str) -> str:
    """Rows as `table`, `csv` or `json` (one array of objects, ISO 8601 dates, bytes in base64)."""
    if style not in FORMATS:
        raise BadInput(f"--format {style} is not known. Use {', '.join(FORMATS)}.")
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    if style == "json":
        return json.dumps(plain, ensure_ascii=False, indent=1)
    if style == "csv":
        return pd.DataFrame([{k: _flat(v) for k, v in row.items()} for row in plain]).to_csv(index=False).rstrip("\n")
    return _table(plain)


def arrow_as(answer: pa.Table, style: str) -> str:
    """A query's answer as `rows_as` prints it; columns show even where there is no row."""
    if not answer.num_rows and style != "json":
        return ",".join(answer.column_names) if style == "csv" else f"no rows ({', '.join(answer.column_names)})"
    return rows_as(answer.to_pylist(), style)


def facts_as_text(facts: Mapping[str, Any]) -> str:
    """Named facts, one a line."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {_flat(_plain(value))}" for name, value in facts.items())


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


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_shortened(_flat(value)) for value in row.values()))
    console = Console(width=max(80, 24 * len(rows[0])) if rows else 80, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").splitlines())


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
