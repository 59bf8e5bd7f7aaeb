"""When a row was extracted, changed here, and found to be gone."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.loader.harness import DATE_TIME, INTEGER, METADATA, NUMBER, Loader, encode, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

T = schema("t", {"id": INTEGER, "v": NUMBER})
FIRST, SECOND = "2026-01-31T10:00:00.123456Z", "2026-02-01T10:00:00Z"
TIMES = "SELECT id, _sdc_extracted_at, _sdc_batched_at, _sdc_deleted_at FROM t ORDER BY id"


@pytest.fixture(params=["tables", "lake"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return {"lake_path": str(tmp_path / "lake")} if request.param == "lake" else {}


def at(time: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    return [message | {"time_extracted": time} for message in messages]


def activate(version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}


def committed(loader: Loader) -> list[datetime]:
    """When each load was committed."""
    return [time for (time,) in loader.sql("SELECT committed_at FROM _singer_loads ORDER BY 1")]


def test_a_row_keeps_its_times_until_its_values_change(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([T, *at(FIRST, *(record("t", id=n, v=n) for n in (1, 2)))], **where)
    loader.load([T, *at(SECOND, record("t", id=1, v=1), record("t", id=2, v=2.5), record("t", id=3))], **where)
    assert loader.counts("t") == {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 0, "rejected": 0}
    then, now = committed(loader)
    first, second = map(datetime.fromisoformat, (FIRST, SECOND))
    assert loader.sql(TIMES) == [(1, first, then, None), (2, second, now, None), (3, second, now, None)]
    types = {name: kind for name, kind, *_ in loader.sql("DESCRIBE t") if name in METADATA}
    assert types == dict.fromkeys(METADATA, "TIMESTAMP WITH TIME ZONE")


def test_rows_that_are_appended_have_times(loader: Loader, where: dict[str, Any]) -> None:
    log = schema("t", {"id": INTEGER}, keys=())
    loader.load([log, *at(FIRST, record("t", id=1)), *at(SECOND, record("t", id=2)), record("t", id=3)], **where)
    (now,) = committed(loader)
    first, second = map(datetime.fromisoformat, (FIRST, SECOND))
    assert loader.sql(TIMES) == [(1, first, now, None), (2, second, now, None), (3, None, now, None)]


def test_records_that_need_exact_texts_keep_their_time(loader: Loader) -> None:
    odd = schema("t", {"id": INTEGER, "price": {"type": "number", "precision": 9, "scale": 2}, "at": DATE_TIME})
    rows = [
        *at(FIRST, record("t", id=1, price=1.25)),
        *at(FIRST, record("t", id=2, at="2026-01-31t10:00:00z")),
        *at(FIRST, record("t", id=3, undeclared=1)),
        *at(FIRST, record("t", id=2**70)),
    ]
    loader.load([odd, *rows])
    times = {time for (time,) in loader.sql("SELECT _sdc_extracted_at FROM t")}
    assert times == {datetime.fromisoformat(FIRST)}


@pytest.mark.parametrize("time", ["yesterday", "", "2026-02-30T00:00:00Z", "9" * 40, "infinity", "-infinity", "epoch"])
def test_what_is_not_a_time_is_left_out(loader: Loader, time: str) -> None:
    loader.load([T, *at(time, record("t", id=1)), *at(FIRST, record("t", id=2))])
    assert loader.sql("SELECT id, _sdc_extracted_at FROM t ORDER BY id") == [
        (1, None),
        (2, datetime.fromisoformat(FIRST)),
    ]


def test_a_time_without_a_zone_is_utc(loader: Loader) -> None:
    loader.load([T, *at("2026-01-31T10:00:00", record("t", id=1)), *at("2026-01-31T10:00:00+05:45", record("t", id=2))])
    assert loader.sql("SELECT _sdc_extracted_at FROM t ORDER BY id") == [
        (datetime(2026, 1, 31, 10, tzinfo=UTC),),
        (datetime(2026, 1, 31, 4, 15, tzinfo=UTC),),
    ]


def batches(loader: Loader, first: int, second: int) -> list[dict[str, Any]]:
    """A file of lines and one of Parquet, with a row each."""
    lines, table = loader.folder / "a.jsonl", loader.folder / "b.parquet"
    lines.write_text(f'{{"id": {first}}}\n')
    duckdb.execute(f"COPY (SELECT {second}::BIGINT AS id) TO '{table}' (FORMAT parquet)")
    return [
        {"type": "BATCH", "stream": "t", "encoding": {"format": kind}, "manifest": [str(file)]}
        for kind, file in (("jsonl", lines), ("parquet", table))
    ]


@pytest.mark.parametrize("time", ["2026-01-31T10:00:00z", "2026-01-31t10:00:00Z", "2026-01-31t15:45:00.0+05:45"])
def test_a_time_may_be_written_with_small_letters(loader: Loader, time: str) -> None:
    loader.load([T, *at(time, record("t", id=1), *batches(loader, 2, 3))])
    told = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert loader.sql("SELECT id, _sdc_extracted_at FROM t ORDER BY id") == [(1, told), (2, told), (3, told)]


def test_rows_of_a_batch_have_no_time_of_extraction(loader: Loader) -> None:
    loader.load([T, *batches(loader, 1, 2)])
    (now,) = committed(loader)
    assert loader.sql(TIMES) == [(1, None, now, None), (2, None, now, None)]


@pytest.mark.parametrize("more", [{}, {"undeclared": "x"}], ids=["plain", "closer look"])
def test_what_a_batch_says_holds_for_its_rows(loader: Loader, more: dict[str, str]) -> None:
    """Its time and its version: a snapshot may come in batches."""
    table = schema("t", {"id": INTEGER})
    files = {kind: loader.folder / f"a.{kind}" for kind in ("jsonl", "gz", "parquet")}

    def sent(version: int, time: str, numbers: dict[str, int]) -> list[dict[str, Any]]:
        rows = {kind: {"id": number, **more} for kind, number in numbers.items()}
        files["jsonl"].write_text(json.dumps(rows["jsonl"]))
        files["gz"].write_bytes(gzip.compress(json.dumps(rows["gz"]).encode()))
        pq.write_table(pa.Table.from_pylist([rows["parquet"]]), files["parquet"])
        encodings = {"jsonl": {"format": "jsonl"}, "gz": {"format": "jsonl", "compression": "gzip"}}
        said = {"type": "BATCH", "stream": "t", "version": version, "time_extracted": time}
        return [
            said | {"encoding": encodings.get(kind, {"format": kind}), "manifest": [str(file)]}
            for kind, file in files.items()
        ]

    loader.load([table, *sent(1, FIRST, {"jsonl": 1, "gz": 2, "parquet": 3}), activate(1)])
    loader.load([table, *sent(2, SECOND, {"jsonl": 3, "gz": 4, "parquet": 5}), activate(2)])
    first, second = map(datetime.fromisoformat, (FIRST, SECOND))
    assert loader.sql("SELECT id, _sdc_extracted_at FROM t ORDER BY id") == [(3, first), (4, second), (5, second)]


def test_every_commit_has_a_time_later_than_the_one_before(loader: Loader) -> None:
    """Whatever the clock says: whoever has read up to a time finds what is newer."""
    loader.load([T, record("t", id=1), state(1)])
    future = datetime(2999, 1, 1, tzinfo=UTC)
    with duckdb.connect(str(loader.path)) as con:
        con.execute("UPDATE _singer_loads SET committed_at = ?", [future])
    loader.load([T, record("t", id=2), state(2), record("t", id=3), state(3)], flush_interval_s=0)
    times = [time for (time,) in loader.sql("SELECT _sdc_batched_at FROM t WHERE id > 1 ORDER BY id")]
    assert future < times[0] < times[1] < future + timedelta(seconds=1)
    assert committed(loader)[-1] >= times[1]


def test_what_is_marked_or_comes_back_has_changed(loader: Loader) -> None:
    settings = {"hard_delete": False}
    loader.load([T, *at(FIRST, *(record("t", 1, id=n) for n in (1, 2))), activate(1)], **settings)
    loader.load([T, *at(SECOND, record("t", 2, id=1)), activate(2)], **settings)
    first, second = map(datetime.fromisoformat, (FIRST, SECOND))
    then, now = committed(loader)
    assert loader.sql(TIMES) == [(1, first, then, None), (2, first, now, now)]
    loader.load([T, *at(SECOND, *(record("t", 3, id=n) for n in (1, 2))), activate(3)], **settings)
    assert loader.sql(TIMES) == [(1, first, then, None), (2, second, committed(loader)[-1], None)]


def test_a_table_of_before_gets_the_columns(loader: Loader, where: dict[str, Any]) -> None:
    rows = [record("t", id=n, v=n) for n in (1, 2)]
    loader.load([T, *rows], add_record_metadata=False, **where)
    assert [name for name, *_ in loader.sql("DESCRIBE t") if name.startswith("_sdc")] == []
    loader.load([T, *at(FIRST, *rows)], **where)
    assert loader.counts("t")["unchanged"] == 2
    seen = None if where else committed(loader)[-1]  # a lake's files stay as they are
    assert loader.sql(TIMES) == [(1, None, seen, None), (2, None, seen, None)]
    loader.load([T, *at(FIRST, record("t", id=2, v=5))], **where)
    assert loader.sql(TIMES)[1] == (2, datetime.fromisoformat(FIRST), committed(loader)[-1], None)


def test_tables_that_have_the_columns_keep_them_up_to_date(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([T, *at(FIRST, record("t", id=1, v=1))], **where)
    other = schema("other", {"id": INTEGER})
    rows = [T, *at(SECOND, record("t", id=1, v=2)), other, record("other", id=1)]
    loader.load(rows, add_record_metadata=False, **where)
    assert loader.sql(TIMES) == [(1, datetime.fromisoformat(SECOND), committed(loader)[-1], None)]
    assert [name for name, *_ in loader.sql("DESCRIBE other") if name.startswith("_sdc")] == []


def test_a_property_of_such_a_name_keeps_its_column(loader: Loader, where: dict[str, Any]) -> None:
    own = schema("t", {"id": INTEGER, "_SDC_extracted_at": INTEGER, "_sdc_batched_at": DATE_TIME})
    row = record("t", id=1, _SDC_extracted_at=5, _sdc_batched_at=SECOND)
    for _ in range(2):
        loader.load([own, *at(FIRST, row)], **where)
        assert loader.sql(f"{TIMES} ") == [(1, 5, datetime.fromisoformat(SECOND), None)]
    loader.load([T, *at(FIRST, record("t", id=1, v=1))], **where)  # the schema may leave it out later
    assert loader.sql(TIMES) == [(1, 5, datetime.fromisoformat(SECOND), None)]


def test_a_property_that_comes_later_gets_another_column(loader: Loader, where: dict[str, Any]) -> None:
    loader.load([T, *at(FIRST, record("t", id=1, v=1))], **where)
    own = schema("t", {"id": INTEGER, "_sdc_extracted_at": INTEGER})
    for _ in range(2):
        loader.load([own, *at(SECOND, record("t", id=1, _sdc_extracted_at=5))], **where)
        found = loader.sql("SELECT v, _sdc_extracted_at, _sdc_extracted_at_2 FROM t")
        assert found == [(1.0, datetime.fromisoformat(SECOND), 5)]


def test_the_times_are_no_part_of_what_is_compared_in_a_lake(loader: Loader) -> None:
    """A row that arrives again is not written again."""
    lake = loader.folder / "lake"
    for time in (FIRST, SECOND):
        loader.load(encode([T, *at(time, record("t", id=1, v=1))]), lake_path=str(lake))
    assert len(list(lake.rglob("*.parquet"))) == 1
    assert json.loads(loader.ask("inspect", "--format", "json"))["streams"][0]["unchanged"] == 1


CALLS = "SELECT stream, requests, retries, waited_seconds FROM _singer_loads ORDER BY started_at, stream"


def calls(**streams: Any) -> dict[str, Any]:
    """A STATE with what the calls have cost so far beside it."""
    return {**state({"bookmarks": {}}), "calls": streams}


def test_what_the_calls_of_a_tap_have_cost_is_kept_with_its_loads(loader: Loader) -> None:
    other = schema("u", {"id": INTEGER})
    cost = {"requests": 3, "retries": 1, "waited_s": 2.5}
    loader.load([T, record("t", id=1), calls(t=cost), record("t", id=2), other, record("u", id=1)])
    first = [("t", 3, 1, 2.5), ("u", None, None, None)]
    assert loader.sql(CALLS) == first
    loader.load([T, *(record("t", id=n) for n in range(9)), calls(t=cost), calls(t=cost | {"requests": 7}), state({})])
    assert loader.sql(CALLS) == [*first, ("t", 7, 1, 2.5)]


@pytest.mark.parametrize("told", [7, "t", {"t": 1}, {"t": {"requests": -1, "retries": 0, "waited_s": 0}}, {"u": {}}])
def test_what_another_tap_means_by_calls_is_left_alone(loader: Loader, told: Any) -> None:
    loader.load([T, record("t", id=1), {**state({"bookmarks": {}}), "calls": told}])
    assert loader.sql(CALLS) == [("t", None, None, None)]


def test_a_warehouse_that_knew_no_calls_learns_of_them(loader: Loader) -> None:
    loader.load([T, record("t", id=1), state({"n": 1})])
    with duckdb.connect(str(loader.path)) as con:
        for column in ("requests", "retries", "waited_seconds"):
            con.execute(f"ALTER TABLE _singer_loads DROP COLUMN {column}")
    loader.load([T, record("t", id=2), calls(t={"requests": 1, "retries": 0, "waited_s": 0})])
    assert loader.sql(CALLS) == [("t", None, None, None), ("t", 1, 0, 0.0)]
