"""The time span of a request, as the server understands it: its edges and its zone are switches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from merchant_sandbox.clock import DAY
from merchant_sandbox.vendors.premiumpay.shapes import wall

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EDGES", "Span"]

EDGES = ("[]", "[)", "(]", "()")
"""Whether the first and the last instant belong to a span: brackets include, parentheses exclude."""


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
    def parse(cls, body: Mapping[str, Any], switches: Mapping[str, Any]) -> Span | None:
        """The span that a request asks for; None if it names none.

        A server in UTC honours offsets; any other takes the digits for its own wall time, whatever offset follows.
        """
        bounds: list[datetime] = []
        for name in ("start_date_time", "end_date_time"):
            try:
                bound = datetime.fromisoformat(body[name])
            except (KeyError, TypeError, ValueError):
                return None
            if switches["zone"] == "UTC" and bound.tzinfo is not None:
                bound = bound.astimezone(UTC)
            bounds.append(bound.replace(tzinfo=None))
        lower, upper = bounds
        return cls(lower, upper, switches["edges"], switches["zone"])

    @property
    def first(self) -> int:
        """Unix seconds that nothing in the span is earlier than."""
        return int(self.lower.replace(tzinfo=UTC).timestamp()) - DAY

    @property
    def last(self) -> int:
        """Unix seconds that everything in the span is earlier than."""
        return int(self.upper.replace(tzinfo=UTC).timestamp()) + DAY

    def holds(self, seconds: int) -> bool:
        """Whether a moment lies in the span."""
        return self._between(wall(seconds, self.zone))

    def holds_day(self, day: int) -> bool:
        """Whether a day's midnight by the server's clocks lies in the span; ``day`` is midnight in UTC."""
        return self._between(wall(day, "UTC"))

    def _between(self, moment: datetime) -> bool:
        if not self.lower <= moment <= self.upper:
            return False
        return not ((moment == self.lower and self.edges[0] == "(") or (moment == self.upper and self.edges[1] == ")"))
