"""Streams side by side: while one leaves calls free, the first pages of those that come next are requested.

What arrives waits for its stream's turn, so that nothing of the output changes: neither the order of the messages nor
any state. At most as many pages wait as calls may be under way.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from tap_core.reading.fetch import Pool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tap_core.reading.fetch import Reading

__all__ = ["Ahead"]


class _Loop(Pool, Protocol):
    """`tap_core.http.loop.Loop`, as far as it is needed here."""

    @property
    def free(self) -> int:
        """How many more calls could begin at once."""

    def advance(self, tasks: Collection[Any]) -> None:
        """Let calls go on for which something has happened."""


class _Stream(Protocol):
    def begun(self) -> Reading | None:
        """What the stream is going to read; None for one that is not read ahead."""


class Ahead:
    """Reads ahead for the streams whose turn has not come yet.

    Args:
        streams: All streams, in the order of their turns.
    """

    def __init__(self, streams: Iterable[_Stream]) -> None:
        self._coming = deque(streams)
        self._begun: list[Reading] = []

    def turn(self) -> None:
        """The turn of the next stream has come."""
        self._coming.popleft()

    def go_on(self, loop: _Loop) -> None:
        """Request what the stream whose turn it is leaves room for.

        Call it when a page of that stream has arrived: then the API is known to accept the credentials, and what the
        stream itself wants next has been requested.
        """
        if loop.free <= 0:
            return
        if heads := [head for reading in self._begun for head in reading.heads]:
            loop.advance(heads)
        left = loop.count
        for stream in self._coming:
            if loop.free <= 0:
                return
            if (reading := stream.begun()) is None:
                continue
            if reading not in self._begun:
                self._begun.append(reading)
            reading.go_on(min(loop.free, left - reading.held))
            left -= reading.held
            if left <= 0:
                return

    def cancel(self) -> None:
        """Forget what is in flight for streams that are not read after all."""
        for reading in self._begun:
            reading.cancel()
