"""Fields that nobody knows yet are kept, also where streams are made from other streams."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_core.testing import run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peek.conftest import Canned

NEW = {"madeUp": {"deep": [1, None, "x"]}}
OPTION = {"id": "o1", "units": [{"id": "u1", "type": 5, **NEW}], **NEW}
PRODUCT = {"id": "p1", "options": [OPTION], "capabilities": [{"id": "octo/new", "revision": "two", **NEW}], **NEW}
DEPARTURE = {"id": "a1", "localDateTimeStart": "2026-03-01T09:00:00-08:00", "vacancies": "few", **NEW}
BOOKING = {
    "uuid": "b1",
    "utcConfirmedAt": "yesterday",
    "unitItems": [{"uuid": "i1", "ticket": None, **NEW}],
    "contact": {"fullName": "Jo", "nickname": "J"},
    **NEW,
}
DAYS = {"availability_days_back": 0, "availability_days_ahead": 0, "bookings_days_back": 0, "bookings_days_ahead": 0}


def served() -> dict[str, tuple[int, bytes]]:
    answers: dict[str, Any] = {
        "GET /products": [PRODUCT],
        "POST /availability/calendar": [{"localDate": "2026-03-01", "capacity": 9_007_199_254_740_993, **NEW}],
        "POST /availability": [DEPARTURE],
        "GET /bookings": [BOOKING],
        "GET /webhooks": [{"id": "w1", "url": "https://example.com", **NEW}],
    }
    return {call: (200, json.dumps(rows).encode()) for call, rows in answers.items()}


def test_c5_unknown_fields_and_types_are_kept_in_every_stream(canned: Callable[..., Canned]) -> None:
    config = {**DAYS, "enable_streams": ["availability_snapshots"]}
    done = run_tap(TapPeek, canned(served()).account, config=config)
    assert done.code == 0, done.log
    extras = {stream: done.records(stream)[0]["_extra"] for stream in done.streams}
    assert all(extra["madeUp"] == NEW["madeUp"] for extra in extras.values())
    assert extras["units"]["type"] == 5
    assert extras["product_capabilities"]["revision"] == "two"
    assert extras["availability"]["vacancies"] == extras["availability_snapshots"]["vacancies"] == "few"
    assert extras["bookings"]["utcConfirmedAt"] == "yesterday"
    (booking,) = done.records("bookings")
    assert booking["contact"]["nickname"] == "J"
    assert booking["unitItems"][0]["madeUp"] == NEW["madeUp"]
    assert done.records("availability_calendar")[0]["capacity"] == 9_007_199_254_740_993


def test_c5_unknown_fields_can_fail_a_stream(canned: Callable[..., Canned]) -> None:
    done = run_tap(TapPeek, canned(served()).account, config={**DAYS, "unknown_fields": "fail"})
    assert done.code == 4
    assert "unknown field madeUp" in done.log
    assert not done.of("RECORD")
