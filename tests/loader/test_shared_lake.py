"""Several warehouses in one lake, lakes that are moved or damaged, and what a loader leaves alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from target_duckhouse.settings import Settings
from target_duckhouse.warehouse.compaction import compact
from target_duckhouse.warehouse.connection import connect
from target_duckhouse.warehouse.database import Warehouse
from tests.loader.harness import INTEGER, STRING, Loader, encode, record, schema, state
from tests.loader.test_lake import KILLED

if TYPE_CHECKING:
    from pathlib import Path

T = schema("t", {"id": INTEGER, "v": STRING})


def row(number: int, value: str = "x") -> dict[str, Any]:
    return record("t", id=number, v=value)


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, Any]:
    return {"lake_path": str(tmp_path / "lake"), "flush_interval_s": 0}


@pytest.fixture
def other(tmp_path: Path) -> Loader:
    """A loader with another warehouse."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Loader(folder)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


@pytest.mark.parametrize("own_schema", [True, False])
def test_l8_two_loaders_at_one_lake_lose_nothing_of_each_other(
    loader: Loader, other: Loader, lake: dict[str, Any], *, own_schema: bool
) -> None:
    running = subprocess.Popen(
        loader.command(**lake, batch_rows=2), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdin
    assert running.stdout
    log = schema("t", {"id": INTEGER, "v": STRING}, keys=())
    running.stdin.write(encode([log, row(0), state(0)]))
    running.stdin.flush()
    assert json.loads(running.stdout.readline()) == 0
    where = lake | ({"schema": "other"} if own_schema else {})
    for number in range(1, 4):
        running.stdin.write(encode([row(number), row(number + 10)]))  # they are staged, and wait for their STATE
        running.stdin.flush()
        killed = [sys.executable, "-c", KILLED, *other.command(**where)[2:]]
        done = subprocess.run(killed, input=encode([T, row(-number), state(number)]), capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL
        running.stdin.write(encode([state(number)]))
        running.stdin.flush()
        assert json.loads(running.stdout.readline()) == number
    running.communicate()
    assert running.returncode == 0
    other.load([T, row(-9), state(9)], **where)
    assert loader.sql("SELECT count(*), min(id) FROM t") == [(7, 0)]
    assert other.sql(f"SELECT id FROM {where.get('schema', 'main')}.t ORDER BY id") == [(-9,), (-3,), (-2,), (-1,)]


def test_files_of_another_warehouse_in_a_streams_folder_are_told(
    loader: Loader, other: Loader, lake: dict[str, Any]
) -> None:
    other.load([T, row(1, "other"), row(2), state(1)], **lake)
    done = loader.run([T, row(1, "own"), state(1)], **lake)
    assert done.returncode == 0
    assert b"stream t: its folder" in done.stderr
    assert b"holds 1 files" in done.stderr
    assert (loader.sql("FROM t"), other.sql("FROM t ORDER BY id")) == ([(1, "own")], [(1, "other"), (2, "x")])


def test_a_lake_and_its_warehouse_are_moved_together(loader: Loader, lake: dict[str, Any], tmp_path: Path) -> None:
    head = schema("sales", {"id": INTEGER, "day": {"type": "string", "format": "date"}})
    lake |= {"lake_partition_by": "day"}
    loader.load([T, row(1), head, record("sales", id=1, day="2026-01-01"), state(1)], **lake)
    new = tmp_path / "it's [a] lake"
    new.mkdir()
    for name in ("warehouse.duckdb", "lake"):
        shutil.move(tmp_path / name, new / name)
    moved, lake["lake_path"] = Loader(new), str(new / "lake")
    moved.load([T, row(2), state(2)], **lake)
    assert moved.sql("FROM t ORDER BY id") == [(1, "x"), (2, "x")]
    assert moved.sql("FROM sales")[0][0] == 1
    assert not (tmp_path / "lake").exists()
    wider = schema("sales", {"id": STRING, "day": {"type": "string", "format": "date"}})
    moved.load([wider, record("sales", id="x", day="2026-01-01"), state(3)], **lake)
    assert moved.sql("SELECT id FROM sales ORDER BY id") == [("1",), ("x",)]


def test_a_lake_with_absolute_paths_as_they_were_kept_loads(loader: Loader, lake: dict[str, Any]) -> None:
    head = schema("p", {"id": INTEGER, "day": {"type": "string", "format": "date"}})
    lake |= {"lake_partition_by": "day"}
    loader.load([T, row(1), head, record("p", id=1, day="2026-01-01"), state(1)], **lake)
    with duckdb.connect(str(loader.path)) as con:
        (own,) = con.execute("SELECT id FROM _singer_lakes").fetchall()[0]
        for path in files(loader.folder / "lake"):
            path.rename(path.with_name(path.name.replace(f"-{own}-", "-")))
        root = lake["lake_path"]
        con.execute("UPDATE _singer_files SET path = ? || '/' || replace(path, ?, '-')", [root, f"-{own}-"])
        (path,) = con.execute("SELECT path FROM _singer_files WHERE stream = 't'").fetchall()[0]
        staged = loader.folder / "lake" / "_staging" / f"{'0' * 32}-0" / path.rpartition("/")[2]
        staged.parent.mkdir()
        shutil.move(path, staged)  # that run was killed after its commit
        con.execute("UPDATE _singer_files SET staged = ? WHERE stream = 't'", [str(staged)])
        con.execute("DROP TABLE _singer_lakes")
    loader.load([T, row(2), head, record("p", id=2, day="2026-01-02"), state(2)], **lake)
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    assert loader.sql("SELECT id FROM p ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize("when", ["staged", "settled"])
def test_a_missing_file_is_an_error_at_every_look(loader: Loader, lake: dict[str, Any], when: str) -> None:
    if when == "staged":
        killed = [sys.executable, "-c", KILLED, *loader.command(**lake)[2:]]
        subprocess.run(killed, input=encode([T, row(1), state(1)]), capture_output=True, check=False)
    else:
        loader.load([T, row(1), state(1)], **lake)
    (file,) = files(loader.folder / "lake")
    hidden = file.rename(loader.folder / "hidden")
    wrong = str(loader.folder / "wrong")
    for place in (lake, lake | {"lake_path": wrong}, lake):
        error = loader.fail([T, row(2), state(2)], **place)
        assert "stream t: " in error
        assert "missing" in error
        done = subprocess.run(loader.command("inspect", **lake), capture_output=True, check=False)
        assert (done.returncode, b"missing" in done.stderr, b"Traceback" in done.stderr) == (5, True, False)
    assert not (loader.folder / "wrong").exists()
    hidden.rename(file)
    loader.load([T, row(2), state(2)], **lake)
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_an_older_copy_of_a_warehouse_does_not_mix_with_a_newer_lake(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, row(1, "old"), state(1)], **lake)
    copy = loader.folder / "copy.duckdb"
    shutil.copy(loader.path, copy)
    loader.load([T, row(1, "new"), state(2)], **lake)
    assert "another copy of this warehouse" in loader.fail([T, row(1), state(2)], **lake, path=str(copy))
    assert loader.sql("FROM t") == [(1, "new")]


def test_two_copies_of_a_warehouse_do_not_load_at_once(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([T, row(1), state(1)], **lake)
    copy = loader.folder / "copy.duckdb"
    shutil.copy(loader.path, copy)
    running = subprocess.Popen(
        loader.command(**lake), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert running.stdin
    assert running.stdout
    running.stdin.write(encode([T, row(2), state(2)]))
    running.stdin.flush()
    assert json.loads(running.stdout.readline()) == 2
    assert "copy of this warehouse" in loader.fail([], **lake, path=str(copy))
    running.communicate()
    assert running.returncode == 0


def test_a_lake_is_free_once_its_warehouse_is(loader: Loader, lake: dict[str, Any]) -> None:
    """Whoever waits for the DuckDB file begins before the process that had it has ended."""
    loader.load([T, row(1), state(1)], **lake)
    Warehouse.open(Settings(path=str(loader.path), **lake), "0" * 32, loader.folder).close()
    loader.load([T, row(2), state(2)], **lake)
    for _ in compact(duckdb_file := connect(str(loader.path), lock_timeout_s=0), Settings(**lake)):
        pass
    duckdb_file.close()
    loader.load([T, row(3), state(3)], **lake)


def test_only_leftovers_of_the_loader_are_removed(loader: Loader, lake: dict[str, Any], tmp_path: Path) -> None:
    loader.load([T, row(1), state(1)], **lake)
    (own,) = (tmp_path / "lake" / "_staging").iterdir()
    precious = tmp_path / "precious"
    left = own / f"{'a' * 32}-0"
    spool = tmp_path / "warehouse.duckdb.spool"
    kept = [precious / "file", own.parent / "mine" / "file", own / "mine" / "file", spool / "mine" / "file"]
    for file in (*kept, left / "file", spool / ("b" * 32) / "1.jsonl"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for folder in (own, spool):
        (folder / f"{'c' * 32}").symlink_to(precious)
    loader.load([T, row(2), state(2)], **lake)
    assert all(file.exists() for file in kept)
    assert not left.exists()
    assert not (spool / ("b" * 32)).exists()


@pytest.mark.parametrize("name", ["lake/_staging", "lake/_staging/own", "warehouse.duckdb.spool"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_nothing_is_removed_or_written_through_a_link(
    loader: Loader, lake: dict[str, Any], tmp_path: Path, name: str, what: str
) -> None:
    loader.load([T, row(1), state(1)], **lake)
    precious = tmp_path / "precious" / ("d" * 32) / "file"
    precious.parent.mkdir(parents=True)
    precious.touch()
    place = next((tmp_path / "lake" / "_staging").iterdir()) if name.endswith("own") else tmp_path / name
    if place.exists():
        shutil.rmtree(place)
    if what == "link":
        place.symlink_to(tmp_path / "precious")
    else:
        place.touch()
    error = loader.fail([T, row(2), state(2)], **lake)
    assert str(place) in error
    assert precious.exists()
    assert len(list(tmp_path.joinpath("precious").rglob("*"))) == 2


@pytest.mark.parametrize("name", ["100% [a]*'s", "Übergröße", 'with "quotes"; and spaces'])
def test_a_lake_is_where_its_path_says(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "id=5" / name
    folder.mkdir(parents=True)
    there = Loader(folder)
    lake = {"lake_path": str(folder / "lake")}
    for n in (1, 2):
        there.load([T, row(n), {**T, "stream": name}, record(name, id=n), state(n)], **lake)
    assert there.sql("FROM t ORDER BY id") == [(1, "x"), (2, "x")]
    quoted = name.replace('"', '""')
    assert there.sql(f'SELECT id FROM "{quoted}" ORDER BY id') == [(1,), (2,)]
