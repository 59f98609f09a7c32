"""A configuration file and overrides -> the tree of `tagger.config`, or one sentence that says what is wrong.

The file is read with OmegaConf (interpolation, `${oc.env:NAME}`), `key.path=value` overrides are applied in order, and
the result is checked against the tree. The value of a key that takes text is that text, to the letter: a path may hold
` #` or begin with `@`. Only where it is wholly in quotes, or is `null`, is it read as YAML, as those of other keys are.
"""

import difflib
import re
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from tagger.config import Config
from tagger.disk import kind_of
from tagger.errors import ConfigError

OVERRIDE = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*=")
"""What an argument must match to be an override; everything else is an operand."""

_SECRET = re.compile(r"(secret|passw|token|api_?key|access_key|private_key|credential)", re.IGNORECASE)
"""Keys whose values are shown nowhere."""

_QUOTED = re.compile(r"'(?:[^']|'')*'" + r'|"(?:[^"\\]|\\.)*"', re.DOTALL)
_USERINFO = re.compile(r"(?<=://)[^/\s]+(?=@)")
_MASK = "***"


def load_config(file: str | None, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a command: `file` (null for the defaults), then `key.path=value` overrides in order.

    ConfigError names the file, the key, the value received and what is allowed.
    """
    source = file or "command line"
    tree = _read_yaml(file) if file else OmegaConf.create({})
    try:
        for key, value in map(_parse_override, overrides):
            OmegaConf.update(tree, key, value, merge=False)  # a mapping takes the place of the file's
        values = OmegaConf.to_container(tree, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{source}: {_first_line(error)}") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from error


def as_yaml(config: Config) -> str:
    """The configuration as YAML, with secret-looking keys and passwords in URIs masked."""
    return yaml.safe_dump(_masked(config.model_dump(mode="json")), sort_keys=False, allow_unicode=True)


def _read_yaml(file: str) -> DictConfig:
    path = Path(file)
    if kind_of(path) != "file":
        raise ConfigError(f"There is no configuration file '{file}'. {_near_files(path)}")
    try:
        tree = OmegaConf.load(path)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not readable YAML: {_first_line(error)}") from error
    if not isinstance(tree, DictConfig):
        raise ConfigError(f"{file} must hold 'key: value' lines at its top level.")
    return tree


def _near_files(path: Path) -> str:
    folder = path.parent if kind_of(path.parent) == "folder" else Path("configs")
    found = sorted(str(p) for p in folder.glob("*.yaml"))
    return f"There are: {', '.join(found)}." if found else f"{folder} holds no .yaml file."


def _parse_override(override: str) -> tuple[str, Any]:
    if not OVERRIDE.match(override):
        raise ConfigError(f"'{override}' is not an override. Write key.path=value, for example train.width=0.5.")
    key, _, text = override.partition("=")
    try:
        if _is_text(key) and text != "null" and not _QUOTED.fullmatch(text):
            OmegaConf.create([text])  # tells a reference, ${...}, that is left open
            return key, text
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"{key}={text or repr('')}"]), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"The value of {key} is not readable: '{_shown(key, text)}'.") from error
    return key, reduce(lambda part, name: part[name], key.split("."), value)


def _is_text(key: str) -> bool:
    """Whether a key takes text, whatever that looks like."""
    *sections, name = key.split(".")
    field = _section(sections).model_fields.get(name)
    return field is not None and field.annotation in (str, str | None)


def _explain(error: ValidationError, source: str) -> str:
    lines = [_explain_one(dict(detail), source) for detail in error.errors()]
    return "\n".join(lines)


def _explain_one(detail: dict[str, Any], source: str) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{source}: there is no key '{key}'. {_allowed_keys(detail['loc'])}"
    return f"{source}: {key} = {_shown(key, detail['input'])!r} is not allowed: {detail['msg']}."


def _allowed_keys(location: tuple[str | int, ...]) -> str:
    names = list(_section(map(str, location[:-1])).model_fields)
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Allowed here: {', '.join(names)}."


def _section(names: Iterable[str]) -> type[BaseModel]:
    """The section that a key lies in, as far as there is one."""
    model: type[BaseModel] = Config
    for name in names:
        field = model.model_fields.get(name)
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return model


def _masked(value: Any) -> Any:
    """Without the values of secret-looking keys, and without user names and passwords in URIs."""
    if isinstance(value, dict):
        return {key: _shown(str(key), each) if each else each for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    return _USERINFO.sub(_MASK, value) if isinstance(value, str) else value


def _shown(key: str, value: Any) -> Any:
    return _MASK if _SECRET.search(key) else _masked(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
