"""Delta tables: the rows of tables, one version a commit, exactly once whatever is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import deltalake
import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, STRING, Loader, encode, record, schema, state
from tests.loader.test_lake import KILLED

if TYPE_CHECKING:
    from pathlib import Path

PRICE = {"type": ["null", "string"], "format": "x-singer.decimal", "precision": 20, "scale": 4}
LIST = {"type": ["null", "array"]}
T = schema("t", {"id": INTEGER, "v": STRING})
LOG = schema("log", {"n": INTEGER}, ())


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, Any]:
    return {"lake_path": str(tmp_path / "lake"), "table_format": "delta"}


def table(loader: Loader, stream: str) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(loader.folder / "lake" / "main" / stream)


def rows(loader: Loader, stream: str, *names: str) -> list[tuple[Any, ...]]:
    """The rows as other engines read them, in order."""
    found = table(loader, stream).to_pyarrow_table().to_pylist()
    return sorted((tuple(row[name] for name in names) for row in found), key=lambda row: row[0])


def versions(loader: Loader, stream: str) -> int:
    return table(loader, stream).version()


def test_values_and_types_are_those_of_the_view(loader: Loader, lake: dict[str, Any]) -> None:
    kinds = {
        "id": {"type": "integer", "maximum": 2**64},
        "n": INTEGER,
        "x": NUMBER,
        "price": PRICE,
        "flag": {"type": "boolean"},
        "text": STRING,
        "meta": OBJECT,
        "list": LIST,
        "at": DATE_TIME,
        "day": STRING | {"format": "date"},
        "clock": STRING | {"format": "time"},
    }
    full = {
        "id": 10**38 - 1,
        "n": -(2**63),
        "x": 0.1,
        "price": "12345678901234.5678",
        "flag": False,
        "text": "\u2028 \U0001f600 \"'\n",
        "meta": {},
        "list": [],
        "at": "2026-03-29T03:00:00.000001+02:00",
        "day": "1969-12-31",
        "clock": "23:59:59.5",
    }
    loader.load([schema("t", kinds), record("t", **full), record("t", id=1), state(1)], **lake)
    at = datetime(2026, 3, 29, 1, 0, 0, 1, UTC)
    (empty, found) = sorted(table(loader, "t").to_pyarrow_table().to_pylist(), key=lambda row: row["id"])
    assert {name: empty[name] for name in kinds} == dict.fromkeys(kinds) | {"id": Decimal(1)}
    assert {name: found[name] for name in kinds} == full | {
        "id": Decimal(10**38 - 1),
        "price": Decimal("12345678901234.5678"),
        "meta": "{}",
        "list": "[]",
        "at": at,
        "day": datetime(1969, 12, 31, tzinfo=UTC).date(),
        "clock": "23:59:59.5",
    }
    names = 'id, n, x, price, flag, text, meta, list, epoch_us("at"), day, clock::VARCHAR'
    same = [full["text"], "{}", "[]", int(at.timestamp() * 1_000_000), found["day"], "23:59:59.5"]
    assert loader.sql(f"SELECT {names} FROM t WHERE n IS NOT NULL") == [
        (10**38 - 1, -(2**63), 0.1, found["price"], False, *same)
    ]
    paths = [uri.removeprefix("file://") for uri in table(loader, "t").file_uris()]
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [paths]).fetchall() == [(2,)]


def test_a_commit_is_one_version_and_identical_rows_are_none(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, *(record("t", id=n, v="a") for n in range(5)), LOG, record("log", n=1), state(1)], **lake)
    before = versions(loader, "t")
    loader.load([T, *(record("t", id=n, v="a") for n in range(5)), state(2)], **lake)
    assert loader.counts("t")["unchanged"] == 5
    assert versions(loader, "t") == before
    loader.load([T, *(record("t", id=n, v="b") for n in (1, 1, 9)), LOG, record("log", n=1), state(3)], **lake)
    assert loader.counts("t") == {"inserted": 1, "updated": 1, "unchanged": 0, "deleted": 0, "rejected": 0}
    assert versions(loader, "t") == before + 1
    assert rows(loader, "t", "id", "v") == [(0, "a"), (1, "b"), (2, "a"), (3, "a"), (4, "a"), (9, "b")]
    assert rows(loader, "log", "n") == [(1,), (1,)]
    older = deltalake.DeltaTable(loader.folder / "lake" / "main" / "t", version=before).to_pyarrow_table()
    assert older["v"].to_pylist() == ["a"] * 5


def test_columns_become_wider_and_new_ones_come(loader: Loader, lake: dict[str, Any]) -> None:
    big = 2**53 + 1
    loader.load([schema("t", {"id": INTEGER, "v": INTEGER}), record("t", id=1, v=7), state(1)], **lake)
    loader.load([schema("t", {"id": INTEGER, "v": NUMBER}), record("t", id=2, v=1.7), state(2)], **lake)
    assert rows(loader, "t", "id", "v") == [(1, 7.0), (2, 1.7)]
    kinds = {"id": INTEGER, "v": NUMBER, "w": INTEGER, "p": {**PRICE, "precision": 5, "scale": 2}}
    loader.load([schema("t", kinds), record("t", id=3, v=0.5, w=big, p="123.45"), state(3)], **lake)
    kinds |= {"w": NUMBER, "p": PRICE}
    at = record("t", id=4, v=0.5, w=1.5, p="1234567.8901")
    loader.load([schema("t", kinds), record("t", id=1, v=8), at, state(4)], **lake)
    assert rows(loader, "t", "id", "v", "p")[2:] == [(3, 0.5, Decimal("123.45")), (4, 0.5, Decimal("1234567.8901"))]
    assert loader.sql("SELECT id, v, w, p FROM t ORDER BY id") == [
        (1, 8.0, None, None),
        (2, 1.7, None, None),
        (3, 0.5, str(big), Decimal("123.45")),
        (4, 0.5, "1.5", Decimal("1234567.8901")),
    ]
    stamped = schema("t", {"id": INTEGER, "at": DATE_TIME})
    loader.load([stamped, record("t", id=5, at="2026-01-01T00:00:00+01:00"), state(5)], **lake)
    loader.load([schema("t", {"id": INTEGER, "at": OBJECT}), record("t", id=2**70, at={"a": []}), state(6)], **lake)
    assert loader.sql('SELECT id, "at" FROM t WHERE "at" IS NOT NULL ORDER BY id') == [
        (5, '"2025-12-31T23:00:00.000000Z"'),
        (2**70, '{"a":[]}'),
    ]
    kept = schema("t", {"id": INTEGER})
    loader.load([kept, record("t", id=5), state(7)], **lake)
    assert loader.sql('SELECT count(*) FROM t WHERE "at" IS NOT NULL') == [(2,)]


@pytest.mark.parametrize("hard", [True, False])
def test_a_snapshot_replaces_another_in_one_version(loader: Loader, lake: dict[str, Any], *, hard: bool) -> None:
    heads = {"keyed": schema("keyed", {"id": INTEGER}, ["id"]), "bare": schema("bare", {"id": INTEGER}, [])}
    for version, ids in ((1, (1, 2, 3)), (2, (2, 3)), (3, (1, 3))):
        messages = []
        for stream, head in heads.items():
            done = {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}
            messages += [head, *(record(stream, version, id=n) for n in ids), done]
        loader.load([*messages, state(version)], hard_delete=hard, **lake)
        for stream in heads:
            assert versions(loader, stream) == version
            there = f"SELECT id FROM {stream} WHERE _sdc_deleted_at IS NULL ORDER BY id"
            assert loader.sql(there) == [(n,) for n in ids]
    marked = {stream: [row for row in rows(loader, stream, "id", "_sdc_deleted_at") if row[1]] for stream in heads}
    assert [len(each) for each in marked.values()] == ([0, 0] if hard else [1, 5])
    assert [len(loader.sql(f"FROM {stream}")) for stream in heads] == [2 + len(each) for each in marked.values()]


def test_windows_are_partitions_and_are_replaced(loader: Loader, lake: dict[str, Any]) -> None:
    sales = schema("sales", {"k": STRING, "_window_start": DATE_TIME}, ["k"])

    def row(day: int, key: str) -> dict[str, Any]:
        return record("sales", k=key, _window_start=f"2026-01-{day:02d}T00:00:00Z")

    loader.load([sales, row(1, "a"), row(1, "b"), row(2, "c"), record("sales", k="d"), state(1)], **lake)
    assert table(loader, "sales").metadata().partition_columns == ["partition_date"]
    loader.load([sales, row(1, "a"), row(2, "b2"), state(2)], replace_windows=True, **lake)
    days = {
        (row["k"], row["partition_date"] and row["partition_date"].day)
        for row in table(loader, "sales").to_pyarrow_table().to_pylist()
    }
    assert days == {("a", 1), ("b2", 2), ("d", None)}
    assert loader.sql("SELECT k FROM sales ORDER BY k") == [("a",), ("b2",), ("d",)]
    loader.load([sales, row(3, "a"), state(3)], **lake)
    assert loader.sql("SELECT k, day(_window_start) FROM sales ORDER BY k")[0] == ("a", 3)
    assert loader.sql("SELECT count(*) FROM sales") == [(3,)]
    loader.load([sales, row(3, "e"), state(4)], **lake)
    loader.ask("compact", **lake)
    found = loader.sql("SELECT k, day(_window_start) FROM sales ORDER BY k")
    assert found == [("a", 3), ("b2", 2), ("d", None), ("e", 3)]
    assert sorted(uri.split("partition_date=")[1][:10] for uri in table(loader, "sales").file_uris()) == [
        "2026-01-02",
        "2026-01-03",
        "__HIVE_DEF",
    ]
    bare = schema("sales", {"k": STRING}, ["k"])
    assert "`lake_partition_by`" in loader.fail([bare, record("sales", k="z"), state(4)], **lake)


AFTER = """
import os, runpy, signal, sys
from target_duckhouse.warehouse import delta_changes
delta_changes.Changes.done = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("code", [KILLED, AFTER], ids=["before the Delta commit", "after it"])
def test_l11_killed_around_the_delta_commit_each_row_is_there_once(
    loader: Loader, lake: dict[str, Any], code: str
) -> None:
    loader.load([T, record("t", id=1, v="a"), LOG, record("log", n=1), state(1)], **lake)
    before = versions(loader, "log")
    wide = schema("t", {"id": INTEGER, "v": OBJECT})
    messages = [wide, record("t", id=1, v={"b": []}), record("t", id=2), LOG, record("log", n=2), state(2)]
    killed = [sys.executable, "-c", code, *loader.command(**lake)[2:]]
    done = subprocess.run(killed, input=encode(messages), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == b""
    assert json.loads(loader.ask("state")) == 2
    assert loader.sql("SELECT id, v FROM t") == [(1, "a")]
    assert loader.sql("FROM log") == [(1,)]
    again = subprocess.run(killed, input=b"", capture_output=True, check=False)  # the next run is killed too
    assert again.returncode in {0, -signal.SIGKILL}
    loader.load([], **lake)
    assert rows(loader, "t", "id", "v") == [(1, '{"b":[]}'), (2, None)]
    assert loader.sql("SELECT id, v FROM t ORDER BY id") == [(1, '{"b":[]}'), (2, None)]
    assert rows(loader, "log", "n") == [(1,), (2,)]
    assert versions(loader, "log") == before + 1
    assert list((loader.folder / "lake" / "_staging").rglob("*.parquet")) == []


def test_what_others_commit_meanwhile_is_not_lost(loader: Loader, lake: dict[str, Any]) -> None:
    for n in range(3):
        loader.load([T, record("t", id=n, v="a"), state(n)], **lake)
    code = OTHERS.format(path=str(loader.folder / "lake" / "main" / "t"))
    command = [sys.executable, "-c", code, *loader.command(**lake)[2:]]
    done = subprocess.run(
        command, input=encode([T, record("t", id=0, v="b"), state(4)]), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert rows(loader, "t", "id", "v") == [(0, "b"), (1, "a"), (2, "a")]
    assert loader.sql("SELECT id, v FROM t ORDER BY id") == [(0, "b"), (1, "a"), (2, "a")]


OTHERS = """
import runpy, sys
import deltalake
from target_duckhouse.warehouse import delta_table
real, seen = delta_table.Delta.commit, []
def commit(self, *given):
    if not seen:
        seen.append(deltalake.DeltaTable({path!r}).optimize.compact())
    return real(self, *given)
delta_table.Delta.commit = commit
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


def test_a_table_of_another_warehouse_is_left_alone(loader: Loader, lake: dict[str, Any], tmp_path: Path) -> None:
    loader.load([T, record("t", id=1, v="own"), state(1)], **lake)
    (tmp_path / "other").mkdir()
    other = Loader(tmp_path / "other")
    assert "a Delta table of another warehouse" in other.fail([T, record("t", id=2), state(1)], **lake)
    other.load([T, record("t", id=2, v="other"), state(1)], **lake, schema="other")
    assert rows(loader, "t", "id", "v") == [(1, "own")]
    assert other.sql("SELECT id, v FROM other.t") == [(2, "other")]
    copy = tmp_path / "copy.duckdb"
    shutil.copy(loader.path, copy)
    loader.load([T, record("t", id=3, v="new"), state(2)], **lake)
    refused = loader.fail([T, record("t", id=4), state(2)], **lake, path=str(copy))
    assert "another copy of this warehouse" in refused
    assert rows(loader, "t", "id", "v") == [(1, "own"), (3, "new")]


def test_l8_a_copy_of_a_warehouse_that_was_killed_takes_no_change_for_its_own(
    loader: Loader, lake: dict[str, Any], tmp_path: Path
) -> None:
    loader.load([LOG, record("log", n=1), state(1)], **lake)
    copy = tmp_path / "copy.duckdb"
    shutil.copy(loader.path, copy)
    killed = [sys.executable, "-c", KILLED, *loader.command(**lake)[2:]]
    done = subprocess.run(killed, input=encode([LOG, record("log", n=2), state(2)]), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    loader.load([LOG, record("log", n=3), state(2)], **lake, path=str(copy))
    assert "another copy of this warehouse" in loader.fail([], **lake)
    assert rows(loader, "log", "n") == [(1,), (3,)]


def test_a_table_with_features_of_newer_readers_is_refused(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, record("t", id=1), state(1)], **lake)
    feature = deltalake.TableFeatures.DeletionVectors
    table(loader, "t").alter.add_feature(feature, allow_protocol_versions_increase=True)
    assert "such as deletion vectors" in loader.fail([T, record("t", id=2), state(2)], **lake)
    assert loader.ask("state") == "1\n"


def test_a_missing_table_is_told_at_every_look(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, record("t", id=1), state(1)], **lake)
    folder = loader.folder / "lake" / "main" / "t"
    folder.rename(loader.folder / "hidden")
    assert "stream t: the Delta table" in loader.fail([T, record("t", id=2), state(2)], **lake)
    assert "is missing" in loader.ask_in_vain("inspect")
    assert "is missing" in loader.ask_in_vain("compact")
    (loader.folder / "hidden").rename(folder)
    loader.load([T, record("t", id=2), state(2)], **lake)
    assert [row[0] for row in rows(loader, "t", "id")] == [1, 2]


def test_an_older_lake_beside_a_newer_warehouse_is_told(loader: Loader, lake: dict[str, Any], tmp_path: Path) -> None:
    loader.load([T, record("t", id=1), state(1)], **lake)
    shutil.copytree(tmp_path / "lake", tmp_path / "old")
    loader.load([T, record("t", id=2), state(2)], **lake)
    (tmp_path / "lake").rename(tmp_path / "new")
    (tmp_path / "old").rename(tmp_path / "lake")
    assert "is older than the DuckDB file" in loader.fail([T, record("t", id=3), state(3)], **lake)
    assert loader.ask("state") == "2\n"
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "new").rename(tmp_path / "lake")
    (lost, *_) = (tmp_path / "lake").rglob("*.parquet")
    lost.unlink()
    assert f"{lost} is missing" in loader.ask_in_vain("compact")


def test_a_change_that_leaves_nothing_to_do_is_no_loss(loader: Loader, lake: dict[str, Any]) -> None:
    for version, ids in ((1, (1, 2)), (2, (1,)), (3, (1, 3))):
        done = {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}
        loader.load([T, *(record("t", version, id=n) for n in ids), done, state(version)], **lake)
        if version == 1:
            table(loader, "t").delete("id = 2")
    assert rows(loader, "t", "id") == [(1,), (3,)]


@pytest.mark.parametrize("keys", [["id"], []])
def test_a_property_takes_the_mark_if_it_can(loader: Loader, lake: dict[str, Any], keys: list[str]) -> None:
    settings = {**lake, "hard_delete": False}
    for stream, kind, refused in (("a", DATE_TIME, False), ("b", STRING, True), ("c", {"type": "boolean"}, True)):
        head = schema(stream, {"id": INTEGER, "_sdc_deleted_at": kind}, keys)
        ends = {n: {"type": "ACTIVATE_VERSION", "stream": stream, "version": n} for n in (1, 2)}
        loader.load([head, record(stream, 1, id=1), record(stream, 1, id=2), ends[1], state(1)], **settings)
        second = [head, record(stream, 2, id=3), ends[2], state(2)]
        if refused:
            assert "cannot be marked" in loader.fail(second, **settings)
            assert rows(loader, stream, "id") == [(1,), (2,)]
        else:
            loader.load(second, **settings)
            marks = rows(loader, stream, "id", "_sdc_deleted_at")
            assert [(number, mark is None) for number, mark in marks] == [(1, False), (2, False), (3, True)]


def test_a_lake_has_its_format_from_the_first_row_on(loader: Loader, lake: dict[str, Any]) -> None:
    parquet = {**lake, "table_format": "parquet"}
    loader.fail([T, record("t", id="bad"), state(1)], **parquet)
    loader.load([T, record("t", id=1), state(1)], **lake)
    assert rows(loader, "t", "id") == [(1,)]
    assert "the lake of schema main is delta" in loader.fail([T, record("t", id=2), state(2)], **parquet)


def test_columns_that_differ_only_in_case_are_refused_before_the_commit(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([schema("t", {"id": INTEGER, "Ä": STRING}), record("t", id=1), state(1)], **lake)
    both = schema("t", {"id": INTEGER, "Ä": STRING, "ä": STRING})
    assert "differ only in case" in loader.fail([both, record("t", id=2, ä="x"), state(2)], **lake)
    assert loader.ask("state") == "1\n"
    loader.load([schema("t", {"id": INTEGER, "Ä": STRING}), record("t", id=3), state(3)], **lake)
    assert rows(loader, "t", "id") == [(1,), (3,)]


def test_a_column_that_deltalake_cannot_name_is_refused_before_the_commit(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, record("t", id=1), state(1)], **lake)
    odd = schema("t", {"id": INTEGER, "a\0b": STRING})
    assert "stream t: a Delta table cannot have a column a\\u0000b" in loader.fail([odd, record("t", id=2)], **lake)
    loader.load([T, record("t", id=3), state(3)], **lake)
    assert rows(loader, "t", "id") == [(1,), (3,)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_stream_is_partitioned_or_not_from_its_first_row_on(loader: Loader, lake: dict[str, Any], order: int) -> None:
    """Rows without a key wait for their STATE, so those of both schemas would be in one commit."""
    plain = [LOG, record("log", n=1)]
    dated = [schema("log", {"n": INTEGER, "at": DATE_TIME}, ()), record("log", n=2, at="2026-01-31T00:00:00Z")]
    both = [plain, dated][::order]
    said = loader.fail([*both[0], *both[1], state(1)], lake_partition_by="at", **lake)
    assert "stream log: its Delta table is" in said
    assert "`lake_partition_by`" in said
    loader.load([*both[1], state(1)], lake_partition_by="at", **lake)
    assert rows(loader, "log", "n") == [(1 if both[1] is plain else 2,)]


def test_settings_that_do_not_go_together_are_told(loader: Loader, lake: dict[str, Any]) -> None:
    done = loader.run([T], table_format="delta")
    assert done.returncode == 2
    assert b"setting `table_format`" in done.stderr
    without = [sys.executable, "-c", WITHOUT, *loader.command(**lake)[2:]]
    lacking = subprocess.run(without, input=encode([T, record("t", id=1)]), capture_output=True, check=False)
    assert lacking.returncode == 2
    assert b"pip install '.[loader,delta]'" in lacking.stderr
    assert b"Traceback" not in lacking.stderr
    loader.load([T, record("t", id=1), state(1)], **lake)
    parquet = {**lake, "table_format": "parquet"}
    assert "the lake of schema main is delta" in loader.fail([T, record("t", id=2), state(2)], **parquet)


WITHOUT = """
import runpy, sys
sys.modules["deltalake"] = None
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("name", ["a/b", "..", "_hidden", "x[1]*?", "Ünï %41", 'with "quotes"; and spaces'])
def test_a_stream_has_a_folder_of_its_own(loader: Loader, lake: dict[str, Any], name: str) -> None:
    for stream in (name, "a~2Fb"):
        loader.load([schema(stream, {"id": INTEGER}), record(stream, id=1), state(1)], **lake)
        loader.load([schema(stream, {"id": INTEGER}), record(stream, id=2), state(2)], **lake)
        quoted = stream.replace('"', '""')
        assert loader.sql(f'SELECT id FROM "{quoted}" ORDER BY id') == [(1,), (2,)]
    logs = [path for path in (loader.folder / "lake" / "main").rglob("_delta_log") if path.is_dir()]
    assert len(logs) == 2


def test_compaction_merges_files_and_old_ones_stay_for_a_week(loader: Loader, lake: dict[str, Any]) -> None:
    for n in range(4):
        loader.load([T, record("t", id=n, v="a"), LOG, record("log", n=n), state(n)], **lake)
    before = {stream: loader.sql(f"FROM {stream} ORDER BY ALL") for stream in ("t", "log")}
    old = table(loader, "log").file_uris()
    said = loader.ask("compact", **lake)
    assert [line.split() for line in said.splitlines()[1:]] == [["main", "log", "4", "1"], ["main", "t", "4", "1"]]
    assert {stream: loader.sql(f"FROM {stream} ORDER BY ALL") for stream in ("t", "log")} == before
    assert len(table(loader, "log").file_uris()) == 1
    assert all((loader.folder / "lake" / "main" / "log" / uri.rpartition("/")[2]).exists() for uri in old)
    loader.load([T, record("t", id=0, v="b"), LOG, record("log", n=9), state(9)], **lake)
    assert loader.sql("SELECT v FROM t WHERE id = 0") == [("b",)]
    assert len(loader.sql("FROM log")) == 5
