"""What arrives is what the operators have, to the last field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from merchant_sandbox.vendors.peek.api import KEYS, OCTO_STANDARD
from tap_core.testing import merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World
    from tap_core.testing import Run

STANDARD_CALLS = {"supplier": "yes", "capabilities": "yes"}
OPTIONAL = ["availability_snapshots", "supplier", "capabilities"]
CONNECTIONS = [{"name": name, "api_key": key} for name, key in KEYS.items()]


def test_every_stream_is_exact(
    make_world: Callable[..., World], run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world = make_world(switches={"peek": STANDARD_CALLS})
    done = run(world, config={"enable_streams": OPTIONAL})
    assert_exact(world, done)
    assert len(done.streams) == 12
    assert all(done.records(stream) for stream in done.streams)
    assert "_extra" not in {name for message in done.of("RECORD") for name in message["record"]}
    assert world.stats("peek")["writes"] == []


def test_a_second_run_after_a_tick_is_exact_and_goes_on_from_the_state(
    world: World, run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    first = run(world)
    world.tick()
    second = run(world, state=first.state)
    assert_exact(world, second)
    before, after = (done.state["bookmarks"]["bookings"]["replication_key_value"] for done in (first, second))
    assert before < after


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param(OCTO_STANDARD, id="plain-octo-standard"),
        pytest.param({"standard_fields": True, "booking_dates": True}, id="prices-on-options"),
        pytest.param({"option_id": "DEFAULT", "order": "newest"}, id="own-option-ids-other-order"),
        pytest.param({"booking_dates": True, "local_date_means": "created", "list_holds": False}, id="other-bookings"),
        pytest.param({"bookings_unfiltered": "all", "booking_filter": "references"}, id="filter-ignored"),
    ],
)
def test_servers_of_other_habits_are_read_without_a_setting(
    make_world: Callable[..., World],
    run: Callable[..., Run],
    assert_exact: Callable[[World, Run], None],
    switches: dict[str, Any],
) -> None:
    world = make_world(switches={"peek": switches})
    done = run(world)
    if switches.get("booking_filter") != "references":
        assert_exact(world, done)
        return
    assert done.code == 0, done.log
    found = merged(done.records("bookings"), done.keys("bookings"))
    assert len(found) == len(done.records("bookings"))
    assert found.items() >= merged(world.truth("peek", "bookings"), done.keys("bookings")).items()


def test_several_operators_with_equal_ids_are_kept_apart(
    make_world: Callable[..., World], run: Callable[..., Run], assert_exact: Callable[[World, Run], None]
) -> None:
    world = make_world(switches={"peek": {"operators": 2}})
    done = run(world, config={"api_key": None, "connections": CONNECTIONS})
    assert_exact(world, done)
    ids = {name: {row["id"] for row in done.records("products") if row["_connection"] == name} for name in KEYS}
    assert ids["default"] == ids["south"]


def test_records_do_not_depend_on_concurrency(world: World, run: Callable[..., Run]) -> None:
    one, eight = (run(world, config={"concurrency": number}) for number in (1, 8))
    assert [m.get("record") for m in one.of("RECORD", "bookings")] == [
        m.get("record") for m in eight.of("RECORD", "bookings")
    ]
    assert one.state == eight.state
