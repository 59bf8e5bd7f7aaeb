"""How Pegke writes its records; the form of times and ids follows the world's switches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.vendors.pegke.model import Activity, Entry, Offer, PegkeCustomer, PegkeModel

__all__ = ["IdForm", "PegkeShapes", "TimeForm", "status_time"]

TimeForm = Literal["iso", "unix", "unix_text", "naive"]
IdForm = Literal["mixed", "text", "number", "none"]

_INDIA = timezone(timedelta(hours=5, minutes=30))


def _india(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(_INDIA)


_TIMES: dict[str, Callable[[int], Any]] = {
    "iso": lambda seconds: _india(seconds).isoformat(),
    "unix": lambda seconds: seconds,
    "unix_text": str,
    "naive": lambda seconds: _india(seconds).strftime("%Y-%m-%d %H:%M:%S"),
}


def status_time(seconds: float) -> str:
    """The text of a JavaScript ``Date`` in India, as in ``last_mod`` of the status call."""
    return _india(seconds).strftime("%a %b %d %Y %H:%M:%S GMT+0530 (IST)")


class PegkeShapes:
    """What the API sends.

    Args:
        model: The data.
        times: How times are written.
        ids: How ids are written; ``none`` leaves out those of history entries.
    """

    def __init__(self, model: PegkeModel, times: TimeForm, ids: IdForm) -> None:
        self._model, self._time, self._ids = model, _TIMES[times], ids

    def _id(self, text: str, index: int) -> str | int:
        return int(text) if self._ids == "number" or (self._ids == "mixed" and index % 3 == 0) else text

    def customer(self, customer: PegkeCustomer) -> dict[str, Any]:
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
