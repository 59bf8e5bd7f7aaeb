"""From a stream's schema to Spark's columns, and from a tap's rows to Arrow batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from merchant_spark.errors import ReadError

__all__ = ["KEY", "Column", "Rows", "columns_of", "struct_of"]

KEY = "merchant_taps.key"
"""In the metadata of Spark's columns: whether a column belongs to the key of its stream."""

Kind = Literal["text", "integer", "number", "boolean", "decimal", "date", "time", "mixed", "json"]

_TYPES: Mapping[Kind, tuple[Any, DataType]] = {
    "text": (str, StringType()),
    "integer": (int, LongType()),
    "number": (float, DoubleType()),
    "boolean": (bool, BooleanType()),
    "decimal": (Decimal, DecimalType(38, 10)),
    "date": (date, DateType()),
    "time": (datetime, TimestampType()),
    "mixed": (msgspec.Raw, StringType()),
    "json": (msgspec.Raw, StringType()),
}
"""What a value is in Python, and in Spark. The types are those that target-duckhouse gives its columns."""

_FORMATS: Mapping[str, Kind] = {
    "date": "date",
    "date-time": "time",
    "x-singer.decimal": "decimal",
    "singer.decimal": "decimal",
}
_NESTED = {"object", "array"}
_NULL = msgspec.Raw(b"null")


@dataclass(frozen=True)
class Column:
    """A column of a stream.

    Args:
        name: Its name.
        kind: What its values are; ``json`` is JSON as text, ``mixed`` is text or a number as text.
        nullable: Whether it may be null.
        key: Whether it belongs to the stream's key.
        comment: What it means.
    """

    name: str
    kind: Kind
    nullable: bool
    key: bool
    comment: str


def columns_of(schema: Mapping[str, Any], keys: Collection[str], *, decimals_as_text: bool) -> list[Column]:
    """The columns of a stream.

    Args:
        schema: Its JSON schema.
        keys: Its key.
        decimals_as_text: Exact decimals become text, with all their digits.
    """
    found = []
    for name, declared in schema["properties"].items():
        kinds = declared.get("type") or ["object", "null"]
        kinds = {kinds} if isinstance(kinds, str) else {*kinds}
        kind = _kind(kinds - {"null"}, declared.get("format", ""))
        if kind == "decimal" and decimals_as_text:
            kind = "text"
        found.append(Column(name, kind, "null" in kinds, name in keys, declared.get("description", "")))
    return found


def _kind(kinds: Collection[str], form: str) -> Kind:
    match sorted(kinds):
        case ["string"]:
            return _FORMATS.get(form, "text")
        case ["integer" | "number" | "boolean" as kind]:
            return kind
        case _:
            return "json" if _NESTED & {*kinds} else "mixed"


def struct_of(columns: Sequence[Column]) -> StructType:
    """The columns as Spark sees them."""
    return StructType(
        [
            StructField(
                column.name, _TYPES[column.kind][1], column.nullable, {"comment": column.comment, KEY: column.key}
            )
            for column in columns
        ]
    )


class Rows:
    """Decodes a tap's messages and makes Arrow batches of their rows.

    Args:
        stream: The stream's name, for errors.
        columns: The columns, in the order in which Spark wants them.
        schema: The columns as Spark has them; it compares batches with it.
    """

    def __init__(self, stream: str, columns: Sequence[Column], schema: StructType) -> None:
        self._stream = stream
        self._columns = columns
        self._schema = to_arrow_schema(schema, timezone="UTC")
        names = [f"field_{number}" for number in range(len(columns))]
        row = msgspec.defstruct(
            "Row",
            [(name, *_member(column.kind)) for name, column in zip(names, columns, strict=True)],
            rename=dict(zip(names, (column.name for column in columns), strict=True)),
            gc=False,
        )
        message: Any = msgspec.defstruct("Message", [("record", row | None, None)], gc=False)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(message).decode
        self._astuple = msgspec.structs.astuple
        self._found: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: bytes) -> None:
        """Take a message; only records count.

        Raises:
            ReadError: A record is not as its schema says.
        """
        try:
            record = self._decode(line).record
        except msgspec.ValidationError as error:
            raise ReadError(f"{self._stream}: a row is not as its schema says: {error}") from None
        if record is not None:
            self._found.append(self._astuple(record))

    def batch(self) -> pa.RecordBatch:
        """The rows since the last batch.

        Raises:
            ReadError: A value does not fit the type of its column.
        """
        values = zip(*self._found, strict=True) if self._found else [()] * len(self._columns)
        arrays = [self._array(*each) for each in zip(self._columns, self._schema, values, strict=True)]
        self._found.clear()
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _array(self, column: Column, field: pa.Field, values: Sequence[Any]) -> pa.Array:
        if shape := _TEXTS.get(column.kind):
            values = list(map(shape, values))
        try:
            return pa.array(values, type=field.type)
        except (pa.ArrowException, OverflowError):
            other = "; option('decimals', 'text') keeps all digits" if column.kind == "decimal" else ""
            raise ReadError(f"{self._stream}: a value of {column.name!r} does not fit {field.type}{other}") from None


def _member(kind: Kind) -> tuple[Any, Any]:
    """The type of a row's member, and what it is where it is absent: the same as null."""
    python = _TYPES[kind][0]
    return (python, _NULL) if python is msgspec.Raw else (python | None, None)


def _json(value: msgspec.Raw) -> str | None:
    text = bytes(value).decode()
    return None if text == "null" else text


def _mixed(value: msgspec.Raw) -> str | None:
    text = _json(value)
    return msgspec.json.decode(text, type=str) if text and text.startswith('"') else text


_TEXTS: Mapping[Kind, Callable[[msgspec.Raw], str | None]] = {"json": _json, "mixed": _mixed}
