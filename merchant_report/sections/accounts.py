"""Accounts side by side, where a vendor has more than one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merchant_report.content import Section, Table
from merchant_report.wording import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from typing import Any

    from merchant_report.marts import Marts

__all__ = ["accounts"]

_MONEY = """
SELECT account, currency, coalesce(sum(payments) FILTER (date_day >= $start), 0)::BIGINT,
    coalesce(sum(gross) FILTER (date_day >= $start), 0), coalesce(sum(net) FILTER (date_day >= $start), 0),
    coalesce(sum(net) FILTER (date_day < $start), 0)
FROM {mart}
WHERE date_day >= $before AND date_day < $until
    AND vendor IN (SELECT vendor FROM {mart} GROUP BY vendor HAVING count(DISTINCT account) > 1)
GROUP BY ALL ORDER BY any_value(vendor), account, 3 DESC, currency
"""
_RECURRING = """
SELECT account, currency, paying_customers, opening_mrr, closing_mrr FROM {mart}
WHERE date_month = (SELECT max(date_month) FROM {mart}) ORDER BY account, paying_customers DESC, currency
"""
_BOOKED = """
SELECT account, count(*) FILTER (confirmed_date >= $start AND confirmed_date < $until),
    coalesce(sum(seats) FILTER (confirmed_date >= $start AND confirmed_date < $until), 0)::BIGINT,
    count(*) FILTER (is_cancelled AND day_of(cancelled_at) >= $start AND day_of(cancelled_at) < $until)
FROM {mart} GROUP BY account ORDER BY account
"""
_POINTS = """
SELECT account, coalesce(sum(visits) FILTER (date_day >= $start), 0)::BIGINT,
    coalesce(sum(earned) FILTER (date_day >= $start), 0), coalesce(sum(burnt) FILTER (date_day >= $start), 0),
    arg_max(balance, date_day)
FROM {mart} WHERE date_day < $until GROUP BY account ORDER BY account
"""
_ORDERS = """
SELECT account, count(*) FILTER (is_open), count(*) FILTER (is_overdue),
    coalesce(sum(amount) FILTER (is_open), 0), count(*) FILTER (created_date >= $start AND created_date < $until)
FROM {mart} WHERE NOT is_deleted GROUP BY account ORDER BY account
"""


def accounts(marts: Marts) -> list[Section]:
    """What each account brought, a table for each kind of business; nothing where each vendor has one account."""
    week = marts.week
    days = {"start": week.start, "until": week.until}
    found = [
        _table(
            f"Money from {week}, by account",
            ("Account", "Currency", "Payments", "Gross", "Net", "Net the week before"),
            [
                (account, currency, number(payments), *(marts.money.figure(amount, currency) for amount in amounts))
                for account, currency, payments, *amounts in _rows(
                    marts, "revenue_by_day", _MONEY, {**days, "before": week.before.start}
                )
            ],
        ),
        _table(
            "Recurring revenue of this month, by account",
            ("Account", "Currency", "Paying customers", "MRR at its start", "MRR now"),
            [
                (account, currency, number(paying), *(marts.money.figure(amount, currency) for amount in amounts))
                for account, currency, paying, *amounts in _rows(marts, "mrr_by_month", _RECURRING, {})
            ],
        ),
        _table(
            f"Bookings from {week}, by account",
            ("Account", "Confirmed", "Seats", "Cancelled"),
            [
                (account, *(number(value) for value in values))
                for account, *values in _rows(marts, "bookings", _BOOKED, days)
            ],
        ),
        _table(
            f"Loyalty from {week}, by account",
            ("Account", "Visits", "Points earned", "Redeemed", "Outstanding"),
            [
                (account, number(visits), *(number(points, 2) for points in moved))
                for account, visits, *moved in _rows(marts, "loyalty_by_day", _POINTS, days)
            ],
        ),
        _table(
            "Field work, by account",
            ("Account", "Open orders", "Overdue", "Open amount", "Opened in the past week"),
            [
                (account, number(still), number(overdue), number(amount, 2), number(new))
                for account, still, overdue, amount, new in _rows(marts, "work_orders", _ORDERS, days)
            ],
        ),
    ]
    tables = [table for table in found if table]
    return [Section("accounts", "Accounts", details=tables)] if tables else []


def _rows(marts: Marts, mart: str, query: str, values: Mapping[str, date]) -> list[tuple[Any, ...]]:
    """The rows of a query by account, where there is more than one."""
    rows = marts.rows(mart, query, **values)
    return rows if len({row[0] for row in rows}) > 1 else []


def _table(caption: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table | None:
    return Table(caption, columns, rows, words=("Currency",)) if rows else None
