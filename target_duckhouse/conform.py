"""Make sure that DuckDB reads from a spool file exactly what the tap sent.

DuckDB's JSON reader rounds some values without a word: 1.7 into BIGINT, numbers into DECIMAL, numbers within JSON.
So each block of records runs through a decoder compiled from the table's columns, which accepts only what DuckDB is
known to keep. Such records go to the spool file as they came, byte by byte. Any other record is taken apart and
written anew, property by property, in a form that DuckDB keeps: numbers as text, JSON as text under a second name.
What fits no form is a misfit.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw

from target_duckhouse.types import decimal_size

if TYPE_CHECKING:
    from target_duckhouse.tables import Column

__all__ = ["TEXT_SUFFIX", "Conformer", "Misfit", "Undeclared", "Wider"]

TEXT_SUFFIX = "\x1ftext"
"""Ends the name under which a spool file holds the text of a JSON column."""

_INT = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_EXACT_IN_DOUBLE = Annotated[int, Meta(ge=-(2**53), le=2**53)]
_FINITE = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
_TIME = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|\+00:00)?\Z")]
# Numbers with a fraction or exponent would pass through a double, so no level of the nesting has `float`.
_JSON0 = bool | int | str | None
_JSON1 = bool | int | str | list[_JSON0] | dict[str, _JSON0] | None
_JSON2 = bool | int | str | list[_JSON1] | dict[str, _JSON1] | None
_JSON3 = bool | int | str | list[_JSON2] | dict[str, _JSON2] | None

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
    ("TIME", "TIME"): _TIME,
    ("TIME", "VARCHAR"): _TIME,
    ("TIMESTAMPTZ", "TIMESTAMPTZ"): datetime,
    ("TIMESTAMPTZ", "VARCHAR"): datetime,
    ("JSON", "JSON"): _JSON3,
}
"""What may go to the spool file as it is, by declared type and type of the column. All else is written anew."""

# Times with more than microseconds, which both decoders would round, and a lower-case zone, which DuckDB refuses.
_ODD_TIME = re.compile(rb"\.[0-9]{7}")
_TOO_FINE = re.compile(r"\.[0-9]{6}0*[1-9]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MOST_DIGITS = 1000
_SAMPLE_LENGTH = 40


class Misfit(Exception):  # noqa: N818  it is an answer, not an error: the run decides what it means
    """A value that the declared type does not allow. The message names the property and a sample, unless private."""


class Wider(Exception):  # noqa: N818
    """A value that is allowed but larger than its column.

    Args:
        column: The column as it is.
        sql: The type that holds the value.
    """

    def __init__(self, column: Column, sql: str) -> None:
        super().__init__(column.name, sql)
        self.column = column
        self.sql = sql


class Undeclared(Exception):  # noqa: N818
    """Properties that the stream's schema does not mention."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


class Conformer:
    """Turns the records of one stream into lines of a spool file.

    Args:
        columns: The columns of the stream's table.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = {column.property: column for column in columns}
        self._keys = [column for column in columns if column.key]
        self._has_times = any(column.declared == "TIMESTAMPTZ" for column in columns)
        self._decoder = _compile(columns)

    def conform(self, records: list[Raw]) -> tuple[bytes, bool]:
        """The lines of a spool file for some records, and whether they went in as they came.

        Raises:
            Misfit: A value does not fit its declared type, or a key is missing.
            Wider: A value needs a wider column.
            Undeclared: A record has properties that the schema lacks.
        """
        lines = b"\n".join(records) + b"\n"
        if self._is_plain(lines):
            return lines, True
        return b"".join(self.one(record)[0] for record in records), False

    def one(self, record: Raw) -> tuple[bytes, bool]:
        """The same as `conform` for one record."""
        line = bytes(record) + b"\n"
        return (line, True) if self._is_plain(line) else (self.rewrite(record), False)

    def _is_plain(self, lines: bytes) -> bool:
        if self._decoder is None or (self._has_times and _ODD_TIME.search(lines)):
            return False
        try:
            self._decoder.decode_lines(lines)
        except msgspec.ValidationError:
            return False
        return True

    def rewrite(self, record: Raw) -> bytes:
        """Write a record anew, each value in a form that DuckDB reads exactly. Raises as `conform` does."""
        try:
            values = msgspec.json.decode(record, type=dict[str, Raw])
        except msgspec.ValidationError:
            raise Misfit("the record is not a JSON object") from None
        pieces: list[bytes] = []
        undeclared: list[str] = []
        for name, raw in values.items():
            text = bytes(raw).decode()
            if text == "null":
                continue
            column = self._columns.get(name)
            if column is None:
                undeclared.append(name)
                continue
            key, value = _fit(column, text)
            pieces.append(msgspec.json.encode(key) + b":" + value)
        for column in self._keys:
            if bytes(values.get(column.property, b"null")) == b"null":
                raise Misfit(f"key property `{column.property}` is missing or null")
        if undeclared:
            raise Undeclared(undeclared)
        return b"{" + b",".join(pieces) + b"}\n"


def _compile(columns: tuple[Column, ...]) -> msgspec.json.Decoder[Any] | None:
    """A decoder that accepts a record exactly if DuckDB keeps every value of it; None where no record is safe."""
    if any(column.name != column.property for column in columns):
        return None
    fields: list[Any] = []
    for index, column in enumerate(columns):
        size = decimal_size(column.declared)
        kind = (
            _decimal_text(*size) if size and column.sql == column.declared else _FAST.get((column.declared, column.sql))
        )
        if column.key:
            fields.append((f"f{index}", kind if kind is not None else type(None)))
        else:
            fields.append((f"f{index}", kind | None if kind is not None else None, None))
    record = msgspec.defstruct(
        "Record",
        sorted(fields, key=len),
        rename={f"f{index}": column.property for index, column in enumerate(columns)},
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.json.Decoder(record)


def _decimal_text(precision: int, scale: int) -> Any:
    whole = f"[0-9]{{1,{precision - scale}}}" if precision > scale else "0"
    fraction = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
    return Annotated[str, Meta(pattern=rf"\A-?{whole}{fraction}\Z")]


def _fit(column: Column, text: str) -> tuple[str, bytes]:
    """Key and JSON value under which a spool file holds a value, given as JSON text."""
    value = _checked(column, text)
    if column.sql == "JSON":
        return column.name + TEXT_SUFFIX, msgspec.json.encode(text)
    if column.sql in {"BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN"}:
        return column.name, value.encode()
    return column.name, msgspec.json.encode(value)


def _checked(column: Column, text: str) -> str:  # noqa: PLR0911  one case for each type
    """A value's plain text, if its declared type allows it. Raises `Misfit` or `Wider`."""
    match column.declared:
        case "JSON":
            return text
        case "BIGINT" | "HUGEINT":
            return _integer(column, text)
        case "DOUBLE":
            return _double(column, text)
        case "BOOLEAN" if text in {"true", "false"}:
            return text
        case "VARCHAR" if text.startswith('"'):
            return str(msgspec.json.decode(text))
        case "DATE" | "TIME" | "TIMESTAMPTZ" if text.startswith('"'):
            return _moment(column, msgspec.json.decode(text), text)
        case declared if size := decimal_size(declared):
            return _decimal(column, text, *size)
        case _:
            raise _misfit(column, text)


def _integer(column: Column, text: str) -> str:
    number = _number(text)
    if number is None or number != number.to_integral_value():
        raise _misfit(column, text)
    value = int(number)
    if column.sql == "BIGINT" and not -(2**63) <= value < 2**63:
        raise Wider(column, "HUGEINT" if -(2**127) <= value < 2**127 else "VARCHAR")
    if column.sql == "HUGEINT" and not -(2**127) <= value < 2**127:
        raise Wider(column, "VARCHAR")
    if column.sql == "DOUBLE" and int(float(value)) != value:
        raise _misfit(column, text)
    return str(value)


def _double(column: Column, text: str) -> str:
    number = _number(text)
    if number is None:
        raise _misfit(column, text)
    nearest = float(text)
    # A literal with a fraction or exponent means the nearest double; one without means exactly that integer.
    is_literal_integer = text.lstrip("-").isdigit()
    if isinf(nearest) or (is_literal_integer and column.sql == "DOUBLE" and Decimal(nearest) != number):
        raise _misfit(column, text, "no DOUBLE holds it")
    return text


def _decimal(column: Column, text: str, precision: int, scale: int) -> str:
    number = _number(str(msgspec.json.decode(text)) if text.startswith('"') else text)
    if number is None:
        raise _misfit(column, text)
    plain = f"{number:f}"
    whole, _, fraction = plain.lstrip("-").partition(".")
    if len(fraction.rstrip("0")) > scale or len(whole.lstrip("0")) > precision - scale:
        raise _misfit(column, text)
    return plain


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) < _MOST_DIGITS else None


def _moment(column: Column, value: str, text: str) -> str:
    kind: Any = {"DATE": date, "TIME": _TIME, "TIMESTAMPTZ": datetime}[column.declared]
    if column.declared == "TIMESTAMPTZ" and len(value) == len("YYYY-MM-DD"):
        kind = date
    try:
        moment = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise _misfit(column, text) from None
    if _TOO_FINE.search(value):
        raise _misfit(column, text, "finer than a microsecond")
    return moment.isoformat() if isinstance(moment, date) and column.sql != "VARCHAR" else value


def _misfit(column: Column, text: str, why: str = "") -> Misfit:
    if column.pii:
        sample = "its value is private and not shown"
    else:
        sample = f"got {text}" if len(text) <= _SAMPLE_LENGTH else f"got {text[:_SAMPLE_LENGTH]}…"
    reason = f", {why}" if why else ""
    return Misfit(f"property `{column.property}` must be {column.declared}{reason}: {sample}")
