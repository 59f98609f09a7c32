"""The commands `tagger runs ...`: which runs there are, and what people may do to them."""

import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagger.arguments import (
    ConfigFile,
    DateOption,
    FactsFormat,
    FormatOption,
    ModelOption,
    Operands,
    Overrides,
    RootOption,
    Verbose,
    configured,
    existing_root,
    prepare,
)
from tagger.config import Config
from tagger.entry import start_logging
from tagger.errors import BadInput
from tagger.show import facts_as, rows_as

if TYPE_CHECKING:
    from tagger.storage import Root

runs_app = typer.Typer(help="Nightly runs: list, look at, go on with, give up, clean up.", no_args_is_help=True)

_GRACE_HELP = "Leave what was written in the last HOURS."
_AGE_HELP = "Dates at least so many days ago, where no date is named."


@runs_app.command("list")
def list_(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    date: DateOption = None,
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """All runs, newest first: committed, unfinished and aborted ones, with counts and units staged so far.

    tagger runs list root=s3://bucket/shop
    tagger runs list root=s3://bucket/shop date=2026-11-22 --format json
    """
    loaded = configured(config, arguments, verbose, root=root, date=date)
    from tagger.tag.history import list_runs

    now = datetime.datetime.now(datetime.UTC)
    rows = [run.as_row(now) for run in list_runs(existing_root(loaded), loaded.date)]
    print(_rows(rows, style, "no runs"))


@runs_app.command()
def show(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    style: FactsFormat = "table",
    verbose: Verbose = False,
) -> None:
    """Everything known about one RUN: where it stands, its counts and times, and who holds its date.

    tagger runs show 20261122-1f0c9a2b-001 root=s3://bucket/shop
    """
    _, place, run_id = _of_run(config, arguments, verbose, root=root)
    from tagger.tag.history import show_run

    print(facts_as(show_run(place, run_id), style))


@runs_app.command()
def resume(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    model: ModelOption = None,
    style: FactsFormat = "table",
    verbose: Verbose = False,
) -> None:
    """Go on with an unfinished RUN: the same as tagger tag with its date, model and settings.

    A run whose tables, photo selection or images root changed since it was planned is given up there, and another
    begins.

    Name the model of the night, and images where the night did. Without a named cluster (ray.address) it works on this
    machine alone; on a cluster, submit the nightly job with the date= of the run.

    tagger runs resume 20261122-1f0c9a2b-001 --config configs/nightly.yaml root=s3://bucket/shop model=shop
    """
    loaded, _, run_id = _of_run(config, arguments, verbose, root=root, model=model)
    from tagger.cluster import connected
    from tagger.tag import night
    from tagger.tag.resume import config_to_resume, resumable
    from tagger.tag.serving import find_serving

    run, serving = resumable(loaded, run_id), find_serving(loaded)
    loaded = config_to_resume(loaded, run, serving)
    with connected(loaded.ray):
        summary = night.run(loaded, serving)
    print(facts_as(summary.facts(), style))


@runs_app.command()
def abort(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    style: FactsFormat = "table",
    verbose: Verbose = False,
) -> None:
    """Give an unfinished RUN up for good: its photos are new again. A run that is committed in part is refused.

    tagger runs abort 20261122-1f0c9a2b-001 root=s3://bucket/shop
    """
    loaded, place, run_id = _of_run(config, arguments, verbose, root=root)
    from tagger.tag.upkeep import abort_run

    run = abort_run(place, run_id, loaded.tag.lock_wait_s)
    print(facts_as(run.as_row(datetime.datetime.now(datetime.UTC)), style))


@runs_app.command()
def vacuum(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go; remove nothing.")] = False,
    grace_hours: Annotated[int, typer.Option("--grace-hours", min=0, max=876_000, help=_GRACE_HELP)] = 24,
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """Remove work folders of committed and aborted runs, table files of theirs that no table names, and old leases.

    No file that any version of a table names is touched, and nothing of an unfinished run: it may run beside a night.

    tagger runs vacuum root=s3://bucket/shop --dry-run
    """
    loaded = configured(config, arguments, verbose, root=root)
    from tagger.tag.vacuum import removable
    from tagger.tag.vacuum import vacuum as vacuumed

    place, grace = existing_root(loaded), datetime.timedelta(hours=grace_hours)
    found = removable(place, grace) if dry_run else vacuumed(place, grace)
    print(_rows([each.as_row() for each in found], style, "nothing to remove"))


@runs_app.command()
def compact(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    date: DateOption = None,
    older_than: Annotated[int, typer.Option("--older-than", min=0, max=36_500, metavar="DAYS", help=_AGE_HELP)] = 7,
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """Rewrite the small table files of a date, or of all older ones, into few large ones; rows stay as they are.

    It pays where a date has many runs. The old files stay for readers of earlier versions of the tables.

    tagger runs compact root=s3://bucket/shop --older-than 30
    tagger runs compact root=s3://bucket/shop date=2026-11-22
    """
    loaded = configured(config, arguments, verbose, root=root, date=date)
    from tagger.tables.compaction import compactable_dates
    from tagger.tag.upkeep import compact_date, compact_dates

    place, today = existing_root(loaded), datetime.datetime.now(datetime.UTC).date()
    if loaded.date is not None:
        gained = compact_date(place, loaded.date, loaded.tag.lock_wait_s)
    else:
        gained = compact_dates(place, [d for d in compactable_dates(place) if (today - d).days >= older_than])
    print(_rows([vars(each) for each in gained], style, "nothing to compact"))


def _of_run(
    config: str | None, arguments: list[str] | None, verbose: bool, **flags: str | None
) -> tuple[Config, "Root", str]:
    """The configuration of a command on one run, the root and the run's id."""
    start_logging(verbose)
    loaded, operands = prepare(config, arguments, **flags)
    if len(operands) != 1:
        raise BadInput(f"This takes one run id, as tagger runs list shows them; received {len(operands)}.")
    return loaded, existing_root(loaded), operands[0]


def _rows(rows: list[dict[str, Any]], style: str, nothing: str) -> str:
    return nothing if style == "table" and not rows else rows_as(rows, style)
