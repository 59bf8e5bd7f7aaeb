"""A server of the plain standard: what it does not offer is said once, and everything else is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import KEYS, OCTO_TODAY
from tap_core.testing import merged, run_tap
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FEW = {"availability_days_back": 0, "availability_days_ahead": 0}
UNDATED = "the server does not filter by days of travel"
NO_WEBHOOKS = "webhooks: this server has no GET /webhooks"
UUID = "6f1c1f0e-3b1a-4f8b-9a53-0d5c6a7b8c9d"
EMPTY = dict.fromkeys(("GET /products", "GET /bookings", "GET /webhooks"), (200, b"[]"))


@pytest.fixture
def octo(make_world: Callable[..., World]) -> World:
    return make_world(switches={"peek": OCTO_TODAY})


def test_a_server_of_today_s_standard_is_read_with_its_address_and_key(
    octo: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    done = run(octo, config={"enable_streams": ["supplier", "capabilities"]})
    assert_exact(octo, done)
    assert done.log.count(UNDATED) == 1
    assert done.log.count(NO_WEBHOOKS) == 1
    assert not done.records("bookings")
    assert octo.stats("peek")["routes"]["/bookings"] <= 2 * 4 + 1, "windows are not asked for once it is clear"
    for stream in ("bookings", "webhooks"):
        assert not done.of("ACTIVATE_VERSION", stream), "what was not read is not gone"


def test_its_bookings_are_read_by_reference_and_by_uuid(
    octo: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    model = {**OCTO_TODAY, "booking_filter": "travel_dates"}
    octo.switch("peek", **model)
    known = octo.truth("peek", "bookings")
    uuids = [row["uuid"] for row in known[100:140:8]]
    references = [row["resellerReference"] for row in known if row.get("resellerReference")][:5]
    octo.switch("peek", **OCTO_TODAY, references=references, uuids=uuids)
    done = run(octo, config={"reseller_references": references, "booking_uuids": uuids})
    assert_exact(octo, done)
    assert len(done.records("bookings")) == 10
    assert done.records("booking_unit_items")
    begun = {stream for stream, entry in done.state["bookmarks"].items() if "replication_key_value" in entry}
    assert not begun & {"bookings", "booking_unit_items"}, "not all of them were read"
    routes = octo.stats("peek")["routes"]
    assert routes["/bookings/{uuid}"] == len(uuids)
    again = run(octo, config={"reseller_references": references, "booking_uuids": uuids}, state=done.state)
    assert again.rows("bookings") == done.rows("bookings")


def test_a_booking_that_a_webhook_named_is_asked_of_every_operator(
    make_world: Callable[..., World], run: Callable[..., Run]
) -> None:
    world = make_world(switches={"peek": {**OCTO_TODAY, "operators": 2}})
    world.switch("peek", booking_filter="travel_dates")
    theirs = next(row for row in world.truth("peek", "bookings") if row["_connection"] == "south")
    world.switch("peek", booking_filter="references")
    connections = [{"name": name, "api_key": key} for name, key in KEYS.items()]
    config = {**FEW, "api_key": None, "connections": connections, "booking_uuids": [theirs["uuid"], UUID]}
    done = run(world, config=config)
    assert done.code == 0, done.log
    assert merged(done.records("bookings"), ["uuid"]) == merged([theirs], ["uuid"])
    assert done.log.count("the API does not know booking_uuids[1]") == 1
    assert UUID not in done.log
    assert "1 unknown" in done.log


@pytest.mark.parametrize("answer", [(400, b'{"error": "INVALID_BOOKING_UUID"}'), (404, b"{}")])
def test_a_reference_that_is_a_uuid_may_be_the_booking_s_own(
    canned: Callable[..., Canned], answer: tuple[int, bytes]
) -> None:
    booking = json.dumps({"uuid": UUID, "resellerReference": None, "unitItems": []}).encode()
    server = canned({**EMPTY, f"GET /bookings/{UUID}": (200, booking), "GET /bookings/unknown": answer})
    config = {"bookings_days_back": 0, "bookings_days_ahead": 0, "reseller_references": [UUID, "RS-1"]}
    done = run_tap(TapPeek, server.account, config=config)
    assert done.code == 0, done.log
    assert [row["uuid"] for row in done.records("bookings")] == [UUID]
    assert server.asked.count(f"GET /bookings/{UUID}") == 1

    strange = UUID.replace("6", "7")
    server.answers[f"GET /bookings/{strange}"] = answer
    done = run_tap(TapPeek, server.account, config={**config, "supplier_references": [strange]})
    assert done.code == 0, done.log
    assert len(done.records("bookings")) == 1


@pytest.mark.parametrize("answer", ["404", "405"])
def test_a_server_without_webhooks_is_told_once_for_all_operators(
    make_world: Callable[..., World], run: Callable[..., Run], answer: str
) -> None:
    world = make_world(switches={"peek": {"operators": 2, "webhooks": answer}})
    connections = [{"name": name, "api_key": key} for name, key in KEYS.items()]
    done = run(world, config={**FEW, "api_key": None, "connections": connections})
    assert done.code == 0, done.log
    assert done.log.count(NO_WEBHOOKS) == 1
    assert "1 call not offered" in done.log


def test_webhooks_that_are_refused_or_at_a_wrong_path_still_fail(world: World, run: Callable[..., Run]) -> None:
    world.switch("peek", webhooks="400")
    assert run(world, config=FEW).code == 4
    assert run(world, config={**FEW, "endpoints": {"webhooks": "/hooks"}}).code == 4


def test_a_filter_that_refuses_some_windows_is_no_missing_filter(canned: Callable[..., Canned]) -> None:
    server = canned(EMPTY)
    server.answers_in_turn = {"GET /bookings": [(400, b'{"error": "BAD_REQUEST"}')]}
    done = run_tap(TapPeek, server.account, config={"concurrency": 1})
    assert done.code == 4
    assert UNDATED not in done.log
    assert "bookings: days of travel" in done.log
    assert server.asked.count("GET /bookings") == 25 + 1, "and once for today alone"


def test_a_uuid_is_part_of_whose_bookings_the_state_speaks_of(world: World, run: Callable[..., Run]) -> None:
    config: dict[str, Any] = {**FEW, "bookings_days_back": 5, "bookings_days_ahead": 5, "client_filter": True}
    first = run(world, config=config)
    joined = run(world, config={**config, "booking_uuids": [UUID]}, state=first.state)
    assert joined.rows("bookings").items() >= first.rows("bookings").items()
