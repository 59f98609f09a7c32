"""Which room may import what, and that nothing else is imported, not even inside a function."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tagger").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])

BASE = {"errors", "config", "release"}
IO = {*BASE, "printable", "storage", "picture", "model", "focus", "flags", "drift", "catalog", "tables"}
"""Everything up to layer 3: what the composing rooms may use. Their sentences name keys, which `printable` shows."""
NUMBERS = {"numpy", "scipy"}
TABLES = {"numpy", "pandas", "pyarrow", "yaml"}


class Allowed(NamedTuple):
    """What a room, or one file of it, may import beside the standard library and its own room."""

    tagger: set[str]
    third_party: set[str]


# The longest name that fits a file counts. A name on the left or in the first set is a room or one file of it.
ALLOWED = {
    # 0, 1
    "": Allowed({"tag.predict"}, set()),
    "errors": Allowed(set(), set()),
    "printable": Allowed(set(), set()),
    "release": Allowed(set(), set()),
    "config": Allowed(set(), {"pydantic"}),
    "stop": Allowed({"errors"}, set()),
    "logs": Allowed({"errors", "printable"}, {"rich"}),
    "config_file": Allowed({"config", "disk", "errors"}, {"omegaconf", "pydantic", "yaml"}),
    "disk": Allowed({"errors", "printable"}, set()),
    "s3": Allowed({"errors"}, {"boto3", "botocore", "pyarrow", "tenacity", "urllib3"}),
    "storage": Allowed({"disk", "errors", "printable", "s3"}, {"botocore", "fsspec", "pyarrow"}),
    "lease": Allowed({"errors", "storage"}, set()),
    "cluster": Allowed(BASE, {"ray"}),
    # 2: the core rooms never import each other
    "picture": Allowed(BASE, {"numpy", "PIL", "imagehash", "simplejpeg"}),
    "picture.augment": Allowed(BASE, {"numpy", "cv2"}),
    "model": Allowed(BASE, {*NUMBERS, "keras", "tensorflow"}),
    "model.bundle": Allowed({*BASE, "storage"}, {"keras"}),
    "focus": Allowed(BASE, {*NUMBERS, "cv2"}),
    "flags": Allowed(BASE, NUMBERS),
    "drift": Allowed(BASE, NUMBERS),
    # 3
    "catalog": Allowed({*BASE, "storage"}, TABLES),
    **{
        f"catalog.{name}": Allowed({*BASE, "storage"}, {*TABLES, "duckdb"})
        for name in ("sorted_rows", "inventory", "keys_file")
    },
    "catalog.photos": Allowed({"errors", "printable", "storage"}, {"tenacity"}),
    "catalog.synth": Allowed({*BASE, "storage", "picture"}, {"numpy", "cv2"}),
    "tables": Allowed({*BASE, "storage"}, {"deltalake", "duckdb", "pandas", "pyarrow"}),
    "tables.store": Allowed({*BASE, "storage"}, {"deltalake", "pyarrow", "tenacity"}),
    "tables.promises": Allowed(BASE, {"numpy", "pyarrow"}),
    # 4
    "train": Allowed(IO, {*TABLES, "keras", "tensorflow"}),
    "train.stage": Allowed(IO, {*TABLES, "keras", "tensorflow", "ray"}),
    "train.resume": Allowed({*BASE, "catalog", "lease", "storage"}, set()),
    "train.preflight": Allowed({*BASE, "cluster"}, set()),
    "train.tracking": Allowed(BASE, set()),
    "train.record": Allowed(set(), set()),
    "train.event_files": Allowed({"errors", "storage"}, {"tensorflow"}),
    "train.mlflow_run": Allowed({"errors"}, {"mlflow"}),
    "train.sequence": Allowed({*IO, "cluster", "evaluation"}, {*TABLES, "ray"}),
    "evaluation": Allowed({*IO, "tag.predict", "tag.observe"}, {*TABLES, "cv2", "keras", "scipy", "sklearn"}),
    "evaluation.noise": Allowed(IO, {"numpy", "cleanlab"}),
    "tag": Allowed({*IO, "lease"}, TABLES),
    "tag.estimate": Allowed(IO, {*TABLES, "ray"}),
    "tag.planning": Allowed(IO, {*TABLES, "ray"}),
    "tag.preflight": Allowed({*BASE, "cluster"}, set()),
    "tag.pipeline": Allowed(IO, {*TABLES, "ray"}),
    # they are handed names of this machine, which no root has looked at
    "tag.local": Allowed({*IO, "disk"}, {"numpy"}),
    "report.asked": Allowed({*IO, "disk"}, {"numpy"}),
    "tag.metrics": Allowed(IO, {*TABLES, "ray"}),
    "tag.claim": Allowed({*IO, "lease", "stop"}, set()),
    "tag.night": Allowed({*IO, "cluster", "stop"}, {*TABLES, "ray"}),
    "review": Allowed(IO, {*TABLES, "boto3", "label_studio_sdk"}),
    # 5
    "report": Allowed(IO, {*TABLES, "matplotlib"}),
    "report.page": Allowed(IO, {"jinja2", "markupsafe"}),
    "report.thumbnails": Allowed(IO, {"PIL"}),
    "report.reference": Allowed({*BASE, "cli", "entry"}, {"pydantic", "typer"}),
    "entry": Allowed({"errors", "logs", "printable", "stop"}, {"typer"}),
    "arguments": Allowed({*BASE, "config_file", "entry", "storage"}, {"typer"}),
    "runs": Allowed({*BASE, "arguments", "cluster", "entry", "show", "storage", "tables", "tag"}, {"typer"}),
    "show": Allowed({"errors", "printable"}, {"pyarrow", "rich"}),
    "demo": Allowed({*IO, "train", "tag", "evaluation"}, {*TABLES, "cv2"}),
    "evaluate": Allowed({*BASE, "storage", "evaluation", "report"}, set()),
    "cli": Allowed(
        {
            *IO,
            "train",
            "tag",
            "evaluation",
            "review",
            "report",
            "cluster",
            "show",
            "demo",
            "entry",
            "arguments",
            "config_file",
            "evaluate",
            "runs",
        },
        {"typer"},
    ),
    "jobs": Allowed({"cli"}, {"ray"}),
}

CORE = ["picture", "model", "focus", "flags", "drift"]


def name_of(file: Path) -> str:
    """tagger/tag/night.py -> "tag.night"; every job -> "jobs"; tagger/__init__.py -> ""."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "jobs":
        return "jobs"
    return ".".join(part for part in parts[1:] if part != "__init__")


def holds(name: str, other: str) -> bool:
    """Whether `other` is the room or file `name`, or lies in it."""
    return name in ("", other) or other.startswith(f"{name}.")


def allowed_to(name: str) -> Allowed:
    return ALLOWED[max((entry for entry in ALLOWED if holds(entry, name)), key=len)]


def imported_by(source: str) -> Iterator[str]:
    """Full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (
                f"{module}.{alias.name}" if is_module(f"{module}.{alias.name}") else module for alias in node.names
            )


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def refusals(name: str, source: str) -> list[str]:
    """Imports of a file that its room does not allow."""
    tagger, third_party = allowed_to(name)
    own = name.split(".")[0]
    refused = []
    for module in imported_by(source):
        top, _, inner = module.partition(".")
        if top == "tagger":
            is_fine = not inner or any(holds(room, inner) for room in {*tagger, own} - {""})
        else:
            is_fine = top in sys.stdlib_module_names or top in third_party
        if not is_fine:
            refused.append(module)
    return refused


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(file):
    assert refusals(name_of(file), file.read_text(encoding="utf-8")) == []


def test_every_room_stands_in_the_table():
    rooms = {name_of(file).split(".")[0] for file in FILES}
    assert rooms <= {name.split(".")[0] for name in ALLOWED}


def test_a_rooms_own_file_holds_a_docstring_and_no_imports():
    for file in (ROOT / "tagger").glob("*/__init__.py"):
        (docstring,) = ast.parse(file.read_text(encoding="utf-8")).body
        assert isinstance(docstring, ast.Expr), file


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("focus.mask", "from tagger.model import classmap"),  # core rooms do not know each other
        ("focus.mask", "from tagger import model"),
        ("flags.risk", "def late():\n    import ray"),  # not even late
        ("tables.store", "import tagger.tag.night"),  # upward
        ("train.feed", "from tagger.tag import night"),  # they meet on disk
        ("tag.plan", "import ray"),
        ("evaluation.run", "from tagger.tag.night import run"),
        ("picture.fit", "from . import decode"),
        ("picture.fit", "import tensorflow as tf"),
        ("model.network", "from tagger.storage import Root"),
        ("errors", "import numpy"),
    ],
)
def test_the_table_refuses(name, source):
    assert len(refusals(name, source)) == 1


def loaded_with(name: str) -> set[str]:
    """Top-level names of the modules that are loaded with a room, in a fresh interpreter."""
    modules = [f"tagger.{name_of(file)}" for file in FILES if holds(name, name_of(file))]
    code = f"import sys, {', '.join(modules)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("room", [*CORE, "catalog", "tables", "cli"])
def test_a_room_comes_without_the_heavy_libraries(room):
    heavy = {"ray"} if room == "model" else {"ray", "tensorflow", "keras"}
    assert not loaded_with(room) & heavy
