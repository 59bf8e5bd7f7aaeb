"""A stream that is followed, and merged into a Delta table that must hold what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import DAY, Source, while_an_executor_dies
from deltalake import DeltaTable
from merchant_spark import DeltaMerge
from pyspark.errors import PySparkException

from merchant_sandbox.timeline import LAST_DAY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from merchant_sandbox.client import Sandbox, World

Make = Callable[..., Source]


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    """A world in which it is the day on which its data end."""
    return sandbox.world(clock_start=LAST_DAY, switches={"premiumpay": {"rate_limit": 0}})


class Follower:
    """A query that merges a stream into a table, and is started again and again."""

    def __init__(self, source: Source, stream: str, folder: Path, **options: Any) -> None:
        self.source, self.stream, self.options = source, stream, options
        self.table, self.checkpoint = str(folder / "table"), str(folder / "checkpoint")
        self.batches: list[tuple[int, int]] = []

    def go_on(self, *, crash: bool = False) -> None:
        """Follow the stream up to now, from where the checkpoint says."""
        merge = DeltaMerge(self.table)

        def sink(batch: DataFrame, number: int) -> None:
            merge(batch, number)
            self.batches.append((number, DeltaTable(self.table).version()))
            if crash:
                raise RuntimeError("the driver dies before Spark knows that the batch was merged")

        frame = self.source.follow(self.stream, **self.options)
        writer = frame.writeStream.foreachBatch(sink).option("checkpointLocation", self.checkpoint)
        writer.trigger(availableNow=True).start().awaitTermination()

    def a_day_passes(self) -> None:
        self.source.world.tick()
        self.source.world.advance(DAY)

    def check(self) -> None:
        rows = DeltaTable(self.table).to_pyarrow_table().to_pylist()
        assert self.source.texts(self.stream, rows) == self.source.truth(self.stream)


def test_a_table_is_exact_after_ticks_crashes_and_kills(source: Make, tmp_path: Path) -> None:
    """Sales have no id here: one that is refunded is another row, and its window is replaced."""
    sales = Follower(source("premiumpay", lookback_days=30), "sales", tmp_path, partitions=2)
    sales.go_on()
    sales.check()
    for _ in range(3):  # late rows come after two days
        sales.a_day_passes()
        sales.go_on()
        sales.check()
    calls = sales.source.world.stats("premiumpay")["requests"]

    sales.a_day_passes()
    with pytest.raises(PySparkException, match="the driver dies"):
        sales.go_on(crash=True)
    crashed = sales.batches[-1]
    sales.go_on()
    sales.check()
    assert sales.batches.count(crashed) == 2, "the repeated batch is recognised: the table has no new version"
    assert sales.source.world.stats("premiumpay")["requests"] - calls < calls, "only what is new is asked for"

    sales.a_day_passes()
    sales.source.world.fault("premiumpay", "*", "delay", seconds=0.1, times=None)
    while_an_executor_dies(sales.source, 10, sales.go_on)
    sales.check()


def test_a_stream_whose_records_change_is_merged_by_key(source: Make, tmp_path: Path) -> None:
    invoices = Follower(source("peakium"), "invoices", tmp_path)
    invoices.go_on()
    invoices.check()
    invoices.a_day_passes()
    invoices.go_on()
    invoices.check()


def test_customers_that_are_added_are_read_from_the_start(source: Make, tmp_path: Path) -> None:
    read = source("pegke")
    customers = read.world.config("pegke")["customers"]
    few = source("pegke", customers=customers[:20])
    history = Follower(few, "points_history", tmp_path, partitions=2)
    history.go_on()
    history.source = read
    history.a_day_passes()
    history.go_on()
    history.check()


def test_what_has_no_bookmark_cannot_be_followed(source: Make, tmp_path: Path) -> None:
    with pytest.raises(PySparkException, match="nothing marks what has changed in 'customers'"):
        Follower(source("peakium"), "customers", tmp_path).go_on()
