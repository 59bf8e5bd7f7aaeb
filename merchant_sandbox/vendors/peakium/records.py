"""Peakium's records before they take a shape: times are Unix seconds, amounts minor units, references indexes.

``form`` is a number of the record's own that decides in which of the shapes of the contract it is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "EVENT_TYPES",
    "Customer",
    "Delivery",
    "Event",
    "Gateway",
    "Invoice",
    "Item",
    "Session",
    "Subscription",
    "Webhook",
]

EVENT_TYPES = (
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


@dataclass(slots=True)
class Customer:
    """A customer; ``form`` picks the shape of its record."""

    index: int
    id: str
    created: int
    balances: dict[str, int]
    metadata: dict[str, Any] | None
    form: int


@dataclass(slots=True)
class Subscription:
    """A subscription as it stands at some moment."""

    index: int
    token: str
    customer: int
    created: int
    name: str
    price: int
    currency: str
    discount: float
    item_id: int | str
    period_type: str
    cycle: int
    period_start: int
    period_end: int
    cancelled_at: int | None
    form: int


@dataclass(slots=True)
class Item:
    """A line of an invoice."""

    type: str
    sequence: int | None
    description: str | None
    item_id: int | str | None
    unit_amount: int
    quantity: int
    discount: float
    total: int
    start: int | None
    end: int | None
    subscription: int | None


@dataclass(slots=True)
class Invoice:
    """An invoice as it stands at some moment; times are None where they have not come."""

    index: int
    id: str
    customer: int
    created: int
    due: int | None
    locked_at: int | None
    paid_at: int | None
    retracted_at: int | None
    charged_at: int | None
    refunded: bool
    failed_at: int | None
    currency: str
    items: tuple[Item, ...]
    total: int
    form: int


@dataclass(slots=True)
class Session:
    """A payment session as it stands at some moment."""

    index: int
    id: str
    created: int
    handled_at: int | None
    charged_at: int | None
    amount: int
    currency: str
    customer: int | None
    gateway: int
    form: int


@dataclass(slots=True)
class Event:
    """Something that happened to the object ``kind`` of index ``subject``."""

    id: str
    kind: int
    created: int
    subject: int
    form: int


@dataclass(slots=True)
class Delivery:
    """The delivery of an event to a webhook."""

    event: Event
    webhook: int
    created: int
    attempts: int
    last_attempt: int | None
    delivered_at: int | None
    form: int


@dataclass(slots=True)
class Gateway:
    """A payment gateway of the merchant."""

    index: int
    id: str
    created: int
    deleted: int | None


@dataclass(slots=True)
class Webhook:
    """An endpoint of the merchant."""

    index: int
    url: str
    created: int
    deleted: int | None
