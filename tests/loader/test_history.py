"""``history``: every version of a row that was ever committed, and nothing else."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, STRING, Loader, record, schema, state
from tests.loader.test_crash import ROWS, feed, run_until_killed

if TYPE_CHECKING:
    from datetime import datetime

T = schema("t", {"id": INTEGER, "v": STRING})
VERSIONS = (
    "SELECT id, v, _sdc_operation, _sdc_valid_to IS NULL FROM t__history ORDER BY id, _sdc_valid_from, _sdc_valid_to"
)


def activate(version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}


def now_in(loader: Loader, stream: str = "t") -> datetime:
    """When a stream was committed last."""
    ((time,),) = loader.sql(f"SELECT max(committed_at) FROM _singer_loads WHERE stream = '{stream}'")
    return time  # type: ignore[no-any-return]


def as_of(loader: Loader, time: datetime, columns: str, stream: str = "t") -> list[tuple[Any, ...]]:
    """The rows of a time, as the page has it."""
    at = f"TIMESTAMPTZ '{time.isoformat()}'"
    return loader.sql(
        f"SELECT {columns} FROM {stream}__history WHERE _sdc_valid_from <= {at} "
        f"AND (_sdc_valid_to > {at} OR _sdc_valid_to IS NULL) AND _sdc_operation <> 'delete' ORDER BY ALL"
    )


def assert_sound(loader: Loader, key: str = "id", stream: str = "t") -> None:
    """The versions of a key follow one another without gap or overlap, and each differs from the one before."""
    versions: dict[Any, list[Any]] = defaultdict(list)
    own = "_sdc_valid_from, _sdc_valid_to, _sdc_operation"
    for row in loader.sql(
        f"SELECT {key}, {own}, * EXCLUDE ({key}, {own}) FROM {stream}__history ORDER BY {key}, _sdc_valid_from"
    ):
        versions[row[0]].append(row[1:])
    for found in versions.values():
        for (_, end, before, *old), (start, _, after, *new) in pairwise(found):
            assert end == start
            assert (before == "delete") == (after == "return")
            assert after != "update" or old != new
        assert found[0][2] == "insert"
        assert found[-1][1] is None
        assert all(start < end for start, end, *_ in found[:-1])


@pytest.mark.parametrize("hard", [True, False], ids=["removed", "marked"])
def test_every_version_has_its_time_and_what_made_it(loader: Loader, *, hard: bool) -> None:
    settings: dict[str, Any] = {"history": True, "hard_delete": hard}
    loader.load([T, record("t", 1, id=1, v="a"), record("t", 1, id=2, v="a"), activate(1)], **settings)
    loader.load([T, record("t", 2, id=1, v="b"), activate(2)], **settings)
    loader.load([T, record("t", 3, id=1, v="b"), record("t", 3, id=2, v="a"), activate(3)], **settings)
    assert loader.sql(VERSIONS) == [
        (1, "a", "insert", False),
        (1, "b", "update", True),
        (2, "a", "insert", False),
        (2, "a", "delete", False),
        (2, "a", "return", True),
    ]
    assert_sound(loader)
    starts = {time for (time,) in loader.sql("SELECT _sdc_valid_from FROM t__history")}
    assert starts == {time for (time,) in loader.sql("SELECT committed_at FROM _singer_loads")}


@pytest.mark.parametrize("hard", [True, False], ids=["removed", "marked"])
@pytest.mark.parametrize("seed", range(3))
def test_the_rows_of_every_time_are_found_again(loader: Loader, seed: int, *, hard: bool) -> None:
    """Whatever happens: changes, snapshots, new and wider columns, several commits in a run, rows sent twice."""
    dice, seen = random.Random(seed), []
    columns: dict[str, Any] = {"id": INTEGER, "v": INTEGER}
    settings: dict[str, Any] = {"history": ["t"], "hard_delete": hard, "flush_interval_s": 0}
    for version in range(1, 9):
        if version in (4, 6):
            columns |= {"w": STRING} if version == 4 else {"v": NUMBER, "id": {"type": "string"}}
        as_key = str if "string" in columns["id"]["type"] else int
        messages: list[Any] = [schema("t", columns)]
        for part in range(dice.randrange(1, 4)):
            for _ in range(dice.randrange(12)):
                values = {"v": dice.randrange(2), **({"w": dice.choice("xy")} if "w" in columns else {})}
                messages.append(record("t", version, id=as_key(dice.randrange(6)), **values))
            messages += [state(part)] if dice.random() < 0.5 else []
        messages += [activate(version)] if dice.random() < 0.5 else []
        loader.load(messages, **settings)
        shown = ", ".join(columns)
        rows = loader.sql(f"SELECT {shown} FROM t WHERE _sdc_deleted_at IS NULL ORDER BY ALL")
        seen.append((now_in(loader), shown, rows))
    for time, shown, rows in seen:
        found = as_of(loader, time, shown)
        assert [tuple(map(as_text, row)) for row in found] == [tuple(map(as_text, row)) for row in rows]
    assert_sound(loader)


def as_text(value: object) -> str:
    """A value in a form that survives a wider column."""
    text = str(value)
    return str(float(text)) if text.replace(".", "").isdigit() else text


def test_a_key_that_changes_twice_in_a_commit_keeps_its_last_version(loader: Loader) -> None:
    loader.load([T, record("t", id=1, v="a"), record("t", id=1, v="b")], history=True, batch_rows=1)
    loader.load([T, record("t", id=1, v="c"), record("t", id=1, v="b")], history=True, batch_rows=1)
    assert loader.sql(VERSIONS) == [(1, "b", "insert", True)]


def test_what_is_removed_and_comes_back_in_one_commit_has_not_changed(loader: Loader) -> None:
    rows = [record("t", 1, id=n, v="a") for n in (1, 2)]
    loader.load([T, *rows, activate(1)], history=True)
    again = [T, activate(2), *(row | {"version": 3} for row in rows), activate(3)]
    loader.load([*again, record("t", 4, id=3), activate(4), activate(5), state(1)], history=True)
    assert loader.sql(VERSIONS) == [
        (1, "a", "insert", False), (1, "a", "delete", True), (2, "a", "insert", False), (2, "a", "delete", True)
    ]  # fmt: skip
    loader.load([T, *rows, activate(1), activate(6), *(row | {"version": 7} for row in rows), state(1)], history=True)
    loader.load([T, activate(8), *(row | {"version": 9} for row in rows), state(1)], history=True)
    assert loader.sql(f"{VERSIONS} LIMIT 3") == [
        (1, "a", "insert", False), (1, "a", "delete", False), (1, "a", "return", True)
    ]  # fmt: skip
    assert_sound(loader)


def test_windows_that_are_read_again(loader: Loader) -> None:
    columns = {"id": INTEGER, "v": STRING, "_window_start": DATE_TIME | {"x-partition": []}}
    head, day = schema("t", columns), {"_window_start": "2026-01-31T00:00:00Z"}
    loader.load([head, *(record("t", id=n, v="a", **day) for n in (1, 2, 3)), state(1)], history=True)
    read = {"_windows_read": {"first": "2026-01-31T00:00:00Z", "last": "2026-01-31T00:00:00Z"}}
    told = state({"bookmarks": {"t": read}})
    loader.load([head, record("t", id=1, v="a", **day), record("t", id=2, v="b", **day), told], history=True)
    assert loader.sql(VERSIONS) == [
        (1, "a", "insert", True), (2, "a", "insert", False), (2, "b", "update", True),
        (3, "a", "insert", False), (3, "a", "delete", True),
    ]  # fmt: skip


def test_a_history_begins_with_the_rows_that_are_there(loader: Loader) -> None:
    loader.load([T, record("t", id=1, v="a"), record("t", id=2, v="a")], add_record_metadata=False)
    loader.load([T, record("t", id=1, v="b")], add_record_metadata=False, history=["T"])
    assert loader.sql(VERSIONS) == [(1, "b", "insert", True), (2, "a", "insert", True)]
    assert_sound(loader)


def test_what_happened_while_none_was_kept_is_made_up_for(loader: Loader) -> None:
    loader.load([T, *(record("t", 1, id=n, v="a") for n in (1, 2, 3)), activate(1)], history=True)
    loader.load([T, record("t", 2, id=1, v="b"), record("t", 2, id=2, v="a"), activate(2)])
    loader.load([T, record("t", 2, id=4)], history=True)
    assert loader.sql(VERSIONS) == [
        (1, "a", "insert", False), (1, "b", "update", True), (2, "a", "insert", True),
        (3, "a", "insert", False), (3, "a", "delete", True), (4, None, "insert", True),
    ]  # fmt: skip
    assert_sound(loader)


def test_a_table_that_is_dropped_and_loaded_again(loader: Loader) -> None:
    loader.load([T, record("t", id=1, v="a"), record("t", id=2, v="a")], history=True)
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DROP TABLE t")
    loader.load([T, record("t", id=1, v="a")], history=True)
    assert loader.sql(VERSIONS) == [(1, "a", "insert", True), (2, "a", "insert", False), (2, "a", "delete", True)]


def test_a_person_can_be_erased(loader: Loader) -> None:
    loader.load([T, record("t", id=1, v="a"), record("t", id=2, v="a")], history=True)
    loader.load([T, record("t", id=1, v="b")], history=True)
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DELETE FROM t WHERE id = 1; DELETE FROM t__history WHERE id = 1")
    loader.load([T, record("t", id=2, v="b")], history=True)
    assert loader.sql(VERSIONS) == [(2, "a", "insert", False), (2, "b", "update", True)]


def test_streams_without_a_key_have_none(loader: Loader) -> None:
    log = schema("log", {"id": INTEGER}, keys=())
    done = loader.run([log, record("log", id=1), T, record("t", id=1)], history=True)
    assert done.returncode == 0
    assert done.stderr.decode().count("stream log: no history is kept, because it has no key") == 1
    assert loader.sql("SELECT table_name FROM duckdb_tables() WHERE contains(table_name, '__history')") == [
        ("t__history",)
    ]
    assert "stream log: no history can be kept, because it has no key" in loader.fail([log], history=["log"])


def test_a_lake_keeps_none(loader: Loader) -> None:
    done = loader.run([T], history=True, lake_path=str(loader.folder / "lake"))
    assert done.returncode == 2
    assert b"setting `history`: a lake" in done.stderr
    loader.load([T], history=False, lake_path=str(loader.folder / "lake"))


def test_names_and_columns_that_are_taken(loader: Loader) -> None:
    other = schema("t__history", {"id": INTEGER})
    loader.load([other, record("t__history", id=1)])
    assert "which is something else" in loader.fail([T, record("t", id=1)], history=True)
    loader.path.unlink()
    loader.load([T, record("t", id=1)], history=True)
    assert "holds the history of another stream" in loader.fail([other])
    own = schema("u", {"id": INTEGER, "_SDC_operation": STRING})
    assert "a property `_SDC_operation` of its own" in loader.fail([own], history=["u"])
    loader.load([own, record("u", id=1)], history=True)


def test_a_history_says_what_it_holds(loader: Loader) -> None:
    head = schema("t", {"id": INTEGER, "v": STRING | {"description": "Value.", "x-pii": True}})
    loader.load([head, record("t", id=1)], history=True)
    found = dict(
        loader.sql(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 't__history' AND comment <> ''"
        )
    )
    assert found["v"] == "Value. (personal data)"
    assert {"_sdc_valid_from", "_sdc_valid_to", "_sdc_operation"} <= found.keys()


def test_l5_s1_killed_in_mid_flush_then_run_again_the_history_is_exact(loader: Loader) -> None:
    dice = random.Random(7)
    settings: dict[str, Any] = {"flush_interval_s": 0, "batch_rows": 150, "resume_state": True, "history": ["keyed"]}
    loader.load([], **settings)
    for states in (1, dice.randrange(2, 9), dice.randrange(2, 9)):
        run_until_killed(loader, json.loads(loader.ask("state")).get("next", 0), states, **settings)
        assert loader.sql("SELECT n FROM keyed ORDER BY n") == loader.sql("SELECT n FROM keyed__history ORDER BY n")
        assert_sound(loader, "n", "keyed")
    tap = feed(json.loads(loader.ask("state"))["next"])
    assert tap.stdout
    loader.load(tap.stdout.read(), **settings | {"flush_interval_s": 10, "batch_rows": 100_000})
    tap.stdout.close()
    assert tap.wait() == 0
    assert loader.sql("SELECT count(*), count(DISTINCT n) FROM keyed__history") == [(ROWS, ROWS)]
    assert_sound(loader, "n", "keyed")
