"""What the streams of both generations have in common."""

from __future__ import annotations

import re
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qsl

from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core.config.checks import instant
from tap_core.errors import ApiError, MissingCallError, WrongKindError
from tap_core.reading.fetch import Slice
from tap_core.reading.pages import Page
from tap_core.reading.unsized import UnsizedPager
from tap_core.records.dialect import Dialect
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.session.losses import is_about_part
from tap_core.session.partitions import KnownPartitions
from tap_core.streams.base import CoreStream
from tap_core.timestamps import text_of
from tap_pegke.client import UnknownCustomerError, time_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import msgspec
    from singer_sdk import Tap

    from tap_core.reading.fetch import Arrival
    from tap_core.records.field import Context
    from tap_core.session.session import Session
    from tap_pegke.customers import Customer
    from tap_pegke.settings import PegkeSettings

__all__ = ["CUSTOMER", "ENTRY", "LOST", "NOT_FOUND", "SCHEMAS", "UNKNOWN", "PegkeStream", "PerCustomer", "is_nothing"]

SCHEMAS = SchemaDirectory(files("tap_pegke") / "schemas")

ENTRY = ("created", "type", "points", "cid", "mob", "offer_id", "store_id")
"""What identifies a history entry without an id."""

CUSTOMER = "customer"
"""Where a slice keeps its customer."""

UNKNOWN: Final = object()
"""What a page says next to its rows if the response has nothing about the customer."""

NOT_FOUND: Final = object()
"""The same if the response is a 404."""

LOST: Final = object()
"""The same if the API does not give the page at all."""

_NOTHING = re.compile(rb"\s*(?:null|\[\s*\]|\{\s*\})\s*").fullmatch


def is_nothing(value: bytes | msgspec.Raw) -> bool:
    """Whether a JSON value is empty; PHP writes an empty object as an empty list."""
    return _NOTHING(value) is not None


class PegkeStream(CoreStream):
    """A stream of either generation.

    Attributes:
        endpoint: The stream's name in the table of addresses.
        page_name: The name of the parameter for pages in the table of names.
    """

    schemas = SCHEMAS
    endpoint: ClassVar[str]
    page_name: ClassVar[str] = "page"
    settings: PegkeSettings

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.dialect = Dialect(time=time_reader(self.settings.source_timezone))
        self.path, _, query = self.settings.endpoint(self.endpoint).partition("?")
        self._fixed = dict(parse_qsl(query, keep_blank_values=True))
        self.names = self.settings.names

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        return {**self._fixed, **self.page_params(part, token)}

    def page_params(self, _part: Slice, _token: Any) -> Mapping[str, Any]:
        """The query parameters of a page, in addition to those in the address."""
        return {}

    def member(self, answer: Mapping[str, msgspec.Raw], name: str) -> msgspec.Raw:
        """What a response has under a name of the API.

        Raises:
            WrongKindError: It has no such member.
        """
        member = self.names[name]
        if member not in answer:
            raise WrongKindError(f"the response has no {member!r}; if the API uses another name, set 'names.{name}'")
        return answer[member]

    def rows(self, answer: Mapping[str, msgspec.Raw], name: str) -> Sequence[msgspec.Raw]:
        """The list that a response has under a name of the API.

        Raises:
            WrongKindError: It has no such member.
        """
        found = self.member(answer, name)
        return () if is_nothing(found) else self.typed_rows(found)

    def numbered_pager(self) -> UnsizedPager:
        """Pages until an empty or a repeated one; neither the first number nor the end is documented."""
        return UnsizedPager(int(self.config["first_page"]), same=self._warn_of_same_pages)

    def _warn_of_same_pages(self) -> None:
        self.session.warn_once(
            f"{self.name}: the API returns the same rows for every page of a history; if there is more than one "
            f"page, the parameter has another name: see the setting 'names.{self.page_name}'"
        )


class PerCustomer(PegkeStream):
    """A stream that is read one customer at a time: no call lists customers.

    A customer added to the setting later is read from the start, although the stream has one bookmark for all.
    """

    advice = "; to leave it out, take it out of the setting customers (it is counted in the order of the list)"

    @cached_property
    def subjects(self) -> Sequence[Customer]:
        """The customers that this call can be asked about."""
        return self.settings.customers

    @override
    def unavailable(self) -> str | None:
        if reason := super().unavailable():
            return reason
        return None if self.subjects else "because the setting 'customers' names no customer that it can be asked about"

    @override
    def slices(self) -> Iterator[Slice]:
        last = len(self.subjects) - 1
        for number, customer in enumerate(self.subjects):
            yield Slice({CUSTOMER: customer}, last=number == last)

    @override
    def expected_calls(self) -> int | None:
        return len(self.subjects) if self.pager(Slice()).calls else None

    @override
    def describe(self, part: Slice) -> str:
        return f"customer {self._number[part.partition[CUSTOMER].identity]:,} of {len(self.subjects):,}"

    @cached_property
    def _number(self) -> dict[str, int]:
        return {customer.identity: number for number, customer in enumerate(self.subjects, start=1)}

    @override
    def record_context(self, part: Slice) -> Context:
        customer: Customer = part.partition[CUSTOMER]
        return {"_phone": customer.value, "_identifier": customer.given, "identity": customer.identity}

    # Customers that the API does not know

    @override
    def arrivals(self) -> Iterator[Arrival]:
        unknown = 0
        missed = doubted = known = False
        for arrival in super().arrivals():
            if arrival.meta is NOT_FOUND:
                missed = True
            elif arrival.meta is UNKNOWN:
                doubted = True
            elif arrival.rows or arrival.meta is not None:
                known = True
            if arrival.done:
                is_unknown = (missed or doubted) and not known
                if missed or is_unknown:  # a page that was not found may be there next time
                    self.known.forget(arrival.slice.partition[CUSTOMER].identity)
                if missed and known:
                    self.session.warn_once(
                        f"{self.name}: the API answers some pages of a known customer with 404; such customers are "
                        "read from the start again next time"
                    )
                unknown += is_unknown
                missed = doubted = known = False
            yield arrival
        if unknown:
            self._report_unknown(unknown)

    def _report_unknown(self, number: int) -> None:
        """Report how many customers the API does not know. Once it knows one, that customer is read from the start.

        Raises:
            MissingCallError: It knows none of them.
        """
        if number == len(self.subjects):
            raise MissingCallError(
                f"{self.name}: the API knows none of the {number:,} customers; check the settings 'customers', "
                "'phone_format', 'first_page' and 'endpoints'"
            )
        self.meter.count("unknown customers", number)
        self.logger.info("%s: the API does not know %d of %d customers", self.name, number, len(self.subjects))

    _has_worked = False

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        """One page. A customer for whom the API has an error is left out.

        Raises:
            ApiError: It is not about one customer, or nothing has worked yet and this is the second.
        """
        try:
            page = await super().load(part, token)
        except UnknownCustomerError:
            page = Page((), meta=NOT_FOUND)
        except ApiError as error:
            in_vain = bool(self.losses) and not self._has_worked
            if in_vain or not is_about_part(error):
                raise
            self.known.forget(part.partition[CUSTOMER].identity)
            self.losses.lose(self.describe(part), error)
            return Page((), meta=LOST)
        self._has_worked = True
        self.losses.read()
        return page

    # What was read before

    @cached_property
    def known(self) -> KnownPartitions:
        """The customers that earlier runs have read."""
        before = self.remembered.get("customers") if self.bookmark() else None
        return KnownPartitions(
            (customer.identity for customer in self.subjects),
            remembered=before,
            key=self.settings.state_key(self.account),
        )

    @override
    def key_filter_for(self, part: Slice) -> ReplicationKeyFilter | None:
        marker = self._key_filter
        if marker is None or marker.since is None or part.partition[CUSTOMER].identity in self.known:
            return marker
        return self._key_filter_of_new

    @cached_property
    def _key_filter(self) -> ReplicationKeyFilter | None:
        return self.key_filter()

    @cached_property
    def _key_filter_of_new(self) -> ReplicationKeyFilter | None:
        start = instant("start_date", self.config.get("start_date"))
        assert self._key_filter is not None
        return ReplicationKeyFilter(
            self._key_filter.name, None if start is None else text_of(start), self._key_filter.until
        )

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        marker, bookmark = self._key_filter, self.bookmark()
        if marker is None or (marker.until is not None and bookmark is not None and marker.until < bookmark):
            return  # for new customers, what is between end_date and the bookmark is still to be read
        self.remembered["customers"] = self.known.digests()
