"""Figures, days and changes read as a person would say them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from merchant_report.wording import (
    Money,
    after_before,
    ago,
    change,
    count,
    largest,
    number,
    percent,
    series,
    span,
    than_before,
)

MONEY = Money({"EUR": 2, "JPY": 0, "KWD": 3})


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234.5", "EUR", "EUR 1,234.50"),
        ("0.005", "EUR", "EUR 0.01"),
        ("-0.001", "EUR", "EUR 0.00"),
        ("1234.5", "JPY", "JPY 1,235"),
        ("1.678", "KWD", "KWD 1.678"),
        ("-12", "EUR", "\N{MINUS SIGN}EUR 12.00"),
        ("999999.99", "EUR", "EUR 999,999.99"),
        ("1230000", "EUR", "EUR 1.23 million"),
        ("-90071992547409.93", "EUR", "\N{MINUS SIGN}EUR 90.07 trillion"),
        ("1e30", "EUR", "EUR 1,000,000,000,000,000.00 quadrillion"),
        ("5", "XAU", "XAU 5.00"),
        ("5", "unknown", "5.00 in an unknown currency"),
    ],
)
def test_money_is_shown_in_its_currency(amount: str, currency: str, shown: str) -> None:
    assert MONEY.short(Decimal(amount), currency).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_a_table_has_every_digit() -> None:
    assert (
        MONEY.figure(Decimal("90071992547409931234567890123.4567"), "EUR")
        == "90,071,992,547,409,931,234,567,890,123.46"
    )


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        ("0", "0", ""),
        ("5", "0", ", after nothing the week before"),
        ("0", "5", ", after 5 the week before"),
        ("120", "100", ", 20% more than the week before (100)"),
        ("80", "100", ", 20% less than the week before (100)"),
        ("100.4", "100", ", about the same as the week before"),
        ("200", "100", ", up from 100 the week before"),
        ("10", "100", ", down from 100 the week before"),
        ("-5", "100", ", compared with 100 the week before"),
        ("5", "-100", ", compared with -100 the week before"),
    ],
)
def test_amounts_are_compared_with_those_of_the_week_before(now: str, before: str, said: str) -> None:
    assert than_before(Decimal(now), Decimal(before), before) == said


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (0, 0, ""),
        (5, 0, ", after none the week before"),
        (5, 5, ", as many as the week before"),
        (5, 1, ", after one the week before"),
        (0, 200, ", after 200 the week before"),
        (150, 100, ", 50% more than the week before (100)"),
        (50, 100, ", 50% fewer than the week before (100)"),
        (1001, 1000, ", about as many as the week before"),
        (300, 100, ", up from 100 the week before"),
        (20, 1000, ", down from 1,000 the week before"),
    ],
)
def test_counts_are_compared_without_percentages_of_a_few(now: int, before: int, said: str) -> None:
    assert after_before(now, before) == said


def test_tiles_say_the_same_in_short() -> None:
    assert change(0, 0, "0") == ""
    assert change(3, 0, "0") == "nothing the week before"
    assert change(3, 3, "3") == "as in the week before"
    assert change(3, 2, "2") == "2 the week before"
    assert change(Decimal(-3), Decimal(-200), "-200") == "-200 the week before"
    assert change(130, 100, "100") == "+30% on the week before"
    assert change(Decimal(70), Decimal(100), "100") == "\N{MINUS SIGN}30% on the week before"


def test_numbers_of_things_agree() -> None:
    assert [count(many, "day") for many in (0, 1, 2, 9, 10, 1234)] == [
        *("no days", "one day", "two days", "nine days"),
        *("10 days", "1,234 days"),
    ]
    assert count(2, "currency", "currencies") == "two currencies"
    assert [percent(share) for share in (0, 0.004, 0.125, 1, 12)] == ["0%", "0.4%", "13%", "100%", "1,200%"]
    assert number(-0.4) == "0"
    assert [series("abc"[:many]) for many in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("first", "after", "shown"),
    [
        (date(2026, 1, 25), date(2026, 2, 1), "25\N{EN DASH}31 January"),
        (date(2026, 1, 26), date(2026, 2, 2), "26 January \N{EN DASH} 1 February"),
        (date(2025, 12, 29), date(2026, 1, 5), "29 December 2025 \N{EN DASH} 4 January 2026"),
        (date(2026, 1, 31), date(2026, 2, 1), "31 January"),
    ],
)
def test_days_name_their_month_once(first: date, after: date, shown: str) -> None:
    assert span(first, after) == shown


def test_the_past_is_told_in_hours_and_days() -> None:
    assert [ago(hours) for hours in (0.5, 1, 30, 49, 1000)] == [
        *("less than an hour ago", "one hour ago", "30 hours ago"),
        *("two days ago", "41 days ago"),
    ]


@pytest.mark.parametrize("names", [("cash", "card", "gift", "bank"), ("bank", "gift", "card", "cash")])
def test_the_largest_are_the_same_whatever_order_they_come_in(names: tuple[str, ...]) -> None:
    shown = largest({name: 2 if name == "gift" else 1 for name in names}, 2)
    rest = "all\N{NO-BREAK SPACE}others"
    assert [*shown.items()] == [("gift", "gift"), ("bank", "bank"), ("card", rest), ("cash", rest)]
