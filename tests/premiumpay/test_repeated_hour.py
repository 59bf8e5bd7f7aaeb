"""A server that knows wall times only: each sale is read, also in the hour that comes twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

from tap_core.testing import Account, run_tap
from tap_premiumpay.tap import TapPremiumpay
from tests.premiumpay.conftest import Answering

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http.server import BaseHTTPRequestHandler


def sold_in(zone: str, day: datetime) -> list[dict[str, Any]]:
    """Sales of a day in the first, the middle and the last second of each half hour."""
    moments = [day + timedelta(minutes=30 * half, seconds=second) for half in range(48) for second in (0, 900, 1799)]
    return [
        {
            "id": str(number),
            "date_time": moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(" "),
            "pasarela_id": 1,
            "amount": "1.00",
            "currency": "EUR",
        }
        for number, moment in enumerate(moments)
    ]


def server_of(sales: list[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(Answering):
        @override
        def found(self, asked: Mapping[str, Any]) -> Any:
            if self.path != "/sales":
                return [{"pasarela_id": 1, "name": "Una", "services": []}] if self.path == "/gateways" else []
            start, end = (
                datetime.fromisoformat(asked[name]).replace(tzinfo=None)
                for name in ("start_date_time", "end_date_time")
            )
            return [sale for sale in sales if start <= datetime.fromisoformat(sale["date_time"]) <= end]

    return Handler


@pytest.mark.parametrize(
    ("zone", "hours", "day"),
    [
        ("Europe/Madrid", 1, "2025-10-26"),
        ("Europe/Madrid", 24, "2025-10-26"),
        ("America/New_York", 6, "2025-11-02"),
        ("Europe/Madrid", 1, "2026-03-29"),
    ],
)
def test_s8_s16_each_sale_of_a_day_with_a_clock_change_is_read(
    serve: Callable[[type[BaseHTTPRequestHandler]], str], zone: str, hours: int, day: str
) -> None:
    begun = datetime.fromisoformat(day).replace(tzinfo=UTC)
    sales = sold_in(zone, begun)
    config = {
        "api_url": serve(server_of(sales)),
        "jwt": "a.b.c",
        "client_id": "nobody",
        "time_zone": zone,
        "window_hours": hours,
        "backfill_window_days": 1,
        "lookback_days": 30,
        "start_date": day,
        "end_date": (begun + timedelta(days=1)).date().isoformat(),
    }
    clock = f"{(begun + timedelta(days=10)).timestamp()},{time.time()},1"
    run = run_tap(TapPremiumpay, Account(config, {"MERCHANT_CLOCK": clock}))
    assert run.code == 0, run.log
    assert {sale["id"] for sale in run.records("sales")} == {sale["id"] for sale in sales}
