"""A tap: its settings, and what its streams share."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from singer_sdk.exceptions import ConfigurationError, MappingError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from typing_extensions import override

from tap_core.bookmarks import Bookmarks, checked_state
from tap_core.catalog import check_catalog, check_stream_maps
from tap_core.cli import CommandLine
from tap_core.client import ApiClient
from tap_core.clock import Clock
from tap_core.errors import ConfigError, OutputError
from tap_core.fetch import Workers
from tap_core.messages import MessageWriter
from tap_core.policy import Policy
from tap_core.redact import Redactor, secret_values
from tap_core.retry import RetryPolicy
from tap_core.run import StreamRun
from tap_core.schema import marked, names_in, with_extra
from tap_core.settings import check_config, instant
from tap_core.signals import Signals
from tap_core.stream import CoreStream
from tap_core.transport import Transport, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from tap_core.auth import Auth
    from tap_core.progress import Progress

__all__ = ["CoreTap"]

S = TypeVar("S", bound=CoreStream)


class CoreTap(CommandLine):
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
        from tap_core.progress import Progress  # noqa: PLC0415 - costs time that --version and --discover need not pay

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
        self._last_state = b""
        given = {name: value for name, value in dict(config or {}).items() if value is not None}
        defaults = {name: member["default"] for name, member in schema["properties"].items() if "default" in member}
        self.redactor = Redactor(secret_values(given, schema))
        self.redactor.install()
        if validate_config:
            self.append_builtin_config(schema)
            check_config(given, schema)
            check_stream_maps(given.get("stream_maps", {}), [kind.name for kind in self.stream_types])
        if isinstance(catalog := options.get("catalog"), dict):
            self._warn_of_unknown("catalog", check_catalog(catalog))
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
        self._warn_of_unknown("state", self.state.get("bookmarks", {}))

    def _warn_of_unknown(self, where: str, names: Iterable[str]) -> None:
        """Say which streams the user speaks of that this tap does not have; they are left as they are."""
        known = {kind.name for kind in self.stream_types}
        for name in names:
            if name not in known:
                self.logger.warning("the %s names %r, which is no stream of this tap", where, name)

    @override
    def setup_mapper(self) -> None:
        # Loading the streams puts each one's own keys into the catalog, which the mapper reads.
        self.logger.debug("streams: %s", ", ".join(self.streams))
        try:
            super().setup_mapper()
        except (ConfigurationError, MappingError) as error:
            raise ConfigError(f"setting 'stream_maps' cannot be used: {error}") from None

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

    @property
    @override
    def catalog_dict(self) -> dict[str, Any]:
        catalog = super().catalog_dict
        for entry in catalog["streams"]:
            entry["schema"] = marked(entry["schema"], self.streams[entry["tap_stream_id"]].schema)
        return catalog

    # The run

    @override
    def run(self) -> None:
        """Read all selected streams and write their messages.

        A stream that fails stops neither the others nor moves its bookmark.

        Raises:
            TapError: Something failed; the worst of it, after everything else was done.
        """
        try:
            StreamRun(self).read_all()
        except OutputError as error:
            # Ctrl-C in a shell reaches the target too: that it is gone is no news then.
            raise self.signals.error() or error from None

    @override
    def test_connection(self) -> None:
        """Read each stream up to its first record and say how it went, without writing messages.

        Raises:
            TapError: A stream cannot be read.
        """
        StreamRun(self).test()

    def prepare(self, readers: Sequence[CoreStream]) -> None:
        """The place for what a vendor wants to know or to say before reading begins.

        Args:
            readers: The streams that are going to be read.

        Raises:
            TapError: Nothing can be read.
        """

    def write_state(self, *, force: bool = False) -> None:
        """Write a STATE message behind everything it covers, if it says anything new.

        Args:
            force: Write it even if it says nothing new.
        """
        value = msgspec.json.encode(self.state)
        if self.state and (force or value != self._last_state):
            self._last_state = value
            self.writer.write_line({"type": "STATE", "value": self.state})

    @cached_property
    def signals(self) -> Signals:
        """The signals that reach the run."""
        return Signals(self.clock.stop)

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked the run to end."""
        return self.signals.came

    def check_signals(self) -> None:
        """End the run if a signal asked for it.

        Raises:
            StoppedError: It did.
        """
        self.signals.check()
