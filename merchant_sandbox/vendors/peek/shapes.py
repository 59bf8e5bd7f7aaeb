"""Peek's records, as the API serves them and as they must be in the warehouse.

Both are made from the model in the same way, except for how times are written and whether secrets are masked.
Which optional members a record has follows from its own ``form`` or from the world's switches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from merchant_sandbox.clock import iso
from merchant_sandbox.money import PRECISION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.events import Webhook
    from merchant_sandbox.money import Money
    from merchant_sandbox.vendors.peek.model import Booking, CalendarDay, Departure, Product, Unit, UnitItem

__all__ = ["CAPABILITIES", "MASK", "PeekShapes", "supplier"]

MASK = "***"
CAPABILITIES: tuple[dict[str, Any], ...] = (
    {"id": "octo/pricing", "revision": 1, "required": True, "dependencies": []},
    {"id": "octo/webhooks", "revision": 1, "required": False, "dependencies": [], "docs": None},
)


class PeekShapes:
    """Renders the records of a model.

    Args:
        switches: The vendor's switches.
        emitted: As in the warehouse: times with microseconds, secrets masked.
    """

    def __init__(self, switches: Mapping[str, Any], *, emitted: bool = False) -> None:
        self.switches, self.emitted = switches, emitted

    def time(self, seconds: int | None) -> str | None:
        """A moment."""
        if seconds is None:
            return None
        return iso(seconds) if self.emitted else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def option_id(self, product: Product) -> str:
        """Id of a product's only option."""
        return self.switches["option_id"] or product.id

    def capabilities(self, product: Product) -> list[dict[str, Any]]:
        """What a product needs of its reseller."""
        found: list[dict[str, Any]] = [
            {"id": "octo/pricing", "revision": 1, "required": True, "dependencies": []},
            {"id": "octo/webhooks", "revision": 1, "required": False, "dependencies": []},
        ]
        if product.index == 0:
            found[0] |= {"dependencies": ["octo/pricing"], "default": True}
        if product.extra_capability:
            found.append(
                {
                    "id": product.extra_capability,
                    "revision": 2,
                    "required": True,
                    "dependencies": ["octo/pricing"],
                    "default": False,
                    "docs": f"https://docs.example.com/{product.extra_capability}",
                }
            )
        return found

    def money(self, money: Money) -> dict[str, Any]:
        """A price."""
        shown: dict[str, Any] = {
            "original": money.original,
            "retail": money.retail,
            "net": money.net,
            "currency": money.currency,
            "currencyPrecision": PRECISION.get(money.currency, 2),
        }
        if money.tax is not None:
            net = None if money.net is None else money.tax // 2
            shown["includedTaxes"] = [{"name": "VAT 10", "retail": money.tax, "net": net}]
        return shown

    def _unit_prices(self, product: Product) -> list[dict[str, Any]]:
        return [{"unitId": unit.id, **self.money(unit.prices[0])} for unit in product.units if unit.prices]

    def unit(self, unit: Unit) -> dict[str, Any]:
        """A kind of ticket."""
        shown: dict[str, Any] = {
            "id": unit.id,
            "internalName": unit.name,
            "reference": unit.reference,
            "type": unit.type,
            "restrictions": {
                "minAge": unit.ages[0],
                "maxAge": unit.ages[1],
                "idRequired": False,
                "minQuantity": 1,
                "maxQuantity": unit.most,
                "paxCount": 1,
                "accompaniedBy": [],
            },
        }
        if self.switches["standard_fields"]:
            shown["requiredContactFields"] = ["firstName"]
        if self.switches["pricing"] and unit.prices:
            shown["pricingFrom"] = [self.money(price) for price in unit.prices]
        return shown

    def option(self, product: Product) -> dict[str, Any]:
        """The only option of a product."""
        shown: dict[str, Any] = {
            "id": self.option_id(product),
            "default": True,
            "internalName": product.name,
            "reference": None,
            "restrictions": {"minUnits": 0, "maxUnits": 9} if self.switches["standard_fields"] else {},
            "units": [self.unit(unit) for unit in product.units],
        }
        if product.form & 1:
            shown |= {
                "availabilityLocalStartTimes": ["00:00"] if product.opening_hours else list(product.starts),
                "cancellationCutoff": "1 Hour",
                "cancellationCutoffAmount": 1,
                "cancellationCutoffUnit": "hour",
                "requiredContactFields": ["firstName"],
            }
        if self.switches["pricing"] and self.switches["standard_fields"] and product.per_booking:
            shown["pricingFrom"] = [self.money(price) for price in product.prices]
        return shown

    def product(self, product: Product) -> dict[str, Any]:
        """A product."""
        shown: dict[str, Any] = {
            "id": product.id,
            "internalName": product.name,
            "reference": None if product.form & 2 else f"REF-{product.index}",
            "locale": "en",
            "timeZone": product.zone,
            "allowFreesale": product.freesale,
            "availabilityType": "OPENING_HOURS" if product.opening_hours else "START_TIME",
            "deliveryFormats": ["QRCODE", "PDF_URL"],
            "deliveryMethods": ["TICKET", "VOUCHER"],
            "redemptionMethod": "MANIFEST" if product.form & 4 else "DIGITAL",
            "options": [self.option(product)],
        }
        if product.form & 8 or product.open_dated:
            shown |= {"instantConfirmation": True, "availabilityRequired": not product.open_dated}
        if self.switches["standard_fields"]:
            shown["instantDelivery"] = True
        if self.switches["product_capabilities"]:
            shown["capabilities"] = self.capabilities(product)
        if self.switches["pricing"]:
            shown |= {
                "defaultCurrency": product.currencies[0],
                "availableCurrencies": list(product.currencies),
                "pricingPer": "BOOKING" if product.per_booking else "UNIT",
            }
            if product.per_booking and not self.switches["standard_fields"]:
                shown["pricingFrom"] = [self.money(price) for price in product.prices]
        return shown

    def calendar_day(self, product: Product, day: CalendarDay, *, units: bool = False) -> dict[str, Any]:
        """A day of the calendar."""
        status, available = _status(day.capacity, day.vacancies, closed=day.capacity is None)
        shown: dict[str, Any] = {
            "localDate": day.day.isoformat(),
            "status": status,
            "available": available,
            "capacity": day.capacity,
            "openingHours": _hours(day.hours),
        }
        if self.switches["standard_fields"]:
            shown["vacancies"] = day.vacancies
        if self.switches["pricing"] and day.capacity is not None:
            if not product.per_booking:
                shown["unitPricingFrom"] = self._unit_prices(product)
            if units or product.per_booking:
                shown["pricingFrom"] = self.money((product.prices or product.units[0].prices)[0])
        return shown

    def departure_id(self, departure: Departure) -> str:
        """The id that a booking names."""
        return departure.start if self.switches["availability_ids"] == "iso" else departure.id

    def departure(self, product: Product, departure: Departure, *, units: bool = False) -> dict[str, Any]:
        """A departure."""
        status, available = _status(departure.capacity, departure.vacancies)
        shown = self._when(departure) | {
            "status": status,
            "vacancies": departure.vacancies,
            "capacity": departure.capacity,
        }
        if self.switches["standard_fields"]:
            shown |= {"available": available, "maxUnits": None, "utcCutoffAt": self.time(departure.cutoff)}
        if self.switches["pricing"]:
            if not product.per_booking:
                shown["unitPricing"] = self._unit_prices(product)
            if units or product.per_booking:
                shown["pricing"] = self.money((product.prices or product.units[0].prices)[0])
        return shown

    def _when(self, departure: Departure) -> dict[str, Any]:
        return {
            "id": self.departure_id(departure),
            "localDateTimeStart": departure.start,
            "localDateTimeEnd": departure.end,
            "allDay": departure.all_day,
            "openingHours": _hours(departure.hours),
        }

    def booking(self, booking: Booking) -> dict[str, Any]:
        """A booking."""
        departure = booking.departure
        shown: dict[str, Any] = {
            "uuid": booking.uuid,
            "testMode": self.switches["env"] == "test",
            "resellerReference": booking.reseller_reference,
            "supplierReference": booking.supplier_reference,
            "status": booking.status,
            "utcExpiresAt": self.time(booking.expires),
            "utcConfirmedAt": self.time(booking.confirmed),
            "productId": booking.product.id,
            "optionId": self.option_id(booking.product),
            "cancellable": booking.status in {"ON_HOLD", "CONFIRMED"},
            "cancellation": self._cancellation(booking),
            "freesale": departure is not None and departure.capacity is None,
            "notes": booking.notes,
            "availability": None if departure is None else self._when(departure),
            "contact": self._contact(booking),
            "deliveryMethods": ["TICKET", "VOUCHER"],
            "voucher": self._voucher(booking),
            "unitItems": [self._item(booking, item) for item in booking.items],
        }
        if self.switches["pricing"]:
            shown["pricing"] = self.money(booking.price)
        if self.switches["booking_dates"]:
            shown |= {
                "utcCreatedAt": self.time(booking.created),
                "utcUpdatedAt": None if booking.form & 1 else self.time(booking.updated),
            }
        if self.switches["standard_fields"]:
            shown |= {
                "id": booking.uuid,
                "utcRedeemedAt": self.time(booking.redeemed),
                "availabilityId": None if departure is None else self.departure_id(departure),
            }
        if self.switches["nested"]:
            shown |= {"product": self.product(booking.product), "option": self.option(booking.product)}
        return shown

    def _cancellation(self, booking: Booking) -> dict[str, Any] | None:
        if booking.cancelled is None:
            return None
        reason = f"{booking.person} is ill" if booking.form & 4 else None
        return {"refund": "FULL", "reason": reason, "utcCancelledAt": self.time(booking.cancelled)}

    def _contact(self, booking: Booking) -> dict[str, Any]:
        known = booking.confirmed is not None
        shown: dict[str, Any] = {
            "fullName": booking.person if known else None,
            "emailAddress": f"guest{booking.index}@example.com" if known else None,
            "phoneNumber": f"+1555{booking.index:07}" if known and booking.form & 8 else None,
            "locales": ["en"] if known else [],
            "country": "US" if known else None,
        }
        if self.switches["standard_fields"]:
            first, _, last = booking.person.partition(" ")
            shown |= {"firstName": first, "lastName": last, "postalCode": "90210", "notes": ""}
        return shown

    def _delivery(self, booking: Booking, code: str) -> list[dict[str, Any]]:
        if booking.confirmed is None:
            return []
        return [{"deliveryFormat": "QRCODE", "deliveryValue": MASK if self.emitted else code}]

    def _voucher(self, booking: Booking) -> dict[str, Any] | None:
        if booking.form & 16:
            return None
        return {
            "redemptionMethod": "DIGITAL",
            "utcRedeemedAt": self.time(booking.redeemed),
            "deliveryOptions": self._delivery(booking, f"VOUCHER-{booking.uuid}"),
        }

    def _item(self, booking: Booking, item: UnitItem) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "uuid": item.uuid,
            "resellerReference": None,
            "supplierReference": item.uuid[:6].upper(),
            "unitId": item.unit.id,
            "ticket": None
            if booking.confirmed is None
            else {
                "redemptionMethod": "DIGITAL",
                "utcRedeemedAt": self.time(booking.redeemed),
                "deliveryOptions": self._delivery(booking, item.code),
            },
        }
        if self.switches["standard_fields"]:
            shown |= {
                "status": booking.status,
                "utcRedeemedAt": self.time(booking.redeemed),
                "contact": self._contact(booking),
            }
        if self.switches["nested"]:
            shown["unit"] = self.unit(item.unit)
        return shown

    def webhook(self, webhook: Webhook) -> dict[str, Any]:
        """An endpoint."""
        url = webhook.url
        if self.emitted and "@" in urlsplit(url).netloc:
            scheme, _, rest = url.partition("://")
            url = f"{scheme}://{MASK}@{rest.partition('@')[2]}"
        return {"id": f"octohook_{123 + webhook.index}", "event": "booking_update", "url": url}


def supplier(operator: int) -> dict[str, Any]:
    """The operator behind a key."""
    return {
        "id": f"supplier-{operator}",
        "name": "Søn & Co",
        "endpoint": "https://octo.example.com/v1",
        "contact": {"website": None, "email": "desk@example.com", "telephone": None, "address": "1 Pier, Harbour"},
    }


def _hours(hours: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"from": start, "to": end} for start, end in hours]


def _status(capacity: int | None, vacancies: int | None, *, closed: bool = False) -> tuple[str, bool]:
    """Status, and whether it counts as available: at Peek, AVAILABLE and LIMITED do."""
    if closed:
        return "CLOSED", False
    if capacity is None or vacancies is None:
        return "FREESALE", True
    if not vacancies:
        return "SOLD_OUT", False
    return ("LIMITED" if vacancies * 2 < capacity else "AVAILABLE"), True
