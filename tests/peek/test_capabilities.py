"""Capabilities as the vendor's page describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from tap_peek.client import capability_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run

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
