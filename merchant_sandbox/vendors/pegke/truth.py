"""Pegke's records as they must be in the warehouse, made from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import iso
from merchant_sandbox.vendors.pegke.model import OFFERS, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendors.pegke.model import Activity, Entry, Offer, PegkeCustomer, PegkeModel

__all__ = ["STREAMS", "PegkeTruth"]


class PegkeTruth:
    """The rows of every stream.

    Args:
        model: The data.
        sent: Numbers of the activities that went out over the feed.
        with_ids: Whether entries of histories have ids; without, they also lack the key that the tap derives from them.
    """

    def __init__(self, model: PegkeModel, *, sent: Sequence[int], with_ids: bool) -> None:
        self.model, self.sent, self.with_ids = model, sent, with_ids

    def offers(self) -> Iterator[dict[str, Any]]:
        """All offers."""
        return (_offer(self.model.offer(index)) for index in range(OFFERS))

    def customer_points(self) -> Iterator[dict[str, Any]]:
        """The points of each customer."""
        for index in range(self.model.customers):
            customer = self.model.customer(index)
            yield {
                "_phone": f"+91{customer.phone}",
                "_identifier": self.model.identifier(index),
                "phone": customer.phone,
                "points": str(customer.points),
            }

    def customers(self) -> Iterator[dict[str, Any]]:
        """Customers, from the merchant API."""
        for index in range(self.model.customers):
            customer = self.model.customer(index)
            yield {
                "_phone": f"+91{customer.phone}",
                "_identifier": self.model.identifier(index),
                **_customer(customer),
            }

    def users(self) -> Iterator[dict[str, Any]]:
        """Customers, from version 1."""
        for index in range(self.model.customers):
            yield {"_identifier": self.model.identifier(index), **_customer(self.model.customer(index))}

    def points_history(self) -> Iterator[dict[str, Any]]:
        """Each customer's entries, from the merchant API."""
        for customer in range(self.model.customers):
            phone = f"+91{self.model.customer(customer).phone}"
            for index in reversed(self.model.entries_of(customer)):
                yield {"_phone": phone, **self._entry(self.model.entry(index))}

    def user_history(self) -> Iterator[dict[str, Any]]:
        """Each customer's entries, from version 1."""
        for customer in range(self.model.customers):
            for index in reversed(self.model.entries_of(customer)):
                yield self._entry(self.model.entry(index))

    def store_history(self) -> Iterator[dict[str, Any]]:
        """All entries."""
        return (self._entry(self.model.entry(index)) for index in reversed(range(self.model.entries)))

    def store_activity(self) -> Iterator[dict[str, Any]]:
        """The activities that went out over the feed."""
        return (self._activity(self.model.activity(number)) for number in self.sent)

    def system_status(self) -> Iterator[dict[str, Any]]:
        """The state of each of the vendor's components."""
        for component, text in STATUS.items():
            yield {"_component": component, "_status": text, "last_mod": iso(self.model.last_mod)}

    def _entry(self, entry: Entry) -> dict[str, Any]:
        customer = self.model.customer(entry.customer)
        row = {
            "type": entry.kind,
            "points": _number(entry.points),
            "cid": customer.cid,
            "mob": customer.shown,
            "offer_id": None if entry.offer is None else str(1_794 + entry.offer),
            "store_id": entry.store,
            "created": iso(entry.created),
        }
        identity = str(50_000 + entry.index)
        return row | ({"id": identity, "_entry_id": identity} if self.with_ids else {})

    def _activity(self, activity: Activity) -> dict[str, Any]:
        return {
            "id": f"act-{activity.index}",
            "_entry_id": f"act-{activity.index}",
            "type": activity.kind,
            "store_id": activity.store,
            "customer": _customer(self.model.customer(activity.customer)),
            "points": _number(activity.points),
            "created": iso(activity.created),
        }


def _number(points: float | None) -> str | None:
    return None if points is None else str(points)


def _customer(customer: PegkeCustomer) -> dict[str, Any]:
    return {
        "cid": customer.cid,
        "name": customer.name,
        "mob": customer.shown,
        "email": customer.email,
        "points": _number(customer.points),
        "created": iso(customer.created),
    }


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "id": str(1_794 + offer.index),
        "name": offer.name,
        "redeem_option": offer.option,
        "points_required": _number(offer.points),
        "image_url": offer.image,
        "description": offer.text,
        "available_from": None if offer.start is None else iso(offer.start),
        "available_to": None if offer.end is None else iso(offer.end),
    }


STREAMS: Mapping[str, Callable[[PegkeTruth], Iterator[dict[str, Any]]]] = {
    "offers": PegkeTruth.offers,
    "customer_points": PegkeTruth.customer_points,
    "customers": PegkeTruth.customers,
    "points_history": PegkeTruth.points_history,
    "store_history": PegkeTruth.store_history,
    "user_history": PegkeTruth.user_history,
    "users": PegkeTruth.users,
    "store_activity": PegkeTruth.store_activity,
    "system_status": PegkeTruth.system_status,
}
