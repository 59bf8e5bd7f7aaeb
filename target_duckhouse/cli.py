"""The command line: a plain Singer target, and two commands that show what is in the warehouse."""

from __future__ import annotations

import gc
import logging
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from target_duckhouse import report
from target_duckhouse.errors import LoadError, TargetError
from target_duckhouse.input.messages import read_blocks
from target_duckhouse.load import Load
from target_duckhouse.memory import MemoryBound
from target_duckhouse.settings import Settings, describe, read_settings
from target_duckhouse.warehouse.connection import connect
from target_duckhouse.warehouse.database import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["cli", "inspect", "main", "state"]

logger = logging.getLogger("target-duckhouse")

_CAPABILITIES = ["about", "activate-version", "batch", "hard-delete"]
_IDLE_S = 1.0
_GARBAGE = 50_000
"""New objects after which Python looks for cycles: the many objects of a block of records never form one."""


class _Interrupted(BaseException):
    """A signal asked the process to end.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Interrupted(number)


_config = click.option(
    "--config",
    "config",
    multiple=True,
    metavar="FILE|ENV",
    help="JSON file with settings; ENV reads TARGET_DUCKHOUSE_… from the environment. May be given more than once.",
)


def _settings_help() -> str:
    """All settings with an example each, for the end of ``--help``."""
    parts = ["\b\nSettings, in the config file or as TARGET_DUCKHOUSE_<NAME>; all are optional:"]
    for setting in describe():
        default = "" if setting["default"] is None else f" Default: {_json(setting['default'])}."
        parts.append(f'"{setting["name"]}": {_json(setting["example"])} -- {setting["description"]}{default}')
    return "\n\n".join(parts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@click.group(
    epilog=_settings_help(), invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@_config
@click.option("--about", is_flag=True, help="Show settings and capabilities.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="Format of --about."
)
@click.version_option(package_name="merchant-taps", prog_name="target-duckhouse", message="%(prog)s v%(version)s")
@click.pass_context
def cli(context: click.Context, config: tuple[str, ...], style: str, *, about: bool) -> None:
    """Load Singer messages from standard input into DuckDB.

    Rows and state are committed together. A STATE message is passed on once everything it covers is safe.
    """
    if about:
        click.echo(_about(style))
    elif context.invoked_subcommand is None:
        _load(read_settings(list(config)))
    else:
        context.obj = config


@cli.command()
@_config
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def inspect(context: click.Context, config: tuple[str, ...], style: str) -> None:
    """Show streams, rows, the last load and the state."""
    settings = read_settings([*(context.obj or ()), *config])
    with _opened(settings) as con:
        content = report.inspection(con)
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2))
    else:
        click.echo(report.render_inspection(content))


@cli.command()
@_config
@click.option("--state-id", help="The pipeline whose state to print. Default: the one in the settings.")
@click.pass_context
def state(context: click.Context, config: tuple[str, ...], state_id: str | None) -> None:
    """Print the last committed state, ready for a tap's --state."""
    settings = read_settings([*(context.obj or ()), *config])
    with _opened(settings) as con:
        states = {entry["state_id"]: entry["state"] for entry in report.inspection(con)["states"]}
    click.echo(msgspec.json.encode(states.get(state_id or settings.state_name, {})).decode())


def _opened(settings: Settings) -> Any:
    if not Path(settings.path).exists():
        raise TargetError(f"setting `path`: there is no file {settings.path}")
    return connect(settings.path, lock_timeout_s=settings.lock_timeout_s, read_only=True)


def _load(settings: Settings) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    gc.set_threshold(_GARBAGE)
    if sys.stdin is None or sys.stdout is None:
        raise LoadError(
            "standard input or output is closed; the loader reads messages from one and writes STATE to the other"
        )
    with MemoryBound(settings.memory_limit_mb) as bound:
        warehouse = Warehouse.open(settings)
        bound.stream = lambda: warehouse.stream
        try:
            with _spool_folder(settings.path) as bound.folder:
                blocks = read_blocks(sys.stdin.fileno(), _IDLE_S, settings.max_line)
                Load(settings, warehouse, bound.folder, sys.stdout.buffer).run(blocks)
            if warehouse.counts:
                click.echo(report.summary(warehouse.counts), err=True)
        finally:
            warehouse.close()


@contextmanager
def _spool_folder(path: str) -> Iterator[Path]:
    """A folder beside the warehouse. It belongs to whoever holds the lock, so leftovers of a killed run are removed."""
    folder = Path(path + ".spool")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _about(style: str) -> str:
    from importlib.metadata import version  # noqa: PLC0415  slow, and a load does not need it

    settings = describe()
    if style == "json":
        content = {
            "name": "target-duckhouse",
            "description": "Loads Singer messages into DuckDB.",
            "version": version("merchant-taps"),
            "capabilities": _CAPABILITIES,
            "settings": settings,
        }
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    if style == "markdown":
        lines = ["| setting | default | example | meaning |", "|---|---|---|---|"]
        lines += [f"| `{s['name']}` | {_default(s)} | `{_json(s['example'])}` | {s['description']} |" for s in settings]
        return "\n".join(lines)
    rows = [[s["name"], _json(s["default"]), s["description"]] for s in settings]
    return report.table(("setting", "default", "meaning"), rows)


def _default(setting: dict[str, Any]) -> str:
    return "" if setting["default"] is None else f"`{_json(setting['default'])}`"


def _usage(error: click.ClickException) -> str:
    """What is wrong with a command line; none of its values is repeated, because it may be a secret."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else "; --help lists the options"
        return f"there is an option that this command does not have{near}"
    if isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Choice):
        return f"option {error.param.opts[0]} must be one of {', '.join(map(str, error.param.type.choices))}"
    if isinstance(error, click.BadOptionUsage):
        return error.format_message()
    return "there is an argument that is neither an option nor a command; settings go into a file (--config FILE)"


def main() -> NoReturn:
    """Run the command line and end the process with the exit code of `target_duckhouse.errors`."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        cli.main(prog_name="target-duckhouse", standalone_mode=False)
        code = 0
    except _Interrupted as stop:
        logger.error("stopped by a signal; everything committed so far stays")  # noqa: TRY400  no traceback for a user
        code = stop.exit_code
    except TargetError as error:
        logger.error("%s", error)  # noqa: TRY400  no traceback for a user
        code = error.exit_code
    except click.exceptions.Exit as request:
        code = request.exit_code
    except click.ClickException as error:
        logger.error("%s", _usage(error))  # noqa: TRY400  no traceback for a user
        code = 2
    except click.Abort:
        code = 130
    except Exception:
        logger.exception("unexpected error")
        code = 1
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # the process may have been started without it
            stream.flush()
    sys.exit(code)
