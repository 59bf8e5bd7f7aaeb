"""A tap for `benchmarks.api`, made as the vendors' taps are: ``python -m benchmarks.vendor --config FILE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory
from singer_sdk import typing as th
from typing_extensions import override

from benchmarks.schema import PAYMENTS
from tap_core.config.settings import config_schema
from tap_core.http.auth import NoAuth
from tap_core.http.client import DEFAULT_ACCOUNT, ApiClient, Network
from tap_core.reading.numbered import NumberedPager, PageFacts
from tap_core.reading.pages import Page, Pager, PageResult, Token
from tap_core.records.dialect import Dialect
from tap_core.streams.base import CoreStream
from tap_core.tap import CoreTap
from tap_core.timestamps import iso_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_sdk import Tap

    from tap_core.reading.fetch import Slice
    from tap_core.session.session import Session


class Schemas(SchemaDirectory):
    """Schemas that are not in files.

    Args:
        schemas: The schemas by stream.
    """

    def __init__(self, schemas: Mapping[str, dict[str, Any]]) -> None:
        super().__init__(".")
        self._schemas = schemas

    @override
    def fetch_schema(self, key: str) -> dict[str, Any]:
        return self._schemas[key]


class CursorPager(Pager):
    """Pages that name the next one; that name is their `Page.meta`."""

    def __init__(self) -> None:
        self._token: str | None = ""

    @override
    def next(self) -> Token | None:
        token, self._token = self._token, None
        return token

    @override
    def take(self, token: Token, page: Page) -> PageResult:
        self._token = page.meta
        self.done = page.meta is None
        return PageResult(page.rows)


class Payments(CoreStream):
    """A list whose pages have numbers, or cursors; with keys, or without."""

    name = "payments"
    schemas = Schemas({"payments": PAYMENTS})
    dialect = Dialect(time=iso_text)
    records_path = ("data",)
    envelope: ClassVar = {"count": int, "has_more": bool, "next_cursor": str}
    primary_keys: Sequence[str] = ("id",)
    replication_key = "updated"

    def __init__(self, tap: Tap, session: Session) -> None:
        if tap.config["append"]:
            self.primary_keys = ()
        super().__init__(tap, session)
        self._by_cursor = bool(self.config["by_cursor"])
        self.path = "/by_cursor" if self._by_cursor else "/payments"

    @override
    def pager(self, _part: Slice) -> Pager:
        if self._by_cursor:
            return CursorPager()
        return NumberedPager(size=int(self.config["page_size"]), row_keys=self.row_keys, first=1)

    @override
    def params(self, _part: Slice, token: Any) -> Mapping[str, Any]:
        if self._by_cursor:
            return {"cursor": token or None, "limit": self.config["page_size"]}
        return {"page": token.number, "limit": token.size}

    @override
    def meta(self, envelope: Any) -> Any:
        if self._by_cursor:
            return envelope.next_cursor
        return PageFacts(rows=envelope.count, last=None if envelope.has_more is None else not envelope.has_more)


class TapPayments(CoreTap):
    """The tap."""

    name = "tap-payments"
    stream_types: ClassVar = (Payments,)
    config_jsonschema = config_schema(
        th.Property("by_cursor", th.BooleanType, default=False, description="Whether pages have cursors."),
        th.Property("append", th.BooleanType, default=False, description="Whether records have no key."),
        api_url="http://127.0.0.1",
        bounded="",
        page_size=100,
    )

    @override
    def make_clients(self, network: Network) -> Mapping[str, ApiClient]:
        return {DEFAULT_ACCOUNT: ApiClient(network, NoAuth())}


if __name__ == "__main__":
    TapPayments.main()
