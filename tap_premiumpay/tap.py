"""The tap for premiumpay: its settings, its streams and its call budget."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from typing_extensions import override

from tap_core.client import parse_json
from tap_core.errors import ApiError, ConfigError
from tap_core.plan import Plan
from tap_core.settings import config_schema
from tap_core.stream import CoreStream
from tap_core.tap import CoreTap
from tap_core.timestamps import zone
from tap_core.transport import Request
from tap_core.windowed import WindowedStream
from tap_premiumpay.client import JwtAuth, PremiumpayClient
from tap_premiumpay.columns import TYPES
from tap_premiumpay.endpoints import Endpoint, endpoints
from tap_premiumpay.streams import STREAMS, Channels, Gateways, ServerStatus, SpanStream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["TapPremiumpay"]

_LONGEST_CLIENT_ID = 50
_HOURS_OF_A_YEAR = 366 * 24
_DAYS_OF_TEN_YEARS = 3_660


class TapPremiumpay(CoreTap):
    """Singer tap for the premiumpay data API."""

    name = "tap-premiumpay"
    stream_types = STREAMS

    config_jsonschema = config_schema(
        th.Property(
            "jwt",
            th.StringType,
            required=True,
            secret=True,
            title="JWT",
            description="The token for the data API. It cannot be renewed by the tap: after its end, set a new one.",
        ),
        th.Property(
            "client_id",
            th.StringType(max_length=_LONGEST_CLIENT_ID),
            required=True,
            secret=True,
            title="Client id",
            description="Sent as X-client-id; at most 50 characters.",
        ),
        th.Property(
            "start_date",
            th.StringType,
            required=True,
            title="Start date",
            description="Where the first run begins: a date (2024-01-01) or a time with a zone (2024-01-01T00:00:00Z).",
        ),
        th.Property(
            "window_hours",
            th.IntegerType(minimum=1, maximum=_HOURS_OF_A_YEAR),
            default=24,
            title="Window",
            description="Length of a window, in hours. Keys contain windows: choose it before the first run.",
        ),
        th.Property(
            "backfill_window_days",
            th.IntegerType(minimum=1, maximum=_DAYS_OF_TEN_YEARS),
            default=7,
            title="Backfill window",
            description="Length of a window of the first run's backfill, in days; a multiple of window_hours. Larger "
            "windows cost fewer calls.",
        ),
        th.Property(
            "lookback_days",
            th.NumberType(minimum=0, maximum=36_500),
            default=2,
            title="Lookback",
            description="Days before the bookmark that are read again, for late sales and refunds.",
        ),
        th.Property(
            "time_zone",
            th.StringType,
            default="UTC",
            title="Time zone",
            description="Zone of the server's clocks (undocumented): of times without an offset, and of spans.",
        ),
        th.Property(
            "window_edges",
            th.StringType(allowed_values=["[]", "[)", "(]", "()"]),
            default="[]",
            title="Window edges",
            description="Whether start and end belong to a span (undocumented): [ ] include, ( ) exclude. Matters only "
            "for rows without a time, such as aggregates.",
        ),
        th.Property(
            "sales_key_field",
            th.StringType,
            title="Key of sales",
            description="The column with a sale's own id (id, or one of extra_columns). Without it, the key is a hash "
            "of the row, and a sale that changes becomes a new row.",
        ),
        th.Property(
            "service_id",
            th.IntegerType,
            title="Service",
            description="Read the sales of this service alone.",
        ),
        th.Property(
            "per_link",
            th.BooleanType,
            default=False,
            title="By link",
            description="Ask for channel results and sales link by link; what came through no link is left out.",
        ),
        th.Property(
            "link_names",
            th.ArrayType(th.StringType),
            default=[],
            title="Link names",
            description="Read only channels that have links with these names.",
        ),
        th.Property(
            "exclude_link_names",
            th.BooleanType,
            default=False,
            title="Exclude link names",
            description="Turns link_names round: only channels without such links.",
        ),
        th.Property(
            "channel_fields",
            th.ArrayType(th.StringType),
            default=[],
            title="Channel fields",
            description="Ask for these fields of channels alone; their names are undocumented.",
        ),
        th.Property(
            "link_fields",
            th.ArrayType(th.StringType),
            default=[],
            title="Link fields",
            description="Ask for these fields of links alone; their names are undocumented.",
        ),
        th.Property(
            "consolidate_links",
            th.BooleanType,
            default=False,
            title="Consolidate links",
            description="Let the API consolidate links; what that does is undocumented.",
        ),
        th.Property(
            "extra_columns",
            th.ObjectType(
                additional_properties=th.ObjectType(additional_properties=th.StringType(allowed_values=list(TYPES)))
            ),
            default={},
            title="Extra columns",
            description='Further fields as columns, by stream, with their types: {"sales": {"status": "string"}}.',
        ),
        th.Property(
            "endpoints",
            th.ObjectType(
                additional_properties=th.ObjectType(
                    th.Property("path", th.StringType(nullable=True)),
                    th.Property("method", th.StringType(allowed_values=["GET", "POST"])),
                    th.Property("rows", th.StringType(nullable=True)),
                    th.Property("rename", th.ObjectType(additional_properties=th.StringType)),
                    th.Property("time", th.StringType(nullable=True)),
                    th.Property("key", th.ArrayType(th.StringType)),
                )
            ),
            default={},
            title="Endpoints",
            description="Corrections to what is guessed about the API, by stream; the docs page has the table.",
        ),
        api_url=None,
    )

    # Settings

    @override
    def check_settings(self) -> None:
        super().check_settings()
        try:
            zone(self.config["time_zone"])
        except ValueError as error:
            raise ConfigError(f"setting 'time_zone': {error}") from None
        own_key = self.config.get("sales_key_field") or ""
        if own_key.startswith("_") or own_key in {"pasarela_id", "channel_id"}:
            raise ConfigError(f"setting 'sales_key_field' names {own_key!r}, which is no id of a sale")
        if self.config["backfill_window_days"] * 24 % self.config["window_hours"]:
            raise ConfigError("setting 'backfill_window_days' must be a multiple of 'window_hours'")
        for stream in self.config["extra_columns"]:
            if stream not in self.streams:
                raise ConfigError(
                    f"setting 'extra_columns' names {stream!r}; the streams are {', '.join(self.streams)}"
                )
        self._check_columns()
        self._warn_of_what_is_hidden()

    def _check_columns(self) -> None:
        for stream in self.streams.values():
            assert isinstance(stream, CoreStream)
            columns = stream.declared_schema()["properties"]
            endpoint = self.endpoints.get(stream.name, Endpoint())
            time = {endpoint.time} if endpoint.time else set()
            named = {"rename": set(endpoint.rename.values()), "time": time, "key": set(endpoint.key)}
            for cell, names in named.items():
                for name in names - columns.keys():
                    raise ConfigError(f"setting 'endpoints.{stream.name}.{cell}' names {name!r}, which is no column")
            for name in time:
                if columns[name].get("format") != "date-time":
                    raise ConfigError(f"setting 'endpoints.{stream.name}.time' names {name!r}, which is no date-time")
            if isinstance(stream, SpanStream) and stream.own_key and stream.own_key not in columns:
                raise ConfigError(
                    f"setting 'sales_key_field' names {stream.own_key!r}, which is no column of {stream.name}; "
                    "add it to extra_columns"
                )

    def _warn_of_what_is_hidden(self) -> None:
        hiding = {
            "service_id": "sales of other services are not read",
            "per_link": "sales and results that came through no link are not read",
            "link_names": "only some channels, and their sales and results, are read",
            "channel_fields": "columns of channels that it does not name stay empty",
            "link_fields": "columns of channel_links that it does not name stay empty",
            "consolidate_links": "links may be merged; what the API does is undocumented",
        }
        for setting, effect in hiding.items():
            value = self.config.get(setting)
            if value or type(value) is int:  # a service may have the id 0
                self.logger.warning("setting %s is in use: %s", setting, effect)
        if self.config["exclude_link_names"] and not self.config["link_names"]:
            self.logger.warning("setting exclude_link_names has no effect without link_names")

    @cached_property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The table of guesses, with the user's corrections."""
        return endpoints(self.config["endpoints"])

    # Credentials

    @override
    def make_auth(self) -> JwtAuth:
        return JwtAuth(self.config["jwt"], self.config["client_id"], self.clock)

    @override
    def make_client(self) -> PremiumpayClient:
        return PremiumpayClient(
            transport=self.transport, auth=self.make_auth(), clock=self.clock, retry=self.retry_policy
        )

    # What streams share

    def status(self) -> Mapping[str, Any]:
        """The answer of the status call, which is made once a run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("status")

    def version(self) -> Mapping[str, Any]:
        """The answer of the version call, which is made once a run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("version")

    @cached_property
    def _answers(self) -> dict[str, Mapping[str, Any] | ApiError]:
        """What the calls that are made once gave."""
        return {}

    def _once(self, name: str) -> Mapping[str, Any]:
        if name not in self._answers:
            try:
                self._answers[name] = self._ask(name)
            except ApiError as error:
                self._answers[name] = error
        answer = self._answers[name]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    def _ask(self, name: str) -> Mapping[str, Any]:
        endpoint = self.endpoints[name]
        if not endpoint.path:
            return {}
        meter = self.stream(ServerStatus).meter
        headers = {"Accept": "application/json", "User-Agent": self.user_agent, "Content-Type": "application/json"}
        body = b"{}" if endpoint.method == "POST" else None
        request = Request(endpoint.method, str(self.config["api_url"]).rstrip("/") + endpoint.path, headers, body)
        what = f"server_status: {endpoint.method} {endpoint.path}"
        answer = self.client.call(request, parse=parse_json, meter=meter, what=what)
        if not isinstance(answer, dict):
            raise ApiError(f"{what}: the answer is not an object")
        return answer

    @cached_property
    def gateway_ids(self) -> Sequence[int]:
        """The gateways' ids, each once."""
        return list(dict.fromkeys(row["pasarela_id"] for row, _ in self.stream(Gateways).shaped_rows()))

    @cached_property
    def channel_ids(self) -> Sequence[int]:
        """The channels' ids, each once."""
        return list(dict.fromkeys(row["channel_id"] for row, _ in self.stream(Channels).shaped_rows()))

    @cached_property
    def links(self) -> Sequence[Mapping[str, Any]]:
        """The channels' links, each once, without those that have no address to ask for."""
        renamed = self.endpoints["channel_links"].rename.items()
        names = ["invitation_link", *(name for name, column in renamed if column == "invitation_link")]
        links: dict[tuple[int, str], Mapping[str, Any]] = {}
        without = 0
        for row, _ in self.stream(Channels).shaped_rows():
            for link in filter(None, row.get("links") or ()):
                address = next((link[name] for name in names if link.get(name)), None)
                if address is None:
                    without += 1
                else:
                    links[row["channel_id"], address] = {"channel_id": row["channel_id"], "invitation_link": address}
        if without or not links:
            self.warn_once(f"per_link: {len(links)} links can be asked for; {without} have no address and cannot")
        return list(links.values())

    # The run

    @override
    def prepare(self, readers: Sequence[CoreStream]) -> None:
        """Make the calls that come once a run, and print how many more the run needs and how long they take."""
        try:
            self.status()
        except ApiError as error:
            self.logger.warning("the call budget is unknown: %s", error)
        calls: dict[str, int] = {}
        for stream in readers:
            if isinstance(stream, WindowedStream):
                try:
                    calls[stream.name] = stream.calls()
                except ApiError as error:
                    self.logger.warning("the calls of %s cannot be planned: %s", stream.name, error)
        if not calls:
            return
        if self.stream(ServerStatus) in readers:
            with suppress(ApiError):  # the stream tells of it
                self.version()
        plan = Plan(calls, self.client.budget, self.clock.time())
        self.logger.info("%s", plan)
        auth = self.client.auth
        if isinstance(auth, JwtAuth) and auth.ends_by(self.clock.time() + plan.seconds):
            self.logger.warning("the jwt expires before the planned end; the run stops then and can be resumed")
