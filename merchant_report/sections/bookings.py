"""Bookings: how full departures are, how early seats go, and what was booked and cancelled."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from merchant_report.charts import lines, ranked, stacked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import after_before, be, change, count, day, number, percent, plain, spelled, was

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from merchant_report.marts import Marts

__all__ = ["bookings"]

_WEEKS = 13
_AHEAD = 30
_DEPARTED = 91
_MOST = 6
_BOOKED = """
SELECT
    coalesce(sum(seats) FILTER (confirmed_date >= $start AND confirmed_date < $until), 0)::BIGINT,
    count(*) FILTER (confirmed_date >= $start AND confirmed_date < $until),
    count(*) FILTER (is_cancelled AND day_of(cancelled_at) >= $start AND day_of(cancelled_at) < $until),
    median(lead_days) FILTER (confirmed_date >= $start AND confirmed_date < $until),
    count(*) FILTER (is_no_show AND departure_date >= $start AND departure_date < $until),
    count(*) FILTER (is_no_show IS NOT NULL AND is_confirmed AND NOT is_cancelled
        AND departure_date >= $start AND departure_date < $until)
FROM {mart}
"""
_BY_DAY = """
SELECT confirmed_date, is_cancelled, count(*) FROM {mart}
WHERE is_confirmed AND confirmed_date >= $since AND confirmed_date < $until GROUP BY ALL
"""
_FILLED = """
SELECT product_name, sum(seats_sold)::BIGINT, sum(capacity)::BIGINT, count(*), count(*) FILTER (vacancies <= 0)
FROM {mart}
WHERE departure_date >= $start AND departure_date < $until AND capacity > 0
GROUP BY ALL ORDER BY sum(seats_sold) / sum(capacity) DESC, product_name
"""
_MONEY = """
SELECT product_name, currency, count(*), sum(bookings)::BIGINT, sum(gross), sum(net) FROM {mart}
WHERE departure_date >= $since AND departure_date < $until GROUP BY ALL ORDER BY currency, sum(net) DESC, product_name
"""
_PACE = """
SELECT days_before, sum(seats_sold)::DOUBLE / sum(capacity), count(*) FROM {mart}
WHERE days_before BETWEEN 0 AND 90 AND capacity > 0 AND seats_sold IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
_TAKEN = """
SELECT
    coalesce(sum(seats_taken) FILTER (seats_taken > 0), 0)::BIGINT,
    coalesce(-sum(seats_taken) FILTER (seats_taken < 0), 0)::BIGINT
FROM {mart} WHERE observed_date >= $start AND observed_date <= $until
"""


class _Booked(NamedTuple):
    seats: int = 0
    bookings: int = 0
    cancelled: int = 0
    lead_days: float | None = None
    no_shows: int = 0
    expected: int = 0


def bookings(marts: Marts) -> Section:
    """Occupancy, pace, bookings and cancellations."""
    week = marts.week
    now, before = (
        _Booked(*next(iter(marts.rows("bookings", _BOOKED, start=period.start, until=period.until)), ()))
        for period in (week, week.before)
    )
    ahead = {"start": week.until, "until": week.until + timedelta(days=_AHEAD)}
    filled = [(plain(name, "unnamed"), *counts) for name, *counts in marts.rows("departures", _FILLED, **ahead)]
    weekly = _weekly(marts)
    return Section(
        "bookings",
        "Bookings",
        sentences=_sentences(marts, now, before, filled),
        tiles=_tiles(now, before, filled) if weekly or filled else (),
        figures=[*_occupancy(filled), *_pace(marts), *weekly],
        details=_money(marts),
        headlines=_yesterday(marts),
    )


def _sentences(
    marts: Marts, now: _Booked, before: _Booked, filled: Sequence[tuple[str, int, int, int, int]]
) -> list[str]:
    said = []
    if now.bookings:
        seats = f" for {count(now.seats, 'seat')}" if now.seats else ""
        compared = after_before(now.bookings, before.bookings)
        said.append(f"{count(now.bookings, 'booking').capitalize()}{seats} came in{compared}.")
        if now.lead_days is not None and now.bookings > 1:
            said.append(f"Half of them were made {count(round(now.lead_days), 'day')} or more before departure.")
    elif before.bookings:
        said.append(f"No bookings came in{after_before(0, before.bookings)}.")
    if now.cancelled:
        compared = after_before(now.cancelled, before.cancelled)
        said.append(f"{count(now.cancelled, 'booking').capitalize()} {was(now.cancelled)} cancelled{compared}.")
    elif before.cancelled:
        said.append(f"None were cancelled{after_before(0, before.cancelled)}.")
    if now.expected and now.no_shows:
        said.append(
            f"Nobody turned up for {spelled(now.no_shows)} of the {count(now.expected, 'booking')} that departed."
        )
    taken = marts.rows("booking_pace", _TAKEN, start=marts.week.start, until=marts.week.until)
    if taken and taken[0][0]:
        gone, back = taken[0]
        freed = f", and {count(back, 'seat')} became free again" if back else ""
        said.append(
            f"{count(gone, 'seat').capitalize()} of departures to come {was(gone)} taken, by all who sell them{freed}."
        )
    full = sum(row[4] for row in filled)
    if full:
        said.append(f"{count(full, 'departure').capitalize()} of the next {_AHEAD} days {be(full)} sold out.")
    return said


def _tiles(now: _Booked, before: _Booked, filled: Sequence[tuple[str, int, int, int, int]]) -> list[Tile]:
    sold, capacity = sum(row[1] for row in filled), sum(row[2] for row in filled)
    tiles = [
        _tile("Confirmed bookings", now.bookings, before.bookings, "confirmed_bookings"),
        _tile("Cancelled bookings", now.cancelled, before.cancelled, "cancelled_bookings"),
    ]
    if capacity:
        detail = f"{number(sold)} of {number(capacity)} seats"
        tiles.append(
            Tile("Occupancy", percent(Decimal(sold) / capacity), detail, f"next {_AHEAD} days", metric="occupancy")
        )
    if now.expected:
        share = percent(Decimal(now.no_shows) / now.expected)
        detail = f"{number(now.no_shows)} of {number(now.expected)} bookings"
        tiles.append(Tile("No-show rate", share, detail, "past week", metric="no_show_rate"))
    return tiles


def _tile(label: str, now: int, before: int, metric: str) -> Tile:
    return Tile(label, number(now), change(now, before, number(before)), "past week", metric=metric)


def _yesterday(marts: Marts) -> list[str]:
    until = marts.week.until
    found = marts.rows("bookings", _BOOKED, start=until - timedelta(days=1), until=until)
    last = _Booked(*next(iter(found), ()))
    parts = [
        f"{count(many, 'booking')} {was(many)} {word}"
        for many, word in ((last.bookings, "confirmed"), (last.cancelled, "cancelled"))
        if many
    ]
    return [" and ".join(parts)] if parts else []


def _occupancy(filled: Sequence[tuple[str, int, int, int, int]]) -> list[Figure]:
    if not filled:
        return []
    shown = filled[:_MOST]
    best, sold, capacity, *_ = filled[0]
    return [
        Figure(
            f"Seats sold, departures of the next {_AHEAD} days",
            ranked([(name, sold / capacity, 1, f"{percent(sold / capacity)}") for name, sold, capacity, _, _ in shown]),
            f"A bar for each product; {best} is the fullest with {number(sold)} of {count(capacity, 'seat')}.",
            Table(
                f"Departures of the next {_AHEAD} days by product",
                ("Product", "Departures", "Sold out", "Seats", "Sold", "Occupancy"),
                [
                    (name, number(many), number(full), number(seats), number(gone), percent(gone / seats))
                    for name, gone, seats, many, full in filled
                ],
            ),
        )
    ]


def _money(marts: Marts) -> list[Table]:
    until = marts.week.until
    since = until - timedelta(days=_DEPARTED)
    found = marts.rows("departure_revenue", _MONEY, since=since, until=until)
    if not found:
        return []
    return [
        Table(
            f"Money of the departures of the past {_DEPARTED} days, by product and currency",
            ("Product", "Currency", "Departures", "Bookings", "Gross", "Net", "Net per departure"),
            [
                (
                    plain(name, "unnamed"),
                    currency,
                    number(departures),
                    number(booked),
                    *(marts.money.figure(amount, currency) for amount in (gross, net, net / departures)),
                )
                for name, currency, departures, booked, gross, net in found
            ],
            words=("Currency",),
        )
    ]


def _pace(marts: Marts) -> list[Figure]:
    found = marts.rows("booking_pace", _PACE)
    if not found:
        return []
    nearest, furthest = found[0], found[-1]
    return [
        Figure(
            "How full departures are, by days before they leave",
            lines(
                [(days, "seats sold", share) for days, share, _ in found],
                "days before departure",
                ["seats sold"],
                down=True,
            ),
            f"A line from {count(furthest[0], 'day')} before departure, with {percent(furthest[1])} of the seats sold, "
            f"to {count(nearest[0], 'day')} before it, with {percent(nearest[1])}.",
            Table(
                "Seats sold, of all readings at which a departure had changed",
                ("Days before departure", "Readings", "Seats sold"),
                [(str(days), number(readings), percent(share)) for days, share, readings in found],
            ),
        )
    ]


def _weekly(marts: Marts) -> list[Figure]:
    week = marts.week
    found = marts.rows("bookings", _BY_DAY, since=week.until - timedelta(days=7 * _WEEKS), until=week.until)
    weeks: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for when, cancelled, many in found:
        weeks[week.start_of(when)]["cancelled since" if cancelled else "still stand"] += many
    order = [part for part in ("still stand", "cancelled since") if any(week[part] for week in weeks.values())]
    if not weeks:
        return []
    best = max(weeks, key=lambda start: weeks[start].total())
    return [
        Figure(
            "Bookings by week",
            stacked(
                [(start, part, many) for start, parts in sorted(weeks.items()) for part, many in parts.items()],
                "week",
                order,
            ),
            f"Stacked bars for each week; the best began on {day(best)} with {count(weeks[best].total(), 'booking')}.",
            Table(
                "Bookings by the week in which they were confirmed",
                ("Week from", *(part.capitalize() for part in order)),
                [
                    (day(start, year=True), *(number(weeks[start][part]) for part in order))
                    for start in sorted(weeks, reverse=True)
                ],
            ),
        )
    ]
