"""How Pegke's records look on the wire, and how they must look in the warehouse.

Two functions for each kind of record, side by side: ``served_…`` writes what the API sends, under the world's switches;
``true_…`` writes the emitted form from the model alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from merchant_sandbox.clock import iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.vendors.pegke.model import Activity, Customer, Entry, Model, Offer

__all__ = ["IdForm", "Served", "TimeForm", "True_", "status_time"]

TimeForm = Literal["iso", "unix", "unix_text", "naive"]
IdForm = Literal["mixed", "text", "number", "none"]

INDIA = timezone(timedelta(hours=5, minutes=30))


def _india(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(INDIA)


TIMES: dict[str, Callable[[int], Any]] = {
    "iso": lambda seconds: _india(seconds).isoformat(),
    "unix": lambda seconds: seconds,
    "unix_text": str,
    "naive": lambda seconds: _india(seconds).strftime("%Y-%m-%d %H:%M:%S"),
}


def status_time(seconds: float) -> str:
    """The text of a JavaScript ``Date`` in India, as in ``last_mod`` of the status call."""
    return _india(seconds).strftime("%a %b %d %Y %H:%M:%S GMT+0530 (IST)")


class Served:
    """What the API sends.

    Args:
        model: The data.
        times: How times are written.
        ids: How ids are written; ``none`` leaves those of history entries out.
    """

    def __init__(self, model: Model, times: TimeForm, ids: IdForm) -> None:
        self._model, self._time, self._ids = model, TIMES[times], ids

    def _id(self, text: str, index: int) -> str | int:
        return int(text) if self._ids == "number" or (self._ids == "mixed" and index % 3 == 0) else text

    def customer(self, customer: Customer) -> dict[str, Any]:
        """Basic details."""
        return {
            "cid": self._id(customer.cid, customer.index),
            "name": customer.name,
            "mob": customer.shown,
            "email": customer.email,
            "points": customer.points,
            "created": self._time(customer.created),
        }

    def entry(self, entry: Entry) -> dict[str, Any]:
        """An entry of a history."""
        customer = self._model.customer(entry.customer)
        row = {
            "id": self._id(str(50_000 + entry.index), entry.index),
            "type": entry.kind,
            "points": entry.points,
            "cid": self._id(customer.cid, customer.index),
            "mob": customer.shown,
            "offer_id": None if entry.offer is None else self._id(str(1_794 + entry.offer), entry.offer),
            "store_id": self._id(entry.store, entry.index),
            "created": self._time(entry.created),
        }
        if self._ids == "none":
            del row["id"]
        return row

    def offer(self, offer: Offer) -> dict[str, Any]:
        """An offer."""
        return {
            "id": self._id(str(1_794 + offer.index), offer.index),
            "name": offer.name,
            "redeem_option": offer.option,
            "points_required": offer.points,
            "image_url": offer.image,
            "description": offer.text,
            "available_from": None if offer.start is None else self._time(offer.start),
            "available_to": None if offer.end is None else self._time(offer.end),
        }

    def activity(self, activity: Activity) -> dict[str, Any]:
        """A message of the feed."""
        return {
            "id": f"act-{activity.index}",
            "type": activity.kind,
            "store_id": self._id(activity.store, activity.index),
            "customer": self.customer(self._model.customer(activity.customer)),
            "points": activity.points,
            "created": self._time(activity.created),
        }


def _number(points: float | None) -> str | None:
    return None if points is None else str(points)


class True_:  # noqa: N801 - True is taken
    """What must stand in the warehouse.

    Args:
        model: The data.
        ids: As for `Served`; without ids, rows have neither ``id`` nor the key that the tap derives.
    """

    def __init__(self, model: Model, ids: IdForm) -> None:
        self._model, self._with_ids = model, ids != "none"

    def customer(self, customer: Customer) -> dict[str, Any]:
        """Basic details."""
        return {
            "cid": customer.cid,
            "name": customer.name,
            "mob": customer.shown,
            "email": customer.email,
            "points": _number(customer.points),
            "created": iso(customer.created),
        }

    def entry(self, entry: Entry) -> dict[str, Any]:
        """An entry of a history."""
        customer = self._model.customer(entry.customer)
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
        return row | ({"id": identity, "_entry_id": identity} if self._with_ids else {})

    def offer(self, offer: Offer) -> dict[str, Any]:
        """An offer."""
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

    def activity(self, activity: Activity) -> dict[str, Any]:
        """An activity of the feed."""
        return {
            "id": f"act-{activity.index}",
            "_entry_id": f"act-{activity.index}",
            "type": activity.kind,
            "store_id": activity.store,
            "customer": self.customer(self._model.customer(activity.customer)),
            "points": _number(activity.points),
            "created": iso(activity.created),
        }
