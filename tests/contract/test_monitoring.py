"""The metrics, the page that describes them, and the alerts that rest on them agree."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tagger.cli import app
from tagger.entry import run
from tagger.storage import open_root
from tagger.tables.store import Tables
from tagger.tag.metrics import MEASURES
from tests.tables_rows import commit_unit, reject, tag, unit

CHECKOUT = Path(__file__).parents[2]
SQL = (CHECKOUT / "deploy" / "prometheus" / "runs.sql").read_text(encoding="utf-8")
RULES = CHECKOUT / "deploy" / "prometheus" / "rules.yaml"
PAGE = (CHECKOUT / "docs" / "monitoring.md").read_text(encoding="utf-8")
SUFFIX = {"counter": "_total", "gauge": "", "histogram": ""}


def rules() -> list[dict]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def marker(tmp_path, capsys) -> list[str]:
    """What the command of docs/monitoring.md prints for a root with one run."""
    commit_unit(Tables(open_root(str(tmp_path))), "r1", unit([tag("a"), tag("b")], [reject("c")]))
    return asked(tmp_path, capsys)


def asked(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    arguments = ["query", f"root={root}", "--format", "csv", SQL]
    assert run(lambda: app(args=arguments, standalone_mode=False)) == 0
    return capsys.readouterr().out.splitlines()[1:]


def test_every_metric_stands_on_the_page_as_the_exporter_names_it():
    rows = dict(re.findall(r"^\| `(ray_tagger_\w+)(?:\{\w+\})?` \| (\w+) \|", PAGE, re.MULTILINE))
    assert rows == {f"ray_{name}{SUFFIX[measure.kind]}": measure.kind for name, measure in MEASURES.items()}
    for name, measure in MEASURES.items():
        assert measure.meaning in PAGE
        assert not measure.label or f"`ray_{name}{SUFFIX[measure.kind]}{{{measure.label}}}`" in PAGE


def test_the_marker_is_prometheus_text(marker):
    families = text_string_to_metric_families("\n".join(marker) + "\n")
    found = {family.name: family.samples[0].value for family in families}
    assert {name: found[f"tagger_runs_newest_{name}"] for name in ("new", "tagged", "rejected")} == {
        "new": 3, "tagged": 2, "rejected": 1,
    }  # fmt: skip
    assert found["tagger_runs_newest_finished_timestamp_seconds"] > 1.7e9


def test_without_a_run_there_is_no_marker(tmp_path, capsys):
    assert asked(tmp_path, capsys) == []


def test_alerts_name_only_metrics_that_are_described(marker):
    known = {line.split()[0] for line in marker} | {"kuberay_job_deployment_status"}
    known |= {f"ray_{name}{SUFFIX[measure.kind]}" for name, measure in MEASURES.items()}
    for rule in rules():
        named = set(re.findall(r"\b(?:ray|tagger|kuberay)_\w+", rule["expr"]))
        assert named and named <= known, rule["alert"]
        assert f"`{rule['alert']}`" in PAGE and rule["annotations"]["summary"]


def test_every_expression_parses():
    for rule in rules():
        promql_parser.parse(rule["expr"])
    with pytest.raises(ValueError):
        promql_parser.parse("sum(rate(ray_photos[5m])")


def parts(expression: object) -> Iterator[object]:
    """An expression and all that it is made of."""
    yield expression
    for name in ("lhs", "rhs", "expr"):
        if hasattr(expression, name):
            yield from parts(getattr(expression, name))


def test_a_counter_that_is_not_there_counts_as_zero_where_it_is_compared_with_it():
    """In PromQL nothing == 0 is nothing, and such an alert never fires before the first count."""
    compared = [
        part.lhs.prettify()
        for rule in rules()
        for part in parts(promql_parser.parse(rule["expr"]))
        if str(getattr(part, "op", "")) == "==" and "increase(" in part.lhs.prettify()
    ]
    assert compared and all(re.fullmatch(r"\(.+ or vector\(0\)\)", counted) for counted in compared), compared


def test_promtool_takes_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
