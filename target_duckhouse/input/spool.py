"""Spool files: the records of one stream on their way into DuckDB, one JSON object per line.

A line is a RECORD message, or as much of one as is needed: its ``record`` and the texts that override it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.input.exact_lines import OVERRIDES, is_hard
from target_duckhouse.warehouse.connection import VECTOR
from target_duckhouse.warehouse.scratch import clear_scratch, remove_scratch
from target_duckhouse.warehouse.tables import EXTRACTED_AT, exact_path, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_duckhouse.warehouse.tables import Table

__all__ = ["Spool", "rejected_query", "spool_folder", "spool_query"]

_LEAST_OBJECT = 512 * 1024
"""DuckDB reads with two buffers of this size; larger ones cost memory and time."""


@dataclass(slots=True)
class Spool:
    """One file and what is in it.

    Args:
        path: Where the file is; the first write creates it.
        version: The snapshot version of all its records, None for streams without versions.
        rows: How many records it holds.
        size: Its length in bytes.
        longest: An upper bound of the longest line in bytes.
        overridden: Columns for which some lines hold a text that replaces the value in the record.
    """

    path: Path
    version: int | None = None
    rows: int = 0
    size: int = 0
    longest: int = 0
    overridden: set[str] = field(default_factory=set)

    @property
    def weight(self) -> float:
        """How much of the file DuckDB works on at a time, in bytes."""
        return self.size / max(self.rows / VECTOR, 1)

    def write(self, lines: bytes, rows: int, overridden: frozenset[str] = frozenset()) -> None:
        """Append lines. The file is not kept open, so that hundreds of streams need no more than one descriptor.

        Raises:
            LoadError: The disk is full, or the file cannot be written for another reason.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                if file.write(lines) != len(lines):
                    raise LoadError(f"spool file {self.path}: the disk accepted only part of it")
        except OSError as error:
            raise LoadError(f"spool file {self.path}: {error.strerror}") from None
        self.rows += rows
        self.size += len(lines)
        self.longest = max(self.longest, len(lines))
        self.overridden |= overridden

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


@contextmanager
def spool_folder(path: str, run: str) -> Iterator[Path]:
    """A folder for the spool files of a run. Only one run at a time can have the warehouse open.

    Args:
        path: The warehouse, beside which the folder is.
        run: The id of the run.

    Raises:
        LoadError: The folder cannot be created.
    """
    folder = Path(path + ".spool", run)
    clear_scratch(folder.parent)
    try:
        folder.mkdir()
        yield folder
    finally:
        remove_scratch(folder)


def spool_query(table: Table, spool: Spool) -> str:
    """A query for the rows of a spool file, in the order of the table's columns."""
    fields: list[str] = []
    values: dict[str, str] = {}
    for column in table.arriving:
        name = quote(column.name)
        overridden = column.name in spool.overridden
        # The type may not be able to hold the value that is overridden.
        as_text = overridden and is_hard(column) and column.sql != "JSON"
        fields.append(f"{name} {'VARCHAR' if as_text else column.sql}")
        value = f"CAST(record.{name} AS {column.sql})" if as_text else f"record.{name}"
        if overridden:
            value = f"coalesce(CAST({OVERRIDES}.{name} AS {column.sql}), {value})"
        values[column.name] = value
    columns = {"record": f"STRUCT({', '.join(fields)})" if fields else "JSON"}
    if spool.overridden:
        columns[OVERRIDES] = f"STRUCT({', '.join(quote(name) + ' VARCHAR' for name in sorted(spool.overridden))})"
    if EXTRACTED_AT in table.stamps:
        columns["time_extracted"] = "VARCHAR"  # it is no value of the record: what is not a time is left out
    extracted = "TRY_CAST(time_extracted AS TIMESTAMPTZ)"
    return f"SELECT {table.select(values, spool.version, extracted)} FROM {_read_json(spool, columns)}"


def rejected_query(spool: Spool) -> str:
    """A query for the reason, the record and its source of everything that was rejected."""
    names = ("reason", "record", "source")
    return f"SELECT {', '.join(names)} FROM {_read_json(spool, dict.fromkeys(names, 'VARCHAR'))}"


def _read_json(spool: Spool, columns: dict[str, str]) -> str:
    spec = ", ".join(f"{name}: {literal(kind)}" for name, kind in columns.items())
    largest = max(_LEAST_OBJECT, spool.longest + 1)
    # DuckDB reads a sample of the file even if it is told all columns.
    return (
        f"read_json({exact_path(spool.path)}, format = 'newline_delimited', sample_size = 1, "
        f"maximum_object_size = {largest}, columns = {{{spec}}})"
    )
