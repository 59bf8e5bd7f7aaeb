"""`target-duckhouse compact`: fewer files, the same rows, whatever is killed, and wherever the lake is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.duck import reading
from tests.loader.harness import INTEGER, STRING, Loader, encode, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1 if "KILLS" in os.environ else 4
"""How far the points are apart at which compaction is killed; `make soak` tries every one."""

DAY = {"type": "string", "format": "date"}
KEYED = schema("keyed", {"id": INTEGER, "v": STRING})
LOG = schema("log", {"n": INTEGER}, ())
SNAPSHOT = schema("snapshot", {"n": INTEGER}, ())
DATED = schema("dated", {"id": INTEGER, "day": DAY})
SCOPED = {**KEYED, "stream": "scoped", "schema": {**KEYED["schema"], "x-scopes": []}}


def night(number: int) -> list[dict[str, Any]]:
    """What a tap sends in one night: changes, additions, a whole table, and what is gone."""
    gone = {"bookmarks": {"scoped": {"_scopes_read": [{}]}}, "night": number}
    return [
        KEYED,
        *(record("keyed", id=n, v=f"{number}") for n in (0, number)),
        LOG,
        record("log", n=number),
        SNAPSHOT,
        *(record("snapshot", number, n=n) for n in range(number, number + 2)),
        {"type": "ACTIVATE_VERSION", "stream": "snapshot", "version": number},
        DATED,
        *(record("dated", id=n, day=f"2026-01-0{1 + n % 2}") for n in range(number * 2, number * 2 + 2)),
        SCOPED,
        record("scoped", id=number, v="x"),
        state(gone),
    ]


STREAMS = ("keyed", "log", "snapshot", "dated", "scoped")


def rows(loader: Loader) -> dict[str, list[tuple[Any, ...]]]:
    return {stream: loader.sql(f"FROM {stream} ORDER BY ALL") for stream in STREAMS}


@pytest.fixture
def lake(loader: Loader) -> dict[str, Any]:
    """A lake after three nights."""
    settings = {"lake_path": str(loader.folder / "lake"), "lake_partition_by": "day"}
    for number in (1, 2, 3):
        loader.load(night(number), **settings)
    return settings


def files(folder: Path, stream: str) -> list[Path]:
    return sorted((folder / "lake" / "main" / stream).rglob("*.parquet"))


def test_small_files_are_merged_and_all_rows_stay(loader: Loader, lake: dict[str, Any]) -> None:
    before = rows(loader)
    assert [len(files(loader.folder, stream)) for stream in STREAMS] == [3, 3, 1, 6, 5]
    said = loader.ask("compact", **lake)
    assert [line.split() for line in said.splitlines()[1:]] == [
        ["main", "dated", "6", "2"],
        ["main", "keyed", "3", "1"],
        ["main", "log", "3", "1"],
        ["main", "scoped", "5", "1"],
        ["main", "snapshot", "1", "1"],
    ]
    assert [len(files(loader.folder, stream)) for stream in STREAMS] == [1, 1, 1, 2, 1]
    assert rows(loader) == before
    assert json.loads(loader.ask("inspect", "--format", "json"))["streams"][1]["rows"] == 4
    versions = duckdb.execute(f"SELECT count(*) FROM '{loader.folder}/lake/main/keyed/*.parquet'").fetchall()
    assert versions == [(6,)]
    assert loader.ask("compact", **lake).count("  1") >= 4
    loader.load(night(4), **lake)
    assert loader.sql("SELECT v FROM keyed WHERE id = 0") == [("4",)]
    assert loader.sql("SELECT n FROM snapshot ORDER BY n") == [(4,), (5,)]
    assert loader.sql("SELECT id FROM scoped") == [(4,)]
    assert loader.sql("SELECT count(*) FROM log") == [(4,)]


def test_files_of_other_columns_are_merged(loader: Loader, lake: dict[str, Any]) -> None:
    wide = schema("keyed", {"id": INTEGER, "v": STRING, "w": INTEGER})
    loader.load([wide, record("keyed", id=9, v="y", w=2), state(1)], **lake)
    before = loader.sql("SELECT id, v, w FROM keyed ORDER BY id")
    loader.ask("compact", **lake)
    assert len(files(loader.folder, "keyed")) == 1
    assert loader.sql("SELECT id, v, w FROM keyed ORDER BY id") == before


def test_l10_killed_at_any_point_the_views_show_all_rows_once(
    loader: Loader, lake: dict[str, Any], tmp_path: Path
) -> None:
    before = rows(loader)
    point = 0
    while True:
        copy = Loader(tmp_path / str(point))
        shutil.copytree(tmp_path / "lake", copy.folder / "lake")
        shutil.copy(loader.path, copy.path)
        here = lake | {"lake_path": str(copy.folder / "lake")}
        command = [sys.executable, "-c", KILLED, str(point), *copy.command("compact", **here)[2:]]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        with reading(copy.path) as con:  # views find the lake where it was moved
            con.execute(f"SET VARIABLE lake_path = '{copy.folder / 'lake'}'")
            assert {
                stream: con.execute(f"SELECT {KEPT[stream]} FROM {stream} ORDER BY ALL").fetchall()
                for stream in STREAMS
            } == {stream: [row[: len(KEPT[stream].split(","))] for row in before[stream]] for stream in STREAMS}, point
        if point % 8 == 0 or not done.returncode:  # the next run finishes it
            copy.load(night(4), **here)
            assert [len(copy.sql(f"FROM {stream}")) for stream in STREAMS] == [5, 4, 2, 8, 1]
            assert copy.sql("SELECT count(*) FROM _singer_files WHERE is_gone OR staged <> ''") == [(0,)]
            listed = {path for (path,) in copy.sql("SELECT path FROM _singer_files")}
            there = (copy.folder / "lake" / "main").rglob("*.parquet")
            assert {str(file.relative_to(copy.folder / "lake")) for file in there} == listed
        if not done.returncode:
            break
        point += STEP
    assert point > 20


KEPT = {"keyed": "id, v", "log": "n", "snapshot": "n", "dated": "id, day", "scoped": "id, v"}
KILLED = """
import os, pathlib, runpy, signal, sys
left = int(sys.argv[1])
def counted(real):
    def call(*given, **named):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*given, **named)
    return call
from target_duckhouse.warehouse import connection
connection.make_durable = counted(connection.make_durable)
pathlib.Path.replace = counted(pathlib.Path.replace)
pathlib.Path.unlink = counted(pathlib.Path.unlink)
sys.argv = sys.argv[2:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


def test_it_runs_beside_a_load_but_not_while_another_process_has_the_file(loader: Loader, lake: dict[str, Any]) -> None:
    running = subprocess.Popen(
        loader.command(**lake, flush_interval_s=0),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert running.stdin
    assert running.stdout
    running.stdin.write(encode(night(4)))
    running.stdin.flush()
    assert json.loads(running.stdout.readline())["night"] == 4
    with duckdb.connect(str(loader.path)):
        assert f"is locked by process {os.getpid()}" in loader.ask_in_vain("compact", **lake, lock_timeout_s=0)
    loader.ask("compact", **lake)
    running.communicate(encode(night(5)))
    assert running.returncode == 0
    assert loader.sql("SELECT v FROM keyed WHERE id = 0") == [("5",)]
    assert loader.sql("SELECT n FROM snapshot ORDER BY n") == [(5,), (6,)]
    assert loader.sql("SELECT count(*) FROM log") == [(5,)]


def test_a_warehouse_without_a_lake_is_left_alone(loader: Loader) -> None:
    loader.load([LOG, record("log", n=1), state(1)])
    assert "no lake" in loader.ask("compact")
    assert loader.sql("FROM log") == [(1,)]


@pytest.mark.usefixtures("lake")
def test_a_lake_that_was_moved_with_its_warehouse_is_found(loader: Loader) -> None:
    before = rows(loader)
    new = loader.folder / "new"
    new.mkdir()
    shutil.move(loader.path, new)
    shutil.move(loader.folder / "lake", new)
    moved = Loader(new)
    assert "log" in moved.ask("compact")
    assert rows(moved) == before
    assert json.loads(moved.ask("inspect", "--format", "json"))["streams"][0]["rows"] == 6
    (new / "lake").rename(new / "elsewhere")
    assert "is missing" in moved.ask_in_vain("compact")
    assert "log" in moved.ask("compact", lake_path=str(new / "elsewhere"))
    assert rows(moved) == before
    assert str(loader.folder) not in str(moved.sql("FROM _singer_lakes"))
