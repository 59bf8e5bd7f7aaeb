"""A read in batches, as its user makes it: real taps on two executors, against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Source, processes, until, while_an_executor_dies
from merchant_spark.bounds import Bounds
from merchant_spark.columns import Column, Rows, columns_of, struct_of
from merchant_spark.division import divide
from merchant_spark.errors import ReadError
from merchant_spark.options import Options
from pyspark.errors import PySparkException
from pyspark.sql.datasource import EqualTo, GreaterThan, In, IsNull, LessThan, LessThanOrEqual, Not

from merchant_sandbox.vendors.peek.api import KEYS

if TYPE_CHECKING:
    from merchant_sandbox.client import Sandbox

Make = Callable[..., Source]


@pytest.mark.parametrize(
    ("vendor", "stream", "partitions"),
    [
        ("peakium", "invoices", 1),
        ("peerassist", "fwos", 1),
        ("pegke", "points_history", 3),
        ("pegke", "offers", 1),
        ("premiumpay", "sales", 4),
    ],
)
def test_a_stream_has_the_rows_that_there_are(source: Make, vendor: str, stream: str, partitions: int) -> None:
    read = source(vendor)
    rows = read.read(stream, partitions=partitions)
    assert rows.rdd.getNumPartitions() == partitions
    assert read.texts(stream, rows.collect()) == read.truth(stream)


def test_each_connection_is_a_part(source: Make, sandbox: Sandbox) -> None:
    both = sandbox.world(switches={"peek": {"operators": 2}})
    connections = [{"name": name, "api_key": key} for name, key in KEYS.items()]
    read = source("peek", both, api_key=None, connections=connections)
    rows = read.read("bookings")
    assert rows.rdd.getNumPartitions() == 2
    assert read.texts("bookings", rows.collect()) == read.truth("bookings")


def test_a_budget_is_shared_out_and_not_multiplied(source: Make) -> None:
    read = source("premiumpay")
    assert read.read("aggregated_sales", partitions=4).count() > 1_000
    stats = read.world.stats("premiumpay")
    assert list(stats["statuses"]) == ["200"], "a call too many would be refused with 429"
    assert stats["requests"] > 150, "more than a budget"


def test_parts_share_out_pace_and_budget(source: Make) -> None:
    read = source("premiumpay", requests_per_second=10, budget_share=0.5)
    options = Options(read.options("sales", partitions=5))
    shares = [(part.settings["requests_per_second"], part.settings["budget_share"]) for part in _parts(options)]
    assert shares == [(2, 0.1)] * 5
    assert not {"budget_share", "requests_per_second"} & _parts(Options(read.options("gateways")))[0].settings.keys()


def test_an_executor_that_is_killed_costs_no_row_and_doubles_none(source: Make) -> None:
    read = source("premiumpay")
    read.world.switch("premiumpay", rate_limit=0)
    read.world.fault("premiumpay", "*", "delay", seconds=0.1, times=None)
    rows = read.read("sales", partitions=4, concurrency=1)
    found = while_an_executor_dies(read, 20, rows.collect)
    assert read.texts("sales", found) == read.truth("sales")
    assert _taps(read) > 4
    until(lambda: not processes("tap_premiumpay", "/dev/fd/"))


def test_a_part_that_is_read_twice_at_a_time_gives_its_rows_to_both(source: Make) -> None:
    """As by a speculative task, which Spark starts on another host only."""
    read = source("pegke")
    options = Options(read.options("points_history", partitions=2))
    run, parts = options.run(), _parts(options)
    both = [[run.batches(part) for part in parts] for _ in range(2)]
    for first, second in zip(*both, strict=True):
        batches = zip(first, second, strict=True)
        assert all(one.equals(other) for one, other in batches)


# Filters and columns


def test_a_filter_on_the_replication_key_saves_calls(source: Make, capsys: pytest.CaptureFixture[str]) -> None:
    read = source("premiumpay")
    middle = "_window_start >= timestamp'2025-06-01' AND _window_start < timestamp'2025-08-01'"
    wanted = read.read("sales", pushdown="true").where(middle)
    wanted.explain(extended=True)
    assert read.world.config("premiumpay")["jwt"] not in capsys.readouterr().out
    found = wanted.collect()
    calls = read.world.stats("premiumpay")["requests"]
    everything = read.read("sales")
    kept = everything.where(middle).collect()
    assert calls < (read.world.stats("premiumpay")["requests"] - calls) / 4
    assert found
    assert sorted(map(str, found)) == sorted(map(str, kept))
    assert everything.count() == len(read.world.truth("premiumpay", "sales")), "another query has other filters"


@pytest.mark.parametrize(
    ("vendor", "stream"), [("peakium", "events"), ("peakium", "invoices"), ("pegke", "user_history")]
)
def test_a_filter_leaves_out_nothing_that_spark_would_keep(source: Make, vendor: str, stream: str) -> None:
    read = source(vendor)
    options = Options(read.options(stream))
    key = str(options.stream.replication_key)
    whole = _rows(options, Bounds())
    moments = sorted({row[key] for row in whole if row[key]})
    first, last = moments[len(moments) // 3], moments[2 * len(moments) // 3]
    future = datetime(2999, 1, 1, tzinfo=UTC)
    for bounds in (
        Bounds(first, last),
        Bounds(since=last),
        Bounds(until=first),
        Bounds(since=future),
        Bounds(last, first),
    ):
        found = _rows(options, bounds)
        assert [row for row in found if row[key] and bounds.contain(row[key])] == [
            row for row in whole if row[key] and bounds.contain(row[key])
        ]
    assert len(_rows(options, Bounds(first, last))) < len(whole)


def test_start_and_end_of_the_settings_hold_beside_a_filter(source: Make) -> None:
    read = source("peakium", start_date="2026-01-01", end_date="2026-01-20")
    events, invoices = (Options(read.options(stream)) for stream in ("events", "invoices"))
    before = Bounds(until=datetime(2025, 12, 1, tzinfo=UTC))
    assert len(_rows(events, before)) == len(_rows(events, Bounds())), "what is not understood is not pushed"
    assert any(before.contain(row["_updated_at"]) for row in _rows(invoices, before)), "they do not bound these"
    late = _rows(events, Bounds(since=datetime(2026, 1, 10, tzinfo=UTC)))
    assert {(row["created"].month, row["created"].day) for row in late} <= {(1, day) for day in range(10, 20)}


def test_filters_become_bounds() -> None:
    one, two = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    at = ("created",)
    assert Bounds.of([GreaterThan(at, one), LessThan(at, two), LessThan(("other",), one)], "created") == Bounds(
        one, two
    )
    assert Bounds.of([EqualTo(at, one)], "created").contain(one)
    assert not Bounds.of([EqualTo(at, one)], "created").contain(two)
    assert Bounds.of([In(at, (two, one))], "created").contain(two)
    assert Bounds.of([LessThanOrEqual(at, one)], "created").contain(one)
    nothing = [IsNull(at), Not(EqualTo(at, one)), EqualTo(at, None), In(at, (None,)), EqualTo(("created", "x"), one)]
    nothing += [
        LessThanOrEqual(at, datetime.max.replace(tzinfo=UTC)),
        EqualTo(at, one.replace(tzinfo=None)),
        EqualTo(at, "x"),
    ]
    assert Bounds.of(nothing, "created") == Bounds()


def test_only_the_columns_that_are_wanted_come(source: Make) -> None:
    read = source("peakium")
    rows = read.read("invoices", columns="created, id")
    assert rows.columns == ["created", "id"]
    assert rows.where("created IS NOT NULL").count() == len(read.world.truth("peakium", "invoices"))


def test_nothing_is_a_frame_without_rows(source: Make) -> None:
    read = source("premiumpay")
    assert read.read("sales", pushdown="true").where("_window_start > timestamp'2999-01-01'").collect() == []


# Values


def test_values_keep_their_types_and_digits() -> None:
    schema = {
        "properties": {
            "id": {"type": "string"},
            "amount": {"type": ["string", "null"], "format": "x-singer.decimal"},
            "at": {"type": ["string", "null"], "format": "date-time"},
            "nested": {"type": ["object", "null"]},
            "either": {"type": ["integer", "string", "null"]},
        }
    }
    rows = _of(columns_of(schema, ["id"], decimals_as_text=False))
    nested = '{"b":[1,2.50],"a":null}'
    rows.add(
        b'{"type":"RECORD","record":{"id":"1","amount":"90071992547409.93","at":"2026-01-01T00:00:00.000001Z",'
        + f'"nested":{nested},"either":7}}}}'.encode()
    )
    rows.add(b'{"type":"RECORD","record":{"id":"2","either":"x","new":1}}')
    rows.add(b'{"type":"STATE","value":{}}')
    first, second = rows.batch().to_pylist()
    assert str(first["amount"]) == "90071992547409.9300000000"
    assert first["at"] == datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert (first["nested"], first["either"]) == (nested, "7")
    assert second == {"id": "2", "amount": None, "at": None, "nested": None, "either": "x"}
    assert rows.batch().num_rows == 0


def test_a_decimal_that_is_too_fine_is_told_and_can_be_read_as_text() -> None:
    schema = {"properties": {"amount": {"type": "string", "format": "x-singer.decimal"}}}
    fine = b'{"type":"RECORD","record":{"amount":"0.12345678901"}}'
    rows = _of(columns_of(schema, [], decimals_as_text=False))
    rows.add(fine)
    with pytest.raises(ReadError, match=r"^s: a value of 'amount' does not fit decimal.*option\('decimals', 'text'\)"):
        rows.batch()
    rows = _of(columns_of(schema, [], decimals_as_text=True))
    rows.add(fine)
    assert rows.batch().to_pylist() == [{"amount": "0.12345678901"}]


# What goes wrong


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vendor": "peakum"}, "option 'vendor' is not known: did you mean peakium?"),
        ({"stream": "invoice"}, "option 'stream' is not known: did you mean invoices?"),
        ({"columns": "id,amout"}, "stream 'invoices' has no column 'amout'; it has id, "),
        ({"api_key": "canary"}, "option 'api_key' is a secret, and Spark shows options"),
        ({"concurency": "2"}, "tap-peakium: exit code 2 (a setting): unknown setting 'concurency'"),
        ({"partitions": "0"}, "option 'partitions' must be a whole number above 0"),
        ({"decimals": "float"}, "option 'decimals' must be text"),
        ({"stream_maps": '{"invoices": {}}'}, "setting 'stream_maps' is not for Spark"),
        ({"config": "/no/such/file"}, "exit code 2 (a setting): --config must name a file"),
    ],
)
def test_what_is_wrong_with_the_options_is_told_in_a_line(source: Make, options: dict[str, str], told: str) -> None:
    given = {**source("peakium").options("invoices"), **options}
    with pytest.raises(ReadError) as failure:
        _ = Options(given).columns
    assert told in str(failure.value)
    assert "canary" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_wrong_credential_fails_with_the_taps_own_line_and_code(source: Make) -> None:
    read = source("peakium", api_key="sk_canary_2718")
    with pytest.raises(PySparkException) as failure:
        read.read("invoices").collect()
    assert "tap-peakium: exit code 3 (the credentials): " in str(failure.value)
    assert "api_key" in str(failure.value)
    assert "canary" not in str(failure.value)


def test_a_stream_without_credentials_is_not_an_empty_one(source: Make) -> None:
    read = source("pegke", client_id=None, client_secret=None)
    with pytest.raises(PySparkException, match="store_history cannot be read, because client_id"):
        read.read("store_history")


def test_an_api_that_fails_in_the_middle_gives_no_rows_at_all(source: Make) -> None:
    read = source("peakium", retry_max_s=0)
    read.world.fault("peakium", "/invoices", "status", status=503, after=2, times=None)
    with pytest.raises(PySparkException, match=r"tap-peakium: exit code 4 \(the API\): invoices"):
        read.read("invoices").collect()


def test_a_schema_of_ones_own_must_be_that_of_the_stream(source: Make, spark: Any) -> None:
    read = source("peakium")
    chosen = spark.read.format("merchant_taps").options(**read.options("invoices"))
    assert chosen.schema("id string, created timestamp").load().count() > 100
    with pytest.raises(PySparkException, match="column 'created' is timestamp, not string"):
        chosen.schema("created string").load().collect()


def test_readers_and_parts_show_no_secrets(source: Make) -> None:
    read = source("premiumpay", jwt="canary-jwt")
    options = Options(read.options("sales", partitions=2))
    shown = json.dumps([repr(options.run()), *map(repr, _parts(options))])
    assert "canary" not in shown


def _of(columns: list[Column]) -> Rows:
    return Rows("s", columns, struct_of(columns))


def _taps(read: Source) -> int:
    """How many taps have read: each asks for its budget once."""
    calls: int = read.world.stats("premiumpay")["routes"]["/status"]
    return calls


def _parts(options: Options) -> list[Any]:
    return divide(options, options.stream, Bounds())


def _rows(options: Options, bounds: Bounds) -> list[dict[str, Any]]:
    run = options.run()
    parts = divide(options, options.stream, bounds)
    return [row for part in parts for batch in run.batches(part) for row in batch.to_pylist()]
