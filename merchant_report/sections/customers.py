"""Customers: how many the vendors know, and how many of them are the same; counts alone, never who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merchant_report.charts import bars, columns, ranked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import after_before, be, change, count, month, number, of_account, percent, series, was

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from merchant_report.marts import Marts

__all__ = ["customers"]

_MONTHS = 13
_KNOWN = """
SELECT count(*), count(*) FILTER (vendors > 1),
    count(*) FILTER (day_of(first_seen_at) >= $start AND day_of(first_seen_at) < $until),
    count(*) FILTER (day_of(first_seen_at) >= $before AND day_of(first_seen_at) < $start)
FROM {mart}
"""
_SURE = "SELECT confidence, matched_by, count(*) FROM {mart} WHERE vendors > 1 GROUP BY ALL"
_FIRST = """
SELECT date_trunc('month', day_of(first_seen_at))::DATE, count(*) FROM {mart}
WHERE day_of(first_seen_at) < $until GROUP BY ALL ORDER BY ALL
"""
_MATCHING = """
SELECT vendor, records, with_email, with_phone, customers, matched_customers, note,
    CASE WHEN count(*) OVER (PARTITION BY vendor) > 1 THEN account END
FROM {mart} ORDER BY customers DESC, vendor, account
"""
_SURENESS = {"high": "e-mail and phone", "medium": "e-mail", "low": "phone alone"}
_NAMES = {"peakium": "Peakium", "peek": "Peek", "peerassist": "PeerAssist", "pegke": "Pegke"}


def customers(marts: Marts) -> Section:
    """Known customers, matches between vendors, and first visits."""
    week = marts.week
    periods = {"start": week.start, "until": week.until, "before": week.before.start}
    everybody, shared, new, before = next(iter(marts.rows("customers", _KNOWN, **periods)), (0, 0, 0, 0))
    vendors = marts.rows("customer_matching", _MATCHING)
    telling = [row for row in vendors if row[4]]
    sentences = []
    if new or before:
        sentences.append(
            f"{count(new, 'customer').capitalize()} {was(new)} seen for the first time{after_before(new, before)}."
        )
    known = len({row[0] for row in telling})
    if everybody and known > 1:
        some = f"{count(shared, 'customer').capitalize()} of {number(everybody)}"
        sentences.append(f"{some} {be(shared)} known to more than one vendor.")
    return Section(
        "customers",
        "Customers",
        sentences=sentences,
        tiles=[
            Tile("Customers", number(everybody), f"known to {count(known, 'vendor')}"),
            Tile("Known to several vendors", number(shared), f"{percent(shared / everybody)} of all"),
            Tile("New customers", number(new), change(new, before, number(before)), "past week"),
        ]
        if everybody
        else (),
        figures=[*_by_vendor(telling), *_sureness(marts), *_first(marts)] if everybody else (),
        notes=[f"{_name(row)}: {row[6]}" for row in vendors if row[6] and row[1]],
    )


def _name(row: tuple[Any, ...]) -> str:
    return of_account(_NAMES.get(row[0], row[0]), row[7])


def _by_vendor(vendors: Sequence[tuple[Any, ...]]) -> list[Figure]:
    if not vendors:
        return []
    return [
        Figure(
            "Customers by vendor; in colour, those another vendor knows too",
            ranked(
                [
                    (_name(row), matched, known, f"{number(matched)} of {number(known)}")
                    for row in vendors
                    for known, matched in [row[4:6]]
                ]
            ),
            f"A bar for each vendor: {series(f'{_name(row)} knows {number(row[4])}' for row in vendors)}.",
            Table(
                "Records and customers by vendor",
                ("Vendor", "Records", "With e-mail", "With phone", "Customers", "Known to another"),
                [(_name(row), *(number(value) for value in row[1:6])) for row in vendors],
            ),
        )
    ]


def _sureness(marts: Marts) -> list[Figure]:
    found = {level: many for level, _, many in marts.rows("customers", _SURE)}
    if not found:
        return []
    return [
        Figure(
            "What agrees, of customers known to several vendors",
            columns({name: (found.get(level, 0), number(found.get(level, 0))) for level, name in _SURENESS.items()}),
            f"A bar for each: {series(f'{name} {number(found.get(level, 0))}' for level, name in _SURENESS.items())}.",
            Table(
                "Matches by how sure they are",
                ("Confidence", "What agrees", "Customers"),
                [(level, name, number(found.get(level, 0))) for level, name in _SURENESS.items()],
                words=("What agrees",),
            ),
        )
    ]


def _first(marts: Marts) -> list[Figure]:
    found = marts.rows("customers", _FIRST, until=marts.week.until)[-_MONTHS:]
    if not found:
        return []
    return [
        Figure(
            "Customers by the month in which they were first seen",
            bars(found, "month", found[-1][0]),
            f"Bars for each month; {month(found[-1][0])} has {number(found[-1][1])}.",
            Table(
                "Customers by month",
                ("Month", "Customers"),
                [(month(when), number(many)) for when, many in reversed(found)],
            ),
        )
    ]
