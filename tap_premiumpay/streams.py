"""The nine streams of premiumpay.

What is sold and who joined is asked for by gateway or channel and window; lists come whole. Which names are documented
and which are guessed is told in `tap_premiumpay.endpoints` and ``docs/tap-premiumpay.md``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core.conform import Dialect
from tap_core.embedded import EmbeddedStream
from tap_core.fields import Alias, AsText, Chosen, Default, Field, FromScope
from tap_core.keys import SurrogateKey
from tap_core.pagers import Page
from tap_core.stream import WINDOW_KEY, CoreStream
from tap_core.timestamps import any_text, text_of, zone
from tap_core.windowed import SECOND, WINDOW_END, EdgeRows, WindowedStream
from tap_premiumpay.client import rows_of
from tap_premiumpay.columns import extra_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_core.fetch import Slice
    from tap_core.fields import Scope
    from tap_core.transport import Request
    from tap_premiumpay.endpoints import Endpoint
    from tap_premiumpay.tap import TapPremiumpay

__all__ = ["STREAMS", "PremiumpayStream", "SpanStream"]

SURROGATE_KEY: Final = "_surrogate_key"
SCHEMAS: Final = SchemaDirectory(files("tap_premiumpay") / "schemas")
AGGREGATE_FIELDS: Final = ("country", "payment_method", "service")
ROUND_NUMBERS: Final = frozenset({100, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000})


class PremiumpayStream(CoreStream):
    """A call that answers with a list. Flags are the words yes and no (documented)."""

    tap: TapPremiumpay
    schemas = SCHEMAS
    texts: ClassVar[Sequence[str]] = ()
    """Columns of identifiers that may come as numbers."""

    def __init__(self, tap: TapPremiumpay) -> None:
        super().__init__(tap)
        self.path, self.http_method = self.endpoint.path or "", self.endpoint.method

    @property
    def endpoint(self) -> Endpoint:
        """The guesses about the stream."""
        return self.tap.endpoints[self.name]

    @property
    @override
    def dialect(self) -> Dialect:  # type: ignore[override]
        local = zone(self.config["time_zone"])
        return Dialect(time=lambda value: any_text(value, local))

    @override
    def declared_schema(self) -> dict[str, Any]:
        schema = super().declared_schema()
        return extra_columns(schema, self.name, self.config["extra_columns"].get(self.name) or {})

    @override
    def transforms(self) -> Sequence[Field]:
        return (*renames(self.endpoint, self.texts), AsText(self.texts), *super().transforms())

    @override
    def page(self, body: bytes) -> Page:
        rows = rows_of(body, self.endpoint.rows)
        if len(rows) in ROUND_NUMBERS:
            self.tap.warn_once(
                f"{self.name}: an answer has exactly {len(rows):,} rows; if that is a cap of the API, rows are "
                "missing: compare with smaller windows (window_hours, backfill_window_days)"
            )
        return Page(rows)


def renames(endpoint: Endpoint, texts: Sequence[str]) -> list[Field]:
    """The transforms that bring fields to the columns that they belong to."""
    return [
        Alias(column, old=name, schema=AsText.SHAPES if column in texts else None)
        for name, column in endpoint.rename.items()
    ]


class Gateways(PremiumpayStream):
    """The gateways (*pasarelas*) that the client may see."""

    name = "gateways"
    primary_keys = ("pasarela_id",)
    keep_pages = True

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        return {"include_services": "yes"}


class Services(EmbeddedStream):
    """What is sold through each gateway; it comes with the gateways."""

    name = "services"
    schemas = SCHEMAS
    embedded_in = Gateways
    rows_at = "services"
    from_parent: ClassVar[Mapping[str, str]] = {"pasarela_id": "pasarela_id"}
    primary_keys = ("pasarela_id", "service_id")

    @override
    def transforms(self) -> Sequence[Field]:
        return renames(self.tap.endpoints[self.name], ())  # type: ignore[attr-defined]


class Channels(PremiumpayStream):
    """Channels, filtered and cut as the settings ask."""

    name = "channels"
    primary_keys = ("channel_id",)
    keep_pages = True

    @override
    def payload(self, part: Slice, token: Any) -> Any:
        flags = {name: yes_no(self.config.get(name)) for name in ("exclude_link_names", "consolidate_links")}
        lists = {name: self.config.get(name) or None for name in ("link_names", "channel_fields", "link_fields")}
        return given({"include_links": "yes", **lists, **flags})


class ChannelLinks(EmbeddedStream):
    """The invitation links of the channels; they come with the channels."""

    name = "channel_links"
    schemas = SCHEMAS
    embedded_in = Channels
    rows_at = "links"
    from_parent: ClassVar[Mapping[str, str]] = {"channel_id": "channel_id"}
    primary_keys = ("channel_id", "invitation_link")
    fields: ClassVar[Sequence[Field]] = (Default("invitation_link", column="name"),)

    @override
    def transforms(self) -> Sequence[Field]:
        return (*renames(self.tap.endpoints[self.name], ()), *self.fields)  # type: ignore[attr-defined]


class SpanStream(PremiumpayStream, WindowedStream):
    """A call for a span of time.

    Whether start and end of a span belong to it is not documented. Where rows carry a time, spans overlap by the edge
    and the second after it, and the first one begins a second early: whatever the edges mean, each row is read, and the
    key removes doubles. Where they carry none, spans do not overlap, and the setting ``window_edges`` says what the
    edges mean.
    """

    identified_by: ClassVar[Sequence[str]] = ()
    """The columns that tell partitions apart."""

    @property
    def own_key(self) -> str | None:
        """The column with a row's own id, if it has one."""
        return None

    def __init__(self, tap: TapPremiumpay) -> None:
        super().__init__(tap)
        if self.own_key:
            self.primary_keys = (*self.identified_by, self.own_key)

    @override
    def declared_schema(self) -> dict[str, Any]:
        schema = super().declared_schema()
        columns: dict[str, Any] = dict(schema["properties"])
        for name in self.partition_columns:
            columns[name] = {**columns[name], "x-partition": True}
        if self.own_key in columns:
            del columns[SURROGATE_KEY]
            for key in (*self.identified_by, self.own_key):
                columns[key] = {**columns[key], "type": [kind for kind in columns[key]["type"] if kind != "null"]}
        return {**schema, "properties": columns}

    @override
    def transforms(self) -> Sequence[Field]:
        transforms: list[Field] = [*super().transforms(), FromScope((*self.partition_columns, WINDOW_KEY, WINDOW_END))]
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
        """What to ask for, so that every moment of the window belongs to it."""
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
        local = moment.astimezone(zone(self.config["time_zone"]))
        return local.isoformat(timespec="seconds").replace("+00:00", "Z")

    @override
    def page(self, body: bytes) -> Page:
        page = super().page(body)
        time = self.endpoint.time
        if time is not None and page.rows and time not in self.names_in(page.rows[0]):
            self.tap.warn_once(
                f"{self.name}: rows carry no {time}; rows on the edge of two windows come twice until the setting "
                f"endpoints.{self.name} names their time, or says null"
            )
        return page

    def names_in(self, row: msgspec.Raw) -> set[str]:
        """The columns that a row has, by their own names."""
        names = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
        return {self.endpoint.rename.get(name, name) for name in names}


class SaleStream(SpanStream):
    """Sales. Whether they have an id is not documented: without one, a changed sale is a new row."""

    primary_keys = (SURROGATE_KEY,)
    texts = ("id",)

    @property
    @override
    def own_key(self) -> str | None:
        return self.tap.config.get("sales_key_field")


class Sales(SaleStream):
    """The sales of each gateway."""

    name = "sales"
    identified_by = ("pasarela_id",)

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        service = given({"service_id": self.config.get("service_id")})
        return [{"pasarela_id": number, **service} for number in self.tap.gateway_ids]


class AggregatedSales(SpanStream):
    """Number and sum of the sales in each window. Keys contain the window: keep ``window_hours`` as it is."""

    name = "aggregated_sales"
    primary_keys = ("aggregate_field", WINDOW_KEY, WINDOW_END, "_group_value", "currency")
    identified_by = ("aggregate_field",)
    texts = ("service",)
    fields: ClassVar[Sequence[Field]] = (Default("currency", value=""),)

    @override
    def transforms(self) -> Sequence[Field]:
        chosen = Chosen(
            "_group_value", by="aggregate_field", among=AGGREGATE_FIELDS, none="(none)", beside=("currency",)
        )
        return (*super().transforms(), chosen)

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        return [{"aggregate_field": field} for field in AGGREGATE_FIELDS]


class ChannelStream(SpanStream):
    """Figures of each channel, or of each of its links."""

    primary_keys = (SURROGATE_KEY,)
    identified_by = ("channel_id",)

    @property
    @override
    def partition_columns(self) -> Sequence[str]:
        return ("channel_id", "invitation_link") if self.config["per_link"] else ("channel_id",)

    @override
    def describe(self, part: Slice) -> str:
        """A link admits people to its channel: it is not shown."""
        return super().describe(replace(part, partition={"channel_id": part.partition.get("channel_id")}))

    @override
    def subjects(self) -> Sequence[Mapping[str, Any]]:
        return (
            self.tap.links if self.config["per_link"] else [{"channel_id": number} for number in self.tap.channel_ids]
        )


class ChannelResults(ChannelStream):
    """What the page calls results and never explains; a dated count of people is inferred."""

    name = "channel_results"


class ChannelSales(ChannelStream, SaleStream):
    """The sales that came through each channel. They overlap with the sales of the gateways."""

    name = "channel_sales"


class ServerStatus(PremiumpayStream):
    """The call budget and the version of the API, as the run's one status call told them."""

    name = "server_status"
    primary_keys = ("_read_at",)
    snapshot = False
    fields: ClassVar[Sequence[Field]] = (FromScope(("_read_at",)),)

    @property
    @override
    def endpoint(self) -> Endpoint:
        return self.tap.endpoints["status"]

    @override
    def scope(self, part: Slice) -> Scope:
        return {"_read_at": text_of(self.tap.clock.now())}

    @override
    def load(self, part: Slice, token: Any) -> Page:
        status, version = self.tap.status(), self.tap.version()
        return Page([msgspec.Raw(msgspec.json.encode({**version, **status}))])

    @override
    def request(self, part: Slice, token: Any) -> Request:
        raise NotImplementedError("the tap makes the status call, once a run")


def yes_no(flag: bool | None) -> str | None:  # noqa: FBT001  it translates a flag
    """The word for a flag that is set; None leaves it to the API, whose default is no (documented)."""
    return "yes" if flag else None


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request's body that have a value."""
    return {name: value for name, value in body.items() if value is not None}


STREAMS = (
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
