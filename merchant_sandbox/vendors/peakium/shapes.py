"""Peakium's records as the API serves them, in every shape that the contract shows.

Which shape a record takes (reference as id, stub or full object; old or new field names; array or list envelope; ``[]``
for an empty map) follows from its own ``form``, so the same record looks the same on every read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from merchant_sandbox.events import Delivery, Event, Webhook
    from merchant_sandbox.vendors.peakium.model import PeakiumModel
    from merchant_sandbox.vendors.peakium.records import (
        Gateway,
        Invoice,
        InvoiceItem,
        PaymentSession,
        PeakiumCustomer,
        Subscription,
    )

__all__ = ["EMBEDDED", "GATEWAY_MODULES", "PeakiumShapes", "envelope"]

_STUB, _FULL = 5, 7
"""A reference is an id for forms 0 to 4 of 8, a stub for 5 and 6, a full object for 7."""

EMBEDDED: Mapping[str, int | None] = {"mixed": None, "id": 0, "stub": _STUB, "full": _FULL}
"""What embedded objects may look like, with the form that all references have then."""

GATEWAY_MODULES: tuple[dict[str, Any], ...] = tuple(
    {
        "object": "gateway_module",
        "name": name,
        "required_fields": fields,
        "necessary_gateway_settings": needed,
        "required_field_parameters": parameters,
    }
    for name, fields, needed, parameters in (
        (
            "Paypal_Payments_Standard",
            ["paypal_email"],
            ["instant_payment_notification_url"],
            {"paypal_email": {"description": "The e-mail of the Paypal account."}},
        ),
        ("Epay", ["merchant_number", "md5_key"], [], {"md5_key": {"description": "Key for »MD5«\nchecks"}}),
        ("Quickpay", ["merchant_id", "secret"], None, {"secret": {}}),
        ("Dummy_Gateway", [], [], []),
        ("Bank_Transfer", None, [], None),
    )
)


def envelope(data: list[Any]) -> dict[str, Any]:
    """A list as the API wraps it."""
    return {"object": "list", "count": len(data), "data": data}


class PeakiumShapes:
    """Renders the records of a model.

    Args:
        model: The data.
        embedded: One of `EMBEDDED`: what references look like. Unless they are mixed, lists inside records are arrays,
            and the snapshot of an event is in ``data.object``.
    """

    def __init__(self, model: PeakiumModel, embedded: str = "mixed") -> None:
        self.model = model
        self._uniform = EMBEDDED[embedded]

    def _kind(self, form: int) -> int:
        """The form of a reference of a record with a form."""
        return form & 7 if self._uniform is None else self._uniform

    def _list(self, rows: list[Any], *, wrapped: bool) -> Any:
        """A list inside a record, with the envelope of a list or without."""
        return envelope(rows) if wrapped and self._uniform is None else rows

    def is_full(self, form: int, kind: str, expand: Collection[str]) -> bool:
        """Whether a reference is served as the full object."""
        return kind in expand or self._kind(form) == _FULL

    def customer_reference(self, index: int, form: int, expand: Collection[str], at: int | None = None) -> Any:
        """A customer as id, stub or full object."""
        if self.is_full(form, "customer", expand):
            return self.customer(self.model.customer(index, at))
        name = self.model.customer_id(index)
        return {"id": name, "object": "customer"} if self._kind(form) >= _STUB else name

    def customer(self, customer: PeakiumCustomer) -> dict[str, Any]:
        """A customer."""
        record: dict[str, Any] = {
            "id": customer.id,
            "object": "customer",
            "created": customer.created,
            "balances": customer.balances or ([] if customer.form & 1 else {}),
            "metadata": [] if customer.metadata == {} and customer.form & 2 else customer.metadata,
        }
        if customer.form & 8:
            record["livemode"] = bool(customer.form & 4)
        return record

    def plan(self, subscription: Subscription) -> dict[str, Any]:
        """The plan of a subscription: with a single amount, or with items as array or envelope."""
        plan: dict[str, Any] = {"period_amount": 1, "period_type": subscription.period_type}
        if subscription.form >> 3 & 3 < 2:
            plan |= {
                "amount": subscription.price,
                "currency": subscription.currency,
                "discount": subscription.discount,
                "item_id": subscription.item_id,
            }
            return plan
        items = [
            {
                "item_id": subscription.item_id,
                "item_description": subscription.name,
                "unit_amount": subscription.price,
                "currency": subscription.currency,
                "quantity": 1,
                "discount": subscription.discount,
            }
        ]
        return plan | {
            "currency": subscription.currency,
            "items": self._list(items, wrapped=bool(subscription.form >> 3 & 1)),
        }

    def subscription(
        self, subscription: Subscription, expand: Collection[str] = (), at: int | None = None
    ) -> dict[str, Any]:
        """A subscription."""
        form = subscription.form
        record: dict[str, Any] = {"token": subscription.token, "object": "subscription"}
        if form >> 5 & 7:
            record["created"] = subscription.created
        if form & 1:
            record["display_name"] = subscription.name
        record |= {
            "plan": self.plan(subscription),
            "cycle_number": subscription.cycle,
            "period_start": subscription.period_start,
            "period_end": subscription.period_end,
            "next_charge": None if subscription.cancelled_at else subscription.period_end,
            "status": "cancelled" if subscription.cancelled_at else "active",
            "customer": self.customer_reference(subscription.customer, form, expand, at),
            "metadata": [] if form >> 4 & 1 else {"n": subscription.index},
        }
        return record

    def item(self, item: InvoiceItem, form: int, expand: Collection[str], at: int | None = None) -> dict[str, Any]:
        """A line of an invoice, its subscription under the new name or the old."""
        record: dict[str, Any] = {"object": "invoice_item", "type": item.type}
        if item.sequence is not None:
            record["sequence"] = item.sequence
        record |= {
            "description": item.description,
            "item_id": item.item_id,
            "unit_amount": item.unit_amount,
            "currency": "USD",
            "quantity": item.quantity,
            "date_range_start": item.start,
            "date_range_end": item.end,
            "discount": item.discount,
            "total_amount": item.total,
        }
        old_name = form & 3 == 3
        record["subscription" if old_name else "reference"] = self.item_reference(
            item, form, expand, at, old_name=old_name
        )
        return record

    def item_reference(
        self, item: InvoiceItem, form: int, expand: Collection[str], at: int | None = None, *, old_name: bool
    ) -> Any:
        """The subscription of a line: stub, full object, null, or (under the old name) its token."""
        if item.subscription is None:
            return None
        if self._kind(form) == _FULL or "items.reference" in expand or "item.subscription" in expand:
            return self.subscription(self.model.subscription(item.subscription, at), at=at)
        token = self.model.token(item.subscription)
        plain = old_name and form >> 4 & 1 if self._uniform is None else self._uniform < _STUB
        return token if plain else {"id": token, "object": "subscription"}

    def charge(self, amount: int, currency: str, paid_at: int, *, refunded: bool | None, form: int) -> dict[str, Any]:
        """A charge; that of an invoice has its refunds."""
        record: dict[str, Any] = {
            "object": "charge",
            "amount": amount,
            "currency": currency,
            "paid": True,
            "timestamp_paid": paid_at,
            "status": "completed",
        }
        if refunded is not None:
            refunds = [{"object": "refund", "amount": amount, "currency": currency}] if refunded else []
            record |= {"refunded": refunded, "refunds": None if form & 16 and not refunded else envelope(refunds)}
        return record

    def invoice_charge(self, invoice: Invoice) -> dict[str, Any] | None:
        """The charge of an invoice, once paid."""
        if invoice.charged_at is None:
            return None
        total, currency, paid_at = invoice.total, invoice.currency, invoice.charged_at
        return self.charge(total, currency, paid_at, refunded=invoice.refunded, form=invoice.form)

    def invoice(self, invoice: Invoice, expand: Collection[str] = (), at: int | None = None) -> dict[str, Any]:
        """An invoice."""
        form = invoice.form
        items = [self.item(item, form, expand, at) for item in invoice.items]
        record: dict[str, Any] = {
            "id": invoice.id,
            "object": "invoice",
            "created": invoice.created,
            "due": invoice.due,
            "locked": invoice.locked_at is not None,
            "timestamp_locked": invoice.locked_at,
            "paid": invoice.paid_at is not None,
            "timestamp_paid": invoice.paid_at,
            "retracted": invoice.retracted_at is not None,
            "timestamp_retracted": invoice.retracted_at,
            "type": "single",
            "calculated_total": {"currency": invoice.currency, "amount": invoice.total},
            "attempt_automatic_charge": bool(form & 1),
            "items": self._list(items, wrapped=form >> 3 & 3 == 0),
            "customer": self.customer_reference(invoice.customer, form >> 4, expand, at),
            "charge": self.invoice_charge(invoice),
            "metadata": ({}, [], None, {"order": f"№ {invoice.index}", "note": "a\r\nb"})[form >> 5 & 3],
        }
        if form & 64:
            record["livemode"] = False
        return record

    def session(self, session: PaymentSession, expand: Collection[str] = (), at: int | None = None) -> dict[str, Any]:
        """A payment session."""
        form = session.form
        customer = None
        if session.customer is not None:
            customer = self.customer_reference(session.customer, form >> 4, expand, at)
        record: dict[str, Any] = {
            "id": session.id,
            "object": "payment_session",
            "created": session.created,
            "handled": session.handled_at is not None,
            "timestamp_handled": session.handled_at,
            "payment_amount": session.amount,
            "payment_currency": session.currency,
            "action": ("subscription-update", "invoice-payment", "subscription-create")[form % 3],
            "ip": f"172.16.{session.index % 250}.{form}" if form & 15 else None,
            "user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_8_3)" if form & 14 else None,
            "posted_values" if form & 3 == 0 else "parameters": self.parameters(session),
            "gateway": self.gateway_reference(session.gateway, form, expand, at),
            "customer": customer,
            "charge": None,
        }
        if session.charged_at is not None:
            record["charge"] = self.charge(
                session.amount, session.currency, session.charged_at, refunded=None, form=form
            )
        if form & 32:
            record |= {"locked": bool(form & 1), "type": "single" if form & 2 else None}
        return record

    def parameters(self, session: PaymentSession) -> Any:
        """What the customer's browser sent."""
        if session.form & 31 == 4:
            return []
        return {
            "item_description": "Plus Plan – “café”\n2nd line",
            "item_id": 101,
            "payment_amount": session.amount,
            "payment_discount": 0.0,
            "return_url_ok": "http://example.org/payment/success/",
            "created": session.created,
            "nothing": None,
        }

    def gateway_reference(self, index: int, form: int, expand: Collection[str], at: int | None = None) -> Any:
        """A gateway as id, stub or full object."""
        gateway = self.model.gateways[index]
        if self.is_full(form, "gateway", expand):
            return self.gateway(gateway, at)
        return {"id": gateway.id, "object": "gateway"} if self._kind(form) >= _STUB else gateway.id

    def gateway(self, gateway: Gateway, at: int | None = None) -> dict[str, Any]:
        """A gateway with its settings, which are secrets."""
        index = gateway.index
        settings: Any = {
            "paypal_email": "paypal@example.com",
            "api": {"key": f"secret-{index}", "port": 443, "modes": ["a", "b"]},
        }
        return {
            "id": gateway.id,
            "object": "gateway",
            "created": gateway.created,
            "name": ("Paypal", "Epay", "Øre & Søn")[index % 3],
            "display_name": None if index % 4 == 3 else f"Gateway {index}",
            "active": index % 5 != 0,
            "default": index == self.model.default_gateway(at),
            "necessary_gateway_setting_values": (
                {},
                [],
                None,
                {"instant_payment_notification_url": "https://example.com/ipn"},
            )[index % 4],
            "module": GATEWAY_MODULES[index % 3],
            "settings": (settings, [settings], {}, [])[index % 4],
        }

    def webhook(self, webhook: Webhook) -> dict[str, Any]:
        """An endpoint."""
        record: dict[str, Any] = {"object": "webhook", "url": webhook.url}
        return record if webhook.index == 1 else record | {"created": webhook.created}

    def snapshot(self, event: Event) -> dict[str, Any]:
        """The object of an event as it was at that moment."""
        family = event.kind.partition(".")[0]
        at, model = event.created, self.model
        if family == "customer":
            return self.customer(model.customer(event.subject, at))
        if family == "subscription":
            return self.subscription(model.subscription(event.subject, at), at=at)
        if family == "invoice":
            return self.invoice(model.invoice(event.subject, at), at=at)
        return self.session(model.session(event.subject, at), at=at)

    def event(self, event: Event) -> dict[str, Any]:
        """An event, the snapshot in ``data.object`` or (old form) in ``data`` itself."""
        snapshot = self.snapshot(event)
        name = event.kind
        return {
            "id": event.id,
            "object": "event",
            "event": name.replace(".", "_") if event.form & 31 == 9 else name,
            "created": event.created,
            "data": snapshot if self._uniform is None and event.form & 7 == 5 else {"object": snapshot},
        }

    def delivery(self, delivery: Delivery, expand: Collection[str] = ()) -> dict[str, Any]:
        """A delivery, with new or old field names, and the event full or as an outdated stub."""
        form, hook = delivery.form, self.model.all_webhooks[delivery.webhook]
        record: dict[str, Any] = {"object": "event_webhook"}
        if form & 1:
            record["created"] = delivery.created
        record |= {
            "number_of_attempted_deliveries": delivery.attempts,
            "last_delivery_attempt": delivery.last_attempt,
            "delivered": delivery.delivered_at is not None,
            "delivered_timestamp" if form & 2 else "timestamp_delivered": delivery.delivered_at,
        }
        record |= {"webhook": self.webhook(hook)} if form & 12 == 0 else {"url": hook.url}
        record["event"] = self.event_reference(delivery.event, form, expand)
        return record

    def event_reference(self, event: Event, form: int, expand: Collection[str]) -> Any:
        """The event of a delivery: full, or as the vendor's outdated example shows it; or like all references."""
        if self.is_full(0, "event", expand) or (self._uniform is None and form & 16):
            return self.event(event)
        if self._uniform is not None:
            return {"id": event.id, "object": "event"} if self._uniform >= _STUB else event.id
        family = event.kind.partition(".")[0]
        return {
            "id": event.id,
            "object": "event",
            "event": event.kind,
            "created": event.created,
            family: {"id": self.subject_id(event), "object": family},
        }

    def subject_id(self, event: Event) -> str:
        """The id of an event's object; that of a subscription is its token."""
        model = self.model
        family = event.kind.partition(".")[0]
        names = {
            "customer": model.customer_id,
            "subscription": model.token,
            "invoice": model.invoice_ids.encode,
            "payment_session": model.session_ids.encode,
        }
        return names[family](event.subject)
