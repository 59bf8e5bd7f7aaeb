"""What was confirmed by STATE is in the warehouse, once, whatever is killed."""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.loader.harness import INTEGER, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from tests.loader.harness import Loader

ROWS = 20_000
FEEDER = Path(__file__).with_name("feeder.py")


def feed(start: int, rows: int = ROWS) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(FEEDER), str(start), str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # its reader is killed


def run_until_killed(loader: Loader, start: int, states: int, **settings: object) -> list[dict[str, int]]:
    """Run the loader and kill it in the midst of the flush that follows so many states; returns those that came out."""
    tap = feed(start)
    assert tap.stdout
    target = subprocess.Popen(
        loader.command(**settings), stdin=tap.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    tap.stdout.close()
    assert target.stdout
    lines = [target.stdout.readline() for _ in range(states)]
    target.kill()
    out, _ = target.communicate()
    tap.wait()
    return [json.loads(line) for line in (*lines, *out.splitlines()) if line.strip().endswith(b"}")]


@pytest.mark.parametrize("lake", [None, "parquet", "delta"], ids=["tables", "lake", "delta"])
def test_l5_s1_killed_in_mid_flush_then_run_again_is_exact(loader: Loader, lake: str | None) -> None:
    dice = random.Random(5)
    settings: dict[str, object] = {"flush_interval_s": 0, "batch_rows": 150, "resume_state": True}
    if lake:
        settings |= {"lake_path": str(loader.folder / "lake"), "table_format": lake}
    loader.load([], **settings)
    for states in (0, 1, dice.randrange(2, 9), dice.randrange(2, 9)):
        before = json.loads(loader.ask("state")).get("next", 0)
        confirmed = run_until_killed(loader, before, states, **settings)
        committed = json.loads(loader.ask("state")).get("next", 0)
        assert [value["next"] for value in confirmed if value["next"] > committed] == []
        assert len(confirmed) >= states
        assert committed > before or not states
        if not lake and committed:  # in a lake the next run moves files to their place
            assert loader.sql("SELECT count(*), count(DISTINCT n) FROM log") == [(committed, committed)]
    settings["flush_interval_s"] = 10
    rows = ROWS // 4 if lake == "delta" else ROWS
    tap = feed(json.loads(loader.ask("state")).get("next", 0), rows)
    target = subprocess.run(loader.command(**settings), stdin=tap.stdout, capture_output=True, check=True)
    assert tap.stdout
    tap.stdout.close()
    assert tap.wait() == 0
    assert target.stdout.endswith(b'{"next":%d}\n' % rows)
    for table in ("log", "keyed"):
        found = loader.sql(
            f"SELECT count(*), count(DISTINCT n), min(n), max(n), bool_and(text = 'row ' || n) FROM {table}"
        )
        assert found == [(rows, rows, 0, rows - 1, True)]


def test_what_a_log_beside_the_file_holds_is_kept(loader: Loader) -> None:
    loader.load([schema("log", {"n": INTEGER}, ()), record("log", n=1), state(1)])
    left = f"""if True:
        import duckdb, os
        con = duckdb.connect({str(loader.path)!r})
        con.execute("INSERT INTO log (n) FROM range(2, 5)")
        os._exit(9)"""
    subprocess.run([sys.executable, "-c", left], check=False)
    assert loader.path.with_suffix(".duckdb.wal").exists()
    loader.load([schema("log", {"n": INTEGER}, ()), record("log", n=5), state(2)])
    assert not loader.path.with_suffix(".duckdb.wal").exists()
    assert loader.sql("SELECT n FROM log ORDER BY n") == [(1,), (2,), (3,), (4,), (5,)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_s2_a_signal_keeps_what_was_committed_and_undoes_the_rest(loader: Loader, number: int, code: int) -> None:
    thing = schema("thing", {"id": INTEGER}, ())  # whose rows wait for their STATE, however long the input pauses
    target = subprocess.Popen(
        loader.command(flush_interval_s=0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert target.stdin
    assert target.stdout
    target.stdin.write(encode([thing, record("thing", id=1), state(1), record("thing", id=2)]))
    target.stdin.flush()
    assert json.loads(target.stdout.readline()) == 1
    target.send_signal(number)
    _, errors = target.communicate()
    assert target.returncode == code
    assert b"Traceback" not in errors
    assert loader.sql("FROM thing") == [(1,)]


@pytest.mark.parametrize("full", [False, True], ids=["nobody", "full-disk"])
@pytest.mark.parametrize(("number", "code"), [(0, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_s2_a_loader_that_can_tell_nobody_ends_as_it_would(
    loader: Loader, number: int, code: int, *, full: bool
) -> None:
    unread, errors = os.pipe()
    os.close(unread)
    with Path("/dev/full").open("wb") as disk:
        target = subprocess.Popen(
            loader.command(flush_interval_s=0),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=disk if full else errors,
        )
    os.close(errors)
    assert target.stdin
    assert target.stdout
    target.stdin.write(encode([schema("thing", {"id": INTEGER}), record("thing", id=1), state(1)]))
    target.stdin.flush()
    assert json.loads(target.stdout.readline()) == 1
    if number:
        target.send_signal(number)
        target.wait(60)
    target.communicate()
    assert target.returncode == code
    assert loader.sql("FROM thing") == [(1,)]
    assert not (loader.folder / "warehouse.duckdb.spool").exists()


def test_s4_nobody_reads_the_states_any_more(loader: Loader) -> None:
    thing = schema("thing", {"id": INTEGER})
    target = subprocess.Popen(
        loader.command(flush_interval_s=0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert target.stdout
    target.stdout.close()
    target.stdout = None
    _, errors = target.communicate(encode([thing, record("thing", id=1), state(1)]))
    assert target.returncode == 5
    assert b"Traceback" not in errors
    assert loader.sql("FROM thing") == [(1,)]


def test_s2_a_signal_ends_a_loader_whose_output_nobody_reads(loader: Loader) -> None:
    target = subprocess.Popen(
        loader.command(flush_interval_s=0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert target.stdin
    assert target.stdout
    fcntl.fcntl(target.stdout, fcntl.F_SETPIPE_SZ, 4096)
    target.stdin.write(encode([schema("thing", {"id": INTEGER}), record("thing", id=1), state("x" * 100_000)]))
    target.stdin.flush()
    select.select([target.stdout], [], [])
    target.terminate()
    assert target.wait(60) == 143
    _, errors = target.communicate()
    assert len(errors.splitlines()) == 1
    assert loader.sql("FROM thing") == [(1,)]
    assert not (loader.folder / "warehouse.duckdb.spool").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_s2_a_signal_during_the_imports_is_one_line(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "duckdb.py").write_text(f"import os\nos.kill(os.getpid(), {number})\nwhile True: pass")
    command = [sys.executable, "-m", "target_duckhouse"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False)
    assert done.returncode == code
    assert done.stderr.count(b"\n") == 1
    assert b"stopped by a signal" in done.stderr


def test_l7_a_full_disk_stops_the_load_and_keeps_the_old_data(loader: Loader) -> None:
    thing = schema("thing", {"id": INTEGER, "text": STRING})
    loader.load([thing, record("thing", id=1, text="old"), state(1)])
    limited = [sys.executable, "-c", LIMITED, "4000000", *loader.command(flush_interval_s=0)[3:]]
    rows = (record("thing", id=n, text="x" * 1000) for n in range(20_000))
    done = subprocess.run(limited, input=encode([thing, *rows, state(2)]), capture_output=True, check=False)
    assert done.returncode == 5, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
    assert loader.sql("FROM thing") == [(1, "old")]
    assert loader.ask("state") == "1\n"


@pytest.mark.parametrize("room", [1, 8192, 100_000])
def test_l7_a_disk_that_is_full_from_the_start_leaves_nothing_in_the_way(loader: Loader, room: int) -> None:
    """A DuckDB file that was written in part could not be opened again, and would have to be deleted by hand."""
    messages = encode([schema("thing", {"id": INTEGER}), record("thing", id=1), state(1)])
    # Python takes a part of a .pyc file for a whole one, so none must be written.
    limited = [sys.executable, "-B", "-c", LIMITED, str(room), *loader.command()[3:]]
    done = subprocess.run(limited, input=messages, capture_output=True, check=False)
    assert done.returncode == 5
    (line,) = done.stderr.decode().splitlines()
    assert "File too large" in line
    loader.load(messages)
    assert loader.sql("FROM thing") == [(1,)]


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
del sys.argv[1]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""
