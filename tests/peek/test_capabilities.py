"""Capabilities as the vendor's page describes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tap_peek.client import capability_ids
from tap_peek.tap import TapPeek

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.peek.conftest import Canned

WARNING = "does not confirm the capability octo/pricing"
SHORT = {"availability_days_ahead": 3, "bookings_days_back": 10, "bookings_days_ahead": 10}


def test_every_request_names_them_in_the_header(world: World, run: Callable[..., Run]) -> None:
    done = run(world, config=SHORT)
    assert done.code == 0, done.log
    assert WARNING not in done.log
    requests = world.requests("peek")
    assert {entry["headers"]["octo-capabilities"] for entry in requests} == {"octo/pricing, octo/webhooks"}
    assert not any("capabilities" in entry["query"] for entry in requests)


def test_or_in_a_parameter(world: World, run: Callable[..., Run]) -> None:
    world.switch("peek", echo="asked")
    config = {**SHORT, "capabilities_in": "parameter", "capabilities": ["octo/pricing", "octo/questions"]}
    done = run(world, config=config)
    assert done.code == 0, done.log
    assert WARNING not in done.log
    requests = world.requests("peek")
    assert not any("octo-capabilities" in entry["headers"] for entry in requests)
    assert {parse_qs(entry["query"])["_capabilities"][0] for entry in requests} == {"octo/pricing,octo/questions"}


@pytest.mark.parametrize("echo", ["no_pricing", "none"])
def test_missing_prices_are_one_warning(world: World, run: Callable[..., Run], echo: str) -> None:
    world.switch("peek", echo=echo)
    done = run(world, config=SHORT)
    assert done.code == 0, done.log
    assert done.log.count(WARNING) == 1


def test_ids_in_a_header_stand_in_any_order_with_blanks_or_without() -> None:
    assert capability_ids("octo/webhooks, octo/pricing ,") == {"octo/pricing", "octo/webhooks"}


def test_nothing_is_missed_that_was_not_asked_for(world: World, run: Callable[..., Run]) -> None:
    world.switch("peek", echo="none")
    done = run(world, config={**SHORT, "capabilities": ["octo/webhooks"]})
    assert WARNING not in done.log
    assert all("octo/pricing" in row["_unsupported_required_capabilities"] for row in done.records("products"))


@pytest.mark.parametrize(
    ("capabilities", "missing"),
    [
        pytest.param([("a", True, ["b"]), ("b", False, ["c"]), ("c", False, [])], ["a", "b", "c"], id="chain"),
        pytest.param([("a", True, ["b"]), ("b", False, ["a"])], ["a", "b"], id="circle"),
        pytest.param([("a", True, ["a"])], ["a"], id="itself"),
        pytest.param([("octo/pricing", True, ["b"])], ["b"], id="of-a-supported-one"),
        pytest.param([("a", True, ["not/listed"])], ["a", "not/listed"], id="not-listed"),
        pytest.param([("a", False, ["b"]), ("b", False, [])], [], id="not-required"),
        pytest.param([("a", True, None), ("b", True, "c")], ["a", "b"], id="no-list"),
    ],
)
def test_a_capability_brings_those_that_it_depends_on(
    canned: Callable[..., Canned], capabilities: list[tuple[str, bool, Any]], missing: list[str]
) -> None:
    listed = [{"id": name, "required": required, "dependencies": needs} for name, required, needs in capabilities]
    products = json.dumps([{"id": "p1", "options": [], "capabilities": listed}]).encode()
    tap = TapPeek(config=canned({"GET /products": (200, products)}).account.config)
    product: Any = next(iter(tap.streams["products"].get_records(None)))
    assert product["_unsupported_required_capabilities"] == missing


def test_the_sandbox_s_products_depend_on_what_they_do_not_require(
    make_world: Callable[..., World], run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world = make_world(switches={"peek": {"content": True, "standard_fields": True, "supplier": "yes"}})
    done = run(world, config={"enable_streams": ["supplier"]})
    assert_exact(world, done)
    missing = {tuple(row["_unsupported_required_capabilities"]) for row in done.records("products")}
    assert missing == {(), ("octo/pricing2",), ("octo/content", "octo/questions")}
    assert "_extra" not in {name for message in done.of("RECORD") for name in message["record"]}


def test_a_product_says_what_it_requires_and_the_setting_lacks(world: World, run: Callable[..., Run]) -> None:
    unlisted = {
        row["id"]: row["_unsupported_required_capabilities"] for row in run(world, config=SHORT).records("products")
    }
    assert {tuple(ids) for ids in unlisted.values()} == {(), ("octo/pricing2",), ("octo/questions",)}
    config = {**SHORT, "capabilities": ["octo/pricing", "octo/pricing2", "octo/questions"]}
    listed = run(world, config=config)
    assert all(row["_unsupported_required_capabilities"] == [] for row in listed.records("products"))
    needed = {row["id"]: row for row in listed.records("product_capabilities")}
    assert needed["octo/pricing2"] == {
        "_connection": "default",
        "productId": needed["octo/pricing2"]["productId"],
        "id": "octo/pricing2",
        "revision": 2,
        "required": True,
        "dependencies": ["octo/pricing"],
        "default": False,
        "docs": "https://docs.example.com/octo/pricing2",
    }
