"""A tap: its settings, and what its streams share."""

from __future__ import annotations

import base64
import hmac
import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

from singer_sdk.exceptions import ConfigurationError, MappingError
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TapCapabilities
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_core.cli import CommandLine
from tap_core.clock import Clock
from tap_core.config.catalog import check_catalog, check_stream_maps, removed_columns
from tap_core.config.checks import check_config, did_you_mean, instant
from tap_core.config.environment import typed
from tap_core.config.redact import Redactor, secret_values
from tap_core.errors import ConfigError, OutputError
from tap_core.http.urls import is_loopback
from tap_core.output.messages import MessageWriter
from tap_core.plan import plan_run
from tap_core.probe import RETRY_MAX_S, probe_streams
from tap_core.records.schema import marked, names_in, with_extra
from tap_core.run import StreamRun
from tap_core.session.bookmarks import checked_state
from tap_core.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from merchant_telemetry.telemetry import Telemetry
    from tap_core.http.client import ApiClient, Network
    from tap_core.plan import RunPlan
    from tap_core.streams.base import CoreStream

__all__ = ["CoreTap"]


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
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    # What a vendor says

    def make_clients(self, network: Network) -> Mapping[str, ApiClient]:
        """One client for each account with credentials in the settings, by the account's name.

        Args:
            network: What all clients share.
        """
        raise NotImplementedError

    @cached_property
    def settings(self) -> Any:
        """What the vendor makes of the settings for its streams; nothing by default."""
        return None

    @classmethod
    @override
    def stream_names(cls) -> list[str]:
        return [kind.name for kind in cls.stream_types]

    # What all streams share

    @cached_property
    def session(self) -> Session:
        """What the streams of this run share."""
        return Session(
            config=self.config,
            settings=self.settings,
            state=cast("dict[str, Any]", self.state),
            clock=self._clock(),
            user_agent=str(self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"),
            writer=self._writer(),
            logger=self.logger,
            make_clients=self.make_clients,
            account=self._digest(_address(str(self.config.get("api_url")))),
            digest=self._digest,
        )

    def _writer(self) -> MessageWriter:
        """Where messages go: to standard output; or there and to files, if BATCH messages are wanted."""
        writer, batches = cast("MessageWriter", self.message_writer), self.config.get("batch_config")
        if not batches:
            return writer
        from tap_core.output.batches import BatchWriter  # noqa: PLC0415  few need it

        return BatchWriter(batches, writer.descriptor)

    def _digest(self, text: str) -> str:
        """A digest of a text and the credentials; without these, nobody can find out the text from it."""
        own = {name: value for name, value in self.config.items() if name != "pii_key"}
        key = "\0".join(sorted(secret_values(own, type(self).config_jsonschema)))
        digest = hmac.digest(key.encode(), text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:12]).decode()

    def _clock(self) -> Clock:
        """Real time; or the sandbox's time if the API is on this machine and the sandbox says so."""
        text = os.environ.get("MERCHANT_CLOCK")
        host = urlsplit(str(self.config.get("api_url") or "")).hostname
        return Clock.parse(text) if text and host and is_loopback(host) else Clock()

    # Settings, state and streams

    @override
    def __init__(
        self, *, config: Mapping[str, Any] | None = None, validate_config: bool = True, **options: Any
    ) -> None:
        schema = type(self).config_jsonschema
        self.append_builtin_config(schema)
        given = typed({name: value for name, value in dict(config or {}).items() if value is not None}, schema)
        defaults = {name: member["default"] for name, member in schema["properties"].items() if "default" in member}
        self.redactor = Redactor(secret_values(given, schema))
        self.redactor.install()
        if validate_config:
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
        """Check what a schema cannot express. A vendor adds its own checks.

        Raises:
            ConfigError: A setting makes no sense.
        """
        start = instant("start_date", self.config.get("start_date"), now=self.session.started)
        end = instant("end_date", self.config.get("end_date"))
        if start is not None and end is not None and end <= start:
            raise ConfigError("setting 'end_date' must be later than 'start_date'")
        if self.session.policy.pii == "drop" and not self.session.policy.pii_key:
            for kind in self.stream_types:
                declared = kind.schemas.get_schema(kind.name)["properties"]
                if any(declared[key].get("x-pii") for key in kind.primary_keys if key in declared):
                    raise ConfigError(
                        f"setting 'pii_key' is missing: {kind.name} has personal data in its key,"
                        " which pii 'drop' must hash, because a record without its key cannot be loaded"
                    )
        names = {kind.name for kind in self.stream_types}
        for name in self.config["enable_streams"]:
            if name not in names:
                raise ConfigError(
                    f"setting 'enable_streams' names {name!r}; the streams are {', '.join(sorted(names))}"
                )
        self._warn_of_fields()

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(checked_state(state))
        self._warn_of_unknown("state", state.get("bookmarks", {}))

    def _warn_of_unknown(self, where: str, names: Iterable[str]) -> None:
        """Warn of streams that the user names and this tap does not have; they are left as they are."""
        known = {kind.name for kind in self.stream_types}
        for name in names:
            if name not in known:
                self.logger.warning("the %s names %r, which is not a stream of this tap", where, name)

    @override
    def setup_mapper(self) -> None:
        """Set up the stream maps of the streams that are read; the others need none, and may not fit theirs."""
        for name in self.streams.keys() & set(self.config["enable_streams"]):
            if name not in self.catalog:
                raise ConfigError(
                    f"setting 'enable_streams' names {name!r}, which the catalog lacks; --discover writes a new catalog"
                )
            self.streams[name].selected = True
        try:
            PluginBase.setup_mapper(self)
            known = {name: entry for name, entry in self.catalog.items() if name in self.streams}
            chosen = {name: entry for name, entry in known.items() if self.streams[name].selected}
            self.mapper.register_raw_streams_from_catalog(Catalog(chosen))
        except (ConfigurationError, MappingError) as error:
            raise ConfigError(f"setting 'stream_maps' cannot be used: {error}") from None
        for name in known.keys() - chosen.keys():
            entry = known[name]
            same = SameRecordTransform(
                name,
                entry.schema.to_dict(),
                entry.key_properties,
                flattening_options=self.mapper.flattening_options,
            )
            self.mapper.stream_maps[name] = [same]

    @override
    def discover_streams(self) -> Sequence[CoreStream]:
        self.session.streams = streams = [kind(self, self.session) for kind in self.stream_types]
        for stream in streams:
            if stream.name in self.config["enable_streams"]:
                stream.selected_by_default = True
        return streams

    def _warn_of_fields(self) -> None:
        """Warn of fields that the user wants to have left out, and that no schema declares: they may be misspelt."""
        if not (self.session.policy.drop_fields or self.config.get("stream_maps")):
            return
        warn = self.session.warn_once
        schemas = {stream.name: with_extra(stream.declared_schema()) for stream in self.session.streams}
        known = {name for schema in schemas.values() for name in names_in(schema)}
        for name in sorted(self.session.policy.drop_fields - known):
            warn(
                f"setting 'drop_fields' names {name!r}, which no stream has; it drops only unknown fields"
                f"{did_you_mean(name, known)}"
            )
        for place, column, streams in removed_columns(self.config.get("stream_maps") or {}, schemas):
            known = {name for stream in streams for name in schemas[stream]["properties"]}
            if column not in known and not self.config.get("flattening_enabled"):
                warn(f"setting {place!r} removes a column that is not there{did_you_mean(column, known)}")

    @property
    @override
    def catalog_dict(self) -> dict[str, Any]:
        catalog = super().catalog_dict
        for entry in catalog["streams"]:
            entry["schema"] = marked(entry["schema"], self.streams[entry["tap_stream_id"]].schema)
        return catalog

    # The run

    @override
    def tell(self, telemetry: Telemetry) -> None:
        from tap_core.output.telemetry import Spans, samples  # noqa: PLC0415  only a run needs it

        progress = self.session.progress
        telemetry.samples = partial(samples, progress, telemetry.labels)
        if telemetry.otlp and telemetry.run:
            progress.watch(Spans(telemetry.otlp, telemetry.run))

    @override
    def run(self) -> None:
        """Read all selected streams and write their messages.

        A stream that fails does not stop the others and does not move its bookmark.

        Raises:
            TapError: The worst failure, after everything else was done.
        """
        try:
            StreamRun(self.session, self.session.streams).read_all(self.prepare)
        except OutputError as error:
            # Ctrl-C in a shell also reaches the target: then it is no news that it is gone.
            raise self.session.signals.error() or error from None

    @override
    def test_connection(self) -> None:
        """Read each stream up to its first record and print how it went, a line each, without writing messages.

        Raises:
            TapError: A stream cannot be read.
        """
        probe_streams(
            self.session,
            self.session.streams,
            lambda line: print(self.redactor.text(line), flush=True),  # noqa: T201  a command speaks
        )

    def learn_budget(self) -> None:
        """Ask the API how many calls it allows, where it has a call for that; nothing by default."""

    @override
    def plan(self) -> RunPlan:
        """Find out what a run would do, without writing messages.

        Raises:
            TapError: No plan can be made.
        """
        self.session.most_retry_s = RETRY_MAX_S
        return plan_run(self.session, self.session.streams, self.learn_budget)

    def prepare(self, readers: Sequence[CoreStream]) -> None:
        """Called before reading begins; override it for what a vendor needs to find out or report.

        Args:
            readers: The streams that are going to be read.

        Raises:
            TapError: Nothing can be read.
        """


def _address(url: str) -> str:
    """What an account is known by: its address, on this machine without the port, which a sandbox has anew."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}" if parts.hostname and is_loopback(parts.hostname) else url
