"""Whatever a tap sends comes out of DuckDB unchanged."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.loader.harness import INTEGER, NUMBER, OBJECT, STRING, Loader, encode, schema

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
SMALL_INT = st.integers(-(2**63), 2**63 - 1)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
DECIMAL = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6)
ZONE = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENT = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONE)  # noqa: DTZ001  bounds carry no zone
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "integer": st.none() | SMALL_INT,
        "number": st.none() | DOUBLE,
        "price": st.none() | DECIMAL,
        "flag": st.none() | st.booleans(),
        "text": st.none() | TEXT,
        "day": st.none() | st.dates(),
        "at": st.none() | MOMENT,
        "json": JSON,
    },
)
SCHEMA = schema(
    "t",
    {
        "id": INTEGER,
        "integer": INTEGER,
        "number": NUMBER,
        "price": {"type": ["null", "string", "number"], "x-sql-datatype": "DECIMAL(24,6)"},
        "flag": {"type": ["null", "boolean"]},
        "text": STRING,
        "day": STRING | {"format": "date"},
        "at": STRING | {"format": "date-time"},
        "json": OBJECT,
    },
)


def wire(row: dict[str, Any], *, decimals_as_numbers: bool) -> bytes:
    """The row as a tap writes it."""
    values = {}
    for name, value in row.items():
        if isinstance(value, datetime | date):
            values[name] = value.isoformat()
        elif isinstance(value, Decimal):
            values[name] = f"<{value}>" if decimals_as_numbers else str(value)
        else:
            values[name] = value
    text = json.dumps({"type": "RECORD", "stream": "t", "record": values}, ensure_ascii=len(row) % 2 == 0)
    if "price" in row and isinstance(row["price"], Decimal) and decimals_as_numbers:
        text = text.replace(f'"<{row["price"]}>"', f"{row['price']:f}")
    return text.encode() + b"\n"


# Shrinking costs a process per step.
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rows=st.lists(ROW, min_size=1, max_size=40), decimals_as_numbers=st.booleans())
def test_values_come_back_as_they_were_sent(rows: list[dict[str, Any]], *, decimals_as_numbers: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        loader = Loader(Path(folder))
        numbered = [row | {"id": number} for number, row in enumerate(rows)]
        lines = b"".join(wire(row, decimals_as_numbers=decimals_as_numbers) for row in numbered)
        loader.load(encode([SCHEMA]) + lines)
        columns = 'id, "integer", number, price, flag, text, day, "at", json'
        found = loader.sql(f"SELECT {columns} FROM t ORDER BY id")
        for row, got in zip(numbered, found, strict=True):
            assert got[0] == row["id"]
            assert got[1:6] == tuple(row.get(name) for name in ("integer", "number", "price", "flag", "text"))
            assert got[6] == row.get("day")
            moment = row.get("at")
            assert got[7] == (moment and moment.astimezone(UTC))
            assert json.loads(got[8] or "null", parse_float=Decimal) == json.loads(
                json.dumps(row.get("json")), parse_float=Decimal
            )
