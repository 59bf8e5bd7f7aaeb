"""What tap-peakium survives, and how it stops when it can't go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.testing import Account, merged, run_tap
from tap_peakium.tap import TapPeakium

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_sandbox.client import World

NAMES = [kind.name for kind in TapPeakium.stream_types if kind.selected_by_default]
CANARY = "canary/4f9c+2b7e=kiwi"


def account(world: World, **config: Any) -> Account:
    return Account({**world.config("peakium"), **config}, world.env("peakium"))


def start(world: World, folder: Path, state: dict[str, Any] | None = None) -> subprocess.Popen[bytes]:
    """The tap as a process whose output can be read while it runs."""
    (folder / "config.json").touch(mode=0o600)
    (folder / "config.json").write_text(json.dumps(world.config("peakium")))
    (folder / "state.json").write_text(json.dumps(state or {}))
    command = [sys.executable, "-m", "tap_peakium", "--config", str(folder / "config.json")]
    return subprocess.Popen(
        [*command, "--state", str(folder / "state.json")],
        env={**os.environ, **world.env("peakium")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # communicate() passes over what readline() has read ahead
    )


def test_a4_a_wrong_key_is_one_line_and_one_request(world: World) -> None:
    run = run_tap(TapPeakium, account(world, api_key=CANARY))
    assert run.code == 3
    assert run.of("RECORD") == []
    assert [line for line in run.log.splitlines() if "ERROR" in line and "api_key" in line]
    assert run.log.count("ERROR") == 1
    assert CANARY not in run.log
    assert world.stats("peakium")["requests"] == 1


def test_a4_a_key_that_is_rolled_in_mid_run_ends_it_with_valid_state(world: World) -> None:
    world.fault("peakium", "/events", "status", status=401, times=None, after=3)
    run = run_tap(TapPeakium, account(world))
    assert run.code == 3
    assert run.log.count("ERROR") == 1
    assert "events" not in run.state.get("bookmarks", {})
    assert run.records("customers")


def test_h5_an_api_that_is_away_is_tried_again_then_named() -> None:
    run = run_tap(TapPeakium, Account({"api_key": "abc", "api_url": "http://127.0.0.1:9", "retry_max_s": 1}))
    assert run.code == 4
    (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
    assert "127.0.0.1:9" in line
    assert "tries" in line


def test_h3_a_lasting_fault_fails_one_stream_and_leaves_the_others_whole(make_world: Callable[..., World]) -> None:
    world = make_world(clock_rate=500)
    world.fault("peakium", "/events", "status", status=503, times=None, after=2)
    run = run_tap(TapPeakium, account(world), config={"retry_max_s": 60})
    assert run.code == 4
    (line,) = [line for line in run.log.splitlines() if "ERROR" in line]
    assert "events" in line
    assert "503" in line
    assert "events" not in run.state["bookmarks"]
    for stream in set(NAMES) - {"events"}:
        assert run.rows(stream) == merged(world.truth("peakium", stream), run.keys(stream)), stream


def test_l2_a_soak_with_failures_everywhere_is_exact(make_world: Callable[..., World]) -> None:
    world = make_world(clock_rate=500, switches={"peakium": {"max_count": 20}})
    world.fault("peakium", "*", "status", status=503, times=None, probability=0.1, seed=5)
    world.fault("peakium", "*", "reset_body", times=None, probability=0.01, seed=6)
    run = run_tap(TapPeakium, account(world), config={"concurrency": 8})
    assert run.code == 0, run.log
    for stream in NAMES:
        assert run.rows(stream) == merged(world.truth("peakium", stream), run.keys(stream)), stream
    assert world.faults("peakium")[0]["fired"] > 10


MOVES = [
    pytest.param("insert", 3, 0, 2, id="three-new-ones"),
    pytest.param("insert", 45, 0, 5, id="two-pages-of-new-ones"),
    pytest.param("delete", 1, 10, 1, id="one-gone"),
    pytest.param("delete", 19, 0, 3, id="most-of-a-page-gone"),
    pytest.param("delete", 70, 5, 9, id="several-pages-gone"),
]


@pytest.mark.parametrize(("kind", "rows", "position", "after"), MOVES)
@pytest.mark.parametrize("workers", [1, 8])
def test_p3_rows_that_stay_are_not_lost_while_others_move(
    make_world: Callable[..., World], kind: str, rows: int, position: int, after: int, workers: int
) -> None:
    world = make_world(switches={"peakium": {"max_count": 20}})
    world.fault("peakium", "/events", kind, times=None, rows=rows, position=position, after=after)
    run = run_tap(TapPeakium, account(world), config={"concurrency": workers})
    assert run.code == 0, run.log
    served = world.truth("peakium", "events")
    stayed = merged([*served[:position], *served[position + rows :]], ["id"])
    found = run.rows("events")
    assert [key for key in stayed if found.get(key) != stayed[key]] == []


def test_p8_an_ignored_offset_is_a_clean_stop(world: World) -> None:
    world.fault("peakium", "/customers", "ignore_page", times=None)
    run = run_tap(TapPeakium, account(world))
    assert run.code == 4
    assert "rows for every offset" in run.log
    assert len(run.rows("events")) == len(world.truth("peakium", "events"))


def test_x3_personal_keys_are_never_hashed_without_a_secret(world: World) -> None:
    run = run_tap(TapPeakium, account(world), config={"pii": "drop"})
    assert run.code == 2
    assert "pii_key" in run.log
