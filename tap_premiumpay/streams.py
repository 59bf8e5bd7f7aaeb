"""The nine streams of premiumpay.

What is sold and who joined is read by gateway or channel and window; lists are read completely. For which names are
documented and which are guessed, see `tap_premiumpay.guesses` and ``docs/tap-premiumpay.md``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, ConfigError
from tap_core.http.transport import Request
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.records.dialect import Dialect
from tap_core.records.fields import Alias, AsInteger, AsText, Chosen, Default, FromContext
from tap_core.records.keys import SurrogateKey
from tap_core.streams.base import WINDOW_KEY, CoreStream
from tap_core.streams.edges import SECOND, WINDOW_END, EdgeRows
from tap_core.streams.embedded import EmbeddedStream
from tap_core.streams.windowed import WindowedStream
from tap_core.timestamps import any_text, text_of, zone
from tap_premiumpay.client import rows_of
from tap_premiumpay.columns import ScrubbedColumns, Told, extra_columns
from tap_premiumpay.settings import AGGREGATE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from singer_sdk import Tap

    from tap_core.records.field import Context, Field
    from tap_core.session.session import Session
    from tap_premiumpay.guesses import Endpoint
    from tap_premiumpay.settings import PremiumpaySettings

__all__ = [
    "ROUND_NUMBERS",
    "SCHEMAS",
    "STREAMS",
    "SURROGATE_KEY",
    "AggregatedSales",
    "ChannelLinks",
    "ChannelResults",
    "ChannelSales",
    "ChannelStream",
    "Channels",
    "Gateways",
    "GuessedStream",
    "PremiumpayStream",
    "SaleStream",
    "Sales",
    "ServerStatus",
    "Services",
    "SpanStream",
    "given",
    "yes_no",
]

SURROGATE_KEY: Final = "_surrogate_key"
SCHEMAS: Final = SchemaDirectory(files("tap_premiumpay") / "schemas")
ROUND_NUMBERS: Final = frozenset({100, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000})


class GuessedStream(CoreStream):
    """A stream whose fields are known from the table of guesses and from the user."""

    settings: PremiumpaySettings
    schemas = SCHEMAS
    texts: ClassVar[Sequence[str]] = ()
    """Columns of identifiers that may come as numbers."""
    numbers: ClassVar[Sequence[str]] = ()
    """Columns of numeric identifiers that may come as text."""

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.dialect = Dialect(time=lambda value: any_text(value, self.zone))

    @property
    def endpoint(self) -> Endpoint:
        """The guesses about the stream."""
        return self.settings.endpoints[self.name]

    @cached_property
    def zone(self) -> tzinfo:
        """The zone of the server's clocks."""
        return zone(self.config["time_zone"])

    @property
    def wanted(self) -> Mapping[str, str]:
        """The type of each column that the user asks for, by its name."""
        return self.config["extra_columns"].get(self.name) or {}

    @override
    def declared_schema(self) -> dict[str, Any]:
        return extra_columns(super().declared_schema(), self.name, self.wanted)

    def check_columns(self) -> None:
        """Check that the columns that settings name exist.

        Raises:
            ConfigError: One does not exist, or has the wrong type.
        """
        columns, endpoint = self.declared_schema()["properties"], self.endpoint
        time = {endpoint.time} if endpoint.time else set()
        named = {"rename": set(endpoint.rename.values()), "time": time, "key": set(endpoint.key)}
        for cell, names in named.items():
            for name in names - columns.keys():
                raise ConfigError(f"setting 'endpoints.{self.name}.{cell}' names {name!r}, which is not a column")
        for name in time:
            if columns[name].get("format") != "date-time":
                raise ConfigError(f"setting 'endpoints.{self.name}.time' names {name!r}, which is not a date-time")

    @override
    def transforms(self) -> Sequence[Field]:
        free = [name for name, kind in self.wanted.items() if kind in {"object", "array"}]
        either = AsText.SHAPES
        return (
            *(
                Alias(column, old=name, schema=either if column in {*self.texts, *self.numbers} else None)
                for name, column in self.endpoint.rename.items()
            ),
            AsText(self.texts),
            AsInteger(self.numbers),
            *([ScrubbedColumns(free)] if free else ()),
            *super().transforms(),
        )


class PremiumpayStream(GuessedStream):
    """A call that returns a list. Flags are the words yes and no (documented)."""

    advice: ClassVar[str] = "ask premiumpay"
    """What to do where a response may have been cut."""

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.path, self.http_method = self.endpoint.path or "", self.endpoint.method

    @override
    def page(self, body: bytes) -> Page:
        rows = rows_of(body, self.endpoint.rows)
        if len(rows) in ROUND_NUMBERS:
            self.session.warn_once(
                f"{self.name}: a response has exactly {len(rows):,} rows; if that is the API's limit, rows are "
                f"missing: {self.advice}"
            )
        return Page(rows)


class Gateways(PremiumpayStream):
    """The gateways (*pasarelas*) that the client may see."""

    name = "gateways"
    primary_keys = ("pasarela_id",)
    numbers = ("pasarela_id",)
    use_cache = True

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        return {"include_services": "yes"}

    @cached_property
    def ids(self) -> Sequence[int]:
        """The gateways' ids, each once."""
        return list(self.offers)

    @cached_property
    def offers(self) -> Mapping[int, frozenset[str] | None]:
        """The ids of each gateway's services, by the gateways' ids; None where the API does not say."""
        renamed = self.settings.endpoints["services"].rename.items()
        names = ("service_id", *(name for name, column in renamed if column == "service_id"))
        return {row["pasarela_id"]: _ids(row.get("services"), names) for row, _ in self.shaped_rows()}

    def may_have(self, gateway: int, service: int) -> bool:
        """Whether a gateway has a service, as far as the API says."""
        known = self.offers.get(gateway)
        return known is None or str(service) in known


def _ids(rows: Any, names: Sequence[str]) -> frozenset[str] | None:
    """The ids of rows, whatever the API calls them; None if one has none, or there are no rows."""
    if not isinstance(rows, list):
        return None
    found = [
        next((row[name] for name in names if row.get(name) is not None), None) if isinstance(row, dict) else None
        for row in rows
    ]
    return None if None in found else frozenset(map(str, found))


class Services(GuessedStream, EmbeddedStream):
    """What is sold through each gateway; it comes with the gateways."""

    name = "services"
    embedded_in = Gateways
    rows_at = "services"
    from_parent: ClassVar[Mapping[str, str]] = {"pasarela_id": "pasarela_id"}
    primary_keys = ("pasarela_id", "service_id")
    numbers = ("service_id",)


class Channels(PremiumpayStream):
    """Channels, filtered and trimmed as the settings say."""

    name = "channels"
    primary_keys = ("channel_id",)
    numbers = ("channel_id",)
    use_cache = True

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        flags = {name: yes_no(self.config.get(name)) for name in ("exclude_link_names", "consolidate_links")}
        lists = {name: self.config.get(name) or None for name in ("link_names", "channel_fields", "link_fields")}
        return given({"include_links": "yes", **lists, **flags})

    @cached_property
    def ids(self) -> Sequence[int]:
        """The channels' ids, each once."""
        return list(dict.fromkeys(row["channel_id"] for row, _ in self.shaped_rows()))

    @cached_property
    def links(self) -> Sequence[Mapping[str, Any]]:
        """The channels' links, each once, without those that have no address to ask for."""
        renamed = self.settings.endpoints["channel_links"].rename.items()
        names = ["invitation_link", *(name for name, column in renamed if column == "invitation_link")]
        links: dict[tuple[int, str], Mapping[str, Any]] = {}
        without = 0
        for row, _ in self.shaped_rows():
            for link in filter(None, row.get("links") or ()):
                address = next((link[name] for name in names if link.get(name)), None)
                if address is None:
                    without += 1
                else:
                    links[row["channel_id"], address] = {"channel_id": row["channel_id"], "invitation_link": address}
        if without or not links:
            self.session.warn_once(
                f"per_link: {len(links)} links can be asked for; {without} have no address and cannot"
            )
        return list(links.values())


class ChannelLinks(GuessedStream, EmbeddedStream):
    """The invitation links of the channels; they come with the channels."""

    name = "channel_links"
    embedded_in = Channels
    rows_at = "links"
    from_parent: ClassVar[Mapping[str, str]] = {"channel_id": "channel_id"}
    primary_keys = ("channel_id", "invitation_link")
    fields: ClassVar[Sequence[Field]] = (Default("invitation_link", column="name"),)


class SpanStream(PremiumpayStream, WindowedStream):
    """A call for a span of time.

    Whether start and end of a span belong to it is not documented. Where rows have a time, spans overlap by the edge
    and the second after it, and the first one begins a second early: whatever the edges mean, each row is read, and the
    key removes duplicates. Where they have none, spans do not overlap, and the setting ``window_edges`` says what the
    edges mean.
    """

    advice = "compare with smaller windows (window_hours, backfill_window_days)"
    identified_by: ClassVar[Sequence[str]] = ()
    """The columns that distinguish partitions."""

    @property
    def narrowed_by(self) -> Sequence[str]:
        """Columns for which the settings ask for one value: a target must not replace the rows of others."""
        return ()

    @property
    def own_key(self) -> str | None:
        """The column with a row's own id, if it has one."""
        return None

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        if self.own_key:
            self.primary_keys = (*self.identified_by, self.own_key)

    @override
    def declared_schema(self) -> dict[str, Any]:
        schema = super().declared_schema()
        columns: dict[str, Any] = dict(schema["properties"])
        columns[WINDOW_KEY] = {**columns[WINDOW_KEY], "x-partition": [*self.partition_columns, *self.narrowed_by]}
        if self.own_key in columns.keys() - {SURROGATE_KEY}:
            del columns[SURROGATE_KEY]
            for key in (*self.identified_by, self.own_key):
                columns[key] = {**columns[key], "type": [kind for kind in columns[key]["type"] if kind != "null"]}
        return {**schema, "properties": columns}

    @override
    def transforms(self) -> Sequence[Field]:
        transforms: list[Field] = [
            *super().transforms(),
            FromContext((*self.partition_columns, *self.narrowed_by, WINDOW_KEY, WINDOW_END)),
        ]
        if SURROGATE_KEY in self.primary_keys:
            transforms.append(
                SurrogateKey(
                    SURROGATE_KEY,
                    stream=self.name,
                    partition=self.partition_columns,
                    of=self.endpoint.key,
                    window=WINDOW_KEY,
                    time=self.endpoint.time,
                )
            )
        if self.endpoint.time is not None:
            transforms.append(EdgeRows(self.endpoint.time, self.primary_keys))
        return transforms

    @override
    def check_columns(self) -> None:
        super().check_columns()
        if self.own_key and self.own_key not in self.declared_schema()["properties"]:
            raise ConfigError(
                f"setting 'sales_key_field' names {self.own_key!r}, which is not a column of {self.name}; "
                "add it to extra_columns"
            )

    @property
    def partition_columns(self) -> Sequence[str]:
        """The columns that a row gets from the request."""
        return self.identified_by

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        start, end = self.span(part)
        return given({"start_date_time": self.written(start), "end_date_time": self.written(end), **part.partition})

    @override
    def load(self, part: Slice, token: Any) -> Page:
        start, end = self.span(part)
        return Page(()) if end < start else super().load(part, token)

    def span(self, part: Slice) -> tuple[datetime, datetime]:
        """The span to request, so that every moment of the window belongs to it."""
        if self.endpoint.time is not None:
            window = self.overlapping(part.window)
            return window.start, window.end
        window, edges = part.window.until(self.horizon.replace(microsecond=0)), self.config["window_edges"]
        return (
            window.start - (SECOND if edges[0] == "(" else timedelta()),
            window.end - (SECOND if edges[1] == "]" else timedelta()),
        )

    def written(self, moment: datetime) -> str:
        """A time as it is sent: RFC 3339, whole seconds; right whether the server heeds the offset or not."""
        local = moment.astimezone(self.zone)
        return local.isoformat(timespec="seconds").replace("+00:00", "Z")

    @override
    def page(self, body: bytes) -> Page:
        page = super().page(body)
        time = self.endpoint.time
        if time is not None and page.rows and not self.tells(time, codec.decode(page.rows[0])):
            self.session.warn_once(
                f"{self.name}: rows have no {time} that can be read; rows on the edge of two windows come twice until "
                f"the setting endpoints.{self.name} names their time, or says null"
            )
        return page

    def tells(self, time: str, row: Any) -> bool:
        """Whether a row has a time that can be read, whatever the API calls it."""
        if not isinstance(row, dict):
            return True  # emitting it says what is wrong with it
        names = [time, *(name for name, column in self.endpoint.rename.items() if column == time)]
        try:
            return any(self.dialect.time(row[name]) for name in names if row.get(name) is not None)
        except ValueError:
            return False


class SaleStream(SpanStream):
    """Sales. Whether they have an id is not documented: without one, a changed sale is a new row."""

    primary_keys = (SURROGATE_KEY,)
    texts = ("id",)
    numbers: ClassVar[Sequence[str]] = ("pasarela_id", "service_id")

    @property
    @override
    def own_key(self) -> str | None:
        return self.config.get("sales_key_field")


class Sales(SaleStream):
    """The sales of each gateway."""

    name = "sales"
    identified_by = ("pasarela_id",)

    @property
    @override
    def partition_columns(self) -> Sequence[str]:
        return self.identified_by if self.config["sales_by_gateway"] else ()

    @property
    @override
    def narrowed_by(self) -> Sequence[str]:
        return ("service_id",) if self.settings.services else ()

    @override
    def transforms(self) -> Sequence[Field]:
        rely = f"{self.name}: a row does not name its pasarela_id; set sales_by_gateway to true"
        return (*super().transforms(), *(() if self.partition_columns else (Told("pasarela_id", otherwise=rely),)))

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        services = [{"service_id": number} for number in self.settings.services]
        if not self.partition_columns:
            return services or [{}]
        gateways = self.session.stream(Gateways)
        asked = self.settings.gateways or gateways.ids
        if not services:
            return [{"pasarela_id": number} for number in asked]
        pairs = [{"pasarela_id": number, **service} for number in asked for service in services]
        offered = [pair for pair in pairs if gateways.may_have(pair["pasarela_id"], pair["service_id"])]
        if not offered:
            raise ApiError(
                f"{self.name}: none of the gateways has any of the services; check the setting 'service_ids'"
            )
        return offered


class AggregatedSales(SpanStream):
    """Number and sum of the sales in each window. Keys contain the window: keep ``window_hours`` as it is."""

    name = "aggregated_sales"
    primary_keys = ("aggregate_field", WINDOW_KEY, WINDOW_END, "_group_value", "currency")
    identified_by = ("aggregate_field",)
    texts = ("service", "_group_value")
    fields: ClassVar[Sequence[Field]] = (Default("currency", value=""),)

    @override
    def transforms(self) -> Sequence[Field]:
        chosen = Chosen(
            "_group_value", by="aggregate_field", among=AGGREGATE_FIELDS, none="(none)", beside=("currency",)
        )
        return (*super().transforms(), chosen)

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        return [{"aggregate_field": field} for field in self.settings.aggregates]


class ChannelStream(SpanStream):
    """Figures of each channel, or of each of its links."""

    primary_keys = (SURROGATE_KEY,)
    identified_by = ("channel_id",)
    numbers: ClassVar[Sequence[str]] = ("channel_id",)

    @property
    @override
    def partition_columns(self) -> Sequence[str]:
        return ("channel_id", "invitation_link") if self.settings.by_link else ("channel_id",)

    @override
    def describe(self, part: Slice) -> str:
        """A link admits people to its channel: it is not shown."""
        return super().describe(replace(part, partition={"channel_id": part.partition.get("channel_id")}))

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        channels, wanted, links = self.session.stream(Channels), self.settings.channels, self.settings.links
        if not self.settings.by_link:
            return [{"channel_id": number} for number in wanted or channels.ids]
        if links and len(wanted) == 1:
            return [{"channel_id": wanted[0], "invitation_link": link} for link in links]
        found = [link for link in channels.links if not wanted or link["channel_id"] in wanted]
        if not links:
            return found
        if unknown := len(set(links) - {link["invitation_link"] for link in found}):
            raise ApiError(
                f"{self.name}: {unknown} of the {len(links)} links in the setting 'invitation_links' belong to no "
                "channel that is read; correct them, or name their one channel in channel_ids"
            )
        return [link for link in found if link["invitation_link"] in links]


class ChannelResults(ChannelStream):
    """What the page calls results and never explains; a dated count of people is inferred."""

    name = "channel_results"


class ChannelSales(ChannelStream, SaleStream):
    """The sales that came through each channel. They overlap with the sales of the gateways."""

    name = "channel_sales"
    numbers = (*ChannelStream.numbers, *SaleStream.numbers)


class ServerStatus(PremiumpayStream):
    """The call budget and the version of the API, as reported by the run's one status call."""

    name = "server_status"
    primary_keys = ("_read_at",)
    snapshot = False
    fields: ClassVar[Sequence[Field]] = (FromContext(("_read_at",)),)

    @property
    @override
    def endpoint(self) -> Endpoint:
        return self.settings.endpoints["status"]

    @override
    def record_context(self, part: Slice) -> Context:
        return {"_read_at": text_of(self.session.clock.now())}

    @override
    def load(self, part: Slice, token: Any) -> Page:
        status, version = self.status(), self.version()
        return Page([msgspec.Raw(codec.encode({**version, **status}))])

    def status(self) -> Mapping[str, Any]:
        """The response to the status call, which is made once per run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("status")

    def version(self) -> Mapping[str, Any]:
        """The response to the version call, which is made once per run.

        Raises:
            TapError: It failed; the same each time.
        """
        return self._once("version")

    @cached_property
    def _answers(self) -> dict[str, Mapping[str, Any] | ApiError]:
        """The responses to the calls that are made once."""
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
        endpoint = self.settings.endpoints[name]
        if not endpoint.path:
            return {}
        headers = {**self.http_headers, "Content-Type": "application/json"}
        body = b"{}" if endpoint.method == "POST" else None
        request = Request(endpoint.method, self.url(endpoint.path), headers, body)
        what = f"{self.name}: {endpoint.method} {endpoint.path}"
        answer = self.client(Slice()).call(request, parse=codec.decode, meter=self.meter, what=what)
        if not isinstance(answer, dict):
            raise ApiError(f"{what}: the response is not an object")
        return answer


def yes_no(flag: bool | None) -> str | None:  # noqa: FBT001  it translates a flag
    """The word for a flag that is set; None leaves it to the API, whose default is no (documented)."""
    return "yes" if flag else None


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request's body that have a value."""
    return {name: value for name, value in body.items() if value is not None}


STREAMS: Final[Sequence[type[CoreStream]]] = (
    Gateways,
    Services,
    Sales,
    AggregatedSales,
    Channels,
    ChannelLinks,
    ChannelResults,
    ChannelSales,
    ServerStatus,
)
