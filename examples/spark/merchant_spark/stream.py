"""What Spark calls for ``spark.readStream``: the stream is read again and again, each time from its bookmark.

An offset holds the bookmark: the moment up to which everything was read. A batch begins `lookback_days` before it, so
rows that came late are found again, and a sink must merge by key. A batch that is repeated after a failure reads at
least what the first try has read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadLimit, SupportsTriggerAvailableNow

from merchant_spark.bounds import Bounds
from merchant_spark.division import divide, grid_of, state_of
from merchant_spark.errors import ReadError
from merchant_spark.run import Part
from tap_core.codec import canonical
from tap_core.errors import TapError
from tap_core.session.bookmarks import SAFETY_LAG
from tap_core.streams.windowed import WindowedStream
from tap_core.timestamps import parse, text_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from merchant_spark.options import Options
    from tap_core.streams.base import CoreStream

__all__ = ["MicroBatches"]

_START: Final = {"until": "", "windows": "", "partitions": ""}
"""An offset: ``until`` is the bookmark, ``windows`` where windows lie, ``partitions`` a digest of what they are asked
for (gateways, customers): where it changes, everything is read from the start once, as a tap does with its state."""


class MicroBatches(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads a stream in batches.

    Args:
        options: The options of the read.
        schema: What Spark asks for.

    Raises:
        ReadError: The stream has no bookmark.
    """

    def __init__(self, options: Options, schema: StructType) -> None:
        if not options.stream.incremental:
            raise ReadError(
                f"{options.name}: nothing marks what has changed in {options.stream.name!r}, so it cannot be followed: "
                "read it whole, with spark.read"
            )
        self._options = options
        self._run = options.run(schema)
        self._last = ""

    def __getstate__(self) -> dict[str, Any]:
        """What goes to the executors: what is needed to read a part, and not what divides the stream."""
        return {"_run": self._run}

    def initialOffset(self) -> dict[str, str]:  # noqa: N802  Spark's name
        """Nothing was read."""
        return dict(_START)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802  Spark's name
        """Read up to now, and no further."""
        self._last = self._now()

    def latestOffset(self, start: dict[str, str], limit: ReadLimit) -> dict[str, str]:  # noqa: ARG002, N802
        """Up to where the next batch reads; `start` before the interval is over.

        Raises:
            ReadError: The API does not say what is to be asked for.
        """
        until = self._last or self._now()
        if start["until"] and until <= start["until"]:
            return start
        stream = self._stream(start)
        windows = json.dumps(grid_of(stream)) if isinstance(stream, WindowedStream) else ""
        return {"until": until, "windows": windows, "partitions": self._subjects(stream)}

    def _now(self) -> str:
        """The bookmark that a run would reach which began now, or at the beginning of this interval."""
        seconds = (self._options.stream.session.clock.now() - SAFETY_LAG).timestamp()
        return text_of(datetime.fromtimestamp(seconds - seconds % self._options.interval_s, UTC))

    def partitions(self, start: dict[str, str], end: dict[str, str]) -> Sequence[InputPartition]:
        """The parts of a batch. It reads from its start to the end of what there is, whatever its own end."""
        if start == end:
            return []
        stream = self._stream(end)
        again = start["until"] and start["partitions"] == end["partitions"]
        lookback = timedelta(days=stream.config.get("lookback_days") or 0)
        since = parse(start["until"]) - lookback if again else None
        if isinstance(stream, WindowedStream):
            since = stream.grid.floor(since) if since else None
        elif not stream.immutable or stream.config.get("client_filter") is False:
            since = None  # a change may leave the marker still: everything comes, as in any run of the tap
        return divide(self._options, stream, Bounds(since=since))

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read a part."""
        return self._run.batches(partition) if isinstance(partition, Part) else iter(())

    def _stream(self, offset: Mapping[str, str]) -> CoreStream:
        """The stream of a tap that begins now, with the windows of an offset."""
        name = self._options.stream.name
        state = state_of(name, json.loads(offset["windows"]), None) if offset["windows"] else None
        return self._options.stream_of(self._options.tap(state))

    def _subjects(self, stream: CoreStream) -> str:
        """A keyed digest of what the stream asks for; it may take calls to find out, such as for the gateways."""
        try:
            subjects = stream.subjects() if isinstance(stream, WindowedStream) else getattr(stream, "subjects", ())
            return stream.session.digest(canonical(sorted(map(str, subjects))).decode())
        except TapError as error:
            raise self._options.failed(error) from None
