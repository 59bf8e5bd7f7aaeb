"""What happened in a model's story, in order, and the deliveries that told it to webhooks.

Events and deliveries are kept as numbers; the objects are made when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from merchant_sandbox.clock import DAY, HOUR
from merchant_sandbox.timeline import LAST_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merchant_sandbox.dice import Dice, Ids

__all__ = ["Deliveries", "Delivery", "Event", "EventLog", "Webhook"]

_INDEX_BITS, _KIND_BITS = 24, 28
_NUMBER = (1 << _INDEX_BITS + _KIND_BITS) - 1
_MOST_ATTEMPTS = 24


@dataclass(slots=True)
class Event:
    """Something that happened to the object of index ``subject``, such as ``invoice.paid``."""

    id: str
    kind: str
    created: int
    subject: int
    form: int


@dataclass(slots=True)
class Webhook:
    """An endpoint that is told of events from its creation to its deletion, in Unix seconds."""

    index: int
    url: str
    created: int
    deleted: int | None

    def there(self, moment: int) -> bool:
        """Whether it existed at a moment."""
        return self.created <= moment and (self.deleted is None or self.deleted > moment)


@dataclass(slots=True)
class Delivery:
    """The delivery of an event to the webhook of an index."""

    event: Event
    webhook: int
    created: int
    attempts: int
    last_attempt: int | None
    delivered_at: int | None
    form: int


class EventLog:
    """The events up to a moment, oldest first.

    Args:
        kinds: Everything that can happen.
        now: The moment, in Unix seconds.
        ids: The ids of events.
        dice: Chance for the forms of events.
    """

    def __init__(self, kinds: Sequence[str], now: int, ids: Ids, dice: Dice) -> None:
        self._kinds, self._now, self._ids, self._dice = kinds, now, ids, dice
        self._places = {kind: place for place, kind in enumerate(kinds)}
        self._keys: list[int] = []

    def add(self, kind: str, subject: int, moment: int | None) -> None:
        """Note an event, if it came to that by now; `sort` once all are noted."""
        if moment is not None and moment <= self._now:
            self._keys.append((moment << _KIND_BITS | self._places[kind]) << _INDEX_BITS | subject)

    def sort(self) -> None:
        """Put the events in order."""
        self._keys.sort()

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, position: int) -> Event:
        return self._event(self._keys[position])

    def numbers(self) -> list[tuple[int, int]]:
        """The moment of each event and a number that only this event has."""
        return [(key >> _INDEX_BITS + _KIND_BITS, key & _NUMBER) for key in self._keys]

    def find(self, text: str) -> Event | None:
        """The event of an id."""
        number = self._ids.decode(text)
        if number is None or number >> _INDEX_BITS >= len(self._kinds):
            return None
        return next((self._event(key) for key in self._keys if key & _NUMBER == number), None)

    def _event(self, key: int) -> Event:
        number = key & _NUMBER
        place, subject = divmod(number, 1 << _INDEX_BITS)
        moment = key >> _INDEX_BITS + _KIND_BITS
        return Event(self._ids.encode(number), self._kinds[place], moment, subject, self._dice(number) & 255)


class Deliveries:
    """The deliveries of some of the events, oldest event first; those that fail are tried again every hour.

    Args:
        events: The events.
        webhooks: All webhooks that ever were; the place of each is its index.
        now: The moment up to which deliveries are attempted, in Unix seconds.
        dice: Chance for everything about a delivery.
    """

    def __init__(self, events: EventLog, webhooks: Sequence[Webhook], now: int, dice: Dice) -> None:
        self._events, self._now, self._dice = events, now, dice
        self._keys: list[int] = []
        for position, (moment, number) in enumerate(events.numbers()):
            roll = dice(number ^ 1) % 10
            if roll < 4:  # noqa: PLR2004 - four events in ten
                there = [webhook.index for webhook in webhooks if webhook.there(moment)]
                self._keys.extend(position << 8 | index for index in there[: 1 if roll else 2])

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, position: int) -> Delivery:
        key = self._keys[position]
        event, webhook = self._events[key >> 8], key & 255
        dice = self._dice(key ^ 0xABCDEF)
        needed = 1 if dice & 3 else 1 + (dice >> 8) % 30
        first = event.created + dice % 60
        possible = max(0, (self._now - first) // HOUR + 1) if first <= self._now else 0
        attempts = min(_MOST_ATTEMPTS, needed, possible)
        last = first + (attempts - 1) * HOUR if attempts else None
        delivered = last + 1 if last is not None and attempts == needed else None
        again = LAST_DAY + (dice >> 20) % (20 * DAY)
        if dice >> 50 & 7 == 0 and (last or event.created) < again <= self._now:
            attempts, last, delivered = min(_MOST_ATTEMPTS, attempts + 1), again, delivered or again
        return Delivery(event, webhook, event.created, attempts, last, delivered, dice >> 40 & 255)
