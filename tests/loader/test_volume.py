"""Much data, long lines, many streams."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.loader.harness import DATE_TIME, INTEGER, OBJECT, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loader.harness import Loader

# Linux counts the memory of the process that it was forked from into a program's ru_maxrss, but not into VmHWM.
MEASURED = """
import atexit, pathlib, runpy, sys
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print("peak_kb", status.read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


def stream_in(loader: Loader, messages: Iterator[bytes], **settings: object) -> tuple[int, str, int]:
    """Feed messages piece by piece; returns exit code, errors and the peak of memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, *loader.command(**settings)[2:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    try:
        for message in messages:
            process.stdin.write(message)
    except BrokenPipeError:
        pass
    _, errors = process.communicate()
    text = errors.decode()
    return process.returncode, text, int(text.rpartition("peak_kb ")[2]) // 1024


def test_l1_memory_stays_within_the_setting(loader: Loader) -> None:
    head = encode([schema("t", {"id": INTEGER, "text": STRING, "more": STRING})])
    page = b'{"type":"RECORD","stream":"t","record":{"id":%d,"text":"%s","more":"%d"}}\n'
    filler = b"x" * 500

    def messages(start: int, rows: int) -> Iterator[bytes]:
        yield head
        for n in range(start, start + rows, 1000):
            yield b"".join(page % (i, filler, i * 7919) for i in range(n, n + 1000))
        yield encode([state(start + rows)])

    for start, rows in ((0, 1_000_000), (900_000, 200_000)):
        code, errors, peak = stream_in(loader, messages(start, rows), memory_limit_mb=400)
        assert code == 0, errors
        assert peak < 400
    assert loader.sql("SELECT count(*), count(DISTINCT id) FROM t") == [(1_100_000, 1_100_000)]


def test_large_records_stay_within_the_setting(loader: Loader) -> None:
    filler = random.Random(1).randbytes(40_000).hex()

    def messages() -> Iterator[bytes]:
        yield encode([schema("t", {"id": INTEGER, "text": STRING})])
        for n in range(1500):
            yield encode([record("t", id=n, text=f"{n}{filler}")])

    code, errors, peak = stream_in(loader, messages(), memory_limit_mb=400)
    assert code == 0, errors
    assert peak < 400
    assert loader.sql("SELECT count(*), min(length(text)) FROM t") == [(1500, 80_001)]


def test_a_commit_that_does_not_fit_is_one_line_that_names_the_setting(loader: Loader) -> None:
    filler = random.Random(1).randbytes(100_000).hex()

    def messages() -> Iterator[bytes]:
        yield encode([schema("t", {"text": STRING}, keys=())])
        for n in range(800):
            yield encode([record("t", text=f"{n}{filler}")])

    code, errors, _ = stream_in(loader, messages(), memory_limit_mb=256)
    assert code == 5
    assert "raise the setting `memory_limit_mb`" in errors
    assert "Traceback" not in errors


def test_many_properties_that_the_schema_lacks(loader: Loader) -> None:
    rows = [record("t", id=n, **{f"p{n}": n}) for n in range(300)]
    code, errors, peak = stream_in(loader, iter([encode([schema("t", {"id": INTEGER}), *rows])]))
    assert code == 0, errors
    assert peak < 512
    assert loader.sql("SELECT p299 FROM t WHERE id = 299") == [("299",)]
    assert len(loader.types("t")) == 301


def test_a_line_of_100_mb_is_one_clear_error(loader: Loader) -> None:
    def messages() -> Iterator[bytes]:
        yield encode([schema("t", {"id": INTEGER, "text": STRING})])
        yield b'{"type":"RECORD","stream":"t","record":{"id":1,"text":"'
        for _ in range(100):
            yield b"x" * 1_000_000
        yield b'"}}\n'

    code, errors, peak = stream_in(loader, messages())
    lines = [line for line in errors.splitlines() if "peak_kb" not in line]
    assert code == 5
    assert len(lines) == 1
    assert "longer than 64 MB" in lines[0]
    assert "stream t" in lines[0]
    assert peak < 512


def test_a_record_of_30_mb_is_loaded(loader: Loader) -> None:
    loader.load([schema("t", {"id": INTEGER, "text": STRING}), record("t", id=1, text="x" * 30_000_000), state(1)])
    assert loader.sql("SELECT length(text) FROM t") == [(30_000_000,)]


def test_200_streams_in_one_run(loader: Loader) -> None:
    names = [f"stream_{n}" for n in range(200)]
    heads = [schema(name, {"id": INTEGER}) for name in names]
    rows = [record(name, id=n) for n in range(5) for name in names]
    loader.load([*heads, *rows, state(1)])
    assert loader.sql("SELECT count(*), sum(inserted) FROM _singer_loads") == [(200, 1000)]
    assert loader.sql("SELECT count(*) FROM stream_199") == [(5,)]


def test_l3_many_rows_with_awkward_values_are_equal(loader: Loader) -> None:
    dice = random.Random(3)
    awkward = [
        "new\nline",
        'quo"te',
        "back\\slash",
        "tab\t",
        "Ünïcødé 🦆",
        "",
        " ",
        "null",
        "\u2028",
        "'; DROP TABLE t; --",
        "\0",
    ]
    rows: list[dict[str, Any]] = [
        {
            "id": n,
            "text": dice.choice(awkward) + str(n % 7),
            "big": dice.randrange(-(2**63), 2**63),
            "at": f"2026-01-01T{n % 24:02d}:00:00.{n:06d}{dice.choice(['Z', '+05:30', '-08:00'])}",
            "meta": {"n": n, "f": n / 8},
        }
        for n in range(100_000)
    ]
    head = schema("t", {"id": INTEGER, "text": STRING, "big": INTEGER, "at": DATE_TIME, "meta": OBJECT})
    loader.load([head, *(record("t", **row) for row in rows), state(1)])
    found = loader.sql("""SELECT id, text, big, "at", meta->>'n', (meta->>'f')::DOUBLE FROM t ORDER BY id""")
    assert found == [
        (r["id"], r["text"], r["big"], datetime.fromisoformat(r["at"]), str(r["meta"]["n"]), r["meta"]["f"])
        for r in rows
    ]
