"""Worlds: each has its own data, clock, ticks, switches and counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trustme
import urllib3

from merchant_sandbox.client import Sandbox
from merchant_sandbox.clock import WorldClock, iso
from merchant_sandbox.discovery import vendors
from merchant_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tests.sandbox.conftest import Peakium

Rows = dict[Any, dict[str, Any]]

STREAMS = [name for name in vendors()["peakium"].streams if name != "gateway_modules"]  # that list never changes


def keyed(world: World, stream: str) -> Rows:
    keys = {
        "invoice_items": ("invoice_id", "_position"),
        "subscriptions": ("customer_id", "token"),
        "event_webhooks": ("event_id", "url"),
        "event_deliveries": ("event_id",),
        "webhooks": ("url",),
    }
    rows = world.truth("peakium", stream)
    found = {tuple(row[key] for key in keys.get(stream, ("id",))): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("vendor", vendors())
def test_data_are_a_function_of_seed_size_and_ticks(make_world: Callable[..., World], vendor: str) -> None:
    ticked, other = make_world(seed=4), make_world(seed=5, ticks=3)
    ticked.tick(2)
    ticked.tick()
    same = make_world(seed=4, ticks=3)
    streams = vendors()[vendor].streams
    for stream in streams:
        assert same.truth(vendor, stream) == ticked.truth(vendor, stream), stream
    assert any(other.truth(vendor, stream) != ticked.truth(vendor, stream) for stream in streams)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_tick_adds_rows_and_keys_stay_unique(make_world: Callable[..., World], stream: str) -> None:
    world = make_world(ticks=1)
    before = keyed(world, stream)
    world.tick(3)
    assert keyed(world, stream).keys() - before.keys()


@pytest.mark.parametrize("stream", ["customers", "subscriptions", "invoices", "event_webhooks", "payment_sessions"])
def test_ticks_change_rows(world: World, stream: str) -> None:
    before = keyed(world, stream)
    world.tick(3)
    after = keyed(world, stream)
    assert [key for key in before if after[key] != before[key]]


@pytest.mark.parametrize("stream", ["gateways", "webhooks"])
def test_ticks_delete_rows_where_the_vendor_can(world: World, stream: str) -> None:
    before = keyed(world, stream)
    world.tick(3)
    assert before.keys() - keyed(world, stream).keys()


@pytest.mark.parametrize("stream", ["events"])
def test_what_has_happened_never_changes(world: World, stream: str) -> None:
    before = keyed(world, stream)
    world.tick(5)
    after = keyed(world, stream)
    assert {key: after[key] for key in before} == before


def test_no_record_is_from_the_future(make_world: Callable[..., World]) -> None:
    for ticks in (0, 40):
        world = make_world(ticks=ticks)
        now = iso(float(world.clock().split(",")[0]))
        assert max(row["created"] for row in world.truth("peakium", "events")) <= now
        assert max(row["_updated_at"] for row in world.truth("peakium", "invoices")) <= now


def test_worlds_do_not_meet(make_world: Callable[..., World]) -> None:
    one, other = make_world(), make_world()
    one.tick()
    one.advance(3_600)
    one.switch("peakium", max_count=3)
    one.fault("peakium", "*", "reset")
    assert other.describe()["ticks"] == 0
    assert other.faults("peakium") == []
    assert len(one.truth("peakium", "invoices")) > len(other.truth("peakium", "invoices"))
    assert float(one.clock().split(",")[0]) == pytest.approx(float(other.clock().split(",")[0]) + 3_600)


def test_clock_runs_at_its_rate() -> None:
    clock = WorldClock(start=1_000.0, rate=3_600.0, anchor=0.0)
    assert clock.text() == "1000.000000,0.000000,3600"
    one = clock.time()
    clock.advance(50)
    assert clock.time() >= one + 50


def test_the_clock_starts_where_it_is_told(make_world: Callable[..., World]) -> None:
    world = make_world(clock_start=1_900_000_000, clock_rate=10)
    assert world.clock().startswith("1900000000.000000,")
    assert world.env("peakium")["MERCHANT_CLOCK"].endswith(",10")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": "huge"}, "size must be one of demo, small, medium, large"),
        ({"ticks": -1}, "ticks must be between 0 and 10,000"),
        ({"name": "a/b"}, "only letters, digits, - and _"),
        ({"switches": {"peakium": {"speed": 9}}}, "peakium has no switch 'speed'; it has default_count"),
        ({"switches": {"peakium": {"errors": "odd"}}}, "peakium switch errors must be one of wrapped, flat, mixed"),
        ({"switches": {"peakium": {"max_count": "9"}}}, "peakium switch max_count must be a int"),
    ],
)
def test_a_world_that_cannot_be_is_refused(sandbox: Sandbox, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        sandbox.world(**arguments)


def test_an_unknown_world_vendor_or_path_answers_404(sandbox: Sandbox, pool: urllib3.PoolManager) -> None:
    for path in ("/", "/w/nowhere/peakium/api/v1/customers", "/w/default/nobody/x", "/w/default"):
        assert pool.request("GET", sandbox.url + path).status == 404


def test_stats_count_what_came(peakium: Peakium) -> None:
    peakium.rows("/invoices")
    peakium.get("/invoices/nothing")
    stats = peakium.world.stats()["peakium"]
    assert stats["requests"] == 6
    assert stats["routes"] == {"/invoices": 5, "/invoices/{invoice_id}": 1}
    assert stats["statuses"] == {"200": 5, "404": 1}
    assert (stats["client_errors"], stats["server_errors"]) == (1, 0)
    assert (stats["connections"], stats["max_in_flight"], stats["writes"]) == (1, 1, [])


def test_requests_are_logged_without_secrets(peakium: Peakium) -> None:
    peakium.get("/events", count=5)
    (entry,) = peakium.world.requests("peakium")
    assert (entry["method"], entry["path"], entry["query"], entry["status"]) == ("GET", "/events", "count=5", 200)
    assert entry["headers"]["authorization"].startswith("sha256:")
    assert peakium.world.config("peakium")["api_key"] not in repr(entry)


def test_writes_are_flagged_and_change_nothing(peakium: Peakium) -> None:
    before = keyed(peakium.world, "gateways")
    key = urllib3.make_headers(basic_auth=peakium.world.config("peakium")["api_key"] + ":")
    for method, path in (
        ("POST", "/customers"),
        ("POST", f"/gateways/{next(iter(before))[0]}"),
        ("DELETE", "/gateways/x"),
    ):
        assert peakium.pool.request(method, peakium.world.url("peakium") + path, headers=key, body="a=b").status == 200
    writes = peakium.world.stats("peakium")["writes"]
    assert [(entry["method"], entry["body"]) for entry in writes] == [
        ("POST", "a=b"),
        ("POST", "a=b"),
        ("DELETE", "a=b"),
    ]
    assert keyed(peakium.world, "gateways") == before


def test_h16_https_with_a_certificate_of_the_tests_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Sandbox(tls=(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))) as sandbox:
        url = sandbox.world().url("peakium")
        assert url.startswith("https://127.0.0.1:")
        with urllib3.PoolManager(ca_certs=str(tmp_path / "ca.pem")) as pool:
            assert pool.request("GET", url + "/customers").status == 401
        with urllib3.PoolManager() as pool, pytest.raises(urllib3.exceptions.SSLError):
            pool.request("GET", url + "/customers", retries=False)


@pytest.mark.parametrize(
    ("vendor", "stream"),
    [("peakium", "subscriptions"), ("premiumpay", "sales"), ("peek", "bookings"), ("peerassist", "fwos")],
)
def test_a_demo_has_the_records_of_a_small_world_without_odd_amounts(
    sandbox: Sandbox, vendor: str, stream: str
) -> None:
    demo, small = (sandbox.world(size=size).truth(vendor, stream) for size in ("demo", "small"))
    assert len(demo) == len(small)
    assert "90071992547" in str(small)
    assert "90071992547" not in str(demo)
