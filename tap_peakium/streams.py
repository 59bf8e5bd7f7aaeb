"""The ten streams of Peakium.

The API has no date filter, no sort parameter and no total: every run reads every page. Which streams keep a bookmark,
and why the others don't, is explained in ``docs/tap-peakium.md``.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core.errors import MissingCallError
from tap_core.reading.fetch import Slice
from tap_core.reading.offset import OffsetPager
from tap_core.records.fields import Alias, AsText, Latest, Nested, Reference
from tap_core.records.masks import Masked, MaskedUrl
from tap_core.streams.base import CoreStream
from tap_core.streams.delivered import ConfirmedStream, DeliveredStream
from tap_core.streams.embedded import EmbeddedStream
from tap_peakium.client import DIALECT, one

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import msgspec

    from tap_core.reading.fetch import Arrival
    from tap_core.reading.pages import Pager
    from tap_core.records.field import Field

__all__ = [
    "LINE",
    "STREAMS",
    "Customers",
    "EventDeliveries",
    "EventWebhooks",
    "Events",
    "GatewayModules",
    "Gateways",
    "InvoiceItems",
    "Invoices",
    "PaymentSessions",
    "PeakiumStream",
    "Subscriptions",
    "Webhooks",
    "snapshot_secrets",
]


class PeakiumStream(CoreStream):
    """A list of the API: pages by ``count`` and ``offset``, references inlined by ``expand[]``.

    Attributes:
        texts: Identifiers that may come as numbers: merchants choose those of customers and subscriptions.
    """

    schemas = SchemaDirectory(files("tap_peakium") / "schemas")
    dialect = DIALECT
    records_path = ("data",)
    primary_keys: Sequence[str] = ("id",)
    texts: ClassVar[Sequence[str]] = ("id",)

    @override
    def transforms(self) -> Sequence[Field]:
        return (AsText(self.texts), *self.fields)

    @override
    def narrowed_to(self) -> Mapping[str, Any] | None:
        return self.filters or None

    @property
    def filters(self) -> Mapping[str, Any]:
        """The filters of the list that the user has set."""
        wanted: Mapping[str, Any] = self.config["filters"].get(self.name) or {}
        return {name: value for name, value in wanted.items() if value is not None}

    @override
    def pager(self, part: Slice) -> Pager:
        return OffsetPager(size=int(self.config["page_size"]), row_keys=self.row_keys)

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        return {
            **{name: _written(value) for name, value in self.filters.items()},
            "count": self.config["page_size"],
            "offset": token,
            "expand[]": self.config.get("expand"),
        }


def _written(value: Any) -> Any:
    """A filter's value as both official clients write it."""
    return str(value).lower() if isinstance(value, bool) else value


LINE = (
    Alias("reference", old="subscription", schema=Reference.SHAPES),
    Reference("reference", keys=("id", "token")),
)
"""A line's reference under its old and new names; a full subscription is identified by its token."""


def snapshot_secrets(data: str) -> tuple[Masked, ...]:
    """Settings of gateways inside the ``data`` of an event, whose snapshot is in ``data.object`` or in ``data``."""
    places = (f"{data}.object", data)
    return tuple(Masked(f"{place}.{name}") for place in places for name in ("gateway.settings", "settings"))


class Customers(PeakiumStream):
    """The people and companies that pay. No date shows that a balance has changed."""

    name = "customers"
    path = "/customers"


class Subscriptions(PeakiumStream):
    """Recurring agreements. A token is unique only within its customer (documented); cancelling changes no date."""

    name = "subscriptions"
    path = "/subscriptions"
    primary_keys = ("customer_id", "token")
    texts = ("token", "id")
    fields: ClassVar[Sequence[Field]] = (Alias("token", old="id", schema=AsText.SHAPES), Reference("customer"))


class Invoices(PeakiumStream):
    """Invoices with their lines and payment."""

    name = "invoices"
    path = "/invoices"
    replication_key = "_updated_at"
    fields: ClassVar[Sequence[Field]] = (
        Reference("customer"),
        Nested("items", LINE),
        Latest(
            "_updated_at",
            of=("created", "timestamp_locked", "timestamp_paid", "timestamp_retracted", "charge.timestamp_paid"),
        ),
    )


class InvoiceItems(EmbeddedStream):
    """The lines of the invoices. A line has no identifier of its own, and its ``sequence`` may be missing."""

    name = "invoice_items"
    schemas = PeakiumStream.schemas
    embedded_in = Invoices
    rows_at = "items"
    from_parent: ClassVar[Mapping[str, str]] = {"invoice_id": "id", "_updated_at": "_updated_at"}
    numbered = "_position"
    primary_keys = ("invoice_id", "_position")
    replication_key = "_updated_at"


class Events(PeakiumStream, ConfirmedStream):
    """What happened. An event never changes (documented), so those older than the bookmark can be left out."""

    name = "events"
    path = "/events"
    replication_key = "created"
    immutable = True
    fields: ClassVar[Sequence[Field]] = snapshot_secrets("data")

    @override
    def arrivals(self) -> Iterator[Arrival]:
        return self.with_deliveries(super().arrivals())

    @override
    async def confirm(self, account: str, identity: str) -> msgspec.Raw | None:
        listed = self.request(Slice(), None)
        request = replace(listed, url=f"{self.url(self.path)}/{identity}")
        what = f"{self.name}: GET {self.path}/{{id}}"
        try:
            return await self.client(Slice()).fetch(request, parse=one, meter=self.meter, what=what)
        except MissingCallError:
            return None


class EventDeliveries(DeliveredStream):
    """What webhooks have brought: events, as the reference shows them (that they are sent as JSON is inferred)."""

    name = "event_deliveries"
    schemas = PeakiumStream.schemas
    embedded_in = Events
    identity_column, identity_at = "event_id", ("id",)
    fields: ClassVar[Sequence[Field]] = (Nested("delivery", snapshot_secrets("data")),)

    @property
    @override
    def accounts(self) -> Sequence[str]:
        return [self.config["webhooks_account"]]


class EventWebhooks(PeakiumStream):
    """Deliveries of events to endpoints; one record per event and endpoint."""

    name = "event_webhooks"
    path = "/event_webhooks"
    primary_keys = ("event_id", "url")
    texts = ()
    replication_key = "_updated_at"
    fields: ClassVar[Sequence[Field]] = (
        Alias("timestamp_delivered", old="delivered_timestamp"),
        Reference("webhook", to="url", keys=("url",), stub=frozenset({"url", "object"})),
        MaskedUrl("url"),
        MaskedUrl("webhook.url"),
        Reference("event"),
        *snapshot_secrets("event.data"),
        Latest("_updated_at", of=("created", "last_delivery_attempt", "timestamp_delivered")),
    )

    @property
    @override
    def tells_gone(self) -> bool:
        return False  # like that of the events, the list may end somewhere


class PaymentSessions(PeakiumStream):
    """Visits of customers to a payment form."""

    name = "payment_sessions"
    path = "/payment_sessions"
    replication_key = "_updated_at"
    fields: ClassVar[Sequence[Field]] = (
        Alias("parameters", old="posted_values"),
        Alias("parameters", old="post_values"),
        Reference("gateway"),
        Masked("gateway.settings"),
        Reference("customer"),
        Latest("_updated_at", of=("created", "timestamp_handled", "charge.timestamp_paid")),
    )


class Gateways(PeakiumStream):
    """Configured payment gateways. Their settings may hold secrets of the payment provider."""

    name = "gateways"
    path = "/gateways"
    fields: ClassVar[Sequence[Field]] = (Masked("settings"),)


class GatewayModules(PeakiumStream):
    """Kinds of payment gateways, by name; that names are unique is inferred."""

    name = "gateway_modules"
    path = "/gateway_modules"
    primary_keys = ("name",)
    texts = ("name",)


class Webhooks(PeakiumStream):
    """Registered endpoints; the official clients address them by URL."""

    name = "webhooks"
    path = "/webhooks"
    primary_keys = ("url",)
    texts = ()
    fields: ClassVar[Sequence[Field]] = (MaskedUrl("url"),)


STREAMS: Final[Sequence[type[CoreStream]]] = (
    Customers,
    Subscriptions,
    Invoices,
    InvoiceItems,
    Events,
    EventDeliveries,
    EventWebhooks,
    PaymentSessions,
    Gateways,
    GatewayModules,
    Webhooks,
)
