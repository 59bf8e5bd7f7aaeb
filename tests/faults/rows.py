"""Rows in a form that does not depend on who holds them: a tap's messages, or a warehouse."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_core.testing import without_nulls

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_core.testing import Run

__all__ = ["comparable", "decimals", "plain"]


def decimals(run: Run, stream: str) -> set[str]:
    """The columns of a stream that hold numbers which are not integers."""
    return {
        name
        for name, member in run.schema(stream)["properties"].items()
        if "number" in member["type"] or member.get("format") == "x-singer.decimal" or "x-singer.decimal" in member
    }


def plain(row: Mapping[str, Any], numbers: Collection[str]) -> dict[str, Any]:
    """A row without nulls and without the time of reading; exact decimals are compared as numbers."""
    return {
        name: f"{Decimal(str(value)).normalize():f}" if name in numbers else value
        for name, value in without_nulls(dict(row)).items()
        if name != "_read_at"
    }


def comparable(rows: Iterable[Mapping[str, Any]], numbers: Collection[str]) -> dict[str, int]:
    """Rows as texts, each with how often it comes."""
    found: dict[str, int] = {}
    for row in rows:
        text = repr(sorted(plain(row, numbers).items(), key=str))
        found[text] = found.get(text, 0) + 1
    return found
