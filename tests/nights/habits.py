"""What may change from one night to the next, for each vendor: settings, the vendor's answers, their form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from merchant_sandbox.vendors.peek.api import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["HABITS", "Change", "Habits"]

Change = tuple[str, str, "Mapping[str, Any]"]


@dataclass(frozen=True)
class Habits:
    """The everyday life of one vendor's users.

    Args:
        settings: Settings that somebody may change to; each is taken by itself.
        accounts: The same for settings that say whose data are read.
        refused: Settings that a state cannot be continued with.
        changes: What the vendor's answers may turn into: the route, the sandbox's fault, its details.
        late: The route of an immutable stream, whose newest rows may come a day late.
        forms: Switches of the sandbox: other forms of the same data.
        columns: Columns that somebody may deselect.
        errors: Statuses that mean that a call has failed.
        range: Dates of a backfill.
        bounded: The streams that they bound.
        wider: Streams of which the truth has more than is read here.
    """

    settings: Sequence[Mapping[str, Any]]
    accounts: Sequence[Mapping[str, Any]] = ()
    refused: Sequence[tuple[str, Any]] = ()
    changes: Sequence[Change] = ()
    late: str | None = None
    forms: Sequence[Mapping[str, Any]] = ()
    columns: Sequence[str] = ()
    errors: Sequence[int] = (401, 403, 404, 500, 503)
    range: tuple[str, str] = ("2025-12-01", "2026-01-01")
    bounded: Sequence[str] = ()
    wider: Sequence[str] = field(default_factory=tuple)


_NO_PII = {"pii": "drop", "pii_key": "a-key-for-the-hashes"}
_CUSTOMERS = ("9800000000", "9800010007", "+919800020014", "+91 98000-30021", "09800040028", "9800050035", "9800060042")


HABITS: Mapping[str, Habits] = {
    "peakium": Habits(
        settings=(
            {"lookback_days": 3},
            {"filters": {"invoices": {"overdue": True}}},
            {"filters": {"events": {"customer": "cu4321"}, "subscriptions": {"customer": "cu4321"}}},
            {"start_date": "2026-01-10"},
            {"page_size": 100, "expand": ["customer"]},
            {"drop_fields": ["metadata"]},
            _NO_PII,
            {"unknown_fields": "warn"},
            {"client_filter": False},
        ),
        changes=(
            ("/events", "patch", {"set": {"data.*.brand_new": {"a": [1, "2"]}}}),
            ("/invoices", "patch", {"set": {"data.*.renamed": "x"}, "remove": ["data.*.type"]}),
            ("/customers", "patch", {"set": {"data.*.livemode": "yes"}}),
            ("/invoices", "patch", {"set": {"data.*.calculated_total": "12"}}),
            ("/customers", "delete", {"rows": 3, "position": 5, "after": 0}),
            ("/invoices", "delete", {"rows": 3, "position": 5, "after": 0}),
        ),
        late="/events",
        forms=({"embedded": "id"}, {"order": "oldest"}, {"max_count": 17}),
        columns=("metadata", "livemode", "type", "items", "data", "balances"),
        bounded=("events",),
    ),
    "peek": Habits(
        settings=(
            {"bookings_days_back": 40},
            {"bookings_days_back": 120, "bookings_days_ahead": 60},
            {"availability_days_ahead": 1},
            {"bookings_window_days": 45},
            {"lookback_days": 3},
            {"drop_fields": ["notes"]},
            _NO_PII,
            {"unknown_fields": "warn"},
        ),
        accounts=(
            {"api_key": None, "connections": [{"name": name, "api_key": KEYS[name]} for name in ("default", "south")]},
            {"api_key": None, "connections": [{"name": "south", "api_key": KEYS["south"]}]},
            {"api_key": None, "connections": [{"name": "north", "api_key": KEYS["default"]}]},
        ),
        changes=(
            ("/bookings", "patch", {"set": {"*.brand_new": {"a": [1, "2"]}}}),
            ("/bookings", "patch", {"set": {"*.renamed": "x"}, "remove": ["*.notes"]}),
            ("/bookings", "patch", {"set": {"*.freesale": "yes"}}),
            ("/products", "patch", {"set": {"*.brand_new": 1}, "remove": ["*.reference"]}),
            ("/bookings", "delete", {"rows": 1, "position": 0, "after": 0}),
            ("/products", "delete", {"rows": 1, "position": 2, "after": 0}),
            ("/availability", "delete", {"rows": 1, "position": 1, "after": 0}),
        ),
        forms=({"nested": True}, {"order": "newest"}, {"standard_fields": True}, {"removals": True}),
        columns=("notes", "reference", "availability", "unitItems", "vacancies", "options", "_travel_date"),
        wider=("availability", "availability_calendar", "bookings", "booking_unit_items"),
    ),
    "peerassist": Habits(
        settings=(
            {"lookback_days": 3},
            {"page_size": 100},
            {"enable_streams": ["projects"]},
            {"start_date": "2026-01-10"},
            {"customer_ids": [1]},
            {"drop_fields": ["city"]},
            _NO_PII,
            {"client_filter": True},
        ),
        changes=(
            ("/fwo", "patch", {"set": {"content.*.brand_new": {"a": [1, "2"]}}}),
            ("/fwo", "patch", {"set": {"content.*.renamed": "x"}, "remove": ["content.*.summary"]}),
            ("/fwo", "patch", {"set": {"content.*.amount": "12"}}),
            ("/fwo", "patch", {"set": {"content.*.laborHours": {"a": 1}}}),
            ("/fwo", "delete", {"rows": 3, "position": 5, "after": 0}),
            ("/customer", "delete", {"rows": 3, "position": 5, "after": 0}),
            ("/customer", "status", {"status": 404}),
        ),
        forms=({"envelope": "paged_model"}, {"sortable": False}, {"nulls": "null"}, {"size_cap": 13}),
        columns=("summary", "city", "amount", "description", "status"),
        bounded=("fwos",),
    ),
    "pegke": Habits(
        settings=(
            {"lookback_days": 3},
            {"start_date": "2026-01-10"},
            {"form": "multipart", "merchant_style": "path"},
            {"drop_fields": ["store_id"]},
            _NO_PII,
            {"unknown_fields": "warn"},
            {"client_filter": False},
        ),
        accounts=(
            {"customers": [*_CUSTOMERS[:3]]},
            {"customers": [*_CUSTOMERS]},
            {"customers": [*_CUSTOMERS[3:5]]},
            {"customers": ["+919800000000", "+91 98000 10007"]},
        ),
        changes=(
            ("/apiv1/check_history", "patch", {"set": {"history.*.brand_new": {"a": [1, "2"]}}}),
            ("/apiv1/check_history", "patch", {"set": {"history.*.renamed": "x"}, "remove": ["history.*.type"]}),
            ("/apiv1/my_offers", "patch", {"set": {"offers.*.points_required": {"a": 1}}}),
            ("/apiv1/my_offers", "patch", {"remove": ["offers.*.description"]}),
            ("/apiv1/check_history", "delete", {"rows": 1, "position": 2, "after": 0}),
        ),
        late="/apiv1/check_history",
        forms=({"history_order": "oldest"}, {"page_length": 7}, {"times": "unix"}, {"history_end": "last"}),
        columns=("type", "description", "points", "store_id", "name"),
        errors=(401, 403, 500, 503),  # a 404 says that a customer is not known
        bounded=("points_history", "store_history", "user_history"),
        wider=("customer_points", "customers", "points_history", "user_history", "users"),
    ),
    "premiumpay": Habits(
        settings=(
            {"lookback_days": 40},
            {"lookback_days": 9},
            {"aggregate_fields": ["country"]},
            {"start_date": "2026-01-20"},
            {"start_date": "2025-12-01"},
            {"sales_by_gateway": False},
            {"drop_fields": ["payment_method"]},
            _NO_PII,
        ),
        accounts=({"pasarela_ids": [101]}, {"service_id": 1}, {"channel_ids": [5000]}),
        refused=(("window_hours", 24),),
        changes=(
            ("/sales", "patch", {"set": {"*.brand_new": {"a": [1, "2"]}}}),
            ("/sales", "patch", {"set": {"*.amount": "12"}}),
            ("/channels", "patch", {"remove": ["*.name"], "set": {"*.renamed": "x"}}),
            ("/channels", "delete", {"rows": 1, "position": 1, "after": 0}),
            ("/sales", "delete", {"rows": 1, "position": 0, "after": 0}),
        ),
        forms=({"wrapped": True}, {"id_texts": True}, {"empty": "ko"}),
        columns=("name", "country", "payment_method", "left"),
        range=("2026-01-05", "2026-01-20"),
        bounded=("sales", "aggregated_sales", "channel_sales", "channel_results"),
        wider=("sales", "aggregated_sales", "channel_sales", "channel_results"),
    ),
}
