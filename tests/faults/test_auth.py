"""Credentials that end, are refused or are throttled."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.vendors import of

if TYPE_CHECKING:
    from tests.faults.shop import Shop


def logins(shop: Shop) -> int:
    """How often the tap has logged in, by a login or by a refresh."""
    routes: dict[str, int] = shop.world.stats(shop.vendor.name)["routes"]
    return routes.get(str(shop.vendor.login), 0) + routes.get("/simple-oauth/refresh", 0)


def dying(shop: Shop) -> str:
    """The route on which tokens are met."""
    return "/v1/user/history" if shop.vendor.name == "pegke" else shop.vendor.route


@of("A1", "A3")
def test_a_token_that_dies_under_eight_workers_is_renewed_once(shop: Shop) -> None:
    shop.fault("expire_tokens", dying(shop), after=5)
    shop.fault("delay", dying(shop), seconds=0.02, times=None)
    run = shop.read(concurrency=8)
    shop.assert_exact(run)
    assert logins(shop) == 2
    shop.assert_silent(run)


@of("A2")
def test_a_token_that_cannot_be_renewed_is_a_clean_stop(shop: Shop) -> None:
    ended: dict[str, Any] = {}
    if shop.vendor.login:
        shop.fault("expire_tokens", dying(shop), after=5)
        shop.fault("unauthorized", shop.vendor.login, after=1, times=None)
        if shop.vendor.name == "pegke":
            shop.fault("unauthorized", "/simple-oauth/refresh", times=None)
    else:
        claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_700_000_000}).encode()).decode().rstrip("=")
        ended = {"jwt": f"e30.{claims}.c2lnbmF0dXJl"}
    run = shop.read(**ended)
    stream = "user_history" if shop.vendor.name == "pegke" else None
    shop.assert_stopped(run, code=3, says="check" if shop.vendor.login else "set jwt to a new one", stream=stream)


@of("A4")
@pytest.mark.parametrize("after", [0, 6], ids=["at-once", "late"])
def test_a_revoked_key_is_one_line_and_no_storm_of_retries(shop: Shop, after: int) -> None:
    shop.fault("unauthorized", times=None, after=after)
    if shop.vendor.login:
        shop.fault("unauthorized", shop.vendor.login, times=None, after=1)
    run = shop.read(concurrency=4)
    shop.assert_stopped(run, code=3)
    assert run.log.count(f"{shop.vendor.main}: ") <= 5, run.log
    assert sum(shop.fired) <= 5, "each worker may be refused once, and a login"
    if after:
        shop.assert_made_up_for(run)


@of("A5")
def test_a_throttled_login_is_waited_for_within_limits(shop: Shop) -> None:
    shop.fault("status", shop.vendor.login, status=429, retry_after=40, times=2)
    shop.assert_exact(shop.read())
    assert shop.fired == [2]
    shop.fault("status", shop.vendor.login, status=429, retry_after=40, times=None)
    run = shop.read(max_rate_limit_wait_s=30)
    shop.assert_stopped(run, says="asks for a wait of 40 s, more than max_rate_limit_wait_s", stream=None)
