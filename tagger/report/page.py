"""One HTML page that needs no network: its frame and style, for phone and desktop, and the escaping of every value."""

from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from tagger.printable import printable

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root{--ink:#1c2129;--faint:#667080;--line:#e2e6ec;--soft:#f5f7fa;--good:#1a7f4b;--bad:#b3261e;--accent:#1f5fa8}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header>div{max-width:1120px;margin:0 auto;padding:0 18px}
header{background:var(--soft);border-bottom:1px solid var(--line);padding:22px 0 14px}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:38px 0 8px;padding-bottom:5px;border-bottom:2px solid var(--line)}
h3{font-size:1rem;margin:24px 0 6px}
p{margin:6px 0;max-width:76ch}
.faint{color:var(--faint);font-size:.9rem}
nav a{display:inline-block;margin:8px 14px 0 0;color:var(--accent);text-decoration:none}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:18px 0}
.card{border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.card b{display:block;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}
.card span{color:var(--faint);font-size:.85rem}
.wide{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
td{white-space:nowrap}
th:first-child,td:first-child,.left{text-align:left}
td:first-child{white-space:normal}
th{font-weight:600;font-size:.88rem;color:var(--faint)}
td small{display:block;color:var(--faint);max-width:58ch}
tr.weak td{background:#fdf3f2}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:18px}
.pair>*{min-width:0}
img.chart{display:block;width:100%;max-width:560px;height:auto}
.wide img.heat{display:block;width:100%;min-width:560px;max-width:980px;height:auto}
.photos{display:flex;flex-wrap:wrap;gap:8px;margin:4px 0 16px}
figure{margin:0;width:112px;border:1px solid var(--line);border-top:4px solid var(--good);border-radius:6px;padding:6px;
 font-size:.78rem;line-height:1.3;overflow-wrap:anywhere}
figure.wrong{border-top-color:var(--bad)}
figure .faint{font-size:inherit}
figure .shot{display:flex;align-items:center;justify-content:center;height:96px;margin-bottom:4px;color:var(--faint)}
figure img{max-width:100%;max-height:96px}
.suspects{display:grid;grid-template-columns:repeat(auto-fill,minmax(158px,1fr));gap:12px}
.suspects figure{width:auto;border-top-width:1px;padding:8px}
.suspects .shot,.suspects img{height:auto;min-height:96px;max-height:160px}
.suspects .shot{height:160px}
figcaption b{font-weight:600}
.verdict{padding:8px 12px;border-radius:8px;font-weight:600;display:inline-block;margin:4px 0}
.verdict.no{background:#fdecea;color:var(--bad)}.verdict.yes{background:#e8f5ee;color:var(--good)}
footer{margin:44px 0 28px;padding-top:10px;border-top:1px solid var(--line)}
@media (max-width:520px){main,header>div{padding:0 12px}th,td{padding:4px 7px}figure{width:104px}}
@media print{nav{display:none}}
</style></head>
<body><header><div>{% block head %}{% endblock %}</div></header><main>{% block body %}{% endblock %}</main>
</body></html>
"""


def render(template: str, title: str, **values: Any) -> str:
    """The page of a Jinja template that fills the blocks `head` and `body` of "frame".

    Every value is escaped, and shown as by `printable`. Filters: `percent` (0.123 -> 12.3 %), `number` (three
    decimals); both write - for None.
    jinja2.UndefinedError for a value that the template asks for in vain.
    """
    environment = Environment(
        loader=DictLoader({"frame": _FRAME, "page": template}),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number}
    return environment.get_template("page").render(title=title, **values)


def _shown(value: Any) -> Any:
    """Texts of values without characters that deceive; what the template itself has made is left as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def percent(value: float | None) -> str:
    """A share for people."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """A number for people."""
    return "-" if value is None else f"{value:.3f}"
