"""What an operator lists no more is gone from the warehouse, and nothing that was not read whole."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import KEYS
from tap_core.testing import Account, run_tap, selected
from tap_peek.tap import TapPeek
from tests.loader.harness import Loader
from tests.nights.oracle import lies_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from merchant_sandbox.client import Sandbox, World
    from tap_core.testing import Run

DAYS = {"availability": "localDateTimeStart", "availability_calendar": "localDate"} | dict.fromkeys(
    ("bookings", "booking_unit_items"), "_travel_date"
)
"""The streams that tell what is gone, and their columns with a day."""

FEW = {"availability_days_ahead": 10, "bookings_days_back": 60, "bookings_days_ahead": 30}
TODAY = date(2026, 3, 1)
BOTH = [{"name": name, "api_key": key} for name, key in KEYS.items()]


def scopes(run: Run, stream: str) -> list[dict[str, Any]]:
    """What a run says that it has read whole."""
    told: list[dict[str, Any]] = run.state.get("bookmarks", {}).get(stream, {}).get("_scopes_read", [])
    return told


def gone(before: Run, after: Run, stream: str) -> list[dict[str, Any]]:
    """The rows that a loader takes away: those of the scopes that did not come."""
    came = after.rows(stream)
    left = [row for key, row in before.rows(stream).items() if key not in came]
    return [row for row in left if any(lies_in(row, **scope) for scope in scopes(after, stream))]


@pytest.fixture(scope="module")
def before(sandbox: Sandbox) -> Iterator[Run]:
    """What a run gives in a world in which nothing has happened yet."""
    world = sandbox.world()
    yield run_tap(TapPeek, Account(world.config("peek"), world.env("peek")), config=FEW)
    world.drop()


def test_the_days_that_a_run_does_not_read_keep_their_rows(before: Run, world: World, run: Callable[..., Run]) -> None:
    config = {"availability_days_ahead": 3, "bookings_days_back": 30, "bookings_days_ahead": 10}
    world.fault("peek", "/availability", "delete", rows=1, position=1, after=0)
    world.fault("peek", "/bookings", "delete", rows=1, position=1, after=0)
    after = run(world, config=config, state=before.state)
    for stream, (back, ahead) in {"availability": (1, 3), "bookings": (30, 10)}.items():
        days = [row[DAYS[stream]][:10] for row in gone(before, after, stream)]
        assert days, stream
        assert str(TODAY - timedelta(days=back)) <= min(days)
        assert max(days) <= str(TODAY + timedelta(days=ahead))


@pytest.mark.parametrize("how", ["refused", "unknown", "excluded", "without an option", "failed window"])
def test_a_product_that_was_not_read_keeps_its_rows_and_the_others_do_not(
    before: Run, world: World, run: Callable[..., Run], how: str
) -> None:
    products = [row["id"] for row in before.records("products")]
    config: dict[str, Any] = {**FEW, "concurrency": 1}
    kept = products[0]
    if how == "refused":
        world.switch("peek", refused_products=1)
    elif how == "unknown":
        world.switch("peek", gone_products=1)
        kept = products[-1]
    elif how == "excluded":
        kept = products[5]
        config["exclude_products"] = [kept]
    elif how == "without an option":
        world.fault("peek", "/products", "patch", set={"0.options": []}, times=None)
    else:
        config["availability_window_days"] = 6
        world.fault("peek", "/availability", "status", status=400, body={"error": "UNPROCESSABLE_ENTITY"}, times=1)
    for route in ("/availability", "/availability/calendar"):
        world.fault("peek", route, "delete", rows=1, position=2, after=0)
    after = run(world, config=config, state=before.state)
    streams = ["availability"] if how == "failed window" else ["availability", "availability_calendar"]
    for stream in streams:
        assert {row["productId"] for row in gone(before, after, stream)} == {*products} - {kept}, stream
        assert len(scopes(after, stream)) <= 2


def test_a_product_that_is_listed_no_more_takes_its_availability_along(
    before: Run, world: World, run: Callable[..., Run]
) -> None:
    world.fault("peek", "/products", "delete", rows=2, position=4, after=0)
    after = run(world, config=FEW, state=before.state)
    dropped = {row["id"] for row in before.records("products")} - {row["id"] for row in after.records("products")}
    assert len(dropped) == 2
    for stream in ("availability", "availability_calendar"):
        rows = gone(before, after, stream)
        assert {row["productId"] for row in rows} == dropped
        assert len(rows) == sum(row["productId"] in dropped for row in before.records(stream))


def test_one_connection_that_is_lost_keeps_its_rows(make_world: Callable[..., World], run: Callable[..., Run]) -> None:
    world = make_world(switches={"peek": {"operators": 2}})
    config = {**FEW, "api_key": None, "connections": BOTH}
    before = run(world, config=config)
    for route in ("/availability", "/bookings", "/availability/calendar"):
        world.fault("peek", route, "delete", rows=1, position=1, after=0)
    broken = [BOTH[0], {**BOTH[1], "api_key": "no-such-key"}]
    after = run(world, config={**config, "connections": broken}, state=before.state)
    assert after.code == 4
    for stream in DAYS:
        rows = gone(before, after, stream)
        assert {row["_connection"] for row in rows} == {"default"}, stream
    rest = run(world, config={**config, "connections": BOTH[:1]}, state=before.state)
    assert {scope["equal"]["_connection"] for stream in DAYS for scope in scopes(rest, stream)} == {"default"}


@pytest.mark.parametrize(
    ("switches", "told", "says"),
    [
        ({"local_date_means": "created"}, False, True),
        ({"booking_filter": "references"}, False, False),
        ({"booking_filter": "references", "bookings_unfiltered": "all"}, False, True),
        ({"order": "newest"}, True, False),
    ],
    ids=["days of booking", "no filter", "filter ignored", "days of travel"],
)
def test_a_filter_that_may_mean_something_else_takes_nothing_away(
    make_world: Callable[..., World], run: Callable[..., Run], switches: dict[str, Any], *, told: bool, says: bool
) -> None:
    done = run(make_world(switches={"peek": switches}), config={**FEW, "availability_days_ahead": 0})
    assert done.code == 0, done.log
    for stream in ("bookings", "booking_unit_items"):
        assert bool(scopes(done, stream)) is told
    assert ("bookings: the server sends rows of other days than it is asked for" in done.log) is says


LACKING = ["failed window", "rejected", "nothing came", "without tickets"]
NOT_TOLD = [*LACKING, "client_filter", "mapped", "dropped", "no versions"]


@pytest.mark.parametrize("how", NOT_TOLD)
def test_bookings_that_were_not_read_whole_are_not_gone(world: World, run: Callable[..., Run], how: str) -> None:
    config: dict[str, Any] = {**FEW, "availability_days_ahead": 0}
    if how == "failed window":
        world.fault("peek", "/bookings", "status", status=400, body={"error": "BAD_REQUEST"}, after=1, times=1)
    elif how == "rejected":
        world.fault("peek", "/bookings", "patch", set={"0.uuid": None}, times=1, after=1)
    elif how == "mapped":
        config["stream_maps"] = {"bookings": {"__filter__": "True"}, "booking_unit_items": {"__filter__": "True"}}
    elif how == "without tickets":
        world.fault("peek", "/bookings", "patch", remove=["*.unitItems"], times=None)
    elif how == "dropped":
        config["drop_fields"] = ["_travel_date"]
    elif how == "nothing came":
        world.fault("peek", "/bookings", "delete", rows=1000, position=0, after=0)
    else:
        config |= {"client_filter": {"client_filter": True}, "no versions": {"emit_activate_version_messages": False}}[
            how
        ]
    done = run(world, config=config)
    assert done.code == (4 if how in {"failed window", "rejected"} else 0), done.log
    assert bool(scopes(done, "bookings")) is (how == "without tickets")
    assert not scopes(done, "booking_unit_items")
    for stream in ("bookings", "booking_unit_items"):
        marked = "x-scopes" in done.of("SCHEMA", stream)[0]["schema"]
        assert marked is (how in LACKING)
    if how == "failed window":
        assert scopes(done, "availability"), "other streams were read whole"


def test_tickets_alone_and_bookings_without_a_bookmark_tell_it_too(world: World, run: Callable[..., Run]) -> None:
    found = json.loads(run(world, "--discover").output)
    alone = run(world, config=FEW, catalog=selected(found, ["booking_unit_items"]))
    catalog = selected(found, ["bookings"])
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["forced-replication-method"] = "FULL_TABLE"
    full = run(world, config=FEW, catalog=catalog)
    assert (
        scopes(alone, "booking_unit_items")
        == scopes(full, "bookings")
        == [
            {
                "equal": {"_connection": "default"},
                "start": {"_travel_date": "2025-12-31"},
                "end": {"_travel_date": "2026-04-01"},
            }
        ]
    )
    assert not full.of("ACTIVATE_VERSION"), "what lies outside the days is not gone"


def test_tickets_that_have_left_a_booking_that_settings_name_are_gone(world: World, run: Callable[..., Run]) -> None:
    references = [f"RS-{number}" for number in range(5, 600, 30)]
    config = {**FEW, "availability_days_ahead": 0, "reseller_references": references}
    before = run(world, config=config)
    open_dated = [row["uuid"] for row in before.records("bookings") if row["availability"] is None]
    assert open_dated
    world.fault("peek", "/bookings", "patch", remove=["0.unitItems"], times=None)
    after = run(world, config=config, state=before.state)
    empty = {row["uuid"] for row in after.records("bookings") if row.get("unitItems") is None}
    assert {row["bookingUuid"] for row in gone(before, after, "booking_unit_items")} == empty >= {*open_dated}
    assert gone(before, after, "bookings") == []


def test_a_run_that_is_cut_short_tells_nothing(before: Run, world: World, run: Callable[..., Run]) -> None:
    world.fault("peek", "/availability", "status", status=503, times=None, after=5)
    after = run(world, config={**FEW, "retry_max_s": 0}, state=before.state)
    assert after.code == 4
    assert not scopes(after, "availability")
    assert scopes(after, "bookings")


def test_a_warehouse_with_times_of_reading_keeps_them(
    before: Run, world: World, run: Callable[..., Run], tmp_path: Path
) -> None:
    loader, older = Loader(tmp_path), []
    for message in before.messages:
        if message.get("stream") == "availability":
            if message["type"] == "SCHEMA":
                message["schema"]["properties"]["_read_at"] = {"type": ["string", "null"], "format": "date-time"}
                del message["schema"]["x-scopes"]
            else:
                message["record"]["_read_at"] = "2026-02-28T00:00:00Z"
        older.append(message)
    loader.load(older)
    world.fault("peek", "/availability", "delete", rows=1, position=1, after=0)
    world.advance(3600)
    loader.load(run(world, config=FEW, state=before.state).output)
    counts = loader.counts("availability")
    assert counts["unchanged"] == len(before.records("availability")) - counts["deleted"]
    assert counts["deleted"] == 12
    assert loader.sql("SELECT DISTINCT _read_at IS NULL FROM availability") == [(False,)]
