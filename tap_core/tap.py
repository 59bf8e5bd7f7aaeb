"""A tap: its settings, its run over all streams, its signals and exit codes."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

import click
import msgspec
from singer_sdk import Tap
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _ConfigInput
from typing_extensions import override

from tap_core.bookmarks import Bookmarks, checked_state
from tap_core.client import ApiClient
from tap_core.clock import Clock, real_seconds
from tap_core.errors import (
    ApiError,
    AuthError,
    ConfigError,
    OutputError,
    StateError,
    StoppedError,
    TapError,
    UnreachableError,
)
from tap_core.fetch import Arrival, Workers
from tap_core.group import Group
from tap_core.messages import MessageWriter
from tap_core.policy import Policy
from tap_core.progress import Progress
from tap_core.redact import Redactor, secret_values
from tap_core.retry import RetryPolicy
from tap_core.schema import names_in, with_extra
from tap_core.settings import check_config, instant, read_config_files, read_environment, warn_if_exposed
from tap_core.stream import CoreStream, EmbeddedStream
from tap_core.timestamps import text_of
from tap_core.transport import Transport, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from types import FrameType

    from tap_core.auth import Auth
    from tap_core.emit import Emitter

__all__ = ["CoreTap"]

STATE_EVERY: int = 10_000
"""Records after which a STATE goes out even if no bookmark moved, so that a target can commit what it has."""

LIVE_STATE_EVERY_S: float = 5.0
"""Seconds of real time between two STATE messages of a live feed."""

S = TypeVar("S", bound=CoreStream)


class CoreTap(Tap):
    """The base of all taps.

    Attributes:
        stream_types: The tap's streams.
    """

    package_name = "merchant-taps"
    stream_types: ClassVar[Sequence[type[CoreStream]]]

    message_writer_class = MessageWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    # What a vendor says

    def make_auth(self) -> Auth:
        """The credentials of this run."""
        raise NotImplementedError

    def make_client(self) -> ApiClient:
        """The client of this run; a vendor with errors of its own kind returns a subclass."""
        return ApiClient(transport=self.transport, auth=self.make_auth(), clock=self.clock, retry=self.retry_policy)

    # What all streams share

    @cached_property
    def clock(self) -> Clock:
        """Real time; the sandbox's time if the API is on this machine and the sandbox says so."""
        text = os.environ.get("MERCHANT_CLOCK")
        host = urlsplit(str(self.config.get("api_url") or "")).hostname
        return Clock.parse(text) if text and host and is_loopback(host) else Clock()

    @cached_property
    def started(self) -> datetime:
        """When the run started."""
        return self.clock.now()

    @cached_property
    def policy(self) -> Policy:
        """What happens to unknown fields, personal data and secrets."""
        return Policy.from_config(self.config)

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """How patient the run is."""
        return RetryPolicy(
            retry_max_s=self.config.get("retry_max_s", 900),
            max_rate_limit_wait_s=self.config.get("max_rate_limit_wait_s", 3660),
            requests_per_second=self.config.get("requests_per_second"),
        )

    @cached_property
    def user_agent(self) -> str:
        """What the tap calls itself."""
        return str(self.config.get("user_agent") or f"{self.name}/{self.plugin_version}")

    @cached_property
    def transport(self) -> Transport:
        """The connections of this run."""
        return Transport(
            connect_timeout_s=self.config.get("connect_timeout_s", 10),
            read_timeout_s=self.config.get("read_timeout_s", 60),
            user_agent=self.user_agent,
            pool_size=self.workers.count,
        )

    @cached_property
    def workers(self) -> Workers:
        """The threads that send requests."""
        return Workers(int(self.config.get("concurrency", 4)))

    @cached_property
    def client(self) -> ApiClient:
        """One client for all streams: one login, one connection pool, one call budget."""
        return self.make_client()

    @cached_property
    def progress(self) -> Progress:
        """What the run shows."""
        return Progress(self.logger)

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """Where the streams stand."""
        return Bookmarks(cast("dict[str, Any]", self.state), self.started)

    @property
    def writer(self) -> MessageWriter:
        """Where messages go."""
        assert isinstance(self.message_writer, MessageWriter)
        return self.message_writer

    def stream(self, kind: type[S]) -> S:
        """The tap's stream of a class."""
        return next(stream for stream in self.streams.values() if isinstance(stream, kind))

    def warn_once(self, message: str) -> None:
        """Log a warning, once per run."""
        if message not in self._warned:
            self._warned.add(message)
            self.logger.warning(message)

    # Settings, state and streams

    @override
    def __init__(
        self, *, config: Mapping[str, Any] | None = None, validate_config: bool = True, **options: Any
    ) -> None:
        schema = type(self).config_jsonschema
        self._warned: set[str] = set()
        self._signal: int | None = None
        given = {name: value for name, value in dict(config or {}).items() if value is not None}
        defaults = {name: member["default"] for name, member in schema["properties"].items() if "default" in member}
        self.redactor = Redactor(secret_values(given, schema))
        self.redactor.install()
        if validate_config:
            self.append_builtin_config(schema)
            check_config(given, schema)
        super().__init__(config={**defaults, **given}, validate_config=validate_config, **options)
        if validate_config:
            self.check_settings()

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Nothing: `check_config` has done it, and the SDK's own check would print values."""
        return []

    def check_settings(self) -> None:
        """Check what a schema cannot say. A vendor adds its own checks.

        Raises:
            ConfigError: A setting makes no sense.
        """
        start = instant("start_date", self.config.get("start_date"), now=self.started)
        end = instant("end_date", self.config.get("end_date"))
        if start is not None and end is not None and end <= start:
            raise ConfigError("setting 'end_date' must be later than 'start_date'")
        if self.policy.pii == "drop" and not self.policy.pii_key:
            for kind in self.stream_types:
                declared = kind.schemas.get_schema(kind.name)["properties"]
                if any(declared[key].get("x-pii") for key in kind.primary_keys if key in declared):
                    raise ConfigError(
                        f"setting 'pii_key' is missing: {kind.name} has personal data in its key,"
                        " which pii 'drop' must hash, because a record without its key cannot be loaded"
                    )
        names = {kind.name for kind in self.stream_types}
        for name in self.config.get("enable_streams") or ():
            if name not in names:
                raise ConfigError(
                    f"setting 'enable_streams' names {name!r}; the streams are {', '.join(sorted(names))}"
                )

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(checked_state(state))
        names = {kind.name for kind in self.stream_types}
        for name in self.state.get("bookmarks", {}):
            if name not in names:
                self.logger.warning("the state has a bookmark of %r, which is no stream of this tap; it is kept", name)

    @override
    def discover_streams(self) -> Sequence[CoreStream]:
        streams = [kind(self) for kind in self.stream_types]
        enabled = self.config.get("enable_streams") or ()
        for stream in streams:
            if stream.name in enabled:
                stream.selected_by_default = True
        if self.policy.drop_fields:
            known = {name for stream in streams for name in names_in(with_extra(stream.declared_schema()))}
            for name in sorted(self.policy.drop_fields - known):
                self.warn_once(
                    f"setting 'drop_fields' names {name!r}, which no stream has; only unknown fields are dropped by it"
                )
        return streams

    # The run

    def run(self) -> None:
        """Read all selected streams and write their messages.

        A stream that fails stops neither the others nor moves its bookmark.

        Raises:
            TapError: Something failed; the worst of it, after everything else was done.
        """
        names = self.config.get("enable_streams") or ()
        for name in names:
            self.streams[name].selected = True
        groups = self._groups()
        failures: dict[str, TapError] = {}
        refused: dict[str, AuthError] = {}
        started = self.started
        self.logger.debug("run started at %s", started.isoformat())
        with self._signals(), self.progress.shown():
            try:
                for member in (member for _, members in groups for member in members):
                    member.meter.before = member.bookmark()
                self.prepare([reader for reader, _ in groups])
                for reader, members in groups:
                    failure = refused.get(reader.account) or self._read(reader, members)
                    if failure is not None:
                        failures |= {member.name: failure for member in members}
                    if isinstance(failure, AuthError):
                        refused[reader.account] = failure
                    elif failure is not None and self._ends_run(failure):
                        break
                if not any(isinstance(failure, OutputError) for failure in failures.values()):
                    self.write_state(force=not failures and bool(self.state.get("bookmarks")))
            finally:
                self.clock.stop()
                self._flush()
        order = sorted(member.name for _, members in groups for member in members)
        self.progress.summarize(order, {name: str(failure) for name, failure in failures.items()})
        if failures:
            self._fail(failures)

    @staticmethod
    def _ends_run(failure: TapError) -> bool:
        """Whether no other stream would fare better."""
        own = {TapError.exit_code, ApiError.exit_code}
        return failure.exit_code not in own or isinstance(failure, UnreachableError)

    def prepare(self, readers: Sequence[CoreStream]) -> None:
        """The place for what a vendor wants to know or to say before reading begins.

        Args:
            readers: The streams that are going to be read.

        Raises:
            TapError: Nothing can be read.
        """

    def _fail(self, failures: Mapping[str, TapError]) -> NoReturn:
        """End with the gravest failure, or with a line that names the streams; each was told when it happened."""
        distinct = {str(failure): failure for failure in failures.values()}
        worst = max(distinct.values(), key=lambda failure: failure.exit_code != ApiError.exit_code)
        if worst.exit_code != ApiError.exit_code or len(distinct) == 1:
            raise worst
        raise ApiError(f"{len(failures)} streams failed: {', '.join(sorted(failures))}; the lines above tell why")

    def _groups(self) -> list[tuple[CoreStream, list[CoreStream]]]:
        """The selected streams, each with the embedded ones that are read with it."""
        groups: dict[str, tuple[CoreStream, list[CoreStream]]] = {}
        for stream in self.streams.values():
            assert isinstance(stream, CoreStream)
            if not stream.selected:
                continue
            if reason := stream.unavailable():
                self.logger.info("%s: skipped, %s", stream.name, reason)
                continue
            reader = self._reader(stream)
            groups.setdefault(reader.name, (reader, []))[1].append(stream)
        return [groups[kind.name] for kind in self.stream_types if kind.name in groups]

    @staticmethod
    def _reader(stream: CoreStream) -> CoreStream:
        """The stream that asks the API for the rows of a stream."""
        while isinstance(stream, EmbeddedStream):
            stream = stream.parent
        return stream

    def _read(self, reader: CoreStream, members: Sequence[CoreStream]) -> TapError | None:
        """Read one stream with its embedded ones; returns what went wrong."""
        for member in members:
            member.meter.start()
            member.meter.shares_requests = member is not reader
        try:
            reader.prepare()
            emitters = {member.name: member.emitter() for member in members}
            for emitter in emitters.values():
                emitter.schema()
            for arrival in self._emitted(reader, members, emitters):
                if arrival.done and arrival.slice.last:
                    self._checkpoint(members, arrival)
            self._close(members, emitters)
        except Exception as error:  # noqa: BLE001  a mistake in one stream must not cost the others
            for member in members:
                member.meter.stop("failed")
            failure = error if isinstance(error, TapError) else self._unexpected(error, reader)
            if not isinstance(failure, StoppedError):
                self._report(failure)
            return failure
        for member in members:
            member.meter.after = member.bookmark()
            member.meter.stop("done")
        return None

    def _unexpected(self, error: Exception, stream: CoreStream) -> TapError:
        self.logger.debug("traceback", exc_info=error)
        return TapError(f"{stream.name}: unexpected {type(error).__name__}; LOGLEVEL=DEBUG shows the traceback")

    def _report(self, failure: TapError) -> None:
        self.logger.error(str(failure))
        failure.reported = True

    def _emitted(
        self, reader: CoreStream, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]
    ) -> Iterator[Arrival]:
        """Everything that is read, after its records were written."""
        group = Group(reader, members, emitters)
        for emitter in emitters.values():
            emitter.version = self._version(emitter)
        since_state, state_at = 0, real_seconds()
        for arrival in reader.arrivals():
            if not arrival.live:
                self.check_signals()
            group.write(arrival, text_of(self.clock.now()))
            since_state += len(arrival.rows)
            yield arrival
            if arrival.live and (self.stopping or real_seconds() - state_at >= LIVE_STATE_EVERY_S):
                state_at = real_seconds()
                self._close(members, emitters)
            if arrival.live:
                self.writer.flush()
                self.check_signals()
            elif since_state >= STATE_EVERY:
                since_state = 0
                self.write_state(force=True)

    def _version(self, emitter: Emitter) -> int | None:
        stream = emitter.stream
        wanted = bool(self.config.get("emit_activate_version_messages", True))
        return int(self.started.timestamp() * 1000) if wanted and stream.snapshot and not stream.incremental else None

    def _checkpoint(self, members: Sequence[CoreStream], arrival: Arrival) -> None:
        """A window is closed: everything up to it was written, so bookmarks on the window may move."""
        moved = [member.checkpoint(arrival.slice) for member in members]
        if any(moved):
            self.write_state()

    def _close(self, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]) -> None:
        """All is read: if it is complete, a snapshot counts and the bookmark moves."""
        for member in members:
            if not member.complete:
                continue
            emitter = emitters[member.name]
            emitter.activate()
            member.close(emitter.newest)
        self.write_state()

    def write_state(self, *, force: bool = False) -> None:
        """Write a STATE message behind everything it covers, if it says anything new.

        Args:
            force: Write it even if it says nothing new.
        """
        value = msgspec.json.encode(self.state)
        if self.state and (force or value != self._last_state):
            self._last_state = value
            self.writer.write_line({"type": "STATE", "value": self.state})

    _last_state: bytes = b""

    def _flush(self) -> None:
        """Hand over what is buffered; with the target gone there is nothing left to do."""
        try:
            self.writer.flush()
        except TapError:
            self.logger.debug("the output is gone")

    # Signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """End the run in order on SIGTERM and SIGINT: whole lines, a valid state, the signal's exit code."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + number)
        self._signal = number
        self.clock.stop()

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked the run to end."""
        return self._signal is not None

    def check_signals(self) -> None:
        """End the run if a signal asked for it.

        Raises:
            StoppedError: It did.
        """
        if self._signal is not None:
            error = StoppedError(f"stopped by {signal.Signals(self._signal).name}; the state that was written is valid")
            error.exit_code = 128 + self._signal
            raise error

    # The command line

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> NoReturn:
        """The console script: runs the command and ends the process with the exit code that its outcome has."""
        try:
            code = cls.cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
        except TapError as error:
            code = error.exit_code
            if not error.reported:
                cls.logger.error(str(error))  # noqa: TRY400  one line for the user
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = 128 + signal.SIGINT
        except BrokenPipeError:
            code = 5
        except Exception as error:
            code = TapError.exit_code
            cls.logger.error("unexpected %s; run with LOGLEVEL=DEBUG for the traceback", type(error).__name__)  # noqa: TRY400
            cls.logger.debug("traceback", exc_info=True)
        logging.shutdown()
        os._exit(code if isinstance(code, int) else 0)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        files = [path for path in value if path != "ENV"]
        config = read_config_files(files)
        secrets = list(secret_values(config, cls.config_jsonschema))
        for path in files:
            if warning := warn_if_exposed(path, secrets):
                cls.logger.warning(warning)
        if "ENV" in value:
            cls.append_builtin_config(cls.config_jsonschema)
            config |= read_environment(cls.config_jsonschema, f"{cls.name.upper().replace('-', '_')}_")
        return _ConfigInput(config=config)

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the tap.

        Args:
            about: Only print what the tap is and which settings it has.
            about_format: How to print that.
            config: The settings.
            state: A state to go on from.
            catalog: A catalog with the selection.
        """
        if about:
            cls.print_about(about_format)
            return
        tap = cls(
            config=(config or _ConfigInput()).config,
            state=_read_json("state", state),
            catalog=_read_json("catalog", catalog),
        )
        tap.logger.info("%s %s", cls.name, cls.plugin_version)
        tap.run()

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value not in {"all", "schema"}:
            return
        tap = cls(config=ctx.params.get("config", _ConfigInput()).config)
        if value == "schema":
            tap.write_schemas()
        else:
            tap.test_connection()
        ctx.exit()

    def test_connection(self) -> None:
        """Read the first page of each stream and say how it went, without writing messages.

        Raises:
            TapError: A stream cannot be read.
        """
        failures: dict[str, TapError] = {}
        for kind in self.stream_types:
            stream = self.streams[kind.name]
            assert isinstance(stream, CoreStream)
            if not stream.selected or stream.unavailable():
                continue
            try:
                self._reader(stream).prepare()
                found = next(stream.shaped_rows(), None)
            except TapError as error:
                failures[stream.name] = error
                self._report(error)
                if self._ends_run(error):
                    break
            else:
                self.logger.info("%s: %s", stream.name, "readable" if found else "readable, but empty")
        if failures:
            self._fail(failures)


def _read_json(what: str, file: IO[str] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    error = StateError if what == "state" else ConfigError
    try:
        text = file.read()
        found = msgspec.json.decode(text.encode()) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise error(f"the {what} file is not valid JSON") from None
    if not isinstance(found, dict):
        raise error(f"the {what} file must hold a JSON object")
    return found or None
