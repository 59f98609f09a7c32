"""The command line's promises to scripts: words in any order, exit codes, what goes to which stream."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tagger.cli import app
from tagger.config_file import OVERRIDE
from tagger.entry import EXIT_WORDS, run
from tagger.storage import open_root
from tagger.tables.store import Tables
from tests.runs_made import begin, commit, commit_in_part, run_id_of, stage
from tests.tables_rows import commit_unit, reject, tag, unit

TWICE = ("fashion-24x20", "fashion-24x20")


def call(*arguments: str) -> int:
    return run(lambda: app(args=list(arguments), standalone_mode=False))


@pytest.fixture
def shop(tmp_path):
    root = open_root(str(tmp_path))
    commit_unit(Tables(root), "r1", unit([tag("a"), tag("b")], [reject("c")]))
    return f"root={root.uri}"


@pytest.mark.parametrize(
    ("argument", "is_override"),
    [("root=s3://a/b", True), ("train.width=1", True), ("select a=b", False), ("photo=1.jpg", True), ("A=1", False)],
)
def test_an_override_is_told_from_an_operand_by_its_form(argument, is_override):
    assert bool(OVERRIDE.match(argument)) == is_override


@pytest.mark.parametrize("order", [0, 1])
def test_sql_and_overrides_come_in_any_order(shop, capsys, order):
    words = [shop, "select count(*) n from tags"]
    assert call("query", "--format", "json", *(words[::-1] if order else words)) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 2}]


def test_json_is_one_array_with_iso_dates_and_csv_has_a_header(shop, capsys):
    assert call("query", shop, "--format", "json", "select date, tagged_at from tags limit 1") == 0
    [row] = json.loads(capsys.readouterr().out)
    assert len(row["date"]) == 10 and row["tagged_at"][10] == "T"
    assert call("query", shop, "--format", "csv", "select image_key from tags order by 1") == 0
    assert capsys.readouterr().out.splitlines() == ["image_key", "a", "b"]


def test_no_rows_are_an_empty_array(shop, capsys):
    assert call("query", shop, "--format", "json", "select * from tags where false") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_without_sql_there_is_a_summary_of_runs(shop, capsys):
    assert call("query", shop, "--format", "json") == 0
    assert [row["tagged"] for row in json.loads(capsys.readouterr().out)] == [2]


def test_an_export_names_every_night_and_then_says_that_nothing_is_new(shop, capsys):
    later = dt.date(2026, 11, 23)
    commit_unit(Tables(open_root(shop.removeprefix("root="))), "r2", unit([tag("d", "r2", date=later)]), date=later)
    assert call("review", "export", shop) == 0
    nights = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("/")]
    assert nights == ["2026-11-22: nothing to review", "2026-11-23: nothing to review"]
    assert call("review", "export", shop) == 0
    assert capsys.readouterr().out == "nothing new to review: every night of the last 14 days is exported\n"
    assert call("review", "export", shop, "date=2026-11-22") == 0
    assert capsys.readouterr().out.startswith("2026-11-22: nothing to review\n")


def test_config_show_is_yaml_and_flags_are_overrides(capsys):
    assert call("config", "show", "--config", "configs/demo.yaml", "train.width=0.5") == 0
    assert yaml.safe_load(capsys.readouterr().out)["train"]["width"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["query"], 2, "No root is named"),
        (["query", "root=/no/such/folder"], 2, "There is no folder '/no/such/folder'"),
        (["query", "root=ftp://a/b"], 2, "neither a local folder nor s3://"),
        (["train", "train.widht=1"], 2, "Did you mean 'width'"),
        (["tag", "--config", "configs/nope.yaml"], 2, "There is no configuration file 'configs/nope.yaml'"),
        (["tag", "/no/photo.jpg", "--model", "fashion-24x20"], 2, "There is no photo '/no/photo.jpg'"),
        (["tag", "a.jpg", "--dry-run"], 2, "Leave out --dry-run, --keys-from and --retry-rejects"),
        (["tag", "a.jpg", "--keys-from", "keys.txt"], 2, "Leave out --dry-run"),
        (
            ["tag", "--retry-rejects", "root=shop"],
            2,
            "took 'root=shop' as its reason. Write --retry-rejects all, or empty",
        ),
        (["tag", "root=shop", "--retry-rejects", "--dry-run"], 2, "took '--dry-run' as its reason"),
        (["tag", "root=shop", "--retry-rejects="], 2, "took '' as its reason"),
        (["tag", "a.jpg", "--retry-rejects", "corrupt"], 2, "Leave out --dry-run"),
        (["explain", "--model", "fashion-24x20"], 2, "explain takes one photo"),
        (["explain", "a.jpg", "--out", "a.gif"], 2, "Write --out FILE.png or FILE.jpg"),
        (["explain", "a.jpg", "--sheet", "worst"], 2, "a sheet chooses its photos itself"),
        (["explain", "--sheet", "worst"], 2, "No root is named"),
        (["explain", "--sheet", "worst", "root=/no/such/folder"], 2, "There is no folder '/no/such/folder'"),
        (["train", "root=/no/such/folder"], 2, "No labels table matches"),
        (["thresholds", "--model", "fashion-24x20"], 2, "Nothing to choose thresholds on"),
        (["thresholds", "root=/no/such/folder"], 2, "No model is named"),
        (["thresholds", "root=shop", "--dry-run", "--promote"], 2, "--dry-run writes no version"),
        (["thresholds", "root=shop", "review.target_precision=95"], 2, "less than 1"),
        (["thresholds", "--model", "fashion-24x20", "root=/no/such/folder"], 2, "No labels table matches"),
        (["evaluate", "--model", "fashion-24x20"], 2, "Nothing to measure on"),
        (["evaluate", "root=/no/such/folder"], 2, "No model is named"),
        (["evaluate", "--model", "nope", "root=shop"], 2, "There is no trained bundle 'nope'"),
        (["evaluate", "--model", "fashion-24x20", "root=/no/such/folder"], 2, "No labels table matches"),
        (["evaluate", "--against", "nope", "--model", "fashion-24x20", "root=shop"], 2, "no trained bundle 'nope'"),
        (["evaluate", "--format", "csv", "root=shop"], 2, "--format csv is not known here"),
        (["evaluate", "--diff", "fashion-24x20"], 2, "requires 2 arguments"),
        (["evaluate", "--diff", "fashion-24x20", "--images", "shop"], 2, "--diff takes two models"),
        (["evaluate", "--diff", "fashion-24x20", "nope", "--images", "shop"], 2, "There is no trained bundle 'nope'"),
        (["evaluate", "--diff", *TWICE], 2, "No photos are named"),
        (["evaluate", "--diff", *TWICE, "--images", "/no/such/folder"], 2, "There is no folder '/no/such/folder'"),
        (["evaluate", "--diff", *TWICE, "--images", "shop", "--html", "e.html"], 2, "Leave out --json, --html"),
        (["runs", "resume", "RUN", "root=shop", "--format", "csv"], 2, "--format csv is not known here"),
        (["tag", "root=shop", "--format", "xml"], 2, "--format xml is not known here. Use table, csv or json."),
        (["verify", "root=shop"], 2, "Give date=YYYY-MM-DD, or --all"),
        (["verify", "root=shop", "--all", "date=2026-11-22"], 2, "Give date=YYYY-MM-DD, or --all"),
        (["runs", "list"], 2, "No root is named"),
        (["runs", "show", "root=/no/such/folder"], 2, "This takes one run id"),
        (["runs", "show", "r1", "root=/no/such/folder"], 2, "There is no folder '/no/such/folder'"),
        (["runs", "abort", "r1", "r2"], 2, "This takes one run id"),
        (["runs", "vacuum", "root=/no/such/folder"], 2, "There is no folder '/no/such/folder'"),
        (["runs", "compact", "r1"], 2, "'r1' is not understood here"),
        (["frobnicate"], 2, "No such command"),
        (["train", "--nope"], 2, "No such option"),
    ],
)
def test_a_mistake_ends_in_one_sentence_on_standard_error(capsys, arguments, code, words):
    assert call(*arguments) == code and code in EXIT_WORDS
    streams = capsys.readouterr()
    assert words in streams.err and streams.out == "" and "Traceback" not in streams.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device without space")
def test_the_exit_code_is_told_though_the_log_is_on_a_full_disk():
    code = "import sys; from tagger.cli import main; sys.argv[1:] = ['query', 'root=/nowhere', 'select 1']; main()"
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", code], stderr=full, timeout=300).returncode == 2


def test_a_sheet_prints_the_path_of_the_picture_alone(tmp_path, capsys):
    root = open_root(str(tmp_path))
    numbers = dict.fromkeys(("type_confidence", "color_confidence", "focus", "cam_on_product", "mask_quality"), 0.5)
    commit_unit(Tables(root), "r1", unit([tag("a", **numbers)]))
    out = tmp_path / "sheets" / "worst.png"
    assert call("explain", "--sheet", "worst", f"root={root.uri}", "--out", str(out)) == 0
    assert capsys.readouterr().out == f"{out}\n" and out.read_bytes().startswith(b"\x89PNG")


def test_a_tagged_photo_is_explained_without_naming_a_model(shop, tmp_path, capsys):
    out = tmp_path / "a.jpg"
    assert call("explain", "a", shop, "--out", str(out)) == 0
    assert "Shirt" in capsys.readouterr().out and out.read_bytes().startswith(b"\xff\xd8")
    assert call("explain", "aa", shop) == 2
    assert "The nearest keys are: a, b." in capsys.readouterr().err


def test_a_ledger_that_does_not_add_up_is_exit_3(tmp_path, capsys):
    root = open_root(str(tmp_path))
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    [part] = [o.key for o in root.list_objects("tables/tags/") if o.key.endswith(".parquet")]
    date = part.split("date=")[1][:10]
    assert call("verify", f"root={root.uri}", f"date={date}") == 0
    (tmp_path / part).write_bytes((tmp_path / part).read_bytes()[:-1] + b"x")
    assert call("verify", f"root={root.uri}", f"date={date}") == 3
    assert "WRONG" in capsys.readouterr().out


@pytest.fixture
def runs(tmp_path):
    root = open_root(str(tmp_path))
    commit(root, run_id_of(1))
    commit(root, run_id_of(2))
    stage(root, begin(root, 3))
    commit_in_part(root, begin(root, 4), ("rejects",))
    return f"root={root.uri}"


def answer(capsys, *arguments):
    assert call(*arguments, "--format", "json") == 0
    return json.loads(capsys.readouterr().out)


def test_all_dates_are_proven_at_once(runs, capsys):
    assert call("verify", runs, "--all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line[:6].strip() for line in lines} == {"ok", "info"}


def test_runs_are_listed_newest_first_with_their_status(runs, capsys):
    listed = [(row["run_id"], row["status"]) for row in answer(capsys, "runs", "list", runs)]
    statuses = zip((4, 3, 2, 1), ("committing", "unfinished", "committed", "committed"), strict=True)
    assert listed == [(run_id_of(number), status) for number, status in statuses]
    assert answer(capsys, "runs", "list", runs, "date=2020-01-01") == []


def test_a_run_is_shown_as_facts(runs, capsys):
    assert answer(capsys, "runs", "show", run_id_of(4), runs)["transactions_in"] == ["rejects"]
    assert call("runs", "show", run_id_of(1), runs) == 0
    assert "committed: its rows are in the views" in capsys.readouterr().out


def test_a_run_that_must_be_finished_is_neither_aborted_nor_resumed_when_committed(runs, capsys):
    assert call("runs", "abort", run_id_of(4), runs) == 2
    assert "must be finished" in capsys.readouterr().err
    assert call("runs", "resume", run_id_of(1), runs) == 2
    assert "is committed: nothing of it is left to do" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [("vacuum", "--grace-hours=inf"), ("compact", "--older-than=4000000000")])
def test_a_time_that_no_clock_has_is_refused(runs, capsys, asked):
    assert call("runs", *asked, runs) == 2
    assert f"Invalid value for '{asked[1].split('=')[0]}'" in capsys.readouterr().err


def test_an_aborted_run_is_vacuumed_after_a_dry_run(runs, capsys):
    assert answer(capsys, "runs", "abort", run_id_of(3), runs)["status"] == "aborted"
    tried = answer(capsys, "runs", "vacuum", runs, "--grace-hours", "0", "--dry-run")
    assert [(row["kind"], row["run_id"], row["files"]) for row in tried] == [
        ("work", run_id_of(1), 1), ("work", run_id_of(2), 1), ("work", run_id_of(3), 2),
    ]  # fmt: skip
    assert call("runs", "vacuum", runs) == 0 and capsys.readouterr().out == "nothing to remove\n"
    assert answer(capsys, "runs", "vacuum", runs, "--grace-hours", "0") == tried
    assert [row["run_id"] for row in answer(capsys, "runs", "list", runs)] == [run_id_of(n) for n in (4, 2, 1)]


@pytest.mark.parametrize(("option", "days"), [([], [7]), (["--older-than", "6"], [7, 6]), (["--older-than", "8"], [])])
def test_dates_of_at_least_so_many_days_are_compacted(tmp_path, capsys, option, days):
    root, today = open_root(str(tmp_path)), dt.datetime.now(dt.UTC).date()
    dates = {days: today - dt.timedelta(days) for days in (6, 7)}
    for date in dates.values():
        for number in (1, 2):
            commit(root, run_id_of(number, date), date)
    gained = answer(capsys, "runs", "compact", f"root={root.uri}", *option)
    assert {row["date"] for row in gained} == {dates[each].isoformat() for each in days}


def test_a_compaction_tells_files_before_and_after(runs, capsys):
    gained = answer(capsys, "runs", "compact", runs, "date=2026-11-22")
    assert {row["table"]: (row["files_before"], row["files_after"]) for row in gained} == {
        "tags": (2, 1), "rejects": (3, 1), "runs": (2, 1),
    }  # fmt: skip
    assert call("verify", runs, "--all") == 0
