"""Peek's records, as the API serves them and as they must be in the warehouse.

Both are made from the model in the same way, except for how times are written and whether secrets are masked.
Which optional members a record has follows from its own ``form`` or from the world's switches.
"""

from __future__ import annotations

from datetime import UTC, datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from merchant_sandbox.clock import iso
from merchant_sandbox.money import PRECISION
from merchant_sandbox.tours import FEATURE, UNIT_LIMITS, content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from merchant_sandbox.events import Webhook
    from merchant_sandbox.money import Money
    from merchant_sandbox.vendors.peek.records import Booking, CalendarDay, Departure, Product, Unit, UnitItem

__all__ = ["MASK", "PeekShapes"]

MASK = "***"
_CONTACT_FIELDS = ["firstName", "emailAddress"]


class PeekShapes:
    """Renders the records of a model.

    Args:
        switches: The vendor's switches.
        emitted: As in the warehouse: times with microseconds, secrets masked.
    """

    def __init__(self, switches: Mapping[str, Any], *, emitted: bool = False) -> None:
        self.switches, self.emitted = switches, emitted
        self.standard: bool = switches["standard_fields"]

    def time(self, seconds: int | None) -> str | None:
        """A moment."""
        if seconds is None:
            return None
        return iso(seconds) if self.emitted else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def option_id(self, product: Product) -> str:
        """Id of a product's only option."""
        return self.switches["option_id"] or product.id

    def connection_capabilities(self) -> list[dict[str, Any]]:
        """What the server supports."""
        supported = {"octo/pricing": self.switches["pricing"], "octo/webhooks": self.switches["webhooks"] == "yes"}
        return [
            _capability(name, required=name == "octo/pricing") | {"docs": f"https://docs.example.com/{name}"}
            for name, there in supported.items()
            if there
        ]

    def capabilities(self, product: Product) -> list[dict[str, Any]]:
        """What a product needs of its reseller."""
        found = [_capability("octo/pricing", required=True), _capability("octo/webhooks", required=False)]
        if product.index == 0:
            found[0] |= {"dependencies": ["octo/pricing"], "default": True}
        if product.extra_capability:
            needed = "octo/content" if product.index == 3 and self.switches["content"] else "octo/pricing"
            docs = f"https://docs.example.com/{product.extra_capability}"
            extra = _capability(product.extra_capability, required=True)
            found.append(extra | {"revision": 2, "dependencies": [needed], "default": False, "docs": docs})
        return [{"docs": None, **each} for each in found] if self.standard else found

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
            tax = {"name": "VAT 10", "retail": money.tax, "net": net}
            shown["includedTaxes"] = [tax | {"original": money.tax} if self.standard else tax]
        elif self.standard:
            shown["includedTaxes"] = []
        return shown

    def _unit_prices(self, product: Product, currency: str | None) -> list[dict[str, Any]]:
        return [
            {"unitId": unit.id, **self.money(_price_in(currency, unit.prices))} for unit in product.units if unit.prices
        ]

    def _booking_price(self, product: Product, currency: str | None) -> dict[str, Any]:
        return self.money(_price_in(currency, product.prices or product.units[0].prices))

    def unit(self, unit: Unit) -> dict[str, Any]:
        """A kind of ticket."""
        shown: dict[str, Any] = {
            "id": unit.id,
            "internalName": unit.name,
            "reference": unit.reference,
            "type": unit.type,
            "restrictions": {
                "minAge": unit.ages[0] if self.standard or unit.type == "ADULT" else None,
                "maxAge": unit.ages[1] if self.standard or unit.type == "ADULT" else None,
                "idRequired": False,
                "minQuantity": 1,
                "maxQuantity": unit.most,
                "paxCount": 1,
                "accompaniedBy": [],
            },
        }
        if self.standard:
            shown["requiredContactFields"] = _CONTACT_FIELDS
        if self.switches["content"]:
            shown |= {"title": unit.name, "shortDescription": f"One {unit.type.lower()}", "features": [FEATURE]}
            shown["restrictions"] |= UNIT_LIMITS
        if self.switches["pricing"] and unit.prices:
            shown |= self._prices(unit.prices)
        return shown

    def _prices(self, prices: Sequence[Money]) -> dict[str, Any]:
        """The lowest prices, and in the standard those of today as well."""
        shown = [self.money(price) for price in prices]
        return {"pricingFrom": shown, "pricing": shown} if self.standard else {"pricingFrom": shown}

    def option(self, product: Product) -> dict[str, Any]:
        """The only option of a product."""
        shown: dict[str, Any] = {
            "id": self.option_id(product),
            "default": True,
            "internalName": product.name,
            "reference": None,
            "restrictions": {"minUnits": 0, "maxUnits": 9} if self.standard else {},
            "units": [self.unit(unit) for unit in product.units],
        }
        if product.form & 1 or self.standard:
            shown |= {
                "availabilityLocalStartTimes": ["00:00"] if product.opening_hours else list(product.starts),
                "cancellationCutoff": "1 Hour",
                "cancellationCutoffAmount": 1,
                "cancellationCutoffUnit": "hour",
                "requiredContactFields": _CONTACT_FIELDS if self.standard else ["firstName"],
            }
        if self.switches["content"]:
            shown |= content(product.name, product.minutes)
            shown["visibleContactFields"] = ["firstName", "notes"]
            shown["restrictions"] = {**shown["restrictions"], "minPaxCount": 1, "maxPaxCount": None}
        if self.switches["pricing"] and self.standard and product.per_booking:
            shown |= self._prices(product.prices)
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
        if product.form & 8 or product.open_dated or self.standard:
            instant = product.instant if self.standard else True
            shown |= {"instantConfirmation": instant, "availabilityRequired": not product.open_dated}
        if self.standard:
            shown["instantDelivery"] = True
        if self.switches["content"]:
            shown |= content(product.name, product.minutes)
        if self.switches["product_capabilities"]:
            shown["capabilities"] = self.capabilities(product)
        if self.switches["pricing"]:
            shown |= {
                "defaultCurrency": product.currencies[0],
                "availableCurrencies": list(product.currencies),
                "pricingPer": "BOOKING" if product.per_booking else "UNIT",
            }
            if self.standard:
                shown["includeTax"] = True
            elif product.per_booking:
                shown["pricingFrom"] = [self.money(price) for price in product.prices]
        return shown

    def calendar_day(
        self, product: Product, day: CalendarDay, *, units: bool = False, currency: str | None = None
    ) -> dict[str, Any]:
        """A day of the calendar."""
        status, available = _status(day.capacity, day.vacancies, closed=day.capacity is None)
        shown: dict[str, Any] = {
            "localDate": day.day.isoformat(),
            "status": status,
            "available": available,
            "capacity": day.capacity,
            "openingHours": _hours(day.hours),
        }
        if self.standard:
            shown["vacancies"] = day.vacancies
        if self.switches["pricing"] and day.capacity is not None:
            if not product.per_booking:
                shown["unitPricingFrom"] = self._unit_prices(product, currency)
            if units or product.per_booking:
                shown["pricingFrom"] = self._booking_price(product, currency)
        return shown

    def departure_id(self, departure: Departure) -> str:
        """The id that a booking names."""
        return departure.start if self.switches["availability_ids"] == "iso" else departure.id

    def departure(
        self, product: Product, departure: Departure, *, units: bool = False, currency: str | None = None
    ) -> dict[str, Any]:
        """A departure."""
        status, available = _status(departure.capacity, departure.vacancies)
        shown = self._when(product, departure) | {
            "status": status,
            "vacancies": departure.vacancies,
            "capacity": departure.capacity,
        }
        if self.standard:
            shown |= {"available": available, "maxUnits": None, "utcCutoffAt": self.time(departure.cutoff)}
        if self.switches["content"]:
            shown |= {"title": f"{product.name} at {departure.start[11:16]}", "shortDescription": product.name}
        if self.switches["pricing"]:
            if not product.per_booking:
                shown["unitPricing"] = self._unit_prices(product, currency)
            if units or product.per_booking:
                shown["pricing"] = self._booking_price(product, currency)
        return shown

    def _local(self, product: Product, text: str) -> str:
        """A local time with its offset; with that of January, where the switch says so."""
        if self.switches["local_offsets"] == "right":
            return text
        wall = datetime.fromisoformat(text)
        offset = wall.replace(month=1, day=1, tzinfo=ZoneInfo(product.zone)).utcoffset()
        assert offset is not None
        return wall.replace(tzinfo=timezone(offset)).isoformat()

    def _when(self, product: Product, departure: Departure) -> dict[str, Any]:
        return {
            "id": self.departure_id(departure),
            "localDateTimeStart": self._local(product, departure.start),
            "localDateTimeEnd": self._local(product, departure.end),
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
            "status": self._booking_status(booking),
            "utcExpiresAt": self.time(booking.expires),
            "utcConfirmedAt": self.time(booking.confirmed),
            "productId": booking.product.id,
            "optionId": self.option_id(booking.product),
            "cancellable": self._booking_status(booking) in {"ON_HOLD", "CONFIRMED"},
            "cancellation": self._cancellation(booking),
            "freesale": departure is not None and departure.capacity is None,
            "notes": booking.notes,
            "availability": None if departure is None else self._when(booking.product, departure),
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
                "utcUpdatedAt": self.time(self.updated(booking)),
            }
        if self.standard:
            shown |= {
                "id": booking.uuid,
                "utcRedeemedAt": self.time(booking.redeemed),
                "availabilityId": None if departure is None else self.departure_id(departure),
            }
        if self.switches["nested"]:
            shown |= {"product": self.product(booking.product), "option": self.option(booking.product)}
        return shown

    def _booking_status(self, booking: Booking) -> str:
        """The status: Peek has four, the standard three more."""
        if self.standard and booking.status == "CONFIRMED" and booking.redeemed is not None:
            return "REDEEMED"
        if self.standard and not booking.product.instant:
            return {"ON_HOLD": "PENDING", "EXPIRED": "REJECTED"}.get(booking.status, booking.status)
        return booking.status

    def updated(self, booking: Booking) -> int | None:
        """When the record says that it has changed; the standard requires it."""
        return None if booking.form & 1 and not self.standard else booking.updated

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
        if self.standard:
            first, _, last = booking.person.partition(" ")
            shown |= {"firstName": first, "lastName": last, "postalCode": "90210", "notes": ""}
        return shown

    def _delivery(self, booking: Booking, code: str) -> list[dict[str, Any]]:
        if booking.confirmed is None:
            return []
        return [{"deliveryFormat": "QRCODE", "deliveryValue": MASK if self.emitted else code}]

    def _voucher(self, booking: Booking) -> dict[str, Any] | None:
        if booking.form & 16 and not self.standard:
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
            if booking.confirmed is None and not self.standard
            else {
                "redemptionMethod": "DIGITAL",
                "utcRedeemedAt": self.time(booking.redeemed),
                "deliveryOptions": self._delivery(booking, item.code),
            },
        }
        if self.standard:
            shown |= {
                "status": self._booking_status(booking),
                "utcRedeemedAt": self.time(booking.redeemed),
                "contact": self._contact(booking),
            }
            if self.switches["pricing"] and item.unit.prices:
                shown["pricing"] = self.money(item.unit.prices[0])
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


def _capability(name: str, *, required: bool) -> dict[str, Any]:
    return {"id": name, "revision": 1, "required": required, "dependencies": []}


def _price_in(currency: str | None, prices: Sequence[Money]) -> Money:
    """The price in a currency, else in the product's own."""
    return next((price for price in prices if price.currency == currency), prices[0])


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
