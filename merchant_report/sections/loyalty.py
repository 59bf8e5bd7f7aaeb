"""Loyalty: visits, points and who comes again."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from merchant_report.charts import grid, stacked, trend
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.marts import Period
from merchant_report.wording import after_before, change, count, day, month, number, percent, series, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merchant_report.marts import Marts

__all__ = ["loyalty"]

_DAYS = 91
_COHORTS = 12
_SIGNS = {"earned": 1, "redeemed": -1, "expired": -1}
"""What moves points, and which way."""
_POINTS = """
SELECT date_day, sum(visits)::BIGINT, sum(new_members)::BIGINT, sum(earned), sum(burnt), sum(expired), sum(balance)
FROM {mart} WHERE date_day < $until GROUP BY date_day ORDER BY date_day
"""
_MEMBERS = "SELECT count(*), count(*) FILTER (is_at_risk), count(*) FILTER (visits > 0) FROM {mart}"
_COHORT = """
SELECT cohort_month, month_number, sum(active_members)::BIGINT, sum(members)::BIGINT FROM {mart}
WHERE members > 0 AND date_month < date_trunc('month', $until::DATE) GROUP BY ALL ORDER BY ALL
"""


class _Day(NamedTuple):
    when: date
    visits: int
    new_members: int
    earned: Decimal
    burnt: Decimal
    expired: Decimal
    balance: Decimal


class _Sum(NamedTuple):
    visits: int
    new_members: int
    earned: Decimal
    burnt: Decimal
    expired: Decimal

    @property
    def points(self) -> dict[str, Decimal]:
        """What moved points, by its name on the page."""
        return {"earned": self.earned, "redeemed": self.burnt, "expired": self.expired}


def loyalty(marts: Marts) -> Section:
    """Visits, points, cohorts and customers at risk."""
    days = [_Day(*row) for row in marts.rows("loyalty_by_day", _POINTS, until=marts.week.until)]
    members, at_risk, coming = next(iter(marts.rows("loyalty_members", _MEMBERS)), (0, 0, 0))
    now, before = _sum(days, marts.week), _sum(days, marts.week.before)
    return Section(
        "loyalty",
        "Loyalty",
        sentences=[*_sentences(now, before), *_risk(at_risk, coming)],
        tiles=_tiles(days, now, before, (members, at_risk)) if days else (),
        figures=[*_balance(days[-_DAYS:]), *_moved(marts, days), *_again(marts)],
    )


def _sum(days: Sequence[_Day], period: Period) -> _Sum:
    inside = [each for each in days if each.when in period]
    return _Sum(
        sum(each.visits for each in inside),
        sum(each.new_members for each in inside),
        sum((each.earned for each in inside), Decimal(0)),
        sum((each.burnt for each in inside), Decimal(0)),
        sum((each.expired for each in inside), Decimal(0)),
    )


def _sentences(now: _Sum, before: _Sum) -> list[str]:
    said = []
    if now.visits or before.visits:
        said.append(f"Members made {count(now.visits, 'visit')}{after_before(now.visits, before.visits)}.")
    if now.new_members:
        said.append(
            f"{count(now.new_members, 'member').capitalize()} came for the first time"
            f"{after_before(now.new_members, before.new_members)}."
        )
    if now.earned or now.burnt:
        kept = now.earned - now.burnt - now.expired
        how = f"{short(abs(kept))} {'more' if kept > 0 else 'fewer'}" if kept else "as many"
        than = "than" if kept else "as"
        gone = f" and {short(now.expired)} expired" if now.expired else ""
        comma = "," if gone else " and"
        said.append(
            f"They earned {short(now.earned)} points{comma} redeemed {short(now.burnt)}{gone}: "
            f"{how} points are outstanding {than} a week ago."
        )
    elif now.expired:
        said.append(f"{short(now.expired)} points expired.")
    return said


def _risk(at_risk: int, coming: int) -> list[str]:
    if not at_risk:
        return []
    verb = "stays" if at_risk == 1 else "stay"
    return [
        f"{count(at_risk, 'member').capitalize()} of {number(coming)} {verb} away longer than usual and may be lost."
    ]


def _tiles(days: Sequence[_Day], now: _Sum, before: _Sum, members: tuple[int, int]) -> list[Tile]:
    everybody, at_risk = members
    return [
        Tile(
            "Visits",
            number(now.visits),
            change(now.visits, before.visits, number(before.visits)),
            "past week",
            metric="visits",
        ),
        Tile("Points balance", short(days[-1].balance), f"on {day(days[-1].when)}", metric="points_balance"),
        Tile("Members at risk", number(at_risk), f"of {count(everybody, 'member')}", tone="bad" if at_risk else ""),
    ]


def _balance(days: Sequence[_Day]) -> list[Figure]:
    if not days:
        return []
    first, last = days[0], days[-1]
    return [
        Figure(
            "Points outstanding",
            trend([(each.when, each.balance) for each in days]),
            f"A line from {short(first.balance)} points on {day(first.when)} "
            f"to {short(last.balance)} on {day(last.when)}.",
            Table(
                "Points and visits by day",
                ("Day", "Visits", "Earned", "Redeemed", "Expired", "Outstanding"),
                [
                    (
                        day(each.when, year=True),
                        number(each.visits),
                        *(number(points, 2) for points in (each.earned, each.burnt, each.expired, each.balance)),
                    )
                    for each in reversed(days)
                ],
            ),
        )
    ]


def _moved(marts: Marts, days: Sequence[_Day]) -> list[Figure]:
    recent = [each for each in days if each.when >= marts.week.until - timedelta(days=_DAYS)]
    starts = sorted({marts.week.start_of(each.when) for each in recent})
    sums = {start: _sum(recent, Period(start + timedelta(days=7))).points for start in starts}
    order = [name for name in _SIGNS if any(sums[start][name] for start in starts)]
    if not order:
        return []
    last = sums[starts[-1]]
    return [
        Figure(
            "Points by week: earned up, redeemed and expired down",
            stacked(
                [
                    (start, name, points * _SIGNS[name])
                    for start in starts
                    for name, points in sums[start].items()
                    if points
                ],
                "week",
                order,
            ),
            f"Bars for each week; in the last one, {series(f'{short(last[name])} were {name}' for name in order)}.",
            Table(
                "Points by week",
                ("Week from", *(name.capitalize() for name in order)),
                [
                    (day(start, year=True), *(number(sums[start][name], 2) for name in order))
                    for start in reversed(starts)
                ],
            ),
        )
    ]


def _again(marts: Marts) -> list[Figure]:
    found = marts.rows("loyalty_cohorts", _COHORT, until=marts.week.until)
    cohorts = sorted({row[0] for row in found})[-_COHORTS:]
    cells = [(when, place, active, members) for when, place, active, members in found if when in cohorts]
    if not any(place for _, place, _, _ in cells):
        return []
    later = [active / members for _, place, active, members in cells if place]
    shares = {(when, place): active / members for when, place, active, members in cells}
    size = {when: members for when, _, _, members in cells}
    places = sorted({place for _, place, _, _ in cells})
    return [
        Figure(
            "Per cent of members who come again, by month of the first visit",
            grid([(month(when, abbreviated=True), place, share) for (when, place), share in shares.items()]),
            "A row for each month of first visits, a column for each month since; "
            f"on average {percent(sum(later) / len(later))} of a row come again.",
            Table(
                "Members with a visit, by month of the first and months since",
                ("First visit", "Members", *map(str, places)),
                [
                    (
                        month(when),
                        number(size[when]),
                        *(percent(shares[when, place]) if (when, place) in shares else "" for place in places),
                    )
                    for when in cohorts
                ],
            ),
        )
    ]
