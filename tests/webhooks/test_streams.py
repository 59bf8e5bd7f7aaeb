"""What is delivered is kept as it came; what it names is read from the API, and only that counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import merged
from tap_peakium.tap import TapPeakium
from tap_peek.tap import TapPeek
from target_duckhouse.warehouse.bookmarks import tap_state
from tests.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World
    from tap_core.testing import Run

BOTH = pytest.mark.parametrize(
    ("vendor", "deliveries", "objects"),
    [("peek", "booking_updates", ["bookings", "booking_unit_items"]), ("peakium", "event_deliveries", ["events"])],
)
HABITS = {"doubles": 0.2, "late": 0.2, "disorder": 10, "forged": 0.3}


def canonical(rows: list[dict[str, Any]]) -> set[str]:
    return {json.dumps(row, sort_keys=True) for row in rows}


def told(rows: list[dict[str, Any]], *names: str) -> set[str]:
    return canonical([{name: row.get(name) for name in names} for row in rows])


@BOTH
def test_between_two_polls_every_delivery_is_kept_and_only_the_api_is_believed(
    world: World, receiver: Receiver, read: Callable[..., Run], vendor: str, deliveries: str, objects: list[str]
) -> None:
    first = read(vendor, world)
    world.tick()
    done = world.deliver(vendor, {"default": receiver.url(f"{vendor}/default")}, **HABITS)
    assert done.forged
    assert not done.given_up
    second = read(vendor, world, state=first.state)
    assert second.code == 0, second.log
    if vendor == "peek":  # open-dated bookings are in no list
        world.switch(vendor, uuids=list({each["body"]["booking"]["uuid"] for each in world.told(vendor)}))
    found, truth = second.records(deliveries), world.truth(vendor, deliveries)
    assert len(found) == len(done.answered["default"])
    mine = [row for row in truth if row.get("_connection") in {None, "default"}]
    named = ["bookingUuid" if vendor == "peek" else "event_id", "_outcome", "delivery"]
    assert told(mine, *named) <= told(found, *named)
    assert {row["_outcome"] for row in found} == {"confirmed", "gone", "unreadable"}
    for stream in objects:
        rows = merged(first.records(stream) + second.records(stream), second.keys(stream))
        assert rows == merged(world.truth(vendor, stream), second.keys(stream)), stream
    assert world.stats(vendor)["writes"] == []
    # What the lists had was not asked for again.
    asked = world.stats(vendor)["routes"].get({"peek": "/bookings/{uuid}", "peakium": "/events/{event_id}"}[vendor], 0)
    assert 0 < asked < len({row[named[0]] for row in found}) / 2


def test_a_run_goes_on_where_the_last_one_ended(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run]
) -> None:
    world = make_world(ticks=1)
    bodies = [json.dumps(each["body"]).encode() for each in world.told("peakium")]
    receiver.post(bodies[0], "peakium/default")
    first = read("peakium", world)
    assert [row["_position"] for row in first.records("event_deliveries")] == [1]
    assert tap_state(json.dumps(first.state).encode()) is not None, "the loader must understand the state"
    assert receiver.query("SELECT position FROM readers") == [(0,)]
    receiver.post(bodies[1], "peakium/default")
    second = read("peakium", world, state=first.state)
    assert [row["_position"] for row in second.records("event_deliveries")] == [2]
    assert "in the future" not in first.log + second.log
    assert receiver.query("SELECT position FROM readers") == [(1,)]
    assert read("peakium", world, state=second.state).records("event_deliveries") == []


def test_an_event_that_comes_late_is_not_left_out_for_its_age(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run]
) -> None:
    world = make_world(ticks=1)
    first = read("peakium", world)
    oldest = min(world.told("peakium"), key=lambda each: each["at"])["body"]
    receiver.post(json.dumps(oldest).encode(), "peakium/default")
    second = read("peakium", world, state=first.state)
    assert [row["_outcome"] for row in second.records("event_deliveries")] == ["confirmed"]
    assert oldest["id"] in {row["id"] for row in second.records("events")}
    keys = ("replication_key_value",)
    assert [second.state["bookmarks"]["events"][key] for key in keys] == [
        first.state["bookmarks"]["events"][key] for key in keys
    ]


@pytest.mark.parametrize(
    ("confirm", "said"),
    [
        pytest.param(False, "booking_updates: confirm is false: deliveries are kept as they came", id="confirm-false"),
        pytest.param(True, "booking_updates: bookings is not selected: deliveries are kept", id="no-place-for-them"),
    ],
)
def test_without_confirmation_nothing_is_asked_and_that_is_said(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run], *, confirm: bool, said: str
) -> None:
    world = make_world(ticks=1)
    world.deliver("peek", {"default": receiver.url()})
    run = read("peek", world, "booking_updates", confirm=confirm)
    assert run.code == 0, run.log
    assert {row["_outcome"] for row in run.records("booking_updates")} == {"unconfirmed"}
    assert said in run.log
    assert world.stats("peek")["requests"] == 0


def test_no_spool_no_stream(world: World, read: Callable[..., Run]) -> None:
    run = read("peek", world, webhooks_spools=[])
    assert run.code == 0
    assert set(run.streams) == {"bookings", "booking_unit_items"}
    assert "booking_updates: skipped, because webhooks_spools names no spool" in run.log


@BOTH
def test_while_the_api_does_not_answer_the_place_in_the_spool_stays(
    make_world: Callable[..., World],
    receiver: Receiver,
    read: Callable[..., Run],
    vendor: str,
    deliveries: str,
    objects: list[str],
) -> None:
    world = make_world(ticks=1)
    route = {"peek": "/bookings/{uuid}", "peakium": "/events/{event_id}"}[vendor]
    body = json.dumps({"id": "later", "booking": {"uuid": "later"}}).encode()  # no list has it
    receiver.post(body, f"{vendor}/default")
    world.fault(vendor, route, "status", status=500, times=None)
    first = read(vendor, world, retry_max_s=0)
    assert first.code == 4
    assert first.records(objects[0])
    assert "_positions" not in first.state["bookmarks"].get(deliveries, {})
    world.clear_faults()
    second = read(vendor, world, state=first.state)
    assert second.code == 0
    assert [row["_outcome"] for row in second.records(deliveries)] == ["gone"]
    assert "1 gone" in " ".join(second.log.split())


def test_several_receivers_are_read_by_one_tap(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run], tmp_path: Path
) -> None:
    world = make_world(ticks=1)
    (tmp_path / "second").mkdir()
    with Receiver(tmp_path / "second") as second:
        bodies = [json.dumps(each["body"]).encode() for each in world.told("peek") if each["account"] == "default"]
        assert {each.post(body) for body in bodies[:5] for each in (receiver, second)} == {200}
        spools = [str(receiver.spool), str(second.spool)]
        run = read("peek", world, webhooks_spools=spools)
        assert len(run.rows("booking_updates")) == 10
        positions = run.state["bookmarks"]["booking_updates"]["_positions"]
        assert list(positions.values()) == [{"default": 5}, {"default": 5}]
        # A spool is known by itself, not by its place.
        again = read("peek", world, webhooks_spools=spools[::-1], state=run.state)
        assert again.records("booking_updates") == []


def test_deliveries_of_other_accounts_are_left_to_their_taps(
    make_world: Callable[..., World], read: Callable[..., Run], tmp_path: Path
) -> None:
    world = make_world(ticks=1)
    (tmp_path / "two").mkdir()
    with Receiver(tmp_path / "two", ("peek", "default"), ("peek", "elsewhere")) as receiver:
        receiver.post(b'{"booking": {"uuid": "a"}}', "peek/elsewhere")
        receiver.post(b'{"booking": {"uuid": "b"}}')
        run = read("peek", world, webhooks_spools=[str(receiver.spool)])
        assert [row["bookingUuid"] for row in run.records("booking_updates")] == ["b"]
        assert receiver.query("SELECT account FROM readers") == [("default",)]


def test_deliveries_that_were_removed_unread_are_told(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run]
) -> None:
    world = make_world(ticks=1)
    for number in range(4):
        receiver.post(b'{"booking": {"uuid": "%d"}}' % number)
        if not number:
            first = read("peek", world, "booking_updates")
    receiver.kill()
    receiver.query("DELETE FROM deliveries WHERE position < 4")
    receiver.query("INSERT INTO trimmed VALUES ('peek', 'default', 3)")
    second = read("peek", world, "booking_updates", state=first.state)
    assert [row["_position"] for row in second.records("booking_updates")] == [4]
    assert "booking_updates: deliveries between 1 and 3 of webhooks_spools[0] for default were removed" in second.log


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            {"webhooks_spools": ["/nowhere/spool.db"]},
            "setting 'webhooks_spools[0]': there is no such file; `merchant-webhooks serve` makes it",
            id="no-file",
        ),
        pytest.param(
            {"webhooks_spools": [__file__]}, "setting 'webhooks_spools[0]': the file is not a spool", id="other"
        ),
        pytest.param(
            {"webhooks_spools": [], "webhooks_follow": True},
            "setting 'webhooks_follow' has nothing to follow: set webhooks_spools",
            id="follows-nothing",
        ),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_written(
    world: World, read: Callable[..., Run], config: dict[str, Any], said: str
) -> None:
    run = read("peek", world, **config)
    assert (run.code, run.output) == (2, b"")
    assert said in run.log


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_personal_data_and_secrets_are_treated_as_everywhere(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run], pii: str
) -> None:
    world = make_world(ticks=1)
    delivery = {
        "webhook": {"id": "h", "url": "https://user:c4n4ry@example.com/"},
        "booking": {
            "uuid": "c0ffee",
            "notes": "c4n4ry",
            "contact": {"fullName": "c4n4ry", "emailAddress": "c4n4ry@example.com"},
            "unknown": {"c4n4ry": "c4n4ry"},
            "voucher": {"deliveryOptions": [{"deliveryFormat": "QRCODE", "deliveryValue": "c4n4ry"}]},
            "unitItems": [{"uuid": "x", "ticket": {"deliveryOptions": [{"deliveryValue": "c4n4ry"}]}}],
        },
    }
    receiver.post(json.dumps(delivery).encode())
    receiver.post(b"not JSON: c4n4ry")
    run = read("peek", world, "booking_updates", pii=pii, pii_key="k" * 32)
    assert run.code == 0, run.log
    assert len(run.records("booking_updates")) == 2
    assert b"c4n4ry" not in run.output
    assert "c4n4ry" not in run.log


def test_a_delivery_has_the_columns_of_what_it_tells() -> None:
    for tap, stream, objects, place in (
        (TapPeek, "booking_updates", "bookings", ["delivery", "booking"]),
        (TapPeek, "booking_updates", "webhooks", ["delivery", "webhook"]),
        (TapPeakium, "event_deliveries", "events", ["delivery"]),
    ):
        kinds = {kind.name: kind.schemas.get_schema(kind.name) for kind in tap.stream_types}
        there = kinds[stream]
        for name in place:
            there = there["properties"][name]
        own = {name: member for name, member in kinds[objects]["properties"].items() if not name.startswith("_")}
        assert there["properties"].keys() == own.keys()
        for name, member in own.items():
            assert there["properties"][name].get("x-pii") == member.get("x-pii"), name


def test_what_anybody_may_post_fails_no_run_and_fills_no_log(
    make_world: Callable[..., World], receiver: Receiver, read: Callable[..., Run]
) -> None:
    receiver.post(b'{"booking": {"uuid": "a", "status": [1], "c4n4ry": 1}, "webhook": "c4n4ry"}')
    run = read("peek", make_world(), "booking_updates", unknown_fields="fail")
    assert run.code == 0, run.log
    (row,) = run.records("booking_updates")
    assert row["delivery"]["booking"]["c4n4ry"] == 1
    assert row["_extra"]["delivery.booking.status"] == [1]
    assert "c4n4ry" not in run.log
