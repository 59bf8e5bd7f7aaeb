"""Taps on the stock singer-sdk for the heaviest stream of each vendor, with what our taps do to its records.

``python -m benchmarks.peers.singer_vendors VENDOR --config FILE``. The config is that of our tap. What a developer
would do with the SDK is done the SDK's way: a RESTStream, and `post_process` for each record. Unlike our taps, they
neither check what pages say of a list nor look for rows that moved between them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.pagination import BaseAPIPaginator
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from singer_sdk import Stream

ROOT = Path(__file__).parents[2]
Row = dict[str, Any]


class Pages(BaseAPIPaginator[int]):
    """Pages by number or offset.

    Args:
        following: The token after a response and its token; None after the last one.
    """

    def __init__(self, following: Callable[[Any, int], int | None]) -> None:
        super().__init__(0)
        self._following = following

    @override
    def get_next(self, response: requests.Response) -> int | None:
        return self._following(response.json(), self.current_value)

    @override
    def continue_if_empty(self, response: requests.Response) -> bool:
        return True


class VendorStream(RESTStream[int]):
    """What the five have in common."""

    vendor: ClassVar[str]
    records_jsonpath = "$.data[*]"

    def __init__(self, tap: Tap) -> None:
        schema = json.loads((ROOT / f"tap_{self.vendor}/schemas/{self.name}.json").read_text(encoding="utf-8"))
        super().__init__(tap, schema=schema)

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["api_url"])

    @override
    def get_new_paginator(self) -> Pages:
        return Pages(self.following)

    def following(self, body: Any, token: int) -> int | None:
        """The token of the next page."""
        raise NotImplementedError


def utc(value: str | None) -> str | None:
    """An ISO time in UTC."""
    if value is None:
        return None
    return moment(datetime.fromisoformat(value))


def unix(value: int | None) -> str | None:
    """Unix seconds as an ISO time in UTC."""
    return None if value is None else moment(datetime.fromtimestamp(value, UTC))


def moment(value: datetime) -> str:
    """A time as our taps write it."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def latest(*times: str | None) -> str | None:
    """The last of some times."""
    return max((time for time in times if time is not None), default=None)


def text(value: Any) -> str | None:
    """An id or an amount as text."""
    return None if value is None else str(value)


def refer(row: Row, name: str, *keys: str) -> None:
    """Put the id of what a record refers to beside it, or in its place where there is no more than an id."""
    found = row.get(name)
    if isinstance(found, dict):
        key = next(key for key in keys if key in found)
        row[f"{name}_id"] = str(found[key])
        if found.keys() <= {key, "object"}:
            del row[name]
    elif found is not None:
        row[f"{name}_id"] = str(row.pop(name))


class Invoices(VendorStream):
    """Peakium's, with their lines."""

    vendor, name, path = "peakium", "invoices", "/invoices"
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.ROOT_ONLY  # deeper, the SDK fails at free-form objects in lists
    primary_keys = ("id",)
    replication_key = "_updated_at"
    is_sorted = False

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config['api_key']}"}

    @override
    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"count": 100, "offset": next_page_token or 0}

    @override
    def following(self, body: Any, token: int) -> int | None:
        return token + 100 if body["data"] else None

    @override
    def post_process(self, row: Row, context: Any = None) -> Row:
        for name in ("created", "due", "timestamp_locked", "timestamp_paid", "timestamp_retracted"):
            row[name] = unix(row.get(name))
        refer(row, "customer", "id")
        items = row.get("items")
        row["items"] = items["data"] if isinstance(items, dict) else items
        for line in row["items"] or ():
            line["date_range_start"] = unix(line.get("date_range_start"))
            line["date_range_end"] = unix(line.get("date_range_end"))
            if "subscription" in line:
                line["reference"] = line.pop("subscription")
            refer(line, "reference", "token", "id")
        charge = row.get("charge")
        if charge:
            charge["timestamp_paid"] = unix(charge.get("timestamp_paid"))
            if isinstance(charge.get("refunds"), dict):
                charge["refunds"] = charge["refunds"]["data"]
        if row.get("metadata") == []:
            row["metadata"] = {}
        times = (row["created"], row["timestamp_locked"], row["timestamp_paid"], row["timestamp_retracted"])
        row["_updated_at"] = latest(*times, charge.get("timestamp_paid") if charge else None)
        return row


class Sales(VendorStream):
    """Premiumpay's, one window of days after the other for each gateway."""

    vendor, name, path = "premiumpay", "sales", "/sales"
    http_method = "POST"
    primary_keys = ("_surrogate_key",)
    records_jsonpath = "$[*]"
    days = 7

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config['jwt']}", "X-client-id": self.config["client_id"]}

    @property
    @override
    def partitions(self) -> list[dict[str, Any]]:
        found = requests.post(f"{self.url_base}/gateways", json={}, headers=self.http_headers, timeout=60).json()
        return [{"pasarela_id": row["pasarela_id"]} for row in found]

    def window(self, number: int) -> tuple[datetime, datetime]:
        """The span of a token."""
        start = datetime.fromisoformat(self.config["start_date"]).replace(tzinfo=UTC) + timedelta(self.days * number)
        return start, start + timedelta(self.days)

    @override
    def prepare_request_payload(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        start, end = self.window(next_page_token or 0)
        span = {"start_date_time": start.isoformat(), "end_date_time": (end - timedelta(seconds=1)).isoformat()}
        return {**span, "pasarela_id": context["pasarela_id"]}

    @override
    def following(self, body: Any, token: int) -> int | None:
        return token + 1 if self.window(token)[1] < datetime(2026, 3, 2, tzinfo=UTC) else None

    @override
    def post_process(self, row: Row, context: Any = None) -> Row:
        digest = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode())
        row["date_time"] = utc(row.get("date_time"))
        row["id"], row["amount"] = text(row.get("id")), text(row.get("amount"))
        number = (datetime.fromisoformat(row["date_time"]) - self.window(0)[0]) // timedelta(self.days)
        row["_window_start"], row["_window_end"] = map(moment, self.window(number))
        row["_surrogate_key"] = digest.hexdigest()
        return row


class Fwos(VendorStream):
    """PeerAssist's field work orders."""

    vendor, name, path = "peerassist", "fwos", "/fwo"
    primary_keys = ("id",)
    records_jsonpath = "$.content[*]"
    replication_key = "lastUpdated"
    is_sorted = False
    _token = ""

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        if not self._token:
            login = {"userName": self.config["username"], "password": self.config["password"]}
            key = {"clientKey": self.config["client_key"]}
            self._token = requests.post(f"{self.url_base}/auth", params=key, json=login, timeout=60).json()["token"]
        return {"Authorization": f"Bearer {self._token}"}

    @override
    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"page": next_page_token or 0, "size": 100, "sort": "id,asc"}

    @override
    def following(self, body: Any, token: int) -> int | None:
        return None if body["last"] else token + 1

    @override
    def post_process(self, row: Row, context: Any = None) -> Row:
        for name in ("created", "lastUpdated"):
            row[name] = utc(row.get(name))
        for name in ("laborHours", "romAmount", "amount"):
            row[name] = text(row.get(name))
        return row


class PointsHistory(VendorStream):
    """Pegke's, customer by customer."""

    vendor, name, path = "pegke", "points_history", "/apiv1?q=check_history"
    http_method = "POST"
    payload_as_json = False
    primary_keys = ("_phone", "_entry_id")
    replication_key = "created"
    state_partitioning_keys: ClassVar[Sequence[str]] = ()
    is_sorted = False
    records_jsonpath = "$.history[*]"

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config['consumer_code']}.{self.config['consumer_secret']}"}

    @property
    @override
    def partitions(self) -> list[dict[str, Any]]:
        phones = ("".join(filter(str.isdigit, each)) for each in self.config["customers"])
        return [{"phone": phone[-10:]} for phone in phones]

    @override
    def prepare_request_payload(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"phone": context["phone"], "page": next_page_token or 0}

    @override
    def validate_response(self, response: requests.Response) -> None:
        if response.status_code != requests.codes.not_found:  # the customer is not known
            super().validate_response(response)

    @override
    def following(self, body: Any, token: int) -> int | None:
        return token + 1 if body.get("history") else None

    @override
    def post_process(self, row: Row, context: Any = None) -> Row:
        row["created"] = utc(row.get("created"))
        for name in ("id", "cid", "offer_id", "store_id", "points"):
            row[name] = text(row.get(name))
        row["_phone"], row["_entry_id"] = f"+91{context['phone']}", row["id"]
        return row


class Bookings(VendorStream):
    """Peek's, by windows of days of travel."""

    vendor, name, path = "peek", "bookings", "/bookings"
    primary_keys = ("_connection", "uuid")
    replication_key = "_updated_at"
    is_sorted = False
    records_jsonpath = "$[*]"
    days = 30
    first, last = datetime(2025, 3, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)

    @property
    @override
    def http_headers(self) -> dict[str, str]:
        key = self.config["api_key"]
        return {"Authorization": f"Bearer {key}", "Octo-Capabilities": "octo/pricing, octo/webhooks"}

    @override
    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        start = self.first + timedelta(self.days * (next_page_token or 0))
        end = min(self.last, start + timedelta(self.days - 1))
        return {"localDateStart": str(start.date()), "localDateEnd": str(end.date())}

    @override
    def following(self, body: Any, token: int) -> int | None:
        return token + 1 if self.first + timedelta(self.days * (token + 1)) <= self.last else None

    @override
    def post_process(self, row: Row, context: Any = None) -> Row:
        row["_connection"] = "default"
        for name in ("utcCreatedAt", "utcUpdatedAt", "utcExpiresAt", "utcConfirmedAt"):
            if name in row:
                row[name] = utc(row[name])
        cancellation = row.get("cancellation")
        if cancellation:
            cancellation["utcCancelledAt"] = utc(cancellation.get("utcCancelledAt"))
        for place in (row.get("voucher"), *(item.get("ticket") for item in row.get("unitItems") or ())):
            if place:
                place["utcRedeemedAt"] = utc(place.get("utcRedeemedAt"))
                for option in place.get("deliveryOptions") or ():
                    option["deliveryValue"] = "***"
        cancelled = cancellation.get("utcCancelledAt") if cancellation else None
        row["_updated_at"] = latest(
            row.get("utcCreatedAt"), row.get("utcUpdatedAt"), row.get("utcConfirmedAt"), cancelled
        )
        return row


STREAMS: Iterable[type[VendorStream]] = (Invoices, Sales, Fwos, PointsHistory, Bookings)


class TapVendor(Tap):
    """The tap of one vendor."""

    name = "tap-vendor"
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {}}
    vendor: ClassVar[str]

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [stream(self) for stream in STREAMS if stream.vendor == self.vendor]


if __name__ == "__main__":
    TapVendor.vendor = sys.argv.pop(1)
    TapVendor.cli()
