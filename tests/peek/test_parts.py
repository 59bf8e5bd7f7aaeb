"""One part that cannot be read (a product, an operator, a window) costs nothing but itself."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import KEYS
from tap_core.testing import merged, run_tap, selected, without_read_times
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

FEW = {
    "availability_days_ahead": 20,
    "availability_window_days": 7,
    "bookings_days_back": 40,
    "bookings_days_ahead": 40,
}
BOTH = [{"name": name, "api_key": key} for name, key in KEYS.items()]
NONE_OF_THE_BOOKINGS = {"bookings_days_back": 0, "bookings_days_ahead": 0}


def last_lines(run: Run) -> str:
    """What a user reads below the table of the run."""
    return run.log.rpartition("webhooks  ")[2]


def assert_all_but(world: World, done: Run, streams: tuple[str, ...]) -> None:
    """Everything of these streams arrived that the world's truth has."""
    for stream in streams:
        wanted = merged(world.truth("peek", stream), done.keys(stream))
        assert merged(done.records(stream), done.keys(stream), without=["_read_at"]) == wanted, stream


@pytest.mark.parametrize("refusal", ["UNPROCESSABLE_ENTITY", "BAD_REQUEST"])
def test_p9_a_product_that_the_api_refuses_costs_only_itself(
    world: World, run: Callable[..., Run], refusal: str
) -> None:
    world.switch("peek", refused_products=2, refusal=refusal)
    done = run(world)
    assert done.code == 4
    assert_all_but(world, done, ("availability", "availability_calendar", "bookings", "products", "webhooks"))
    for product in [row["id"] for row in done.records("products")][:2]:
        part = f"product {product}, option {product} of connection default"
        assert done.log.count(f"availability: {part} is left out, the rest is read: POST /availability: 400") == 1
        assert "availability: everything was read except" in last_lines(done)
        assert last_lines(done).count(part) == 2, "once for each of the two streams"
    assert refusal in done.log
    assert "exclude_products" in last_lines(done)


def test_p9_a_product_can_be_excluded_for_good(world: World, run: Callable[..., Run]) -> None:
    world.switch("peek", refused_products=1)
    refused = run(world, config=FEW)
    product = refused.records("products")[0]["id"]
    done = run(world, config={**FEW, "exclude_products": [product, "av_none"]})
    assert done.code == 0, done.log
    assert without_read_times(done.rows("availability")) == without_read_times(refused.rows("availability"))
    assert done.records("products")[0]["id"] == product, "it is sold all the same"
    assert "1 excluded" in done.log
    assert done.log.count("names av_none, which is not a product") == 1


def test_a_product_can_be_excluded_for_one_connection(
    make_world: Callable[..., World], run: Callable[..., Run]
) -> None:
    world = make_world(switches={"peek": {"operators": 2}})
    config = {**FEW, "availability_days_ahead": 2, "api_key": None, "connections": BOTH}
    product = world.truth("peek", "products")[0]["id"]
    done = run(world, config={**config, "exclude_products": [f"south/{product}"]})
    read = {(row["_connection"], row["productId"]) for row in done.records("availability_calendar")}
    assert ("default", product) in read
    assert ("south", product) not in read


def test_p9_one_refused_window_costs_only_itself(world: World, run: Callable[..., Run]) -> None:
    whole = run(world, config=FEW)
    world.fault("peek", "/availability", "status", status=400, body={"error": "UNPROCESSABLE_ENTITY"}, after=3, times=1)
    world.fault("peek", "/bookings", "status", status=400, body={"error": "BAD_REQUEST"}, after=1, times=1)
    done = run(world, config={**FEW, "concurrency": 1})
    assert done.code == 4
    for stream in ("availability", "bookings"):
        assert 0 < len(done.records(stream)) < len(whole.records(stream)), stream
        assert done.rows(stream).keys() < whole.rows(stream).keys()
    options = {row["productId"] for row in done.records("availability")}
    assert options == {row["productId"] for row in whole.records("availability")}, "the option's other windows came"
    assert "bookings: days of travel 2026-02-19 to 2026-03-20 of connection default is left out" in done.log
    assert "replication_key_value" not in done.state["bookmarks"].get("bookings", {})


def test_p9_an_api_that_fails_for_one_product_alone_does_not_take_the_others(
    make_world: Callable[..., World], run: Callable[..., Run]
) -> None:
    world = make_world(switches={"peek": {"refused_products": 1, "refusal": "INTERNAL_SERVER_ERROR"}})
    done = run(world, config={**FEW, "retry_max_s": 0})
    assert done.code == 4
    assert len({row["productId"] for row in done.records("availability")}) == 11
    asked = [json.loads(entry["body"])["productId"] for entry in world.requests("peek") if entry["status"] >= 400]
    assert len(asked) == 2, "a part whose tries were all in vain is not asked for again"


def test_p9_a_forbidden_product_is_no_refused_key(make_world: Callable[..., World], run: Callable[..., Run]) -> None:
    world = make_world(switches={"peek": {"refused_products": 2, "refusal": "FORBIDDEN"}})
    done = run(world)
    assert done.code == 4
    assert_all_but(world, done, ("availability", "availability_calendar", "bookings", "webhooks"))
    routes = Counter(entry["route"] for entry in world.requests("peek") if entry["status"] == 400)
    assert routes["/availability/calendar"] == 2
    assert routes["/availability"] <= 2 * 3
    assert world.stats("peek")["routes"]["/products"] == 1 + sum(routes.values()), "the key is tried again for each"


def test_a4_a_key_refused_among_the_products_ends_the_run(world: World, run: Callable[..., Run]) -> None:
    for route in ("/availability", "/products"):
        error = {"error": "FORBIDDEN", "errorMessage": "revoked"}
        world.fault("peek", route, "status", status=400, body=error, times=None, after=1)
    done = run(world, config={**FEW, "concurrency": 1})
    assert done.code == 3
    assert done.records("availability")
    asked = world.stats("peek")["routes"]
    assert asked == {"/products": 2, "/availability/calendar": 12, "/availability": 2, "/bookings": 1}  # read ahead
    assert "bookings" not in done.streams


def test_p9_an_option_without_an_id_costs_only_itself(canned: Callable[..., Canned]) -> None:
    products = [
        {"id": "p1", "options": [{"id": "o1"}, {"internalName": "no id"}, "text"]},
        {"id": "p2", "options": [{"id": "o"}]},
    ]
    served: dict[str, Any] = {"GET /products": products, "POST /availability": [{"id": "a1"}], "GET /bookings": []}
    server = canned({call: (200, json.dumps(rows).encode()) for call, rows in served.items()})
    found = json.loads(run_tap(TapPeek, server.account, "--discover").output)
    config = {"availability_days_ahead": 0}
    done = run_tap(TapPeek, server.account, config=config, catalog=selected(found, ["availability"]))
    assert done.code == 4
    assert [row["productId"] for row in done.records("availability")] == ["p1", "p2"]
    assert (
        "availability: an option of product p1 of connection default is left out, the rest is read: it has no id"
        in done.log
    )


def test_an_api_that_fails_for_all_is_not_asked_for_each(world: World, run: Callable[..., Run]) -> None:
    world.fault("peek", "/availability", "status", status=503, times=None)
    done = run(world, config={**FEW, "retry_max_s": 0, "concurrency": 1})
    assert done.code == 4
    assert not done.records("availability")
    assert world.stats("peek")["routes"]["/availability"] == 2
    assert done.records("bookings")


def test_p9_one_refused_key_does_not_end_the_run_for_the_other_operators(world: World, run: Callable[..., Run]) -> None:
    connections = [*BOTH, {"name": "west", "api_key": "no-such-key-0815"}]
    world.fault("peek", "/products", "delay", seconds=0.5, after=2)  # others may read ahead before the refusal comes
    done = run(world, config={**FEW, "api_key": None, "connections": connections})
    assert done.code == 4
    for stream in ("products", "availability", "bookings", "webhooks"):
        assert {row["_connection"] for row in done.records(stream)} == {"default", "south"}, stream
        assert f"{stream}: everything was read except connection west" in last_lines(done)
    assert "the API refuses the key; check the api_key of connection 'west'" in done.log
    assert "no-such-key-0815" not in done.log
    refused = [entry for entry in world.requests("peek") if entry["status"] == 401]
    assert len(refused) == 1, "a refused key is not tried again"
    for stream in ("products", "options", "webhooks"):
        assert not done.of("ACTIVATE_VERSION", stream), "the rows of the operator that was not read must stay"
    assert "replication_key_value" not in done.state["bookmarks"].get("bookings", {})


def test_a_refused_key_is_told_even_if_only_what_is_made_of_its_products_is_read(
    world: World, run: Callable[..., Run]
) -> None:
    config = {"api_key": None, "connections": [BOTH[0], {"name": "west", "api_key": "no-such-key"}]}
    found = json.loads(run(world, "--discover").output)
    done = run(world, config={**FEW, **config}, catalog=selected(found, ["availability_calendar"]))
    assert done.code == 4
    assert done.records("availability_calendar")
    assert "availability_calendar: everything was read except connection west" in done.log


def test_a4_a_run_whose_keys_are_all_refused_ends_with_3(world: World, run: Callable[..., Run]) -> None:
    connections = [{"name": name, "api_key": f"no-such-key-{name}"} for name in ("north", "south")]
    done = run(world, config={"api_key": None, "connections": connections})
    assert done.code == 3
    assert not done.of("RECORD")


def test_the_connection_test_names_the_part_that_fails(world: World, run: Callable[..., Run]) -> None:
    connections = [BOTH[0], {"name": "west", "api_key": "no-such-key"}]
    done = run(world, "--test", config={"api_key": None, "connections": connections})
    assert done.code == 4
    (line,) = (line for line in done.output.decode().splitlines() if line.startswith("products "))
    assert line.split(None, 1)[1].startswith("failed: connection west: GET /products: 401")


def test_a_list_that_one_operator_cannot_be_asked_for_costs_only_that(canned: Callable[..., Canned]) -> None:
    answers: dict[str, Any] = {"GET /products": [], "GET /bookings": [], "GET /webhooks": [{"id": "w1"}]}
    server = canned({call: (200, json.dumps(rows).encode()) for call, rows in answers.items()})
    server.answers_in_turn = {"GET /webhooks": [(400, b'{"error": "UNPROCESSABLE_ENTITY"}')]}
    connections = [{"name": "a", "api_key": "k1"}, {"name": "b", "api_key": "k2"}]
    config = {"api_key": None, "connections": connections, "concurrency": 1, **NONE_OF_THE_BOOKINGS}
    done = run_tap(TapPeek, server.account, config=config)
    assert done.code == 4
    assert [row["_connection"] for row in done.records("webhooks")] == ["b"]
    assert "webhooks: connection a is left out, the rest is read" in done.log
