"""Every figure of every mart, computed again from what the vendors have, over several seeds and days."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.transform.conftest import BOTH, DATA, MODELS, VENDORS, Day, days, table
from tests.transform.figures import bookings, field_work, loyalty, money, operations, people, subscriptions
from tests.transform.figures.common import of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from merchant_sandbox.client import Sandbox
    from tests.transform.conftest import Dbt
    from tests.transform.figures.common import Row, Truth

pytestmark = pytest.mark.xdist_group("transform")  # whose warehouses are loaded once

FIGURES: dict[str, Callable[[Sequence[Truth]], list[Row]]] = {
    "revenue_by_day": of("", money.revenue_by_day),
    "revenue_converted": of("", money.revenue_converted),
    "mrr_by_month": of("peakium", subscriptions.mrr_by_month),
    "subscription_cohorts": of("peakium", subscriptions.subscription_cohorts),
    "failed_payments": of("peakium", subscriptions.failed_payments),
    "bookings": of("peek", bookings.bookings),
    "departures": of("peek", bookings.departures),
    "departure_revenue": of("peek", bookings.departure_revenue),
    "booking_pace": of("peek", bookings.booking_pace),
    "loyalty_by_day": of("pegke", loyalty.loyalty_by_day),
    "loyalty_members": of("pegke", loyalty.loyalty_members),
    "loyalty_cohorts": of("pegke", loyalty.loyalty_cohorts),
    "work_orders": of("peerassist", field_work.work_orders),
    "customers": people.customers,
    "customer_matching": people.customer_matching,
}

WORLDS = int(os.environ.get("WORLDS", "0"))
"""How many worlds the long form reads."""
LOGINS = {"peerassist", "pegke"}
BUILT = """
SELECT schema_name || '.' || table_name FROM duckdb_tables()
WHERE database_name = 'other' AND schema_name IN ('staging', 'intermediate', 'marts')
"""
"""All models that have rows of their own; the others are views."""
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
        assert_equal(found, figures(day.truths), mart)
    assert_pipelines_right(day)


def assert_pipelines_right(day: Day) -> None:
    vendors = {truth.account(vendor): vendor for truth in day.truths for vendor in VENDORS}
    loads = operations.pipeline_loads(table(day.path, "main._singer_loads"), vendors)
    assert_equal(day.mart("pipeline_loads"), loads, "pipeline_loads")
    read = Counter({(load["vendor"], load["stream"]): 0 for load in loads})
    for load in loads:
        read[load["vendor"], load["stream"]] += load["rows_read"]
    if len(day.truths) == 1:
        assert read == sum(day.records, Counter())
        for vendor, requests in day.requests.items():
            made = sum(load["requests"] or 0 for load in loads if load["vendor"] == vendor)
            logins = 2 * len(day.records) if vendor in LOGINS else 0  # for no stream
            assert requests - logins <= made <= requests, vendor
    streams = day.mart("pipeline_streams")
    for stream in streams:
        hours = stream.pop("hours_since_last")
        if stream["last_loaded_at"] is None:
            assert hours is None
        else:
            since = (day.built_at - stream["last_loaded_at"]).total_seconds() / 3600
            assert abs(float(hours) - since) < 0.02, stream
    assert_equal(streams, operations.pipeline_streams(loads, day.built_at), "pipeline_streams")


@pytest.mark.parametrize("number", range(3), ids=["the first day", "the next", "four weeks later"])
def test_every_figure_is_right(a_month: list[Day], number: int) -> None:
    assert_right(a_month[number])


def test_accounts_whose_ids_collide_stay_apart(two_accounts: Day) -> None:
    assert_right(two_accounts)
    assert {row["is_late"] for row in two_accounts.mart("pipeline_streams")} == {False, True}


def assert_same(one: Path, other: Path) -> None:
    """What stands in two warehouses is the same."""
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{one}' AS one (READ_ONLY)")
        con.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
        names = [name for (name,) in con.execute(BUILT).fetchall()]
        assert len(names) > len(FIGURES) + 15
        for name in names:
            columns = "* EXCLUDE (hours_since_last)" if name == "marts.pipeline_streams" else "*"  # goes by the clock
            rows = [f"SELECT {columns} FROM {warehouse}.{name}" for warehouse in ("one", "other")]
            for here, there in (rows, reversed(rows)):
                assert con.execute(f"{here} EXCEPT ALL {there} LIMIT 3").fetchall() == [], here


def test_what_was_built_day_by_day_equals_what_is_built_at_once(dbt: Dbt, two_accounts: Day, tmp_path: Path) -> None:
    """Also where rows are removed for good, of one account alone, as the loader does by default, or an account is."""
    path, again = two_accounts.copy(tmp_path), tmp_path / "again"
    for name, key in (("peerassist.fwos", "id"), ("premiumpay.sales", "_surrogate_key"), ("peek.bookings", "uuid")):
        with duckdb.connect(str(path)) as con:
            con.execute(f"DELETE FROM {name} WHERE hash({key}) % 3 = 0")
    asked = (*MODELS, "--vars", json.dumps(json.loads(BOTH) | {"peek_schemas": ["peek"]}))
    dbt.build(path, *asked, MERCHANT_AS_OF=two_accounts.as_of.isoformat())
    again.mkdir()
    copied = Day(path, two_accounts.as_of, [], [], two_accounts.built_at).copy(again)
    dbt.build(copied, *asked, "--full-refresh", MERCHANT_AS_OF=two_accounts.as_of.isoformat())
    assert_same(path, copied)
    before, after = (
        Counter(row["account"] for row in table(file, "marts.work_orders")) for file in (two_accounts.path, path)
    )
    assert after["peerassist"] < before["peerassist"]
    assert after["tap_peerassist__eu"] == before["tap_peerassist__eu"]
    assert {row["account"] for row in table(path, "marts.bookings")} == {"peek"}


OF_BOOKINGS = ("bookings", "departures", "departure_revenue")
PRODUCTS_LATER = {
    "come": ["ALTER TABLE peek.products RENAME TO later"],
    "are corrected": [
        "CREATE TABLE peek.later AS FROM peek.products",
        "UPDATE peek.products SET \"timeZone\" = 'Pacific/Auckland'",
    ],
}


@pytest.mark.parametrize("before", PRODUCTS_LATER.values(), ids=PRODUCTS_LATER)
def test_bookings_are_right_once_their_products_are(
    dbt: Dbt, a_month: list[Day], tmp_path: Path, before: list[str]
) -> None:
    """The bookings stay as they are, so only their products are new to the second build."""
    day = a_month[0]
    path = day.copy(tmp_path)
    with duckdb.connect(str(path)) as con:
        for statement in ("DROP SCHEMA staging CASCADE", "DROP SCHEMA intermediate CASCADE", *before):
            con.execute(statement)
    asked = (*MODELS, "--select", *(f"+{mart}" for mart in OF_BOOKINGS))
    dbt.build(path, *asked, MERCHANT_AS_OF=day.as_of.isoformat())
    assert comparable(table(path, "marts.bookings")) != comparable(day.mart("bookings"))
    with duckdb.connect(str(path)) as con:
        con.execute("DROP TABLE IF EXISTS peek.products")
        con.execute("ALTER TABLE peek.later RENAME TO products")

    dbt.build(path, *asked, MERCHANT_AS_OF=day.as_of.isoformat())

    for mart in OF_BOOKINGS:
        assert_equal(table(path, f"marts.{mart}"), FIGURES[mart](day.truths), mart)


def test_bookings_that_an_older_version_has_built_are_right_with_the_next_build(
    dbt: Dbt, a_month: list[Day], tmp_path: Path
) -> None:
    """0.2.0 kept `starts_at` with the bookings themselves."""
    day = a_month[0]
    path = day.copy(tmp_path)
    with duckdb.connect(str(path)) as con:
        con.execute("ALTER TABLE staging.stg_peek__bookings ADD COLUMN starts_at TIMESTAMP")
        con.execute("ALTER TABLE staging.stg_peek__bookings DROP COLUMN local_start")

    dbt.build(path, *MODELS, "--select", "+bookings", MERCHANT_AS_OF=day.as_of.isoformat())

    assert_equal(table(path, "marts.bookings"), FIGURES["bookings"](day.truths), "bookings")
    assert "starts_at" not in table(path, "staging.stg_peek__bookings")[0]


@pytest.mark.parametrize("told", ["peakium", "[]", "[1]", "{a: b}"])
def test_what_is_no_list_of_schemas_is_refused(dbt: Dbt, tmp_path: Path, told: str) -> None:
    asked = ("compile", "--select", "stg_accounts", "--vars", f"{{peakium_schemas: {told}}}")
    done = dbt.run(*asked, MERCHANT_WAREHOUSE=str(tmp_path / "warehouse.duckdb"))
    assert not done["success"]
    assert "peakium_schemas must list the schemas of peakium's accounts" in str(done["messages"])


def test_the_unit_tests_of_the_models_pass(dbt: Dbt, a_month: list[Day], tmp_path: Path) -> None:
    done = dbt.run("test", "--select", "test_type:unit", MERCHANT_WAREHOUSE=str(a_month[-1].copy(tmp_path)))
    assert done["success"], done["messages"]
    assert len(done["nodes"]) > 8


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
    dbt.build(path, *(DATA if WORLDS else MODELS), MERCHANT_AS_OF=day.as_of.isoformat())
    for owner, marts in OF_VENDORS.items():
        for mart in marts:
            wanted = day.mart(mart) if owner == vendor else []
            assert comparable(table(path, f"marts.{mart}")) == comparable(wanted), mart
    revenue = [row for row in day.mart("revenue_by_day") if row["vendor"] == vendor]
    assert comparable(table(path, "marts.revenue_by_day")) == comparable(revenue)


def test_an_empty_warehouse_works(dbt: Dbt, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    dbt.build(path, *MODELS)
    empty = {*FIGURES, "pipeline_loads", "pipeline_streams"} - {"customer_matching"}
    assert {name: table(path, f"marts.{name}") for name in empty} == {name: [] for name in empty}
    assert {row["can_match"] for row in table(path, "marts.customer_matching")} == {False}


def test_the_marts_tell_whose_days_they_count(dbt: Dbt, tmp_path: Path) -> None:
    """With every build of what follows from the loads."""
    path = tmp_path / "warehouse.duckdb"
    for zone in ("UTC", "America/Los_Angeles"):
        dbt.build(path, *MODELS, "--select", "source:loader+,build_settings", "--vars", f"{{time_zone: {zone}}}")
        assert table(path, "marts.build_settings") == [{"time_zone": zone}]


@pytest.mark.skipif(not WORLDS, reason="a long form: make soak")
def test_every_figure_is_right_whatever_the_seed(dbt: Dbt, sandbox: Sandbox, tmp_path: Path) -> None:
    for seed in range(4, 4 + WORLDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for day in days(dbt, sandbox, folder, seed=seed, ticks=(seed % 3, 1, 1, seed * 3, 9), asked=DATA):
            assert_right(day)
