"""Bookings: windows of travel, repeats, references, the derived marker and the filter by it."""

from __future__ import annotations

import itertools
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from merchant_sandbox.vendors.peek.api import KEYS
from tap_core.testing import merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run

FEW = {"availability_days_back": 0, "availability_days_ahead": 0}


def asked(world: World) -> list[dict[str, str]]:
    return [
        {name: values[0] for name, values in parse_qs(entry["query"]).items()}
        for entry in world.requests("peek")
        if entry["route"] == "/bookings"
    ]


def test_windows_cover_the_days_without_a_gap(world: World, run: Callable[..., Run]) -> None:
    config = {**FEW, "bookings_days_back": 100, "bookings_days_ahead": 50, "bookings_window_days": 14}
    assert run(world, config=config).code == 0
    windows = sorted((query["localDateStart"], query["localDateEnd"]) for query in asked(world))
    assert (windows[0][0], windows[-1][1]) == ("2025-11-21", "2026-04-20")
    for (_, end), (start, _) in itertools.pairwise(windows):
        assert date.fromisoformat(start).toordinal() == date.fromisoformat(end).toordinal() + 1


def test_s16_what_neighbouring_windows_repeat_is_emitted_once(world: World, run: Callable[..., Run]) -> None:
    config = {**FEW, "bookings_days_back": 120, "bookings_days_ahead": 0}
    daily = run(world, config={**config, "bookings_window_days": 1})
    whole = run(world, config={**config, "bookings_window_days": 400})
    overnight = [
        row
        for row in whole.records("bookings")
        if row["availability"]["localDateTimeStart"][:10] != row["availability"]["localDateTimeEnd"][:10]
    ]
    assert overnight
    for stream in ("bookings", "booking_unit_items"):
        assert len(daily.records(stream)) == len(daily.rows(stream))
        assert daily.rows(stream) == whole.rows(stream)


def test_references_find_what_no_travel_date_can(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    odd = "Ærø & Søn #155/ü+1"
    references = [f"RS-{number}" for number in range(5, 600, 30)] + [odd, "no such reference", "RS-65"]
    world.switch("peek", references=references)
    done = run(world, config={"reseller_references": references})
    assert_exact(world, done)
    by_reference = [query["resellerReference"] for query in asked(world) if "resellerReference" in query]
    assert sorted(by_reference) == sorted(set(references)), "each reference costs one call"
    open_dated = [row for row in done.records("bookings") if row["availability"] is None]
    assert open_dated

    wanted = open_dated[0]["supplierReference"]
    connections = [{"name": name, "api_key": key} for name, key in sorted(KEYS.items(), reverse=True)]
    config = {**FEW, "supplier_references": [wanted], "bookings_days_back": 0, "bookings_days_ahead": 0}
    by_supplier = run(world, config={**config, "api_key": None, "connections": connections})
    assert [query.get("supplierReference") for query in asked(world)].count(wanted) == len(connections)
    found = {(row["_connection"], row["supplierReference"]): row for row in by_supplier.records("bookings")}
    assert found["default", wanted] == open_dated[0]


def test_the_marker_is_the_latest_moment_that_a_record_tells(
    make_world: Callable[..., World], run: Callable[..., Run]
) -> None:
    world = make_world(switches={"peek": {"booking_dates": True}})
    done = run(world, config=FEW)
    forms = set()
    for row in done.records("bookings"):
        times = {name: row.get(name) for name in ("utcCreatedAt", "utcUpdatedAt", "utcConfirmedAt")}
        times["utcCancelledAt"] = (row["cancellation"] or {}).get("utcCancelledAt")
        told = {name: value for name, value in times.items() if value}
        assert row["_updated_at"] == max(told.values())
        forms.add(max(told, key=lambda name: told[name]))
    assert forms == {"utcCreatedAt", "utcUpdatedAt", "utcConfirmedAt", "utcCancelledAt"}
    newest = max(row["_updated_at"] for row in done.records("bookings"))
    for stream in ("bookings", "booking_unit_items"):
        assert done.state["bookmarks"][stream]["replication_key_value"] == newest


def test_s7_records_without_any_moment_are_emitted_and_move_nothing(world: World, run: Callable[..., Run]) -> None:
    done = run(world, config=FEW)
    without = [row for row in done.records("bookings") if row.get("_updated_at") is None]
    assert {row["status"] for row in without} == {"ON_HOLD", "EXPIRED"}
    again = run(world, config=FEW, state=done.state)
    assert again.rows("bookings") == done.rows("bookings")
    assert again.state == done.state


def test_the_client_filter_leaves_out_older_ones_only(world: World, run: Callable[..., Run]) -> None:
    config = {**FEW, "client_filter": True}
    first = run(world, config=config)
    bookmark = first.state["bookmarks"]["bookings"]["replication_key_value"]
    world.tick(3)
    second = run(world, config=config, state=first.state)
    kept = second.rows("bookings")
    assert 0 < len(kept) < len(first.records("bookings"))
    assert all(row.get("_updated_at", bookmark) >= bookmark for row in kept.values())
    whole = merged(world.truth("peek", "bookings"), second.keys("bookings"))
    assert kept == {key: row for key, row in whole.items() if row.get("_updated_at", bookmark) >= bookmark}
    items = {row["bookingUuid"] for row in second.records("booking_unit_items")}
    assert items == {row["uuid"] for row in kept.values()}


def test_a_connection_that_joins_is_read_from_the_start_even_with_the_filter(
    make_world: Callable[..., World], run: Callable[..., Run]
) -> None:
    world = make_world(switches={"peek": {"operators": 2}})
    connections = [{"name": name, "api_key": key} for name, key in KEYS.items()]
    config = {**FEW, "client_filter": True, "api_key": None}
    first = run(world, config={**config, "connections": connections[:1]})
    second = run(world, config={**config, "connections": connections}, state=first.state)
    for stream in ("bookings", "booking_unit_items"):
        new = [row for row in second.records(stream) if row["_connection"] == "south"]
        assert len(new) == sum(row["_connection"] == "south" for row in world.truth("peek", stream))
    third = run(world, config={**config, "connections": connections}, state=second.state)
    assert len(third.records("bookings")) < len(second.records("bookings"))


def test_what_joins_in_a_run_with_an_earlier_end_is_read_on_without_it(world: World, run: Callable[..., Run]) -> None:
    config = {"client_filter": True, "availability_days_ahead": 0}
    state = run(world, config={**config, "bookings_days_back": 30}).state
    found: set[Any] = set()
    for end in ({"end_date": "2026-01-01"}, {}):
        done = run(world, config={**config, **end}, state=state)
        found |= done.rows("bookings").keys()
        state = done.state
    assert found == run(world, config=config).rows("bookings").keys()


def test_what_joins_by_a_setting_is_read_from_the_start_even_with_the_filter(
    world: World, run: Callable[..., Run]
) -> None:
    config = {**FEW, "bookings_days_back": 5, "bookings_days_ahead": 5, "client_filter": True}
    first = run(world, config=config)
    changes: list[dict[str, Any]] = [
        {"bookings_days_back": 9},
        {"bookings_days_ahead": 9},
        {"reseller_references": ["RS-5"]},
        {"supplier_references": ["no such reference"]},
    ]
    for change in changes:
        joined = run(world, config={**config, **change}, state=first.state)
        assert joined.rows("bookings").items() >= first.rows("bookings").items(), change


def test_other_names_of_the_filter_are_a_setting(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world.switch("peek", booking_filter="renamed")
    told = run(world, config=FEW)
    assert told.code == 0
    assert "set parameters.travel_from" in told.log
    wrong = run(world, config={**FEW, "parameters": {"travel_from": "dateFrom"}})
    assert wrong.code == 4, "the user says that there is such a filter"
    assert "set parameters" in wrong.log
    for refused in (told, wrong):
        assert not refused.records("bookings")
        assert "replication_key_value" not in refused.state["bookmarks"].get("bookings", {})
    names = {"travel_from": "travelDateFrom", "travel_to": "travelDateTo"}
    assert_exact(world, run(world, config={"parameters": names}))


def test_s15_a_window_that_fails_leaves_the_bookmark_and_a_second_run_is_exact(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    before = run(world, config=FEW)
    world.tick()
    world.fault("peek", "/bookings", "status", status=503, times=None, after=20)
    failed = run(world, config={**FEW, "retry_max_s": 0}, state=before.state)
    assert failed.code == 4
    kept = {name: value for name, value in before.state["bookmarks"]["bookings"].items() if name != "_scopes_read"}
    assert failed.state["bookmarks"]["bookings"] == kept
    assert failed.records("webhooks")
    world.clear_faults()
    assert_exact(world, run(world, state=failed.state))
