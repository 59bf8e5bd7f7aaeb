"""Subscriptions: monthly recurring revenue by currency, how long customers stay, and payments that failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from merchant_report.charts import bars, lines, stacked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import UNKNOWN, after_before, count, month, number, percent, series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from merchant_report.marts import Marts

__all__ = ["subscriptions"]

_MONTHS = 13
_MOST = 6
_MRR = """
SELECT currency, date_month, sum(opening_mrr), sum(new_mrr), sum(expansion_mrr), sum(reactivation_mrr),
    sum(contraction_mrr), sum(churned_mrr), sum(closing_mrr), sum(paying_customers)::BIGINT
FROM {mart} GROUP BY currency, date_month ORDER BY date_month
"""
_KEPT = """
SELECT currency, month_number, sum(retained_customers)::BIGINT, sum(customers)::BIGINT
FROM {mart} GROUP BY ALL HAVING sum(customers) > 0 ORDER BY ALL
"""
_FAILED = "SELECT failed_date, outcome, day_of(recovered_at) FROM {mart}"
_OUTCOMES = ("recovered", "open", "retracted", "unknown")


class _Month(NamedTuple):
    currency: str
    when: date
    opening: Decimal
    new: Decimal
    expansion: Decimal
    reactivation: Decimal
    contraction: Decimal
    churned: Decimal
    closing: Decimal
    customers: int


def subscriptions(marts: Marts) -> Section:
    """Recurring revenue, retention and failed payments."""
    months: defaultdict[str, list[_Month]] = defaultdict(list)
    for row in marts.rows("mrr_by_month", _MRR):
        months[row[0]].append(_Month(*row))
    order = sorted(months, key=lambda currency: (-months[currency][-1].customers, currency))
    failed = marts.rows("failed_payments", _FAILED)
    return Section(
        "subscriptions",
        "Subscriptions",
        sentences=[*_movements(marts, months, order), *_failures(marts, failed)],
        tiles=[
            Tile(
                "MRR",
                marts.money.short(months[currency][-1].closing, currency),
                f"{count(months[currency][-1].customers, 'paying customer')}",
                "an unknown currency" if currency == UNKNOWN else currency,
                metric="closing_mrr",
            )
            for currency in order[:4]
        ],
        figures=[
            *(_mrr(marts, currency, months[currency]) for currency in order[:_MOST]),
            *_kept(marts, order),
            *_failed(failed),
        ],
    )


def _movements(marts: Marts, months: Mapping[str, Sequence[_Month]], order: Sequence[str]) -> list[str]:
    said, still = [], []
    for currency in order:
        now = months[currency][-1]
        parts = [
            f"{who} {marts.money.short(amount, currency)}"
            for who, amount in (
                ("new customers added", now.new),
                ("customers who came back added", now.reactivation),
                ("customers who pay more added", now.expansion),
                ("customers who pay less took off", now.contraction),
                ("customers who left took off", now.churned),
            )
            if amount
        ]
        stands = marts.money.short(now.closing, currency)
        if parts:
            said.append(f"Monthly recurring revenue stands at {stands}: in {month(now.when)}, {series(parts)}.")
        elif now.closing:
            still.append(stands)
    if still:
        said.append(
            f"Monthly recurring revenue stands where it did at the end of the month before, at {series(still)}."
        )
    return said


def _failures(marts: Marts, failed: Sequence[tuple[date, str, date | None]]) -> list[str]:
    week = marts.week
    now = sum(when in week for when, _, _ in failed)
    before = sum(when in week.before for when, _, _ in failed)
    recovered = sum(paid in week for _, _, paid in failed)
    said = []
    if now or before:
        said.append(f"{count(now, 'payment').capitalize()} failed{after_before(now, before)}.")
    if recovered:
        said.append(f"{count(recovered, 'payment').capitalize()} that had failed came in after all.")
    return said


def _mrr(marts: Marts, currency: str, months: Sequence[_Month]) -> Figure:
    shown = months[-_MONTHS:]
    name = "an unknown currency" if currency == UNKNOWN else currency
    first, last = shown[0], shown[-1]
    columns = ("Month", "Opening", "New", "Expansion", "Reactivation", "Contraction", "Churned", "Closing", "Customers")
    return Figure(
        f"MRR at the end of the month, {name}",
        bars([(each.when, each.closing) for each in shown], "month", last.when),
        f"Bars for each month. {month(first.when)} ended with {marts.money.short(first.closing, currency)}, "
        f"{month(last.when)} stands at {marts.money.short(last.closing, currency)}.",
        Table(
            f"MRR and what moved it, {name}",
            columns,
            [
                (
                    month(each.when),
                    *(marts.money.figure(amount, currency) for amount in each[2:9]),
                    number(each.customers),
                )
                for each in reversed(shown)
            ],
        ),
    )


def _kept(marts: Marts, order: Sequence[str]) -> list[Figure]:
    found = [row for row in marts.rows("subscription_cohorts", _KEPT) if row[0] in order[:_MOST]]
    names = [currency for currency in order[:_MOST] if any(row[0] == currency for row in found)]
    if not any(place for _, place, _, _ in found):
        return []
    shares = {(currency, place): Decimal(kept) / many for currency, place, kept, many in found}
    last = {currency: max(place for each, place in shares if each == currency) for currency in names}
    return [
        Figure(
            "Customers who stay, by months since their first",
            lines(
                [(place, currency, float(share)) for (currency, place), share in shares.items()],
                "months since the first",
                names,
            ),
            "A line for each currency: "
            + series(
                f"of customers in {currency}, {percent(shares[currency, last[currency]])} are left after "
                f"{count(last[currency], 'month')}"
                for currency in names
            )
            + ".",
            Table(
                "Share of customers who still pay, of all that began this long ago or longer",
                ("Months", *names),
                [
                    (str(place), *(percent(shares[name, place]) if (name, place) in shares else "" for name in names))
                    for place in sorted({place for _, place in shares})
                ],
            ),
        )
    ]


def _failed(failed: Sequence[tuple[date, str, date | None]]) -> list[Figure]:
    counts = Counter((when.replace(day=1), outcome) for when, outcome, _ in failed)
    months = sorted({when for when, _ in counts})[-_MONTHS:]
    order = [outcome for outcome in _OUTCOMES if any(counts[when, outcome] for when in months)]
    if not months:
        return []
    total = {outcome: sum(counts[when, outcome] for when in months) for outcome in order}
    return [
        Figure(
            "Payments that failed, and what became of them",
            stacked(
                [
                    (when, outcome, counts[when, outcome])
                    for when in months
                    for outcome in order
                    if counts[when, outcome]
                ],
                "month",
                order,
            ),
            f"Stacked bars for each month; {series(f'{number(total[outcome])} {outcome}' for outcome in order)}.",
            Table(
                "Invoices by the month in which their payment first failed",
                ("Month", *(outcome.capitalize() for outcome in order)),
                [(month(when), *(number(counts[when, outcome]) for outcome in order)) for when in reversed(months)],
            ),
        )
    ]
