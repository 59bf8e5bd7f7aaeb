"""A run that follows loads within seconds, ends cleanly, and is alone; kills lose nothing of a day."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from typing import TYPE_CHECKING, Any

from merchant_sandbox.deliver import Delivered, Habits, deliver
from tap_core.testing import merged
from tests.pipeline.conftest import held

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run
    from tests.webhooks.live import Pipeline
    from tests.webhooks.receiver import Receiver

STREAMS = ["bookings", "booking_unit_items", "booking_updates"]
KILLS = int(os.environ.get("KILLS", "3"))


def rows(pipeline: Pipeline, stream: str) -> list[dict[str, Any]]:
    ours = {"_read_at", "_sdc_version", "_sdc_table_version"}
    return [
        {name: value for name, value in row.items() if value is not None and name not in ours}
        for row in held(pipeline.warehouse, "peek", stream)
    ]


def test_a_run_that_follows_loads_what_comes_and_ends_cleanly(
    make_world: Callable[..., World],
    receiver: Receiver,
    read: Callable[..., Run],
    make_pipeline: Callable[..., Pipeline],
) -> None:
    world, later = make_world(ticks=1), make_world(ticks=2)
    # Bookings that change while the run goes on were named before, and its lists have brought them as they were.
    changing = {each["body"]["booking"]["uuid"] for each in later.told("peek")}
    listed = [row["uuid"] for row in world.truth("peek", "bookings") if row["uuid"] in changing]
    assert listed
    for uuid in listed:
        receiver.post(json.dumps({"booking": {"uuid": uuid}}).encode())
    spools = [str(receiver.spool)]
    pipeline = make_pipeline(world, *STREAMS, webhooks_spools=spools)
    pipeline.start(webhooks_follow=True)
    try:
        assert pipeline.committed.wait(30), pipeline.log()
        world.tick()
        done = world.deliver("peek", {"default": receiver.url()})
        pipeline.committed.clear()
        while _read(pipeline) < len(listed) + len(done.answered["default"]):
            assert pipeline.committed.wait(30), pipeline.log()
            pipeline.committed.clear()
        refused = read("peek", world)
        assert (refused.code, refused.output) == (2, b"")
        assert "setting 'webhooks_spools[0]': another run reads these deliveries; end it, or give one" in refused.log
        beside = read("peek", world, "booking_updates", webhooks_reader="another environment")
        assert (beside.code, len(beside.records("booking_updates"))) == (0, _read(pipeline)), beside.log
        names = {name for (name,) in receiver.query("SELECT name FROM readers")}
        assert names == {"tap-peek", "another environment"}
    finally:
        codes = pipeline.end(("tap", signal.SIGTERM))
    assert codes == (143, 0), pipeline.log()
    found = rows(pipeline, "booking_updates")
    assert len(found) == len(listed) + len(done.answered["default"])
    assert {row["_outcome"] for row in found} == {"confirmed"}
    named = {row["bookingUuid"] for row in found}
    truth = merged(world.truth("peek", "bookings"), ["uuid"])
    loaded = merged(rows(pipeline, "bookings"), ["uuid"])
    assert named <= {uuid for (uuid,) in loaded}
    for (uuid,) in [key for key in truth if key[0] in named]:
        assert loaded[uuid,] == truth[uuid,]


def test_s4_a_run_that_follows_ends_when_its_target_does(
    make_world: Callable[..., World], receiver: Receiver, make_pipeline: Callable[..., Pipeline]
) -> None:
    pipeline = make_pipeline(make_world(), "booking_updates", webhooks_spools=[str(receiver.spool)])
    receiver.post(b"{}")
    pipeline.start(webhooks_follow=True)
    while "replication_key_value" not in pipeline.state.get("bookmarks", {}).get("booking_updates", {}):
        assert pipeline.committed.wait(30), pipeline.log()  # until there is nothing more to say
        pipeline.committed.clear()
    assert pipeline.end(("loader", signal.SIGKILL)) == (5, -signal.SIGKILL), pipeline.log()
    assert "the target closed the pipe" in pipeline.log()


def test_following_needs_something_to_follow(make_world: Callable[..., World], read: Callable[..., Run]) -> None:
    run = read("peek", make_world(), "bookings", webhooks_follow=True)
    assert (run.code, run.output) == (2, b"")
    assert "setting 'webhooks_follow' has nothing to follow" in run.log


def test_a_day_between_two_polls_survives_kills(
    make_world: Callable[..., World], receiver: Receiver, make_pipeline: Callable[..., Pipeline]
) -> None:
    """Receiver, tap and loader are killed, and one delivery in twenty is forged: what was answered is there."""
    world, chance, done = make_world(), random.Random(5), Delivered()
    spools = [str(receiver.spool)]
    pipeline = make_pipeline(world, *STREAMS, webhooks_spools=spools)
    pipeline.run()
    world.tick()
    told = world.told("peek")
    many = told * (1 + KILLS // 10)
    for number in range(KILLS):
        part = many[number::KILLS]
        habits = Habits(seed=number, doubles=0.3, forged=0.05, tries=1_000, pause_s=0.05)
        delivering = threading.Thread(target=_deliver, args=(part, receiver, habits, done))
        pipeline.start(webhooks_follow=number % 2 == 0)
        delivering.start()
        struck = threading.Timer(chance.uniform(0.0, 0.3), receiver.kill)
        struck.start()
        struck.join()
        receiver.start()
        delivering.join()
        pipeline.committed.wait(chance.uniform(0.5, 8.0))
        victim = chance.choice(["tap", "loader", "both"])
        pipeline.end(*[(name, signal.SIGKILL) for name in ("tap", "loader") if victim in {name, "both"}])
    assert not done.given_up
    pipeline.run()
    world.switch("peek", uuids=list({each["body"]["booking"]["uuid"] for each in told}))
    found = rows(pipeline, "booking_updates")
    [(last,)] = receiver.query("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'")
    assert sorted(row["_position"] for row in found) == list(range(1, last + 1))
    assert last >= len(done.answered["default"])
    delivered = {json.dumps(row["delivery"], sort_keys=True) for row in found if "delivery" in row}
    mine = [row for row in world.truth("peek", "booking_updates") if row["_connection"] == "default"]
    assert {json.dumps(row["delivery"], sort_keys=True) for row in mine} <= delivered
    for stream, keys in (("bookings", ["uuid"]), ("booking_unit_items", ["bookingUuid", "uuid"])):
        assert merged(rows(pipeline, stream), keys) == merged(world.truth("peek", stream), keys), stream


def _deliver(part: list[dict[str, Any]], receiver: Receiver, habits: Habits, done: Delivered) -> None:
    ended = deliver(part, {"default": receiver.url()}, habits)
    done.answered["default"] += ended.answered["default"]
    done.forged += ended.forged
    done.given_up += ended.given_up


def _read(pipeline: Pipeline) -> int:
    """Up to where the loader has committed deliveries."""
    entry = pipeline.state["bookmarks"].get("booking_updates", {})
    return max((place for each in entry.get("_positions", {}).values() for place in each.values()), default=0)
