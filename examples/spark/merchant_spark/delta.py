"""Merges what a stream brings into a Delta table, so that it holds each row once.

Spark calls ``foreachBatch`` at least once for each batch: a batch that was merged before is recognised by the number
that the table keeps of its query, and merging it again would change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from merchant_spark.columns import KEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DeltaMerge"]

_QUERY = "sql.streaming.queryId"
_WINDOW = "_window_start"


class DeltaMerge:
    """What ``foreachBatch`` calls.

    A stream that is read in windows replaces those that a batch has read, from its first one to now: what is no longer
    in them is deleted.

    Args:
        path: The folder of the table; it need not exist.
        keys: The columns that tell rows apart; those of the stream's key by default.

    Example:
        >>> sales.writeStream.foreachBatch(DeltaMerge("lake/sales")).option("checkpointLocation", "state/sales").start()
    """

    def __init__(self, path: str | Path, keys: Sequence[str] = ()) -> None:
        self._path = str(path)
        self._keys = [*keys]

    def __call__(self, batch: DataFrame, number: int) -> None:
        """Merge a batch.

        Raises:
            ValueError: Rows cannot be told apart.
        """
        keys = self._keys or [field.name for field in batch.schema if field.metadata.get(KEY)]
        if missing := {*keys} - {*batch.columns} or not keys:
            raise ValueError(f"{self._path}: rows cannot be merged without their keys: select {missing or 'them'}")
        query = batch.sparkSession.sparkContext.getLocalProperty(_QUERY) or ""
        rows = _last_of_each(batch.toArrow(), keys)  # the one action: with another, the API would be read again
        if not DeltaTable.is_deltatable(self._path):
            write_deltalake(self._path, rows.slice(0, 0))
        table = DeltaTable(self._path)
        done = table.transaction_version(query)
        if not rows.num_rows or (done is not None and done >= number):
            return
        steps = (
            table.merge(
                rows,
                predicate=" AND ".join(f't."{key}" = s."{key}"' for key in keys),
                source_alias="s",
                target_alias="t",
                merge_schema=True,
                commit_properties=CommitProperties(app_transactions=[Transaction(query, number)]),
            )
            .when_matched_update_all(predicate=_differs(table, batch.columns, keys))
            .when_not_matched_insert_all()
        )
        if _WINDOW in batch.columns:
            first = pc.min(rows[_WINDOW]).as_py().isoformat()
            steps = steps.when_not_matched_by_source_delete(f"t.\"{_WINDOW}\" >= timestamp '{first}'")
        steps.execute()


def _differs(table: DeltaTable, columns: Sequence[str], keys: Sequence[str]) -> str | None:
    """What is true of a row that has changed, so that files in which nothing has changed stay as they are."""
    known = {field.name for field in table.schema().fields}
    if not known.issuperset(columns):
        return None
    return " OR ".join(f'(t."{name}" IS DISTINCT FROM s."{name}")' for name in columns if name not in keys) or None


def _last_of_each(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The last row of each key: a list that moves while it is read may bring one twice, and MERGE wants it once."""
    place = "__place"
    numbered = rows.append_column(place, pa.array(range(rows.num_rows), pa.int64()))
    last = numbered.group_by([*keys]).aggregate([(place, "max")])[f"{place}_max"]
    return rows.take(last.sort())
