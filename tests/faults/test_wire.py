"""What happens on the wire, below HTTP: for every vendor, through a proxy that spoils bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import SPOILERS, Proxy
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.shop import Shop

HARMLESS = ("drip", "interim", "long-head", "bare-newlines")
"""What may be odd, and loses nothing."""

BEHIND = ("doubled", "bytes-behind")
"""A whole answer, and more than it."""

BROKEN = tuple(kind for kind in SPOILERS if kind not in {*HARMLESS, *BEHIND})


@pytest.mark.parametrize("name", VENDORS)
def test_h6_h7_h8_what_breaks_on_the_wire_is_made_up_for(make_shop: Callable[..., Shop], name: str) -> None:
    shop = make_shop(name)
    kinds = [kind for each in (*BROKEN, *HARMLESS) for kind in (each, None)]
    with Proxy(shop.config["api_url"], [None, *kinds]) as proxy:
        run = shop.read(url=proxy.url(shop.config["api_url"]), read_timeout_s=0.5, concurrency=2)
        shop.assert_exact(run)
        assert {*BROKEN, *HARMLESS} - {*proxy.met} == set()
    shop.assert_silent(run)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", VENDORS)
def test_h5_h6_h7_h8_what_stays_broken_is_a_clean_stop(make_shop: Callable[..., Shop], name: str, kind: str) -> None:
    shop = make_shop(name)
    with Proxy(shop.config["api_url"], [None] * 5, lasting=kind) as proxy:
        run = shop.read(url=proxy.url(shop.config["api_url"]), retry_max_s=0, read_timeout_s=0.1)
        shop.assert_stopped(run, stream=None)
        assert kind in proxy.met


@pytest.mark.parametrize("kind", BEHIND)
@pytest.mark.parametrize("name", VENDORS)
def test_h19_bytes_behind_an_answer_are_never_the_next_ones(
    make_shop: Callable[..., Shop], name: str, kind: str
) -> None:
    shop = make_shop(name)
    with Proxy(shop.config["api_url"], lasting=kind) as proxy:
        shop.assert_exact(shop.read(url=proxy.url(shop.config["api_url"])))
