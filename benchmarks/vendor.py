"""A tap for `benchmarks.api`, made as the vendors' taps are: ``python -m benchmarks.vendor --config FILE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core.config.settings import config_schema
from tap_core.http.auth import NoAuth
from tap_core.http.client import DEFAULT_ACCOUNT, ApiClient, Network
from tap_core.reading.numbered import NumberedPager, PageFacts, PageRequest
from tap_core.records.dialect import Dialect
from tap_core.streams.base import CoreStream
from tap_core.tap import CoreTap
from tap_core.timestamps import iso_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.reading.fetch import Slice
    from tap_core.reading.pages import Pager

TEXT: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
WHOLE: dict[str, Any] = {"type": ["integer", "null"]}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def members(**properties: Any) -> dict[str, Any]:
    return {"type": ["object", "null"], "properties": properties}


PAYMENTS: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "object": TEXT,
        "created": TIME,
        "updated": TIME,
        "amount": NUMBER,
        "fee": NUMBER,
        "currency": TEXT,
        "status": TEXT,
        "captured": {"type": ["boolean", "null"]},
        "attempts": WHOLE,
        "reference": TEXT,
        "description": TEXT,
        "customer": members(id=TEXT, name=TEXT, email=TEXT, country=TEXT),
        "line_items": {
            "type": ["array", "null"],
            "items": members(sku=TEXT, description=TEXT, quantity=WHOLE, unit_price=NUMBER),
        },
        "metadata": members(order_id=TEXT, channel=TEXT, ip=TEXT),
    },
}


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


class Payments(CoreStream):
    """A list whose pages have numbers."""

    name = "payments"
    path = "/payments"
    schemas = Schemas({"payments": PAYMENTS})
    dialect = Dialect(time=iso_text)
    records_path = ("data",)
    envelope: ClassVar = {"count": int, "has_more": bool}
    primary_keys = ("id",)
    replication_key = "updated"

    @override
    def pager(self, _part: Slice) -> Pager:
        return NumberedPager(size=int(self.config["page_size"]), row_keys=self.row_keys, first=1)

    @override
    def params(self, _part: Slice, token: PageRequest) -> Mapping[str, Any]:
        return {"page": token.number, "limit": token.size}

    @override
    def meta(self, envelope: Any) -> PageFacts:
        return PageFacts(rows=envelope.count, last=None if envelope.has_more is None else not envelope.has_more)


class TapPayments(CoreTap):
    """The tap."""

    name = "tap-payments"
    stream_types: ClassVar = (Payments,)
    config_jsonschema = config_schema(api_url="http://127.0.0.1", bounded="", page_size=100)

    @override
    def make_clients(self, network: Network) -> Mapping[str, ApiClient]:
        return {DEFAULT_ACCOUNT: ApiClient(network, NoAuth())}


if __name__ == "__main__":
    TapPayments.main()
