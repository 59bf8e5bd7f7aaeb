"""What each run did to each stream: the table ``_singer_loads``."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import duckdb

from target_duckhouse.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

__all__ = ["LOADS", "Counts", "Loads"]

_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_loads (
    load_id VARCHAR NOT NULL, state_id VARCHAR NOT NULL, schema VARCHAR NOT NULL, stream VARCHAR NOT NULL,
    inserted BIGINT NOT NULL, updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, deleted BIGINT NOT NULL,
    rejected BIGINT NOT NULL, seconds DOUBLE NOT NULL, started_at TIMESTAMPTZ NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL);
ALTER TABLE main._singer_loads ADD COLUMN IF NOT EXISTS requests BIGINT;
ALTER TABLE main._singer_loads ADD COLUMN IF NOT EXISTS retries BIGINT;
ALTER TABLE main._singer_loads ADD COLUMN IF NOT EXISTS waited_seconds DOUBLE;
ALTER TABLE main._singer_loads ADD COLUMN IF NOT EXISTS failed BOOLEAN;
"""
_COLUMNS = (
    "load_id, state_id, schema, stream, inserted, updated, unchanged, deleted, rejected, seconds, started_at, "
    "committed_at, requests, retries, waited_seconds, failed"
)
LOADS = "(FROM main._singer_loads UNION ALL BY NAME SELECT NULL::BOOLEAN AS failed WHERE false)"
"""The table to read from, with the column `failed` also where it was last loaded by a version that had none."""


@dataclass(slots=True)
class Counts:
    """What a run did to one stream, in rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        """Add another count to this one."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.deleted += other.deleted
        self.rejected += other.rejected
        self.seconds += other.seconds


class Loads:
    """What this run does to each stream.

    Args:
        con: The connection that the file is attached to while it is open.
        load_id: The run.
        state_id: The pipeline.
        schema: The database schema in which users find the streams.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, load_id: str, state_id: str, schema: str) -> None:
        self._con, self._state_id, self._schema = con, state_id, schema
        self.load_id = load_id
        self._started_at = time.time()
        self._committed: dict[str, Counts] = {}
        self._last_commit = ""
        self.counts: dict[str, Counts] = {}
        """What this run has done so far, per stream; what is not committed yet is in it."""
        self.calls: Mapping[str, tuple[int, int, float]] = {}
        """Requests, retries and seconds of waiting that the tap tells, per stream."""
        self.failed: AbstractSet[str] = frozenset()
        """The streams that have failed in this run, as the tap tells."""

    @staticmethod
    def create(con: duckdb.DuckDBPyConnection) -> None:
        """Create the table, or add the columns that an older one lacks."""
        con.execute(_CREATE)

    def add(self, stream: str, counts: Counts) -> None:
        """Count what one step did."""
        self.counts.setdefault(stream, Counts()).add(counts)

    def rejected(self, stream: str) -> int:
        """How many rows of a stream this run has rejected."""
        return self.counts[stream].rejected if stream in self.counts else 0

    def write(self, now: str) -> None:
        """Write the counts with the time of the commit, an SQL expression."""
        self._con.execute("DELETE FROM main._singer_loads WHERE load_id = ?", [self.load_id])
        rows = [
            (
                self.load_id,
                self._state_id,
                self._schema,
                stream,
                counts.inserted,
                counts.updated,
                counts.unchanged,
                counts.deleted,
                counts.rejected,
                round(counts.seconds, 3),
                self._started_at,
                *self.calls.get(stream, (None, None, None)),
                stream in self.failed,
            )
            for stream, counts in self.counts.items()
        ]
        if rows:
            row = f"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, to_timestamp(?), {now}, ?, ?, ?, ?)"
            values = ", ".join([row] * len(rows))
            self._con.execute(f"INSERT INTO main._singer_loads ({_COLUMNS}) VALUES {values}", [*chain(*rows)])
        self._last_commit = now if self.counts else ""

    def commit(self) -> None:
        """Take note that what was written is committed."""
        self._committed = {stream: replace(counts) for stream, counts in self.counts.items()}

    def undo(self) -> None:
        """Forget what was counted since the last commit."""
        self.counts = {stream: replace(counts) for stream, counts in self._committed.items()}

    @property
    def committed(self) -> dict[str, dict[str, float]]:
        """What this run has committed so far, per stream: rows and seconds."""
        return {stream: asdict(counts) for stream, counts in self._committed.items()}

    def check(self, path: str) -> None:
        """Make sure that the file is the one in which this run has committed.

        Args:
            path: The file, for the error.

        Raises:
            LoadError: It is another one, or the pipeline was renamed.
        """
        if not self._last_commit:
            return
        try:
            found = self._con.execute(
                "SELECT DISTINCT state_id FROM main._singer_loads "
                f"WHERE load_id = ? AND committed_at = {self._last_commit}",
                [self.load_id],
            ).fetchall()
        except duckdb.CatalogException:
            found = []
        if not found:
            raise LoadError(
                f"setting `path`: {path} no longer holds what this run has committed; somebody has "
                "replaced it. Load everything again (`meltano run --full-refresh`, or the tap without `--state`)"
            )
        if found != [(self._state_id,)]:
            raise LoadError(
                f"the state id {self._state_id} was renamed to {found[0][0]} while this run was loading; what it has "
                "committed stays, and the next run loads the rest"
            )
