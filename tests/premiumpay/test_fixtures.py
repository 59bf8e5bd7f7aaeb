"""The vendor's own samples, byte for byte, pass through the tap; its requests have the shape of the samples."""

from __future__ import annotations

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tap_core.testing import Account, run_tap
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.testing import Run

FIXTURES = Path(__file__).parents[2] / "contracts/premiumpay/fixtures"
ANSWERS = {
    "/version": "version_response",
    "/status": "status_response",
    "/sales": "sales_response",
    "/aggregatedsales": "error_no_data",
    "/channelresults": "error_no_data",
    "/channelsales": "error_no_data",
}
REQUESTS = {
    "/gateways": "gateways_request",
    "/sales": "sales_request",
    "/aggregatedsales": "aggregatedsales_request",
    "/channelresults": "channel_results_request",
    "/channelsales": "channel_sales_request",
}


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


class Vendor(BaseHTTPRequestHandler):
    """Answers with the samples; the lists that no sample tells hold what a test says."""

    bodies: dict[str, Any]
    calls: Counter[str]
    lists: dict[str, Any]

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(fixture(ANSWERS[self.path]))

    def do_POST(self) -> None:
        self.calls[self.path] += 1
        self.bodies[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = self.lists.get(self.path)
        self._answer(fixture(ANSWERS[self.path]) if told is None else json.dumps(told).encode())

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendor(serve: Callable[[type[BaseHTTPRequestHandler]], str]) -> str:
    Vendor.bodies, Vendor.calls = {}, Counter()
    Vendor.lists = {"/gateways": [{"pasarela_id": 0}], "/channels": [{"channel_id": 0}]}
    return serve(Vendor)


def read(vendor: str, **config: Any) -> Run:
    """A run over one window of seven days."""
    account = {"api_url": vendor, "jwt": "not.a.jwt", "client_id": "someone"}
    return run_tap(TapPremiumpay, Account({**account, "start_date": "2020-01-02", "end_date": "2020-01-09", **config}))


def test_the_samples_pass_through(vendor: str) -> None:
    run = read(vendor, service_id=0)
    assert run.code == 0, run.log
    assert "setting service_id is in use" in run.log
    (sale,) = run.records("sales")
    bounds = {"_window_start": "2020-01-02T00:00:00.000000Z", "_window_end": "2020-01-09T00:00:00.000000Z"}
    assert sale == {"_surrogate_key": sale["_surrogate_key"], "pasarela_id": 0, "service_id": 0, **bounds}
    (status,) = run.records("server_status")
    assert status == {**json.loads(fixture("status_response")), "_read_at": status["_read_at"], "version": "1.0.0"}
    for stream in ("aggregated_sales", "channel_results", "channel_sales"):
        assert run.records(stream) == []
        assert run.state["bookmarks"][stream]["replication_key_value"] == bounds["_window_start"]
    for path, name in REQUESTS.items():
        sample = json.loads(fixture(name))
        assert sample.keys() - Vendor.bodies[path].keys() <= {"invitation_link"}, path
        assert Vendor.bodies[path].keys() <= sample.keys(), path


def test_a_gateway_or_channel_that_is_listed_twice_is_asked_for_once(vendor: str) -> None:
    link = {"invitation_link": "https://t.example.org/+x"}
    Vendor.lists["/gateways"] = [{"pasarela_id": 0}] * 2
    Vendor.lists["/channels"] = [{"channel_id": 0, "links": [link, link]}] * 2
    for per_link in (False, True):
        Vendor.calls.clear()
        run = read(vendor, per_link=per_link)
        assert run.code == 0, run.log
        calls = {path: Vendor.calls[path] for path in ("/sales", "/channelresults", "/channelsales")}
        assert calls == {"/sales": 1, "/channelresults": 1, "/channelsales": 1}


def test_lists_inside_rows_may_have_other_names(vendor: str) -> None:
    Vendor.lists["/gateways"] = {"pasarelas": [{"id": "7", "servicios": [{"id": "3", "name": "VIP"}]}]}
    Vendor.lists["/channels"] = [{"id": 5, "enlaces": [{"invite_link": "https://t.example.org/+x"}]}]
    endpoints = {
        "gateways": {"rename": {"servicios": "services"}},
        "channels": {"rename": {"enlaces": "links"}},
        "channel_links": {"rename": {"invite_link": "invitation_link"}},
    }
    run = read(vendor, endpoints=endpoints, per_link=True)
    assert run.code == 0, run.log
    assert run.records("services") == [{"pasarela_id": 7, "service_id": 3, "name": "VIP"}]
    assert run.records("channel_links") == [{"channel_id": 5, "invitation_link": "https://t.example.org/+x"}]
    asked = Vendor.bodies["/channelsales"]
    assert (asked["channel_id"], asked["invitation_link"]) == (5, "https://t.example.org/+x")
