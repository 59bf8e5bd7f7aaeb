"""Bookings and departures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.transform.figures.common import ZERO, Row, Truth, grouped, moment, money, rounded

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Booked:
    """A booking of Peek, read out."""

    row: Row
    product: Row
    local: datetime | None
    starts: datetime | None
    confirmed: datetime | None
    cancelled: datetime | None
    redeemed: datetime | None
    refunded: bool
    currency: str
    price: Decimal
    net: Decimal | None

    @property
    def stands(self) -> bool:
        """Whether it is confirmed and not cancelled."""
        return self.confirmed is not None and self.cancelled is None

    @property
    def departure(self) -> tuple[str, str, str, str]:
        """The key of its departure."""
        return "default", self.row["productId"], self.row["optionId"], self.row["availability"]["id"]

    @property
    def amounts(self) -> dict[str, Decimal]:
        """Gross, refunds, fees and net."""
        gross = self.price if self.confirmed else ZERO
        refunds = gross if self.cancelled and self.refunded else ZERO
        fees = ZERO if refunds or self.net is None or not self.confirmed else self.price - self.net
        if self.cancelled and self.refunded:
            fees = ZERO
        return {"gross": gross, "refunds": refunds, "fees": fees, "net": gross - refunds - fees}


def booked(truth: Truth) -> list[Booked]:
    """All bookings."""
    return [_booked(row, truth.products[row["productId"]]) for row in truth.read("peek", "bookings", "uuid")]


def _booked(row: Row, product: Row) -> Booked:
    price, cancellation = row["pricing"], row.get("cancellation") or {}
    local = datetime.fromisoformat(row["availability"]["localDateTimeStart"][:19]) if row.get("availability") else None
    digits = price["currencyPrecision"]
    tickets = [item.get("ticket") or {} for item in row["unitItems"]]
    redeemed = [moment(part.get("utcRedeemedAt")) for part in (row.get("voucher") or {}, *tickets)]
    return Booked(
        row=row,
        product=product,
        local=local,
        starts=None if local is None else _utc(local, product["timeZone"]),
        confirmed=moment(row.get("utcConfirmedAt")),
        cancelled=moment(cancellation.get("utcCancelledAt")),
        redeemed=min((each for each in redeemed if each), default=None),
        refunded=cancellation.get("refund") == "FULL",
        currency=price["currency"],
        price=money(price["retail"], "", digits),
        net=None if price.get("net") is None else money(price["net"], "", digits),
    )


def _utc(local: datetime, zone: str) -> datetime:
    offset = local.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return local - offset


def _no_show(booking: Booked, truth: Truth, *, scanned: bool) -> bool | None:
    if not scanned:
        return None
    left = booking.starts is not None and booking.starts < truth.as_of
    return booking.stands and booking.redeemed is None and left


def bookings(truth: Truth) -> list[Row]:
    found = booked(truth)
    scanned = any(booking.redeemed for booking in found)
    return [
        {
            "connection": "default",
            "booking_uuid": booking.row["uuid"],
            "product_id": booking.row["productId"],
            "product_name": booking.product["internalName"],
            "availability_id": (booking.row.get("availability") or {}).get("id"),
            "option_id": booking.row["optionId"],
            "status": booking.row["status"],
            "created_at": moment(booking.row.get("utcCreatedAt")) or booking.confirmed,
            "confirmed_at": booking.confirmed,
            "confirmed_date": booking.confirmed and booking.confirmed.date(),
            "cancelled_at": booking.cancelled,
            "starts_at": booking.starts,
            "departure_date": booking.local and booking.local.date(),
            "redeemed_at": booking.redeemed,
            "lead_days": (booking.starts - booking.confirmed) // _DAY if booking.starts and booking.confirmed else None,
            "seats": len(booking.row["unitItems"]),
            "is_confirmed": booking.confirmed is not None,
            "is_cancelled": booking.confirmed is not None and booking.cancelled is not None,
            "is_redeemed": booking.redeemed is not None,
            "is_no_show": _no_show(booking, truth, scanned=scanned),
            "currency": booking.currency,
            **booking.amounts,
        }
        for booking in found
    ]


def departures(truth: Truth) -> list[Row]:
    found = booked(truth)
    scanned = any(booking.redeemed for booking in found)
    by_departure = grouped((each.departure, each) for each in found if each.stands and each.local)
    rows = []
    for row in truth.read("peek", "availability", "productId", "optionId", "id"):
        key = "default", row["productId"], row["optionId"], row["id"]
        own: list[Booked] = by_departure.get(key, [])
        product, capacity, vacancies = truth.products[row["productId"]], row.get("capacity"), row.get("vacancies")
        sold = None if capacity is None or vacancies is None else capacity - vacancies
        starts = moment(row["_utc_start"])
        assert starts
        rows.append(
            {
                **_key(key),
                "product_name": product["internalName"],
                "time_zone": product["timeZone"],
                "starts_at": starts,
                "departure_date": date.fromisoformat(row["localDateTimeStart"][:10]),
                "has_departed": starts < truth.as_of,
                "status": row["status"],
                "capacity": capacity,
                "vacancies": vacancies,
                "seats_sold": sold,
                "occupancy": rounded(Decimal(sold) / capacity, 4) if capacity and sold is not None else None,
                "bookings": len(own),
                "booked_seats": sum(len(each.row["unitItems"]) for each in own),
                "no_shows": sum(bool(_no_show(each, truth, scanned=True)) for each in own) if own and scanned else None,
            }
        )
    return rows


def departure_revenue(truth: Truth) -> list[Row]:
    groups = grouped(((each.departure, each.currency), each) for each in booked(truth) if each.confirmed and each.local)
    return [
        {
            **_key(key),
            "currency": currency,
            "product_name": own[0].product["internalName"],
            "starts_at": own[0].starts,
            "departure_date": own[0].local.date(),
            "bookings": len(own),
            **{name: sum(each.amounts[name] for each in own) for name in ("gross", "refunds", "fees", "net")},
        }
        for (key, currency), own in groups.items()
    ]


def booking_pace(truth: Truth) -> list[Row]:
    """What changed from one reading to the next."""
    readings = [truth]
    while readings[-1].before:
        readings.append(readings[-1].before)
    rows: list[Row] = []
    before: dict[Any, int] = {}
    for reading in reversed(readings):
        day = reading.read_at.date()
        for row in reading.rows("peek", "availability"):
            key = "default", row["productId"], row["optionId"], row["id"]
            capacity, vacancies = row.get("capacity"), row.get("vacancies")
            if capacity is None or vacancies is None:
                continue
            sold, last = capacity - vacancies, before.get(key)
            before[key] = sold
            if sold == last:
                continue
            departs = date.fromisoformat(row["localDateTimeStart"][:10])
            rows.append(
                {
                    **_key(key),
                    "observed_date": day,
                    "product_name": truth.products[row["productId"]]["internalName"],
                    "departure_date": departs,
                    "days_before": (departs - day).days,
                    "capacity": capacity,
                    "vacancies": vacancies,
                    "seats_sold": sold,
                    "seats_taken": None if last is None else sold - last,
                }
            )
    return rows


def _key(key: tuple[str, str, str, str]) -> dict[str, str]:
    return dict(zip(("connection", "product_id", "option_id", "availability_id"), key, strict=True))
