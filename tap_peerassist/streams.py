"""The four streams of PeerAssist.

One customer by id, and that field work orders come in pages, is documented. Every other call is a guess and is listed
in `tap_peerassist.guesses`. The API has no filter by date: each run reads every page.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, ForbiddenError, MissingCallError
from tap_core.reading.fetch import Arrival, Slice
from tap_core.reading.pages import Page, SinglePage
from tap_core.session.losses import is_about_part
from tap_peerassist.guesses import DATES_OF_CHANGE
from tap_peerassist.lists import CustomerSource, PeerAssistStream

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.session.session import Session
    from tap_peerassist.lists import Id

__all__ = [
    "DATE_OF_CHANGE",
    "EARLIEST",
    "STREAMS",
    "Customers",
    "Employees",
    "Fwos",
    "Projects",
]

EARLIEST: Final = "2000"
"""All field work orders are more recent."""

DATE_OF_CHANGE: Final[Mapping[str, Any]] = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "When the record last changed; the replication key.",
}


class Fwos(CustomerSource):
    """Field work orders, called T&M tickets in the product. Which date shows a change is not documented."""

    name = "fwos"
    reads_ahead = False
    moves = True
    replication_key: str | None = DATES_OF_CHANGE[0]

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._opening: tuple[Any, Page] | None = None
        self._is_decided = False
        self.replication_key = self._configured or DATES_OF_CHANGE[0]

    @property
    def _configured(self) -> str | None:
        return self.config.get("fwo_replication_key")

    def look_first_for(self, column: str | None) -> None:
        """Use the last run's bookmark column as the date of change, unless another one was chosen."""
        if column in DATES_OF_CHANGE and self.replication_key == DATES_OF_CHANGE[0] and not self._configured:
            self.replication_key = column

    @override
    def declared_schema(self) -> dict[str, Any]:
        schema, column = super().declared_schema(), self._configured or self.replication_key
        if column is None or column in schema["properties"]:
            return schema
        return {**schema, "properties": {**schema["properties"], column: dict(DATE_OF_CHANGE)}}

    @override
    def is_selected(self, crumb: tuple[str, ...]) -> bool:
        return crumb == ("properties", self.replication_key) or super().is_selected(crumb)

    @override
    def prepare(self) -> None:
        """See from the first page whether field work orders have a date of change; it is not requested again."""
        if self.incremental:
            self._decide()
        self._is_decided = True

    def _decide(self) -> None:
        token = self.pager(Slice()).next()
        with self._failure_kept():
            page = self.session.wait_for(self.load(Slice(), token))
        self._opening = token, page
        candidates = (self.replication_key, *(() if self._configured else DATES_OF_CHANGE))
        found = self._date_of_change(page, candidates)
        if found is None and page.rows:
            if self._configured:
                self.logger.warning(
                    "fwos: no record on the first page has %r; check fwo_replication_key", self.replication_key
                )
            else:
                self.logger.info("fwos: the first page has no date of change; read as FULL_TABLE")
                self.replication_key = None
        elif found is not None and (found != self.replication_key or found not in self.schema["properties"]):
            self._follow(found)

    @override
    def typed_rows(self, text: codec.Json) -> Sequence[msgspec.Raw]:
        """The rows of a list, decoded as declared once it is clear which columns there are."""
        return super().typed_rows(text) if self._is_decided else codec.rows(text)

    def _date_of_change(self, page: Page, names: Sequence[str | None]) -> str | None:
        rows: list[dict[str, Any]] = []
        for raw in page.rows:
            with suppress(*codec.NOT_JSON, RecursionError):  # emitting it says what is wrong with it
                rows += [row] if isinstance(row := codec.decode(raw), dict) else []
        return next((name for name in names if name and any(self._is_time(row.get(name)) for row in rows)), None)

    def _is_time(self, value: Any) -> bool:
        """Whether a value is a present-day time; a small number is a count or a flag."""
        try:
            return self.dialect.time(value) > EARLIEST
        except ValueError:
            return False

    def _follow(self, column: str) -> None:
        """Use another column as the date of change than the catalog says."""
        self.logger.info("fwos: %s is the date of change", column)
        self.replication_key = column
        del self.schema
        columns = self.schema["properties"].items()
        chosen = {name: member for name, member in columns if self.is_selected(("properties", name))}
        self._tap.mapper.register_raw_stream_schema(
            self.name, {**self.schema, "properties": chosen}, list(self.primary_keys)
        )

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        kept, self._opening = self._opening, None
        return kept[1] if kept is not None and kept[0] == token else await super().load(part, token)


class Projects(CustomerSource):
    """Projects of customers; the call is a guess."""

    name = "projects"
    selected_by_default = False


class Employees(PeerAssistStream):
    """The crew; the call is a guess, and the records are personal data."""

    name = "employees"
    selected_by_default = False


class Customers(PeerAssistStream):
    """Customers: by a list call, which is a guess, or one by one, which is documented."""

    name = "customers"
    scoped_by = ("id",)

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self._one_by_one = False
        self._has_worked = False
        self._deleted: set[Id] = set()

    @property
    @override
    def path(self) -> str:  # type: ignore[override]
        return str(self.settings.endpoints["customer" if self._one_by_one else "customers"])

    @override
    def arrivals(self) -> Iterator[Arrival]:
        """All customers that the API lists; else, those that field work orders and projects name."""
        self._one_by_one = False
        listed: set[Any] = set()
        wanted = set(self.config["customer_ids"])
        try:
            for arrival in super().arrivals():
                listed.update(map(self.row_key, arrival.rows))
                yield arrival
        except MissingCallError:
            if listed:
                raise
            self.logger.info("customers: there is no list call (endpoints.customers); they are read one by one")
            self.complete = False
            wanted |= self._named()
            if not wanted and not self.session.stream(Fwos).empty:
                raise MissingCallError(
                    "customers: there is no list call, and nothing names a customer; "
                    "set endpoints.customers or customer_ids"
                ) from None
        found = yield from self._single(wanted - listed)
        if len(wanted) > 1 and not listed and not found:
            raise MissingCallError(
                f"customers: the API knows none of {len(wanted)} ids: this call does not exist; set endpoints.customer"
            )

    def _named(self) -> set[Id]:
        """The ids of the customers that other records name."""
        named: set[Id] = set()
        for source in (self.session.stream(Fwos), self.session.stream(Projects)):
            try:
                named |= set(source.customer_ids())
            except ApiError as error:
                if isinstance(source, Projects) and isinstance(error, MissingCallError | ForbiddenError):
                    self.logger.info("customers: their ids come only from fwos: %s", error)
                    continue
                raise type(error)(
                    f"customers: their ids come from {source.name}, which cannot be read: {error}"
                ) from None
        return named

    def _single(self, ids: Collection[Id]) -> Generator[Arrival, None, int]:
        """Customers by id; deleted ones are counted. Returns how many there are."""
        self._one_by_one = True
        found = 0
        parts: Iterable[Slice] = (
            Slice({"id": number}) for number in sorted(ids, key=lambda found: (isinstance(found, str), found))
        )
        for arrival in self.read(parts, lambda _: SinglePage()):
            found += len(arrival.rows)
            yield arrival
        return found

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        """One page of the list, or one customer; one for whom the API has an error is left out.

        Raises:
            ApiError: It is not about one customer, or nothing has worked yet and this is the second.
        """
        if not part.partition:
            return await super().load(part, token)
        try:
            page = await super().load(part, token)
        except MissingCallError:
            self.meter.count("deleted")
            self._deleted.add(part.partition["id"])
            return Page(())
        except ApiError as error:
            in_vain = bool(self.losses) and not self._has_worked
            if in_vain or not is_about_part(error):
                raise
            self.losses.lose(f"customer {part.partition['id']}", error)
            return Page(())
        self._has_worked = True
        self.losses.read()
        return page

    @override
    def scopes(self, *, complete: bool) -> Sequence[Mapping[str, Any]]:
        """The customers that the API no longer knows, if it knows others: then the call exists."""
        return [{"equal": {"id": str(number)}} for number in sorted(self._deleted, key=str)] if self._has_worked else []

    @override
    def page(self, body: bytes) -> Page:
        return Page([msgspec.Raw(body)]) if self._one_by_one else super().page(body)


STREAMS: Final[Sequence[type[PeerAssistStream]]] = (
    Fwos,
    Projects,
    Employees,
    Customers,
)
"""Customers come last: their ids may have to be taken from the others."""
