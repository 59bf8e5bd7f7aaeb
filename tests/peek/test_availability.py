"""Availability: windows per option, products that went away, and snapshots over time."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

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
    assert done.log.count("2 products gone") == 4, "two streams say so, and the table"
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


def test_the_utc_start_follows_the_product_s_zone_whatever_the_offset_says(
    make_world: Callable[..., World], run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world = make_world(
        clock_start=datetime(2026, 6, 20, tzinfo=UTC).timestamp(), switches={"peek": {"local_offsets": "winter"}}
    )
    done = run(world, config={"enable_streams": ["availability_snapshots"], "bookings_days_back": 365})
    assert_exact(world, done)
    zones = {row["id"]: ZoneInfo(row["timeZone"]) for row in done.records("products")}
    wrong = 0
    for row in done.records("availability"):
        stated = datetime.fromisoformat(row["localDateTimeStart"])
        local = datetime.fromisoformat(row["_utc_start"]).astimezone(zones[row["productId"]])
        assert local.replace(tzinfo=None) == stated.replace(tzinfo=None)
        wrong += local.utcoffset() != stated.utcoffset()
    assert wrong > 100


AROUND_THE_CLOCK_CHANGE = {
    "2026-07-01T14:30:00-08:00": "2026-07-01T21:30:00.000000Z",
    "2026-07-01T14:30:00": "2026-07-01T21:30:00.000000Z",
    "2026-11-01T01:30:00-07:00": "2026-11-01T08:30:00.000000Z",
    "2026-11-01T01:30:00-08:00": "2026-11-01T09:30:00.000000Z",
    "2026-11-01T01:30:00+01:00": "2026-11-01T08:30:00.000000Z",
    "2026-03-08T02:30:00-08:00": "2026-03-08T10:30:00.000000Z",
    "2026-03-08T02:30:00-07:00": "2026-03-08T10:30:00.000000Z",
    "soon": None,
}


def test_a_local_time_that_comes_twice_or_never_has_one_utc_start(canned: Callable[..., Canned]) -> None:
    products = [
        {"id": "p1", "timeZone": "America/Los_Angeles", "options": [{"id": "o"}]},
        {"id": "p2", "timeZone": "America/Nowhere", "options": [{"id": "o"}]},
        {"id": "p3", "options": [{"id": "o"}]},
    ]
    departures = [{"id": local, "localDateTimeStart": local} for local in AROUND_THE_CLOCK_CHANGE]
    answers = {"GET /products": products, "POST /availability": departures}
    empty = dict.fromkeys(("POST /availability/calendar", "GET /bookings", "GET /webhooks"), (200, b"[]"))
    server = canned({**empty, **{call: (200, json.dumps(rows).encode()) for call, rows in answers.items()}})
    done = run_tap(TapPeek, server.account, config={"availability_days_ahead": 0, "bookings_days_back": 0})
    assert done.code == 0, done.log
    found = {(row["productId"], row["id"]): row.get("_utc_start") for row in done.records("availability")}
    assert found == {
        (product, local): moment if product == "p1" else None
        for product in ("p1", "p2", "p3")
        for local, moment in AROUND_THE_CLOCK_CHANGE.items()
    }
    assert "2 without a zone" in done.log


def test_prices_come_in_the_currency_that_is_asked_for(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world.switch("peek", currency="EUR")
    done = run(world, config={"availability_currency": "EUR"})
    assert_exact(world, done)
    offering = {row["id"] for row in done.records("products") if "EUR" in row["availableCurrencies"]}
    assert 0 < len(offering) < len(done.records("products"))
    for route in ("/availability/calendar", "/availability"):
        for body in asked(world, route):
            assert body.get("currency") == ("EUR" if body["productId"] in offering else None)
    priced = [row for row in done.records("availability") if row["productId"] in offering]
    assert {price["currency"] for row in priced for price in row.get("unitPricing") or [row["pricing"]]} == {"EUR"}
    others = len(done.records("products")) - len(offering)
    assert done.log.count(f"{others} products do not offer EUR") == 1


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
