"""What is sold and who joined: read by gateway, channel or field, and window."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, ConfigError
from tap_core.reading.pages import Page
from tap_core.records.fields import Chosen, Default, FromContext
from tap_core.records.keys import SurrogateKey
from tap_core.session.losses import is_about_part
from tap_core.streams.declared import WINDOW_KEY
from tap_core.streams.edges import SECOND, WINDOW_END, EdgeRows
from tap_core.streams.windowed import WindowedStream
from tap_premiumpay.columns import Told
from tap_premiumpay.settings import AGGREGATE_FIELDS
from tap_premiumpay.streams.base import PremiumpayStream, given
from tap_premiumpay.streams.lists import Channels, Gateways

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import msgspec
    from singer_sdk import Tap

    from tap_core.reading.fetch import Slice
    from tap_core.records.field import Field
    from tap_core.session.session import Session

__all__ = [
    "SURROGATE_KEY",
    "AggregatedSales",
    "ChannelResults",
    "ChannelSales",
    "ChannelStream",
    "SaleStream",
    "Sales",
    "SpanStream",
]

SURROGATE_KEY: Final = "_surrogate_key"


class SpanStream(PremiumpayStream, WindowedStream):
    """A call for a span of time.

    Whether start and end of a span belong to it is not documented. Where rows have a time, spans overlap by the edge
    and the second after it, and the first one begins a second early: whatever the edges mean, each row is read, and the
    key removes duplicates. Where they have none, spans do not overlap, and the setting ``window_edges`` says what the
    edges mean.
    """

    if_cut = "compare with smaller windows (window_hours, backfill_window_days)"
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
        self._lost: set[tuple[Any, ...]] = set()
        self._has_worked = False
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
    async def load(self, part: Slice, token: Any) -> Page:
        """One page. A gateway or channel for which the API has an error is left out, and not asked for again.

        Raises:
            ApiError: It is not about one of them; nothing has worked yet and this is the second; or this is the last.
        """
        start, end = self.span(part)
        partition = tuple(part.partition.values())
        if end < start or partition in self._lost:
            return Page(())
        try:
            page = await super().load(part, token)
        except ApiError as error:
            in_vain = bool(self._lost) and not self._has_worked
            if not part.partition or in_vain or not is_about_part(error):
                raise
            self._lost.add(partition)
            if len(self._lost) == len(self.subjects()):
                raise
            self.losses.lose(self.part_name(part), error)
            return Page(())
        self._has_worked = True
        self.losses.read()
        return page

    def part_name(self, part: Slice) -> str:
        """What a request is about, such as ``pasarela_id 101``; a link, which admits people, is not shown."""
        return ", ".join(f"{name} {value}" for name, value in part.partition.items() if name != "invitation_link")

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
        if time is not None and page.rows and not self.tells(time, page.rows[:1]):
            self.session.warn_once(
                f"{self.name}: rows have no {time} that can be read; rows on the edge of two windows come twice until "
                f"the setting endpoints.{self.name} names their time, or says null"
            )
        return page

    def tells(self, time: str, first: Sequence[msgspec.Raw]) -> bool:
        """Whether a page's first row has a time that can be read, whatever the API calls it."""
        names = [time, *(name for name, column in self.endpoint.rename.items() if column == time)]
        sent = [None if self.fast_path is None else self.fast_path.sent(first, name) for name in names]
        if None in sent:
            row = codec.decode(first[0])
            if not isinstance(row, dict):
                return True  # emitting it says what is wrong with it
            sent = [[row.get(name)] for name in names]
        try:
            return any(self.dialect.time(value) for (value,) in filter(None, sent) if value is not None)
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
    advice = "; to leave it out, name the others in the setting pasarela_ids"

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
    advice = "; to leave it out, name the others in the setting channel_ids"

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
