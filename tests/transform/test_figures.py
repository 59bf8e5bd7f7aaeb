"""Every figure of every mart, computed again from what the vendors have, over several seeds and days."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.transform.conftest import DATA, VENDORS, Day, days, table
from tests.transform.figures import bookings, field_work, loyalty, money, people, subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tests.transform.conftest import Dbt
    from tests.transform.figures.common import Row, Truth

pytestmark = pytest.mark.xdist_group("transform")  # whose warehouses are loaded once

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

WORLDS = int(os.environ.get("WORLDS", "0"))
"""How many worlds the long form reads."""
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


def assert_right(day: Day) -> None:
    for mart, figures in FIGURES.items():
        found = [{name: row[name] for name in row.keys() - UNKNOWN} for row in day.mart(mart)]
        assert_equal(found, figures(day.truth), mart)


@pytest.mark.parametrize("number", range(3), ids=["the first day", "the next", "four weeks later"])
def test_every_figure_is_right(a_month: list[Day], number: int) -> None:
    assert_right(a_month[number])


def test_what_was_built_day_by_day_equals_what_is_built_at_once(dbt: Dbt, a_month: list[Day], tmp_path: Path) -> None:
    day = a_month[-1]
    again = day.copy(tmp_path)
    done = dbt.build(again, *DATA, "--full-refresh", MERCHANT_AS_OF=day.as_of.isoformat())
    models = [name.split(".")[-1] for name in done["nodes"] if name.startswith("model.")]
    for model in models:
        schema = {"stg": "staging", "int": "intermediate"}.get(model.partition("_")[0], "marts")
        without = {"hours_since_last"}  # they go by the clock
        one, other = (
            [{key: row[key] for key in row.keys() - without} for row in table(path, f"{schema}.{model}")]
            for path in (day.path, again)
        )
        assert comparable(one) == comparable(other), model
    assert len(models) > len(FIGURES)


def test_the_unit_tests_of_the_models_pass(dbt: Dbt, a_month: list[Day], tmp_path: Path) -> None:
    done = dbt.run("test", "--select", "test_type:unit", MERCHANT_WAREHOUSE=str(a_month[-1].copy(tmp_path)))
    assert done["success"], done["messages"]
    assert len(done["nodes"]) > 8


def test_rows_that_are_removed_for_good_leave_the_marts_too(dbt: Dbt, sandbox: Sandbox, tmp_path: Path) -> None:
    """The loader's own default: rows that are gone are not marked, and no history tells of them."""
    vendors = ("peerassist", "premiumpay")
    *_, day = days(dbt, sandbox, tmp_path, seed=3, ticks=(0, 30), vendors=vendors, hard_delete=True, history=False)
    there = {row["id"] for row in day.truth.rows("peerassist", "fwos")}
    assert len(day.truth.read("peerassist", "fwos", "id")) > len(there)
    assert {row["work_order_id"] for row in day.mart("work_orders")} == there
    revenue = [row for row in money.revenue_by_day(day.truth) if row["vendor"] == "premiumpay"]
    assert_equal(day.mart("revenue_by_day"), revenue, "revenue_by_day")


ALONE = VENDORS if WORLDS else ("pegke",)
OF_VENDORS = {
    "peakium": {"mrr_by_month", "subscription_cohorts", "failed_payments"},
    "premiumpay": set[str](),
    "peerassist": {"work_orders"},
    "pegke": {"loyalty_by_day", "loyalty_members", "loyalty_cohorts"},
    "peek": {"bookings", "departures", "departure_revenue", "booking_pace"},
}


@pytest.mark.parametrize("vendor", ALONE)
def test_one_vendor_alone_works(dbt: Dbt, a_month: list[Day], tmp_path: Path, vendor: str) -> None:
    day = a_month[0]
    path = day.copy(tmp_path)
    with duckdb.connect(str(path)) as con:
        for schema in ("staging", "intermediate", "marts", "seeds", *({*VENDORS} - {vendor})):
            con.execute(f"DROP SCHEMA {schema} CASCADE")
    dbt.build(path, *DATA, MERCHANT_AS_OF=day.as_of.isoformat())
    for owner, marts in OF_VENDORS.items():
        for mart in marts:
            wanted = day.mart(mart) if owner == vendor else []
            assert comparable(table(path, f"marts.{mart}")) == comparable(wanted), mart
    revenue = [row for row in day.mart("revenue_by_day") if row["vendor"] == vendor]
    assert comparable(table(path, "marts.revenue_by_day")) == comparable(revenue)


def test_an_empty_warehouse_works(dbt: Dbt, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    dbt.build(path, *DATA)
    assert {name: table(path, f"marts.{name}") for name in FIGURES.keys() - {"customer_matching"}} == {
        name: [] for name in FIGURES.keys() - {"customer_matching"}
    }
    assert {row["can_match"] for row in table(path, "marts.customer_matching")} == {False}


@pytest.mark.skipif(not WORLDS, reason="a long form: make soak")
def test_every_figure_is_right_whatever_the_seed(dbt: Dbt, sandbox: Sandbox, tmp_path: Path) -> None:
    for seed in range(4, 4 + WORLDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for day in days(dbt, sandbox, folder, seed=seed, ticks=(seed % 3, 1, 1, seed * 3, 9)):
            assert_right(day)
