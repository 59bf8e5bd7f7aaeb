"""Field work orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from tests.transform.figures.common import Row, Truth, moment, seed

_OPEN = {row["status"]: row["is_open"] == "true" for row in seed("work_order_statuses")}
_BUCKETS = ((7, "0-7"), (30, "8-30"), (60, "31-60"), (90, "61-90"))
_ASKS = "WAITING_FOR_APPROVAL"


def work_orders(truth: Truth) -> list[Row]:
    asked: dict[int, datetime] = {}
    reading: Truth | None = truth
    while reading:
        for row in reading.rows("peerassist", "fwos"):
            since = moment(row["lastUpdated"])
            if row["status"] == _ASKS and since:
                asked[row["id"]] = min(asked.get(row["id"], since), since)
        reading = reading.before
    there = {row["id"] for row in truth.rows("peerassist", "fwos")}
    orders = [(row, row["id"] not in there) for row in truth.read("peerassist", "fwos", "id")]
    customers = {row["id"]: row["name"] for row in truth.rows("peerassist", "customers")}
    rows: list[Row] = []
    for row, deleted in orders:
        created = moment(row["created"])
        assert created
        is_open = not deleted and _OPEN[row["status"]]
        age = (truth.as_of - created) // timedelta(days=1) if is_open else None
        rows.append(
            {
                "work_order_id": row["id"],
                "number": row["number"],
                "type": row["type"],
                "status": row["status"],
                "customer_id": row["customerId"],
                "customer_name": customers.get(row["customerId"]),
                "project_id": row["projectId"],
                "project_name": None,  # projects are not read by default
                "created_at": created,
                "created_date": created.date(),
                "last_updated_at": moment(row["lastUpdated"]),
                "is_deleted": deleted,
                "is_open": is_open,
                "age_days": age,
                "age_bucket": None if age is None else next((name for most, name in _BUCKETS if age <= most), "90+"),
                "is_overdue": age is not None and age > 30,
                "approval_requested_at": asked.get(row["id"]),
                "approved_at": None,  # no order of the sandbox gets that far
                "hours_to_approval": None,
                "labor_hours": Decimal(row["laborHours"]),
                "rough_amount": None if row["romAmount"] is None else Decimal(row["romAmount"]),
                "amount": Decimal(row["amount"]),
            }
        )
    return rows
