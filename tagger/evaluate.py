"""`tagger evaluate`: measures a bundle or compares two, writes the pages, and only then lets the gates speak."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tagger.config import Config
from tagger.errors import BadInput
from tagger.storage import open_root

if TYPE_CHECKING:
    from tagger.evaluation.run import Report

STYLES = ("table", "json")


@dataclass(frozen=True)
class Outputs:
    """What else is written, None for nothing: figures as JSON, figures as a page, suspicious labels as a page.

    style: of standard output. against: the bundle to compare with, empty for none.
    """

    json_file: str | None = None
    html_file: str | None = None
    suspects_file: str | None = None
    style: str = "table"
    against: str = ""

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise BadInput(f"--format {self.style} is not known here. Use {' or '.join(STYLES)}.")


def measure(config: Config, outputs: Outputs) -> None:
    """Measure a bundle on labelled photos: prints the result and writes the files, then asks the gates.

    BadInput where there is nothing to measure on or a file cannot be written; GateRefused where a gate says no.
    """
    if not (config.root or (config.labels and config.images)):
        raise BadInput("Nothing to measure on. Give root=..., or labels=FILE and images=FOLDER.")
    # TensorFlow takes seconds: wrong arguments are told before.
    from tagger.evaluation.run import check_gates, run

    report = run(config, outputs.against)
    _write_files(config, outputs, report)
    print(json.dumps([report.to_dict()], indent=1, allow_nan=False) if outputs.style == "json" else report.as_text())
    check_gates(report, config.evaluate)


def compare(config: Config, models: tuple[str, str], outputs: Outputs) -> None:
    """Print which photos change their tag from one model to the other.

    BadInput where a model or the photos are missing, or something is asked for that belongs to measuring one bundle.
    """
    if any((outputs.json_file, outputs.html_file, outputs.suspects_file, outputs.against)):
        raise BadInput("--diff prints to standard output alone. Leave out --json, --html, --suspects, --against.")
    if any(not model or model.startswith("-") for model in models):
        raise BadInput(f"--diff takes two models. Write --diff BEFORE AFTER; received {' '.join(models)}.")
    if not (config.root or config.images):
        raise BadInput("No photos are named. Give images=FOLDER, or root=....")
    from tagger.evaluation.diff_photos import run_diff

    diff = run_diff(config, *models)
    print(json.dumps([diff.to_dict()], indent=1, allow_nan=False) if outputs.style == "json" else diff.as_text())


def _write_files(config: Config, outputs: Outputs, report: "Report") -> None:
    facts, images = report.to_dict(), open_root(config.images_uri)
    if outputs.json_file:
        _write(outputs.json_file, report.to_json())
    if outputs.html_file:
        from tagger.report.evaluation_page import evaluation_page

        _write(outputs.html_file, evaluation_page(facts, images))
    if outputs.suspects_file:
        from tagger.report.suspects_page import suspects_page

        _write(outputs.suspects_file, suspects_page(facts, images))


def _write(uri: str, text: str) -> None:
    """Here or in S3, the whole file or nothing."""
    folder, slash, name = uri.rpartition("/")
    try:
        open_root(folder or slash or ".").write_bytes(name, text.encode())
    except OSError as error:
        raise BadInput(f"{uri} cannot be written: {error.strerror}. Name another file.") from error
