"""The span of time that a request asks for, as a server with a time zone of its own understands it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from merchant_sandbox.clock import DAY, wall

__all__ = ["EDGES", "Span"]

EDGES = ("[]", "[)", "(]", "()")
"""Whether the first and the last instant belong to a span: a bracket includes, a parenthesis excludes."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of wall time in the server's zone.

    Args:
        lower: Its start.
        upper: Its end.
        edges: One of `EDGES`.
        zone: The server's zone.
    """

    lower: datetime
    upper: datetime
    edges: str
    zone: str

    @classmethod
    def parse(cls, start: object, end: object, *, edges: str, zone: str) -> Self | None:
        """The span between two ISO 8601 times; None if one of them is not such a text.

        A server in UTC honours offsets; any other takes the digits as its own wall time and ignores the offset.
        """
        bounds: list[datetime] = []
        for text in (start, end):
            try:
                bound = datetime.fromisoformat(text)  # type: ignore[arg-type] # what is not text is refused
            except (TypeError, ValueError):
                return None
            if zone == "UTC" and bound.tzinfo is not None:
                bound = bound.astimezone(UTC)
            bounds.append(bound.replace(tzinfo=None))
        lower, upper = bounds
        return cls(lower, upper, edges, zone)

    @property
    def first(self) -> int:
        """A moment that is not later than anything in the span, in Unix seconds."""
        return int(self.lower.replace(tzinfo=UTC).timestamp()) - DAY

    @property
    def last(self) -> int:
        """A moment that is later than everything in the span, in Unix seconds."""
        return int(self.upper.replace(tzinfo=UTC).timestamp()) + DAY

    def holds(self, seconds: int) -> bool:
        """Whether a moment is in the span."""
        return self._between(wall(seconds, self.zone))

    def holds_day(self, day: int) -> bool:
        """Whether midnight of a day by the server's clocks is in the span; ``day`` is midnight in UTC."""
        return self._between(wall(day, "UTC"))

    def _between(self, moment: datetime) -> bool:
        if not self.lower <= moment <= self.upper:
            return False
        return not ((moment == self.lower and self.edges[0] == "(") or (moment == self.upper and self.edges[1] == ")"))
