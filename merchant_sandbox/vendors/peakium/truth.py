"""Peakium's records as they must be in the warehouse.

They are made from the model, not from the served JSON: every property under the vendor's newer name, times as UTC text,
references as ``<name>_id`` with the object kept where it was served in full, ``{}`` for empty maps, arrays for list
envelopes, secrets masked. A property that a record lacks is absent. Free-form maps, the ``data`` of events and full
referenced objects are as served, except for the secrets in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import DAY, iso
from merchant_sandbox.vendor import Told
from merchant_sandbox.vendors.peakium.shapes import GATEWAY_MODULES, PeakiumShapes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from merchant_sandbox.events import Delivery
    from merchant_sandbox.vendors.peakium.model import PeakiumModel
    from merchant_sandbox.vendors.peakium.records import (
        Gateway,
        Invoice,
        InvoiceItem,
        PaymentSession,
        Subscription,
    )

__all__ = ["STREAMS", "PeakiumTruth", "told"]

_MASK = "***"


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _latest(*moments: int | None) -> str:
    return iso(max(moment for moment in moments if moment is not None))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    return _MASK


class PeakiumTruth:
    """The rows of every stream.

    Args:
        model: The data.
        expand: What the tap asks the API to expand.
        embedded: What references look like.
    """

    def __init__(self, model: PeakiumModel, expand: Collection[str] = (), embedded: str = "mixed") -> None:
        self.model = model
        self.shapes = PeakiumShapes(model, embedded)
        self.expand = expand

    def customers(self) -> Iterator[dict[str, Any]]:
        """All customers."""
        for index in reversed(range(self.model.customers)):
            customer = self.model.customer(index)
            row: dict[str, Any] = {
                "id": customer.id,
                "object": "customer",
                "created": iso(customer.created),
                "balances": customer.balances,
                "metadata": customer.metadata,
            }
            if customer.form & 8:
                row["livemode"] = bool(customer.form & 4)
            yield row

    def _referenced_customer(self, index: int, form: int) -> dict[str, Any]:
        row: dict[str, Any] = {"customer_id": self.model.customer_id(index)}
        if self.shapes.is_full(form, "customer", self.expand):
            row["customer"] = self.shapes.customer(self.model.customer(index))
        return row

    def subscriptions(self) -> Iterator[dict[str, Any]]:
        """All subscriptions."""
        for index in reversed(range(self.model.subscriptions)):
            subscription = self.model.subscription(index)
            form = subscription.form
            row: dict[str, Any] = {
                "token": subscription.token,
                "object": "subscription",
                "plan": self._plan(subscription),
                "cycle_number": subscription.cycle,
                "period_start": iso(subscription.period_start),
                "period_end": iso(subscription.period_end),
                "next_charge": None if subscription.cancelled_at else iso(subscription.period_end),
                "status": "cancelled" if subscription.cancelled_at else "active",
                "metadata": {} if form >> 4 & 1 else {"n": index},
                **self._referenced_customer(subscription.customer, form),
            }
            if form >> 5 & 7:
                row["created"] = iso(subscription.created)
            if form & 1:
                row["display_name"] = subscription.name
            yield row

    def _plan(self, subscription: Subscription) -> dict[str, Any]:
        plan = self.shapes.plan(subscription)
        if isinstance(plan.get("items"), dict):
            plan["items"] = plan["items"]["data"]
        return plan

    def _item(self, item: InvoiceItem, form: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "object": "invoice_item",
            "type": item.type,
            "description": item.description,
            "item_id": item.item_id,
            "unit_amount": item.unit_amount,
            "currency": "USD",
            "quantity": item.quantity,
            "date_range_start": _time(item.start),
            "date_range_end": _time(item.end),
            "discount": item.discount,
            "total_amount": item.total,
            "reference_id": None if item.subscription is None else self.model.token(item.subscription),
        }
        if item.sequence is not None:
            row["sequence"] = item.sequence
        reference = self.shapes.item_reference(item, form, self.expand, old_name=False)
        if isinstance(reference, dict) and "token" in reference:
            row["reference"] = reference
        return row

    def _invoice_updated(self, invoice: Invoice) -> str:
        return _latest(invoice.created, invoice.locked_at, invoice.paid_at, invoice.retracted_at, invoice.charged_at)

    def _charge(self, charge: dict[str, Any] | None) -> dict[str, Any] | None:
        if charge is None:
            return None
        charge = {**charge, "timestamp_paid": _time(charge["timestamp_paid"])}
        if charge.get("refunds") is not None:
            charge["refunds"] = charge["refunds"]["data"]
        return charge

    def invoices(self) -> Iterator[dict[str, Any]]:
        """All invoices."""
        for index in reversed(range(self.model.invoices)):
            invoice = self.model.invoice(index)
            form = invoice.form
            metadata: tuple[Any, ...] = ({}, {}, None, {"order": f"№ {index}", "note": "a\r\nb"})
            row: dict[str, Any] = {
                "id": invoice.id,
                "object": "invoice",
                "created": iso(invoice.created),
                "due": _time(invoice.due),
                "locked": invoice.locked_at is not None,
                "timestamp_locked": _time(invoice.locked_at),
                "paid": invoice.paid_at is not None,
                "timestamp_paid": _time(invoice.paid_at),
                "retracted": invoice.retracted_at is not None,
                "timestamp_retracted": _time(invoice.retracted_at),
                "type": "single",
                "calculated_total": {"currency": invoice.currency, "amount": invoice.total},
                "attempt_automatic_charge": bool(form & 1),
                "items": [self._item(item, form) for item in invoice.items],
                "charge": self._charge(self.shapes.invoice_charge(invoice)),
                "metadata": metadata[form >> 5 & 3],
                "_updated_at": self._invoice_updated(invoice),
                **self._referenced_customer(invoice.customer, form >> 4),
            }
            if form & 64:
                row["livemode"] = False
            yield row

    def invoice_items(self) -> Iterator[dict[str, Any]]:
        """The lines of all invoices."""
        for index in reversed(range(self.model.invoices)):
            invoice = self.model.invoice(index)
            updated = self._invoice_updated(invoice)
            for position, item in enumerate(invoice.items, 1):
                row = self._item(item, invoice.form)
                yield row | {"invoice_id": invoice.id, "_position": position, "_updated_at": updated}

    def events(self) -> Iterator[dict[str, Any]]:
        """All events."""
        for position in reversed(range(len(self.model.events))):
            event = self.model.events[position]
            served = self.shapes.event(event)
            yield {
                "id": event.id,
                "object": "event",
                "event": served["event"],
                "created": iso(event.created),
                "data": _masked_snapshot(served["data"]),
            }

    def event_deliveries(self) -> Iterator[dict[str, Any]]:
        """What webhooks were told of the last day, each once."""
        for each in told(self.model, self.shapes):
            delivery = each.body | {"data": _masked_snapshot(each.body["data"])}
            yield {"event_id": delivery["id"], "_outcome": "confirmed", "delivery": delivery}

    def event_webhooks(self) -> Iterator[dict[str, Any]]:
        """All deliveries of events."""
        for position in reversed(range(len(self.model.deliveries))):
            delivery = self.model.deliveries[position]
            event = self.shapes.event_reference(delivery.event, delivery.form, self.expand)
            if isinstance(event, str) or event.keys() == {"id", "object"}:
                event = None
            elif "data" in event:
                event["data"] = _masked_snapshot(event["data"])
            row: dict[str, Any] = {
                "object": "event_webhook",
                "number_of_attempted_deliveries": delivery.attempts,
                "last_delivery_attempt": _time(delivery.last_attempt),
                "delivered": delivery.delivered_at is not None,
                "timestamp_delivered": _time(delivery.delivered_at),
                "url": _without_password(self.model.all_webhooks[delivery.webhook].url),
                "event_id": delivery.event.id,
                **({} if event is None else {"event": event}),
                "_updated_at": self._delivery_updated(delivery),
            }
            if delivery.form & 1:
                row["created"] = iso(delivery.created)
            hook = self.shapes.delivery(delivery).get("webhook", {})
            if hook.keys() - {"object", "url"}:
                row["webhook"] = hook | {"url": _without_password(hook["url"])}
            yield row

    def _delivery_updated(self, delivery: Delivery) -> str | None:
        moments = [delivery.last_attempt, delivery.delivered_at, delivery.created if delivery.form & 1 else None]
        known = [moment for moment in moments if moment is not None]
        return _latest(*known) if known else None

    def payment_sessions(self) -> Iterator[dict[str, Any]]:
        """All payment sessions."""
        for index in reversed(range(self.model.sessions)):
            yield self._session(self.model.session(index))

    def _session(self, session: PaymentSession) -> dict[str, Any]:
        form = session.form
        served = self.shapes.session(session)
        gateway = self.model.gateways[session.gateway]
        row: dict[str, Any] = {
            "id": session.id,
            "object": "payment_session",
            "created": iso(session.created),
            "handled": session.handled_at is not None,
            "timestamp_handled": _time(session.handled_at),
            "payment_amount": session.amount,
            "payment_currency": session.currency,
            "action": served["action"],
            "ip": served["ip"],
            "user_agent": served["user_agent"],
            "parameters": self.shapes.parameters(session) or {},
            "gateway_id": gateway.id,
            "customer_id": None,
            "charge": self._charge(served["charge"]),
            "_updated_at": _latest(session.created, session.handled_at, session.charged_at),
        }
        if session.customer is not None:
            row |= self._referenced_customer(session.customer, form >> 4)
        if self.shapes.is_full(form, "gateway", self.expand):
            row["gateway"] = self._masked_gateway(gateway)
        if form & 32:
            row |= {"locked": served["locked"], "type": served["type"]}
        return row

    def _masked_gateway(self, gateway: Gateway) -> dict[str, Any]:
        served = self.shapes.gateway(gateway)
        return served | {"settings": _masked(_one_map(served["settings"]))}

    def gateways(self) -> Iterator[dict[str, Any]]:
        """The current gateways."""
        for gateway in reversed(self.model.gateways):
            row = self._masked_gateway(gateway)
            values = row["necessary_gateway_setting_values"]
            yield row | {
                "created": iso(gateway.created),
                "necessary_gateway_setting_values": {} if values == [] else values,
            }

    def gateway_modules(self) -> Iterator[dict[str, Any]]:
        """All gateway modules."""
        for module in GATEWAY_MODULES:
            parameters = module["required_field_parameters"]
            yield module | {"required_field_parameters": {} if parameters == [] else parameters}

    def webhooks(self) -> Iterator[dict[str, Any]]:
        """The current endpoints."""
        for webhook in reversed(self.model.webhooks):
            row = self.shapes.webhook(webhook) | {"url": _without_password(webhook.url)}
            yield row | ({"created": iso(webhook.created)} if "created" in row else {})


def _masked_snapshot(data: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of an event; a payment session in it may contain a gateway with its settings."""
    snapshot = data["object"] if isinstance(data["object"], dict) else data
    gateway = snapshot.get("gateway")
    if isinstance(gateway, dict) and "settings" in gateway:
        gateway["settings"] = _masked(_one_map(gateway["settings"]))
    return data


def _without_password(url: str) -> str:
    user, at, place = url.partition("@")
    return f"{user.partition('//')[0]}//{_MASK}@{place}" if at else url


def _one_map(settings: Any) -> Any:
    if isinstance(settings, list):
        return settings[0] if settings else {}
    return settings


def told(model: PeakiumModel, shapes: PeakiumShapes) -> Iterator[Told]:
    """What webhooks are told of the last day: its events."""
    for position in range(len(model.events)) if model.ticks else ():
        event = model.events[position]
        if event.created > model.now - DAY:
            yield Told(event.created, "default", shapes.event(event))


STREAMS: Mapping[str, Callable[[PeakiumTruth], Iterator[dict[str, Any]]]] = {
    "customers": PeakiumTruth.customers,
    "subscriptions": PeakiumTruth.subscriptions,
    "invoices": PeakiumTruth.invoices,
    "invoice_items": PeakiumTruth.invoice_items,
    "events": PeakiumTruth.events,
    "event_deliveries": PeakiumTruth.event_deliveries,
    "event_webhooks": PeakiumTruth.event_webhooks,
    "payment_sessions": PeakiumTruth.payment_sessions,
    "gateways": PeakiumTruth.gateways,
    "gateway_modules": PeakiumTruth.gateway_modules,
    "webhooks": PeakiumTruth.webhooks,
}
