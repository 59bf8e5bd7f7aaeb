"""What Peakium knows: customers, subscriptions, invoices, each as it stands at some moment.

Times are Unix seconds, amounts are minor units, references are indexes. A record's ``form`` is a number of its own that
decides in which of the contract's shapes it is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Gateway", "Invoice", "InvoiceItem", "PaymentSession", "PeakiumCustomer", "Subscription"]


@dataclass(slots=True)
class PeakiumCustomer:
    """A customer as it stands at some moment."""

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
class InvoiceItem:
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
    """An invoice as it stands at some moment; times are None if they have not come."""

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
    currency: str
    items: tuple[InvoiceItem, ...]
    total: int
    form: int


@dataclass(slots=True)
class PaymentSession:
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
class Gateway:
    """A payment gateway of the merchant."""

    index: int
    id: str
    created: int
    deleted: int | None
