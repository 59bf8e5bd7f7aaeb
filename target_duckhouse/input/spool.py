"""Spool files: the records of one stream on their way into DuckDB, one JSON object per line.

A line is a RECORD message, or as much of one as is needed: its ``record`` and the texts that override it. In the file
of a BATCH, it is the record alone. Beside the file there may be one for each JSON column, with the text of each
record's value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from typing_extensions import override

from target_duckhouse.errors import LoadError
from target_duckhouse.input.json_texts import NULL_LINE
from target_duckhouse.input.line_types import OVERRIDES, is_hard
from target_duckhouse.warehouse.connection import VECTOR
from target_duckhouse.warehouse.tables import EXTRACTED_AT, exact_path, literal, quote
from target_duckhouse.warehouse.types import told

if TYPE_CHECKING:
    from pathlib import Path

    from target_duckhouse.input.batch import BatchFile
    from target_duckhouse.input.json_texts import SpoolLines
    from target_duckhouse.warehouse.tables import Table

__all__ = ["LinkedFile", "Spool", "SpoolFile", "rejected_query", "spool_query"]

_LEAST_OBJECT = 512 * 1024
"""DuckDB reads with two buffers of this size; larger ones cost memory and time."""
_LEAST_TEXT = 128 * 1024
"""The same for files of texts, of which there may be many."""
_AS_IT_IS = "compression = 'none', hive_partitioning = false"
"""DuckDB would take ``.gz`` in a path for compression, and ``id=5`` for the value of a column."""


@dataclass
class SpoolFile:
    """A file that grows. It is not kept open, so that hundreds of streams need no more than one descriptor.

    Args:
        path: Where it is; the first write creates it.
        size: Its length in bytes.
        longest: An upper bound of the longest line in bytes.
    """

    path: Path
    size: int = 0
    longest: int = 0

    def write(self, lines: bytes | memoryview) -> None:
        """Append lines.

        Raises:
            LoadError: The disk is full, or the file cannot be written for another reason.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                if file.write(lines) != len(lines):
                    raise LoadError(f"spool file {self.path}: the disk accepted only part of it")
        except OSError as error:
            raise LoadError(f"spool file {self.path}: {error.strerror}") from None
        self._count(lines)

    def _count(self, lines: bytes | memoryview) -> None:
        self.size += len(lines)
        self.longest = max(self.longest, len(lines))

    def verify(self) -> None:
        """After the lines have been loaded, make sure that they are those that were written."""


class LinkedFile(SpoolFile):
    """The file of a BATCH, read where it is: what is written to it is there already.

    Args:
        batch: The file, with a link.
    """

    def __init__(self, batch: BatchFile) -> None:
        super().__init__(batch.content)
        self._batch = batch

    @override
    def write(self, lines: bytes | memoryview) -> None:
        self._count(lines)

    @override
    def verify(self) -> None:
        if not self._batch.is_unchanged:
            raise LoadError(f"batch file {self._batch.path} was written to after the BATCH message that names it")


@dataclass(slots=True)
class Spool:
    """The records of one stream that are loaded together.

    Args:
        records: The file with their lines.
        version: The snapshot version of all its records, None for streams without versions.
        rows: How many records it holds.
        overridden: Columns for which some lines hold a text that replaces the value in the record.
        texts: The files of the columns with a text for each record.
        bare: Whether the lines are records and not messages.
        extracted: When bare records were extracted, as a text, if that is known.
    """

    records: SpoolFile
    version: int | None = None
    rows: int = 0
    overridden: set[str] = field(default_factory=set)
    texts: dict[str, SpoolFile] = field(default_factory=dict)
    bare: bool = False
    extracted: str | None = None

    @property
    def size(self) -> int:
        """The length of the lines in bytes."""
        return self.records.size

    @property
    def weight(self) -> float:
        """How much of the lines DuckDB works on at a time, in bytes."""
        return self.size / max(self.rows / VECTOR, 1)

    def write(self, part: SpoolLines) -> None:
        """Append records.

        Raises:
            LoadError: The disk is full, or a file cannot be written for another reason.
        """
        self.records.write(part.lines)
        for name in part.texts.keys() - self.texts.keys():
            path = self.records.path.with_suffix(f".{len(self.texts)}.jsonl")
            self.texts[name] = SpoolFile(path)
            if self.rows:
                self.texts[name].write(NULL_LINE * self.rows)
        for name, file in self.texts.items():
            file.write(part.texts.get(name) or NULL_LINE * part.rows)
        self.rows += part.rows
        self.overridden |= part.overridden

    def remove(self) -> None:
        """Delete the files."""
        for file in (self.records, *self.texts.values()):
            file.path.unlink(missing_ok=True)


def spool_query(table: Table, spool: Spool) -> str:
    """A query for the rows of a spool file, in the order of the table's columns."""
    fields: dict[str, str] = {}
    values: dict[str, str] = {}
    for column in table.arriving:
        name = quote(column.name)
        overridden = column.name in spool.overridden
        # The type may not be able to hold the value that is overridden.
        as_text = overridden and is_hard(column) and column.sql != "JSON"
        fields[name] = "VARCHAR" if as_text else column.sql
        value = f"CAST(record.{name} AS {column.sql})" if as_text else f"record.{name}"
        if overridden:
            value = f"coalesce(CAST({OVERRIDES}.{name} AS {column.sql}), {value})"
        if column.name in spool.texts:
            value = f"coalesce(nullif({_alias(spool, column.name)}.json, 'null'), {value})"
        values[column.name] = value
    if spool.bare:
        columns, extracted = fields, "NULL" if spool.extracted is None else literal(spool.extracted)
    else:
        members = ", ".join(f"{name} {kind}" for name, kind in fields.items())
        columns, extracted = {"record": f"STRUCT({members})" if members else "JSON"}, "time_extracted"
        if EXTRACTED_AT in table.stamps:
            columns["time_extracted"] = "VARCHAR"  # it is no value of the record: what is not a time is left out
    if spool.overridden:
        columns[OVERRIDES] = f"STRUCT({', '.join(quote(name) + ' VARCHAR' for name in sorted(spool.overridden))})"
    listed = table.select(values, spool.version, told(extracted, "TIMESTAMPTZ"))
    texts = "".join(f" POSITIONAL JOIN {_read_texts(spool, name)}" for name in spool.texts)
    source = _read_json(spool.records, columns)
    return f"SELECT {listed} FROM {f'{source} AS record' if spool.bare else source}{texts}"


def rejected_query(spool: Spool) -> str:
    """A query for the reason, the record and its source of everything that was rejected."""
    names = ("reason", "record", "source")
    return f"SELECT {', '.join(names)} FROM {_read_json(spool.records, dict.fromkeys(names, 'VARCHAR'))}"


def _alias(spool: Spool, name: str) -> str:
    return f"_text{list(spool.texts).index(name)}"


def _read_texts(spool: Spool, name: str) -> str:
    """The source of one column's texts. One thread reads all files, so that their lines stay side by side."""
    file = spool.texts[name]
    largest = max(_LEAST_TEXT, file.longest + 1)
    return (
        f"read_ndjson_objects({exact_path(file.path)}, maximum_object_size = {largest}, {_AS_IT_IS}) "
        f"AS {_alias(spool, name)}"
    )


def _read_json(file: SpoolFile, columns: dict[str, str]) -> str:
    spec = ", ".join(f"{name}: {literal(kind)}" for name, kind in columns.items())
    largest = max(_LEAST_OBJECT, file.longest + 1)
    # DuckDB reads a sample of the file even if it is told all columns.
    return (
        f"read_json({exact_path(file.path)}, format = 'newline_delimited', sample_size = 1, "
        f"maximum_object_size = {largest}, {_AS_IT_IS}, columns = {{{spec}}})"
    )
