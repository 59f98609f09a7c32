"""The pages made from the code: they are up to date, and they leave nothing out."""

import re

import pytest
import typer

from tagger.cli import app
from tagger.config import Config
from tagger.report.reference import CHECKOUT, attribute_docstrings, pages, tree_page

AGAIN = "run: python -m tagger.report.reference"


@pytest.fixture(scope="module")
def made():
    return pages()


@pytest.mark.parametrize("name", ["tree.md", "config.md", "cli.md"])
def test_a_page_is_the_one_the_code_makes(made, name):
    assert (CHECKOUT / "docs" / name).read_text(encoding="utf-8") == made[name], AGAIN


def files_in(page):
    """Paths that a tree page names."""
    folders = re.split(r"^## (.*)$", page, flags=re.MULTILINE)[1:]
    named = zip(folders[::2], folders[1::2], strict=True)
    return [folder + file for folder, text in named for file in re.findall(r"^- `(.*?)`: \S", text, re.MULTILINE)]


def test_every_file_stands_in_the_tree_once_and_nothing_else(made):
    files = [*(CHECKOUT / "tagger").rglob("*.py"), *(CHECKOUT / "jobs").glob("*.py")]
    wanted = [str(file.relative_to(CHECKOUT)) for file in files if file.name != "__init__.py"]
    assert sorted(files_in(made["tree.md"])) == sorted(wanted)


def test_a_file_without_a_docstring_is_told(tmp_path):
    for file in ("jobs/a.py", "tagger/__init__.py"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("import os")
    with pytest.raises(ValueError, match=r"jobs/a\.py has no docstring"):
        tree_page(tmp_path)


def keys_of(model, prefix=""):
    """Dotted names of all configuration keys."""
    for name, field in model.model_fields.items():
        section = field.annotation
        is_section = isinstance(section, type) and hasattr(section, "model_fields")
        yield from keys_of(section, f"{name}.") if is_section else [prefix + name]


def test_every_configuration_key_has_a_meaning_on_the_page(made):
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", made["config.md"], re.MULTILINE))
    for key in keys_of(Config):
        assert rows[key.rpartition(".")[2]].endswith("."), f"{key} has no meaning beneath it in tagger/config.py"


def test_sections_and_top_level_keys_are_told_apart(made):
    assert attribute_docstrings(Config)["root"] and "## train\n" in made["config.md"]
    assert "| `width` | number, > 0, <= 4 | `1.0` |" in made["config.md"]
    assert '| `root` | string | `""` |' in made["config.md"]
    assert "| `retag` | `none`, `model`, `config`, `all` | `none` |" in made["config.md"]


def commands_of(group, name):
    """Full names of all commands, as they are typed."""
    for word, each in group.commands.items():
        yield from commands_of(each, f"{name} {word}") if hasattr(each, "commands") else [f"{name} {word}"]


COMMANDS = list(commands_of(typer.main.get_command(app), "tagger"))


def test_there_are_commands_and_commands_of_groups():
    assert {"tagger train", "tagger config show", "tagger runs compact"} < set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_section(made, command):
    section = made["cli.md"].partition(f"## {command}\n")[2].partition("\n## ")[0]
    assert f"    {command} [OPTIONS]" in section and "| `--verbose` |" in section


def test_the_exit_codes_stand_on_the_page(made):
    assert re.findall(r"^\| (\d+) \|", made["cli.md"], re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "130", "143"]
