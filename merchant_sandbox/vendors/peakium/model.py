"""Peakium's data: who bought what, and what became of it.

Every record is a function of its index and of the moment that the story has reached, so a million of them take no
memory until they are served. Times are Unix seconds, amounts are minor units, references are indexes. A record's
``form`` is a number of its own that decides in which of the contract's shapes it is served.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import DAY, HOUR
from merchant_sandbox.dice import Dice, Ids
from merchant_sandbox.events import Deliveries, EventLog, Webhook
from merchant_sandbox.timeline import FIRST_DAY, LAST_DAY, Timeline, story_time
from merchant_sandbox.vendors.peakium.records import (
    Gateway,
    Invoice,
    InvoiceItem,
    PaymentSession,
    PeakiumCustomer,
    Subscription,
)

if TYPE_CHECKING:
    from merchant_sandbox.vendor import Size

__all__ = ["PeakiumModel"]

_UNITS = {"demo": 24, "small": 24, "medium": 900, "large": 9_000}
"""One unit is 5 customers, 6 subscriptions, 15 invoices, 7 payment sessions and what follows from them: 110 rows."""

_EVENT_TYPES = (
    "customer.created",
    "customer.updated",
    "subscription.created",
    "subscription.cancelled",
    "invoice.created",
    "invoice.locked",
    "invoice.paid",
    "invoice.payment_failed",
    "payment_session.started",
)
_CURRENCIES = ("USD", "EUR", "DKK", "JPY")
_PERIODS = (("month", 30), ("month", 30), ("month", 30), ("year", 365), ("M", 30), ("day", 1))
_PLANS = (
    "Plus Plan",
    "Årsplan Ærø",
    "Стандарт",
    "基本プラン",
    'The "Big" one',
    "Line one\nline two\ttabbed",
    "Emoji 🎉 plan",
    "C:\\plan\\x",
)
_PRICES = (7200, 990, 12_345, 250_000, 0, 5)
_ODD_PRICE = 9_007_199_254_740_993


class PeakiumModel:
    """The data of one (seed, size, ticks).

    Args:
        seed: Changes every value.
        size: Number of records, see `_UNITS`.
        ticks: Days of changes on top of the base data.
    """

    def __init__(self, seed: int, size: Size, ticks: int) -> None:
        self.seed, self.size, self.ticks, self.now = seed, size, ticks, story_time(ticks)
        units = _UNITS[size]
        more = max(1, units // 40)
        billing_run = range(units * 5, units * 5 + 130)
        self._customers = Timeline(units * 5, more * 5, Dice(seed, "customer time"))
        self._subscriptions = Timeline(units * 6, more * 6, Dice(seed, "subscription time"))
        self._invoices = Timeline(units * 15, more * 15, Dice(seed, "invoice time"), billing_run)
        self._sessions = Timeline(units * 7, more * 7, Dice(seed, "session time"))
        self.customers = self._customers.count(ticks)
        self.subscriptions = self._subscriptions.count(ticks)
        self.invoices = self._invoices.count(ticks)
        self.sessions = self._sessions.count(ticks)
        self.invoice_ids = Ids("in_", seed)
        self.session_ids = Ids("ps_", seed)
        self.gateway_ids = Ids("gw_", seed)
        self._customer_dice = Dice(seed, "customer")
        self._subscription_dice = Dice(seed, "subscription")
        self._invoice_dice = Dice(seed, "invoice")
        self._session_dice = Dice(seed, "session")
        self._delivery_dice = Dice(seed, "delivery")

    def customer_id(self, index: int) -> str:
        """The merchant's own id: mostly plain, sometimes text that a URL must encode."""
        if index % 40 == 7:
            return f"käufer {index}/ü&?"
        if index % 40 == 19:
            return f'user "{index}" o\'neil+x%'
        return f"cu{4321 + index}"

    def find_customer(self, text: str) -> int | None:
        """The index of the customer with an id."""
        digits = "".join(letter for letter in text if letter.isdecimal())
        for index in (int(digits), int(digits) - 4321) if digits else ():
            if 0 <= index < self.customers and self.customer_id(index) == text:
                return index
        return None

    def customer(self, index: int, at: int | None = None) -> PeakiumCustomer:
        """A customer as it stands now, or stood at a moment."""
        at = at or self.now
        dice = self._customer_dice(index)
        created = self._customers.created(index)
        balances = {_CURRENCIES[dice % 4]: dice % 100_000 + (at - created) // DAY * (dice % 3) * 10}
        if dice % 11 == 0:
            balances = {}
        if index % 50 == 13 and self.size != "demo":
            balances = {"USD": _ODD_PRICE, "JPY": 2**63 + index}
        metadata: dict[str, Any] | None = [
            {},
            {"name": f"Kunde № {index}", "note": 'said "hi"\nand left\\', "tags": ["a", None, 1.5]},
            None,
            {"πλάτος": "широта 緯度 🌍", "empty": "", "zero": 0, "deep": {"a": {"b": [1, {"c": None}]}}},
            {"user": str(index), "vip": True, "score": 0.1 + dice % 10},
        ][dice >> 8 & 7 if dice >> 8 & 7 < 5 else 0]
        return PeakiumCustomer(index, self.customer_id(index), created, balances, metadata, dice >> 20 & 15)

    def subscription_customer(self, index: int) -> int:
        """The index of a subscription's customer, who is older."""
        return max(0, index * 5 // 6 - 1)

    def subscriptions_of(self, customer: int) -> list[int]:
        """The indexes of a customer's subscriptions."""
        near = range(max(0, customer * 6 // 5 - 2), min(self.subscriptions, customer * 6 // 5 + 5))
        return [index for index in near if self.subscription_customer(index) == customer]

    def token(self, index: int) -> str:
        """A token, which is unique only within its customer: every sixth subscription has the same one."""
        return "primary" if index % 6 == 2 else f"{self._subscription_dice(index) & 0xFFFFFFFFFFFFFFFFFF:018x}"[:18]

    def subscription(self, index: int, at: int | None = None) -> Subscription:
        """A subscription as it stands now, or stood at a moment."""
        at = at or self.now
        dice = self._subscription_dice(index)
        created = self._subscriptions.created(index)
        period_type, days = _PERIODS[dice >> 4 & 7 if dice >> 4 & 7 < 6 else 0]
        cancelled = self._cancellation(index)
        if cancelled is not None and cancelled > at:
            cancelled = None
        cycle = max(0, (min(at, cancelled or at) - created) // (days * DAY))
        start = created + cycle * days * DAY
        return Subscription(
            index=index,
            token=self.token(index),
            customer=self.subscription_customer(index),
            created=created,
            name=_PLANS[dice >> 24 & 7],
            price=_PRICES[(dice >> 28) % 6] if index % 97 or self.size == "demo" else _ODD_PRICE,
            currency=_CURRENCIES[dice >> 32 & 3],
            discount=(0.0, 0.0, 0.1, 12.5)[dice >> 36 & 3],
            item_id=100 + (dice >> 40) % 9 if dice >> 44 & 3 else f"sku-{dice >> 40 & 7}",
            period_type=period_type,
            cycle=cycle + 1,
            period_start=start,
            period_end=start + days * DAY,
            cancelled_at=cancelled,
            form=dice >> 48 & 255,
        )

    def _cancellation(self, index: int) -> int | None:
        """When a subscription is cancelled, if it ever is."""
        dice = self._subscription_dice(index)
        return self._subscriptions.created(index) + (dice >> 12) % (300 * DAY) if dice % 4 == 0 else None

    def invoice(self, index: int, at: int | None = None) -> Invoice:
        """An invoice as it stands now, or stood at a moment."""
        at = at or self.now
        dice = self._invoice_dice(index)
        created = self._invoices.created(index)
        subscription = (dice >> 32) % self._subscriptions.count_at(created)
        locked, paid, retracted, _ = self._fate(created, dice)
        charged = paid + (dice >> 16) % 3 if paid else None
        items = self._items(dice, subscription, created)
        return Invoice(
            index=index,
            id=self.invoice_ids.encode(index),
            customer=self.subscription_customer(subscription),
            created=created,
            due=created + 14 * DAY if dice >> 20 & 7 else None,
            locked_at=locked if locked and locked <= at else None,
            paid_at=paid if paid and paid <= at else None,
            retracted_at=retracted if retracted and retracted <= at else None,
            charged_at=charged if charged and charged <= at else None,
            refunded=bool(charged) and dice >> 24 & 15 == 0 and (charged or 0) + 20 * DAY <= at,
            currency=_CURRENCIES[dice >> 28 & 3],
            items=items,
            total=sum(item.total if item.type == "debit" else -item.total for item in items),
            form=dice >> 40 & 255,
        )

    def _fate(self, created: int, dice: int) -> tuple[int | None, int | None, int | None, int | None]:
        """Moments of locking, payment, retraction and failed payment; None for what never happens."""
        locked = created + (HOUR if dice & 1 else 0)
        fate = (dice >> 4) % 10
        if fate < 6:
            return locked, locked + (dice >> 8) % 600, None, None
        if fate < 8:
            return locked, locked + DAY + (dice >> 8) % (40 * DAY), None, locked + HOUR
        if fate == 8:
            return locked, None, None, locked + HOUR
        return None, None, created + 2 * DAY + (dice >> 8) % (8 * DAY), None

    def _items(self, dice: int, subscription: int, created: int) -> tuple[InvoiceItem, ...]:
        bought = self.subscription(subscription, created)
        quantity = 1 + (dice >> 44) % 3
        price, total, period = bought.price, bought.price * quantity, (bought.period_start, bought.period_end)
        what = (bought.name, bought.item_id, price, quantity, bought.discount)
        items = [InvoiceItem("debit", 1, *what, total, *period, subscription)]
        extra = (dice >> 48) % 8
        if extra < 2:
            items.append(InvoiceItem("debit", 2, "Set-up\n“fee”", "setup", 1500, 1, 0.0, 1500, None, None, None))
        if extra == 1:
            items.append(InvoiceItem("credit", None, None, None, 500, 1, 0.5, 500, created, created + 30 * DAY, None))
        return () if extra == 7 else tuple(items)

    def session(self, index: int, at: int | None = None) -> PaymentSession:
        """A payment session as it stands now, or stood at a moment."""
        at = at or self.now
        dice = self._session_dice(index)
        created = self._sessions.created(index)
        handled = created + 30 + (dice >> 8) % (3 * DAY if dice & 7 == 1 else 900) if dice & 7 else None
        handled = handled if handled and handled <= at else None
        charged = handled + (dice >> 24) % 4 if handled and dice & 3 else None
        return PaymentSession(
            index=index,
            id=self.session_ids.encode(index),
            created=created,
            handled_at=handled,
            charged_at=charged if charged and charged <= at else None,
            amount=_PRICES[(dice >> 28) % 6],
            currency=_CURRENCIES[dice >> 32 & 3],
            customer=(dice >> 36) % self._customers.count_at(created) if dice >> 34 & 7 else None,
            gateway=(dice >> 44) % 4,
            form=dice >> 48 & 255,
        )

    @cached_property
    def gateways(self) -> list[Gateway]:
        """The current gateways: five at first, one more every third tick; some go again, the first four never."""
        made = [
            Gateway(i, self.gateway_ids.encode(i), FIRST_DAY + i * DAY, LAST_DAY + 2 * DAY if i == 4 else None)
            for i in range(5)
        ]
        for tick in range(3, self.ticks + 1, 3):
            index, created = 5 + tick // 3, LAST_DAY + (tick - 1) * DAY + 17
            deleted = created + 4 * DAY if tick % 2 else None
            made.append(Gateway(index, self.gateway_ids.encode(index), created, deleted))
        return [gateway for gateway in made if gateway.deleted is None or gateway.deleted > self.now]

    def default_gateway(self, at: int | None = None) -> int:
        """The index of the gateway that is the default now, or was at a moment: another one after each tick."""
        return max(0, (at or self.now) - LAST_DAY) // DAY % 4

    @cached_property
    def all_webhooks(self) -> list[Webhook]:
        """All endpoints that ever existed."""
        urls = [
            "http://example.com/webhook_endpoint/",
            "https://example.org/hooks?token=t0p&x=1",
            "https://user:pw@example.com/h/ü",
        ]
        made = [
            Webhook(i, url, FIRST_DAY + i * 40 * DAY, LAST_DAY + 2 * DAY if i == 2 else None)
            for i, url in enumerate(urls)
        ]
        for tick in range(2, self.ticks + 1, 2):
            created = LAST_DAY + (tick - 1) * DAY + 99
            made.append(Webhook(tick // 2 + 2, f"https://example.net/hook/{tick}", created, created + 5 * DAY))
        return made

    @cached_property
    def webhooks(self) -> list[Webhook]:
        """The current endpoints."""
        return [webhook for webhook in self.all_webhooks if webhook.there(self.now)]

    @cached_property
    def events(self) -> EventLog:
        """All events, oldest first."""
        log = EventLog(_EVENT_TYPES, self.now, Ids("ev_", self.seed), self._delivery_dice)
        for index in range(self.customers):
            created = self._customers.created(index)
            log.add("customer.created", index, created)
            if index % 4 == 0:
                log.add("customer.updated", index, created + 3 * DAY)
        for index in range(self.subscriptions):
            log.add("subscription.created", index, self._subscriptions.created(index))
            log.add("subscription.cancelled", index, self._cancellation(index))
        for index in range(self.invoices):
            created = self._invoices.created(index)
            locked, paid, _, failed = self._fate(created, self._invoice_dice(index))
            log.add("invoice.created", index, created)
            log.add("invoice.locked", index, locked if index % 4 == 0 else None)
            log.add("invoice.paid", index, paid)
            log.add("invoice.payment_failed", index, failed)
        for index in range(self.sessions):
            log.add("payment_session.started", index, self._sessions.created(index) if index % 3 == 0 else None)
        log.sort()
        return log

    @cached_property
    def deliveries(self) -> Deliveries:
        """All deliveries, oldest event first."""
        return Deliveries(self.events, self.all_webhooks, self.now, self._delivery_dice)
