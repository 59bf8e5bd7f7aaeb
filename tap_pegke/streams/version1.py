"""Version 1: one documented call, and three headings without text. Everything that the streams read is inferred."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.reading.pages import Page, Pager
from tap_core.reading.unsized import BurstPager
from tap_core.records.fields import AsText, FromContext, Nested
from tap_core.records.keys import OwnKey
from tap_core.streams.feed import FeedStream
from tap_pegke.settings import VERSION_1
from tap_pegke.streams.base import CUSTOMER, ENTRY, UNKNOWN, PegkeStream, PerCustomer, is_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.reading.fetch import Slice
    from tap_core.records.field import Field
    from tap_core.streams.base import CoreStream
    from tap_pegke.customers import Customer

__all__ = ["STREAMS", "History", "StoreActivity", "StoreHistory", "UserHistory", "Users", "Version1Stream"]


_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII).fullmatch
"""Digits that are the same as a number: a zero in front would be lost."""


class Version1Stream(PegkeStream):
    """A stream of version 1."""

    account = VERSION_1
    page_name = "version_1_page"

    @override
    def unavailable(self) -> str | None:
        return None if self.config.get("client_id") else "because client_id and client_secret are not set"

    def identification(self, part: Slice) -> dict[str, str]:
        """The customer of a slice, as ``/entity/user`` expects it: the kind, and a field of that name."""
        customer: Customer = part.partition[CUSTOMER]
        value = self.settings.phone_to_send(customer) if customer.kind == "mob" else customer.given
        return {"idType": customer.kind, customer.kind: value}


class History(Version1Stream):
    """A history in pages. What has happened does not change, so older entries can be left out."""

    primary_keys = ("_entry_id",)
    replication_key = "created"
    immutable = True

    @override
    def page(self, body: bytes) -> Page:
        return Page(self.rows(codec.members(body), "data"))


class StoreHistory(History):
    """Everything that happened in the merchant's stores."""

    name = "store_history"
    endpoint = "store_history"
    fields: ClassVar[Sequence[Field]] = (
        AsText(("id", "cid", "offer_id", "store_id")),
        OwnKey("_entry_id", identifier="id", stream="store_history", of=ENTRY),
    )

    @override
    def pager(self, part: Slice) -> Pager:
        return BurstPager(self.numbered_pager())

    @override
    def page_params(self, _part: Slice, token: Any) -> Mapping[str, Any]:
        return {"_format": "json", self.names[self.page_name]: token}


class UserHistory(PerCustomer, History):
    """What each customer did."""

    name = "user_history"
    endpoint = "user_history"
    fields: ClassVar[Sequence[Field]] = (
        AsText(("id", "cid", "offer_id", "store_id")),
        OwnKey("_entry_id", identifier="id", stream="user_history", of=ENTRY, partition=("identity",)),
    )

    @override
    def pager(self, part: Slice) -> Pager:
        return self.numbered_pager()

    @override
    def page_params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        return {"_format": "json", **self.identification(part), self.names[self.page_name]: token}


class Users(PerCustomer, Version1Stream):
    """Each customer as the search finds it.

    Off by default. The documented sample of the search contains ``points``, and the same call gives points; without
    them, as far as anybody knows, it changes nothing. The tap never sends them.
    """

    name = "users"
    endpoint = "user"
    http_method = "POST"
    primary_keys = ("cid",)
    selected_by_default = False
    fields: ClassVar[Sequence[Field]] = (AsText(("cid",)), FromContext(("_identifier",)))

    @override
    def prepare(self) -> None:
        self.session.warn_once(
            f"{self.name}: the search call is documented as the call that gives points; only the identifier is "
            "sent, never points, but what the server makes of it is not documented"
        )

    @override
    def payload(self, part: Slice, _token: Any) -> Any:
        """The identifier, and nothing else. A phone in digits is a number, as the page prints it."""
        named: dict[str, Any] = self.identification(part)
        phone = named.get("mob")
        if phone is not None and _NUMBER(phone):
            named["mob"] = int(phone)
        return named

    @override
    def page(self, body: bytes) -> Page:
        found = (
            msgspec.Raw(body) if is_nothing(body) else codec.members(body).get(self.names["user"], msgspec.Raw(body))
        )
        return Page((), meta=UNKNOWN) if is_nothing(found) else Page([found])


class StoreActivity(FeedStream, Version1Stream):
    """What happens in the stores, as it happens: a feed without a past. Off by default."""

    name = "store_activity"
    endpoint = "store_activity"
    primary_keys = ("_entry_id",)
    replication_key = "created"
    selected_by_default = False
    fields: ClassVar[Sequence[Field]] = (
        AsText(("id", "store_id")),
        Nested("customer", (AsText(("cid",)),)),
        OwnKey("_entry_id", identifier="id", stream="store_activity", of=("created", "type", "points", "store_id")),
    )

    @property
    @override
    def seconds(self) -> float:
        return float(self.config["realtime_max_seconds"])

    @property
    @override
    def messages(self) -> int:
        return int(self.config["realtime_max_messages"])


STREAMS: Final[Sequence[type[CoreStream]]] = (
    StoreHistory,
    UserHistory,
    Users,
    StoreActivity,
)
"""The feed, which may go on without end, comes last."""
