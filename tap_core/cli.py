"""A tap on the command line: its options, its exit codes, its one line for what goes wrong."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, get_args

import click
from singer_sdk import Tap
from singer_sdk.plugin_base import _ConfigInput
from typing_extensions import override

from merchant_telemetry.telemetry import Telemetry
from tap_core.config.environment import read_environment
from tap_core.config.files import read_config_files, read_object, warn_if_exposed
from tap_core.config.redact import Redactor, secret_values
from tap_core.early import spare_collector
from tap_core.errors import ConfigError, OutputError, StateError, TapError
from tap_core.output.logs import VARIABLE, LogFormat, is_news, set_log_format
from tap_core.output.messages import standard_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.plan import RunPlan
    from tap_core.session.session import Session

__all__ = ["CommandLine", "usage"]

_WARNINGS: Final = "tap_core.warnings"
"""Where a command keeps what only a run says: Meltano calls a tap twice for each, to discover and to run."""

_TEST: Final = "tap_core.test"
"""Where a command keeps which test of the tap is wanted, if any."""
_NO_TEST: Final = "disabled"


class CommandLine(Tap):
    """What a tap does when it is called as a command."""

    redactor: Redactor

    @property
    def session(self) -> Session:
        """What the streams of the run share."""
        raise NotImplementedError

    def run(self) -> None:
        """Read all selected streams and write their messages."""
        raise NotImplementedError

    def tell(self, telemetry: Telemetry) -> None:
        """Have what the run does told to other programs."""
        raise NotImplementedError

    def test_connection(self) -> None:
        """Print of each stream whether it can be read."""
        raise NotImplementedError

    def plan(self) -> RunPlan:
        """Find out what a run would do."""
        raise NotImplementedError

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> NoReturn:
        """The console script: runs the command and ends the process with the exit code that its outcome has."""
        telemetry = Telemetry(cls.name, cls.logger)
        if sys.stderr is None:  # whoever started the process has closed it
            sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  for as long as the process lives
        try:
            if sys.stdout is None:
                raise OutputError("standard output is closed")  # noqa: TRY301  one way to end
            sys.stdout = standard_output()
            command = cls.cli
            cls.logger.addFilter(is_news)
            set_log_format(_default_log_format(), cls.stream_names(), sys.stderr)
            code = command.main(
                args=None if arguments is None else list(arguments), obj=telemetry, standalone_mode=False
            )
            sys.stdout.flush()
        except TapError as error:
            code = error.exit_code
            if not error.reported:
                cls.logger.error(str(error))  # noqa: TRY400  one line for the user
        except click.ClickException as error:
            code = error.exit_code
            cls.logger.error(usage(error))  # noqa: TRY400
        except (click.Abort, KeyboardInterrupt):
            code = 128 + signal.SIGINT
        except Exception as error:
            code = TapError.exit_code
            reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
            cls.logger.error(  # noqa: TRY400
                "unexpected %s%s; run with LOGLEVEL=DEBUG for the traceback", type(error).__name__, reason
            )
            cls.logger.debug("traceback", exc_info=True)
        code = code if isinstance(code, int) else 0
        if telemetry.is_on:
            with suppress(OSError):  # so that the target need not wait for a collector that does not answer
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            telemetry.end(code)
        logging.shutdown()
        os._exit(code)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        for option in command.params:
            if isinstance(option.type, click.File):
                option.type = click.STRING  # read here: click repeats what it cannot open
        command.params += [
            click.Option(
                ["--plan"],
                is_flag=False,
                flag_value="text",
                type=click.Choice(["text", "json"]),
                help="Print what a run would do: its calls, windows and duration; --plan=json for programs.",
            ),
            click.Option(
                ["--log-format"],
                type=click.Choice(get_args(LogFormat)),
                default=_default_log_format,
                is_eager=True,
                callback=cls.cb_log_format,
                help=f"The form of log lines on standard error; also {VARIABLE} in the environment. Default: text.",
            ),
            click.Option(
                ["--metrics-file"],
                envvar=f"{_prefix(cls.name)}METRICS_FILE",
                help="Write metrics of the run to this file, in Prometheus' text format.",
            ),
        ]
        return command

    @classmethod
    def stream_names(cls) -> list[str]:
        """The names of the tap's streams."""
        raise NotImplementedError

    @classmethod
    def cb_log_format(cls, _ctx: click.Context, _param: click.Option, value: LogFormat) -> LogFormat:
        """Give log lines their form before anything else is looked at."""
        set_log_format(value, cls.stream_names(), sys.stderr)
        return value

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        files = [path for path in value if path != "ENV"]
        config = read_config_files(files, cls.config_jsonschema)
        secrets = list(secret_values(config, cls.config_jsonschema))
        ctx.meta[_WARNINGS] = [warning for path in files if (warning := warn_if_exposed(path, secrets))]
        if "ENV" in value:
            cls.append_builtin_config(cls.config_jsonschema)
            config |= read_environment(cls.config_jsonschema, _prefix(cls.name))
        return _ConfigInput(config=config)

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: str | None = None,
        catalog: str | None = None,
        metrics_file: str | None = None,
        plan: str | None = None,
        log_format: LogFormat = "text",
    ) -> None:
        """Run the tap.

        Args:
            about: Only print what the tap is and which settings it has.
            about_format: How to print that.
            config: The settings.
            state: The file of a state to continue from.
            catalog: The file of a catalog with the selection.
            metrics_file: The file to write metrics to.
            plan: Only print what a run would do, in this form.
            log_format: The form of log lines.
        """
        if about:
            cls.print_about(about_format)
            return
        context = click.get_current_context()
        meta, telemetry = context.meta, context.find_object(Telemetry) or Telemetry(cls.name, cls.logger)
        if meta[_TEST] == _NO_TEST and not plan:
            try:
                telemetry.begin(Path(metrics_file) if metrics_file else None)
            except ValueError as error:
                raise ConfigError(f"--metrics-file: {error}") from None
        tap = cls(
            config=(config or _ConfigInput()).config,
            state=_given("--state", state, StateError),
            catalog=_given("--catalog", catalog, ConfigError),
        )
        tap.session.log_format = log_format
        if meta[_TEST] == "schema":
            tap.write_schemas()
            return
        for warning in meta[_WARNINGS]:
            tap.logger.warning(warning)
        if meta[_TEST] == "all":
            tap.test_connection()
            return
        if plan:
            from tap_core.plan_text import as_json, as_text  # noqa: PLC0415  a run need not pay for it

            show = as_json if "json" in {plan, about_format} else as_text
            print(tap.redactor.text(show(tap.plan())))  # noqa: T201  a command speaks
            return
        tap.tell(telemetry)
        tap.logger.info("%s %s", cls.name, cls.plugin_version)
        spare_collector()
        tap.run()

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Note that only a test is wanted; `invoke` makes it, once all options are known."""
        if value not in {_NO_TEST, "all", "schema"}:
            raise click.BadParameter("give it alone, or as --test=schema", ctx, param)
        ctx.meta[_TEST] = value


def _default_log_format() -> LogFormat:
    """What the environment says; as other programs may mean something else by the variable, that is not an error."""
    return "json" if os.environ.get(VARIABLE) == "json" else "text"


def _prefix(name: str) -> str:
    """How the names of a tap's environment variables begin."""
    return f"{name.upper().replace('-', '_')}_"


def _given(option: str, path: str | None, error: type[ConfigError]) -> dict[str, Any] | None:
    return None if path is None else read_object(option, path, error=error, may_be_empty=True) or None


def usage(error: click.ClickException) -> str:
    """What is wrong with a command line; none of its values is repeated, because it may be a secret."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else "; --help lists the options"
        return f"there is an option that this command does not have{near}"
    if isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Choice):
        return f"option {error.param.opts[0]} must be one of {', '.join(map(str, error.param.type.choices))}"
    if isinstance(error, click.BadParameter | click.BadOptionUsage):
        return error.format_message()
    return "there is an argument that belongs to no option; settings go into a file (--config FILE)"
