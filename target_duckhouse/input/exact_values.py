"""The exact text of one value for its column, or why there is none."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from target_duckhouse.warehouse.types import LARGE, MAX_PRECISION, UNSIZED_DECIMAL, decimal_size

if TYPE_CHECKING:
    from target_duckhouse.warehouse.tables import Column

__all__ = ["TIME", "BadRecord", "Wider", "exact_text"]

TIME = Annotated[str, Meta(pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]00:00)?\Z")]
"""A time of day in UTC with microseconds at most, as DuckDB reads it: from 2.0.1 on not with a small z."""

_TOO_FINE = re.compile(r"\.[0-9]{6}0*[1-9]")
_FINEST = re.compile(r"(\.[0-9]{6})[0-9]+")
_FINER = "finer than a microsecond"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(?:u(....)|.)")
_MOST_DIGITS = 1000
_HUGEINT = 10**38
"""A little less than the type holds, so that a DECIMAL in a Parquet file holds it too."""

_SAMPLE_LENGTH = 40


class BadRecord(Exception):  # noqa: N818  an answer, not an error: the caller decides what it means
    """A record with a value that its schema does not allow, or without its key.

    The message names the property and shows a sample of the value, unless that is private.
    """


class Wider(Exception):  # noqa: N818  as above
    """A value that is allowed but larger than its column.

    Args:
        column: The column as it is.
        sql: The type that holds the value.
    """

    def __init__(self, column: Column, sql: str) -> None:
        super().__init__(column.name, sql)
        self.column = column
        self.sql = sql


def exact_text(column: Column, text: str) -> str:  # noqa: PLR0911  one case for each type
    """Return the exact text, for a column, of a value given as JSON text.

    Raises:
        BadRecord: The declared type does not allow the value.
        Wider: The value needs a wider column.
    """
    match column.declared:
        case "JSON" if column.sql == "JSON":
            return _json_text(text) if text.startswith('"') else msgspec.json.format(text, indent=-1)
        case "BIGINT" | "HUGEINT":
            return _integer(column, text)
        case "DOUBLE":
            return _double(column, text)
        case "BOOLEAN" if text in {"true", "false"}:
            return text
        case "VARCHAR" if text.startswith('"'):
            return _json_text(text) if column.sql == "JSON" else str(msgspec.json.decode(text))
        case "DATE" | "TIME" | "TIMESTAMPTZ" if text.startswith('"'):
            moment = _moment(column, msgspec.json.decode(text), text)
            return _json_text(text) if column.sql == "JSON" else moment
        case declared if size := decimal_size(declared):
            return _decimal(column, text, *size)
        case _:
            raise _bad(column, text)


def _json_text(text: str) -> str:
    """A text in JSON, as DuckDB writes it: without escapes that are not needed."""
    written = msgspec.json.encode(msgspec.json.decode(text)).decode()
    return _ESCAPE.sub(lambda found: rf"\u{found[1].upper()}" if found[1] else found[0], written)


def _integer(column: Column, text: str) -> str:
    number = _number(text)
    if number is None or number != number.to_integral_value():
        raise _bad(column, text)
    value = int(number)
    if column.sql == "BIGINT" and not -(2**63) <= value < 2**63:
        raise Wider(column, "HUGEINT" if abs(value) < _HUGEINT else "VARCHAR")
    if column.sql == "HUGEINT" and abs(value) >= _HUGEINT:
        raise Wider(column, "VARCHAR")
    if (size := decimal_size(column.sql)) and abs(value) >= 10 ** (size[0] - size[1]):
        raise Wider(column, "VARCHAR")
    if column.sql == "DOUBLE" and not _is_double(value):
        raise Wider(column, "VARCHAR")
    return str(value)


def _is_double(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _double(column: Column, text: str) -> str:
    number = _number(text)
    if number is None:
        raise _bad(column, text)
    nearest = float(text)
    # A literal with a fraction or exponent means the nearest double; one without means exactly that integer.
    is_literal_integer = text.lstrip("-").isdigit()
    is_held = not (isinf(nearest) or (is_literal_integer and Decimal(nearest) != number))
    if column.sql == "DOUBLE" and not is_held:
        raise Wider(column, "VARCHAR")
    if column.sql != "VARCHAR":
        return text
    if not is_held:
        return _plain(number)
    # One text for a value, as `conversion` writes it: it may be a key.
    return str(int(nearest)) if nearest.is_integer() and abs(nearest) < LARGE else repr(nearest)


def _decimal(column: Column, text: str, precision: int, scale: int) -> str:
    number = _number(str(msgspec.json.decode(text)) if text.startswith('"') else text)
    if number is None:
        raise _bad(column, text)
    plain = f"{number:f}"
    whole, _, fraction = plain.lstrip("-").partition(".")
    too_fine = len(fraction.rstrip("0")) > scale
    if too_fine or len(whole.lstrip("0")) > precision - scale:
        # A decimal of as many digits as there can be was chosen because the schema does not bound the values.
        is_unbounded = column.declared == UNSIZED_DECIMAL or (precision == MAX_PRECISION and not too_fine)
        if not is_unbounded:
            raise _bad(column, text)
        if decimal_size(column.sql):
            raise Wider(column, "VARCHAR")
    return _plain(number) if column.sql == "VARCHAR" else plain


def _plain(number: Decimal) -> str:
    """The digits of a number, without an exponent, a fraction that is zero, or zeros at the end of one."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) < _MOST_DIGITS else None


def _moment(column: Column, value: str, text: str) -> str:
    kind: Any = {"DATE": date, "TIME": TIME, "TIMESTAMPTZ": datetime}[column.declared]
    if column.declared == "TIMESTAMPTZ" and len(value) == len("YYYY-MM-DD"):
        kind = date
    try:
        moment = msgspec.convert(_FINEST.sub(r"\1", value.upper()) if kind is TIME else value, kind)
    except msgspec.ValidationError:
        raise _bad(column, text) from None
    if _TOO_FINE.search(value):
        raise _bad(column, text, _FINER)
    if column.sql == "VARCHAR":
        return value
    return moment.isoformat() if isinstance(moment, date) else str(moment)


def _bad(column: Column, text: str, why: str = "") -> BadRecord:
    if column.pii:
        sample = "its value is private and not shown"
    else:
        sample = f"got {text}" if len(text) <= _SAMPLE_LENGTH else f"got {text[:_SAMPLE_LENGTH]}…"
    reason = f", {why}" if why else ""
    return BadRecord(f"property `{column.property}` must be {column.declared}{reason}: {sample}")
