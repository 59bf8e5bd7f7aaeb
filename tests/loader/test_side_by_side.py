"""Several loads into one file at a time: each opens it only to commit, and what others change in between is heeded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import INTEGER, NUMBER, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loader.harness import Loader

T = schema("t", {"id": INTEGER, "n": INTEGER})
MUCH = [record("t", id=n, n=n) for n in range(1000, 26_000)]
"""More than fits into a pipe, which the loader makes as large as a megabyte: once it is written, most has been read."""
HELD = (schema("log", {"id": INTEGER}, ()), record("log", id=1))
"""A row that is only appended: until a STATE covers it, nothing is committed, however long the input pauses."""


class Running:
    """A load whose input does not end yet."""

    def __init__(self, loader: Loader, **settings: object) -> None:
        command = loader.command(**{"flush_interval_s": 0, **settings})
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid = self._process.pid

    def write(self, *messages: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(encode(messages))
        self._process.stdin.flush()

    def commit(self, *messages: object) -> None:
        """Load messages up to a STATE, and wait until that is confirmed."""
        assert self._process.stdout
        self.write(*messages)
        assert self._process.stdout.readline() == json.dumps(messages[-1]["value"]).encode() + b"\n"  # type: ignore[index]

    def wait_for(self, words: bytes) -> None:
        """Read the log up to a line with these words."""
        assert self._process.stderr
        assert any(words in line for line in iter(self._process.stderr.readline, b""))

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self, *messages: object) -> str:
        """Load the last messages, and wait until the load has ended well; returns what it said."""
        _, said = self._process.communicate(encode(messages))
        assert self._process.returncode == 0, said.decode()
        return said.decode()

    def fail(self, *messages: object) -> str:
        """Load the last messages, which must not load; returns the one line that says why."""
        _, said = self._process.communicate(encode(messages))
        assert self._process.returncode == 5, said.decode()
        assert b"Traceback" not in said
        return said.decode().strip().splitlines()[-1]


@contextmanager
def running(loader: Loader, **settings: object) -> Iterator[Running]:
    load = Running(loader, **settings)
    try:
        yield load
    finally:
        load.kill()


@pytest.fixture(params=[None, "parquet", "delta"], ids=["tables", "lake", "delta"])
def place(request: pytest.FixtureRequest, loader: Loader) -> dict[str, Any]:
    if request.param is None:
        return {}
    return {"lake_path": str(loader.folder / "lake"), "table_format": request.param, "schema": "shop"}


def test_l8_a_loader_reads_while_another_process_has_the_file(loader: Loader) -> None:
    with running(loader) as load:
        load.commit(T, state(0))
        with duckdb.connect(str(loader.path)):
            load.write(*MUCH)
        load.end(state(1))
    assert loader.sql("SELECT count(*), min(n), max(n) FROM t") == [(len(MUCH), 1000, 25_999)]


def test_l8_a_feed_that_never_ends_keeps_neither_loads_nor_readers_out(loader: Loader) -> None:
    with running(loader, state_id="feed", schema="feed") as feed:
        feed.commit(T, record("t", id=1), state(1))
        assert loader.sql("SELECT id FROM feed.t") == [(1,)]
        loader.load([T, record("t", id=7), state(7)], lock_timeout_s=5)
        feed.commit(record("t", id=2), state(2))
        assert json.loads(loader.ask("state", "--state-id", "main")) == 7
        feed.end(record("t", id=3))
    assert loader.sql("SELECT id FROM feed.t ORDER BY id") == [(1,), (2,), (3,)]


def test_l6_a_file_that_is_locked_at_a_commit_is_waited_for_in_one_line(loader: Loader) -> None:
    with running(loader, lock_timeout_s=0.3) as load:
        load.commit(T, record("t", id=1), state(1))
        with duckdb.connect(str(loader.path)):
            line = load.fail(record("t", id=2), state(2))
    assert f"is locked by process {os.getpid()}; waited 0.3 s (setting `lock_timeout_s`)" in line
    assert loader.sql("SELECT id FROM t") == [(1,)]
    assert loader.ask("state") == "1\n"


def test_l8_a_run_of_the_same_pipeline_waits_for_the_first(loader: Loader) -> None:
    with running(loader) as load:
        load.commit(T, record("t", id=1), state(1))
        line = loader.fail([T], lock_timeout_s=0.1)
        assert f"the state id main is being loaded by process {load.pid}; waited 0.1 s" in line
        load.end()
    loader.load([T, record("t", id=2), state(2)])


def test_l8_a_pipeline_whose_run_was_killed_is_free(loader: Loader) -> None:
    with running(loader, flush_interval_s=3600) as load, running(loader, state_id="b", schema="b") as other:
        load.write(T, *MUCH)
        other.commit(T, state(1))
        load.kill()
        spools = loader.path.with_suffix(".duckdb.spool")
        assert len([*spools.iterdir()]) == 2
        loader.load([T, record("t", id=1), state(1)], lock_timeout_s=0)
        assert len([*spools.iterdir()]) == 1  # what the other run has is its own
        other.end(record("t", id=2), state(2))
    assert not spools.exists()


def test_l8_a_column_that_another_adds_is_kept(loader: Loader, place: dict[str, Any]) -> None:
    with running(loader, **place, shared=True, state_id="a") as load:
        load.commit(T, record("t", id=1, n=1), state(1))
        wider = schema("t", {"id": INTEGER, "n": INTEGER, "text": STRING})
        loader.load([wider, record("t", id=2, n=2, text="two"), state(1)], **place, shared=True, state_id="b")
        load.commit(record("t", id=3, n=3), state(2))
        load.commit(record("t", id=2, n=22), state(3))
        load.end()
    table = f"{place.get('schema', 'main')}.t"
    found = loader.sql(f"SELECT id, n, text FROM {table} ORDER BY id")
    assert found == [(1, 1, None), (2, 22, "two"), (3, 3, None)]


def test_l8_a_column_that_another_widens_takes_what_was_read_before(loader: Loader, place: dict[str, Any]) -> None:
    beyond = 2**53 + 1
    with running(loader, **place, shared=True, state_id="a") as load:
        load.commit(T, record("t", id=1, n=1), state(1))
        load.write(*HELD, record("t", id=5, n=beyond), *MUCH)
        wider = schema("t", {"id": INTEGER, "n": NUMBER})
        loader.load([wider, record("t", id=2, n=2.5), state(1)], **place, shared=True, state_id="b")
        load.commit(record("t", id=3, n=3), state(2))
        load.end(record("t", id=4, n=4), state(3))
    table = f"{place.get('schema', 'main')}.t"
    found = loader.sql(f"SELECT id, n::DOUBLE FROM {table} WHERE id < 5 ORDER BY id")
    assert found == [(1, 1), (2, 2.5), (3, 3), (4, 4)]
    assert loader.sql(f"SELECT n FROM {table} WHERE id = 5") == [(str(beyond),)]
    assert loader.sql(f"SELECT count(*) FROM {table} WHERE id >= 1000 AND n = id::VARCHAR") == [(len(MUCH),)]


@pytest.mark.parametrize("keys", [("id",), ()], ids=["keyed", "appended"])
def test_l8_a_table_dropped_in_between_stops_the_load(loader: Loader, keys: tuple[str, ...]) -> None:
    thing = schema("t", {"id": INTEGER}, keys)
    with running(loader) as load:
        load.commit(thing, record("t", id=1), state(1))
        with duckdb.connect(str(loader.path)) as con:
            con.execute("DROP TABLE t")
        line = load.fail(record("t", id=2), state(2))
    assert "stream t: the table main.t was dropped while this run was loading it" in line
    assert loader.ask("state") == "1\n"


DROP = """
import os, sys, duckdb
while True:
    try:
        con = duckdb.connect(sys.argv[1])
        break
    except duckdb.IOException:
        pass  # the load has it, for a moment
con.execute("DROP TABLE t")
"""


@pytest.mark.parametrize("before", [True, False], ids=["before-a-look", "after-a-look"])
@pytest.mark.parametrize("end", ["con.close()", "os._exit(0)"], ids=["in-the-file", "in-its-log"])
def test_l8_what_others_do_is_seen_at_the_next_commit(loader: Loader, end: str, *, before: bool) -> None:
    """A SCHEMA has the loader look at the file, which it leaves as it is; it knows the file again by that."""
    with running(loader, on_bad_record="reject") as load:
        load.commit(T, record("t", id=1), state(1))
        for turn in ("drop", "look") if before else ("look", "drop"):
            if turn == "drop":
                subprocess.run([sys.executable, "-c", DROP + end, loader.path], check=True)
            else:
                loader.ask("state")  # so the last write was a while ago
                load.write(schema("u", {"id": INTEGER}), record("u", id="x"))
                load.wait_for(b"a record was rejected")
        line = load.fail(record("t", id=2), state(2))
    assert "was dropped while this run was loading it" in line


def test_l8_a_pipeline_renamed_in_between_stops_the_load(loader: Loader) -> None:
    with running(loader, state_id="old") as load:
        load.commit(T, record("t", id=1), state(1))
        loader.ask("state", "rename", "old", "new")
        line = load.fail(record("t", id=2), state(2))
    assert "the state id old was renamed to new while this run was loading" in line
    assert loader.sql("SELECT id FROM t") == [(1,)]
    assert loader.sql("SELECT state_id, state FROM _singer_state") == [("new", "1")]


def test_l8_a_state_that_is_stored_in_between_is_not_set_back(loader: Loader) -> None:
    def upto(year: int) -> dict[str, Any]:
        value = f"{year}-01-01T00:00:00.000000Z"
        return {"bookmarks": {"t": {"replication_key": "n", "replication_key_value": value}}}

    with running(loader) as load:
        load.commit(T, record("t", id=1), state(upto(2020)))
        later = loader.folder / "state.json"
        later.write_text(json.dumps(upto(2025)))
        loader.ask("state", "set", str(later))
        load.commit(record("t", id=2), state(upto(2021)))
        load.end()
    assert json.loads(loader.ask("state")) == upto(2025)


def test_a_parquet_file_is_loaded_as_it_was_when_it_was_read(loader: Loader) -> None:
    file, other = loader.folder / "t.parquet", loader.folder / "other.parquet"
    for path, n in ((file, 1), (other, 2)):
        duckdb.execute(f"COPY (SELECT 7 AS id, {n} AS n) TO '{path}' (FORMAT parquet)")
    batch = {"type": "BATCH", "stream": "t", "encoding": {"format": "parquet"}, "manifest": [str(file)]}
    with running(loader, flush_interval_s=3600) as load:
        load.write(T, batch, *MUCH)
        other.replace(file)
        load.end(state(1))
    assert loader.sql("SELECT n FROM t WHERE id = 7") == [(1,)]


def test_l8_what_is_tried_out_for_a_stream_is_not_kept(loader: Loader) -> None:
    with running(loader) as load:
        load.commit(T, record("t", id=1), state(1))
        load.write(*HELD, schema("other", {"id": INTEGER}), record("other", id=1), *MUCH)
        assert loader.sql("SELECT table_name FROM duckdb_tables() WHERE table_name IN ('log', 'other')") == []
        load.end(state(2))
    assert loader.sql("SELECT count(*) FROM t") == [(len(MUCH) + 1,)]
    assert loader.sql("FROM other") == [(1,)]


def test_s18_a_table_that_another_takes_in_between_is_left_alone(loader: Loader) -> None:
    own, other = schema("own", {"id": INTEGER}), schema("other", {"id": INTEGER})
    with running(loader, state_id="a") as load:
        load.commit(own, record("own", id=1), state(1))
        load.write(*HELD, other, record("other", id=2), record("own", id=2), T, *MUCH)
        loader.load([other, record("other", id=-1), state(1)], state_id="b")
        line = load.fail(state(2))
    assert "stream other: the table main.other belongs to the state id b" in line
    assert loader.sql("SELECT id FROM other") == [(-1,)]
    assert loader.sql("SELECT id FROM own") == [(1,)]
    assert loader.ask("state", "--state-id", "a") == "1\n"


def test_s17_a_file_put_back_in_between_stops_the_load(loader: Loader) -> None:
    loader.load([T, record("t", id=0), state(0)])
    copy = shutil.copy(loader.path, loader.folder / "copy.duckdb")
    with running(loader) as load:
        load.commit(T, record("t", id=1), state(1))
        shutil.copy(copy, loader.path)
        line = load.fail(record("t", id=2), state(2))
    assert "no longer holds what this run has committed" in line
    assert loader.sql("SELECT id FROM t") == [(0,)]
    assert loader.ask("state") == "0\n"


def test_l8_a_history_has_what_others_changed_in_between(loader: Loader) -> None:
    shared = {"shared": True}
    with running(loader, **shared, state_id="a", history=True) as load:
        load.commit(T, record("t", id=1, n=1), state(1))
        loader.load([T, record("t", id=1, n=2), state(1)], **shared, state_id="b")
        load.commit(state(2))
        load.commit(record("t", id=3, n=3), state(3))
        load.end()
    found = loader.sql("SELECT id, n, _sdc_valid_to IS NULL FROM t__history ORDER BY id, _sdc_valid_from")
    assert found == [(1, 1, False), (1, 2, True), (3, 3, True)]


def test_l8_a_full_refresh_by_another_removes_nothing_that_is_shared(loader: Loader) -> None:
    with running(loader, shared=True, state_id="a") as load:
        load.commit(T, record("t", 1, id=1), record("t", 1, id=2), state(1))
        again = [record("t", 2, id=1), {"type": "ACTIVATE_VERSION", "stream": "t", "version": 2}, state(1)]
        loader.load([T, *again], shared=True, state_id="b")
        load.end(record("t", 1, id=3), {"type": "ACTIVATE_VERSION", "stream": "t", "version": 1}, state(2))
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("place", ["parquet", "delta"], indirect=True)
def test_l8_a_lake_compacted_in_between_stays_whole(loader: Loader, place: dict[str, Any]) -> None:
    with running(loader, **place) as load:
        for n in range(3):
            load.commit(T, record("t", id=n, n=n), record("t", id=0, n=-n), state(n))
        loader.ask("compact", **place)
        load.end(record("t", id=0, n=9), record("t", id=5, n=5), state(9))
    assert loader.sql("SELECT id, n FROM shop.t ORDER BY id") == [(0, 9), (1, 1), (2, 2), (5, 5)]


def test_l8_much_that_no_state_covers_is_merged_before_it(loader: Loader) -> None:
    """Spool files hold no more than some commits' worth; then the file is held until the STATE, and undone without."""
    rows = [record("log", id=n) for n in range(5_000)]
    thing = schema("log", {"id": INTEGER}, ())
    settings = {"batch_rows": 100, "resume_state": True}
    loader.load([thing, state(0)], **settings)
    loader.load([thing, state(0), *rows], **settings)
    assert loader.sql("SELECT count(*) FROM log") == [(0,)]
    with running(loader, **settings) as load:
        load.write(thing, *rows, *rows)
        line = loader.fail([T], state_id="b", schema="b", lock_timeout_s=0.3)
        assert f"locked by process {load.pid}" in line
        load.end(state(1))
    assert loader.sql("SELECT count(*) FROM log") == [(10_000,)]
