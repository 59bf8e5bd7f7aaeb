"""What Spark calls: ``spark.read.format("merchant_taps")``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, DataSourceReader, Filter, InputPartition

from merchant_spark.bounds import Bounds
from merchant_spark.columns import struct_of
from merchant_spark.division import divide
from merchant_spark.options import Options
from merchant_spark.run import Part
from merchant_spark.stream import MicroBatches

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

__all__ = ["MerchantTaps", "register"]

_PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


class MerchantTaps(DataSource):
    """Streams of the five vendors.

    Example:
        >>> register(spark)
        >>> bookings = (
        ...     spark.read.format("merchant_taps")
        ...     .option("vendor", "peek")
        ...     .option("stream", "bookings")
        ...     .option("config", "peek.json")
        ...     .load()
        ... )
    """

    @classmethod
    def name(cls) -> str:
        """What stands in ``format``."""
        return "merchant_taps"

    def schema(self) -> StructType:
        """The columns of the stream, as the tap's catalog has them."""
        return struct_of(Options(self.options).columns)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Reads once."""
        options = Options(self.options)
        return (Filtered if options.pushdown else Once)(options, schema)

    def streamReader(self, schema: StructType) -> MicroBatches:  # noqa: N802  Spark's name
        """Reads again and again."""
        return MicroBatches(Options(self.options), schema)


def register(spark: SparkSession) -> None:
    """Make the source known to a session, in which filters may reach the taps."""
    spark.conf.set(_PUSHDOWN, value=True)
    spark.dataSource.register(MerchantTaps)


class Once(DataSourceReader):
    """Reads a stream once, part by part.

    Args:
        options: The options of the read.
        schema: What Spark asks for.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        self._options = options
        self._run = options.run(schema)
        self._bounds = Bounds()

    def __getstate__(self) -> dict[str, Any]:
        """What goes to the executors: what is needed to read a part, and not what divides the stream."""
        return {"_run": self._run}

    def partitions(self) -> list[InputPartition]:
        """The parts of the stream. No call of the API is made for it."""
        return [*divide(self._options, self._options.stream, self._bounds)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read a part; Spark makes up one of its own where there is none."""
        return self._run.batches(partition) if isinstance(partition, Part) else iter(())


class Filtered(Once):
    """Reads a stream once, and only what filters ask for.

    Spark 4.3 keeps one plan for a frame: what the filters of one query leave out is missing in all others.
    """

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802  Spark's name
        """Take note of what filters say about the replication key; Spark applies all of them again."""
        if key := self._options.stream.replication_key:
            self._bounds = Bounds.of(filters, key)
        return filters
