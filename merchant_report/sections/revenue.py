"""Revenue: what was taken, by currency; amounts of two currencies are never added up."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from merchant_report.charts import bars, ceiling, stacked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import UNKNOWN, change, count, day, largest, month, number, plain, series, than_before

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from merchant_report.marts import Marts, Period

__all__ = ["revenue"]

_DAYS = 56
_MOST = 6
"""Currencies with a chart of their own; the table has all."""
_WAYS = 5
"""Ways to pay with a bar of their own."""
_NAMED = 3
_TAKEN = """
SELECT date_day, currency, sum(payments)::BIGINT, sum(gross), sum(refunds), sum(fees), sum(net)
FROM {mart} WHERE date_day >= $since AND date_day < $until GROUP BY ALL ORDER BY ALL
"""
_PAID = """
SELECT date_day, CASE WHEN payment_method = 'unknown' THEN vendor ELSE payment_method END, sum(payments)::BIGINT
FROM {mart} WHERE date_day >= $since AND date_day < $until GROUP BY ALL ORDER BY ALL
"""
_CONVERTED = """
SELECT date_trunc('month', date_day)::DATE, reporting_currency, coalesce(sum(net), 0), count(*) FILTER (rate IS NULL)
FROM {mart} WHERE date_day >= date_trunc('month', $until::DATE) - INTERVAL 12 MONTHS AND date_day < $until
GROUP BY ALL ORDER BY ALL
"""
_LAST = "SELECT max(date_day) FROM {mart} WHERE date_day < $until"
_ZERO = Decimal(0)


class _Money(NamedTuple):
    payments: int = 0
    gross: Decimal = _ZERO
    refunds: Decimal = _ZERO
    fees: Decimal = _ZERO
    net: Decimal = _ZERO


class _Taken(dict[date, _Money]):
    """The money of one currency, day by day."""

    def over(self, period: Period) -> _Money:
        """What came in over some days."""
        inside = [money for when, money in self.items() if when in period]
        return _Money(
            sum(money.payments for money in inside),
            sum((money.gross for money in inside), _ZERO),
            sum((money.refunds for money in inside), _ZERO),
            sum((money.fees for money in inside), _ZERO),
            sum((money.net for money in inside), _ZERO),
        )


def revenue(marts: Marts) -> Section:
    """What came in, per currency."""
    week = marts.week
    since = week.until - timedelta(days=_DAYS)
    taken: defaultdict[str, _Taken] = defaultdict(_Taken)
    for when, currency, *figures in marts.rows("revenue_by_day", _TAKEN, since=since, until=week.until):
        taken[currency][when] = _Money(*figures)
    order = sorted(taken, key=lambda currency: (-sum(day.payments for day in taken[currency].values()), currency))
    recent = [currency for currency in order if any(when in week or when in week.before for when in taken[currency])]
    return Section(
        "revenue",
        "Revenue",
        sentences=[*_sentences(marts, taken, recent), *(() if recent else _silence(marts))],
        tiles=[_tile(marts, currency, taken[currency]) for currency in recent[:4]],
        figures=[
            *(_by_day(marts, currency, taken[currency], since) for currency in order[:_MOST]),
            *_converted(marts),
            *_ways(marts, since),
        ],
        table=_table(marts, taken, recent),
        headlines=_yesterday(marts, taken, order),
    )


def _sentences(marts: Marts, taken: Mapping[str, _Taken], currencies: Sequence[str]) -> list[str]:
    week = marts.week
    said: list[str] = []
    for currency in currencies:
        now, before = taken[currency].over(week), taken[currency].over(week.before)
        say = marts.money.size if currency == UNKNOWN else marts.money.short
        shown = say(before.net, currency)
        if now.payments:
            compared = than_before(now.net, before.net, shown)
            came = f"{count(now.payments, 'payment')} brought in net revenue of"
            came = f"In the past week, {came}" if not said else came[0].upper() + came[1:]
            said.append(f"{came} {marts.money.short(now.net, currency)}{compared}.")
        elif before.net:
            said.append(f"No payment in {_name(currency)} came in, after {shown} the week before.")
        if now.refunds:
            compared = than_before(now.refunds, before.refunds, say(before.refunds, currency))
            said.append(f"{marts.money.short(now.refunds, currency)} went back to customers{compared}.")
    return said


def _silence(marts: Marts) -> list[str]:
    found = marts.rows("revenue_by_day", _LAST, until=marts.week.until)
    last = found[0][0] if found else None
    if last is None:
        return []
    return [f"Nothing came in during the past two weeks; the last day with a payment was {day(last, year=True)}."]


def _yesterday(marts: Marts, taken: Mapping[str, _Taken], order: Sequence[str]) -> list[str]:
    """What the last day brought."""
    last = marts.week.until - timedelta(days=1)
    known = sorted(order, key=lambda currency: currency == UNKNOWN)
    came = {currency: taken[currency][last] for currency in known if last in taken[currency]}
    payments = sum(money.payments for money in came.values())
    amounts = [
        marts.money.short(money.net, currency) for currency, money in came.items() if money.payments or money.net
    ]
    if not payments or not amounts:
        return []
    others = [count(len(amounts) - _NAMED, "other currency", "other currencies")] if len(amounts) > _NAMED else []
    shown = series([*amounts[:_NAMED], *others])
    return [f"On {day(last)}, {count(payments, 'payment')} brought in net revenue of {shown}."]


def _tile(marts: Marts, currency: str, money: _Taken) -> Tile:
    now, before = money.over(marts.week).net, money.over(marts.week.before).net
    compared = change(now, before, marts.money.size(before, currency))
    tone = "good" if now > before else "bad"
    return Tile(
        "Net",
        marts.money.size(now, currency) if currency == UNKNOWN else marts.money.short(now, currency),
        compared,
        f"{_name(currency)}, past week",
        tone if compared.endswith("% on the week before") else "",
        "net",
    )


def _by_day(marts: Marts, currency: str, money: _Taken, since: date) -> Figure:
    week = marts.week
    points = [(when, money.get(when, _Money()).net) for when in _days(since, week.until)]
    best, most = max(points, key=lambda point: point[1])
    top = ceiling(value for _, value in points)
    beyond = sum(abs(float(value)) > top for _, value in points) if top else 0
    largest = marts.money.short(max((value for _, value in points), key=abs), currency)
    name = _name(currency)
    columns = ("Day", "Payments", "Gross", "Refunds", "Fees", "Net")
    return Figure(
        f"Net by day, {name}",
        bars(points, "day", week.start),
        f"Bars for each day from {day(since)} to {day(points[-1][0])}, the past week in colour. "
        f"The best day was {day(best)} with {marts.money.short(most, currency)}.",
        Table(
            f"Money by day, {name}; days without any are left out",
            columns,
            [
                (
                    day(when, year=True),
                    number(each.payments),
                    *(marts.money.figure(amount, currency) for amount in each[1:]),
                )
                for when, each in sorted(money.items(), reverse=True)
            ],
        ),
        f"{count(beyond, 'day').capitalize()} of {number(len(points))} {'goes' if beyond == 1 else 'go'} "
        f"beyond the scale: notched, the largest at {largest}."
        if beyond
        else "",
    )


def _converted(marts: Marts) -> list[Figure]:
    """All currencies in one, where rates for several have been told."""
    found = marts.rows("revenue_converted", _CONVERTED, until=marts.week.until)
    if not found:
        return []
    currency, without = found[0][1], sum(row[3] for row in found)
    points = [(when, net) for when, _, net, _ in found]
    return [
        Figure(
            f"Net by month, all currencies converted to {currency}",
            bars(points, "month", points[-1][0]),
            f"Bars for each month; {month(points[-1][0])} stands at {marts.money.short(points[-1][1], currency)}.",
            Table(
                f"Net by month, converted to {currency} by the seed exchange_rates",
                ("Month", "Net"),
                [(month(when), marts.money.figure(net, currency)) for when, net in reversed(points)],
            ),
            "By the rates of the seed exchange_rates"
            + (
                f"; {count(without, 'amount')} without a rate {'is' if without == 1 else 'are'} left out."
                if without
                else "."
            ),
        )
    ]


def _ways(marts: Marts, since: date) -> list[Figure]:
    found = marts.rows("revenue_by_day", _PAID, since=since, until=marts.week.until)
    totals: Counter[str] = Counter()
    weekly: Counter[tuple[date, str]] = Counter()
    for _, way, payments in found:
        totals[plain(way, "unknown")] += payments
    shown = largest(totals, _WAYS)
    paid: Counter[str] = Counter()
    for when, way, payments in found:
        name = shown[plain(way, "unknown")]
        weekly[marts.week.start_of(when), name] += payments
        paid[name] += payments
    if not weekly:
        return []
    order = [*dict.fromkeys(shown.values())]
    starts = sorted({start for start, _ in weekly})
    return [
        Figure(
            "Payments by week, and how they were made",
            stacked([(start, way, many) for (start, way), many in weekly.items()], "week", order),
            f"Stacked bars for each week; {series(f'{way} {number(paid[way])}' for way in order if paid[way])}.",
            Table(
                "Payments by week and means; a vendor that does not tell the means stands for itself",
                ("Week from", *order),
                [(day(start, year=True), *(number(weekly[start, way]) for way in order)) for start in reversed(starts)],
            ),
        )
    ]


def _table(marts: Marts, taken: Mapping[str, _Taken], currencies: Sequence[str]) -> Table | None:
    if not currencies:
        return None
    week = marts.week
    return Table(
        f"Money from {week}, by currency",
        ("Currency", "Payments", "Gross", "Refunds", "Fees", "Net", "Net the week before"),
        [
            (
                currency,
                number(taken[currency].over(week).payments),
                *(marts.money.figure(amount, currency) for amount in taken[currency].over(week)[1:]),
                marts.money.figure(taken[currency].over(week.before).net, currency),
            )
            for currency in currencies
        ],
    )


def _name(currency: str) -> str:
    return "an unknown currency" if currency == UNKNOWN else currency


def _days(since: date, until: date) -> list[date]:
    return [since + timedelta(days=place) for place in range((until - since).days)]
