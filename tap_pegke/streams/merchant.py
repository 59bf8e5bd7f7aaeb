"""The merchant API: the calls are documented, their responses are not."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from tap_core import codec
from tap_core.http.forms import multipart, urlencoded
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page, Pager, SinglePage
from tap_core.records.fields import AsText, FromContext
from tap_core.records.keys import OwnKey
from tap_core.streams.embedded import EnvelopeStream
from tap_pegke.settings import MERCHANT
from tap_pegke.streams.base import CUSTOMER, ENTRY, UNKNOWN, PegkeStream, PerCustomer, is_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.http.message import Request
    from tap_core.reading.fetch import Arrival
    from tap_core.records.field import Field
    from tap_core.session.session import Session
    from tap_core.streams.base import CoreStream
    from tap_pegke.customers import Customer

__all__ = ["STREAMS", "CustomerPoints", "Customers", "MerchantStream", "Offers", "PerPhone", "PointsHistory"]


class MerchantStream(PegkeStream):
    """A stream of the merchant API."""

    account = MERCHANT

    @override
    def unavailable(self) -> str | None:
        return None if self.config.get("consumer_code") else "because consumer_code and consumer_secret are not set"


class Offers(MerchantStream):
    """Offers and redeemable items of the merchant. No date shows that one has changed."""

    name = "offers"
    endpoint = "my_offers"
    primary_keys = ("id",)
    fields: ClassVar[Sequence[Field]] = (AsText(("id",)),)

    @override
    def page(self, body: bytes) -> Page:
        if body.lstrip()[:1] == b"[":
            return Page(codec.rows(body))
        return Page(self.rows(codec.members(body), "offers"))


class PerPhone(MerchantStream, PerCustomer):
    """A call of the merchant API about one customer, named by phone."""

    @cached_property
    @override
    def subjects(self) -> Sequence[Customer]:
        by_phone, others = self.settings.customers_by_phone, len(self.settings.customers)
        others -= len(by_phone)
        if others:
            self.session.warn_once(
                f"{others:,} customers are named by e-mail or id; the merchant API takes phones only, so it is not "
                "asked about them"
            )
        return by_phone

    def phone(self, part: Slice) -> str:
        """The phone as it is sent."""
        return self.settings.phone_to_send(part.partition[CUSTOMER])

    @override
    def unavailable(self) -> str | None:
        return MerchantStream.unavailable(self) or PerCustomer.unavailable(self)


class CustomerPoints(PerPhone):
    """The balance of each customer: a current value, without history."""

    name = "customer_points"
    endpoint = "check_points"
    primary_keys = ("_phone",)
    fields: ClassVar[Sequence[Field]] = (FromContext(("_phone", "_identifier")),)

    @override
    def page_params(self, part: Slice, _token: Any) -> Mapping[str, Any]:
        return {self.names["phone"]: self.phone(part)}

    @override
    def page(self, body: bytes) -> Page:
        if is_nothing(body) or bytes(codec.members(body).get("points", b"")) == b"null":
            return Page((), meta=UNKNOWN)
        return Page([msgspec.Raw(body)])


class PointsHistory(PerPhone):
    """Movements of points and visits. What has happened does not change, so older entries can be left out."""

    name = "points_history"
    endpoint = "check_history"
    http_method = "POST"
    primary_keys = ("_phone", "_entry_id")
    replication_key = "created"
    immutable = True
    fields: ClassVar[Sequence[Field]] = (
        AsText(("id", "cid", "offer_id", "store_id")),
        FromContext(("_phone",)),
        OwnKey("_entry_id", identifier="id", stream="points_history", of=ENTRY, partition=("_phone",)),
    )

    @override
    def pager(self, part: Slice) -> Pager:
        return self.numbered_pager() if self.selected else SinglePage(self.config["first_page"])

    @override
    def request(self, part: Slice, token: Any) -> Request:
        form = {self.names["history_phone"]: self.phone(part), self.names[self.page_name]: str(token)}
        if not self._is_multipart:
            return replace(self._bare, body=urlencoded(form)[0])
        body, content_type = multipart(form)
        return replace(self._bare, body=body, headers={**self._bare.headers, "Content-Type": content_type})

    @cached_property
    def _is_multipart(self) -> bool:
        return bool(self.config["form"] == "multipart")

    @cached_property
    def _bare(self) -> Request:
        """A request without its form, the same for all customers and pages; in parts, each has a type of its own."""
        bare = super().request(Slice(), None)
        return replace(bare, headers={**bare.headers, "Content-Type": urlencoded({})[1]})

    @override
    def page(self, body: bytes) -> Page:
        if is_nothing(body):
            return Page((), meta=UNKNOWN)
        answer = codec.members(body)
        rows, customer = self.rows(answer, "history"), answer.get(self.names["customer"])
        if customer is not None and not is_nothing(customer):
            return Page(rows, meta=customer)
        return Page(rows, meta=None if rows else UNKNOWN)


class Customers(EnvelopeStream, PerPhone):
    """Basic details of each customer. They come in the responses of `PointsHistory`, without a call of their own."""

    name = "customers"
    endpoint = "check_history"
    embedded_in = PointsHistory
    primary_keys = ("_phone",)
    snapshot = True
    fields: ClassVar[Sequence[Field]] = (AsText(("cid",)), FromContext(("_phone", "_identifier")))

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._last: Slice | None = None
        self.complete = False  # until the API shows that it sends such details

    @override
    def beside(self, arrival: Arrival) -> Sequence[msgspec.Raw]:
        """The details, once for each customer: every page of a history repeats them."""
        if not isinstance(arrival.meta, msgspec.Raw) or arrival.slice is self._last:
            return ()
        self._last, self.complete = arrival.slice, True
        return (arrival.meta,)


STREAMS: Final[Sequence[type[CoreStream]]] = (
    Offers,
    CustomerPoints,
    PointsHistory,
    Customers,
)
