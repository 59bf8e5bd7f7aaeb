"""Revenue."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.transform.figures.bookings import booked
from tests.transform.figures.common import ZERO, Row, Truth, code, moment, money, rounded, seed

if TYPE_CHECKING:
    from collections.abc import Iterator

Movement = tuple[date, str, str, str, tuple[int | Decimal, ...]]
"""Day, vendor, currency and means; number of payments and of refunded ones, gross, refunds and fees."""


def revenue_by_day(truth: Truth) -> list[Row]:
    totals: dict[tuple[date, str, str, str], list[Decimal]] = defaultdict(lambda: [ZERO] * 5)
    for day, vendor, currency, means, values in _movements(truth):
        total = totals[day, vendor, currency, means]
        totals[day, vendor, currency, means] = [one + other for one, other in zip(total, values, strict=True)]
    return [
        {
            "date_day": day,
            "vendor": vendor,
            "currency": currency,
            "payment_method": means,
            "payments": int(payments),
            "refunded_payments": int(refunded),
            "gross": gross,
            "refunds": refunds,
            "fees": fees,
            "net": gross - refunds - fees,
        }
        for (day, vendor, currency, means), (payments, refunded, gross, refunds, fees) in totals.items()
    ]


def revenue_converted(truth: Truth) -> list[Row]:
    rates = [row for row in seed("exchange_rates") if row["to_currency"] == "EUR"]
    rows = []
    for row in revenue_by_day(truth):
        known = [
            (date.fromisoformat(each["valid_from"]), Decimal(each["rate"]))
            for each in rates
            if each["from_currency"] == row["currency"] and date.fromisoformat(each["valid_from"]) <= row["date_day"]
        ]
        since, rate = max(known, default=(None, None))
        gross, refunds, fees = (
            None if rate is None else rounded(row[name] * rate, 4) for name in ("gross", "refunds", "fees")
        )
        del row["refunded_payments"]
        net = None if gross is None or refunds is None or fees is None else gross - refunds - fees
        converted = {"reporting_currency": "EUR", "rate": rate, "rate_date": since}
        rows.append(row | converted | {"gross": gross, "refunds": refunds, "fees": fees, "net": net})
    return rows


def _movements(truth: Truth) -> Iterator[Movement]:
    for invoice in truth.rows("peakium", "invoices"):
        charge = invoice.get("charge")
        if charge:
            currency = charge["currency"]
            refunds = sum(refund["amount"] for refund in charge.get("refunds") or ())
            at = moment(charge["timestamp_paid"])
            assert at
            gross = money(charge["amount"], currency)
            yield at.date(), "peakium", currency, "unknown", (1, bool(refunds), gross, money(refunds, currency), ZERO)
    for sale in truth.rows("premiumpay", "sales"):
        at = moment(sale["date_time"])
        assert at
        gross = Decimal(sale["amount"] or 0)
        yield at.date(), "premiumpay", code(sale["currency"]), sale["payment_method"], (1, 0, gross, ZERO, ZERO)
    for booking in booked(truth):
        if booking.confirmed is None:
            continue
        fee = booking.price - (booking.price if booking.net is None else booking.net)
        yield booking.confirmed.date(), "peek", booking.currency, "unknown", (1, 0, booking.price, ZERO, fee)
        if booking.cancelled and booking.refunded:
            yield booking.cancelled.date(), "peek", booking.currency, "unknown", (0, 1, ZERO, booking.price, -fee)
