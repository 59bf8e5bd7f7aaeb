"""Cutting pages out of lists, with the paging faults of the request applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merchant_sandbox.http import ServerRequest

__all__ = ["cut", "view"]

_T = TypeVar("_T")


def view(request: ServerRequest, rows: Sequence[_T]) -> Sequence[_T]:
    """The rows as this request sees them: without those not yet inserted or already deleted."""
    for kind, details in request.effects.items():
        position, count = int(details.get("position", 0)), int(details.get("rows", 1))
        if kind in {"insert", "delete"}:
            rows = [*rows[:position], *rows[position + count :]]
        elif kind == "duplicate":
            again = position + int(details.get("gap", 100))
            rows = [*rows[:again], *rows[position : position + count], *rows[again:]]
    return rows


def cut(
    request: ServerRequest, rows: Sequence[_T], offset: int, limit: int, *, cap: int | None = None
) -> tuple[Sequence[_T], int]:
    """One page of rows, and the total number of rows that this request sees.

    Args:
        request: The request, for its faults.
        rows: All rows of the list.
        offset: Number of rows before the page.
        limit: Number of rows asked for.
        cap: Most rows that the server gives, whatever is asked for.
    """
    effects: dict[str, dict[str, Any]] = request.effects
    if effects:
        rows = view(request, rows)
        if "page_cap" in effects:
            cap = int(effects["page_cap"].get("rows", 10))
        if "ignore_page_size" in effects:
            limit = int(effects["ignore_page_size"].get("rows", 10))
        if "ignore_page" in effects:
            offset = 0
        if "empty_page" in effects:
            return [], len(rows)
        if "oversize" in effects:
            limit, cap = limit + int(effects["oversize"].get("rows", 50)), None
    if cap is not None:
        limit = min(limit, cap)
    return rows[offset : offset + limit], len(rows) + int(effects["total"].get("by", 10) if "total" in effects else 0)
