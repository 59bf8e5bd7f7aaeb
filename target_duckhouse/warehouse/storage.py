"""The interface of the forms in which rows are kept, and the first form, *tables*. The others are lakes.

In all forms each stream has a DuckDB table that its rows are merged into. In the form *tables* it holds the rows
themselves, and users query it. In a lake it is an index that tells new, changed and unchanged rows apart, while the
rows go to files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from target_duckhouse.errors import LoadError
from target_duckhouse.names import fold
from target_duckhouse.warehouse.tables import BATCHED_AT, DELETED_AT, VERSION, comma, literal, quote
from target_duckhouse.warehouse.types import conversion

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from target_duckhouse.warehouse.history import History
    from target_duckhouse.warehouse.moment import Moment
    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["Storage", "TableStorage"]


class Storage(ABC):
    """Where the rows of one database schema are kept.

    Args:
        con: The connection whose transaction all changes belong to.
        schema: The database schema of the tables that rows are merged into.
        moment: The time that rows get which change.
    """

    remembers: ClassVar[bool]
    """Whether what was found outside the DuckDB file is kept until `forget`."""
    relation: ClassVar[str]
    """What users find under a stream's name: ``BASE TABLE`` or ``VIEW``."""
    same_window: ClassVar[str]
    """The SQL operator that compares a row's window, or its partition, with another."""

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str, moment: Moment) -> None:
        self.con = con
        self.schema = schema
        self.moment = moment

    @abstractmethod
    def open(self) -> None:
        """Create what is missing, and finish what a killed run left unfinished."""

    def accept(self, table: Table) -> None:  # noqa: B027  tables take every name that DuckDB takes
        """Refuse a table that could not be kept, before there are rows of it that are committed.

        Raises:
            LoadError: Its name, or that of a column, is none that this form can have.
        """

    @abstractmethod
    def own_columns(self, *, may_go: bool) -> list[tuple[str, str]]:
        """Names and types of the columns that this form needs in addition to those of properties and `VERSION`.

        Args:
            may_go: Whether the tap may tell that rows are gone, or sends windows that replace older ones.
        """

    @abstractmethod
    def show(self, table: Table) -> None:
        """From the next commit on, show users the table as it is now."""

    def comment(self, table: Table, text: str) -> None:
        """Have people read a text about a table."""
        self.con.execute(f"COMMENT ON TABLE {table.qualified} IS {literal(text)}")

    def retype(self, table: Table, column: Column, old: str) -> None:
        """Change a column of type `old` to the type of `column`, in all rows."""
        name = quote(column.name)
        self.con.execute(
            f"ALTER TABLE {table.qualified} ALTER COLUMN {name} SET DATA TYPE {column.sql} "
            f"USING {conversion(name, old, column.sql)}"
        )

    @abstractmethod
    def sources(self, table: Table, name: str) -> Iterable[str]:
        """The sources to select FROM that together have all values of a column."""

    @abstractmethod
    def stored(self, table: Table, names: list[str]) -> str:
        """A source to select FROM that has some columns of the stored rows whose keys are in ``_stage``, once each."""

    @abstractmethod
    def differs(self, table: Table) -> str:
        """A condition that holds if a row ``s`` differs from the stored row ``t`` of the same key."""

    @abstractmethod
    def insert(self, table: Table, query: str, version: int | None) -> int:
        """Insert the rows of a query that yields `Table.names`, all of one version, and return how many there are."""

    @abstractmethod
    def keep_unchanged(self, table: Table) -> None:
        """Update what is kept about rows in ``_change`` that arrived again and do not differ."""

    def delete(self, table: Table, condition: str) -> int:
        """Remove the rows ``t`` for which a condition holds, and return how many there were."""
        return self._count(f"DELETE FROM {table.qualified} AS t WHERE {condition}")

    def remove(self, table: Table, condition: str) -> int:
        """Remove the rows ``t`` for which a condition holds, or mark them, and return how many there were."""
        return self.delete(table, condition)

    @abstractmethod
    def activate(self, table: Table, version: int) -> int:
        """Remove the rows of all versions but one, or mark them as deleted, and return how many there were."""

    @abstractmethod
    def settle(self) -> None:
        """After a commit, do outside the DuckDB file what was committed inside it."""

    def forget(self) -> None:  # noqa: B027  tables are looked at in DuckDB alone
        """Look again at what is outside the DuckDB file: another process may have changed it."""

    def close(self) -> None:  # noqa: B027  tables have nothing to let go of
        """Let go of what is outside the DuckDB file."""

    def _count(self, sql: str) -> int:
        """Execute a statement that returns one number."""
        row = self.con.execute(sql).fetchone()
        return int(row[0]) if row else 0


class TableStorage(Storage):
    """Rows in tables of the DuckDB file.

    Args:
        con: The connection whose transaction all changes belong to.
        schema: The database schema of the tables.
        moment: The time that rows get which change.
        history: Is told which rows are removed.
        hard_delete: Whether rows that are gone are removed; otherwise they are marked.
    """

    remembers = False
    relation = "BASE TABLE"
    same_window = "IS NOT DISTINCT FROM"

    def __init__(
        self, con: duckdb.DuckDBPyConnection, schema: str, moment: Moment, history: History, *, hard_delete: bool
    ) -> None:
        super().__init__(con, schema, moment)
        self._history = history
        self._hard_delete = hard_delete

    @override
    def open(self) -> None:
        pass  # the schema exists, and a transaction leaves nothing behind

    @override
    def own_columns(self, *, may_go: bool) -> list[tuple[str, str]]:
        return [(DELETED_AT, "TIMESTAMPTZ")] if may_go and not self._hard_delete else []

    @override
    def show(self, table: Table) -> None:
        pass  # users query the table itself

    @override
    def sources(self, table: Table, name: str) -> Iterable[str]:
        return [table.qualified]

    @override
    def stored(self, table: Table, names: list[str]) -> str:
        return table.qualified

    @override
    def differs(self, table: Table) -> str:
        others = [column.name for column in table.arriving if not column.key]
        comparisons = [f"t.{quote(name)} IS DISTINCT FROM s.{quote(name)}" for name in others]
        if DELETED_AT in table.stamps:
            comparisons.append(f"t.{quote(DELETED_AT)} IS NOT NULL")
        return f"({' OR '.join(comparisons) or 'false'})"

    @override
    def insert(self, table: Table, query: str, version: int | None) -> int:
        names = table.names
        if BATCHED_AT in table.stamps:
            names, query = [*names, BATCHED_AT], f"SELECT *, {self.moment.sql} FROM ({query})"
        return self._count(f"INSERT INTO {table.qualified} ({comma(names)}) {query}")

    @override
    def keep_unchanged(self, table: Table) -> None:
        pass  # the table already holds every value

    @override
    def delete(self, table: Table, condition: str) -> int:
        self._history.bury(table, condition)
        return super().delete(table, condition)

    @override
    def activate(self, table: Table, version: int) -> int:
        return self.remove(table, f"{quote(VERSION)} IS DISTINCT FROM {version}")

    @override
    def remove(self, table: Table, condition: str) -> int:
        if self._hard_delete:
            return self.delete(table, condition)
        kind = next((column.sql for column in table.columns if fold(column.name) == DELETED_AT), "TIMESTAMPTZ")
        gone = f"({condition}) AND t.{DELETED_AT} IS NULL"
        if kind not in {"TIMESTAMPTZ", "VARCHAR"}:
            if not self._count(f"SELECT count(*) FROM {table.qualified} AS t WHERE {gone}"):
                return 0
            raise LoadError(
                f"stream {table.stream}: rows that are gone cannot be marked, because `{DELETED_AT}` is a property of "
                f"its own, {kind}; set `hard_delete` to true, or have the tap leave the property out"
            )
        marks = {BATCHED_AT: self.moment.sql} if BATCHED_AT in table.stamps else {}
        marks[DELETED_AT] = conversion(self.moment.sql, "TIMESTAMPTZ", kind)
        values = ", ".join(f"{name} = {value}" for name, value in marks.items())
        return self._count(f"UPDATE {table.qualified} AS t SET {values} WHERE {gone}")

    @override
    def settle(self) -> None:
        pass  # there is nothing outside the DuckDB file
