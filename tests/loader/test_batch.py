"""BATCH files: which file is read and removed, and the rules that hold for the rows of Parquet files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, STRING, Loader, encode, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Callable

T = schema("t", {"id": INTEGER, "v": STRING})


def batch(*manifest: str, form: str = "jsonl", stream: str = "t") -> dict[str, Any]:
    return {"type": "BATCH", "stream": stream, "encoding": {"format": form}, "manifest": [*manifest]}


def write(path: Path, form: str, number: int) -> None:
    if form == "jsonl":
        path.write_text(json.dumps({"id": number, "v": path.name}) + "\n")
    else:
        pq.write_table(pa.table({"id": [number], "v": [path.name]}), path)


NAMES = ["x#y", "x?y", "x%41", "x*", "[x]", "x y", "x+y&z=1", "s3:x", "ü'\"", "x\\*", "?a=b"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_path_is_a_path_and_no_other_file_is_touched(loader: Loader, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "k=1 [é] 100%"
    folder.mkdir()
    others = [folder / name for name in ("x", "xA", "xy", "x1y", "xx", "x z", "a")]
    for number, path in enumerate([*others, *(folder / name for name in NAMES)]):
        write(path, form, number)
    loader.load([T, *(batch(str(folder / name), form=form) for name in NAMES), state(1)])
    assert loader.sql("SELECT v FROM t ORDER BY id") == [(name,) for name in NAMES]
    assert sorted(folder.iterdir()) == sorted(others)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("prefix", ["file://", "FILE://localhost", "file://LocalHost"])
def test_only_file_addresses_are_parsed(loader: Loader, tmp_path: Path, form: str, prefix: str) -> None:
    encoded, raw = tmp_path / "a b%20c", tmp_path / "50%25#?"
    for number, path in enumerate((encoded, raw)):
        write(path, form, number)
    loader.load([T, batch(prefix + encoded.as_uri().removeprefix("file://"), prefix + str(raw), form=form), state(1)])
    assert loader.sql("SELECT v FROM t ORDER BY id") == [("a b%20c",), ("50%25#?",)]
    assert [path.exists() for path in (encoded, raw)] == [False, False]


def test_a_relative_path_is_one_too(loader: Loader, tmp_path: Path) -> None:
    write(tmp_path / "x%41", "jsonl", 1)
    done = subprocess.run(
        loader.command(), input=encode([T, batch("x%41")]), capture_output=True, cwd=tmp_path, check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert loader.sql("FROM t") == [(1, "x%41")]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("s3://bucket/a.jsonl", "s3://"),
        ("file://server/share/a.jsonl", "server"),
        ("file:///no/such%20file", "no file"),
        ("/no/such\0file", "no file"),
        ("", "no file"),
        (".", "no file"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(loader: Loader, address: str, words: str) -> None:
    error = loader.fail([T, batch(address)])
    assert "line 2: BATCH of stream t" in error
    assert words in error


def test_a_batch_without_a_manifest_is_refused(loader: Loader) -> None:
    misspelt = {"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifests": ["rows.jsonl"]}
    assert "has no `manifest`" in loader.fail([T, misspelt, state(1)])


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("messages", [1, 2])
def test_a_file_that_is_named_twice_is_refused(loader: Loader, tmp_path: Path, messages: int, form: str) -> None:
    path = tmp_path / "a"
    write(path, form, 1)
    addresses = [str(path), f"file://{path}"]
    told = [batch(*addresses, form=form)] if messages == 1 else [batch(each, form=form) for each in addresses]
    error = loader.fail([T | {"key_properties": []}, *told, state(1)])
    assert f"{path} is named for the second time" in error
    assert path.exists()


def test_an_address_that_may_mean_two_files_is_refused(loader: Loader, tmp_path: Path) -> None:
    for name in ("x%41", "xA"):
        write(tmp_path / name, "jsonl", 1)
    assert "either" in loader.fail([T, batch(f"file://{tmp_path}/x%41")])
    assert len(list(tmp_path.glob("x*"))) == 2


def load_and_change(loader: Loader, path: Path, change: Callable[[], object]) -> tuple[int, str]:
    """Load a file that changes after it was read, and before it is committed; returns the code and what is said."""
    target = subprocess.Popen(
        loader.command(on_bad_record="reject"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert target.stdin
    assert target.stderr
    target.stdin.write(encode([T | {"key_properties": []}, batch(str(path)), record("t", id="x")]))
    target.stdin.flush()
    assert any(b"rejected" in line for line in iter(target.stderr.readline, b""))
    change()
    _, errors = target.communicate(encode([state(1)]))
    return target.returncode, errors.decode()


def test_a_file_that_has_been_replaced_since_it_was_read_is_not_removed(loader: Loader, tmp_path: Path) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "other.jsonl"
    write(path, "jsonl", 1)
    write(other, "jsonl", 22)
    code, said = load_and_change(loader, path, lambda: other.replace(path))
    assert (code, "has changed since it was read" in said) == (0, True)
    assert (loader.sql("SELECT id FROM t"), path.exists()) == ([(1,)], True)


def test_a_file_that_is_written_to_since_it_was_read_stops_the_load(loader: Loader, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, "jsonl", 1)
    code, said = load_and_change(loader, path, lambda: write(path, "jsonl", 22))
    assert (code, path.exists()) == (5, True)
    assert f"batch file {path} was written to" in said
    loader.load([T, batch(str(path)), state(1)])
    assert loader.sql("SELECT id FROM t") == [(22,)]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_neither_folders_nor_endings_mean_anything(tmp_path: Path, form: str) -> None:
    """To DuckDB, ``id=5`` would be the value of a column, and ``.gz`` the form of the content."""
    folder = tmp_path / "id=5"
    folder.mkdir()
    loader = Loader(folder)
    paths = [folder / f"a.{form}.gz", folder / f"b.{form}.zst"]
    for number, path in enumerate(paths):
        write(path, form, number)
    one = record("t", id=7, v="c") | {"record": {"id": 7, "v": "c", "any": {"n": 1.50}}}
    loader.load([schema("t", {"id": INTEGER, "v": STRING, "any": {}}), *(batch(str(p), form=form) for p in paths), one])
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(0,), (1,), (7,)]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_link_leads_to_the_file_wherever_it_is(loader: Loader, tmp_path: Path, form: str) -> None:
    write(tmp_path / "read", form, 1)
    (tmp_path / "link").symlink_to("read")
    loader.load([T, batch(str(tmp_path / "link"), form=form), state(1)])
    assert loader.sql("SELECT id FROM t") == [(1,)]
    assert [path.name for path in tmp_path.iterdir() if path.name in {"read", "link"}] == ["read"]


LIMITED = """
import os, resource, runpy, sys
size = os.path.getsize(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""


def test_a_file_is_there_until_its_rows_are_committed(loader: Loader, tmp_path: Path) -> None:
    """At first, the warehouse has no room for them."""

    def rows(first: int, last: int) -> list[dict[str, Any]]:
        return [{"id": n, "v": os.urandom(500).hex()} for n in range(first, last)]

    loader.load([T, *(record("t", **row) for row in rows(0, 3000)), state(1)])
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(3000, 4000)))
    messages = encode([T, batch(str(path)), state(2)])
    command = [sys.executable, "-c", LIMITED, str(loader.path), *loader.command()[3:]]
    done = subprocess.run(command, input=messages, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (5, b""), done.stderr.decode()
    assert path.exists()
    loader.load(messages)
    assert loader.sql("SELECT count(*) FROM t") == [(4000,)]
    assert not path.exists()


def test_what_is_removed_is_what_was_read(loader: Loader, tmp_path: Path) -> None:
    read, link = tmp_path / "read.jsonl", tmp_path / "link.jsonl"
    write(read, "jsonl", 1)
    link.symlink_to(read)
    loader.load([T, batch(str(link)), state(1)])
    assert read.exists()
    assert not link.is_symlink()


def test_blank_lines_are_skipped_and_counted(loader: Loader, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n   \n{"id": 1}\r\n\t\r\n\n  {"id": 2}  \n \n{"id": "x"}\n\n')
    done = loader.run([T, batch(str(path)), state(1)], on_bad_record="reject")
    assert done.returncode == 0, done.stderr.decode()
    assert loader.sql("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    assert b"line 8" in done.stderr


WIDE = schema(
    "t",
    {
        "id": INTEGER,
        "n": INTEGER,
        "x": NUMBER,
        "flag": {"type": ["null", "boolean"]},
        "text": STRING,
        "at": DATE_TIME,
        "day": STRING | {"format": "date"},
        "clock": STRING | {"format": "time"},
        "price": {"type": ["null", "number"], "precision": 10, "scale": 2},
        "meta": OBJECT,
        "big": {"type": ["null", "integer"], "maximum": 2**70},
    },
)
ODD: dict[str, tuple[str, object]] = {
    "null-key": ("NULL::BIGINT AS id", "`id`"),
    "missing-key": ("1 AS other", "`id`"),
    "nan": ("1 AS id, 'NaN'::DOUBLE AS x", "`x` holds NaN"),
    "infinity": ("1 AS id, '-Infinity'::FLOAT AS x", "`x` holds NaN or Infinity"),
    "nan-inside": ("1 AS id, {'a': [1.5::DOUBLE, 'NaN']} AS meta", "`meta` holds NaN"),
    "nan-in-text": ("1 AS id, '{\"a\": NaN}' AS meta", "`meta` holds NaN"),
    "fraction": ("1 AS id, 1.5::DOUBLE AS n", "`n` must be BIGINT: got 1.5"),
    "number-as-text": ("1 AS id, '15' AS n", "`n` must be BIGINT"),
    "text-as-time": ("1 AS id, 'yesterday' AS at", "`at` must be TIMESTAMPTZ"),
    "infinite-time": ("1 AS id, 'infinity'::TIMESTAMP AS at", "`at` must be TIMESTAMPTZ"),
    "infinite-day": ("1 AS id, '-infinity'::DATE AS day", "`day` must be DATE"),
    "too-fine": ("1 AS id, TIMESTAMP_NS '2026-01-01 00:00:00.123456789' AS at", "finer than a microsecond"),
    "too-fine-in-utc": (
        "1 AS id, TIMESTAMPTZ_NS '2026-01-01 00:00:00.12345678+00' AS at",
        "TZ, finer than a microsecond",
    ),
    "too-fine-clock": ("1 AS id, TIME_NS '12:00:00.123456789' AS clock", "must be TIME, finer than a microsecond"),
    "infinite-in-utc": ("1 AS id, TIMESTAMPTZ_NS '-infinity' AS at", "`at` must be TIMESTAMPTZ"),
    "scale": ("1 AS id, 1.234::DECIMAL(10,3) AS price", "`price` must be DECIMAL(10,2)"),
    "bool": ("1 AS id, true AS n", "`n` must be BIGINT"),
    "number-for-text": ("1 AS id, 5 AS text", "`text` must be VARCHAR"),
    "wide-number": ("1 AS id, 2::HUGEINT ** 100 AS x", ""),
}


def parquet(tmp_path: Path, select: str) -> Path:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"SET TimeZone = 'UTC'; COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize("case", [case for case in ODD if ODD[case][1]])
def test_bad_values_in_parquet_stop_the_load_or_are_rejected(loader: Loader, tmp_path: Path, case: str) -> None:
    select, words = ODD[case]
    good = ", ".join(f"NULL AS {name}" for name in WIDE["schema"]["properties"] if name != "id")
    path = parquet(tmp_path, f"SELECT 7 AS id, {good} UNION ALL BY NAME SELECT {select}")
    error = loader.fail([WIDE, batch(str(path), form="parquet"), state(1)])
    assert str(words) in error
    assert f"batch file {path}: line 2: stream t" in error
    assert path.exists()
    loader.load([WIDE, batch(str(path), form="parquet"), state(1)], on_bad_record="reject")
    assert loader.sql("SELECT id FROM t") == [(7,)]
    assert str(words) in loader.sql("SELECT reason FROM t__rejected")[0][0]
    assert loader.counts("t") == {"inserted": 1, "updated": 0, "unchanged": 0, "deleted": 0, "rejected": 1}


VALUES = (
    "1 AS id, 2::TINYINT AS n, 0.1::FLOAT AS x, true AS flag, 'a\"b\\c,é' || chr(10) AS text, "
    "TIMESTAMP '2026-01-01 00:00:00.123456' AS \"at\", DATE '2026-01-31' AS day, TIME '12:00:00.5' AS clock, "
    "1.10::DECIMAL(10,2) AS price, {'a': [1, 2], 'b': 'x'} AS meta, 3::UBIGINT AS big"
)


@pytest.mark.parametrize("more", ["", "7.0::DOUBLE AS n", "NULL::VARCHAR AS n", '\'{"a":\n[1,2],"b":"x"}\' AS meta'])
def test_parquet_values_are_the_same_whether_or_not_they_need_a_closer_look(
    loader: Loader, tmp_path: Path, more: str
) -> None:
    changed = more.rpartition(" ")[2]
    values = ", ".join(part for part in (VALUES if not more else f"* REPLACE ({more}) FROM (SELECT {VALUES})",))
    path = parquet(tmp_path, f"SELECT {values}")
    loader.load([WIDE, batch(str(path), form="parquet"), state(1)])
    (row,) = loader.sql(
        'SELECT * REPLACE (epoch_us("at") AS "at", price::VARCHAR AS price, clock::VARCHAR AS clock) FROM t'
    )
    found = dict(zip(WIDE["schema"]["properties"], row, strict=True))
    assert found["text"] == 'a"b\\c,é\n'
    assert found["x"] == pytest.approx(0.1)
    assert found["at"] == 1767225600123456
    assert (str(found["day"]), found["clock"], found["price"]) == ("2026-01-31", "12:00:00.5", "1.10")
    assert json.loads(found["meta"]) == {"a": [1, 2], "b": "x"}
    assert (found["flag"], found["big"], found["n"] if changed != "n" else 2) == (True, 3, 2)


def test_parquet_names_that_differ_only_in_case_are_properties_of_their_own(loader: Loader, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.Table.from_arrays(
        [pa.array([1]), pa.array(["A"]), pa.array(["a"]), pa.array([{"b": {"c": 1}, "d": [2]}]), pa.array(["1"])],
        names=["id", "Email", "email", "nested", "email_1"],
    )
    pq.write_table(table, path)
    head = schema("t", {"email": STRING, "Email": STRING, "id": INTEGER, "email_1": STRING})
    loader.load([head, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("SELECT id, email, Email_2, email_1 FROM t") == [(1, "a", "A", "1")]
    assert json.loads(loader.sql("SELECT nested FROM t")[0][0]) == {"b": {"c": 1}, "d": [2]}


def test_large_numbers_in_parquet_widen_their_column(loader: Loader, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 18446744073709551615::UBIGINT AS id, 9007199254740993 AS x")
    loader.load([WIDE, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("SELECT id, x FROM t") == [(2**64 - 1, "9007199254740993")]


def test_a_key_that_comes_twice_in_a_parquet_file_is_one_row(loader: Loader, tmp_path: Path) -> None:
    for _ in range(2):
        path = parquet(tmp_path, "SELECT i % 3 AS id, 'v' || i AS v FROM range(9) t(i)")
        loader.load([T, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("FROM t ORDER BY id") == [(0, "v6"), (1, "v7"), (2, "v8")]
    assert loader.counts("t") == {"inserted": 0, "updated": 0, "unchanged": 3, "deleted": 0, "rejected": 0}


def test_a_damaged_parquet_file_is_named(loader: Loader, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS id")
    path.write_bytes(path.read_bytes()[:50])
    assert f"batch file {path} cannot be read" in loader.fail([T, batch(str(path), form="parquet")])


def test_parquet_columns_that_the_schema_lacks_are_added_if_they_hold_something(loader: Loader, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS id, 'x' AS more, NULL::INT AS empty, '007' AS code")
    loader.load([T, record("t", id=2, v="y"), batch(str(path), form="parquet"), state(1)])
    assert list(loader.types("t")) == ["id", "v", "more", "code"]
    assert loader.sql("SELECT id, more->>'$', code->>'$' FROM t ORDER BY id") == [(1, "x", "007"), (2, None, None)]


def test_a_parquet_file_of_many_columns_loads(loader: Loader, tmp_path: Path) -> None:
    columns = {f"c{n}": NUMBER for n in range(1500)}
    values = ", ".join(f"{n} + 0.5::DOUBLE AS c{n}" for n in range(1500))
    for number, more in enumerate(("", ", 7.0::DOUBLE AS id")):
        path = parquet(tmp_path, f"SELECT {values}{more or ', 1 AS id'}")
        loader.load([schema("t", {"id": INTEGER, **columns}), batch(str(path), form="parquet"), state(number)])
    assert loader.sql("SELECT id, c0, c1499 FROM t ORDER BY id") == [(1, 0.5, 1499.5), (7, 0.5, 1499.5)]


LONG = Decimal("1234567890123456789.1234567890")
ROUNDED: dict[str, tuple[object, pa.DataType, dict[str, Any]]] = {
    "integer": (9007199254740993, pa.decimal256(45, 0), INTEGER),
    "number": (LONG, pa.decimal256(50, 10), NUMBER),
    "decimal": (LONG, pa.decimal256(50, 10), STRING | {"format": "x-singer.decimal"}),
    "text": (LONG, pa.decimal256(50, 10), STRING),
    "json": (LONG, pa.decimal256(50, 10), {}),
    "list": ([LONG], pa.list_(pa.decimal256(50, 10)), {}),
    "map": ([("a", LONG)], pa.map_(pa.string(), pa.decimal256(50, 10)), {}),
    "struct": ([{"a": {"b": LONG}}], pa.list_(pa.struct({"a": pa.struct({"b": pa.decimal256(50, 10)})})), {}),
}


def load_value(loader: Loader, path: Path, value: object, kind: pa.DataType, declared: dict[str, Any]) -> str:
    """Load a file of one value, which must not load, though records may be rejected; returns the line that says why."""
    pq.write_table(pa.table({"id": [1], "v": pa.array([value], kind)}), path)
    head = schema("t", {"id": INTEGER, **({"v": declared} if declared else {})})
    error = loader.fail([head, batch(str(path), form="parquet"), state(1)], on_bad_record="reject")
    assert path.exists()
    return error


@pytest.mark.parametrize("case", ROUNDED)
def test_decimals_that_duckdb_rounds_are_refused(loader: Loader, tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.parquet"
    error = load_value(loader, path, *ROUNDED[case])
    assert f"batch file {path}: stream t: property `v` has decimals of more than 38 digits" in error
    assert "write them as text, or with at most 38 digits" in error


@pytest.mark.parametrize("kind", [pa.decimal128(38, 10), pa.string()])
def test_decimals_load_exactly_with_38_digits_or_as_text(loader: Loader, tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    inside = pa.list_(kind) if pa.types.is_decimal(kind) else kind
    document = [LONG] if pa.types.is_decimal(kind) else f"[{LONG}]"
    value = LONG if pa.types.is_decimal(kind) else str(LONG)
    unused = pa.array([None], pa.decimal256(50, 10))
    columns = {"id": [1], "v": pa.array([value], kind), "j": pa.array([document], inside), "unused": unused}
    pq.write_table(pa.table(columns), path)
    head = schema("t", {"id": INTEGER, "v": STRING | {"format": "x-singer.decimal"}, "j": {}, "unused": NUMBER})
    loader.load([head, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("SELECT v, j::VARCHAR, unused FROM t") == [(LONG, f"[{LONG}]", None)]


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", None])
def test_times_with_nanoseconds_load_as_those_with_microseconds(
    loader: Loader, tmp_path: Path, unit: str, zone: str | None
) -> None:
    path = tmp_path / "a.parquet"
    moments = [1767225600123456, 1767225600000000, -1, None]
    values = pa.array([n and n * (1000 if unit == "ns" else 1) for n in moments], pa.timestamp(unit, zone))
    pq.write_table(pa.table({"id": range(4), "at": values, "text": values, "any": values}), path)
    head = schema("t", {"id": INTEGER, "at": DATE_TIME, "text": STRING, "any": {}})
    loader.load([head, batch(str(path), form="parquet"), state(1)])
    texts = ["2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", None]
    found = loader.sql('SELECT epoch_us("at"), text, "any"->>\'$\' FROM t ORDER BY id')
    assert found == list(zip(moments, texts, texts, strict=True))


def test_texts_keep_the_nanoseconds_of_times(loader: Loader, tmp_path: Path) -> None:
    path = parquet(tmp_path, "SELECT 1 AS id, TIMESTAMPTZ_NS '2026-01-01 00:00:00.123456780+00' AS v")
    loader.load([T, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("SELECT v FROM t") == [("2026-01-01T00:00:00.12345678Z",)]


NS = pa.timestamp("ns")
INT96: dict[str, tuple[Callable[[int], object], pa.DataType, dict[str, Any], str]] = {
    "time": (lambda time: time, NS, DATE_TIME, "2026-01-01 00:00:00.123456+00"),
    "text": (lambda time: time, NS, STRING, "2026-01-01T00:00:00.123456Z"),
    "list": (lambda time: [None, time], pa.list_(NS), {}, '[null,"2026-01-01 00:00:00.123456"]'),
    "struct": (lambda time: [{"a": time}], pa.list_(pa.struct({"a": NS})), {}, '[{"a":"2026-01-01 00:00:00.123456"}]'),
}


@pytest.mark.parametrize("case", INT96)
def test_old_times_load_unless_duckdb_would_cut_them_off(loader: Loader, tmp_path: Path, case: str) -> None:
    make, kind, declared, wanted = INT96[case]
    path = tmp_path / "a.parquet"

    def write_time(nanoseconds: int) -> None:
        values = pa.array([None, make(1767225600123456000 + nanoseconds)], kind)
        pq.write_table(pa.table({"id": [1, 2], "v": values}), path, use_deprecated_int96_timestamps=True)

    messages = [schema("t", {"id": INTEGER, "v": declared}), batch(str(path), form="parquet"), state(1)]
    write_time(780)
    error = loader.fail(messages, on_bad_record="reject")
    assert f"batch file {path}: stream t: property `v` has times finer than a microsecond as INT96" in error
    write_time(0)
    loader.load(messages)
    assert loader.sql("SELECT v::VARCHAR FROM t ORDER BY id") == [(None,), (wanted,)]


@pytest.mark.parametrize("inside", [False, True])
def test_times_of_day_that_duckdb_cuts_off_are_refused(loader: Loader, tmp_path: Path, *, inside: bool) -> None:
    path = tmp_path / "a.parquet"
    values = pa.array([[1] if inside else 1], pa.list_(pa.time64("ns")) if inside else pa.time64("ns"))
    pq.write_table(pa.table({"id": [1], "v": values}), path, write_time_adjusted_to_utc=True)
    error = loader.fail([schema("t", {"id": INTEGER, "v": {}}), batch(str(path), form="parquet"), state(1)])
    assert "stream t: property `v` has times of day in UTC with nanoseconds, which DuckDB cuts off" in error


@pytest.mark.parametrize("names", [("a", "A"), ("É", "é"), ("a", "A_1"), ("key", "value")])
@pytest.mark.parametrize("as_text", [False, True])
def test_members_that_duckdb_cannot_tell_apart_are_refused(
    loader: Loader, tmp_path: Path, names: tuple[str, str], *, as_text: bool
) -> None:
    path = tmp_path / "a.parquet"
    document = [{"s": dict(zip(names, (1, 2), strict=True))}]
    values = pa.array([json.dumps(document) if as_text else document])
    pq.write_table(pa.table({"id": [1], "v": values}), path)
    messages = [schema("t", {"id": INTEGER, "v": {"type": "array"}}), batch(str(path), form="parquet"), state(1)]
    if names == ("a", "A") and not as_text:
        error = loader.fail(messages)
        assert f"batch file {path}: stream t: property `v` has members `a` and `A`, which DuckDB cannot tell" in error
    else:
        loader.load(messages)
        assert json.loads(loader.sql("SELECT v FROM t")[0][0]) == document


def test_times_of_day_in_utc_load(loader: Loader, tmp_path: Path) -> None:
    path, noon = tmp_path / "a.parquet", time(12, 0, 0, 500_000)
    rows = pa.table({"id": [1], "v": pa.array([noon], pa.time64("us")), "text": pa.array([noon], pa.time64("us"))})
    pq.write_table(rows, path, write_time_adjusted_to_utc=True)
    head = schema("t", {"id": INTEGER, "v": STRING | {"format": "time"}, "text": STRING})
    loader.load([head, batch(str(path), form="parquet"), state(1)])
    assert loader.sql("SELECT v, text FROM t") == [(noon, "12:00:00.5+00:00")]
