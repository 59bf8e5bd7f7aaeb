"""Whose rows a table holds, where a tap may continue from, and what is stored of its state."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from target_duckhouse.warehouse.bookmarks import continued_streams, tap_state
from tests.loader.harness import DATE_TIME, INTEGER, record, schema, state
from tests.loader.test_compatibility import DATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.loader.harness import Loader

EVENTS = schema("events", {"id": INTEGER, "n": INTEGER})
LOG = schema("log", {"n": INTEGER}, keys=())
WINDOWS = schema("log", {"_window_start": DATE_TIME | {"x-partition": []}, "n": INTEGER}, keys=())
V01 = """
    CREATE TABLE main._singer_state (
        state_id VARCHAR PRIMARY KEY, state JSON NOT NULL, committed_at TIMESTAMPTZ NOT NULL);
    CREATE TABLE main._singer_loads (
        load_id VARCHAR NOT NULL, state_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL,
        inserted BIGINT NOT NULL, updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, deleted BIGINT NOT NULL,
        rejected BIGINT NOT NULL, seconds DOUBLE NOT NULL, started_at TIMESTAMPTZ NOT NULL,
        committed_at TIMESTAMPTZ NOT NULL);
    CREATE TABLE main.events (id BIGINT, n BIGINT);
    COMMENT ON TABLE main.events IS 'key: id';
    CREATE TABLE main.log (n BIGINT);
    COMMENT ON TABLE main.log IS 'key: none';
"""


def events(*ids: int, n: int = 0) -> list[dict[str, Any]]:
    return [EVENTS, *(record("events", id=number, n=n) for number in ids)]


def at(month: int, stream: str = "events", account: str | None = None, **more: object) -> dict[str, Any]:
    """A STATE in the form of this project's taps."""
    value = f"2026-{month:02d}-01T00:00:00.000000Z"
    entry = {"replication_key": "created", "replication_key_value": value, **more}
    return state({"bookmarks": {stream: entry}} | ({"_account": account} if account else {}))


def version_01(loader: Loader, *loads: tuple[str, str], stored: object = None) -> None:
    """A warehouse of version 0.1, with the pipelines that loaded which stream, the last one last."""
    with duckdb.connect(str(loader.path)) as con:
        con.execute(V01)
        con.execute("INSERT INTO events VALUES (1, 0)")
        for number, (state_id, stream) in enumerate(loads):
            con.execute(
                "INSERT INTO _singer_loads VALUES ('x', ?, 'main', ?, 1, 0, 0, 0, 0, 1, now(), now() + to_days(?))",
                [state_id, stream, number],
            )
        if stored is not None:
            con.execute("INSERT INTO _singer_state VALUES (?, ?, now())", [loads[-1][0], json.dumps(stored)])


# Whose rows


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_s18_another_pipeline_s_rows_are_not_replaced(loader: Loader, *, lake: bool) -> None:
    settings = {"lake_path": str(loader.folder / "lake")} if lake else {}
    loader.load([*events(1, 2), at(2)], state_id="prod:tap", **settings)
    line = loader.fail([*events(1, n=9), at(3)], state_id="prod:tap--eu", **settings)
    for words in (
        "events",
        "prod:tap ",
        "`schema`",
        "`shared`",
        "`target-duckhouse state rename prod:tap prod:tap--eu`",
    ):
        assert words in line
    assert loader.sql("FROM events ORDER BY id") == [(1, 0), (2, 0)]
    assert json.loads(loader.ask("state", "--state-id", "prod:tap")) == at(2)["value"]
    loader.load([*events(1, n=9), at(3)], state_id="prod:tap--eu", schema="eu", **settings)
    loader.load([*events(1, n=3), at(3)], state_id="prod:tap", **settings)
    assert loader.sql("FROM events ORDER BY id") == [(1, 3), (2, 0)]


@pytest.mark.parametrize(
    "messages",
    [
        [LOG, record("log", 1, n=2)],
        [LOG, {"type": "ACTIVATE_VERSION", "stream": "log", "version": 1}],
        [WINDOWS, record("log", _window_start="2026-01-01T00:00:00Z", n=2)],
    ],
    ids=["version", "activate-version", "windows"],
)
def test_s18_rows_without_a_key_are_appended_but_not_removed_by_another(loader: Loader, messages: list[Any]) -> None:
    loader.load([LOG, record("log", n=1)], state_id="a")
    loader.load([LOG, record("log", n=1)], state_id="b")
    for state_id in ("a", "b", "c"):
        assert "belongs to the state id" in loader.fail(messages, state_id=state_id)
    assert loader.sql("SELECT n FROM log") == [(1,), (1,)]


def test_a_renamed_pipeline_takes_its_state_and_tables_along(loader: Loader) -> None:
    loader.load([*events(1), at(2)], state_id="dev:tap")
    assert "unknown" in loader.ask_in_vain("state", "rename", "unknown", "prod:tap")
    loader.ask("state", "rename", "dev:tap", "prod:tap")
    loader.load([at(2), *events(1, n=1), at(3)], state_id="prod:tap")
    assert "belongs to the state id prod:tap" in loader.fail(events(1), state_id="dev:tap")
    assert json.loads(loader.ask("state", "--state-id", "prod:tap")) == at(3)["value"]
    assert "prod:tap" in loader.ask_in_vain("state", "--state-id", "dev:tap")
    loader.load([*events(1), at(2)], state_id="dev:tap", schema="dev")
    assert "both have a state" in loader.ask_in_vain("state", "rename", "dev:tap", "prod:tap")


def test_pipelines_that_share_a_table_merge_and_remove_nothing(loader: Loader) -> None:
    for state_id, ids in (("a", (1, 2)), ("b", (2, 3)), ("a", (1,))):
        rows = [record("events", 7, id=number, n=number) for number in ids]
        activate = {"type": "ACTIVATE_VERSION", "stream": "events", "version": 7}
        windows = [WINDOWS, *(record("log", _window_start="2026-01-01T00:00:00Z", n=n) for n in ids)]
        loader.load([EVENTS, *rows, activate, *windows, at(2)], state_id=state_id, shared=True)
    assert loader.sql("SELECT id FROM events ORDER BY id") == [(1,), (2,), (3,)]
    assert loader.sql("SELECT n FROM log ORDER BY n") == [(1,), (1,), (2,), (2,), (3,)]
    assert "belongs to the state id b" in loader.fail(events(1), state_id="a")


def test_a_backfill_under_an_id_of_its_own_leaves_the_nightly_run_what_it_was(loader: Loader) -> None:
    snapshot = {"type": "ACTIVATE_VERSION", "stream": "events"}
    loader.load([EVENTS, record("events", 1, id=1, n=1), snapshot | {"version": 1}, at(5)], state_id="nightly")
    loader.load([*events(2), at(2)], state_id="backfill", shared=True)
    loader.load([at(5), EVENTS, record("events", 2, id=2, n=2), snapshot | {"version": 2}, at(6)], state_id="nightly")
    assert loader.sql("SELECT id, n FROM events") == [(2, 2)]


def test_s18_in_a_warehouse_of_version_01_the_last_pipeline_owns_a_table(loader: Loader) -> None:
    version_01(loader, ("old", "events"), ("a", "log"), ("new", "events"), ("b", "log"), stored={"n": 1})
    assert "belongs to the state id new" in loader.fail([state({"n": 1}), *events(1)], state_id="old")
    for state_id in ("a", "b"):
        loader.load([at(3, "log"), LOG, record("log", n=1), at(4, "log")], state_id=state_id)
    loader.load([at(3), *events(1, n=1), at(4)], state_id="new")
    assert loader.sql("SELECT n FROM events UNION ALL SELECT n FROM log") == [(1,), (1,), (1,)]


def test_two_accounts_under_one_state_id_are_told(loader: Loader) -> None:
    for account, warns in (("one", False), ("one", False), ("two", True), ("two", False)):
        first = state({"bookmarks": {}, "_account": account})
        done = loader.run([first, *events(1), LOG, at(2, account=account)])
        assert done.returncode == 0
        assert (b"another account" in done.stderr) == warns, done.stderr
        assert done.stderr.count(b"WARNING") == warns
    other = schema("other", {"id": INTEGER})  # another tap in the same schema reads another account
    assert b"WARNING" not in loader.run([state({"bookmarks": {}, "_account": "three"}), other, at(1, "x")]).stderr


def test_another_account_s_bookmark_does_not_stay(loader: Loader) -> None:
    for account, month in (("one", 6), ("two", 2)):
        loader.load([*events(1), at(month, account=account)])
    assert json.loads(loader.ask("state")) == at(2, account="two")["value"]


# Where a tap continues from


def lost(loader: Loader) -> dict[str, Any]:
    loader.path.unlink()
    return {}


def another_schema(_loader: Loader) -> dict[str, Any]:
    return {"schema": "elsewhere"}


def dropped(loader: Loader) -> dict[str, Any]:
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DROP TABLE main.events")
    return {}


def older(loader: Loader) -> dict[str, Any]:
    shutil.copy(loader.folder / "copy", loader.path)
    return {}


def came_back(loader: Loader) -> dict[str, Any]:
    """For a while, the pipeline has loaded into another schema."""
    shutil.copy(loader.folder / "copy", loader.path)
    loader.load([*events(1, 2), at(3)], schema="elsewhere", state_id="prod:tap")
    return {}


@pytest.mark.parametrize("lose", [lost, another_schema, dropped, older, came_back])
def test_s17_a_state_that_the_warehouse_does_not_know_stops_the_load(
    loader: Loader, lose: Callable[[Loader], dict[str, Any]]
) -> None:
    prod = {"state_id": "prod:tap"}
    loader.load([*events(1), at(2)], **prod)
    shutil.copy(loader.path, loader.folder / "copy")
    loader.load([at(2), *events(2), at(3)], **prod)
    settings = {**prod, **lose(loader)}
    for _ in range(2):  # the second time is no better
        line = loader.fail([at(3), *events(3), at(4)], **settings)
        assert "stream events" in line
        assert "--full-refresh" in line
        assert "`accept_unknown_state`" in line
    table = f"{settings.get('schema', 'main')}.events"
    assert (3,) not in (loader.sql(f"SELECT id FROM {table}") if lose in {older, came_back} else [])
    loader.load([at(3), *events(3), at(4)], **settings, accept_unknown_state=True)
    loader.load([at(4), *events(4), at(5)], **settings)
    loader.load([*events(1, 2, 3, 4), at(5)], **settings)
    assert loader.sql(f"SELECT id FROM {table} ORDER BY id") == [(1,), (2,), (3,), (4,)]


def test_s17_what_was_not_loaded_is_not_stored_as_known(loader: Loader) -> None:
    loader.load([*events(1), at(2)])
    loader.load([at(3)])  # the tap failed before its first SCHEMA
    loader.load([at(3), LOG, at(4)])  # or reads other streams
    assert "older copy" in loader.fail([at(4), *events(3), at(4)])


def test_s17_a_first_load_that_no_state_covers_is_not_a_whole_one(loader: Loader) -> None:
    loader.load(events(1))
    assert "older copy" in loader.fail([at(3), *events(3), at(4)])


def test_s17_a_table_that_is_made_anew_does_not_keep_its_bookmark(loader: Loader) -> None:
    loader.load([*events(1), at(5)])
    dropped(loader)
    loader.load([*events(1), at(2)])  # a full refresh that did not get far
    assert json.loads(loader.ask("state")) == at(2)["value"]


SDK = {"replication_key": "at", "replication_key_value": 7}


@pytest.mark.parametrize(
    "entry", [SDK, {"partitions": [{"context": {"shop": 1}, **SDK}]}, {"partitions": [{}, SDK], "x": 1}]
)
def test_s17_states_of_other_taps_count_if_they_have_a_value(loader: Loader, entry: dict[str, Any]) -> None:
    known = state({"bookmarks": {"events": entry, "other": SDK}})
    assert "no table main.events" in loader.fail([known, *events(1), known])
    loader.load([*events(1), known])
    loader.load([known, *events(2), known])
    assert loader.sql("SELECT id FROM events") == [(1,), (2,)]


FRESH = state({"bookmarks": {"events": {"starting_replication_value": "2020-01-01", "progress_markers": SDK}}})


@pytest.mark.parametrize("first", [FRESH, state({"bookmarks": {"others": SDK}, "currently_syncing": "events"})])
def test_s17_a_fresh_run_of_another_tap_loads(loader: Loader, first: object) -> None:
    loader.load([first, *events(1), at(1), LOG, at(2, "log"), schema("late", {"id": INTEGER}), at(3, "late")])
    assert loader.sql("SELECT id FROM events") == [(1,)]


@pytest.mark.parametrize(
    "first",
    [
        {"currently_syncing": "events"},
        {"bookmarks": {"events": {}}, "currently_syncing": "events"},
        {"bookmarks": {"events": {"last_replication_method": "FULL_TABLE", "version": 1795329835107}}},
        {"bookmarks": {"events": {"replication_key": "at", "replication_key_value": None}}},
        {"bookmarks": {"events": {"updated_at": "2020-01-01"}}},
        {"bookmarks": {"events": {"partitions": [{"context": {}}, 1], "replication_key_value": ""}}},
        {"bookmarks": {"events": SDK["replication_key_value"]}},
        {"bookmarks": [SDK]},
        {"events": "2026-01-01"},
        7,
        None,
    ],
)
def test_s17_a_state_without_a_value_continues_nothing(first: object) -> None:
    assert continued_streams(json.dumps(first).encode()) == set()


@pytest.mark.parametrize("tap", ["meltanolabs-tap-postgres", "pipelinewise-tap-postgres"])
def test_s17_another_tap_s_second_run_loads(loader: Loader, tap: str) -> None:
    data = (DATA / f"{tap}.singer").read_bytes()
    (last,) = loader.load(data)
    assert loader.load(json.dumps(state(last)).encode() + b"\n" + data) == [last]


def test_s17_new_streams_and_warehouses_of_version_01_load(loader: Loader) -> None:
    version_01(loader, ("main", "events"), stored=at(2)["value"])  # a backfill had set the state back
    loader.load([at(4), LOG, record("log", n=1), *events(2), at(5)])
    assert loader.sql("SELECT id FROM events ORDER BY id") == [(1,), (2,)]
    assert "older copy" in loader.fail([at(6), *events(2)])


def test_s10_a_bookmark_from_the_future_is_not_a_gap(loader: Loader) -> None:
    loader.load([*events(1), at(2)])
    future = at(2)
    future["value"]["bookmarks"]["events"]["replication_key_value"] = "2999-01-01T00:00:00.000000Z"
    loader.load([future, *events(1), at(3)])
    assert json.loads(loader.ask("state")) == at(3)["value"]


# What is stored


def test_a_backfill_does_not_set_the_stored_state_back(loader: Loader) -> None:
    both = at(6)
    both["value"]["bookmarks"] |= at(5, "log")["value"]["bookmarks"]
    loader.load([*events(1), LOG, both])
    assert loader.load([*events(1), at(2)]) == [at(2)["value"]]
    assert json.loads(loader.ask("state")) == both["value"]
    loader.load([at(2), *events(1), at(7)])
    assert json.loads(loader.ask("state"))["bookmarks"]["events"] == at(7)["value"]["bookmarks"]["events"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (at(6), at(2, _partitions="65 1")),
        (at(6, customers={"1": "a"}), at(2, customers={"1": "b"})),
        (at(6), at(2, replication_key="updated")),
        (state({"next": 9}), state({"next": 2})),
        (state({"bookmarks": {"a": {"v": 1}, "b": {"v": 1}}}), state({"bookmarks": {"a": {"v": 1}}})),
        (at(6), state({"bookmarks": {"events": SDK}})),
        (state({"bookmarks": {"events": SDK}}), state({"bookmarks": {"events": SDK | {"replication_key_value": 1}}})),
        (at(6), state({})),
        (at(6), at(2) | {"value": at(2)["value"] | {"currently_syncing": None}}),
    ],
)
def test_a_state_that_cannot_be_compared_is_stored_as_it_comes(before: Any, after: Any) -> None:
    stored, told = (tap_state(json.dumps(message["value"]).encode()) for message in (before, after))
    now = at(9)["value"]["bookmarks"]["events"]["replication_key_value"]
    assert stored is None or told is None or told.with_later(stored, (), now) is told


def test_a_stored_bookmark_from_the_future_gives_way(loader: Loader) -> None:
    future = at(2)
    future["value"]["bookmarks"]["events"]["replication_key_value"] = "2999-01-01T00:00:00.000000Z"
    loader.load([EVENTS, future])
    loader.load([EVENTS, at(3)])
    assert json.loads(loader.ask("state")) == at(3)["value"]


def test_going_back_is_explicit(loader: Loader) -> None:
    loader.load([*events(1), at(6)], state_id="prod:tap")
    prod = ("--state-id", "prod:tap")
    (file := loader.folder / "state.json").write_text(json.dumps(at(2)["value"], indent=2))
    loader.ask("state", "set", *prod, str(file))
    assert json.loads(loader.ask("state", *prod)) == at(2)["value"]
    assert "older copy" in loader.fail([at(6), *events(2)], state_id="prod:tap")
    loader.load([at(2), *events(2), at(3)], state_id="prod:tap")
    assert json.loads(loader.ask("state", *prod)) == at(3)["value"]
    loader.ask("state", "clear", *prod)
    assert loader.ask("state", *prod) == "{}\n"
    assert "prod:tap" in loader.ask_in_vain("state", "clear", "--state-id", "unknown")
    for text in ("", "{", '{"type": "STATE", "value": {}}', '{"a": "\\ud83d"}'):
        file.write_text(text)
        assert loader.ask_in_vain("state", "set", *prod, str(file)).count("\n") == 1


def test_a_state_is_handed_back_as_it_was_stored(loader: Loader) -> None:
    text = b'{"id": 12345678901234567890123, "price":1.10, "big": 1e999}'
    loader.load([])
    assert loader.ask("state") == "{}\n"  # nothing is known yet
    loader.load(b'{"type":"STATE","value":%s}\n' % text, state_id="odd")
    loader.load([state({"n": 1})])
    assert loader.ask("state", "--state-id", "odd").encode() == text + b"\n"
    shown = loader.ask("inspect", "--format", "json")
    assert all(digits in shown for digits in ("12345678901234567890123", "1.10", "1e999"))
    assert text.decode() in loader.ask("inspect")
    line = loader.ask_in_vain("state", "--state-id", "od")
    assert "main, odd" in line


def test_a_kill_after_a_commit_leaves_owner_and_bookmark_together(loader: Loader) -> None:
    target = subprocess.Popen(
        loader.command(flush_interval_s=0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert target.stdin
    assert target.stdout
    lines = [*events(1), at(2), *events(2), at(3), *events(3)]
    target.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    target.stdin.flush()
    while json.loads(target.stdout.readline()) != at(3)["value"]:
        pass
    target.kill()
    target.communicate()
    loader.load([at(3), *events(3), at(4)])
    assert loader.sql("SELECT id FROM events ORDER BY id") == [(1,), (2,), (3,)]
