"""The Parquet files of BATCH messages. The same rules hold for their rows as for RECORD messages.

DuckDB loads a file itself if the types of its columns, and a look at their values, leave no doubt that it holds nothing
that these rules forbid or treat in another way. Any other file is written as JSONL first, and that is loaded.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import msgspec

from target_duckhouse.errors import MessageError
from target_duckhouse.input.parquet_schema import columns_of
from target_duckhouse.warehouse.connection import explain
from target_duckhouse.warehouse.tables import exact_path, literal, quote
from target_duckhouse.warehouse.types import decimal_size, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from target_duckhouse.warehouse.tables import Column, Table

__all__ = ["ParquetFile"]

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_LARGE_INTEGERS = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_FRACTIONS = frozenset({"FLOAT", "DOUBLE"})
_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"})
_FINE_MOMENTS = frozenset({"TIMESTAMP_NS", "TIMESTAMPTZ_NS"})
_NESTED = re.compile(r"STRUCT\(.*|MAP\(.*|.*\[[0-9]*\]", re.DOTALL)
_ODD_INSIDE = re.compile(r"FLOAT|DOUBLE|JSON")
_YEARS = "BETWEEN '0001-01-01' AND '9999-12-31"
_FINE_PARTS = r"""\{"date":"[^"]*","time":"[0-9:]+\.[0-9]{7,9}"\}"""
"""What DuckDB makes of an INT96 with nanoseconds, as JSON, if it is to give a date and a time."""

_FINE_INT96 = "has times finer than a microsecond as INT96, which DuckDB cuts off; write them with microseconds"
_BETWEEN = "\x01"
"""Never occurs in a line of JSON."""


class _Field(NamedTuple):
    """A column of the file: the property that it is called after, its name within DuckDB, and its type."""

    property: str
    name: str
    kind: str


class ParquetFile:
    """One file.

    Args:
        con: The connection that reads it.
        path: Where it is, for messages.
        link: A link to it, which is what is read.

    Raises:
        MessageError: It cannot be read.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path, link: Path) -> None:
        self._con = con
        self._path = path
        options = f"{exact_path(link)}, hive_partitioning = false"
        self._source = f"read_parquet({options})"
        self._source_of_parts = f"read_parquet({options}, int96_as = 'struct')"
        with self._reading():
            described = con.execute(f"DESCRIBE SELECT * FROM {self._source}").fetchall()
            self._columns = columns_of(con, exact_path(link))
            sizes = con.execute(
                "SELECT coalesce(sum(row_group_num_rows), 0), coalesce(sum(total), 0) FROM (SELECT row_group_id, "
                "any_value(row_group_num_rows) AS row_group_num_rows, sum(total_uncompressed_size) AS total "
                f"FROM parquet_metadata({exact_path(link)}) GROUP BY row_group_id)"
            ).fetchone()
        self._fields = [
            _Field(column.name, row[0], row[1]) for column, row in zip(self._columns, described, strict=True)
        ]  # DuckDB adds numbers to names that differ only in case
        self.rows, self.size = map(int, sizes or (0, 0))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise MessageError(f"batch file {self._path} cannot be read: {explain(error)}") from None

    def verify(self, stream: str) -> None:
        """See that DuckDB reads all values as they are.

        Args:
            stream: The stream that they are for.

        Raises:
            MessageError: It would read other values. The message names the property and the way out.
        """
        for field, column in zip(self._fields, self._columns, strict=True):
            why = column.inexact
            if (why and self._holding([field])) or (column.has_int96 and self._has_fine_int96(field)):
                where = f"batch file {self._path}: stream {stream}: property `{field.property}`"
                raise MessageError(f"{where} {why or _FINE_INT96}")

    def _has_fine_int96(self, field: _Field) -> bool:
        """Whether there are times of the type INT96, also inside of something, with nanoseconds."""
        value = f"CAST(to_json({quote(field.name)}) AS VARCHAR)"
        odd = f"SELECT 1 FROM {self._source_of_parts} WHERE regexp_matches({value}, {literal(_FINE_PARTS)}) LIMIT 1"
        with self._reading():
            return bool(self._con.execute(odd).fetchone())

    def undeclared(self, columns: Iterable[Column]) -> list[str]:
        """The properties that have values here and for which there is no column."""
        known = {column.property for column in columns}
        return self._holding([field for field in self._fields if field.property not in known])

    def _holding(self, fields: list[_Field]) -> list[str]:
        """The properties of those fields that have values here."""
        if not fields:
            return []
        counts = ", ".join(f"count({quote(field.name)})" for field in fields)
        with self._reading():
            row = self._con.execute(f"SELECT {counts} FROM {self._source}").fetchone() or ()
        return [field.property for field, count in zip(fields, row, strict=True) if count]

    def query(self, table: Table, version: int | None, extracted: str | None) -> str | None:
        """A query for the rows, in the order of the table's columns; None if they need a closer look.

        Args:
            table: Where they go.
            version: The version of the rows.
            extracted: When they were extracted, as a text, if that is known.
        """
        fields = {field.property: field for field in self._fields}
        values: dict[str, str] = {}
        conditions: list[str] = []
        for column in table.arriving:
            if (field := fields.get(column.property)) is None:
                if column.key:
                    return None
                continue
            source = quote(field.name)
            condition = _condition(source, field.kind, column)
            if condition is None:
                return None
            conditions.append(f"({source} IS NULL OR {condition})")
            if column.key:
                conditions.append(f"{source} IS NOT NULL")
            values[column.name] = f"to_json({source})" if column.sql == "JSON" else f"CAST({source} AS {column.sql})"
        odd = f"SELECT 1 FROM {self._source} WHERE NOT ({' AND '.join(conditions) or 'true'}) LIMIT 1"
        with self._reading():
            if self._con.execute(odd).fetchone():
                return None
        time = "NULL" if extracted is None else told(literal(extracted), "TIMESTAMPTZ")
        return f"SELECT {table.select(values, version, time)} FROM {self._source}"

    def write_jsonl(self, target: Path, columns: Iterable[Column]) -> None:
        """Write all rows as lines of JSON.

        Args:
            target: The file to write.
            columns: The columns that the rows are meant for.
        """
        texts = {column.property for column in columns if column.declared != "JSON"}
        members = ["','"]
        for property_, name, kind in self._fields:
            value = _json(quote(name), kind, as_document=property_ not in texts)
            members.append(literal(f"{msgspec.json.encode(property_).decode()}:") + f" || coalesce({value}, 'null')")
        with self._reading():
            self._con.execute(
                f"COPY (SELECT concat('{{', concat_ws({', '.join(members)}), '}}') FROM {self._source}) "
                f"TO {literal(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '{_BETWEEN}')"
            )


def _condition(source: str, kind: str, column: Column) -> str | None:
    """What must hold for values of a Parquet type that their column is to keep; None if one cannot tell."""
    sql = column.sql
    if sql != column.declared:
        return None
    if sql == "JSON":
        is_plain = kind in {*_INTEGERS, "BOOLEAN"} or (_NESTED.fullmatch(kind) and not _ODD_INSIDE.search(kind))
        return "true" if is_plain else None
    if kind == sql and (sql in {"BOOLEAN", "VARCHAR"} or decimal_size(sql)):
        return "true"
    return {
        **{("BIGINT", integer): "true" for integer in _INTEGERS},
        **{("HUGEINT", integer): "true" for integer in _INTEGERS},
        **{("DOUBLE", integer): f"abs(CAST({source} AS HUGEINT)) <= 9007199254740992" for integer in _INTEGERS},
        **{("DOUBLE", fraction): f"isfinite({source})" for fraction in _FRACTIONS},
        **{("TIMESTAMPTZ", moment): f"{source} {_YEARS} 23:59:59.999999'" for moment in ("DATE", *_MOMENTS)},
        **{("TIMESTAMPTZ", moment): f"epoch_ns({source}) % 1000 IS NOT DISTINCT FROM 0" for moment in _FINE_MOMENTS},
        ("DATE", "DATE"): f"{source} {_YEARS}'",
        ("TIME", "TIME"): f"{source} < '24:00:00'",
    }.get((sql, kind))


def _json(source: str, kind: str, *, as_document: bool) -> str:
    """An expression for the JSON text of a value, as a tap would have written it.

    Args:
        source: The value.
        kind: Its type.
        as_document: Whether a text that is a JSON object or array stands for that.
    """
    text = f"CAST({source} AS VARCHAR)"
    if kind == "TIME WITH TIME ZONE":  # in Parquet that is UTC
        text += " || ':00'"
    if kind in _FRACTIONS:
        odd = "WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'"
        return f"CASE {text} {odd} ELSE CAST(CAST({source} AS DOUBLE) AS VARCHAR) END"
    if kind in _INTEGERS or kind in _LARGE_INTEGERS or kind == "BOOLEAN" or kind.startswith("DECIMAL"):
        return text
    if kind in _MOMENTS or kind in _FINE_MOMENTS:
        return f"to_json({_moment(source, kind)})"
    if _NESTED.fullmatch(kind):
        return f"CAST(to_json({source}) AS VARCHAR)"
    if kind == "JSON" or (kind == "VARCHAR" and as_document):
        document = f"translate({text}, chr(10) || chr(13), '  ')"
        is_document = "true" if kind == "JSON" else f"json_valid({source}) AND left(ltrim({source}), 1) IN ('{{', '[')"
        return f"CASE WHEN {is_document} THEN {document} ELSE CAST(to_json({source}) AS VARCHAR) END"
    return f"CAST(to_json({text}) AS VARCHAR)"


def _moment(source: str, kind: str) -> str:
    """An expression for the text of a time, with microseconds, or with nanoseconds if it has them."""
    if kind in _MOMENTS:
        zone = f"{source} AT TIME ZONE 'UTC'" if kind == "TIMESTAMP WITH TIME ZONE" else f"CAST({source} AS TIMESTAMP)"
        return f"strftime({zone}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    zone = f"{source} AT TIME ZONE 'UTC'" if kind == "TIMESTAMPTZ_NS" else source
    fine = f"replace(CAST({zone} AS VARCHAR), ' ', 'T') || 'Z'"  # what strftime of DuckDB 2.0.0 makes of %n is noise
    return f"CASE WHEN epoch_ns({source}) % 1000 <> 0 THEN {fine} ELSE strftime({zone}, '%Y-%m-%dT%H:%M:%S.%fZ') END"
