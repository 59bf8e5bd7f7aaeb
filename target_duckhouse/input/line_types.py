"""The types of lines that DuckDB reads exactly: what a decoder accepts, DuckDB keeps."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from target_duckhouse.input.exact_values import TIME
from target_duckhouse.input.json_texts import PLAIN_JSON, keeps_text
from target_duckhouse.warehouse.types import decimal_size

if TYPE_CHECKING:
    from collections.abc import Collection

    from target_duckhouse.warehouse.tables import Column

__all__ = ["OVERRIDES", "TIME_TEXT", "StateLine", "is_hard", "lines_decoder", "record_type", "strict_type"]

OVERRIDES = "__text"
"""Member of a line in a spool file with the texts, by column, that replace the record's own values."""

_INT = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_EXACT_IN_DOUBLE = Annotated[int, Meta(ge=-(2**53), le=2**53)]
_FINITE = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]

TIME_TEXT = Annotated[str, Meta(title="checked by its column")]
"""A date-time: it is decoded with all others of its column, because its text is looked at, too."""

_NULL = Raw(b"null")

_FAST: dict[tuple[str, str], Any] = {
    ("BIGINT", "BIGINT"): _INT,
    ("BIGINT", "HUGEINT"): _INT,
    ("BIGINT", "DOUBLE"): _EXACT_IN_DOUBLE,
    ("BIGINT", "VARCHAR"): _INT,
    ("BIGINT", "JSON"): _INT,
    ("HUGEINT", "HUGEINT"): _INT,
    ("HUGEINT", "VARCHAR"): _INT,
    ("DOUBLE", "DOUBLE"): _EXACT_IN_DOUBLE | _FINITE,
    ("BOOLEAN", "BOOLEAN"): bool,
    ("BOOLEAN", "JSON"): bool,
    ("VARCHAR", "VARCHAR"): str,
    ("VARCHAR", "JSON"): str,
    ("DATE", "DATE"): date,
    ("DATE", "VARCHAR"): date,
    ("TIME", "TIME"): TIME,
    ("TIME", "VARCHAR"): TIME,
    ("TIMESTAMPTZ", "TIMESTAMPTZ"): TIME_TEXT,
    ("TIMESTAMPTZ", "VARCHAR"): TIME_TEXT,
    ("JSON", "JSON"): PLAIN_JSON,
}
"""What may go to the spool file unchanged, by declared type and column type. Everything else is rewritten."""


class StateLine(msgspec.Struct, tag_field="type", tag="STATE", gc=False):
    """A STATE message among records."""

    value: Raw


def is_hard(column: Column) -> bool:
    """Whether even values of the declared type may have to be replaced by their exact text."""
    if keeps_text(column):
        return False
    return strict_type(column) is None or column.sql == "JSON" or decimal_size(column.sql) is not None


def lines_decoder(stream: str, record: Any, version: int | None) -> msgspec.json.Decoder[Any]:
    """A decoder of a stream's lines.

    Args:
        stream: The stream's name.
        record: The `record_type` of its records.
        version: The version of the records.
    """
    line = msgspec.defstruct(
        "Line",
        [
            ("stream", Literal[stream]),
            ("record", record),
            ("version", None, None) if version is None else ("version", Literal[version]),
            ("overrides", Annotated[str, Meta(max_length=0)], ""),  # only the loader may write it
        ],
        rename={"overrides": OVERRIDES},
        tag_field="type",
        tag="RECORD",
        gc=False,
    )
    return msgspec.json.Decoder(line | StateLine)


def record_type(columns: tuple[Column, ...], *, raw: Collection[str]) -> Any:
    """The type that accepts a record if, and only if, DuckDB keeps every value in it.

    Args:
        columns: The columns of the stream's table.
        raw: Names of columns whose values are left undecoded, for a closer look.
    """
    fields: list[Any] = []
    for index, column in enumerate(columns):
        name = f"f{index}"
        kind = Raw if column.name in raw else strict_type(column)
        if column.key:
            fields.append((name, kind))
        elif kind is Raw:
            fields.append((name, Raw, _NULL))
        else:
            fields.append((name, None if kind is None else kind | None, None))
    return msgspec.defstruct(
        "Record",
        sorted(fields, key=len),
        rename={f"f{index}": column.property for index, column in enumerate(columns)},
        forbid_unknown_fields=True,
        gc=False,
    )


def strict_type(column: Column) -> Any:
    """The type that msgspec must accept for DuckDB to keep a value; None if values always need a closer look."""
    size = decimal_size(column.declared)
    if size and column.sql == column.declared:
        return _decimal_text(*size)
    return _FAST.get((column.declared, column.sql))


def _decimal_text(precision: int, scale: int) -> Any:
    whole = f"[0-9]{{1,{precision - scale}}}" if precision > scale else "0"
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return Annotated[str, Meta(pattern=rf"\A-?{whole}{fraction}\Z")]
