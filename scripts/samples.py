"""A few rows of each stream, as the sandbox makes them, for the pages of the taps.

Nothing in the sandbox is about a person, but its phones and names could be somebody's: what a schema marks as personal
is not shown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from merchant_sandbox.world import Worlds
from scripts.dbt_sources import is_personal
from scripts.describe import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["samples"]

_WIDTH, _CELL, _ROWS, _KNOWN = 118, 24, 2, 50
"""Letters in a line, letters in a cell, rows of each stream, and how many of them are looked at."""
_CUT = "…"


def samples(vendor: str) -> str:
    """The rows of all streams of a vendor as text, as many columns as fit into a line, keys first."""
    seat = Worlds("http://127.0.0.1").make("samples").seat(vendor)
    parts = (_sample(entry, seat.vendor.truth(entry["tap_stream_id"])) for entry in catalog(vendor))
    return "\n```text\n" + "\n\n".join(parts) + "\n```\n\n"


def _sample(entry: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    known = [row for row, _ in zip(rows, range(_KNOWN), strict=False)]
    members, keys = entry["schema"]["properties"], entry["key_properties"]
    telling = [name for name in members if name not in keys and _tells(name, known)]
    telling.sort(key=lambda name: name != entry.get("replication_key"))
    shown: list[list[str]] = []
    for name in (*(key for key in keys if any(key in row for row in known)), *telling):
        if is_personal(members[name]) and name not in keys:
            continue
        column = [name, *(_cell(row.get(name), members[name]) for row in known[:_ROWS])]
        if _width([*shown, column]) > _WIDTH:
            break
        shown.append(column)
    head = f"{entry['tap_stream_id']} ({len(shown)} of {len(members)} columns)"
    return "\n".join([head, *(_lines(shown) or ["  (a feed has no rows until something happens)"])])


def _tells(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column has something to show: a value, and not the same one in every row."""
    values = {json.dumps(row.get(name)) for row in rows}
    return len(values) > 1 or (len(rows) == 1 and values != {"null"})


def _cell(value: Any, schema: Mapping[str, Any]) -> str:
    if is_personal(schema):
        return "(personal)"
    if schema.get("format") == "date-time" and isinstance(value, str):
        return value[:19].replace("T", " ")
    text = json.dumps(value, ensure_ascii=False)
    text = text[1:-1] if isinstance(value, str) else text
    return text if len(text) <= _CELL else text[: _CELL - 1] + _CUT


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in columns)


def _lines(columns: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
