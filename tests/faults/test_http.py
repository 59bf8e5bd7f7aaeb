"""Every fault of HTTP, for every vendor: one that passes loses nothing, one that lasts is a clean stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.faults.conftest import HASTE
from tests.faults.shop import given
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import Sandbox
    from tests.faults.shop import Shop

Faults = list[tuple[str, dict[str, Any]]]

PASSING: dict[str, Faults] = {
    "H1": [
        ("status", {"status": 429, "retry_after": 30}),
        ("status", {"status": 429, "retry_after_date": 30}),
        ("status", {"status": 429, "retry_after": -5}),
        ("status", {"status": 429, "retry_after": "soon"}),
        ("throttle", {"seconds": 60}),
    ],
    "H2": [
        ("status", {"status": 429, "headers": {"X-RateLimit-Reset": "$reset"}}),
        ("status", {"status": 429, "headers": {"RateLimit-Reset": "$reset_in"}}),
    ],
    "H3": [
        *[("status", {"status": status}) for status in (500, 502, 503, 504)],
        ("status", {"status": 503, "retry_after": 20}),
        ("status", {"status": 502, "times": 3}),
    ],
    "H4": [("status", {"status": 408}), ("status", {"status": 425})],
    "H5": [("stall", {}), ("stall_body", {})],
    "H6": [("reset", {"times": 2}), ("reset_body", {}), ("reset_body", {"at": 0.99})],
    "H7": [("short_body", {}), ("short_body", {"missing": 1})],
    "H8": [("cut_chunked", {}), ("cut_chunked", {"at": 1.0})],
    "H9": [("bad_gzip", {}), ("bad_gzip", {"at": 0.9})],
    "H10": [("html", {"times": 2})],
    "H11": [("cut_json", {}), ("cut_json", {"at": 0.99})],
    "H12": [("error_object", {})],
    "H13": [("empty_body", {"times": 2})],
    "H14": [
        ("bom", {}),
        ("wrong_charset", {}),
        ("wrong_charset", {"charset": "no-such"}),
        ("charset", {"charset": "utf-16"}),
    ],
    "H15": [("redirect", {"to": "same", "status": status}) for status in (301, 302, 307, 308)],
    "H17": [("close", {"times": None, "every": 3})],
}
"""What is over after a call or two, one line of `docs/reliability.md` after the other."""


@pytest.mark.parametrize("name", VENDORS)
def test_h14_a_number_that_is_none_costs_no_row(make_shop: Callable[..., Shop], name: str) -> None:
    shop = make_shop(name)
    shop.fault("nan", field=shop.vendor.number)
    run = shop.read()
    assert run.code == 0, run.log
    assert shop.calm is not None
    found, calm = (given(each).rows for each in (run, shop.calm))
    assert shop.fired == [1]
    assert len(found[shop.vendor.main]) >= len(calm[shop.vendor.main])
    assert found != calm, "what was NaN is null"


FINAL = {("premiumpay", "H12")}
"""Each further call would be one of a hundred: what the API says there is final."""


@pytest.mark.parametrize(
    ("name", "line"),
    [(name, line) for name in VENDORS for line in PASSING if (name, line) not in FINAL],
)
def test_a_passing_fault_loses_nothing(make_shop: Callable[..., Shop], name: str, line: str) -> None:
    shop = make_shop(name, clock_rate=4 * HASTE if line == "H1" else HASTE)
    for number, (kind, details) in enumerate(PASSING[line]):
        shop.fault(kind, "*", after=2 * number + 1, **details)
    run = shop.read(read_timeout_s=0.3 if line == "H5" else 60)
    shop.assert_exact(run)
    assert min(shop.fired) >= 1, "a fault has struck nothing"
    shop.assert_silent(run)


LASTING: dict[str, tuple[str, dict[str, Any], str]] = {
    "H1-too-long": ("status", {"status": 429, "retry_after": 7_200}, "asks for a wait of 2 h"),
    "H1-for-ever": ("status", {"status": 429, "retry_after": 1}, "gave up after 12 tries"),
    "H2-too-late": ("status", {"status": 429, "headers": {"RateLimit-Reset": "7200"}}, "asks for a wait of 2 h"),
    "H3-500": ("status", {"status": 500}, "500 Internal Server Error"),
    "H3-503": ("status", {"status": 503}, "503 Service Unavailable"),
    "H4-408": ("status", {"status": 408}, "408 Request Timeout"),
    "H5-stall": ("stall", {}, "silent for longer than read_timeout_s"),
    "H5-stall-in-the-body": ("stall_body", {}, "silent for longer than read_timeout_s"),
    "H6-reset": ("reset", {}, "the connection broke"),
    "H6-reset-in-the-body": ("reset_body", {}, "the connection broke"),
    "H7-short-body": ("short_body", {}, "cut short"),
    "H8-cut-chunked": ("cut_chunked", {}, "cut short"),
    "H9-broken-gzip": ("bad_gzip", {}, "compressed response is damaged"),
    "H10-html": ("html", {}, "an HTML page, not JSON"),
    "H11-cut-json": ("cut_json", {}, "cut off after"),
    "H12-error-object": ("error_object", {}, ""),
    "H13-empty": ("empty_body", {}, "the response is empty"),
    "H15-another-host": ("redirect", {"to": "host"}, "credentials are not sent there"),
    "H15-loop": ("redirect", {"to": "loop"}, "redirects in a loop"),
}
"""What never ends, and what the tap says of it."""


@pytest.mark.parametrize("line", LASTING)
@pytest.mark.parametrize("after", [0, 4], ids=["at-once", "late"])
@pytest.mark.parametrize("name", VENDORS)
def test_a_lasting_fault_is_a_clean_stop(
    make_shop: Callable[..., Shop], sandbox: Sandbox, name: str, after: int, line: str
) -> None:
    shop, before = make_shop(name), len(sandbox.elsewhere())
    kind, details, says = LASTING[line]
    shop.fault(kind, times=None, after=after, **details)
    stalls = kind.startswith("stall")
    run = shop.read(retry_max_s=0 if stalls else 20, read_timeout_s=0.3 if stalls else 60)
    shop.assert_stopped(run, says=says)
    assert shop.vendor.main not in given(run).activated
    assert len(sandbox.elsewhere()) == before
    if after:
        shop.assert_made_up_for(run)


@pytest.mark.parametrize("name", VENDORS)
def test_h16_neither_plain_http_nor_an_unknown_certificate_gets_a_request(
    make_shop: Callable[..., Shop], tls_port: int, name: str
) -> None:
    shop = make_shop(name)
    path = urlsplit(shop.config["api_url"]).path
    plain = shop.read(url=f"http://api.example.com{path}")
    shop.assert_stopped(plain, code=2, says="setting 'api_url' must be https", stream=None)
    run = shop.read(url=f"https://127.0.0.1:{tls_port}{path}", retry_max_s=0)
    shop.assert_stopped(run, says="is not trusted; put a private authority's bundle in SSL_CERT_FILE", stream=None)
    assert run.of("RECORD") == []


@pytest.mark.parametrize("name", VENDORS)
def test_h18_a_host_that_nobody_knows_is_named_at_once(make_shop: Callable[..., Shop], name: str) -> None:
    shop = make_shop(name)
    run = shop.read(url="https://-no-such-host.invalid/api")
    shop.assert_stopped(run, says="-no-such-host.invalid: the name cannot be resolved; check api_url", stream=None)
    assert run.of("RECORD") == []


@pytest.mark.parametrize("name", VENDORS)
def test_l2_a_tenth_of_all_calls_failing_and_some_reset_lose_nothing(make_shop: Callable[..., Shop], name: str) -> None:
    shop = make_shop(name)
    shop.fault("status", "*", status=503, times=None, probability=0.1, seed=5)
    shop.fault("reset_body", "*", times=None, probability=0.02, seed=6)
    shop.assert_exact(shop.read(concurrency=8))
    assert shop.fired[0] >= 1
