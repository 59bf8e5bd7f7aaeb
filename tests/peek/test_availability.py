"""Availability: windows per option, products that went away, and snapshots over time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tap_core.testing import run_tap, selected
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FEW = {"availability_days_ahead": 3, "bookings_days_back": 10, "bookings_days_ahead": 10}
TODAY = date(2026, 3, 1)


def asked(world: World, route: str) -> list[dict[str, Any]]:
    return [json.loads(entry["body"]) for entry in world.requests("peek") if entry["route"] == route]


def test_each_option_is_asked_for_every_window_once(world: World, run: Callable[..., Run]) -> None:
    config = {
        **FEW,
        "availability_days_back": 5,
        "availability_days_ahead": 40,
        "calendar_window_days": 25,
        "availability_window_days": 7,
    }
    done = run(world, config=config)
    assert done.code == 0, done.log
    products = {row["id"] for row in done.records("products")}
    for route, longest in (("/availability/calendar", 25), ("/availability", 7)):
        bodies = asked(world, route)
        days: Counter[tuple[str, date]] = Counter()
        for body in bodies:
            assert body.keys() == {"productId", "optionId", "localDateStart", "localDateEnd"}
            first, last = (date.fromisoformat(body[name]) for name in ("localDateStart", "localDateEnd"))
            assert (last - first).days < longest
            days.update((body["productId"], first + timedelta(days=n)) for n in range((last - first).days + 1))
        wanted = [TODAY + timedelta(days=offset) for offset in range(-5, 41)]
        assert days == Counter({(product, day): 1 for product in products for day in wanted})
        assert len(bodies) == len(products) * -(-len(wanted) // longest)
    assert world.stats("peek")["routes"]["/products"] == 1
    starts = [row["localDate"] for row in done.records("availability_calendar")]
    assert (min(starts), max(starts)) == ("2026-02-24", "2026-04-10")


def test_by_default_an_option_costs_four_calls(world: World, run: Callable[..., Run]) -> None:
    done = run(world, config={"bookings_days_back": 0, "bookings_days_ahead": 0})
    options, routes = len(done.records("options")), world.stats("peek")["routes"]
    assert routes["/availability/calendar"] == options
    assert routes["/availability"] == 3 * options


def test_products_are_read_once_even_if_only_availability_is_selected(world: World, run: Callable[..., Run]) -> None:
    catalog = selected(json.loads(run(world, "--discover").output), ["availability", "units"])
    done = run(world, catalog=catalog, config=FEW)
    assert done.code == 0, done.log
    assert sorted(done.streams) == ["availability", "units"]
    assert world.stats("peek")["routes"]["/products"] == 1


def test_a_product_that_went_away_is_skipped_with_a_warning_and_a_count(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world.switch("peek", gone_products=2)
    done = run(world, config={"concurrency": 1})
    assert_exact(world, done)
    assert done.log.count("INVALID_PRODUCT_ID") == 4
    assert done.log.count("is skipped") == 4
    assert done.log.count("2 products gone") == 2
    refused = Counter(entry["route"] for entry in world.requests("peek") if entry["status"] == 400)
    assert refused == {"/availability": 2, "/availability/calendar": 2}


def test_an_option_that_went_away_is_skipped(world: World, run: Callable[..., Run]) -> None:
    error = {"error": "INVALID_OPTION_ID", "errorMessage": "no", "optionId": "x"}
    world.fault("peek", "/availability", "status", status=400, body=error, times=1)
    done = run(world, config=FEW)
    assert done.code == 0, done.log
    assert "1 products gone" in done.log
    assert len({row["productId"] for row in done.records("availability")}) == 11


def test_a_product_without_an_option_is_said_to_have_no_availability(canned: Callable[..., Canned]) -> None:
    products = [{"id": "av_1", "options": []}, {"id": "av_2"}, {"id": "av_3", "options": [{"id": "o"}]}]
    empty = "POST /availability", "POST /availability/calendar", "GET /bookings", "GET /webhooks"
    served = dict.fromkeys(empty, (200, b"[]"))
    server = canned({**served, "GET /products": (200, json.dumps(products).encode())})
    done = run_tap(TapPeek, server.account, config={**FEW, "bookings_window_days": 30})
    assert done.code == 0
    assert done.log.count("product av_1 of connection default has no option: its availability cannot be asked for") == 1
    assert done.log.count("product av_2 of connection default has no option") == 1
    assert "av_3" not in done.log


def test_a_range_that_is_too_long_names_the_setting(world: World, run: Callable[..., Run]) -> None:
    world.switch("peek", max_range_days=31)
    done = run(world)
    assert done.code == 4
    assert "lower calendar_window_days" in done.log
    assert "availability_window_days" not in done.log
    assert done.records("availability")
    assert done.records("bookings")


def test_snapshots_keep_how_departures_fill_up(world: World, run: Callable[..., Run]) -> None:
    config = {**FEW, "enable_streams": ["availability_snapshots"]}
    first = run(world, config=config)
    world.tick()
    world.advance(3600)
    second = run(world, config=config)
    moments = [{row["_read_at"] for row in done.records("availability_snapshots")} for done in (first, second)]
    assert [len(found) for found in moments] == [1, 1]
    assert min(moments[0]) < min(moments[1])
    kept = first.rows("availability_snapshots") | second.rows("availability_snapshots")
    assert len(kept) == len(first.records("availability")) + len(second.records("availability"))
    left: defaultdict[tuple[str, str], set[int | None]] = defaultdict(set)
    for row in kept.values():
        left[row["productId"], row["id"]].add(row.get("vacancies"))
    assert {len(vacancies) for vacancies in left.values()} == {1, 2}
    assert not second.of("ACTIVATE_VERSION", "availability_snapshots")
    assert not second.of("ACTIVATE_VERSION", "availability")
    assert world.stats("peek")["routes"]["/availability"] == 2 * 12
