"""Rejected records, replaced windows, BATCH files, and a run that resumes from the loader's own state."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, NUMBER, STRING, encode, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.loader.harness import Loader

PEOPLE = schema("people", {"id": INTEGER, "name": STRING})
WINDOWS = schema("sales", {"_surrogate_key": STRING, "_window_start": DATE_TIME, "n": INTEGER}, ["_surrogate_key"])


def test_a_bad_record_is_rejected_with_its_reason_and_the_rest_is_loaded(loader: Loader) -> None:
    bad = b'{"type":"RECORD","stream":"people","record":{"id":3,"name":"\\ud83d"}}\n'
    data = (
        encode([PEOPLE, record("people", id=1, name="a"), record("people", id="x"), record("people", name="b")]) + bad
    )
    loader.load(data + encode([record("people", id=4)]), on_bad_record="reject")
    assert loader.sql("FROM people ORDER BY id") == [(1, "a"), (4, None)]
    rejected = loader.sql("SELECT reason, record FROM people__rejected")
    assert [json.loads(text) for _, text in rejected] == [{"id": "x"}, {"name": "b"}, {"id": 3, "name": "\ud83d"}]
    assert ["`id`" in rejected[0][0], "missing" in rejected[1][0], "surrogate" in rejected[2][0]] == [True] * 3
    assert loader.counts("people")["rejected"] == 3


def row(window: int, key: str, n: int, stream: str = "sales") -> dict[str, Any]:
    return record(stream, _surrogate_key=key, _window_start=f"2026-01-{window:02d}T00:00:00Z", n=n)


def test_a_window_that_is_read_again_replaces_its_rows(loader: Loader) -> None:
    loader.load([WINDOWS, row(1, "a", 1), row(1, "b", 2), row(2, "c", 3), state(1)], replace_windows=True)
    loader.load([WINDOWS, row(1, "a", 1), row(1, "b2", 2), state(2)], replace_windows=True)
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [("a",), ("b2",), ("c",)]
    assert loader.counts("sales") == {"inserted": 1, "updated": 0, "unchanged": 1, "deleted": 1, "rejected": 0}


MARKED = schema("sales", WINDOWS["schema"]["properties"] | {"_window_start": DATE_TIME | {"x-partition": []}}, ["n"])


@pytest.mark.parametrize(
    ("sales", "settings", "kept"),
    [
        (WINDOWS, {}, 2),
        (MARKED, {}, 1),
        (MARKED, {"replace_windows": True}, 1),
        (MARKED, {"replace_windows": False}, 2),
        (MARKED, {"shared": True}, 2),
    ],
)
def test_the_mark_of_windows_decides_unless_a_setting_does(
    loader: Loader, sales: dict[str, Any], settings: dict[str, Any], kept: int
) -> None:
    loader.load([sales, row(1, "a", 1), row(2, "b", 2), state(1)], **settings)
    loader.load([sales, row(1, "c", 3), read(1, 2)], **settings)
    assert loader.sql("SELECT count(*) FROM sales") == [(kept if kept == 1 else 3,)]


def test_a_window_in_several_batches_is_replaced_once(loader: Loader) -> None:
    rows = [row(1, f"k{n}", n) for n in range(25)]
    settings = {"replace_windows": True, "batch_rows": 10, "flush_interval_s": 0}
    loader.load([WINDOWS, row(1, "old", 0), state(0)], **settings)
    loader.load([WINDOWS, *rows[:10], state(1), *rows[10:], state(2)], **settings)
    assert loader.sql("SELECT count(*), count(*) FILTER (_surrogate_key = 'old') FROM sales") == [(25, 0)]


def test_windows_without_a_key_leave_no_old_copy(loader: Loader) -> None:
    keyless = WINDOWS | {"key_properties": []}
    for _ in range(2):
        loader.load([keyless, row(1, "a", 1), row(1, "a", 1), row(2, "b", 1), state(1)], replace_windows=True)
    assert loader.sql("SELECT count(*) FROM sales") == [(3,)]


def test_a_window_without_a_key_that_comes_in_two_parts_is_replaced_once(loader: Loader) -> None:
    """A value that needs another type has DuckDB load what was there before it."""
    keyless = schema("sales", {"_window_start": DATE_TIME, "n": INTEGER}, [])
    rows = [record("sales", _window_start="2026-01-01T00:00:00Z", n=n) for n in (0, 1, 2**100)]
    loader.load([keyless, rows[0], state(1)], replace_windows=True)
    loader.load([keyless, *rows[1:], state(2)], replace_windows=True)
    assert loader.sql("SELECT n::HUGEINT FROM sales ORDER BY 1") == [(1,), (2**100,)]


def by_shop(kind: dict[str, Any], partitions: Sequence[str] = ("shop",)) -> dict[str, Any]:
    """The SCHEMA of sales that are read apart for each shop."""
    windows = {"_window_start": DATE_TIME | {"x-partition": [*partitions]}}
    return schema("sales", WINDOWS["schema"]["properties"] | windows | {"shop": kind}, ["_surrogate_key"])


WITHOUT_SHOP = by_shop(STRING)
del WITHOUT_SHOP["schema"]["properties"]["shop"]


def sale(day: int, shop: object) -> dict[str, Any]:
    message = row(day, f"{shop}-{day}", 1)
    message["record"]["shop"] = shop
    return message


def test_a_partition_narrows_what_is_replaced(loader: Loader) -> None:
    shops = by_shop(STRING)
    north, south = row(1, "a", 1), row(1, "b", 1)
    north["record"]["shop"], south["record"]["shop"] = "north", "south"
    loader.load([shops, north, south, state(1)], replace_windows=True)
    changed = row(1, "c", 1)
    changed["record"]["shop"] = "south"
    loader.load([shops, changed, read(1, 1)], replace_windows=True)
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [("a",), ("c",)]


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_a_window_keeps_its_rows_until_it_is_complete(loader: Loader, *, lake: bool) -> None:
    """A row on the edge comes with the window before, perhaps long before the others, and without all columns."""
    settings = {"flush_interval_s": 0} | ({"lake_path": str(loader.folder / "lake")} if lake else {})
    shops = by_shop(STRING, [])
    loader.load([shops, *(sale(2, name) for name in "abc"), read(1, 2)], **settings)
    chosen = json.loads(json.dumps(shops))
    del chosen["schema"]["properties"]["n"]
    rows = [sale(2, name) for name in "ab"]
    for each in rows:
        del each["record"]["n"]
    loader.load([chosen, rows[0], read(1, 1)], **settings)
    assert loader.sql("SELECT count(n) FROM sales") == [(3,)]
    loader.load([chosen, rows[0], state(1), read(1, 1), rows[1], read(1, 2)], **settings)
    assert loader.sql("SELECT shop, n FROM sales ORDER BY 1") == [("a", 1), ("b", 1)]


def read(first: int, last: int, stream: str = "sales") -> dict[str, Any]:
    """A STATE that tells the windows that were read."""
    windows = {"first": f"2026-01-{first:02d}T00:00:00.000000Z", "last": f"2026-01-{last:02d}T00:00:00.000000Z"}
    return state({"bookmarks": {stream: {"_windows_read": windows}}})


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_a_window_that_became_empty_loses_its_rows(loader: Loader, *, lake: bool) -> None:
    settings: dict[str, Any] = {"replace_windows": True, "flush_interval_s": 0}
    if lake:
        settings["lake_path"] = str(loader.folder / "lake")
    loader.load([WINDOWS, *(row(day, f"k{day}", 1) for day in range(1, 8)), read(1, 7)], **settings)
    assert loader.sql("SELECT count(*) FROM sales") == [(7,)]
    loader.load([WINDOWS, row(2, "k2", 1), read(2, 2), row(5, "k5", 1), read(2, 5)], **settings)
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [("k1",), ("k2",), ("k5",), ("k6",), ("k7",)]
    assert loader.counts("sales") == {"inserted": 0, "updated": 0, "unchanged": 2, "deleted": 2, "rejected": 0}
    loader.load([WINDOWS, read(5, 6)], **settings)
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [("k1",), ("k2",), ("k7",)]


def test_no_window_counts_as_empty_where_a_record_was_rejected(loader: Loader) -> None:
    loader.load([WINDOWS, row(1, "a", 1), row(2, "b", 1), read(1, 2)], replace_windows=True)
    bad = row(1, "a", 1)
    bad["record"]["n"] = "x"
    loader.load([WINDOWS, bad, row(2, "b", 1), read(1, 2)], replace_windows=True, on_bad_record="reject")
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [("a",), ("b",)]


def test_windows_that_were_read_are_kept_where_they_are_not_to_be_replaced(loader: Loader) -> None:
    loader.load([WINDOWS, row(1, "a", 1), row(2, "b", 1), read(1, 2)])
    loader.load([WINDOWS, row(1, "a", 1), read(1, 2)])
    assert loader.sql("SELECT count(*) FROM sales") == [(2,)]


@pytest.mark.parametrize(
    "value",
    [{"bookmarks": {"sales": {"_windows_read": {"first": 1}}}}, {"bookmarks": ["_windows_read"]}, [1], "x", None],
)
def test_a_state_of_another_form_tells_of_no_windows(loader: Loader, value: object) -> None:
    loader.load([WINDOWS, row(1, "a", 1), read(1, 1)], replace_windows=True)
    assert loader.load([WINDOWS, state(value)], replace_windows=True) == [value]
    assert loader.sql("SELECT count(*) FROM sales") == [(1,)]


def test_another_stream_s_odd_bookmark_does_not_hide_what_was_read(loader: Loader) -> None:
    loader.load([WINDOWS, row(1, "a", 1), row(2, "b", 1), read(1, 2)], replace_windows=True)
    told = read(1, 2)
    told["value"]["bookmarks"] |= {"other": None, "third": "2026", "fourth": {"_windows_read": []}}
    loader.load([WINDOWS, row(1, "a", 1), told], replace_windows=True)
    assert loader.sql("SELECT _surrogate_key FROM sales") == [("a",)]


def test_windows_that_became_empty_count_only_for_partitions_that_came(loader: Loader) -> None:
    shops = by_shop(INTEGER)
    loader.load([shops, *(sale(day, shop) for day in (1, 2, 3) for shop in (1, 2)), read(1, 3)], replace_windows=True)
    loader.load([shops, sale(1, 2), read(1, 3)], replace_windows=True)
    kept = ["1-1", "1-2", "1-3", "2-1"]
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [(key,) for key in kept]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WINDOWS, WINDOWS["schema"]["properties"] | {"_window_start": STRING}),
        (by_shop(INTEGER), by_shop(STRING)["schema"]["properties"]),
        (by_shop(STRING), by_shop({})["schema"]["properties"]),
        (by_shop(STRING), by_shop(STRING, [])["schema"]["properties"]),
        (by_shop(STRING, []), by_shop(STRING)["schema"]["properties"]),
        (by_shop(STRING, ["shop", "n"]), by_shop(STRING, ["n", "shop"])["schema"]["properties"]),
    ],
    ids=["window-to-text", "partition-to-text", "partition-to-json", "unmarked", "marked", "another-order"],
)
@pytest.mark.parametrize("flush_interval_s", [0, 10])
def test_rows_stay_where_the_columns_of_windows_change_in_mid_run(
    loader: Loader, before: dict[str, Any], after: dict[str, Any], flush_interval_s: int
) -> None:
    changed = schema("sales", after, ["_surrogate_key"])
    first = row(1, "a", 1) if before is WINDOWS else sale(1, "1" if before != by_shop(INTEGER) else 1)
    second = row(1, "b", 1) if before is WINDOWS else sale(1, "2")
    key = first["record"]["_surrogate_key"]
    messages = [before, first, read(1, 1), changed, second, read(1, 3)]
    loader.load(messages, replace_windows=True, flush_interval_s=flush_interval_s)
    second_key = second["record"]["_surrogate_key"]
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [(key,), (second_key,)]


def test_windows_are_not_replaced_where_a_partition_is_missing(loader: Loader) -> None:
    loader.load([by_shop(STRING), sale(1, "north"), sale(1, "south"), read(1, 1)], replace_windows=True)
    done = loader.run([WITHOUT_SHOP, row(1, "x", 1), read(1, 2)], replace_windows=True)
    assert done.returncode == 0
    assert b"stream sales: its windows are not replaced, because it lacks `shop`" in done.stderr
    assert loader.sql("SELECT count(*) FROM sales") == [(3,)]


@pytest.mark.parametrize("between", [by_shop(STRING, []), WITHOUT_SHOP], ids=["unmarked", "missing"])
@pytest.mark.parametrize("first", [True, False])
def test_rows_stay_where_the_columns_of_windows_change_to_and_fro(
    loader: Loader, between: dict[str, Any], *, first: bool
) -> None:
    head = [by_shop(STRING), sale(1, "north"), read(1, 1)] if first else []
    middle = record("sales", _surrogate_key="south-1", _window_start="2026-01-01T00:00:00Z", n=1)
    messages = [*head, between, middle, read(1, 1), by_shop(STRING), sale(1, None), read(1, 2)]
    loader.load(messages, replace_windows=True, flush_interval_s=0)
    kept = [("None-1",), *([("north-1",)] if first else []), ("south-1",)]
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == kept


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_a_row_without_a_window_replaces_nothing(loader: Loader, *, lake: bool) -> None:
    settings: dict[str, Any] = {"lake_path": str(loader.folder / "lake")} if lake else {}
    loader.load([WINDOWS, *(record("sales", _surrogate_key=key, n=1) for key in "ab"), state(1)], **settings)
    without = record("sales", _surrogate_key="d", n=1)
    loader.load([WINDOWS, row(1, "c", 1), without, read(1, 9)], **settings, replace_windows=True)
    assert loader.sql("SELECT _surrogate_key FROM sales ORDER BY 1") == [(key,) for key in "abcd"]


def test_a_lake_knows_the_windows_of_rows_that_were_loaded_before_they_were_to_be_replaced(loader: Loader) -> None:
    lake = {"lake_path": str(loader.folder / "lake")}
    loader.load([WINDOWS, row(1, "a", 1), row(1, "b", 1), row(2, "c", 1), read(1, 2)], **lake)
    loader.load([WINDOWS, row(1, "a", 1), read(1, 2)], **lake, replace_windows=True)
    assert loader.sql("SELECT _surrogate_key FROM sales") == [("a",)]


def test_a_lake_keeps_rows_whose_partition_it_does_not_know(loader: Loader) -> None:
    lake = {"lake_path": str(loader.folder / "lake"), "replace_windows": True}
    loader.load([by_shop(STRING, []), sale(1, "north"), sale(1, "south"), read(1, 1)], **lake)
    loader.load([by_shop(STRING), sale(1, None), read(1, 1)], **lake)
    keys = "SELECT _surrogate_key FROM sales ORDER BY 1"
    assert loader.sql(keys) == [("None-1",), ("north-1",), ("south-1",)]
    loader.load([by_shop(STRING), sale(1, "north"), read(1, 1)], **lake)  # now it does
    loader.load([by_shop(STRING), sale(2, "north"), read(1, 2)], **lake)
    assert loader.sql(keys) == [("None-1",), ("north-2",), ("south-1",)]


@pytest.mark.parametrize("name", ["temp", "TEMP", "main"])
def test_windows_are_replaced_whatever_the_schema_is_called(loader: Loader, name: str) -> None:
    loader.load([WINDOWS, row(1, "a", 1), row(2, "b", 1), read(1, 2)], replace_windows=True, schema=name)
    loader.load([WINDOWS, row(1, "c", 1), read(1, 2)], replace_windows=True, schema=name)
    assert loader.sql(f'SELECT _surrogate_key FROM warehouse."{name}".sales') == [("c",)]


def batch(stream: str, *files: Path, form: str = "jsonl", compression: str = "none") -> dict[str, Any]:
    encoding = {"format": form, "compression": compression}
    return {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": [file.as_uri() for file in files]}


def test_batch_files_load_like_records_and_are_removed(loader: Loader, tmp_path: Path) -> None:
    plain, zipped = tmp_path / "a b.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_text('{"id": 1, "name": "x"}\n\n{"id": 2, "extra": 1.50}')
    zipped.write_bytes(gzip.compress(b'{"id":2,"name":"y"}\n{"id":3}\n'))
    messages = [
        PEOPLE,
        record("people", id=1, name="old"),
        batch("people", plain),
        batch("people", zipped, compression="gzip"),
    ]
    loader.load([*messages, state(1)])
    assert loader.sql("SELECT id, name, extra FROM people ORDER BY id") == [
        (1, "x", None),
        (2, "y", None),
        (3, None, None),
    ]
    assert not plain.exists()
    assert not zipped.exists()


def test_a_batch_file_stays_where_the_load_fails(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": 1}\n{"id": "x"}\n')
    line = loader.fail([PEOPLE, batch("people", file), state(1)])
    assert "`id`" in line
    assert file.exists()


def test_a_damaged_batch_file_is_named(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"id":2}\n' * 1000)[:-20])
    assert "a.jsonl.gz" in loader.fail([PEOPLE, batch("people", file, compression="gzip")])
    assert "no file" in loader.fail([PEOPLE, batch("people", tmp_path / "gone.jsonl")])


def test_parquet_batches_keep_every_value(loader: Loader, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    moment = "TIMESTAMP '2026-01-01 00:00:00' AS at"
    duckdb.execute(
        f"COPY (SELECT 1 AS id, 'x' AS name, 0.5::DOUBLE AS n, {{'a': [1, 2]}} AS extra, {moment}) TO '{file}'"
    )
    wide = schema("people", {"id": INTEGER, "name": STRING, "n": NUMBER, "at": DATE_TIME})
    loader.load([wide, batch("people", file, form="parquet"), state(1)])
    assert loader.sql('SELECT id, name, n, extra, epoch("at") FROM people') == [
        (1, "x", 0.5, '{"a":[1,2]}', 1767225600.0)
    ]
    assert not file.exists()


@pytest.mark.parametrize("value", ["1.5::DOUBLE", "'1.5'", "true", "DATE '2026-01-01'"])
def test_parquet_values_that_a_column_would_round_stop_the_load(loader: Loader, tmp_path: Path, value: str) -> None:
    file = tmp_path / "a.parquet"
    duckdb.execute(f"COPY (SELECT {value} AS id) TO '{file}'")
    assert "`id` must be BIGINT" in loader.fail([PEOPLE, batch("people", file, form="parquet")])
    assert file.exists()


def test_a_run_that_resumes_from_the_loaders_state_doubles_nothing(loader: Loader) -> None:
    log = schema("log", {"n": INTEGER}, keys=())
    rows = [record("log", n=n) for n in range(4)]
    settings = {"resume_state": True, "flush_interval_s": 0}
    assert loader.load([log, *rows[:2], state({"next": 2}), rows[2]], **settings) == [{"next": 2}]
    saved = json.loads(loader.ask("state"))
    assert saved == {"next": 2}
    assert loader.load([log, *rows[saved["next"] :], state({"next": 4})], **settings) == [{"next": 2}, {"next": 4}]
    assert loader.sql("SELECT n FROM log ORDER BY n") == [(0,), (1,), (2,), (3,)]
