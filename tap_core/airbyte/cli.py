"""The four commands of a source: spec, check, discover, read."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from tap_core.airbyte.catalog import catalog_of, select
from tap_core.airbyte.spec import settings_from, spec_of
from tap_core.airbyte.state import bookmarks_of
from tap_core.airbyte.writer import AirbyteWriter, Log
from tap_core.cli import usage
from tap_core.config.files import read_object, read_value, warn_if_exposed
from tap_core.config.redact import Redactor, secret_values
from tap_core.config.secret_files import with_secrets
from tap_core.early import spare_collector
from tap_core.errors import ConfigError, OutputError, StateError, StoppedError, TapError
from tap_core.output.logs import is_news
from tap_core.probe import probe_streams
from tap_core.tap import CoreTap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["outcome", "read", "run", "tap_of"]

_FAILED: Final = "  failed: "
_REASONS: Final = 5
"""How many reasons a failed check gives."""


def tap_of(name: str) -> type[CoreTap]:
    """The tap of a name, such as the one of the package ``tap_NAME`` for ``NAME``."""
    kinds = [each for each in vars(import_module(f"tap_{name}.tap")).values() if isinstance(each, type)]
    return next(kind for kind in kinds if issubclass(kind, CoreTap) and kind is not CoreTap)


def run(kind: type[CoreTap], arguments: Sequence[str]) -> NoReturn:
    """Run a command of a source, and end the process with the exit code that its outcome has in a tap."""
    if sys.stderr is None:  # whoever started the process has closed it
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  for as long as the process lives
    log = Log()
    level = logging.getLevelNamesMapping().get(os.environ.get("LOGLEVEL", "").upper(), logging.INFO)
    root = logging.getLogger()
    root.handlers[:] = [log]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    kind.logger.addFilter(is_news)
    writer = AirbyteWriter(log)
    code = outcome(writer, lambda: _commands(kind, writer).main(list(arguments), standalone_mode=False))
    os._exit(code)


def outcome(writer: AirbyteWriter, command: Callable[[], object]) -> int:
    """Run a command to its end; returns the exit code. What goes wrong is written as an error."""
    failure: TapError | None = None
    try:
        if sys.stdout is None:
            raise OutputError("standard output is closed")  # noqa: TRY301  one way to end
        command()
        sys.stdout.flush()
    except TapError as error:
        failure = error
    except click.ClickException as error:
        failure = ConfigError(_usage(error))
    except Exception as error:
        logging.getLogger().debug("traceback", exc_info=True)
        failure = TapError(f"unexpected {type(error).__name__}; run with --debug for the traceback")
    try:
        if isinstance(failure, OutputError):
            raise failure
        writer.finish(failure)
        failure = failure or writer.failure
    except OutputError as error:
        print(error, file=sys.stderr)  # noqa: T201  nobody reads messages any more
        return error.exit_code
    return 0 if failure is None else failure.exit_code


def _usage(error: click.ClickException) -> str:
    """What is wrong with a command line, without its values."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context and isinstance(context.command, click.Group) and not isinstance(error, click.NoSuchOption):
        return f"the first argument must be a command: {', '.join(context.command.commands)}"
    return usage(error)


def _commands(kind: type[CoreTap], writer: AirbyteWriter) -> click.Group:
    name = kind.name.replace("tap-", "source-")
    group = click.version_option(kind.plugin_version, prog_name=name)(
        click.Group(name, help=f"{kind.name} as an Airbyte source.")
    )
    debug = click.Option(["--debug"], is_flag=True, callback=_debug, expose_value=False, help="Log more.")
    config = click.Option(["--config"], required=True, help="The file with the settings.")
    catalog = click.Option(["--catalog"], required=True, help="The file with the configured catalog.")
    state = click.Option(["--state"], help="The file with the state to continue from.")

    def spec() -> None:
        writer.tell(spec_of(kind))

    def check(config: str) -> None:
        writer.tell({"type": "CONNECTION_STATUS", "connectionStatus": _status(kind, config, writer.log)})

    def discover(config: str) -> None:
        tap = kind(config=_settings(kind, config))
        writer.tell(catalog_of(tap))

    def read_streams(config: str, catalog: str, state: str | None) -> None:
        configured = read_object("--catalog", catalog)
        given = None if state is None else read_value("--state", state, error=StateError, may_be_empty=True)
        spare_collector()
        read(kind, writer, _settings(kind, config), configured, given)

    group.add_command(click.Command("spec", callback=spec, params=[debug], help="Say which settings there are."))
    group.add_command(click.Command("check", callback=check, params=[config, debug], help="Try the settings."))
    group.add_command(click.Command("discover", callback=discover, params=[config, debug], help="Say what there is."))
    group.add_command(
        click.Command("read", callback=read_streams, params=[config, catalog, state, debug], help="Read streams.")
    )
    return group


def _debug(_context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001  click gives it so
    if value:
        logging.getLogger().setLevel(logging.DEBUG)


def _settings(kind: type[CoreTap], path: str) -> dict[str, Any]:
    """The settings in a file, whose secrets no line shows from now on."""
    given = with_secrets(read_object("--config", path), kind.config_jsonschema)
    if given.get("batch_config"):
        kind.logger.warning("setting 'batch_config' has no effect: Airbyte takes records as messages alone")
    settings = settings_from(given, kind)
    secrets = list(secret_values(settings, kind.config_jsonschema))
    Redactor(secrets).install()
    if warning := warn_if_exposed(path, secrets):
        kind.logger.warning(warning)
    return settings


def _status(kind: type[CoreTap], path: str, log: Log) -> dict[str, str]:
    """Whether the settings are right and the streams can be read, and why not: all reasons, for nobody sees the log."""
    told: list[str] = []
    try:
        session = kind(config=_settings(kind, path)).session
        probe_streams(session, session.streams, told.append)
    except StoppedError:
        raise  # says nothing of the settings
    except TapError as error:
        failed = [" ".join(line.split(None, 1)) for line in told if _FAILED in line]
        more = f"; and {len(failed) - _REASONS} more" if len(failed) > _REASONS else ""
        message = "; ".join(failed[:_REASONS]) + more or str(error)
        return {"status": "FAILED", "message": log.clean(message)}
    return {"status": "SUCCEEDED"}


def read(kind: type[CoreTap], writer: AirbyteWriter, settings: Mapping[str, Any], configured: Any, state: Any) -> None:
    """Read what a configured catalog asks for, and write its messages.

    Args:
        kind: The tap.
        writer: Where they go.
        settings: The settings of the tap.
        configured: The configured catalog.
        state: The state to continue from, in any form of Airbyte's; None for none.

    Raises:
        TapError: The worst failure of the tap's run, after everything else was done.
    """
    tap = kind(config=settings, message_writer=writer)
    wanted = select(configured, tap)
    bookmarks = bookmarks_of(state, wanted)
    tap.load_state({"bookmarks": bookmarks})
    writer.expect(wanted, bookmarks)
    tap.logger.info("%s %s", kind.name.replace("tap-", "source-"), tap.plugin_version)
    for stream in tap.session.streams:
        if stream.selected and (reason := stream.unavailable()):
            writer.ended(stream.name, ConfigError(f"{stream.name} cannot be read: {reason}"), whole=False)
            stream.selected = False
    tap.run()
