"""Every fault does on the wire what its line in the table says."""

from __future__ import annotations

import http.client
import json
import socket
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from merchant_sandbox.errors import SandboxError
from merchant_sandbox.faults import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import Sandbox, World
    from tests.sandbox.conftest import Peakium

START = 1_772_323_200
"""2026-03-01T00:00:00Z, when the clock of a world starts."""


def strike(peakium: Peakium, kind: str, route: str = "/invoices", **details: Any) -> urllib3.BaseHTTPResponse:
    peakium.world.fault("peakium", route, kind, **details)
    return peakium.get(route, count=100)


def good(peakium: Peakium) -> Any:
    return peakium.get("/invoices", count=100).json()


def test_every_kind_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    untested = [kind for kind in KINDS if f'"{kind}"' not in source]
    assert not untested


def test_unknown_kind_route_vendor_or_world_is_refused(world: World, sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="no fault 'explode'; the faults are delay, status"):
        world.fault("peakium", "/invoices", "explode")
    with pytest.raises(SandboxError, match="peakium has no route '/invoice'"):
        world.fault("peakium", "/invoice", "reset")
    with pytest.raises(SandboxError, match="fault status does not take code; it takes times, after, every"):
        world.fault("peakium", "/invoices", "status", code=503)
    with pytest.raises(SandboxError, match="no vendor 'peakiumm'"):
        world.fault("peakiumm", "/invoices", "reset")
    with pytest.raises(SandboxError, match="no world 'nowhere'"):
        sandbox.call("describe", world="nowhere")


@pytest.mark.parametrize("status", [400, 403, 404, 408, 415, 425, 429, 500, 502, 503, 504, 599])
def test_status_strikes_as_often_as_told(peakium: Peakium, status: int) -> None:
    assert strike(peakium, "status", status=status, times=2).status == status
    assert peakium.get("/customers").status == 200
    assert peakium.get("/invoices").status == status
    assert peakium.get("/invoices").status == 200
    assert peakium.world.faults("peakium")[0]["fired"] == 2


def test_after_every_and_where_choose_the_requests(peakium: Peakium) -> None:
    peakium.world.fault("peakium", "/invoices", "status", after=1, every=2, times=None)
    assert [peakium.get("/invoices").status for _ in range(5)] == [200, 500, 200, 500, 200]
    peakium.world.clear_faults("peakium")
    peakium.world.fault("peakium", "*", "status", where={"offset": "5"}, times=None)
    assert [peakium.get("/events", offset=offset).status for offset in (0, 5, 6, 5)] == [200, 500, 200, 500]


def test_faults_of_one_route_strike_one_after_the_other(peakium: Peakium) -> None:
    for status in (500, 502, 503):
        peakium.world.fault("peakium", "/invoices", "status", status=status)
    peakium.world.fault("peakium", "/invoices", "page_cap", rows=1, times=None)
    assert [peakium.get("/invoices").status for _ in range(4)] == [500, 502, 503, 200]
    assert [fault["fired"] for fault in peakium.world.faults("peakium")] == [1, 1, 1, 4]


def test_chance_is_decided_by_the_seed(make_world: Callable[..., World], peakium: Peakium) -> None:
    def statuses() -> list[int]:
        peakium.world = make_world()
        peakium.world.fault("peakium", "*", "status", probability=0.3, seed=5, times=None)
        return [peakium.get("/webhooks").status for _ in range(60)]

    first = statuses()
    assert first == statuses()
    assert 5 < first.count(500) < 35


def test_h1_retry_after_in_every_form(peakium: Peakium) -> None:
    assert strike(peakium, "status", status=429, retry_after=7).headers["Retry-After"] == "7"
    assert strike(peakium, "status", status=429, retry_after=-5).headers["Retry-After"] == "-5"
    assert strike(peakium, "status", status=429, retry_after=10**9).headers["Retry-After"] == "1000000000"
    date = parsedate_to_datetime(strike(peakium, "status", status=503, retry_after_date=90).headers["Retry-After"])
    assert START + 90 <= date.timestamp() < START + 120


def test_h2_reset_time_in_header_or_body_is_spoken_in_the_worlds_clock(peakium: Peakium) -> None:
    header = strike(peakium, "status", status=429, headers={"X-RateLimit-Reset": "$reset"}, reset_in=30)
    assert START + 30 <= int(header.headers["X-RateLimit-Reset"]) < START + 60
    body = {"ratelimit": {"rateLimitReset": "$reset", "wait": "$reset_in"}}
    told = strike(peakium, "status", status=429, body=body, reset_in=30).json()["ratelimit"]
    assert START + 30 <= told["rateLimitReset"] < START + 60
    assert told["wait"] == 30


@pytest.mark.parametrize("tell", ["seconds", "date", "nothing"])
def test_throttle_ends_when_the_worlds_clock_says_so(peakium: Peakium, tell: str) -> None:
    refused = strike(peakium, "throttle", seconds=50, tell=tell, headers={"X-Reset": "$reset"})
    assert refused.status == 429
    assert START + 50 <= int(refused.headers["X-Reset"]) < START + 100
    wait = refused.headers.get("Retry-After")
    assert wait == {"seconds": "50", "date": wait, "nothing": None}[tell]
    assert tell != "date" or parsedate_to_datetime(wait or "").timestamp() >= START + 49
    assert peakium.get("/invoices").status == 429
    peakium.world.advance(51)
    assert peakium.get("/invoices").status == 200


def test_credentials_can_be_refused(peakium: Peakium) -> None:
    refused = strike(peakium, "unauthorized", after=1, times=None)
    assert refused.status == 200
    assert peakium.get("/invoices").status == 401
    assert peakium.get("/invoices").json() == {
        "error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}
    }


def test_expire_tokens_lets_the_request_through_where_there_are_no_tokens(peakium: Peakium) -> None:
    assert strike(peakium, "expire_tokens").status == 200


def test_good_status_with_a_useless_body(peakium: Peakium) -> None:
    whole = good(peakium)
    assert "error" in strike(peakium, "error_object").json()
    page = strike(peakium, "html")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    cut = strike(peakium, "cut_json")
    assert cut.status == 200
    assert json.dumps(whole, separators=(",", ":"), ensure_ascii=False).startswith(cut.data.decode("utf-8", "ignore"))
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.data)
    assert (strike(peakium, "no_content").status, peakium.get("/invoices").status) == (204, 200)
    empty = strike(peakium, "empty_body")
    assert (empty.status, empty.data) == (200, b"")


def test_h14_odd_bytes(peakium: Peakium) -> None:
    whole = good(peakium)
    assert json.loads(strike(peakium, "bom").data.decode("utf-8-sig")) == whole
    assert json.loads(strike(peakium, "nan").data)["count"] != whole["count"]
    assert b'"amount":NaN' in strike(peakium, "nan", field="amount").data
    latin = strike(peakium, "charset")
    assert latin.headers["Content-Type"] == "application/json; charset=iso-8859-1"
    assert json.loads(latin.data.decode("iso-8859-1"))["data"][0]["id"] == whole["data"][0]["id"]
    wrong = strike(peakium, "wrong_charset", charset="utf-16")
    assert (wrong.headers["Content-Type"], wrong.json()) == ("application/json; charset=utf-16", whole)


def test_gzip_sound_and_broken(peakium: Peakium) -> None:
    whole = good(peakium)
    assert strike(peakium, "gzip").json() == whole
    with pytest.raises(urllib3.exceptions.DecodeError):
        strike(peakium, "bad_gzip")


def connect(
    world: World, path: str = "/invoices?count=100"
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    address, _, base = world.url("peakium").removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(address, timeout=5)
    key = urllib3.make_headers(basic_auth=world.config("peakium")["api_key"] + ":")
    connection.request("GET", f"/{base}{path}", headers=key)
    return connection, connection.getresponse()


def test_h6_reset_before_the_headers(world: World) -> None:
    world.fault("peakium", "/invoices", "reset")
    with pytest.raises(ConnectionResetError):
        connect(world)


def test_h6_reset_in_the_body(world: World) -> None:
    world.fault("peakium", "/invoices", "reset_body")
    connection, response = connect(world)
    assert response.status == 200
    with pytest.raises(ConnectionResetError):
        response.read()
    connection.close()


@pytest.mark.parametrize("kind", ["short_body", "cut_chunked"])
def test_h7_h8_body_ends_too_early(world: World, kind: str) -> None:
    world.fault("peakium", "/invoices", kind)
    connection, response = connect(world)
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


@pytest.mark.parametrize("kind", ["stall", "stall_body"])
def test_h5_stall_sends_nothing_more(world: World, kind: str) -> None:
    world.fault("peakium", "/invoices", kind)
    address, _, base = world.url("peakium").removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(address, timeout=0.3)
    connection.request("GET", f"/{base}/invoices", headers=urllib3.make_headers(basic_auth="x:"))
    with pytest.raises(TimeoutError):
        connection.getresponse().read()
    connection.close()


def test_h5_nobody_accepts_the_connection(sandbox: Sandbox) -> None:
    host, _, port = sandbox.full_listener().removeprefix("http://").partition(":")
    with pytest.raises(TimeoutError):
        socket.create_connection((host, int(port)), timeout=0.3)


def test_h15_redirect_to_another_host_can_be_followed_and_is_logged(peakium: Peakium, sandbox: Sandbox) -> None:
    before = len(sandbox.elsewhere())
    answer = strike(peakium, "redirect", to="host", status=307)
    location = answer.headers["Location"]
    assert answer.status == 307
    assert location.startswith("http://localhost:")
    peakium.pool.request("GET", location, headers={"Authorization": "Basic c2VjcmV0Og=="})
    seen = sandbox.elsewhere()[before:]
    assert [entry["headers"]["authorization"].partition(":")[0] for entry in seen] == ["sha256"]


def test_h15_redirect_loop_and_slash(peakium: Peakium) -> None:
    url = f"{peakium.world.url('peakium')}/invoices"
    assert strike(peakium, "redirect", to="loop").headers["Location"] == f"{url}?count=100"
    slash = strike(peakium, "redirect", to="same", status=301).headers["Location"]
    assert slash == f"{url}/?count=100"


def test_h17_connection_is_closed_after_each_answer(peakium: Peakium, world: World) -> None:
    peakium.rows("/invoices")
    assert world.stats("peakium")["connections"] == 1
    world.fault("peakium", "/invoices", "close", times=None)
    connection, response = connect(world)
    assert response.getheader("Connection") is None
    assert json.loads(response.read())["count"] == 100
    assert connection.sock.recv(1) == b""
    connection.close()


def test_delay_holds_up_nobody_else(world: World, peakium: Peakium) -> None:
    world.fault("peakium", "/invoices", "delay", seconds=30)
    address, _, base = world.url("peakium").removeprefix("http://").partition("/")
    waiting = http.client.HTTPConnection(address, timeout=5)
    waiting.request("GET", f"/{base}/invoices", headers=urllib3.make_headers(basic_auth="x:"))
    while world.stats("peakium")["in_flight"] == 0:
        pass
    assert peakium.get("/customers").status == 200
    assert world.stats("peakium")["max_in_flight"] == 2
    waiting.close()


def test_a_bug_in_the_sandbox_is_no_silent_fault(peakium: Peakium, sandbox: Sandbox) -> None:
    assert strike(peakium, "stall_body", at="half").json()["error"]["message"] == "the sandbox failed, see its stderr"
    assert "ValueError: could not convert string to float: 'half'" in sandbox.stderr()


def test_p3_rows_are_inserted_and_deleted_between_pages(peakium: Peakium) -> None:
    everything = [row["id"] for row in peakium.world.truth("peakium", "invoices")]

    def pages() -> list[list[str]]:
        offsets = range(0, 250, 50)
        return [[row["id"] for row in peakium.get("/invoices", count=50, offset=n).json()["data"]] for n in offsets]

    peakium.world.fault("peakium", "/invoices", "insert", rows=3, after=2)
    assert pages() == [everything[3:53], everything[53:103], *(everything[n : n + 50] for n in (100, 150, 200))]
    peakium.world.clear_faults()
    peakium.world.fault("peakium", "/invoices", "delete", rows=4, position=10, after=1)
    left = everything[:10] + everything[14:]
    assert pages() == [everything[:50], *(left[n : n + 50] for n in (50, 100, 150, 200))]


def test_p4_a_row_on_two_pages(peakium: Peakium) -> None:
    peakium.world.fault("peakium", "/invoices", "duplicate", position=7, times=None)
    ids = [row["id"] for row in peakium.rows("/invoices")]
    assert ids[7] == ids[107]
    assert len(ids) == len(set(ids)) + 1


def test_p8_server_ignores_what_is_asked(peakium: Peakium) -> None:
    ids = [row["id"] for row in peakium.world.truth("peakium", "invoices")]

    def read(kind: str, **details: Any) -> list[str]:
        peakium.world.clear_faults()
        peakium.world.fault("peakium", "/invoices", kind, **details)
        return [row["id"] for row in peakium.get("/invoices", count=50, offset=100).json()["data"]]

    assert read("ignore_page_size", rows=20) == ids[100:120]
    assert read("ignore_page_size", rows=80) == ids[100:180]
    assert read("ignore_page") == ids[:50]
    assert read("page_cap", rows=7) == ids[100:107]
    assert read("oversize", rows=5) == ids[100:155]
    assert read("empty_page") == []


def test_p7_the_total_told_is_off(peakium: Peakium) -> None:
    peakium.world.switch("peakium", count_means="total")
    assert strike(peakium, "total", by=-3).json()["count"] == good(peakium)["count"] - 3


def test_c5_patch_changes_the_answer(peakium: Peakium) -> None:
    values = {"data.0.news": {"deep": [1]}, "data.*.charge.amount": "12", "debug_info": 5, "data.no_number.x": 1}
    body = strike(peakium, "patch", set=values, remove=["data.1.due"]).json()
    assert body["debug_info"] == 5
    assert body["data"][0]["news"] == {"deep": [1]}
    assert "due" not in body["data"][1]
    assert {row["charge"]["amount"] for row in body["data"] if row["charge"]} == {"12"}
