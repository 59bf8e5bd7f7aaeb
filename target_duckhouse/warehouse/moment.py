"""The time of a commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["Moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment:
    """The time that everything in one commit has, later than that of every commit before, whatever the clock says.

    So whoever has seen all rows up to a time finds those that are newer by comparing with it, and misses none.

    Args:
        con: The connection whose transactions are committed.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self._now: datetime | None = None

    @property
    def sql(self) -> str:
        """The time as SQL: that at which the first rows of the commit are written."""
        if self._now is None:
            # As a number: DuckDB needs a package that the loader does without to hand out a time with a zone.
            row = self._con.execute("SELECT epoch_us(max(committed_at)) FROM main._singer_loads").fetchone()
            self._now = datetime.now(UTC)
            if row and row[0] is not None:
                self._now = max(self._now, _EPOCH + timedelta(microseconds=row[0] + 1))
        return f"TIMESTAMPTZ '{self._now.isoformat()}'"

    def end(self) -> None:
        """Let what comes next have another time: the transaction is over."""
        self._now = None
