"""What the tap reads is what the vendor has, whatever the vendor's page leaves open."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.clock import DAY
from merchant_sandbox.timeline import LAST_DAY
from tests.premiumpay.conftest import LISTS, ROWS, bag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.premiumpay.conftest import Warehouse

EDGES = ("[]", "[)", "(]", "()")
ZONES = ("UTC", "Europe/Madrid")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("edges", EDGES)
def test_s16_exact_whatever_edges_and_zone(make: Callable[..., Warehouse], edges: str, zone: str) -> None:
    """A year with both changes of Madrid's clocks, sales on every edge, twins and a month without sales."""
    settings = {"time_zone": zone, "window_edges": edges}
    house = make(config={**settings, "backfill_window_days": 28}, edges=edges, zone=zone)
    run = house.read()
    house.check(*LISTS, *ROWS, "aggregated_sales")
    house.check_windows()
    assert len(house.rows("sales")) == len(run.records("sales")), "no key comes twice in a run"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("edges", EDGES)
def test_s1_s13_s16_exact_after_kill_budget_late_sales_and_dst(
    make: Callable[..., Warehouse], edges: str, zone: str
) -> None:
    """A run of a hundred calls an hour that is killed, and three more in the days around the end of summer time."""
    since, end = "2026-10-08T00:00:00.000000Z", "2026-10-28T00:00:00.000000Z"
    settings = {"time_zone": zone, "window_edges": edges, "start_date": since, "lookback_days": 3}
    house = make(
        config={**settings, "sales_key_field": "id"},
        ticks=263,
        clock_rate=3600,
        rate_limit=100,
        edges=edges,
        zone=zone,
    )

    def check() -> None:
        for stream in ("sales", "channel_sales"):
            expected = [row for row in house.truth(stream) if since <= row["date_time"] < end]
            assert len(expected) > 30
            assert sorted(row["id"] for row in house.rows(stream)) == sorted(row["id"] for row in expected)

    config = {"end_date": "2026-10-22"}
    assert house.start_and_kill(lines=60, **config).records("gateways")
    house.read(**config)
    for day in (24, 26, 28):
        house.world.tick(2)
        house.read(end_date=f"2026-10-{day}")
    check()
    assert list(house.world.stats("premiumpay")["statuses"]) == ["200"]
    house.world.switch("premiumpay", rate_limit=0)
    house.read(end_date="2026-10-28", lookback_days=20)  # refunds of sales that are older than three days
    for stream in ("sales", "channel_sales"):
        assert bag(house.rows(stream)) == bag(row for row in house.truth(stream) if since <= row["date_time"] < end)
    house.check_aggregates(since, end)
    house.check_windows()


@pytest.mark.parametrize(("edges", "zone"), [("()", "UTC"), ("[)", "Europe/Madrid"), ("()", "Europe/Madrid")])
def test_s16_no_sale_is_lost_by_a_wrong_guess_about_edges_or_zone(
    make: Callable[..., Warehouse], edges: str, zone: str
) -> None:
    house = make(config={"backfill_window_days": 28}, edges=edges, zone=zone)
    house.read()
    for stream in ("sales", "channel_sales"):
        assert sorted(row["id"] for row in house.rows(stream)) == sorted(row["id"] for row in house.truth(stream))


def test_a_sale_in_the_second_before_the_first_window_is_left_to_the_one_before(make: Callable[..., Warehouse]) -> None:
    days = {"window_hours": 24, "backfill_window_days": 1, "start_date": "2025-05-30", "end_date": "2025-06-03"}
    house = make(config=days)
    assert "2025-05-31T23:59:59.000000Z" in {row["date_time"] for row in house.read().records("sales")}
    again = house.read(lookback_days=1).records("sales")
    assert min(row["date_time"] for row in again) == "2025-06-01T00:00:00.000000Z"
    house.check_windows()


@pytest.mark.parametrize("zone", ZONES)
def test_s8_exact_by_the_hour_over_a_dst_change(make: Callable[..., Warehouse], zone: str) -> None:
    house = make(
        config={
            "time_zone": zone,
            "window_hours": 1,
            "backfill_window_days": 1,
            "start_date": "2025-10-26",
            "end_date": "2025-10-27",
            "lookback_days": 200,
        },
        zone=zone,
    )
    house.read()
    since, end = "2025-10-25T23:59:59", "2025-10-27"  # the first window begins a second early
    expected = [row["id"] for row in house.truth("sales") if since <= row["date_time"] < end]
    assert len(expected) >= 6
    assert sorted(row["id"] for row in house.rows("sales")) == sorted(expected)


@pytest.mark.parametrize("row_id", [True, False], ids=["id", "no-id"])
@pytest.mark.parametrize("row_time", [True, False], ids=["time", "no-time"])
def test_equal_sales_stay_as_many_rows_as_they_are(
    make: Callable[..., Warehouse], *, row_id: bool, row_time: bool
) -> None:
    untimed = {"sales": {"time": None}, "channel_sales": {"time": None}}
    house = make(config={"endpoints": {} if row_time else untimed}, row_id=row_id, row_time=row_time)
    house.read()
    house.check("sales", "channel_sales")


def test_rows_without_the_time_that_was_guessed_are_told_of_and_never_lost(make: Callable[..., Warehouse]) -> None:
    house = make(row_id=False, row_time=False)
    run = house.run()
    assert "sales: rows have no date_time" in run.log
    assert len(house.rows("sales")) >= len(house.truth("sales"))


@pytest.mark.parametrize("empty", ["ko", "404"])
def test_h12_an_empty_window_may_say_no_data(make: Callable[..., Warehouse], empty: str) -> None:
    house = make(empty=empty, wrapped=True, id_names="id")
    house.read(start_date="2025-07-01")
    house.check("channel_links", "services")
    expected = [row for row in house.truth("sales") if row["date_time"] >= "2025-06-26"]  # where the window begins
    assert len(house.rows("sales")) == len(expected)


def test_s13_late_sales_and_refunds_are_found_within_the_lookback(make: Callable[..., Warehouse]) -> None:
    config = {"start_date": "2025-12-01", "lookback_days": 15, "sales_key_field": "id"}
    house = make(config=config, clock_start=LAST_DAY)
    for _ in range(4):
        run = house.read()
        since = "2025-11-27"
        expected = {row["id"]: row for row in house.truth("sales") if row["date_time"] >= since}
        found = {row["id"]: row for row in house.rows("sales")}
        late = {
            id_
            for id_, row in expected.items()
            if row["date_time"] > run.state["bookmarks"]["sales"]["_grid"]["boundary"]
        }
        assert late <= found.keys()
        house.world.tick()
    assert any(row.get("amount") == "0.00" for row in found.values())


def test_s13_the_usual_lookback_finds_what_is_two_days_late(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2026-01-01"}, clock_start=LAST_DAY)
    house.read()
    for _ in range(4):
        house.world.tick()
        house.read()
    house.world.advance(DAY / 2)
    house.read()
    expected = {row["id"] for row in house.truth("sales") if row["date_time"] >= "2026-01-01"}
    assert expected <= {row["id"] for row in house.rows("sales")}


def test_s12_the_bookmark_moves_over_empty_windows(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2025-08-07", "end_date": "2025-08-28"})
    run = house.read()
    assert not run.records("sales")
    starts = [
        message["value"]["bookmarks"]["sales"]["replication_key_value"]
        for message in run.of("STATE")
        if "replication_key_value" in message["value"].get("bookmarks", {}).get("sales", {})
    ]
    assert list(dict.fromkeys(starts)) == [f"2025-08-{number:02}T00:00:00.000000Z" for number in (7, 14, 21)]


def test_a_lookback_never_mixes_windows_of_both_lengths(make: Callable[..., Warehouse]) -> None:
    house = make(config={"start_date": "2025-12-01"}, clock_start=LAST_DAY)
    house.read()
    for _ in range(9):
        house.world.tick()
    house.world.advance(DAY)
    house.read(lookback_days=40)
    bounds = {(row["_window_start"], row["_window_end"]) for row in house.rows("aggregated_sales")}
    ordered = sorted(bounds)
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))
    lengths = {int(end[8:10]) - int(start[8:10]) for start, end in bounds if start[:7] == end[:7]}
    assert lengths == {1, 7}
    truth = {row["_group_value"] for row in house.truth("aggregated_sales")}
    assert {row["_group_value"] for row in house.rows("aggregated_sales")} <= truth


def test_a_time_that_cannot_be_read_is_told_of(make: Callable[..., Warehouse]) -> None:
    wanted = {"extra_columns": {"sales": {"status": "date-time"}}, "endpoints": {"sales": {"time": "status"}}}
    house = make(config={"start_date": "2026-01-20", **wanted}, extra_fields=True)
    assert "sales: rows have no status that can be read; rows on the edge of two windows come twice" in house.run().log


@pytest.mark.parametrize("per_link", [False, True])
def test_s14_the_state_is_small_with_two_thousand_channels(make: Callable[..., Warehouse], *, per_link: bool) -> None:
    house = make(config={"start_date": "2026-01-29", "window_hours": 168, "per_link": per_link}, channels=2000)
    run = house.run()
    assert "channels: a response has exactly 2,000 rows; if that is the API's limit, rows are missing: ask" in run.log
    assert len(house.rows("channels")) == 2000
    assert max(len(json.dumps(message)) for message in run.of("STATE")) < 50_000
