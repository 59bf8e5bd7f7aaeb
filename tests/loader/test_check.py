"""``check``: what a scheduler or an alert wants to know of a warehouse."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, STRING, Loader, encode, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

THING = schema("thing", {"id": INTEGER})
BOOKMARK = {"bookmarks": {"thing": {"replication_key_value": "2026-01-31T00:00:00.000000Z"}}}


def check(loader: Loader, *arguments: str, **settings: object) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        loader.command("check", "--format", "json", *arguments, **settings), capture_output=True, check=False
    )
    log = done.stderr.decode()
    assert "Traceback" not in log
    return done.returncode, json.loads(done.stdout or b"{}"), log


def grow_old(loader: Loader, hours: int, stream: str = "thing") -> None:
    with duckdb.connect(str(loader.path)) as con:
        con.execute(
            "UPDATE _singer_loads SET committed_at = committed_at - to_hours(?) WHERE stream = ?", [hours, stream]
        )


def test_a_fresh_warehouse_passes(loader: Loader) -> None:
    loader.load([THING, record("thing", id=1), state(BOOKMARK)], schema="shop")
    code, content, log = check(loader)
    assert (code, content["ok"], log) == (0, True, "")
    (entry,) = content["streams"]
    assert (entry["schema"], entry["stream"], entry["stale"], entry["rejected"]) == ("shop", "thing", False, 0)
    assert entry["bookmark"] == "2026-01-31T00:00:00.000000Z"
    assert entry["age_s"] < 600
    text = subprocess.run(loader.command("check"), capture_output=True, check=True, text=True).stdout
    assert re.search(r"shop +thing +\S+Z +0h \d+m +2026-01-31T00:00:00.000000Z +0 +ok", text)


@pytest.mark.parametrize(("age", "limit", "code"), [(25, "26h", 0), (27, "26h", 6), (27, "2d", 0), (27, "1500m", 6)])
def test_a_stream_that_is_too_old_fails(loader: Loader, age: int, limit: str, code: int) -> None:
    loader.load([THING, record("thing", id=1), schema("other", {"id": INTEGER}), record("other", id=1)])
    grow_old(loader, age)
    found, content, log = check(loader, "--max-age", limit)
    assert found == code
    assert {entry["stream"]: entry["stale"] for entry in content["streams"]} == {"other": False, "thing": code == 6}
    assert ("thing (stale)" in log) == (code == 6)
    assert check(loader, "--max-age", limit, "--stream", "other")[0] == 0
    assert check(loader, "--max-age", limit, "--stream", "main.thing")[0] == code


def test_a_stream_that_was_never_loaded_is_stale(loader: Loader) -> None:
    loader.load([THING])
    code, content, log = check(loader, "--stream", "thing", "--stream", "thong")
    assert code == 6
    assert [(entry["stream"], entry["stale"]) for entry in content["streams"]] == [("thing", False), ("thong", True)]
    assert "thong (stale)" in log
    loader.path.unlink()
    loader.load([])
    code, content, log = check(loader)
    assert (code, content["streams"]) == (6, [])
    assert "nothing has been loaded yet" in log


def failing(*streams: object) -> dict[str, Any]:
    """A STATE of a tap that tells which streams have failed in its run."""
    return {**state(BOOKMARK), "failed": [*streams]}


def last_loads(loader: Loader) -> dict[str, tuple[str | None, str | None]]:
    """When `check` and `inspect` say that each stream was last loaded."""
    shown = {entry["stream"]: entry["last_load"] for entry in check(loader)[1]["streams"]}
    inspected = json.loads(loader.ask("inspect", "--format", "json"))["streams"]
    return {entry["stream"]: (shown[entry["stream"]], entry["committed_at"]) for entry in inspected}


def test_a_stream_that_fails_every_night_is_as_old_as_its_last_whole_load(loader: Loader) -> None:
    """A tap sends its SCHEMA before it knows, so every run has a load of it; rows may have come before it failed."""
    other = schema("other", {"id": INTEGER})
    loader.load([THING, record("thing", id=1), other, state(BOOKMARK)])
    for stream in ("thing", "other"):
        grow_old(loader, 27, stream)
    before = last_loads(loader)
    for number in (2, 3):
        loader.load([THING, record("thing", id=number), failing("thing"), other, failing("thing"), state(BOOKMARK)])
    code, content, log = check(loader)
    assert code == 6
    assert {entry["stream"]: entry["stale"] for entry in content["streams"]} == {"thing": True, "other": False}
    assert "thing (stale)" in log
    after = last_loads(loader)
    assert after["thing"] == before["thing"]
    assert after["thing"][0] == after["thing"][1]
    assert after["other"] != before["other"]
    loader.load([THING, other, failing("other")])
    assert check(loader)[0] == 0
    assert loader.sql("SELECT failed FROM _singer_loads WHERE stream = 'other' ORDER BY started_at") == [
        (False,),
        (False,),
        (False,),
        (True,),
    ]


def test_a_stream_that_has_only_failed_was_never_loaded(loader: Loader) -> None:
    loader.load([THING, record("thing", id="x"), failing("thing")], on_bad_record="reject")
    grow_old(loader, 27)
    code, content, log = check(loader)
    (entry,) = content["streams"]
    assert (code, entry["stale"], entry["last_load"], entry["age_s"], entry["rejected"]) == (6, True, None, None, 1)
    assert "thing (stale and 1 rejected)" in log
    assert last_loads(loader) == {"thing": (None, None)}
    text = subprocess.run(loader.command("check"), capture_output=True, check=False, text=True).stdout
    assert re.search(r"main +thing +never .* stale", text)
    assert "thing" in loader.ask("inspect")


@pytest.mark.parametrize("told", [7, "thing", {"thing": 1}, [7], ["thing", None], None])
def test_what_another_tap_means_by_failed_is_left_alone(loader: Loader, told: Any) -> None:
    loader.load([THING, {**state(BOOKMARK), "failed": told}, {"type": "STATE", "value": {"failed": ["thing"]}}])
    assert check(loader)[0] == 0


def test_a_warehouse_that_knew_of_no_failures_is_read_and_learns_of_them(loader: Loader) -> None:
    loader.load([THING, state(BOOKMARK)])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("ALTER TABLE _singer_loads DROP COLUMN failed")
    before = last_loads(loader)
    assert check(loader)[0] == 0
    loader.load([THING, failing("thing")])
    assert last_loads(loader) == before
    assert loader.sql("SELECT failed FROM _singer_loads ORDER BY started_at") == [(None,), (True,)]


def test_a_table_that_was_dropped_is_not_missed(loader: Loader) -> None:
    loader.load([THING, record("thing", id=1)])
    with duckdb.connect(str(loader.path)) as con:
        con.execute("DROP TABLE thing")
    loader.load([schema("other", {"id": INTEGER})])
    assert [entry["stream"] for entry in check(loader)[1]["streams"]] == ["other"]


def test_rejected_records_fail_for_as_long_as_their_load_counts(loader: Loader) -> None:
    loader.load([THING, record("thing", id="x"), record("thing", id=1)], on_bad_record="reject")
    loader.load([THING, record("thing", id=2)])
    code, content, log = check(loader)
    assert (code, content["streams"][0]["rejected"]) == (6, 1)
    assert "thing (1 rejected)" in log
    with duckdb.connect(str(loader.path)) as con:
        con.execute("UPDATE _singer_loads SET committed_at = committed_at - INTERVAL 27 HOUR WHERE rejected > 0")
    assert check(loader)[0] == 0


def test_changes_of_a_schema_are_told(loader: Loader, tmp_path: Path) -> None:
    where = {"lake_path": str(tmp_path / "lake")}
    loader.load([THING, record("thing", id=1)], **where)
    loader.load([schema("thing", {"id": INTEGER, "name": STRING}), record("thing", id=2**70)], **where)
    code, content, _ = check(loader)
    assert code == 0
    assert content["streams"][0]["schema_changes"] == ["id: BIGINT -> HUGEINT", "name: new -> VARCHAR"]


@pytest.mark.parametrize("span", ["", "26", "h", "-1h", "1w", "1e9h", "canary", "1h1m"])
def test_a_span_must_be_one(loader: Loader, span: str) -> None:
    loader.load([THING])
    code, _, log = check(loader, "--max-age", span)
    assert code == 2
    assert "--max-age must be a number with a unit" in log
    assert "canary" not in log


def test_a_file_that_another_process_has_is_waited_for(loader: Loader) -> None:
    loader.load([THING, record("thing", id=1)])
    with duckdb.connect(str(loader.path)):
        waiting = subprocess.Popen(loader.command("check"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert waiting.stderr
        line = waiting.stderr.readline().decode()
        assert f"is in use by process {os.getpid()}; waiting up to 300 s" in line
    out, _ = waiting.communicate()
    assert waiting.returncode == 0
    assert b"thing" in out


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_files_that_a_lake_lacks_are_told_without_reading_any(loader: Loader, tmp_path: Path, form: str) -> None:
    """A view over Parquet files leaves out those that are missing, and nobody would notice."""
    other = schema("other", {"id": INTEGER})
    lake = {"lake_path": str(tmp_path / "lake"), "table_format": form}
    for number in (1, 2):
        loader.load([THING, record("thing", id=number), other, record("other", id=1)], **lake)
    assert check(loader)[0] == 0
    lost = sorted(tmp_path.glob("lake/main/thing/**/*.parquet"))
    for file in tmp_path.glob("lake/main/other/**/*.parquet"):
        file.write_bytes(b"")
    lost[0].unlink()
    code, content, log = check(loader)
    assert code == 6
    assert {e["stream"]: e["missing_files"] for e in content["streams"]} == {"other": [], "thing": [str(lost[0])]}
    assert f"thing ({lost[0]} is missing)" in log
    shutil.rmtree(tmp_path / "lake")
    code, content, log = check(loader, "--stream", "thing")
    assert (code, "other" in log) == (6, False)
    assert ("2 missing files" in log) == (form == "parquet")
    text = subprocess.run(loader.command("check"), capture_output=True, check=False, text=True).stdout
    assert len(re.findall("files missing$", text, re.MULTILINE)) == 2


def test_a_missing_file_is_told(loader: Loader) -> None:
    assert "there is no file" in loader.ask_in_vain("check")


def test_no_package_beyond_the_loaders_own_is_needed(loader: Loader) -> None:
    """DuckDB hands out times with a zone only where `pytz` is installed, and no other package of ours brings it."""
    blocked = "import sys; sys.modules['pytz'] = None; from target_duckhouse.cli import main; main()"
    head = schema("t", {"id": INTEGER, "at": DATE_TIME})
    for at in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"):
        data = encode([head, record("t", id=1, at=at), state(at)])
        command = [sys.executable, "-c", blocked, *loader.command(history=True)[3:]]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    for name in ("check", "inspect", "state"):
        command = [sys.executable, "-c", blocked, *loader.command(name)[3:]]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
