"""Delivers what a vendor tells webhooks, with the habits that vendors have: twice, late, out of order, again and again.

Nothing but the standard library is needed. `merchant_sandbox.client.World.deliver` is the way to use it.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from merchant_sandbox.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Delivered", "Habits", "deliver", "in_order_of_delivery"]

_PATIENCE_S = 30.0
_OK = 200
_SHARE = 1_000
_IDENTITIES = ("uuid", "id")


@dataclass(frozen=True, slots=True)
class Habits:
    """How a vendor delivers.

    Args:
        seed: Seed of all chance.
        doubles: Share of deliveries that come twice, although the first was answered 200.
        late: Share that come after everything else.
        disorder: How many places a delivery may come early or late.
        forged: Share of further deliveries that no vendor has sent.
        tries: How often a delivery is tried that was not answered 200; Peakium says 24.
        pause_s: Real seconds between two rounds of tries; Peakium waits an hour.
    """

    seed: int = 1
    doubles: float = 0.1
    late: float = 0.1
    disorder: int = 5
    forged: float = 0.0
    tries: int = 24
    pause_s: float = 0.1


@dataclass(slots=True)
class Delivered:
    """What became of deliveries.

    Args:
        answered: The bodies that were answered 200, by account, in the order of the answers.
        forged: How many of them no vendor has sent.
        given_up: How many were not answered 200 at any try.
    """

    answered: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    forged: int = 0
    given_up: int = 0


_Planned = tuple[str, bytes, bool]
"""The account, the body, and whether it is forged."""


def in_order_of_delivery(told: Sequence[Mapping[str, Any]], habits: Habits) -> list[_Planned]:
    """What is delivered, in its order, doubles and forgeries included.

    Args:
        told: What the vendor tells: ``account`` and ``body``, in the order in which it happened.
        habits: How the vendor delivers.
    """
    dice = Dice(habits.seed, "deliver")
    placed: list[tuple[float, _Planned]] = []
    for number, each in enumerate(told):
        roll, body = dice(number), json.dumps(each["body"], ensure_ascii=False).encode()
        place = number + roll % (2 * habits.disorder + 1) + (len(told) * 2 if _strikes(roll >> 8, habits.late) else 0)
        placed.append((place, (each["account"], body, False)))
        if _strikes(roll >> 20, habits.doubles):
            placed.append((place + 1 + (roll >> 32) % 20, (each["account"], body, False)))
        if _strikes(roll >> 40, habits.forged):
            placed.append((place + 0.5, (each["account"], _forged(each["body"], dice(number << 8 | 1)), True)))
    return [planned for _, planned in sorted(placed, key=lambda entry: entry[0])]


def _strikes(roll: int, share: float) -> bool:
    return roll % _SHARE < share * _SHARE


def deliver(told: Sequence[Mapping[str, Any]], to: Mapping[str, str], habits: Habits) -> Delivered:
    """Deliver until everything was answered 200, or has been tried often enough.

    Args:
        told: What the vendor tells: ``account`` and ``body``, in the order in which it happened.
        to: The address of each account's receiver; accounts without one are left out.
        habits: How the vendor delivers.
    """
    left, done = [each for each in in_order_of_delivery(told, habits) if each[0] in to], Delivered()
    for number in range(habits.tries):
        left = _round(left, to, done)
        if not left:
            break
        if number + 1 < habits.tries:
            time.sleep(habits.pause_s)
    done.given_up = len(left)
    return done


def _round(planned: Sequence[_Planned], to: Mapping[str, str], done: Delivered) -> list[_Planned]:
    """Try everything once; returns what was not answered 200. A receiver that is not there is asked once a round."""
    left, down = [], set[str]()
    with _Connections() as connections:
        for each in planned:
            account, body, forged = each
            status = None if account in down else connections.post(to[account], body)
            if status is None:
                down.add(account)
            if status == _OK:
                done.answered[account].append(body)
                done.forged += forged
            else:
                left.append(each)
    return left


class _Connections:
    """One connection to each receiver, as long as it lasts."""

    def __init__(self) -> None:
        self._open: dict[str, http.client.HTTPConnection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open.values():
            connection.close()

    def post(self, url: str, body: bytes) -> int | None:
        """The status of a delivery; None if there was no answer."""
        parts = urlsplit(url)
        for _ in range(2):  # a connection may have been closed since it was last used
            fresh = parts.netloc not in self._open
            connection = self._open.setdefault(parts.netloc, _connection(parts.scheme, parts.netloc))
            try:
                connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                with closing(self._open.pop(parts.netloc)):
                    pass
                if fresh:
                    return None
            else:
                return response.status
        return None


def _connection(scheme: str, place: str) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(place, timeout=_PATIENCE_S)


def _forged(body: Any, roll: int) -> bytes:
    """Something that no vendor has sent: about a real object, about one that nobody has, or no object at all."""
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: json.dumps(_changed(body, keep=True)).encode(),
        lambda: json.dumps(_changed(body, keep=True)).encode(),
        lambda: json.dumps(_changed(body, keep=False)).encode(),
        lambda: json.dumps([body]).encode(),
        lambda: b"<html>" + str(roll).encode() + b"\xff\x00</html>",
        lambda: b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        lambda: b"",
        lambda: b'{"id": {"a": 1}, "booking": {"uuid": ["x"]}, "event": 12345678901234567890123, "more": "\\ud83d"}',
        lambda: b'{"id": "../../webhooks", "booking": {"uuid": "..%2f..%2fwebhooks"}}',
    )
    return kinds[roll % len(kinds)]()


def _changed(value: Any, *, keep: bool) -> Any:
    """A body that says something else, about the same object or about one that nobody has."""
    if isinstance(value, dict):
        return {
            name: (member if keep else f"nobody-{member}"[:100])
            if name in _IDENTITIES and isinstance(member, str)
            else _changed(member, keep=keep)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_changed(member, keep=keep) for member in value]
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return "CANCELLED"
    return value
