"""The streams of merchant-taps as a data source of Apache Spark.

On the driver, `options` makes a tap of what a read says, `division` cuts its stream into parts, and `bounds` turns
Spark's filters into what a tap understands. On an executor, `run` reads a part with a tap of its own, and `columns`
makes Arrow batches of the rows. `source` and `stream` are what Spark calls; `delta` merges what a stream brings into a
Delta table.
"""

from merchant_spark.delta import DeltaMerge
from merchant_spark.source import MerchantTaps, register

__all__ = ["DeltaMerge", "MerchantTaps", "register"]
