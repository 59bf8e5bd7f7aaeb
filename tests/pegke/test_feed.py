"""The realtime feed: nothing that the server sent while connected is lost, whatever it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tap_core.testing import Run, selected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.pegke.conftest import Reader

FEED = "/v1/realtime/store-activity"


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({"feed_double_every": 2, "feed_overlap": 3, "feed_drop_every": 15}, id="doubles"),
        pytest.param({"feed_malformed_every": 4}, id="malformed-text"),
        pytest.param({"feed_malformed_every": 20, "feed_malformed": "frame"}, id="malformed-frames"),
        pytest.param({"feed_drop_every": 10, "feed_drop": "cut"}, id="H6-cut"),
        pytest.param({"feed_drop_every": 10, "feed_drop": "close", "times": "naive", "ids": "number"}, id="closed"),
    ],
)
def test_everything_sent_while_connected_arrives(make_pegke: Callable[..., Reader], switches: dict[str, Any]) -> None:
    pegke = make_pegke(feed_interval_ms=2, clock_rate=50.0, **switches)
    run = pegke.read("store_activity", realtime_max_messages=40)
    assert run.code == 0, run.log
    records = run.records("store_activity")
    assert len(records) == len(run.rows("store_activity")) == 40
    assert run.rows("store_activity") == dict(list(pegke.truth("store_activity", run).items())[:40])


def test_pings_are_answered_on_one_connection(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(feed_interval_ms=1, feed_ping_every=1)
    run = pegke.read("store_activity", realtime_max_messages=50)
    assert len(run.records("store_activity")) == 50
    assert pegke.count(FEED) == 1


def test_it_ends_after_its_time(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(feed_limit=5, feed_interval_ms=1)
    run = pegke.read("store_activity", realtime_max_seconds=2)
    pegke.exact(run, "store_activity")
    assert len(run.records("store_activity")) == 5


def test_doubles_and_malformed_messages_are_counted(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(feed_interval_ms=1, feed_limit=20, feed_double_every=5, feed_malformed_every=10)
    run = pegke.read("store_activity", realtime_max_seconds=2)
    pegke.exact(run, "store_activity")
    assert "4 doubles, 4 malformed messages" in " ".join(run.log.split())


def test_a_gap_is_logged_with_its_length(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(feed_interval_ms=1, feed_drop_every=10)
    run = pegke.read("store_activity", realtime_max_messages=15)
    assert "store_activity: a gap of " in run.log
    assert "the feed has no replay, so what happened meanwhile is lost" in run.log


def test_the_time_between_two_runs_is_a_gap_too(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(feed_interval_ms=1)
    first = pegke.read("store_activity", realtime_max_messages=5)
    pegke.world.advance(7_200)
    second = pegke.read("store_activity", realtime_max_messages=5, state=first.state)
    assert "gap" not in first.log
    assert "store_activity: a gap of 2 h" in second.log


def test_a1_a_dead_token_is_renewed_for_the_handshake(make_pegke: Callable[..., Reader], tmp_path: Path) -> None:
    pegke = make_pegke(feed_interval_ms=1)
    cache = str(tmp_path / "token.json")
    pegke.read("store_history", token_cache=cache)
    pegke.world.advance(3_601)
    run = pegke.read("store_activity", realtime_max_messages=5, token_cache=cache)
    assert len(run.records("store_activity")) == 5


def test_a4_refused_credentials_end_at_once(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke()
    run = pegke.read("store_activity", client_secret="wrong")
    assert run.code == 3
    assert pegke.count(FEED) == 0


def test_a_feed_that_is_not_there_fails_its_stream_alone(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke()
    run = pegke.read("store_activity", "offers", endpoints={"store_activity": "/v1/nowhere"})
    assert run.code == 4
    assert "store_activity: /v1/nowhere: the server answers the handshake with 404" in run.log
    assert run.records("offers")


@pytest.fixture
def running(make_pegke: Callable[..., Reader], tmp_path: Path) -> Iterator[tuple[Reader, subprocess.Popen[bytes]]]:
    """A tap that reads the feed without end."""
    pegke = make_pegke(feed_interval_ms=5)
    account = pegke.account()
    files = {
        "config": {**account.config, "realtime_max_seconds": 0},
        "catalog": selected(pegke.catalog, ["store_activity"]),
    }
    for name, content in files.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(json.dumps(content))
    command = [sys.executable, "-m", "tap_pegke"]
    command += ["--config", str(tmp_path / "config"), "--catalog", str(tmp_path / "catalog")]
    process = subprocess.Popen(
        command,
        env={**os.environ, **account.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # communicate() passes over what readline() has read ahead
    )
    yield pegke, process
    process.kill()
    process.communicate()


def test_records_and_states_come_while_the_feed_goes_on(running: tuple[Reader, subprocess.Popen[bytes]]) -> None:
    _, process = running
    assert process.stdout
    assert json.loads(process.stdout.readline())["type"] == "STATE", "the one that a run begins with"
    kinds: list[str] = []
    while kinds.count("STATE") < 2:
        kinds.append(json.loads(process.stdout.readline())["type"])
    assert process.poll() is None
    first = kinds.index("STATE")
    assert "RECORD" in kinds[:first]
    assert "RECORD" in kinds[first:]


def test_s2_sigterm_ends_cleanly_with_a_state_over_everything(
    running: tuple[Reader, subprocess.Popen[bytes]],
) -> None:
    pegke, process = running
    assert process.stdout
    head = b"".join(process.stdout.readline() for _ in range(50))
    process.send_signal(signal.SIGTERM)
    output, log = process.communicate(timeout=60)
    run = Run(process.returncode, head + output, log.decode())
    assert run.code == 143
    assert run.messages[-1]["type"] == "STATE"
    records = run.records("store_activity")
    assert run.state["bookmarks"]["store_activity"]["replication_key_value"] == records[-1]["created"]
    truth = list(pegke.truth("store_activity", run).values())
    assert list(run.rows("store_activity").values()) == truth[: len(records)]
    assert "Traceback" not in run.log


def test_tap_and_loader_are_a_near_real_time_feed(
    running: tuple[Reader, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    pegke, tap = running
    (tmp_path / "loader.json").write_text(json.dumps({"path": str(tmp_path / "w.duckdb"), "flush_interval_s": 1}))
    loader = subprocess.Popen(
        [sys.executable, "-m", "target_duckhouse", "--config", str(tmp_path / "loader.json")],
        stdin=tap.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert loader.stdout
    committed = json.loads(loader.stdout.readline())
    assert committed["bookmarks"]["store_activity"]["replication_key_value"]
    assert tap.poll() is None
    tap.send_signal(signal.SIGTERM)
    _, log = loader.communicate(timeout=60)
    assert loader.returncode == 0, log
    assert tap.wait(60) == 143
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        loaded = con.execute("SELECT _entry_id FROM store_activity ORDER BY created").fetchall()
    truth = [row["_entry_id"] for row in pegke.world.truth("pegke", "store_activity")]
    assert [key for (key,) in loaded] == truth[: len(loaded)]
    assert loaded
