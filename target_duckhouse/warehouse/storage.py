"""The two forms in which rows are kept, behind one interface. This is the form *tables*; `lake` is the other.

In both a stream has a DuckDB table that its rows are merged into. As tables it holds the rows themselves, and is what
users query. In a lake it is an index, which tells new, changed and unchanged rows apart, while the rows go to files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from target_duckhouse.warehouse.tables import DELETED_AT, VERSION, comma, quote
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["Storage", "TableStorage"]


class Storage(ABC):
    """Where the rows of one database schema are kept.

    Args:
        con: The connection whose transaction all changes belong to.
        schema: The database schema of the tables that rows are merged into.
    """

    relation: ClassVar[str]
    """What users find under a stream's name: ``BASE TABLE`` or ``VIEW``."""
    same_window: ClassVar[str]
    """The SQL operator that finds a row's window, and its partitions, among others."""

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str) -> None:
        self.con = con
        self.schema = schema

    @abstractmethod
    def open(self) -> None:
        """Create what is missing, and finish what a killed run left behind."""

    @abstractmethod
    def own_columns(self, *, versioned: bool) -> list[tuple[str, str]]:
        """Names and types of the columns that tables have here beside those of properties and `VERSION`."""

    @abstractmethod
    def show(self, table: Table) -> None:
        """Show users the table as it is now, after the next commit."""

    def retype(self, table: Table, column: Column, old: str) -> None:
        """Give a column, whose type is `old`, the type that `column` says, in all rows."""
        name = quote(column.name)
        self.con.execute(
            f"ALTER TABLE {table.qualified} ALTER COLUMN {name} SET DATA TYPE {column.sql} "
            f"USING {conversion(name, old, column.sql)}"
        )

    @abstractmethod
    def sources(self, table: Table, name: str) -> Iterable[str]:
        """What to select FROM to see all values of a column."""

    @abstractmethod
    def differs(self, table: Table) -> str:
        """A condition for a row ``s`` that is not as the stored row ``t`` of the same key."""

    @abstractmethod
    def insert(self, table: Table, query: str, version: int | None) -> int:
        """Insert the rows of a query, which yields `Table.names`, all of one version; returns how many."""

    @abstractmethod
    def keep_unchanged(self, table: Table) -> None:
        """Take note of the rows of ``_change`` that came again and do not differ."""

    def delete(self, table: Table, condition: str) -> int:
        """Remove the rows ``t`` that a condition holds for; returns how many."""
        return self._count(f"DELETE FROM {table.qualified} AS t WHERE {condition}")

    @abstractmethod
    def activate(self, table: Table, version: int) -> int:
        """Remove the rows of all versions but one, or mark them as deleted; returns how many."""

    @abstractmethod
    def settle(self) -> None:
        """After the commit: bring everything that is not in the DuckDB file to where it was committed to be."""

    def _count(self, sql: str) -> int:
        """Execute a statement that returns one number."""
        row = self.con.execute(sql).fetchone()
        return int(row[0]) if row else 0


class TableStorage(Storage):
    """Rows in tables of the DuckDB file.

    Args:
        con: The connection whose transaction all changes belong to.
        schema: The database schema of the tables.
        hard_delete: Whether rows of older versions are removed; otherwise they are marked.
    """

    relation = "BASE TABLE"
    same_window = "IS NOT DISTINCT FROM"

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str, *, hard_delete: bool) -> None:
        super().__init__(con, schema)
        self._hard_delete = hard_delete

    @override
    def open(self) -> None:
        pass  # the schema exists, and a transaction leaves nothing behind

    @override
    def own_columns(self, *, versioned: bool) -> list[tuple[str, str]]:
        return [(DELETED_AT, "TIMESTAMPTZ")] if versioned and not self._hard_delete else []

    @override
    def show(self, table: Table) -> None:
        pass  # users query the table itself

    @override
    def sources(self, table: Table, name: str) -> Iterable[str]:
        return [table.qualified]

    @override
    def differs(self, table: Table) -> str:
        others = [column.name for column in table.columns if not column.key]
        comparisons = [f"t.{quote(name)} IS DISTINCT FROM s.{quote(name)}" for name in others]
        if table.marks_deleted:
            comparisons.append(f"t.{quote(DELETED_AT)} IS NOT NULL")
        return f"({' OR '.join(comparisons) or 'false'})"

    @override
    def insert(self, table: Table, query: str, version: int | None) -> int:
        return self._count(f"INSERT INTO {table.qualified} ({comma(table.names)}) {query}")

    @override
    def keep_unchanged(self, table: Table) -> None:
        pass  # the table has all of each row already

    @override
    def activate(self, table: Table, version: int) -> int:
        old = f"{quote(VERSION)} IS DISTINCT FROM {version}"
        if self._hard_delete:
            return self.delete(table, old)
        marker = quote(DELETED_AT)
        return self._count(f"UPDATE {table.qualified} SET {marker} = now() WHERE {old} AND {marker} IS NULL")

    @override
    def settle(self) -> None:
        pass  # the DuckDB file is all there is
