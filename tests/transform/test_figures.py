"""Every figure of every mart, computed again from what the vendors have, over several seeds and days."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.transform.figures import bookings, field_work, loyalty, money, people, subscriptions
from tests.transform.figures.common import Row, Truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transform.conftest import Dbt, Shop

FIGURES: dict[str, Callable[[Truth], list[Row]]] = {
    "revenue_by_day": money.revenue_by_day,
    "revenue_converted": money.revenue_converted,
    "mrr_by_month": subscriptions.mrr_by_month,
    "subscription_cohorts": subscriptions.subscription_cohorts,
    "failed_payments": subscriptions.failed_payments,
    "bookings": bookings.bookings,
    "departures": bookings.departures,
    "departure_revenue": bookings.departure_revenue,
    "booking_pace": bookings.booking_pace,
    "loyalty_by_day": loyalty.loyalty_by_day,
    "loyalty_members": loyalty.loyalty_members,
    "loyalty_cohorts": loyalty.loyalty_cohorts,
    "work_orders": field_work.work_orders,
    "customers": people.customers,
    "customer_matching": people.customer_matching,
}

UNKNOWN = {"observed_at"}
"""The second at which the tap read."""


def comparable(rows: list[Row]) -> Counter[str]:
    """Rows in any order, numbers by their value."""
    return Counter(str(sorted((name, plain(value)) for name, value in row.items())) for row in rows)


def plain(value: Any) -> str:
    return f"{value.normalize() + 0:f}" if isinstance(value, Decimal) else str(value)


def assert_equal(found: list[Row], wanted: list[Row], mart: str) -> None:
    here, there = comparable(found), comparable(wanted)
    assert found, mart
    assert list((there - here).items())[:3] == [], f"{mart} lacks rows"
    assert list((here - there).items())[:3] == [], f"{mart} has rows too many"


@pytest.mark.parametrize("seed", [1, 5] if "SOAK" not in os.environ else range(1, 21))
def test_every_figure_is_right_day_after_day(dbt: Dbt, open_shop: Callable[..., Shop], seed: int) -> None:
    shop = open_shop(seed=seed)
    truth: Truth | None = None
    for ticks in (0, 1, 27):
        shop.tick(ticks)
        shop.load()
        dbt.build(shop.path, MERCHANT_AS_OF=shop.as_of.isoformat())
        truth = Truth(shop.world, shop.as_of, truth)
        for mart, figures in FIGURES.items():
            found = [{name: row[name] for name in row.keys() - UNKNOWN} for row in shop.mart(mart)]
            assert_equal(found, figures(truth), mart)
