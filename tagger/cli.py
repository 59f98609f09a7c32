"""The command line: thin. One function a command; every check of a value is in `tagger.config`.

Standard output holds the result alone; logs and progress go to standard error.
"""

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from tagger.config import OVERRIDE, Config, as_yaml, load_config
from tagger.errors import BadInput, GateRefused, TaggerError
from tagger.show import arrow_as, facts_as_text, rows_as

if TYPE_CHECKING:
    from tagger.storage import Root

app = typer.Typer(
    help="Tag product photos with type and color, and know which tags not to trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
review_app = typer.Typer(help="Flagged items to annotators and their answers back.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(review_app, name="review")

EXIT_WORDS = {
    0: "done",
    1: "unexpected error",
    2: "usage or configuration",
    3: "a quality gate said no: nothing was promoted or committed",
    4: "another run holds the date",
    5: "a dependency did not answer: the same command may work later",
    130: "interrupted, resumable",
    143: "terminated, resumable",
}
"""What each exit code means; jobs print it, since `ray job submit` turns every failure into 1."""

_OPERANDS = "Operands (a photo, SQL) and overrides, in any order."

ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file, see configs/.")]
RootOption = Annotated[str | None, typer.Option("--root", metavar="URI", help="Same as root=URI.")]
ImagesOption = Annotated[str | None, typer.Option("--images", metavar="URI", help="Same as images=URI.")]
LabelsOption = Annotated[str | None, typer.Option("--labels", metavar="FILE", help="Same as labels=FILE.")]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Same as model=NAME.")]
DateOption = Annotated[str | None, typer.Option("--date", metavar="DATE", help="Same as date=YYYY-MM-DD.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks and debug logs on standard error.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Overrides, in order.")]
Operands = Annotated[list[str] | None, typer.Argument(metavar="[OPERAND | KEY.PATH=VALUE]...", help=_OPERANDS)]
FormatOption = Annotated[str, typer.Option("--format", help="table, csv or json.")]


class _State:
    """Whether tracebacks are wanted; set by the command being run."""

    verbose = False


def _prepare(config: str | None, arguments: list[str] | None, **flags: str | None) -> tuple[Config, list[str]]:
    """The configuration of a command and its operands: what is not an override is an operand."""
    arguments = arguments or []
    overrides = [argument for argument in arguments if OVERRIDE.match(argument)]
    operands = [argument for argument in arguments if not OVERRIDE.match(argument)]
    overrides += [f"{key}={value}" for key, value in flags.items() if value is not None]
    return load_config(config, overrides), operands


def _configured(config: str | None, arguments: list[str] | None, verbose: bool, **flags: str | None) -> Config:
    """The configuration of a command that takes no operands."""
    _start_logging(verbose)
    loaded, operands = _prepare(config, arguments, **flags)
    if operands:
        raise BadInput(f"'{operands[0]}' is not understood here. Overrides are written key.path=value.")
    return loaded


def _start_logging(verbose: bool) -> None:
    _State.verbose = verbose
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("tagger").setLevel(level)


@app.command()
def train(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    verbose: Verbose = False,
) -> None:
    """Train both networks on the labels and promote their bundle."""
    loaded = _configured(config, arguments, verbose, root=root, images=images, labels=labels)
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
    style: FormatOption = "table",
    verbose: Verbose = False,
) -> None:
    """Tag the night's new photos into the tables, or, with PHOTOs, the named local photos to standard output."""
    _start_logging(verbose)
    loaded, photos = _prepare(config, arguments, root=root, images=images, model=model, date=date)
    if photos:
        print(rows_as(_tag_photos(loaded, photos, style), style))
        return
    _needs_root(loaded)
    from tagger.cluster import connected
    from tagger.tag import night

    serving = night.find_serving(loaded)
    with connected(loaded.ray):
        summary = night.run(loaded, serving)
    print(json.dumps(summary.facts(), indent=1) if style == "json" else facts_as_text(summary.facts()))


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
    _start_logging(verbose)
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
    _start_logging(verbose)
    loaded, sql = _prepare(config, arguments, root=root)
    from tagger.tables.query import run_query, summary

    place = _existing_root(loaded)
    print(arrow_as(run_query(place, " ".join(sql)) if sql else summary(place), style))


@app.command()
def explain(
    arguments: Operands = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    model: ModelOption = None,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The PNG to write.")] = "explained.png",
    verbose: Verbose = False,
) -> None:
    """Draw one photo with its mask, type map, color map and contrast map into a PNG.

    PHOTO is a local file, or a key below the images root.
    """
    _start_logging(verbose)
    loaded, photos = _prepare(config, arguments, root=root, images=images, model=model)
    if len(photos) != 1:
        raise BadInput(f"explain takes one photo, a local file or a key below images; received {len(photos)}.")
    from tagger.model.bundle import find_bundle
    from tagger.report.explain import explain_file
    from tagger.review.words import reasons_in_words
    from tagger.tag.predict import Tagger

    photo = _photo_bytes(loaded, photos[0])
    tagger = Tagger.load(find_bundle(loaded.model, loaded.root).uri)
    picture, row = explain_file(tagger, photo, photos[0], reasons_in_words)
    Path(out).write_bytes(picture)
    print(facts_as_text(_brief({"image_key": photos[0], **row}) | {"picture": out}))


def _photo_bytes(config: Config, name: str) -> bytes:
    """A local file's bytes, else those of a key below the images root."""
    from tagger.storage import open_root

    if Path(name).is_file():
        return Path(name).read_bytes()
    if not (config.root or config.images):
        raise BadInput(f"There is no photo '{name}' here. Name a local file, or give root= or images= for a key.")
    try:
        return open_root(config.images_uri).read_bytes(name)
    except FileNotFoundError as error:
        raise BadInput(f"There is no photo '{name}', neither here nor under {config.images_uri}.") from error


@app.command()
def evaluate(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    model: ModelOption = None,
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Figures as JSON.")] = None,
    html_file: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Figures as one page.")] = None,
    verbose: Verbose = False,
) -> None:
    """Measure a bundle on labelled photos."""
    loaded = _configured(config, arguments, verbose, root=root, images=images, labels=labels, model=model)
    if not (loaded.root or (loaded.labels and loaded.images)):
        raise BadInput("Nothing to measure on. Give root=..., or labels=FILE and images=FOLDER.")
    from tagger.evaluation import run as evaluation

    report = evaluation.run(loaded)
    for file, text in ((json_file, report.to_json), (html_file, report.to_html)):
        if file:
            Path(file).write_text(text(), encoding="utf-8")
    for result in report.evaluations.values():
        print(result.as_text(), end="\n\n")
    print(f"flagged for review: {report.flagged:.1%}; photos that could not be read: {report.unreadable}")


@app.command()
def verify(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    date: DateOption = None,
    verbose: Verbose = False,
) -> None:
    """Prove a date's ledger: listed new = tagged + rejected, no key twice, every file as committed."""
    loaded = _configured(config, arguments, verbose, root=root, date=date)
    if loaded.date is None:
        raise BadInput("No date is named. Give date=YYYY-MM-DD.")
    from tagger.tag.verify import verify as verified

    findings = verified(_existing_root(loaded), loaded.date)
    if not findings:
        raise BadInput(f"No run of {loaded.date} is committed under {loaded.root}.")
    for finding in findings:
        print(f"{'ok   ' if finding.is_ok else 'WRONG'} {finding.subject}: {finding.text}")
    if not all(finding.is_ok for finding in findings):
        raise GateRefused(f"The ledger of {loaded.date} does not add up; see above.")


@review_app.command("export")
def review_export(
    arguments: Overrides = None,
    config: ConfigFile = None,
    root: RootOption = None,
    images: ImagesOption = None,
    date: DateOption = None,
    verbose: Verbose = False,
) -> None:
    """Write the night's flagged items, ordered by risk, as JSON Lines and CSV beside the tables."""
    loaded = _configured(config, arguments, verbose, root=root, images=images, date=date)
    from tagger.review.export import export
    from tagger.review.queue import queue_limit
    from tagger.storage import open_root

    place = _existing_root(loaded)
    out = open_root(loaded.review.out) if loaded.review.out else place
    summary = export(place, out, loaded.date, queue_limit(loaded.review), open_root(loaded.images_uri))
    print(summary.as_text())


@app.command()
def demo(arguments: Overrides = None, config: ConfigFile = None, verbose: Verbose = False) -> None:
    """Draw a synthetic catalogue, train both networks on it, tag a fresh part, and measure the result."""
    loaded = _configured(config, arguments, verbose)
    _needs_root(loaded)
    from tagger import demo as demonstration
    from tagger.cluster import connected

    with connected(loaded.ray):
        summary = demonstration.run(loaded)
    print(demonstration.as_text(summary))


def _needs_root(config: Config) -> None:
    if not config.root:
        raise BadInput("No root is named. Give root=FOLDER or root=s3://bucket/prefix.")


def _existing_root(config: Config) -> "Root":
    """The root of a command that only reads; a wrong path or bucket is told before anything else is tried."""
    from tagger.storage import open_root

    _needs_root(config)
    root = open_root(config.root)
    root.check()
    return root


@config_app.command("show")
def config_show(arguments: Overrides = None, config: ConfigFile = None, verbose: Verbose = False) -> None:
    """Print the configuration that a command would use, as YAML, secrets masked."""
    print(as_yaml(_configured(config, arguments, verbose)), end="")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code: one sentence on standard error where something went wrong."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(lambda: app(args=arguments, standalone_mode=False)))


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; its error, if any, told in one sentence."""
    try:
        result = command()
    except typer.Exit as stop:
        return stop.exit_code
    except TaggerError as error:
        return _told(error, error.exit_code, str(error))
    except typer.Abort:
        return _told(None, 130, EXIT_WORDS[130])
    except KeyboardInterrupt:
        return _told(None, 130, EXIT_WORDS[130])
    except SystemExit as stop:
        return int(stop.code or 0)
    except TyperException as error:
        return _told(error, 2, error.format_message())
    return result if isinstance(result, int) else 0


def _told(error: BaseException | None, code: int, sentence: str) -> int:
    if error is not None and _State.verbose:
        traceback.print_exception(error)
    print(f"tagger: {sentence}", file=sys.stderr)
    return code


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def job(arguments: list[str]) -> NoReturn:
    """Run a command as a Ray job: as `main`, then the exit code in words, since Ray's submit command hides it."""
    signal.signal(signal.SIGTERM, _terminated)
    code = run(lambda: app(args=arguments, standalone_mode=False))
    print(f"tagger: exit code {code}: {EXIT_WORDS.get(code, 'unexpected error')}", file=sys.stderr)
    sys.exit(code)
