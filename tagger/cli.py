"""The command line: thin. One function a command; every check of a value is in `tagger.config`.

Standard output holds the result alone; logs and progress go to standard error.
"""

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tagger.arguments import (
    ConfigFile,
    DateOption,
    FactsFormat,
    FormatOption,
    ImagesOption,
    LabelsOption,
    ModelOption,
    Operands,
    Overrides,
    RetryOption,
    RootOption,
    Verbose,
    configured,
    existing_root,
    needs_root,
    prepare,
)
from tagger.config import Config
from tagger.config_file import as_yaml
from tagger.entry import finish, start_logging
from tagger.errors import BadInput, GateRefused
from tagger.runs import runs_app
from tagger.show import arrow_as, facts_as, facts_as_text, rows_as

if TYPE_CHECKING:
    from tagger.report.canvas import PictureFile
    from tagger.tag.predict import Tagger

app = typer.Typer(
    help="Tag product photos with type and color, and know which tags not to trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
review_app = typer.Typer(help="Flagged items, with the reasons, for annotators.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(review_app, name="review")
app.add_typer(runs_app, name="runs")

_VERSIONS_HELP = "Folder of versions to write into; else the one that holds the old version."
_RESUME_HELP = "Continue a stopped training: its run id, or `last`. Same as train.resume=RUN."
_KEYS_HELP = "Look at the photos named here alone: a key a line, or a column image_key. Same as tag.keys_from=FILE."
_DRY_RUN_HELP = "Only tell what is new, how long it would take and what it would cost."
_SHEET_HELP = "A contact sheet instead of one photo."
_SUSPECTS_HELP = "Labels that look wrong, as a page with photos for a person to decide."
_AGAINST_HELP = "The bundle that serves: exit 3 where this one is worse on the same items."
_DIFF_HELP = "Two models instead of one: which photos change their tag; labels are not needed."
_OUT_HELP = "The picture to write; else explained.png or sheet-NAME.png."


@app.command()
def train(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN|last", help=_RESUME_HELP)] = None,
    verbose: Verbose = False,
) -> None:
    """Train both networks on the labels and promote their bundle."""
    arguments = [*(arguments or []), *([f"train.resume={resume}"] if resume else [])]
    loaded = configured(config, arguments, verbose, root=root, images=images, labels=labels)
    from tagger.cluster import connected
    from tagger.train import sequence

    found = sequence.labels_of(loaded)
    with connected(loaded.ray):
        summary = sequence.run(loaded, found)
    for result in summary.fitted.evaluations.values():
        print(result.as_text(), end="\n\n")
    print(f"bundle: {summary.bundle_uri}")


@app.command()
def tag(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    model: ModelOption = None,
    date: DateOption = None,
    keys_from: Annotated[str | None, typer.Option("--keys-from", metavar="FILE", help=_KEYS_HELP)] = None,
    retry_rejects: RetryOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN_HELP)] = False,
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """Tag the night's new photos into the tables, or, with PHOTOs, the named local photos to standard output."""
    start_logging(verbose)
    named = {"tag.keys_from": keys_from, "tag.retry_rejects": retry_rejects}
    arguments = [*(arguments or []), *(f"{key}={value}" for key, value in named.items() if value)]
    loaded, photos = prepare(config, arguments, root=root, images=images, model=model, date=date)
    if photos and (dry_run or any(named.values())):
        raise BadInput("Named photos are tagged on the spot. Leave out --dry-run, --keys-from and --retry-rejects.")
    if photos:
        print(rows_as(_tag_photos(loaded, photos, style), style))
        return
    needs_root(loaded)
    from tagger.cluster import connected
    from tagger.tag import night
    from tagger.tag.serving import find_serving

    serving = find_serving(loaded)
    with connected(loaded.ray):
        facts = (night.dry_run if dry_run else night.run)(loaded, serving).facts()
    print(facts_as(facts, style))


def _tag_photos(config: Config, photos: list[str], style: str) -> list[dict[str, Any]]:
    from tagger.model.bundle import find_bundle
    from tagger.tag.local import find_photos, tag_photos
    from tagger.tag.predict import Tagger

    paths, bundle = find_photos(photos), find_bundle(config.model, config.root)
    tagger = Tagger.load(bundle.uri)
    rows = list(tag_photos(paths, tagger, config.tag.batch_size))
    return [_brief(row) for row in rows] if style == "table" else rows


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    """What fits on a line of a terminal."""
    names = ("type", "type_confidence", "color", "color_confidence", "focus", "review_reasons", "reason")
    return {"photo": row["image_key"]} | {name: row.get(name) for name in names}


@app.command()
def synth(
    out: Annotated[str, typer.Option("--out", metavar="DIR|s3://...", help="Where the catalogue is written.")],
    count: Annotated[int, typer.Option("--count", min=1, help="How many pictures.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same pictures.")] = 1,
    shortcut: Annotated[bool, typer.Option("--shortcut", help="Tie the background's color to the label.")] = False,
    verbose: Verbose = False,
) -> None:
    """Draw a synthetic catalogue with labels and exact masks."""
    start_logging(verbose)
    from tagger.catalog.synth.writer import write_catalogue
    from tagger.storage import open_root

    def told(done: int, total: int) -> None:
        if done == total or done % 160 == 0:
            logging.getLogger(__name__).info("drawn %d of %d pictures", done, total)

    written = write_catalogue(open_root(out), count, seed, shortcut=shortcut, progress=told)
    print(f"{written} pictures in {out}: images/, masks/, labels/labels.csv")


@app.command()
def query(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """Ask the tables in SQL: the views tags, rejects, runs, current (committed runs only). Without SQL: a summary."""
    start_logging(verbose)
    loaded, sql = prepare(config, arguments, root=root)
    from tagger.tables.query import run_query, summary

    place = existing_root(loaded)
    print(arrow_as(run_query(place, " ".join(sql)) if sql else summary(place), style))


@app.command()
def explain(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    model: ModelOption = None,
    date: DateOption = None,
    sheet: Annotated[str | None, typer.Option("--sheet", metavar="worst|best|errors", help=_SHEET_HELP)] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=400, help="Most photos on a sheet.")] = 40,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE.png|FILE.jpg", help=_OUT_HELP)] = None,
    verbose: Verbose = False,
) -> None:
    """Draw what the networks looked at: one PHOTO with its mask, maps and numbers, or a sheet of many.

    PHOTO is a key below images, drawn from its newest committed row with no network; or a photo that was never tagged,
    here or below images, which the model tags now. Sheets hold the lowest focus (worst), the highest (best), or the
    most confident tags that the labels contradict (errors): of one date, else the newest tag of each photo.
    """
    start_logging(verbose)
    loaded, photos = prepare(config, arguments, root=root, images=images, labels=labels, model=model, date=date)
    from tagger.report.canvas import PictureFile

    if sheet is None:
        file = PictureFile(out or "explained.png")
        print(facts_as_text(_explain_photo(loaded, photos, file)))
    elif photos:
        raise BadInput(f"'{photos[0]}': a sheet chooses its photos itself. Leave out --sheet or the photo.")
    else:
        file = PictureFile(out or f"sheet-{sheet}.png")
        _draw_sheet(loaded, sheet, count, file)
        print(file.uri)


def _explain_photo(config: Config, photos: list[str], file: "PictureFile") -> dict[str, Any]:
    if len(photos) != 1:
        raise BadInput(f"explain takes one photo, a local file or a key below images; received {len(photos)}.")
    from tagger.report.asked import Places, explain_photo
    from tagger.review.words import reasons_in_words
    from tagger.storage import open_root

    images = open_root(config.images_uri) if config.root or config.images else None
    places = Places(existing_root(config) if config.root else None, images, config.model, config.date)
    explained = explain_photo(photos[0], places, reasons_in_words, lambda: _load_tagger(config))
    file.write(explained.canvas)
    return _brief(dict(explained.row)) | {"picture": file.uri}


def _load_tagger(config: Config) -> "Tagger":
    """Imports TensorFlow: only for a photo that no table knows."""
    from tagger.model.bundle import find_bundle
    from tagger.tag.predict import Tagger

    return Tagger.load(find_bundle(config.model, config.root).uri)


def _draw_sheet(config: Config, name: str, count: int, file: "PictureFile") -> None:
    from tagger.report.rows import SheetRequest, read_truth
    from tagger.report.sheet import contact_sheet
    from tagger.storage import open_root

    place = existing_root(config)
    wants_labels = config.labels or name == "errors"
    labels = read_truth(config.labels, config.root, config.catalog) if wants_labels else None
    request = SheetRequest(name, count, config.date, labels)
    file.write(contact_sheet(place, open_root(config.images_uri), request, config.model))


@app.command()
def evaluate(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    model: ModelOption = None,
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE", help="All figures as JSON.")] = None,
    html_file: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Figures and photos, a page.")] = None,
    suspects: Annotated[str | None, typer.Option("--suspects", metavar="FILE", help=_SUSPECTS_HELP)] = None,
    against: Annotated[str | None, typer.Option("--against", metavar="MODEL", help=_AGAINST_HELP)] = None,
    diff: Annotated[tuple[str, str] | None, typer.Option("--diff", metavar="BEFORE AFTER", help=_DIFF_HELP)] = None,
    style: FactsFormat = "table",
    verbose: Verbose = False,
) -> None:
    """Measure a bundle on labelled photos, or, with --diff, show what changes between two.

    Measured are the labels' items of the role evaluate.split. docs/evaluation.md
    tells what each figure says. With --against or evaluate.min_type_accuracy a
    bundle that is not good enough ends in exit code 3, after all is written.
    """
    from tagger.evaluate import Request, answer

    request = Request(json_file, html_file, suspects, style, against or "", diff)
    answer(configured(config, arguments, verbose, root=root, images=images, labels=labels, model=model), request)


@app.command()
def thresholds(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    model: ModelOption = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR|s3://...", help=_VERSIONS_HELP)] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Let the new version serve at once.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be chosen; write nothing.")] = False,
    style: FactsFormat = "table",
    verbose: Verbose = False,
) -> None:
    """Choose a bundle's thresholds, promises and risk model again, without training.

    They are fitted on the labels' calibrate items, as the settings say:
    review.budget=0.1                share of the night that is flagged
    review.minutes=30                the annotators' time, with
      review.night_items=5000        the items that a night brings
    review.target_precision=0.95     of what passes, or {type: 0.95, color: 0.9}
    focus.low, focus.least_mask_quality hold whatever the budget.

    The networks are copied into a new version of the bundle, named by
    train.version or the time. The old one stays and serves on, unless --promote.
    """
    loaded = configured(config, arguments, verbose, root=root, images=images, labels=labels, model=model)
    if not (loaded.root or (loaded.labels and loaded.images)):
        raise BadInput("Nothing to choose thresholds on. Give root=..., or labels=FILE and images=FOLDER.")
    if dry_run and promote:
        raise BadInput("--dry-run writes no version that --promote could let serve. Leave out one of them.")
    from tagger.evaluation.card import review_text
    from tagger.evaluation.refit import refit, write

    result = refit(loaded)
    place = None if dry_run else write(result, out, is_promoted=promote)
    facts = result.facts() | {"bundle": place.uri if place else None}
    print(json.dumps([facts], indent=1) if style == "json" else review_text(result.fit, result.before))
    if place and style != "json":
        print(f"bundle: {place.uri}{' (serves now)' if promote else ''}")


@app.command()
def verify(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    date: DateOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every date that has committed files.")] = False,
    verbose: Verbose = False,
) -> None:
    """Prove the ledger of a date, or of --all: listed new = tagged + rejected, no key twice, every file as committed.

    Lines that begin with "info" break no promise: files that no table knows, photos that
    two runs tagged, and rows of runs that are not committed, which no view shows.

    tagger verify root=s3://bucket/shop date=2026-11-22
    tagger verify root=s3://bucket/shop --all
    """
    loaded = configured(config, arguments, verbose, root=root, date=date)
    if (loaded.date is None) != every:
        raise BadInput("Give date=YYYY-MM-DD, or --all, and not both.")
    from tagger.tag.verify import Proof

    proof, wrong = Proof(existing_root(loaded)), []
    for night in [loaded.date] if loaded.date else proof.dates():
        findings = proof.of(night)
        print("".join(f"{finding.as_text()}\n" for finding in findings), end="")
        if loaded.date and all(finding.verdict == "info" for finding in findings):
            raise BadInput(f"No run of {night} is committed.")
        wrong += [] if all(finding.is_ok for finding in findings) else [str(night)]
    print("".join(f"{finding.as_text()}\n" for finding in proof.across(loaded.date)), end="")
    if wrong:
        raise GateRefused(f"The ledger of {', '.join(wrong)} does not add up; see above.")


@review_app.command("export")
def review_export(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    date: DateOption = None,
    verbose: Verbose = False,
) -> None:
    """Write the flagged items of each night that has runs not exported yet, or of one date, ordered by risk."""
    loaded = configured(config, arguments, verbose, root=root, images=images, date=date)
    from tagger.review.export import due_nights, export_night
    from tagger.review.queue import RECENT_DAYS, queue_limit
    from tagger.storage import open_root

    place = existing_root(loaded)
    out = open_root(loaded.review.out) if loaded.review.out else place
    for night in (nights := due_nights(place, out, loaded.date)):
        print(export_night(place, out, night, queue_limit(loaded.review), open_root(loaded.images_uri)).as_text())
    if not nights:
        print(f"nothing new to review: every night of the last {RECENT_DAYS} days is exported")


@app.command()
def demo(arguments: Overrides = None, config: ConfigFile = None, verbose: Verbose = False) -> None:
    """Draw a synthetic catalogue, train both networks on it, tag a fresh part, and measure the result."""
    loaded = configured(config, arguments, verbose)
    needs_root(loaded)
    from tagger import demo as demonstration
    from tagger.cluster import connected

    with connected(loaded.ray):
        summary = demonstration.run(loaded)
    print(demonstration.as_text(summary))


@config_app.command("show")
def config_show(arguments: Overrides = None, config: ConfigFile = None, verbose: Verbose = False) -> None:
    """Print the configuration that a command would use, as YAML, secrets masked."""
    print(as_yaml(configured(config, arguments, verbose)), end="")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code: one sentence on standard error where something went wrong."""
    finish(lambda: app(args=arguments, standalone_mode=False))


def job(arguments: list[str]) -> NoReturn:
    """Run a command as a Ray job: as `main`, then the exit code in words, since Ray's submit command hides it."""
    finish(lambda: app(args=arguments, standalone_mode=False), told=True)
