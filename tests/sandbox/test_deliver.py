"""What vendors tell webhooks, and how it is delivered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.deliver import Habits, deliver, in_order_of_delivery
from merchant_sandbox.timeline import story_time
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import Sandbox, World

TOLD: list[dict[str, Any]] = [
    {"at": number, "account": "a", "body": {"uuid": f"u{number}", "status": "CONFIRMED"}} for number in range(400)
]


@pytest.mark.parametrize("vendor", ["peek", "peakium"])
def test_a_day_is_told_in_order_and_every_day_something_else(make_world: Callable[..., World], vendor: str) -> None:
    world = make_world(ticks=2)
    told = world.told(vendor)
    moments = [each["at"] for each in told if each["account"] == "default"]
    assert moments == sorted(moments)
    assert all(story_time(1) < moment <= story_time(2) for moment in moments)
    world.tick()
    assert not {json.dumps(each) for each in told} & {json.dumps(each) for each in world.told(vendor)}


def test_nothing_is_told_before_the_story_goes_on(world: World) -> None:
    assert world.told("peek") == world.told("peakium") == []
    assert world.truth("peek", "booking_updates") == []


def test_a_booking_is_told_as_it_was_and_at_last_as_it_is(make_world: Callable[..., World]) -> None:
    world = make_world(ticks=1)
    told = [each["body"]["booking"] for each in world.told("peek") if each["account"] == "default"]
    states: dict[str, list[str]] = {}
    for booking in told:
        states.setdefault(booking["uuid"], []).append(booking["status"])
    assert {"ON_HOLD", "CONFIRMED", "CANCELLED"} <= {status for each in states.values() for status in each}
    assert ["ON_HOLD", "CONFIRMED"] in states.values()
    now = {row["uuid"]: row["status"] for row in world.truth("peek", "bookings")}
    ended = {uuid: each[-1] for uuid, each in states.items() if uuid in now}
    changed = {uuid for uuid, status in ended.items() if now[uuid] != status}
    assert all((ended[uuid], now[uuid]) == ("ON_HOLD", "EXPIRED") for uuid in changed)


def test_a_delivery_has_what_the_vendors_own_example_has(make_world: Callable[..., World]) -> None:
    example = json.loads((ROOT / "contracts/peek/fixtures/webhook_delivery_booking_update.json").read_text())
    body = make_world(ticks=1).told("peek")[0]["body"]
    assert body.keys() == example.keys()
    assert example["booking"].keys() <= body["booking"].keys()
    assert example["webhook"].keys() == body["webhook"].keys()
    event = json.loads((ROOT / "contracts/peakium/fixtures/event.json").read_text())
    assert make_world(ticks=1).told("peakium")[0]["body"].keys() == event.keys()


def test_habits_are_a_matter_of_chance_that_comes_out_the_same() -> None:
    habits = Habits(seed=3, doubles=0.2, late=0.1, disorder=4, forged=0.05)
    planned = in_order_of_delivery(TOLD, habits)
    assert planned == in_order_of_delivery(TOLD, habits)
    assert planned != in_order_of_delivery(TOLD, Habits(seed=4, doubles=0.2, late=0.1, disorder=4, forged=0.05))
    real = [json.loads(body)["uuid"] for _, body, forged in planned if not forged]
    times = Counter(real)
    assert times.keys() == {each["body"]["uuid"] for each in TOLD}
    assert 40 < sum(number == 2 for number in times.values()) < 120
    assert real != sorted(real, key=lambda uuid: int(uuid[1:]))
    assert 5 < sum(forged for _, _, forged in planned) < 50
    late = [int(uuid[1:]) for uuid in real[-20:]]
    assert min(late) < 350
    plain = in_order_of_delivery(TOLD, Habits(doubles=0, late=0, disorder=0))
    assert [json.loads(body) for _, body, _ in plain] == [each["body"] for each in TOLD]


class _Moody(BaseHTTPRequestHandler):
    """Answers 503 to every third request."""

    protocol_version = "HTTP/1.1"
    asked: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(body)
        self.send_response(503 if len(self.asked) % 3 == 0 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_is_not_answered_200_comes_again_also_to_a_receiver_that_was_down() -> None:
    handler = type("Handler", (_Moody,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/hook"
        server.server_close()
        habits = Habits(doubles=0, late=0, tries=2, pause_s=0)
        down = deliver(TOLD[:5], {"a": url}, habits)
        assert (down.given_up, down.answered) == (5, {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        done = deliver(TOLD[:50], {"a": url}, Habits(doubles=0, late=0, disorder=3, tries=10, pause_s=0))
        server.shutdown()
        serving.join()
    assert not done.given_up
    assert Counter(done.answered["a"]) == Counter(json.dumps(each["body"]).encode() for each in TOLD[:50])
    assert len(handler.asked) > 50  # type: ignore[attr-defined]


def test_the_command_delivers_and_says_what_became_of_it(make_world: Callable[..., World], sandbox: Sandbox) -> None:
    world = make_world(ticks=1)
    handler = type("Handler", (_Moody,), {"asked": []})
    command = [sys.executable, "-m", "merchant_sandbox", "deliver", "--url", sandbox.url, "--world", world.name]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        to = f"default=http://127.0.0.1:{server.server_port}/hook"
        done = subprocess.run([*command, "peakium", to, "--pause=0"], capture_output=True, text=True, check=False)
        lost = subprocess.run([*command, "peakium", to, "--tries=1"], capture_output=True, text=True, check=False)
        server.shutdown()
        serving.join()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answered"]["default"] >= len(world.told("peakium"))
    assert found["given_up"] == 0
    assert lost.returncode == 1
    assert json.loads(lost.stdout)["given_up"] > 0
