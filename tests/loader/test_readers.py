"""Other engines read from a lake what the loader's own views show, value by value.

After upserts, deletions, a column that became wider, one that is new, and a compaction. Spark reads the same in
`make integrations`, in an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow.feather
import pytest
from deltalake import DeltaTable

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, OBJECT, STRING, Loader, record, schema, state
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SPARK = ROOT / ".venv-spark/bin/python"
KINDS = {
    "id": {"type": "integer", "maximum": 2**64},
    "n": INTEGER,
    "price": STRING | {"format": "x-singer.decimal", "precision": 20, "scale": 4},
    "flag": {"type": ["null", "boolean"]},
    "text": STRING,
    "meta": OBJECT,
    "at": DATE_TIME,
    "born": STRING | {"format": "date"},
    "clock": STRING | {"format": "time"},
}
"""Every kind of column that a lake has."""

KEYED = {"plain": KINDS, "parted": {**KINDS, "day": STRING | {"format": "date"}}}
"""Streams with a key; one has the property by which the lake is partitioned."""

LOG = schema("log", {"n": INTEGER}, [])
FORMATS = ("parquet", "delta")
STREAMS = (*KEYED, "log")
TABLES = [*(f"{kind}-{stream}" for kind in FORMATS for stream in STREAMS), "delta-before"]
LATEST = """
    SELECT * FROM (
      SELECT *, row_number() OVER (PARTITION BY id ORDER BY _singer_sequence DESC) AS _newest FROM ({versions})
    ) WHERE _newest = 1 AND _sdc_deleted_at IS NULL
"""
"""What the page tells readers of Parquet files to write."""

Rows = list[list[str]]


class Table(NamedTuple):
    """A table of a lake: where a reader finds it, and what the loader's view of it shows."""

    paths: list[str]
    key: str | None
    columns: list[str]
    rows: Rows


def messages(numbers: range, more: dict[str, Any] | None = None, **values: object) -> list[dict[str, Any]]:
    """The same rows for both streams with a key; their schemas may have more columns."""
    made = []
    for stream, kinds in KEYED.items():
        head = schema(stream, {**kinds, **(more or {})})
        head["schema"]["x-scopes"] = []
        made += [head, *(record(stream, **{**row(number, kinds), **values}) for number in numbers)]
    return made


def row(number: int, kinds: dict[str, Any]) -> dict[str, Any]:
    full = {
        "id": 2**64 - number,
        "n": -(2**63) + number,
        "price": f"1234567890123456.78{number:02d}",
        "flag": number % 2 == 0,
        "text": f"\u00e9 \U0001f600 '\"\n{number}",
        "meta": {"deep": [{"price": 1.10, "n": number}]},
        "at": f"2026-03-{number + 1:02d}T01:59:59.999999+02:00",
        "born": f"{1960 + number}-12-31",
        "clock": "23:59:59.5",
        "day": f"2026-03-{number % 3 + 1:02d}",
    }
    return {name: full[name] for name in kinds}


def load_some(loader: Loader, settings: dict[str, Any]) -> None:
    """Rows, then some of them changed."""
    loader.load([*messages(range(20)), LOG, record("log", n=1), state(1)], **settings)
    loader.load([*messages(range(5, 9), text="changed", price=None), LOG, record("log", n=1), state(2)], **settings)


def load_the_rest(loader: Loader, settings: dict[str, Any]) -> None:
    """Wider columns, a new one, and the end of all rows that do not come; then a compaction."""
    wider = messages(range(3, 15), {"n": NUMBER, "new": STRING}, n=0.1, new="new")
    whole: dict[str, Any] = {"bookmarks": {stream: {"_scopes_read": [{}]} for stream in KEYED}}
    loader.load([*wider, state(whole)], **settings)
    loader.ask("compact", **settings)


def shown(loader: Loader, stream: str) -> tuple[list[str], Rows]:
    """The columns and rows of the loader's view; times of day are text in a lake.

    Without `_sdc_deleted_at`, which is NULL in rows that are there, and not in all files.
    """
    with duckdb.connect(str(loader.path), read_only=True) as con:
        kinds = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE shop.{stream})").fetchall())
        kinds.pop("_sdc_deleted_at")
        asked = (f'"{name}"::VARCHAR' if kind == "TIME" else f'"{name}"' for name, kind in kinds.items())
        return list(kinds), plain(con.execute(f"SELECT {', '.join(asked)} FROM shop.{stream}").fetchall())


def plain(rows: list[tuple[Any, ...]]) -> Rows:
    """Rows in order, each value as a text that is the same wherever the value is."""
    return sorted([_text(value) for value in values] for values in rows)


def _text(value: object) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case float():
            return f"float {value!r}"
    return str(value)


def made(folder: Path, kind: str) -> dict[str, Table]:
    """The tables of a lake of one format; of Delta tables an older version, too."""
    loader, lake = Loader(folder), folder / "lake"
    settings = {"schema": "shop", "lake_path": str(lake), "table_format": kind, "lake_partition_by": "day"}
    load_some(loader, settings)
    before = {}
    if kind == "delta":
        version = DeltaTable(lake / "shop/plain").version()
        before["delta-before"] = version, shown(loader, "plain")
    load_the_rest(loader, settings)
    found = {}
    for stream in STREAMS:
        place = lake / "shop" / stream
        paths = uris(DeltaTable(place)) if kind == "delta" else [str(place)]
        key = "id" if kind == "parquet" and stream in KEYED else None
        found[f"{kind}-{stream}"] = Table(paths, key, *shown(loader, stream))
    for name, (version, rows) in before.items():
        found[name] = Table(uris(DeltaTable(lake / "shop/plain", version=version)), None, *rows)
    return found


def uris(table: DeltaTable) -> list[str]:
    """The files of one version of a table."""
    return [uri.removeprefix("file://") for uri in table.file_uris()]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    lakes = [made(tmp_path_factory.mktemp(kind), kind) for kind in FORMATS]
    return {name: table for lake in lakes for name, table in lake.items()}


def test_the_lake_has_been_through_everything(tables: dict[str, Table]) -> None:
    """What the other tests compare is not trivial."""
    assert tables.keys() == {*TABLES}
    for kind in FORMATS:
        assert [values[0] for values in tables[f"{kind}-log"].rows] == ["1", "1"]
        for stream in KEYED:
            table = tables[f"{kind}-{stream}"]
            columns = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
            assert (len(table.rows), {*columns["new"]}) == (12, {"new"})
            assert {*columns["n"]} == {"0.1"}, "whole numbers of 64 bits and fractions are text together"
    before = tables["delta-before"]
    assert len(before.rows) == 20
    assert len([values for values in before.rows if "changed" in values]) == 4


@pytest.mark.parametrize("name", TABLES)
def test_duckdb_reads_the_same_without_the_loaders_file(tables: dict[str, Table], name: str) -> None:
    table = tables[name]
    paths = table.paths if name.startswith("delta") else [f"{table.paths[0]}/**/*.parquet"]
    versions = "SELECT * FROM read_parquet(?, union_by_name = true)"
    columns = ", ".join(f'"{column}"' for column in table.columns)
    with duckdb.connect() as con:
        asked = LATEST.format(versions=versions) if table.key else versions
        found = con.execute(f"SELECT {columns} FROM ({asked})", [paths]).fetchall()
    assert plain(found) == table.rows


@pytest.fixture(scope="module")
def by_spark(tables: dict[str, Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spark")
    told = {"folder": str(folder), "tables": {name: {"paths": t.paths, "key": t.key} for name, t in tables.items()}}
    reader = ROOT / "tests/loader/spark_reader.py"
    subprocess.run([SPARK, reader], input=json.dumps(told), text=True, check=True, capture_output=True)
    return folder


@pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="only in `make integrations`")
@pytest.mark.parametrize("name", TABLES)
def test_spark_reads_the_same(tables: dict[str, Table], by_spark: Path, name: str) -> None:
    table = tables[name]
    found = pyarrow.feather.read_table(by_spark / name).select(table.columns)
    assert plain([tuple(values.values()) for values in found.to_pylist()]) == table.rows
