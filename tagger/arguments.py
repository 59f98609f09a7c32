"""What every command takes: the configuration file, overrides in any order, and the flags for top-level keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from tagger.config import Config, RetriedReason
from tagger.config_file import OVERRIDE, load_config
from tagger.entry import start_logging
from tagger.errors import BadInput

if TYPE_CHECKING:
    from tagger.storage import Root

_OPERANDS = "Operands (a photo, SQL) and overrides, in any order."
_RETRY_HELP = "Also what was rejected for good: `all`, or for one reason. Same as tag.retry_rejects=REASON."
ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file, see configs/.")]
RootOption = Annotated[str | None, typer.Option("--root", metavar="URI", help="Same as root=URI.")]
ImagesOption = Annotated[str | None, typer.Option("--images", metavar="URI", help="Same as images=URI.")]
LabelsOption = Annotated[str | None, typer.Option("--labels", metavar="FILE", help="Same as labels=FILE.")]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Same as model=NAME.")]
DateOption = Annotated[str | None, typer.Option("--date", metavar="DATE", help="Same as date=YYYY-MM-DD.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks and debug logs on standard error.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Overrides, in order.")]
Operands = Annotated[list[str] | None, typer.Argument(metavar="[OPERAND | KEY.PATH=VALUE]...", help=_OPERANDS)]


def _one_of(*allowed: str) -> Callable[[str], str]:
    """A check of --format that comes before any work."""

    def checked(value: str) -> str:
        if value not in allowed:
            raise BadInput(f"--format {value} is not known here. Use {', '.join(allowed[:-1])} or {allowed[-1]}.")
        return value

    return checked


def _all_or_reason(value: str | None) -> str | None:
    """A check of --retry-rejects, which takes the next argument whatever it is."""
    if value is not None and value not in get_args(RetriedReason):
        first, *reasons = get_args(RetriedReason)
        raise BadInput(
            f"--retry-rejects took {value!r} as its reason. Write --retry-rejects {first}, or {', '.join(reasons)}."
        )
    return value


FormatOption = Annotated[
    str, typer.Option("--format", help="table, csv or json.", callback=_one_of("table", "csv", "json"))
]
FactsFormat = Annotated[str, typer.Option("--format", help="table or json.", callback=_one_of("table", "json"))]

RetryOption = Annotated[
    str | None,
    typer.Option("--retry-rejects", metavar="all|REASON", help=_RETRY_HELP, callback=_all_or_reason),
]


def prepare(config: str | None, arguments: list[str] | None, **flags: str | None) -> tuple[Config, list[str]]:
    """The configuration of a command and its operands: what is not an override is an operand."""
    arguments = arguments or []
    overrides = [argument for argument in arguments if OVERRIDE.match(argument)]
    operands = [argument for argument in arguments if not OVERRIDE.match(argument)]
    overrides += [f"{key}={value}" for key, value in flags.items() if value is not None]
    return load_config(config, overrides), operands


def configured(config: str | None, arguments: list[str] | None, verbose: bool, **flags: str | None) -> Config:
    """The configuration of a command that takes no operands."""
    start_logging(verbose)
    loaded, operands = prepare(config, arguments, **flags)
    if operands:
        raise BadInput(f"'{operands[0]}' is not understood here. Overrides are written key.path=value.")
    return loaded


def needs_root(config: Config) -> None:
    """BadInput where the configuration names no root."""
    if not config.root:
        raise BadInput("No root is named. Give root=FOLDER or root=s3://bucket/prefix.")


def existing_root(config: Config) -> "Root":
    """The root of a command that only reads; a wrong path or bucket is told before anything else is tried."""
    from tagger.storage import open_root

    needs_root(config)
    root = open_root(config.root)
    root.check()
    return root
