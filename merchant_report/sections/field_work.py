"""Field work: what is open and how old it is, what is worth how much, and how long approvals take.

PeerAssist tells no currency, so amounts have none. Customers are shown by their number unless names are asked for.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from merchant_report.charts import ceiling, columns, ranked, stacked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import (
    after_before,
    be,
    change,
    count,
    day,
    largest,
    number,
    of_account,
    plain,
    series,
    short,
    spelled,
    was,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from merchant_report.marts import Marts

__all__ = ["field_work"]

_WEEKS = 13
_MOST = 6
_KINDS = 5
"""Types of orders with a bar of their own."""
_BUCKETS = ("0-7", "8-30", "31-60", "61-90", "90+")
_STATE = """
SELECT
    count(*) FILTER (is_open), count(*) FILTER (is_overdue), sum(amount) FILTER (is_open),
    count(*) FILTER (created_date >= $start AND created_date < $until),
    count(*) FILTER (created_date >= $before AND created_date < $start),
    count(*) FILTER (day_of(approved_at) >= $start AND day_of(approved_at) < $until),
    count(*) FILTER (day_of(approved_at) >= $before AND day_of(approved_at) < $start),
    median(hours_to_approval) FILTER (day_of(approved_at) >= $start AND day_of(approved_at) < $until),
    count(*)
FROM {mart} WHERE NOT is_deleted
"""
_AGES = "SELECT age_bucket, count(*), sum(amount) FROM {mart} WHERE is_open AND age_bucket IS NOT NULL GROUP BY ALL"
_OWED = """
SELECT customer_id, any_value(customer_name),
    CASE WHEN (SELECT count(DISTINCT account) FROM {mart}) > 1 THEN account END, sum(amount), count(*)
FROM {mart} WHERE is_open GROUP BY account, customer_id HAVING sum(amount) <> 0
ORDER BY sum(amount) DESC, account, customer_id LIMIT 100
"""
_CREATED = """
SELECT created_date, type, count(*) FROM {mart}
WHERE NOT is_deleted AND created_date >= $since AND created_date < $until GROUP BY ALL
"""
_DAY_HOURS = 48


def field_work(marts: Marts) -> Section:
    """Open orders by age, amounts by customer, orders by week, approvals."""
    week = marts.week
    periods = {"start": week.start, "until": week.until, "before": week.before.start}
    found = marts.rows("work_orders", _STATE, **periods)
    state = found[0] if found and found[0][-1] else None
    return Section(
        "field-work",
        "Field work",
        sentences=_sentences(state) if state else (),
        tiles=_tiles(state) if state else (),
        figures=[*_ages(marts), *_owed(marts), *_created(marts)],
        notes=["Amounts have no currency, because PeerAssist tells none."] if state else (),
    )


def _sentences(state: Sequence[Any]) -> list[str]:
    still, overdue, _, new, new_before, approved, approved_before, hours, _ = state
    said = []
    if new or new_before:
        came = f"{count(new, 'order').capitalize()} {was(new)} opened"
        said.append(f"{came}{after_before(new, new_before)}.")
    if approved:
        took = "" if hours is None else f", half of them within {_time(hours)}"
        compared = after_before(approved, approved_before)
        said.append(f"{count(approved, 'order').capitalize()} {was(approved)} approved{took}{compared}.")
    if overdue:
        said.append(
            f"{spelled(overdue).capitalize()} of the {count(still, 'open order')} {be(overdue)} overdue."
            if overdue < still
            else f"{'The one open order is' if still == 1 else f'All {number(still)} open orders are'} overdue."
        )
    elif still:
        said.append(f"{count(still, 'order').capitalize()} {be(still)} open, none overdue.")
    return said


def _tiles(state: Sequence[Any]) -> list[Tile]:
    still, overdue, amount, new, new_before, *_ = state
    return [
        Tile(
            "Open work orders",
            number(still),
            f"{number(overdue)} overdue",
            tone="bad" if overdue else "",
            metric="open_work_orders",
        ),
        Tile("Open work amount", short(amount or Decimal(0)), "without a currency", metric="open_work_amount"),
        Tile("Opened", number(new), change(new, new_before, number(new_before)), "past week"),
    ]


def _ages(marts: Marts) -> list[Figure]:
    found = {bucket: (many, amount or Decimal(0)) for bucket, many, amount in marts.rows("work_orders", _AGES)}
    if not found:
        return []
    counts = {bucket: found.get(bucket, (0, Decimal(0)))[0] for bucket in _BUCKETS}
    return [
        Figure(
            "Open orders by age in days",
            columns({bucket.replace("-", "\N{EN DASH}"): (many, number(many)) for bucket, many in counts.items()}),
            f"A bar for each age: {series(f'{number(many)} of {bucket} days' for bucket, many in counts.items())}.",
            Table(
                "Open orders by age",
                ("Days", "Orders", "Amount"),
                [
                    (bucket, number(counts[bucket]), number(found.get(bucket, (0, Decimal(0)))[1], 2))
                    for bucket in _BUCKETS
                ],
            ),
        )
    ]


def _owed(marts: Marts) -> list[Figure]:
    rows = [
        (of_account(_customer(number_, name, shown=marts.names), account), amount, many)
        for number_, name, account, amount, many in marts.rows("work_orders", _OWED)
    ]
    if not rows:
        return []
    shown = rows[:_MOST]
    cut = sum(
        float(amount) > (ceiling([float(each) for _, each, _ in shown]) or float(amount)) for _, amount, _ in shown
    )
    first, most, _ = rows[0]
    return [
        Figure(
            "Open amounts by customer",
            ranked([(name, max(amount, Decimal(0)), 0, short(amount)) for name, amount, _ in shown]),
            f"A bar for each of {count(len(shown), 'customer')}; {first} has the most with {short(most)}.",
            Table(
                "Open orders by customer, at most the hundred with the largest amounts",
                ("Customer", "Orders", "Amount"),
                [(name, number(many), number(amount, 2)) for name, amount, many in rows],
            ),
            f"{count(cut, 'bar').capitalize()} {'goes' if cut == 1 else 'go'} beyond the scale: notched."
            if cut
            else "",
        )
    ]


def _customer(number_: int | None, name: str | None, *, shown: bool) -> str:
    if number_ is None:
        return "Without a customer"
    return plain(name, f"Customer {number_}") if shown else f"Customer {number_}"


def _created(marts: Marts) -> list[Figure]:
    week = marts.week
    found = marts.rows("work_orders", _CREATED, since=week.until - timedelta(days=7 * _WEEKS), until=week.until)
    named = [(when, _kind(kind), many) for when, kind, many in found]
    totals: Counter[str] = Counter()
    for _, kind, many in named:
        totals[kind] += many
    shown = largest(totals, _KINDS)
    counts: Counter[tuple[Any, str]] = Counter()
    kinds: Counter[str] = Counter()
    for when, kind, many in named:
        counts[week.start_of(when), shown[kind]] += many
        kinds[shown[kind]] += many
    if not counts:
        return []
    order = [*dict.fromkeys(shown.values())]
    starts = sorted({start for start, _ in counts})
    return [
        Figure(
            "Orders opened by week",
            stacked([(start, kind, many) for (start, kind), many in sorted(counts.items())], "week", order),
            f"Stacked bars for each week; {series(f'{number(kinds[kind])} {kind}' for kind in order)} in all.",
            Table(
                "Orders by the week in which they were opened, and type",
                ("Week from", *order),
                [
                    (day(start, year=True), *(number(counts[start, kind]) for kind in order))
                    for start in reversed(starts)
                ],
            ),
        )
    ]


def _kind(kind: str | None) -> str:
    """A type of orders in words."""
    return plain(kind, "without a type").replace("_", " ").capitalize()


def _time(hours: float) -> str:
    whole = round(hours)
    return count(whole, "hour") if whole < _DAY_HOURS else count(whole // 24, "day")
