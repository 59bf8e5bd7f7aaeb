"""The command line: a plain Singer target, with a few commands beside it (`commands`)."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from merchant_telemetry.telemetry import Telemetry
from target_duckhouse import report
from target_duckhouse.commands import Given, check, compact, config_option, inspect, state
from target_duckhouse.errors import LoadError, SettingsError, TargetError
from target_duckhouse.input.messages import read_blocks
from target_duckhouse.load import Load
from target_duckhouse.logs import ERASE, FORMATS, VARIABLE, default_format, error_line, set_log_format
from target_duckhouse.memory import MemoryBound
from target_duckhouse.settings import Settings, describe, read_settings
from target_duckhouse.signals import handle_signals
from target_duckhouse.warehouse.database import Warehouse
from target_duckhouse.warehouse.runs import begin_run
from target_duckhouse.warehouse.scratch import remove_scratch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_duckhouse.warehouse.loads import Counts

__all__ = ["cli", "main"]

logger = logging.getLogger("target-duckhouse")

_CAPABILITIES = ["about", "activate-version", "batch", "hard-delete", "structured-logging"]
_IDLE_S = 1.0
_UNUSABLE = "%s cannot be read or written: %s"


def _settings_help() -> str:
    """All settings with an example each, for the end of ``--help``."""
    parts = ["\b\nSettings, in the config file or as TARGET_DUCKHOUSE_<NAME>; all are optional:"]
    for setting in describe():
        default = "" if setting["default"] is None else f" Default: {_json(setting['default'])}."
        parts.append(f'"{setting["name"]}": {_json(setting["example"])} -- {setting["description"]}{default}')
    return "\n\n".join(parts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _log_format(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Give log lines their form before anything else is looked at."""
    set_log_format(value)
    return value


@click.group(
    epilog=_settings_help(), invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@config_option
@click.option("--about", is_flag=True, help="Show settings and capabilities.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text", help="Format of --about."
)
@click.option(
    "--metrics-file",
    envvar="TARGET_DUCKHOUSE_METRICS_FILE",
    help="Write metrics of the load to this file, in Prometheus' text format.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default=default_format,
    is_eager=True,
    callback=_log_format,
    help=f"The form of log lines on standard error; also {VARIABLE} in the environment. Default: text.",
)
@click.version_option(package_name="merchant-taps", prog_name="target-duckhouse", message="%(prog)s v%(version)s")
@click.pass_context
def cli(
    context: click.Context,
    config: tuple[str, ...],
    style: str,
    metrics_file: str | None,
    log_format: str,
    *,
    about: bool,
) -> None:
    """Load Singer messages from standard input into DuckDB.

    Rows and state are committed together. A STATE message is passed on once everything it covers is safe.
    """
    if about:
        click.echo(_about(style))
    elif context.invoked_subcommand is None:
        settings, telemetry = (
            read_settings(list(config)),
            context.find_object(Telemetry) or Telemetry("target-duckhouse", logger),
        )
        telemetry.labels["state_id"] = settings.state_id or settings.schema
        try:
            telemetry.begin(Path(metrics_file) if metrics_file else None)
        except ValueError as error:
            raise SettingsError(f"--metrics-file: {error}") from None
        _load(settings, telemetry, log_format)
    else:
        context.obj = Given(config)


cli.add_command(check)
cli.add_command(compact)
cli.add_command(inspect)
cli.add_command(state)


def _load(settings: Settings, telemetry: Telemetry, log_format: str) -> None:
    if sys.stdin is None or sys.stdout is None:
        raise LoadError(
            "standard input or output is closed; the loader reads messages from one and writes STATE to the other"
        )
    with MemoryBound(settings.memory_limit_mb) as bound:
        with begin_run(settings.path, os.urandom(16).hex()) as run:
            bound.folder = run.folder
            handle_signals(partial(remove_scratch, run.folder), error_line)
            with closing(Warehouse.open(settings, run.id, run.folder)) as warehouse:
                bound.stream, bound.burden = lambda: warehouse.loading, lambda: warehouse.burden
                run.take(warehouse.state_id, settings.lock_timeout_s)
                blocks = read_blocks(sys.stdin.fileno(), _IDLE_S, settings.max_line)
                with warehouse.observer.told(telemetry, lambda: warehouse.loads.committed):
                    Load(warehouse, run.folder, sys.stdout.buffer).run(blocks)
        _tell(warehouse.loads.counts, log_format)


def _tell(counts: Mapping[str, Counts], log_format: str) -> None:
    """Say what was done: in a table for people, or a line for each stream for programs."""
    if log_format == "json":
        for stream, count in sorted(counts.items()):
            logger.info("stream %s: loaded", stream, extra=asdict(count))
    elif counts:
        erase = ERASE if sys.stderr is not None and sys.stderr.isatty() else ""
        with suppress(OSError):  # that nobody can be told must not cost a load that is committed
            click.echo(f"{erase}{report.summary(counts)}", err=True)


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
    set_log_format(default_format())
    telemetry = Telemetry("target-duckhouse", logger)
    try:
        cli.main(prog_name="target-duckhouse", obj=telemetry, standalone_mode=False)
        code = 0
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
    except OSError as error:
        logger.error(_UNUSABLE, error.filename or "standard output", error.strerror)  # noqa: TRY400
        code = LoadError.exit_code
    except Exception:
        logger.exception("unexpected error")
        code = 1
    telemetry.end(code)
    _end(code)


def _end(code: int) -> NoReturn:
    """Write what is buffered, and end the process: all is closed, and Python would take 20 ms to take itself apart."""
    try:
        if sys.stdout is not None:  # the process may have been started without it
            sys.stdout.flush()
    except OSError as error:
        if not code:
            logger.error(_UNUSABLE, "standard output", error.strerror)  # noqa: TRY400
            code = LoadError.exit_code
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.flush()
    os._exit(code)
