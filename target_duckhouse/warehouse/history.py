"""What rows were before: a table ``<stream>__history`` beside the stream's, with every version that was committed.

A version holds from `VALID_FROM` to `VALID_TO`, which are times of commits (`moment`). The last one of a row has no
end; if the row is gone, that is a version too, whose operation says so. So the rows of any time are those versions that
hold at it::

    _sdc_valid_from <= time AND (time < _sdc_valid_to OR _sdc_valid_to IS NULL) AND _sdc_operation <> 'delete'

Just before a commit, the rows that have changed in it, which `BATCHED_AT` tells, are compared with their last versions.
What happened to a row in between does not count. Rows that are removed are noted first, while it is known which ones
they are; should they come back before the commit, that is undone.
"""

from __future__ import annotations

import logging
from itertools import starmap
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.names import fold, folded
from target_duckhouse.warehouse.metadata import HISTORY_SUFFIX
from target_duckhouse.warehouse.tables import (
    BATCHED_AT,
    DELETED_AT,
    EXTRACTED_AT,
    Table,
    comma,
    literal,
    qualified,
    quote,
)
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    import duckdb

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.metadata import Metadata
    from target_duckhouse.warehouse.moment import Moment

__all__ = ["History"]

logger = logging.getLogger("target-duckhouse")

VALID_FROM, VALID_TO, OPERATION = "_sdc_valid_from", "_sdc_valid_to", "_sdc_operation"
_OWN = {
    VALID_FROM: ("TIMESTAMPTZ", "The commit from which on the row was like this"),
    VALID_TO: ("TIMESTAMPTZ", "The commit from which on it was no longer; NULL if it still is"),
    OPERATION: ("VARCHAR", "What made it so: insert, update, delete, or return if it had been gone"),
}
_CREATE = """
CREATE TABLE IF NOT EXISTS main._singer_histories (
    schema VARCHAR NOT NULL, stream VARCHAR NOT NULL, recorded_at TIMESTAMPTZ NOT NULL);
"""
_GAP = f"""
SELECT max(committed_at) > (SELECT max(recorded_at) FROM main._singer_histories WHERE schema = $1 AND stream = $2)
FROM main._singer_loads WHERE schema = $1 AND {folded("stream")} = $3 AND inserted + updated + deleted > 0
"""


class History:
    """The histories of a run's streams.

    Args:
        con: The connection whose transaction all changes belong to.
        metadata: Knows the tables that exist.
        moment: The time of what is committed next.
        settings: What the user has set.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, metadata: Metadata, moment: Moment, settings: Settings) -> None:
        self._con = con
        self._metadata = metadata
        self._moment = moment
        self._settings = settings
        self._tables: dict[str, Table] = {}
        self._checked: set[str] = set()
        """Streams whose history has been found complete, or completed, since others last changed anything."""
        self._changed: set[str] = set()
        self._without: set[str] = set()

    def create(self) -> None:
        """Create the loader's own table if it does not exist."""
        self._con.execute(_CREATE)

    def prepare(self, table: Table, *, is_new: bool) -> None:
        """Bring a stream's history into line with its table, if one is to be kept.

        Args:
            table: The table as it is now.
            is_new: Whether it has just been created.

        Raises:
            LoadError: None can be kept.
        """
        if not self._settings.keeps_history(table.stream) or not self._is_possible(table):
            return
        if self._metadata.has_table(table.schema, table.stream + HISTORY_SUFFIX):
            if not self._metadata.is_history(table.stream + HISTORY_SUFFIX):
                raise LoadError(
                    f"stream {table.stream}: its history would be in the table {table.schema}.{table.stream}"
                    f"{HISTORY_SUFFIX}, which is something else; rename that, or leave the stream out of `history`"
                )
            self._align(table)
            if table.stream not in self._checked and (is_new or self._has_gap(table)):
                self._settle(
                    table,
                    f"SELECT {comma(table.keys)} FROM {_qualified(table)} WHERE {VALID_TO} IS NULL UNION "
                    f"SELECT {comma(table.keys)} FROM {table.qualified}",
                )
        else:
            self._begin(table)
            self._register(table)
        self._tables[table.stream] = table
        self._checked.add(table.stream)

    def widen(self, table: Table) -> None:
        """Follow a column of a table that has become wider."""
        if table.stream in self._tables:
            self._align(table)
            self._tables[table.stream] = table

    def note(self, stream: str) -> None:
        """Have the history of a stream looked at before the commit: rows of it have changed."""
        if stream in self._tables:
            self._changed.add(stream)

    def bury(self, table: Table, condition: str) -> None:
        """Note that the rows ``t`` for which a condition holds are about to be removed."""
        if table.stream in self._tables:
            gone = f"SELECT DISTINCT {comma(table.keys)} FROM {table.qualified} AS t WHERE {condition}"
            self._settle(table, gone, rows="false")

    def record(self) -> None:
        """Note what has become of the rows that the open transaction has changed."""
        now = self._moment.sql
        for stream in sorted(self._changed):
            table = self._tables[stream]
            keys = comma(table.keys)
            self._settle(table, f"SELECT DISTINCT {keys} FROM {table.qualified} WHERE {BATCHED_AT} = {now}")
        self._changed.clear()
        for table in self._tables.values():
            if table.stream in self._checked or not self._has_gap(table):
                self._register(table)

    def forget(self) -> None:
        """Look again whether histories are complete: others may have changed rows."""
        self._checked.clear()

    def _register(self, table: Table) -> None:
        """Remember that a history is complete up to now."""
        named = [self._metadata.schema, table.stream]
        self._con.execute("DELETE FROM main._singer_histories WHERE schema = ? AND stream = ?", named)
        self._con.execute(f"INSERT INTO main._singer_histories VALUES (?, ?, {self._moment.sql})", named)

    def _is_possible(self, table: Table) -> bool:
        """Whether a history of a table can be kept; says why not, once."""
        odd = [column.name for column in table.columns if fold(column.name) in _OWN]
        if not table.keys:
            reason = "it has no key"
        elif BATCHED_AT not in table.stamps or odd:
            reason = f"it has a property `{(odd or [BATCHED_AT])[0]}` of its own"
        else:
            return True
        if self._settings.history is not True:
            raise LoadError(
                f"stream {table.stream}: no history can be kept, because {reason}; leave it out of `history`"
            )
        if table.stream not in self._without:
            self._without.add(table.stream)
            logger.info("stream %s: no history is kept, because %s", table.stream, reason)
        return False

    def _has_gap(self, table: Table) -> bool:
        """Whether rows have changed while no history was kept."""
        row = self._con.execute(_GAP, [self._metadata.schema, table.stream, fold(table.stream)]).fetchone()
        return bool(row and row[0])

    def _begin(self, table: Table) -> None:
        """Create a history, which begins with the rows that are there."""
        history, columns = _qualified(table), _columns(table)
        body = [*columns.items(), *((name, kind) for name, (kind, _) in _OWN.items())]
        self._con.execute(f"CREATE TABLE {history} ({', '.join(starmap(self._metadata.definition, body))})")
        self._con.execute(
            f"INSERT INTO {history} SELECT {comma(columns)}, {self._moment.sql}, NULL, 'insert' "
            f"FROM {table.qualified} AS t WHERE {_alive(table)}"
        )
        self._comment(table)
        text = f"What the rows of {table.stream} were before"
        self._con.execute(f"COMMENT ON TABLE {history} IS {literal(text)}")

    def _align(self, table: Table) -> None:
        """Give a history the columns that its table has."""
        history = _qualified(table)
        _, columns = self._metadata.find(table.schema, table.stream + HISTORY_SUFFIX)
        present = {fold(name): entry.sql for name, entry in columns.items()}
        is_changed = False
        for name, kind in _columns(table).items():
            old = present.get(fold(name))
            if old != kind:
                is_changed = True
                change = (
                    f"ADD COLUMN {self._metadata.definition(name, kind)}"
                    if old is None
                    else f"ALTER COLUMN {quote(name)} SET DATA TYPE {kind} USING {conversion(quote(name), old, kind)}"
                )
                self._con.execute(f"ALTER TABLE {history} {change}")
        if is_changed:
            self._comment(table)

    def _comment(self, table: Table) -> None:
        """Say of a history's columns what is said of those of its table."""
        texts = self._metadata.comments(table)
        texts |= {name: text for name, (_, text) in _OWN.items()}
        for name in (*_columns(table), *_OWN):
            if text := texts.get(name):
                self._con.execute(f"COMMENT ON COLUMN {_qualified(table)}.{quote(name)} IS {literal(text)}")

    def _settle(self, table: Table, touched: str, rows: str = "true") -> None:
        """Compare rows with their last versions, and add versions for those that are different.

        Args:
            table: The table.
            touched: A query for the keys of these rows.
            rows: A condition that the rows must fulfil not to count as gone.
        """
        con, now, history = self._con, self._moment.sql, _qualified(table)
        columns, keys = [*_columns(table)], table.keys

        def same(a: str, b: str) -> str:
            return " AND ".join(f"{a}.{quote(key)} = {b}.{quote(key)}" for key in keys)

        con.execute(f"CREATE OR REPLACE TEMP TABLE _touched AS {touched}")
        one = f"EXISTS (SELECT 1 FROM _touched k WHERE {same('k', 'h')})"
        con.execute(f"DELETE FROM {history} AS h WHERE {VALID_FROM} = {now} AND {one}")
        con.execute(f"UPDATE {history} AS h SET {VALID_TO} = NULL WHERE {VALID_TO} = {now} AND {one}")
        differs = " OR ".join(
            f"t.{quote(column.name)} IS DISTINCT FROM h.{quote(column.name)}" for column in table.columns
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE _version AS SELECT * FROM ("
            f"SELECT {', '.join(f'k.{quote(key)}' for key in keys)}, CASE "
            f"WHEN t.{quote(keys[0])} IS NULL THEN if(h.{OPERATION} <> 'delete', 'delete', NULL) "
            f"WHEN h.{OPERATION} IS NULL THEN 'insert' WHEN h.{OPERATION} = 'delete' THEN 'return' "
            f"WHEN {differs} THEN 'update' END AS {OPERATION} FROM _touched k "
            f"LEFT JOIN (SELECT * FROM {table.qualified} t WHERE {rows} AND {_alive(table)}) t ON {same('k', 't')} "
            f"LEFT JOIN (SELECT * FROM {history} WHERE {VALID_TO} IS NULL) h ON {same('k', 'h')}) "
            f"WHERE {OPERATION} IS NOT NULL"
        )
        for source, which in ((history, f"= 'delete' AND s.{VALID_TO} IS NULL"), (table.qualified, "<> 'delete'")):
            con.execute(
                f"INSERT INTO {history} ({comma((*columns, *_OWN))}) "
                f"SELECT {', '.join(f's.{quote(name)}' for name in columns)}, {now}, NULL, v.{OPERATION} "
                f"FROM {source} s JOIN _version v ON {same('s', 'v')} AND v.{OPERATION} {which}"
            )
        con.execute(
            f"UPDATE {history} AS h SET {VALID_TO} = {now} FROM _version v "
            f"WHERE {same('h', 'v')} AND h.{VALID_TO} IS NULL AND h.{VALID_FROM} < {now}"
        )
        con.execute("DROP TABLE _version; DROP TABLE _touched")


def _qualified(table: Table) -> str:
    return qualified(table.schema, table.stream + HISTORY_SUFFIX)


def _columns(table: Table) -> dict[str, str]:
    """The columns of a table whose values its history has, with their types."""
    found = {column.name: column.sql for column in table.columns}
    return found | ({EXTRACTED_AT: "TIMESTAMPTZ"} if EXTRACTED_AT in table.stamps else {})


def _alive(table: Table) -> str:
    return f"t.{DELETED_AT} IS NULL" if DELETED_AT in table.stamps else "true"
