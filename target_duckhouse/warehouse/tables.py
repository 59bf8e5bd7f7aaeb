"""What the loader knows about a stream's table: its columns, and how they are written in SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BATCHED_AT",
    "CATALOG",
    "DELETED_AT",
    "EXTRACTED_AT",
    "FILE",
    "HASH",
    "METADATA",
    "PARTITION",
    "RESERVED",
    "ROW",
    "SEQUENCE",
    "VERSION",
    "WHAT",
    "WINDOW",
    "Column",
    "Table",
    "comma",
    "exact_path",
    "literal",
    "pattern_of",
    "qualified",
    "quote",
]

CATALOG = "warehouse"
"""What the DuckDB file is called within the loader's connection, whatever its real name."""

VERSION = "_sdc_table_version"
"""Column that holds the version of a FULL_TABLE stream's snapshot."""

EXTRACTED_AT = "_sdc_extracted_at"
"""Column with the time when the tap extracted the values that the row has now, as it says in ``time_extracted``."""

BATCHED_AT = "_sdc_batched_at"
"""Column with the time of the commit in which the row got its values, was marked as deleted, or came back."""

DELETED_AT = "_sdc_deleted_at"
"""Column with the time when a row was found to be gone, if such rows are kept."""

METADATA = {
    EXTRACTED_AT: "When the tap extracted the values that the row has now",
    BATCHED_AT: "When the row was last inserted, changed, marked as deleted or brought back here",
    DELETED_AT: "When the row was found to be gone; NULL if it is not",
}
"""Columns that tell when a row was loaded, as other Singer targets name them, and what they mean. They are never
compared."""

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

WHAT = "_singer_what"
"""Column of files that wait for a Delta table: what is to become of a row. Empty if it is to be there as it is."""

FILE = "_singer_file"
"""Column that tells which file of a Delta table a row is in."""

RESERVED = (VERSION, ROW, SEQUENCE, HASH, PARTITION, WHAT, FILE, "rowid")
"""Names of columns that belong to the loader or to DuckDB."""


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def pattern_of(path: str) -> str:
    """A pattern that fits one path alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def exact_path(path: object) -> str:
    """A path as an SQL string for functions that read files, which take paths for patterns."""
    return literal(pattern_of(str(path)))


def qualified(schema: str, name: str) -> str:
    """The full name of a table or view, which is unambiguous whatever the file or schema is called."""
    return f"{CATALOG}.{quote(schema)}.{quote(name)}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stream's table, and the property that it holds.

    Args:
        property: The property's name in the records.
        name: The column's name, which is another one if two properties differ only in case.
        declared: The type that the stream's schema asks for; that of the column if the schema lacks the property.
        sql: The type that the column has: `declared`, or a wider one.
        key: Whether it belongs to the primary key.
        pii: Whether it holds personal data, which must not be shown.
        description: What the schema says that it means.
        partitions: For the column `WINDOW`: the properties for each value of which windows are read separately
            (``x-partition``); None if the schema does not mark windows at all.
        scope: Whether it tells which rows belong to a scope that is read whole (``x-scopes``), or which of them came.
        arrives: Whether the schema has the property, or a record of this run has brought it. Otherwise rows that are
            loaded keep the value that they have.
        initial: What the column holds in new rows if nothing arrives, as SQL.
    """

    property: str
    name: str
    declared: str
    sql: str
    key: bool = False
    pii: bool = False
    description: str = ""
    partitions: tuple[str, ...] | None = None
    scope: bool = False
    arrives: bool = True
    initial: str = "NULL"


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one stream at one moment.

    Args:
        stream: The table's name: that of the stream, as it was written when the table was created.
        schema: The database schema.
        columns: All its columns in order, without those of the loader.
        versioned: Whether the table has `VERSION`, because the stream comes in versions.
        stamps: Those of `METADATA` that it has. If a property has such a name, the column is the property's.
        window: Columns that identify the window of a row, if the stream has windows: `WINDOW` first, then those of
            partitions.
        replaces_windows: Whether a window that is read again replaces its rows.
    """

    stream: str
    schema: str
    columns: tuple[Column, ...]
    versioned: bool = False
    stamps: frozenset[str] = frozenset()
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

    def column_of(self, property_: str) -> Column:
        """The column of a property."""
        return next(column for column in self.columns if column.arrives and column.property == property_)

    @property
    def arriving(self) -> tuple[Column, ...]:
        """The columns for which records may bring values."""
        return tuple(column for column in self.columns if column.arrives)

    @property
    def kept(self) -> tuple[Column, ...]:
        """The columns whose values rows keep, because records bring none."""
        return tuple(column for column in self.columns if not column.arrives)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key columns."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def marks_windows(self) -> bool:
        """Whether the schema marks windows; then a STATE tells which of them have been read."""
        return any(column.partitions is not None for column in self.columns)

    @property
    def scoped(self) -> tuple[str, ...]:
        """Names of the columns that tell scopes and their rows apart; none if the tap does not tell what is gone."""
        return tuple(column.name for column in self.columns if column.scope) if self.keys else ()

    @property
    def key(self) -> str:
        """The properties of the key, as a text."""
        return ", ".join(sorted(column.property for column in self.columns if column.key)) or "none"

    @property
    def names(self) -> list[str]:
        """Names of all columns that rows arrive with: those of properties, `VERSION` and `EXTRACTED_AT`."""
        own = [VERSION] if self.versioned else []
        own += [EXTRACTED_AT] if EXTRACTED_AT in self.stamps else []
        return [column.name for column in self.columns] + own

    def select(self, values: dict[str, str], version: int | str | None, extracted: str = "NULL") -> str:
        """A SELECT list for `names`.

        Args:
            values: Expressions for columns, by name. The others get what new rows have there.
            version: The version of the rows, or an expression for it.
            extracted: An expression for the time when a row was extracted.
        """
        listed = [
            f"{values.get(column.name) or f'CAST({column.initial} AS {column.sql})'} AS {quote(column.name)}"
            for column in self.columns
        ]
        if self.versioned:
            listed.append(f"{'NULL' if version is None else version}::BIGINT AS {quote(VERSION)}")
        if EXTRACTED_AT in self.stamps:
            listed.append(f"CAST({extracted} AS TIMESTAMPTZ) AS {EXTRACTED_AT}")
        return ", ".join(listed)


def comma(names: Iterable[str]) -> str:
    """Quoted names, separated by commas."""
    return ", ".join(map(quote, names))
