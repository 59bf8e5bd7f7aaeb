"""The commands beside the load: they look into a warehouse, or change what it knows of a pipeline."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
import duckdb
import msgspec

from target_duckhouse import freshness, report
from target_duckhouse.errors import CheckError, LoadError, SettingsError
from target_duckhouse.settings import Settings, read_settings
from target_duckhouse.warehouse import compaction, lakes
from target_duckhouse.warehouse.connection import connect, explain, make_durable
from target_duckhouse.warehouse.pipelines import Pipelines

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Given", "check", "compact", "config_option", "inspect", "state"]

config_option = click.option(
    "--config",
    "config",
    multiple=True,
    metavar="FILE|ENV",
    help="JSON file with settings; ENV reads TARGET_DUCKHOUSE_… from the environment. May be given more than once.",
)
_state_id_option = click.option("--state-id", help="The pipeline's state id. Default: the one in the settings.")


@dataclass(frozen=True, slots=True)
class Given:
    """What was given before the name of a command.

    Args:
        config: The values of ``--config``.
        state_id: The value of ``--state-id``.
    """

    config: tuple[str, ...] = ()
    state_id: str | None = None

    def and_then(self, config: tuple[str, ...], state_id: str | None = None) -> Given:
        """The same with what was given after it."""
        return Given((*self.config, *config), state_id or self.state_id)

    @property
    def settings(self) -> Settings:
        """The settings."""
        return read_settings(list(self.config))

    def id_in(self, pipelines: Pipelines) -> str:
        """The state id that is meant."""
        return pipelines.id_of(self.state_id or self.settings.state_id, self.settings.schema)


@click.command()
@config_option
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def inspect(given: Given, config: tuple[str, ...], style: str) -> None:
    """Show streams, rows, the last load and the state."""
    with _opened(given.and_then(config).settings, read_only=True) as con:
        content = report.inspection(con)
    click.echo(_json(content) if style == "json" else report.render_inspection(content))


@click.command()
@config_option
@click.option("--max-age", default="26h", show_default=True, metavar="SPAN", help="Oldest last load: 90m, 26h, 2d.")
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Stream, or schema.stream. May be repeated.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def check(given: Given, config: tuple[str, ...], max_age: str, streams: tuple[str, ...], style: str) -> None:
    """Tell how fresh streams are; exit code 6 if one is stale, had records rejected or lacks files of a lake."""
    oldest, settings = freshness.span(max_age), given.and_then(config).settings
    with _opened(settings, read_only=True) as con:
        content = freshness.examine(con, oldest, streams, lakes.missing_from_lakes(con, settings))
    click.echo(_json(content) if style == "json" else freshness.render(content))
    if wrong := freshness.failures(content["streams"]):
        raise CheckError(f"the warehouse is not as fresh and complete as it should be: {', '.join(wrong)}")


@click.command()
@config_option
@click.pass_obj
def compact(given: Given, config: tuple[str, ...]) -> None:
    """Merge the small files of a lake; its rows stay as they are."""
    settings = given.and_then(config).settings
    with _opened(settings, read_only=False) as con:
        con.execute(f"SET memory_limit = '{settings.duckdb_memory_mb}MB'")
        done = list(compaction.compact(con, settings))
    click.echo(report.compacted(done) if done else "there is no lake, or nothing in it")


@click.group(invoke_without_command=True)
@config_option
@_state_id_option
@click.option("--or-new", is_flag=True, help="Print {} if there is no such warehouse, or pipeline in it, yet.")
@click.pass_context
def state(context: click.Context, config: tuple[str, ...], state_id: str | None, *, or_new: bool) -> None:
    """Print the last committed state, ready for a tap's --state; or change it."""
    context.obj = given = context.obj.and_then(config, state_id)
    if context.invoked_subcommand is not None:
        return
    if or_new and not Path(given.settings.path).exists():
        click.echo("{}")
        return
    with _opened(given.settings, read_only=True) as con:
        pipelines = Pipelines(con)
        name = given.id_in(pipelines)
        if not or_new and (given.state_id or pipelines.ids()):  # before the first load, a tap starts from nothing
            pipelines.check_known(name)
        text = pipelines.state(name)
    click.echo("{}" if text is None else text)


@state.command("set")
@config_option
@_state_id_option
@click.argument("file", type=click.File("rb"), default="-")
@click.pass_obj
def _set(given: Given, config: tuple[str, ...], state_id: str | None, file: BinaryIO) -> None:
    """Have a pipeline stand where a state says: FILE, or standard input."""
    given, text = given.and_then(config, state_id), _state_text(file.read())
    with _changed(given.settings) as pipelines:
        pipelines.set_state(name := given.id_in(pipelines), text)
    click.echo(f"the state of {name} is set", err=True)


@state.command("clear")
@config_option
@_state_id_option
@click.pass_obj
def _clear(given: Given, config: tuple[str, ...], state_id: str | None) -> None:
    """Forget the state of a pipeline; its tables stay."""
    given = given.and_then(config, state_id)
    with _changed(given.settings) as pipelines:
        pipelines.check_known(name := given.id_in(pipelines))
        pipelines.set_state(name, None)
    click.echo(f"the state of {name} is forgotten", err=True)


@state.command("rename")
@config_option
@click.argument("old")
@click.argument("new")
@click.pass_obj
def _rename(given: Given, config: tuple[str, ...], old: str, new: str) -> None:
    """Give the state and the tables of OLD to NEW."""
    with _changed(given.and_then(config).settings) as pipelines:
        pipelines.rename(old, new)
    click.echo(f"{old} is {new} now", err=True)


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


@contextmanager
def _opened(settings: Settings, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    if not Path(settings.path).is_file():
        raise SettingsError(f"setting `path`: there is no file {settings.path}")
    with connect(settings.path, lock_timeout_s=settings.lock_timeout_s, read_only=read_only) as con:
        try:
            yield con
        except duckdb.Error as error:
            raise LoadError(explain(error)) from error


@contextmanager
def _changed(settings: Settings) -> Iterator[Pipelines]:
    """What the warehouse knows, to be changed as a whole or not at all."""
    with _opened(settings, read_only=False) as con:
        con.execute("BEGIN")
        pipelines = Pipelines(con)
        pipelines.create()
        yield pipelines
        con.execute("COMMIT")
        make_durable(con)


def _state_text(given: bytes) -> str:
    """A state that a user hands in, on one line.

    Raises:
        SettingsError: It is not JSON, or a STATE message rather than its value.
    """
    try:
        text = " ".join(given.decode().split("\n")).replace("\r", " ").strip()
        msgspec.json.decode(text, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        raise SettingsError("what was given is not a state: it must be one JSON value") from None
    try:
        message = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return text
    if message.get("type") == msgspec.Raw(b'"STATE"'):
        raise SettingsError("give the value of a STATE message, not the message around it")
    return text
