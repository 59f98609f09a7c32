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
class Request:
    """What is asked for. json_file, html_file, suspects_file: what else is written, None for nothing.

    style: of standard output. against: the bundle to compare with, empty for none. diff: two models whose tags are
    compared instead. BadInput where these do not go together.
    """

    json_file: str | None = None
    html_file: str | None = None
    suspects_file: str | None = None
    style: str = "table"
    against: str = ""
    diff: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise BadInput(f"--format {self.style} is not known here. Use {' or '.join(STYLES)}.")
        if self.diff and any(not model or model.startswith("-") for model in self.diff):
            raise BadInput(f"--diff takes two models. Write --diff BEFORE AFTER; received {' '.join(self.diff)}.")
        if self.diff and any((self.json_file, self.html_file, self.suspects_file, self.against)):
            raise BadInput("--diff prints to standard output alone. Leave out --json, --html, --suspects, --against.")


def answer(config: Config, request: Request) -> None:
    """Print and write what is asked for, and then let the gates speak.

    BadInput where there is nothing to measure on, or a file cannot be written; GateRefused where a gate says no.
    """
    if request.diff:
        _compare(config, request.diff, request.style)
    else:
        _measure(config, request)


def _measure(config: Config, request: Request) -> None:
    if not (config.root or (config.labels and config.images)):
        raise BadInput("Nothing to measure on. Give root=..., or labels=FILE and images=FOLDER.")
    # TensorFlow takes seconds: wrong arguments are told before.
    from tagger.evaluation.run import check_gates, run

    report = run(config, request.against)
    _write_files(config, request, report)
    print(json.dumps([report.to_dict()], indent=1, allow_nan=False) if request.style == "json" else report.as_text())
    check_gates(report, config.evaluate)


def _compare(config: Config, models: tuple[str, str], style: str) -> None:
    if not (config.root or config.images):
        raise BadInput("No photos are named. Give images=FOLDER, or root=....")
    from tagger.evaluation.diff_photos import run_diff

    diff = run_diff(config, *models)
    print(json.dumps([diff.to_dict()], indent=1, allow_nan=False) if style == "json" else diff.as_text())


def _write_files(config: Config, request: Request, report: "Report") -> None:
    facts, images = report.to_dict(), open_root(config.images_uri)
    if request.json_file:
        _write(request.json_file, report.to_json())
    if request.html_file:
        from tagger.report.evaluation_page import evaluation_page

        _write(request.html_file, evaluation_page(facts, images))
    if request.suspects_file:
        from tagger.report.suspects_page import suspects_page

        _write(request.suspects_file, suspects_page(facts, images))


def _write(uri: str, text: str) -> None:
    """Here or in S3, the whole file or nothing."""
    folder, slash, name = uri.rpartition("/")
    open_root(folder or slash or ".").write_bytes(name, text.encode())
