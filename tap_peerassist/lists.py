"""What the lists of PeerAssist have in common, and which customers their records name.

Neither the names of parameters nor the shape of a page is documented; each such guess is in `tap_peerassist.guesses`.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, MissingCallError
from tap_core.reading.numbered import NumberedPager, PageRequest
from tap_core.reading.pages import Page, Pager, SinglePage
from tap_core.records.dialect import Dialect
from tap_core.records.field import all_none
from tap_core.streams.base import CoreStream
from tap_core.timestamps import any_text, zone

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.reading.fetch import Arrival, Slice
    from tap_core.session.session import Session
    from tap_peerassist.settings import PeerAssistSettings

__all__ = ["CustomerSource", "Id", "PeerAssistStream", "customer_of"]

Id = int | str


class _Own(msgspec.Struct):
    id: int | str


class _Customer(msgspec.Struct):
    """How a record may name its customer; all three are guesses."""

    customerId: Any = None  # noqa: N815  the vendor's spelling
    customer: Any = None


_own = msgspec.json.Decoder(_Own)
_customer = msgspec.json.Decoder(_Customer)


def customer_of(row: msgspec.Raw) -> Id | None:
    """The id of the customer that a record names: ``customerId``, ``customer.id`` or ``customer``."""
    try:
        named = _customer.decode(row)
    except codec.NOT_JSON:
        return None
    found = named.customer if named.customerId is None else named.customerId
    found = found.get("id") if isinstance(found, dict) else found
    return found if isinstance(found, int | str) and not isinstance(found, bool) and found != "" else None


class PeerAssistStream(CoreStream):
    """A list call; neither the names of its parameters nor the shape of a page is documented."""

    settings: PeerAssistSettings
    schemas = SchemaDirectory(files("tap_peerassist") / "schemas")
    primary_keys = ("id",)

    @property
    @override
    def path(self) -> str:  # type: ignore[override]
        return str(self.settings.endpoints[self.name])

    @property
    @override
    def dialect(self) -> Dialect:  # type: ignore[override]
        local = zone(self.config["source_timezone"])
        return Dialect(time=lambda value: any_text(value, local))

    @override
    def pager(self, part: Slice) -> Pager:
        pagination = self.settings.pagination
        if self.name in pagination.unpaged:
            return SinglePage()
        return NumberedPager(
            size=int(self.config["page_size"]),
            row_keys=self.row_keys,
            first=pagination.first_page,
            hint=f"set pagination.page_param to the parameter's name, or name {self.name} in pagination.unpaged",
        )

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        names = self.settings.pagination
        if not isinstance(token, PageRequest):
            return {}
        values = {names.page_param: token.number, names.size_param: token.size, names.sort_param: names.sort or None}
        return {name: value for name, value in values.items() if name}

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        try:
            return await super().load(part, token)
        except MissingCallError as error:
            raise MissingCallError(f"{error}; set endpoints.{self.name}, or deselect the stream") from None

    @override
    def page(self, body: bytes) -> Page:
        return self.settings.pagination.page(body, self.name, self.typed_rows)

    @override
    def row_keys(self, rows: Sequence[msgspec.Raw]) -> Sequence[Hashable]:
        found = None if self.fast_path is None else self.fast_path.sent(rows, "id")
        return list(map(self.row_key, rows)) if found is None else found

    @override
    def row_key(self, row: msgspec.Raw) -> Any:
        try:
            return _own.decode(row).id
        except codec.NOT_JSON:
            return bytes(row)


class CustomerSource(PeerAssistStream):
    """A list whose records name customers."""

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._customers: set[Id] | None = None
        self._failure: ApiError | None = None
        self.empty = True

    @override
    def arrivals(self) -> Iterator[Arrival]:
        named: set[Id] = set()
        with self._failure_kept():
            for arrival in super().arrivals():
                named.update(self._customers_of(arrival.rows))
                self.empty = self.empty and not arrival.rows
                yield arrival
        self._customers = named

    def _customers_of(self, rows: Sequence[msgspec.Raw]) -> Iterable[Id]:
        """The ids of the customers that rows name, most of them many times."""
        path = self.fast_path
        ids, objects = (None if path is None else path.sent(rows, name) for name in ("customerId", "customer"))
        if ids is not None and objects is not None and all_none(objects):
            return set(ids) - {None}
        return {found for row in rows if (found := customer_of(row)) is not None}

    @contextmanager
    def _failure_kept(self) -> Iterator[None]:
        """Remember why the list cannot be read, for those that would request it again."""
        try:
            yield
        except ApiError as error:
            self._failure = error
            raise

    def customer_ids(self) -> Collection[Id]:
        """The ids of all customers that are named; reads the list unless this run has already done or tried so.

        Raises:
            ApiError: It cannot be read.
        """
        if self._failure is not None:
            raise self._failure
        if self._customers is None:
            for _ in self.arrivals():
                self.session.signals.check()
        assert self._customers is not None
        return self._customers
