"""Monthly recurring revenue, cohorts and failed payments."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from tests.transform.figures.common import (
    MONTH_DAYS,
    ZERO,
    Row,
    Truth,
    code,
    first_of_month,
    hours,
    midnight,
    moment,
    money,
    months,
    next_month,
)

if TYPE_CHECKING:
    from datetime import date, datetime

_PER_MONTH = {"month": Decimal(1), "M": Decimal(1), "year": Decimal(1) / 12, "day": MONTH_DAYS}


@dataclass(frozen=True)
class Span:
    """When a subscription is active, and what it brings a month."""

    customer: str
    currency: str
    starts: datetime
    ends: datetime | None
    mrr: Decimal


Standing = dict[tuple[str, str], tuple[Decimal, int]]
"""MRR and number of subscriptions by customer and currency."""


def _spans(truth: Truth) -> list[Span]:
    told: dict[tuple[str, str, str], datetime] = {}
    for event in truth.rows("peakium", "events"):
        kind = event["event"].replace(".", "_")
        if kind.startswith("subscription"):
            shot = event["data"]["object"] if isinstance(event["data"]["object"], dict) else event["data"]
            customer = shot["customer"]["id"] if isinstance(shot["customer"], dict) else shot["customer"]
            at = moment(event["created"])
            assert at
            told[kind, customer, shot["token"]] = at
    spans = []
    for row in truth.rows("peakium", "subscriptions"):
        key = row["customer_id"], row["token"]
        plan = row["plan"]
        price = plan["amount"] if "amount" in plan else sum(i["unit_amount"] * i["quantity"] for i in plan["items"])
        monthly = (Decimal(price) * _PER_MONTH[plan["period_type"]] / plan["period_amount"]).quantize(
            Decimal(1), ROUND_HALF_UP
        )
        currency = code(plan["currency"])
        starts = moment(row.get("created")) or told["subscription_created", *key]
        ends = told["subscription_cancelled", *key] if row["status"] == "cancelled" else None
        spans.append(Span(row["customer_id"], currency, starts, ends, money(int(monthly), currency)))
    return spans


def _standings(truth: Truth) -> dict[date, Standing]:
    spans = _spans(truth)
    found: dict[date, Standing] = {}
    for month in months(first_of_month(min(span.starts for span in spans)), first_of_month(truth.as_of)):
        end = min(midnight(next_month(month)), truth.as_of)
        standing: Standing = defaultdict(lambda: (ZERO, 0))
        for span in spans:
            if span.starts < end and (span.ends is None or span.ends >= end):
                mrr, number = standing[span.customer, span.currency]
                standing[span.customer, span.currency] = mrr + span.mrr, number + 1
        found[month] = standing
    return found


_MOVES = ("new", "expansion", "contraction", "churned", "reactivation")


def mrr_by_month(truth: Truth) -> list[Row]:
    rows: list[Row] = []
    before: dict[tuple[str, str], Decimal] = {}
    paid_once: set[tuple[str, str]] = set()
    seen: set[str] = set()
    for month, standing in _standings(truth).items():
        now = {key: mrr for key, (mrr, _) in standing.items()}
        seen |= {currency for _, currency in now}
        for currency in seen:
            moved = dict.fromkeys(_MOVES, ZERO)
            people = dict.fromkeys(_MOVES, 0)
            for key in {key for key in now.keys() | before.keys() if key[1] == currency}:
                old, new = before.get(key, ZERO), now.get(key, ZERO)
                if old != new:
                    move = _move(old, new, paid=key in paid_once)
                    moved[move] += abs(new - old)
                    people[move] += 1
            own = [standing[key] for key in standing if key[1] == currency]
            rows.append(
                {
                    "date_month": month,
                    "currency": currency,
                    "opening_mrr": sum((mrr for key, mrr in before.items() if key[1] == currency), ZERO),
                    **{f"{move}_mrr": moved[move] for move in _MOVES},
                    "closing_mrr": sum((mrr for mrr, _ in own), ZERO),
                    "subscriptions": sum(number for _, number in own),
                    "paying_customers": sum(mrr > 0 for mrr, _ in own),
                    "new_customers": people["new"],
                    "churned_customers": people["churned"],
                    "reactivated_customers": people["reactivation"],
                    "unpriced_subscriptions": 0,
                }
            )
        paid_once |= {key for key, mrr in now.items() if mrr > 0}
        before = now
    return rows


def _move(old: Decimal, new: Decimal, *, paid: bool) -> str:
    if not old:
        return "reactivation" if paid else "new"
    if not new:
        return "churned"
    return "expansion" if new > old else "contraction"


def subscription_cohorts(truth: Truth) -> list[Row]:
    standings = _standings(truth)
    first: dict[tuple[str, str], date] = {}
    for month, standing in standings.items():
        for key, (mrr, _) in standing.items():
            if mrr > 0:
                first.setdefault(key, month)
    rows: list[Row] = []
    for cohort, currency in sorted({(month, key[1]) for key, month in first.items()}):
        members = [key for key, month in first.items() if (month, key[1]) == (cohort, currency)]
        for number, month in enumerate(months(cohort, first_of_month(truth.as_of))):
            amounts = [standings[month].get(key, (ZERO, 0))[0] for key in members]
            initial: Any = sum(standings[cohort][key][0] for key in members)
            rows.append(
                {
                    "cohort_month": cohort,
                    "currency": currency,
                    "month_number": number,
                    "date_month": month,
                    "customers": len(members),
                    "retained_customers": sum(amount > 0 for amount in amounts),
                    "initial_mrr": initial,
                    "mrr": sum(amounts, ZERO),
                }
            )
    return rows


def failed_payments(truth: Truth) -> list[Row]:
    failures: dict[str, list[datetime]] = defaultdict(list)
    for event in truth.rows("peakium", "events"):
        if event["event"].replace(".", "_") == "invoice_payment_failed":
            shot = event["data"]["object"] if isinstance(event["data"]["object"], dict) else event["data"]
            at = moment(event["created"])
            assert at
            failures[shot["id"]].append(at)
    invoices = {row["id"]: row for row in truth.rows("peakium", "invoices")}
    rows: list[Row] = []
    for invoice_id, moments in failures.items():
        invoice, failed = invoices[invoice_id], min(moments)
        paid = moment(invoice["timestamp_paid"])
        outcome = "recovered" if paid else "retracted" if invoice["retracted"] else "open"
        currency = invoice["calculated_total"]["currency"]
        rows.append(
            {
                "invoice_id": invoice_id,
                "customer_id": invoice["customer_id"],
                "failed_at": failed,
                "failed_date": failed.date(),
                "failures": len(moments),
                "currency": currency,
                "amount": money(invoice["calculated_total"]["amount"], currency),
                "outcome": outcome,
                "recovered_at": paid,
                "hours_to_recover": hours(paid - failed) if paid else None,
            }
        )
    return rows
