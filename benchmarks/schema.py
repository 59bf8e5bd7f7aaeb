"""The schema of `benchmarks.api`'s records; it imports nothing, so that every program can use it."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
WHOLE: dict[str, Any] = {"type": ["integer", "null"]}
TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def members(**properties: Any) -> dict[str, Any]:
    """An object with these properties."""
    return {"type": ["object", "null"], "properties": properties}


PAYMENTS: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "object": TEXT,
        "created": TIME,
        "updated": TIME,
        "amount": NUMBER,
        "fee": NUMBER,
        "currency": TEXT,
        "status": TEXT,
        "captured": {"type": ["boolean", "null"]},
        "attempts": WHOLE,
        "reference": TEXT,
        "description": TEXT,
        "customer": members(id=TEXT, name=TEXT, email=TEXT, country=TEXT),
        "line_items": {
            "type": ["array", "null"],
            "items": members(sku=TEXT, description=TEXT, quantity=WHOLE, unit_price=NUMBER),
        },
        "metadata": members(order_id=TEXT, channel=TEXT, ip=TEXT),
    },
}
