"""Much data, long lines, many streams."""

from __future__ import annotations

import random
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, OBJECT, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loader.harness import Loader

# A process that needs little itself starts the loader and tells, however that ended, how often it was given memory, and
# what it needed at most, in KB.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print("page_faults", usage.ru_minflt, "peak_kb", usage.ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def stream_in(loader: Loader, messages: Iterator[bytes], **settings: object) -> tuple[int, str, int]:
    """Feed messages piece by piece; returns exit code, errors and the peak of memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, *loader.command(**settings)],
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


def test_memory_is_not_given_back_with_each_file_of_a_batch(loader: Loader) -> None:
    """DuckDB would do so, and ask for it again: what many small files hold would take longer than the same in one."""
    rows = [b'{"id":%d,"text":"%s"}\n' % (number, b"x" * 500) for number in range(20_000)]
    faults = {}
    for files in (1, 100):
        size, manifest = len(rows) // files, []
        for number in range(files):
            path = loader.folder / f"{files}-{number}.jsonl"
            path.write_bytes(b"".join(rows[number * size : (number + 1) * size]))
            manifest.append(str(path))
        encoding = {"format": "jsonl", "compression": "none"}
        batch = {"type": "BATCH", "stream": f"in_{files}", "encoding": encoding, "manifest": manifest}
        messages = [encode([schema(f"in_{files}", {"id": INTEGER, "text": STRING})]), encode([batch])]
        code, errors, _ = stream_in(loader, iter(messages), path=str(loader.folder / f"{files}.duckdb"))
        assert code == 0
        faults[files] = int(errors.rpartition("page_faults ")[2].split()[0])
    assert faults[100] < faults[1]


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
        code, errors, peak = stream_in(loader, messages(start, rows), memory_limit_mb=256)
        assert code == 0, errors
        assert peak < 256
    assert loader.sql("SELECT count(*), count(DISTINCT id) FROM t") == [(1_100_000, 1_100_000)]


@pytest.mark.parametrize("keys", [("id",), ()], ids=["merged", "appended"])
def test_large_records_stay_within_the_setting(loader: Loader, keys: tuple[str, ...]) -> None:
    head = schema("t", {"id": INTEGER, "note": STRING, "text": STRING}, keys=keys)
    text = random.Random(1).randbytes(60_000).hex()

    def messages(note: str) -> Iterator[bytes]:
        yield encode([head])
        for n in range(2500):
            yield encode([record("t", id=n, note=note, text=text[n : n + 60_000])])
        yield encode([state(note)])

    for note in ("first", "first", "second") if keys else ("first",):
        code, errors, peak = stream_in(loader, messages(note))
        assert code == 0, errors
        assert peak < 512
    found = loader.sql("SELECT count(*), min(note), min(length(text)) FROM t")
    assert found == [(2500, note, 60_000)]


@pytest.mark.parametrize(("size", "rows"), [(60_000, 6000), (100_000, 3000), (1_000_000, 300), (20_000_000, 8)])
def test_what_does_not_fit_is_one_line_that_names_the_setting(loader: Loader, size: int, rows: int) -> None:
    head = schema("t", {"id": INTEGER, "text": STRING})
    text = random.Random(1).randbytes(size).hex()

    def messages() -> Iterator[bytes]:
        yield encode([head])
        for n in range(rows):
            yield encode([record("t", id=n, text=text[n : n + size])])
            if n % 20 == 0:
                yield encode([state(n)])

    loader.load([head, record("t", id=-1, text="old"), state(-1)])
    code, errors, peak = stream_in(loader, messages(), memory_limit_mb=256)
    assert code == 5, errors
    assert peak < 280  # the process looks at itself every 5 ms, if the machine lets it
    lines = [line for line in errors.splitlines()[:-1] if "records read" not in line]  # a busy machine takes its time
    assert len(lines) == 1, errors
    assert "`memory_limit_mb`" in lines[0]
    committed = int(loader.ask("state"))
    assert loader.sql("SELECT text FROM t WHERE id = -1") == [("old",)]
    assert loader.sql(f"SELECT count(*) FROM t WHERE id BETWEEN 0 AND {committed}") == [(max(committed + 1, 0),)]
    assert not loader.folder.joinpath("warehouse.duckdb.spool").exists()


@pytest.mark.parametrize("table_format", ["parquet", "delta"])
def test_a_lake_merges_large_records_within_the_least_memory(loader: Loader, table_format: str) -> None:
    text = random.Random(1).randbytes(1_000_000).hex()

    def messages(note: str) -> Iterator[bytes]:
        yield encode([schema("t", {"id": INTEGER, "note": STRING, "text": STRING})])
        for n in range(150):
            yield encode([record("t", id=n, note=note, text=text[n : n + 1_000_000])])
        yield encode([state(note)])

    for note in ("first", "first", "second"):
        lake = {"lake_path": str(loader.folder / "lake"), "table_format": table_format}
        code, errors, peak = stream_in(loader, messages(note), memory_limit_mb=256, **lake)
        assert code == 0, errors
        assert peak < 256
    assert loader.sql("SELECT count(*), min(note), min(length(text)) FROM t") == [(150, "second", 1_000_000)]


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


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"RECORD","stream":"t","record":{"id":NaN,"text":"%s"}}\n',
        b'{"type":"STATE","value":{"text":"%s"}}\n',
        b'{"type":"SCHEMA","stream":"u","schema":{"properties":{"a":{"description":"%s"}}},"key_properties":[]}\n',
    ],
    ids=["damaged", "state", "schema"],
)
@pytest.mark.parametrize("limit", [256, 512])
def test_long_lines_stay_within_the_setting(loader: Loader, line: bytes, limit: int) -> None:
    def messages() -> Iterator[bytes]:
        yield encode([schema("t", {"id": INTEGER, "text": STRING})])
        yield line % (b"x" * (limit * 120_000))

    code, errors, peak = stream_in(loader, messages(), memory_limit_mb=limit, on_bad_record="reject")
    assert code in {0, 5}
    assert code == 0 or "`memory_limit_mb`" in errors or "not a Singer message" in errors
    assert "Traceback" not in errors
    assert peak < limit + limit // 8  # one call may take as much as a line before the process looks at itself again


def test_the_longest_line_goes_by_the_memory(loader: Loader) -> None:
    line = record("t", id=1, text="x" * 40_000_000)
    assert "longer than 32 MB" in loader.fail([schema("t", {"id": INTEGER, "text": STRING}), line], memory_limit_mb=256)


def test_a_commit_takes_no_more_than_its_rows(loader: Loader) -> None:
    text = random.Random(1).randbytes(80_000).hex()

    def messages() -> Iterator[bytes]:
        yield encode([schema("t", {"id": INTEGER, "text": STRING}, keys=())])
        for n in range(2500):
            yield encode([record("t", id=n, text=text[n : n + 80_000])])
        yield encode([state(1)])

    code, errors, peak = stream_in(loader, messages())
    assert code == 0, errors
    assert peak < 512


def test_large_rows_of_a_parquet_file_are_merged_bit_by_bit(loader: Loader) -> None:
    file = loader.folder / "rows.parquet"
    message = {"type": "BATCH", "stream": "t", "encoding": {"format": "parquet"}, "manifest": [file.as_uri()]}
    head = encode([schema("t", {"id": INTEGER, "text": STRING})])
    for _ in range(2):
        duckdb.sql(
            "COPY (SELECT i AS id, (SELECT string_agg(md5(i::VARCHAR || j)) FROM range(120) r(j)) AS text "
            f"FROM range(40000) t(i)) TO '{file}' (ROW_GROUP_SIZE 2048)"
        )
        code, errors, peak = stream_in(loader, iter([head, encode([message, state(1)])]), memory_limit_mb=256)
        assert code == 0, errors
        assert peak < 256
    assert loader.sql("SELECT count(*) FROM t") == [(40_000,)]


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


def test_more_columns_than_fit_are_told_as_such(loader: Loader) -> None:
    names = [f"c{n}" for n in range(2500)]
    row = encode([record("wide", id=1, **dict.fromkeys(names, "x"))])
    head = encode([schema("wide", {"id": INTEGER, **dict.fromkeys(names, STRING)})])
    code, errors, peak = stream_in(loader, iter([head, row * 100]), memory_limit_mb=512)
    assert code == 5
    (line,) = (line for line in errors.splitlines() if "ERROR" in line)
    assert "stream wide: " in line
    assert "its 2,501 columns do not fit; raise the setting `memory_limit_mb`, or select fewer properties" in line
    assert "records" not in line
    assert peak <= 512


def test_a_state_that_does_not_fit_is_told_as_such(loader: Loader) -> None:
    head = encode([schema("t", {"id": INTEGER}), record("t", id=1), state({"a": 1})])
    large = encode([state({"bookmarks": {"t": "x" * 28_000_000}})])
    code, errors, _ = stream_in(loader, iter([head, large]), memory_limit_mb=256)
    assert code == 5
    (line,) = (line for line in errors.splitlines() if "ERROR" in line)
    assert "a STATE of 28 MB does not fit" in line
    assert "record" not in line
    assert not loader.path.with_suffix(".duckdb.spool").exists()


def test_long_streams_one_after_the_other_are_loaded(loader: Loader) -> None:
    """The second one comes while DuckDB still needs what it keeps of the first."""
    lines = []
    for stream in ("first", "second"):
        head = schema(stream, {"id": INTEGER, "a": STRING, "b": STRING})
        lines.append(encode([head]))
        lines += [
            b'{"type":"RECORD","stream":"%b","record":{"id":%d,"a":"%b","b":"%b"}}\n'
            % (stream.encode(), n, b"%08x" % (n * 7919 % 1_000_003) * 12, b"%08x" % (n * 104_729 % 999_983) * 12)
            for n in range(110_000)
        ]
        lines.append(encode([state(stream)]))
    loader.load(b"".join(lines))
    for stream in ("first", "second"):
        assert loader.sql(f"SELECT count(*), count(DISTINCT a) FROM {stream}") == [(110_000, 110_000)]
