"""What the loader knows about a stream's table: its columns, and how they are written in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CATALOG",
    "DELETED_AT",
    "HASH",
    "PARTITION",
    "RESERVED",
    "ROW",
    "SEQUENCE",
    "VERSION",
    "WINDOW",
    "Column",
    "Table",
    "comma",
    "literal",
    "qualified",
    "quote",
]

CATALOG = "warehouse"
"""What the DuckDB file is called within the loader's connection, whatever its real name."""

VERSION = "_sdc_table_version"
"""Column that holds the version of a FULL_TABLE stream's snapshot."""

DELETED_AT = "_sdc_deleted_at"
"""Column with the time when a row was found to be gone, if such rows are kept."""

ROW = "_singer_row"
"""Column that numbers records in order of arrival while they are merged."""

WINDOW = "_window_start"
"""Column in which a tap says which date window a row was read in."""

SEQUENCE = "_singer_sequence"
"""Column of a lake's files that orders the versions of a row."""

HASH = "_singer_hash"
"""Column of a lake's index that shows whether a row has changed."""

PARTITION = "partition_date"
"""Name of the folders by which a stream's files are partitioned in a lake."""

RESERVED = (VERSION, ROW, SEQUENCE, HASH, PARTITION, "rowid")
"""Names of columns that belong to the loader or to DuckDB."""


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def qualified(schema: str, name: str) -> str:
    """The full name of a table or view, which is unambiguous whatever the file or schema is called."""
    return f"{CATALOG}.{quote(schema)}.{quote(name)}"


@dataclass(frozen=True, slots=True)
class Column:
    """One property of a stream and the column that holds it.

    Args:
        property: The property's name in the records.
        name: The column's name, which is another one if two properties differ only in case.
        declared: The type that the stream's schema asks for.
        sql: The type that the column has: `declared`, or a wider one.
        key: Whether it belongs to the primary key.
        pii: Whether its values must not be shown.
        partitions: For the column `WINDOW`: the properties for each value of which windows are read separately
            (``x-partition``); None if the schema does not mark windows at all.
    """

    property: str
    name: str
    declared: str
    sql: str
    key: bool = False
    pii: bool = False
    partitions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one stream at one moment.

    Args:
        stream: The stream's name, which is the table's.
        schema: The database schema.
        columns: The columns for the stream's properties.
        versioned: Whether the table has `VERSION`, because the stream comes in versions.
        marks_deleted: Whether it has `DELETED_AT`.
        window: Columns that identify the window of a row, if the stream has windows: `WINDOW` first, then those of
            partitions.
        replaces_windows: Whether a window that is read again replaces its rows.
    """

    stream: str
    schema: str
    columns: tuple[Column, ...]
    versioned: bool = False
    marks_deleted: bool = False
    window: tuple[str, ...] = ()
    replaces_windows: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether the same rows may be loaded twice without harm, so that they need not wait for their STATE."""
        return bool(self.keys or self.versioned) and not self.replaces_windows

    @property
    def qualified(self) -> str:
        """The full name."""
        return qualified(self.schema, self.stream)

    def column(self, name: str) -> Column:
        """The column with a name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key columns."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def names(self) -> list[str]:
        """Names of the columns that incoming rows have values for: `VERSION` comes last, if the table has it."""
        return [column.name for column in self.columns] + ([VERSION] if self.versioned else [])

    def with_version(self, values: list[str], version: int | None) -> str:
        """A SELECT list for `names`, made of expressions for the columns of properties and a version."""
        if self.versioned:
            values = [*values, f"{'NULL' if version is None else version}::BIGINT AS {quote(VERSION)}"]
        return ", ".join(values)


def comma(names: Iterable[str]) -> str:
    """Quoted names, separated by commas."""
    return ", ".join(map(quote, names))
