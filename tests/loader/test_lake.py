"""The same guarantees in a lake of Parquet files."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import deltalake
import duckdb
import pyarrow.dataset
import pyarrow.parquet
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.loader.harness import Loader

PRICE = {"type": ["null", "string"], "format": "x-singer.decimal", "precision": 20, "scale": 4}
ORDERS = schema("orders", {"id": INTEGER, "price": PRICE, "at": DATE_TIME, "meta": OBJECT})


@pytest.fixture
def lake(loader: Loader) -> dict[str, Any]:
    return {"lake_path": str(loader.folder / "lake"), "schema": "shop"}


def files(loader: Loader, stream: str) -> list[Path]:
    return sorted((loader.folder / "lake" / "shop" / stream).rglob("*.parquet"))


def test_rows_come_back_from_files_as_they_were_sent(loader: Loader, lake: dict[str, Any]) -> None:
    row = record("orders", id=2**70, price="12345678901234.5678", at="2026-01-01T00:00:00Z", meta={"a": 1.10})
    loader.load([ORDERS, row, state(1)], **lake)
    found = loader.sql('SELECT id, price, epoch("at"), meta FROM shop.orders')
    assert found == [(2**70, Decimal("12345678901234.5678"), 1767225600.0, '{"a":1.1}')]
    assert loader.types("shop.orders")["id"] == "HUGEINT"


def test_other_engines_read_the_files(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([ORDERS, record("orders", id=1), record("orders", id=2), state(1)], **lake)
    table = pyarrow.dataset.dataset(loader.folder / "lake" / "shop" / "orders", partitioning="hive").to_table()
    assert sorted(table["id"].to_pylist()) == [1, 2]
    metadata = pyarrow.parquet.ParquetFile(files(loader, "orders")[0]).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_view_shows_the_latest_of_all_versions(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([ORDERS, *(record("orders", id=n, price="1.0") for n in range(3))], **lake)
    loader.load([ORDERS, record("orders", id=0, price="1.0"), record("orders", id=1, price="2.0")], **lake)
    assert loader.counts("orders") == {"inserted": 0, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    assert loader.sql("SELECT id, price::INT FROM shop.orders ORDER BY id") == [(0, 1), (1, 2), (2, 1)]
    versions = duckdb.execute(f"SELECT count(*) FROM '{loader.folder}/lake/shop/orders/*.parquet'").fetchall()
    assert versions == [(4,)]


def test_a_full_table_snapshot_removes_rows_from_the_view(loader: Loader, lake: dict[str, Any]) -> None:
    for keys in (["id"], []):
        stream = f"t{len(keys)}"
        head = schema(stream, {"id": INTEGER}, keys)
        activate = {"type": "ACTIVATE_VERSION", "stream": stream}
        loader.load([head, *(record(stream, 1, id=n) for n in range(4)), activate | {"version": 1}, state(1)], **lake)
        loader.load([head, *(record(stream, 2, id=n) for n in (1, 2)), activate | {"version": 2}, state(1)], **lake)
        assert loader.sql(f"SELECT id FROM shop.{stream} ORDER BY id") == [(1,), (2,)]
        loader.load([head, *(record(stream, 3, id=n) for n in (0, 1)), activate | {"version": 3}, state(1)], **lake)
        assert loader.sql(f"SELECT id FROM shop.{stream} ORDER BY id") == [(0,), (1,)]


def test_windows_are_partitioned_by_date_and_replaced(loader: Loader, lake: dict[str, Any]) -> None:
    sales = schema("sales", {"k": STRING, "_window_start": DATE_TIME}, ["k"])

    def row(day: int, key: str) -> dict[str, Any]:
        return record("sales", k=key, _window_start=f"2026-01-{day:02d}T00:00:00Z")

    loader.load([sales, row(1, "a"), row(1, "b"), row(2, "c"), state(1)], replace_windows=True, **lake)
    assert {file.parent.name for file in files(loader, "sales")} == {
        "partition_date=2026-01-01",
        "partition_date=2026-01-02",
    }
    loader.load([sales, row(1, "a"), row(1, "b2"), state(2)], replace_windows=True, **lake)
    assert loader.sql("SELECT k FROM shop.sales ORDER BY k") == [("a",), ("b2",), ("c",)]


def test_columns_evolve_across_files(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([schema("t", {"id": INTEGER, "v": INTEGER}), record("t", id=1, v=7)], **lake)
    loader.load([schema("t", {"id": INTEGER, "v": NUMBER, "w": STRING}), record("t", id=2, v=0.5, w="x")], **lake)
    assert loader.sql("SELECT id, v, w FROM shop.t ORDER BY id") == [(1, 7.0, None), (2, 0.5, "x")]


def test_all_files_have_the_same_types_after_a_column_was_widened(loader: Loader, lake: dict[str, Any]) -> None:
    kinds: list[tuple[dict[str, Any], object]] = [
        (INTEGER, 2**60 + 1),
        (NUMBER, 0.5),
        (STRING, "x"),
        (OBJECT, {"a": 1}),
    ]
    for number, (kind, value) in enumerate(kinds):
        loader.load([schema("t", {"id": INTEGER, "v": kind}), record("t", id=number, v=value), state(1)], **lake)
        found = pyarrow.dataset.dataset(loader.folder / "lake" / "shop" / "t", partitioning="hive")
        assert {pyarrow.parquet.read_schema(file) for file in found.files} == {found.schema}
        assert found.to_table()["id"].to_pylist() == list(range(number + 1))
    values = [f'"{2**60 + 1}"', '"0.5"', '"x"', '{"a":1}']
    assert [value for (value,) in loader.sql("SELECT v FROM shop.t ORDER BY id")] == values
    loader.load([schema("t", {"id": INTEGER, "v": OBJECT}), record("t", id=2**70), state(1)], **lake)
    assert loader.types("shop.t")["id"] == "HUGEINT"
    assert loader.sql("SELECT max(id) FROM shop.t") == [(2**70,)]


def test_a_row_stays_the_same_when_columns_are_added(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([ORDERS, record("orders", id=1, price="1.0"), state(1)], **lake)
    loader.load([ORDERS, record("orders", id=2, extra="x"), record("orders", id=1, price="1.0"), state(2)], **lake)
    assert loader.counts("orders") == {"inserted": 1, "updated": 0, "unchanged": 1, "deleted": 0, "rejected": 0}


def test_files_hold_only_types_that_other_engines_know(loader: Loader, lake: dict[str, Any]) -> None:
    properties = {
        "id": {"type": "integer", "maximum": 2**64},
        "n": INTEGER,
        "x": NUMBER,
        "price": PRICE,
        "flag": {"type": "boolean"},
        "text": STRING,
        "meta": OBJECT,
        "at": DATE_TIME,
        "day": STRING | {"format": "date"},
        "clock": STRING | {"format": "time"},
    }
    row = record("t", id=10**38 - 1, at="2026-01-01T00:00:00.5+01:00", day="2026-01-01", clock="23:59:59.5", flag=True)
    loader.load([schema("t", properties), row, state(1)], **lake)
    (file,) = files(loader, "t")
    assert {field.name: str(field.type) for field in pyarrow.parquet.read_schema(file)} == {
        "id": "decimal128(38, 0)",
        "n": "int64",
        "x": "double",
        "price": "decimal128(20, 4)",
        "flag": "bool",
        "text": "string",
        "meta": "string",
        "at": "timestamp[us, tz=UTC]",
        "day": "date32[day]",
        "clock": "string",
        "_sdc_extracted_at": "timestamp[us, tz=UTC]",
        "_sdc_batched_at": "timestamp[us, tz=UTC]",
        "_singer_sequence": "int64",
    }
    assert loader.sql('SELECT id, epoch("at"), clock FROM shop.t') == [
        (10**38 - 1, 1767222000.5, time(23, 59, 59, 500_000))
    ]
    loader.load([schema("t", properties), record("t", id=10**38), state(1)], **lake)
    assert loader.sql("SELECT id FROM shop.t ORDER BY length(id)") == [("9" * 38,), ("1" + "0" * 38,)]


def test_rows_that_are_gone_are_seen_where_only_partitions_are_read(loader: Loader, lake: dict[str, Any]) -> None:
    sales = schema("sales", {"k": STRING, "_window_start": DATE_TIME}, ["k"])
    rows = [record("sales", k=key, _window_start="2026-01-01T00:00:00Z") for key in "abc"]
    loader.load([sales, *rows, state(1)], replace_windows=True, **lake)
    loader.load([sales, *rows[:1], state(2)], replace_windows=True, **lake)
    folder = loader.folder / "lake" / "shop" / "sales"
    assert [path.name for path in folder.iterdir() if path.is_file()] == []
    source = f"read_parquet('{folder}/partition_date=*/*.parquet', union_by_name = true)"
    latest = f"FROM {source} QUALIFY row_number() OVER (PARTITION BY k ORDER BY _singer_sequence DESC) = 1"
    gone = duckdb.execute(f"SELECT k FROM ({latest}) WHERE _sdc_deleted_at IS NOT NULL ORDER BY k").fetchall()
    assert gone == [("b",), ("c",)]
    assert "`lake_partition_by`" in loader.fail(
        [sales | {"schema": {"properties": {"k": STRING}}}, record("sales", k="z")], **lake
    )


@pytest.mark.parametrize(
    ("name", "kind", "fits"),
    [
        ("_sdc_deleted_at", DATE_TIME, True),
        ("_sdc_deleted_at", {"type": "boolean"}, False),
        ("_SDC_Deleted_At", DATE_TIME, False),
    ],
)
def test_a_property_takes_the_mark_if_it_can(
    loader: Loader, lake: dict[str, Any], name: str, kind: dict[str, Any], *, fits: bool
) -> None:
    head = schema("t", {"id": INTEGER, name: kind})
    ends = {n: {"type": "ACTIVATE_VERSION", "stream": "t", "version": n} for n in (1, 2)}
    loader.load([head, record("t", 1, id=1), record("t", 1, id=2), ends[1], state(1)], **lake)
    second = [head, record("t", 2, id=3), ends[2], state(2)]
    done = loader.run(second, **lake)
    assert (done.returncode, b"cannot be marked" in done.stderr) == ((0, False) if fits else (5, True))
    assert loader.sql("SELECT id FROM shop.t ORDER BY id") == ([(3,)] if fits else [(1,), (2,)])


def test_a_stream_without_rows_has_a_view_too(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([ORDERS, state(1)], **lake)
    assert loader.sql("SELECT id, price FROM shop.orders") == []


@pytest.mark.parametrize("name", ["a/b", "a_b", "..", "_hidden", "x[1]*?", "Ünï %"])
def test_a_stream_has_a_folder_of_its_own_that_every_engine_looks_into(
    loader: Loader, lake: dict[str, Any], name: str
) -> None:
    loader.load([schema(name, {"id": INTEGER}), record(name, id=1), state(1)], **lake)
    loader.load([schema("a/b", {"id": INTEGER}), record("a/b", id=2), state(1)], **lake)
    assert loader.sql(f'SELECT min(id) FROM shop."{name}"') == [(1,)]
    assert {path.parent.parent.name for path in (loader.folder / "lake").rglob("*.parquet")} == {"shop"}
    assert pyarrow.dataset.dataset(loader.folder / "lake" / "shop").count_rows() == 2


@pytest.mark.parametrize("form", ["parquet", "delta"])
@pytest.mark.parametrize("name", ["x" * 256, "/" * 86], ids=["long", "encoded"])
def test_a_name_that_is_too_long_for_a_folder_is_refused_before_the_commit(
    loader: Loader, lake: dict[str, Any], form: str, name: str
) -> None:
    lake |= {"table_format": form}
    said = loader.fail([ORDERS, record("orders", id=1), schema(name, {"id": INTEGER}), record(name, id=1)], **lake)
    assert f"stream {name}: the name of its folder in the lake would have" in said
    loader.load([ORDERS, record("orders", id=2), state(2)], **lake)
    assert loader.sql("SELECT id FROM shop.orders") == [(2,)]
    loader.load([schema(name[:-1], {"id": INTEGER}), record(name[:-1], id=1), state(3)], **lake)
    done = loader.run([ORDERS, record("orders", id=3)], **lake | {"schema": name})
    assert done.returncode == 2
    assert b"setting `schema`: the name of its folder in the lake" in done.stderr


@pytest.mark.parametrize("form", ["parquet", "delta"])
@pytest.mark.parametrize(
    ("at", "micros"),
    [
        ("0001-01-01T00:00:00+01:00", -62_135_600_400_000_000),
        ("9999-12-31T23:59:59-05:00", 253_402_318_799_000_000),
    ],
)
def test_a_date_that_readers_do_not_know_is_in_no_partition(
    loader: Loader, lake: dict[str, Any], form: str, at: str, micros: int
) -> None:
    lake |= {"table_format": form, "lake_partition_by": "at"}
    loader.load([ORDERS, record("orders", id=1, at="2026-01-31T00:00:00Z"), state(1)], **lake)
    loader.load([ORDERS, record("orders", id=2, at=at), state(2)], **lake)
    loader.load([ORDERS, record("orders", id=3, at="9999-12-31T23:59:59.999999Z"), state(3)], **lake)
    assert loader.sql('SELECT id, epoch_us("at") FROM shop.orders WHERE id = 2') == [(2, micros)]
    dates = [file.parent.name.removeprefix("partition_date=") for file in files(loader, "orders")]
    assert dates == ["2026-01-31", "9999-12-31", "__HIVE_DEFAULT_PARTITION__"]
    if form == "delta":
        read = deltalake.DeltaTable(loader.folder / "lake" / "shop" / "orders")
        listed = read.to_pyarrow_table(columns=["id", "partition_date"]).to_pylist()
        found = {row["id"]: row["partition_date"] for row in listed}
        assert found == {1: date(2026, 1, 31), 2: None, 3: date(9999, 12, 31)}
    loader.load([ORDERS, record("orders", id=2, at="2026-02-01T00:00:00Z"), state(4)], **lake)
    assert loader.sql("SELECT id FROM shop.orders WHERE \"at\" < '2026-02-02' ORDER BY id") == [(1,), (2,)]


def test_l7_files_are_on_the_disk_before_the_commit_that_lists_them(loader: Loader, lake: dict[str, Any]) -> None:
    """A power cut takes what the system has not written yet; what it is asked to write is told here."""
    code = "import os, runpy, sys\nreal = os.fsync\ndef sync(file):\n"
    code += "    sys.stderr.write('synced ' + os.readlink(f'/proc/self/fd/{file}') + '\\n')\n    real(file)\n"
    code += "os.fsync = sync\nrunpy.run_module('target_duckhouse', run_name='__main__', alter_sys=True)"
    rows = [ORDERS, record("orders", id=1, price="1.0"), state(1)]
    command = [sys.executable, "-c", code, *loader.command(**lake)[3:]]
    done = subprocess.run(command, input=encode(rows), capture_output=True, check=True, text=False)
    synced = [line.rpartition("/")[2] for line in done.stderr.decode().splitlines() if line.startswith("synced ")]
    assert synced == [file.name for file in files(loader, "orders")]
    assert len(synced) == 1


def test_a_failed_load_leaves_no_file(loader: Loader, lake: dict[str, Any]) -> None:
    loader.fail([ORDERS, *(record("orders", id=n) for n in range(50)), record("orders", id="x")], batch_rows=10, **lake)
    loader.load([], **lake)
    assert [path for path in (loader.folder / "lake").rglob("*") if path.is_file()] == []


def test_a_run_killed_after_the_commit_is_finished_by_the_next(loader: Loader, lake: dict[str, Any]) -> None:
    data = encode([ORDERS, record("orders", id=1), state({"n": 1})])
    killed = [sys.executable, "-c", KILLED, *loader.command(**lake)[2:]]
    done = subprocess.run(killed, input=data, capture_output=True, check=False)
    assert done.returncode == -9
    assert done.stdout == b""
    assert files(loader, "orders") == []
    assert json.loads(loader.ask("state", **lake)) == {"n": 1}
    loader.load([ORDERS, state({"n": 1})], **lake)
    assert loader.sql("SELECT id FROM shop.orders") == [(1,)]
    loader.load([ORDERS, record("orders", id=2)], **lake)
    assert loader.sql("SELECT id FROM shop.orders ORDER BY id") == [(1,), (2,)]


def test_tables_and_lakes_do_not_mix_in_one_schema(loader: Loader, lake: dict[str, Any]) -> None:
    loader.load([ORDERS], schema="shop")
    assert "`lake_path`" in loader.fail([ORDERS], **lake)


KILLED = """
import os, runpy, signal, sys
from target_duckhouse.warehouse import database
durable = database.make_durable
database.make_durable = lambda con: (durable(con), os.kill(os.getpid(), signal.SIGKILL))
sys.argv = sys.argv[1:]
runpy.run_module("target_duckhouse", run_name="__main__", alter_sys=True)
"""
