"""From a property's JSON schema to the type of its column, and the type that holds the values of two types."""

from __future__ import annotations

import math
import re
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "LARGE",
    "MAX_PRECISION",
    "UNSIZED_DECIMAL",
    "conversion",
    "decimal_size",
    "is_one_text",
    "join",
    "sql_type",
    "told",
]

_DECIMAL_PATTERN = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
MAX_PRECISION = 38
"""The most digits that a DECIMAL can have."""

LARGE = 1e38
"""From this DOUBLE on, the text of an integer has an exponent."""

UNSIZED_DECIMAL = "DECIMAL(38,10)"
"""The type of a decimal whose schema gives neither precision nor scale."""

_DEEPEST_REFERENCE = 8
_INT64 = (-(2**63), 2**63 - 1)

_STRING_FORMATS = {"date-time": "TIMESTAMPTZ", "date": "DATE", "time": "TIME"}
_DECIMAL_FORMATS = frozenset({"x-singer.decimal", "singer.decimal"})
_EXPLICIT = {
    "BIGINT": "BIGINT",
    "INT8": "BIGINT",
    "INTEGER": "BIGINT",
    "INT": "BIGINT",
    "SMALLINT": "BIGINT",
    "HUGEINT": "HUGEINT",
    "DOUBLE": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "FLOAT": "DOUBLE",
    "REAL": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "VARCHAR": "VARCHAR",
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "JSON": "JSON",
    "JSONB": "JSON",
}


def sql_type(schema: Any, root: dict[str, Any] | None = None) -> str:
    """The DuckDB type of a property.

    Args:
        schema: The property's JSON schema.
        root: The stream's schema, in which a ``$ref`` is looked up.
    """
    kinds = set(_kinds(schema, root or {}, depth=0)) - {"null"}
    return reduce(_join_kinds, sorted(kinds)) if kinds else "JSON"


def _kinds(schema: Any, root: dict[str, Any], depth: int) -> Iterator[str]:
    """The column type of every branch of a schema; ``null`` for a branch that allows only null."""
    if not isinstance(schema, dict) or depth > _DEEPEST_REFERENCE:
        yield "JSON"
        return
    if explicit := _explicit(schema):
        yield explicit
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _kinds(_look_up(reference, root), root, depth + 1)
        return
    for word in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(word), list):
            for branch in branches:
                yield from _kinds(branch, root, depth + 1)
            return
    names = schema.get("type")
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not names:
        yield "JSON"
        return
    for name in names:
        yield _kind(name, schema)


def _explicit(schema: dict[str, Any]) -> str | None:
    wanted = schema.get("x-sql-datatype")
    if not isinstance(wanted, str):
        return None
    wanted = " ".join(wanted.upper().split())
    if match := re.fullmatch(r"(?:DECIMAL|NUMERIC|NUMBER)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", wanted):
        return _decimal(int(match[1]), int(match[2] or 0)) or UNSIZED_DECIMAL
    if match := re.fullmatch(r"(?:VARCHAR|CHAR)\s*\(\s*\d+\s*\)", wanted):
        return "VARCHAR"
    return _EXPLICIT.get(wanted)


def _kind(name: object, schema: dict[str, Any]) -> str:  # noqa: PLR0911  one case for each type
    match name:
        case "integer":
            bounds = [bound for word in ("minimum", "maximum") if isinstance(bound := schema.get(word), int | float)]
            return "HUGEINT" if any(not _INT64[0] <= bound <= _INT64[1] for bound in bounds) else "BIGINT"
        case "number":
            return _declared_decimal(schema) or "DOUBLE"
        case "string" if str(schema.get("format")) in _DECIMAL_FORMATS:
            return _declared_decimal(schema) or UNSIZED_DECIMAL
        case "string":
            return _STRING_FORMATS.get(str(schema.get("format")), "VARCHAR")
        case "boolean":
            return "BOOLEAN"
        case "null" | None:
            return "null"
        case _:
            return "JSON"


def _declared_decimal(schema: dict[str, Any]) -> str | None:
    precision = schema.get("precision")
    if not isinstance(precision, int):
        return _decimal_by_bounds(schema)
    scale = schema.get("scale")
    return _decimal(precision, scale if isinstance(scale, int) else 0) or UNSIZED_DECIMAL


def _decimal_by_bounds(schema: dict[str, Any]) -> str | None:
    """A decimal whose size is given as ``multipleOf: 1e-06`` and ``maximum: 1000000``, as some taps do.

    A side without a bound leaves room for as many digits as there are.
    """
    power, digits = _power_of_ten(schema.get("multipleOf")), _power_of_ten(schema.get("maximum"))
    if power is None or digits is None or not 0 <= -power <= MAX_PRECISION or digits > MAX_PRECISION:
        return None
    scale = -power
    sides = (_whole_digits(schema, "maximum", 1), _whole_digits(schema, "minimum", -1))
    whole = max(MAX_PRECISION - scale if side is None else side for side in sides)
    return _decimal(max(whole + scale, 1), scale) or UNSIZED_DECIMAL


def _whole_digits(schema: dict[str, Any], side: str, sign: int) -> int | None:
    """How many digits before the point the values up to a bound have, or those down to it; None without a bound.

    The bound itself is a value, unless the schema excludes it.
    """
    excluded = schema.get(f"exclusive{side.capitalize()}")
    bound = schema.get(side)
    if not _is_number(bound):
        bound, excluded = excluded, True
    if not _is_number(bound):
        return None
    if bound * sign <= 0:
        return 0
    if excluded is True and (power := _power_of_ten(abs(bound))) is not None:
        return max(power, 0)
    return len(str(int(abs(bound))).lstrip("0"))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _power_of_ten(number: object) -> int | None:
    """The exponent of a power of ten, such as -2 for 0.01; None for anything else."""
    if not _is_number(number) or number <= 0:
        return None
    power = round(math.log10(number))
    return power if number == (10**power if power >= 0 else float(f"1e{power}")) else None


def _decimal(precision: int, scale: int) -> str | None:
    """The type, if there is one of that size."""
    return f"DECIMAL({precision},{scale})" if 0 <= scale <= precision <= MAX_PRECISION and precision else None


def _look_up(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def decimal_size(sql: str) -> tuple[int, int] | None:
    """Precision and scale of a DECIMAL type, None for every other type."""
    match = _DECIMAL_PATTERN.fullmatch(sql)
    return (int(match[1]), int(match[2])) if match else None


_TEXTS = frozenset({"VARCHAR", "DATE", "TIME", "TIMESTAMPTZ"})


def _join_kinds(a: str, b: str) -> str:
    """The type of a property that may be of two kinds: JSON, unless one kind includes the other."""
    if {a, b} <= _TEXTS:
        return a if a == b else "VARCHAR"
    joined = join(a, b)
    return "JSON" if joined == "VARCHAR" else joined


def join(a: str, b: str) -> str:  # noqa: PLR0911  one return for each pair of types
    """The narrowest type that holds every value of both types without changing its meaning.

    ``BIGINT`` widens to ``HUGEINT``, integers and decimals to ``DOUBLE`` or a larger ``DECIMAL``, everything else
    to ``VARCHAR``; anything joined with ``JSON`` is ``JSON``. The caller must check whether the values that a table
    already holds survive ``DOUBLE``.
    """
    if a == b:
        return a
    pair = {a, b}
    if "JSON" in pair:
        return "JSON"
    if pair == {"BIGINT", "HUGEINT"}:
        return "HUGEINT"
    if pair <= {"BIGINT", "HUGEINT", "DOUBLE"}:
        return "DOUBLE"
    sizes = [_as_decimal(kind) for kind in (a, b)]
    if sizes[0] and sizes[1]:
        scale = max(sizes[0][1], sizes[1][1])
        return _decimal(max(sizes[0][0] - sizes[0][1], sizes[1][0] - sizes[1][1]) + scale, scale) or "VARCHAR"
    if pair == {"DATE", "TIMESTAMPTZ"}:
        return "TIMESTAMPTZ"
    return "VARCHAR"


def _as_decimal(sql: str) -> tuple[int, int] | None:
    return (19, 0) if sql == "BIGINT" else decimal_size(sql)


def is_one_text(old: str, declared: str) -> bool:
    """Whether a value has one text, whichever of two types it had when a column became text or JSON.

    Args:
        old: The type of the column.
        declared: The type that the stream's schema asks for.
    """
    if old in {"DOUBLE", "TIME", "TIMESTAMPTZ"}:
        return False
    return not decimal_size(old) or declared in {"BIGINT", "HUGEINT"} or decimal_size(declared) is not None


def conversion(value: str, old: str, new: str) -> str:
    """An SQL expression that converts a value from one type to a wider one.

    A number that becomes text has the form that `exact_text` gives to those that arrive later.
    """
    if old == "TIMESTAMPTZ" and new in {"VARCHAR", "JSON"}:
        value = f"strftime({value} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if new == "VARCHAR" and old == "DOUBLE":
        is_short = f"abs({value}) >= {LARGE} OR {value} <> trunc({value})"
        return f"CASE WHEN {is_short} THEN CAST({value} AS VARCHAR) ELSE CAST(CAST({value} AS HUGEINT) AS VARCHAR) END"
    if new == "VARCHAR" and (size := decimal_size(old)) and size[1]:
        return f"rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.')"
    return f"to_json({value})" if new == "JSON" else f"CAST({value} AS {new})"


def told(text: str, kind: str) -> str:
    """An SQL expression for what a message tells beside its records as a text, NULL if it is nothing of the kind.

    A time is read as the values of records are: with a small z or t, too, and no words such as ``infinity``.

    Args:
        text: The text, as an SQL expression.
        kind: The type.
    """
    if kind in {"DATE", "TIME", "TIMESTAMPTZ"}:
        text = f"CASE WHEN {text} BETWEEN '0' AND ':' THEN upper({text}) END"
    return f"TRY_CAST({text} AS {kind})"
