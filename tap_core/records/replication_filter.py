"""When records happened, and which of them are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ReplicationKeyFilter"]

_NEVER: Final = "~"
"""Later than all times."""


@dataclass(frozen=True, slots=True)
class ReplicationKeyFilter:
    """How a stream's records are placed in time.

    Args:
        name: The replication key.
        since: Earlier records are left out; None leaves nothing out.
        until: Records from then on are left out; None leaves nothing out.
    """

    name: str
    since: str | None = None
    until: str | None = None

    def only(self, records: list[Any], values: list[str | None]) -> list[Any]:
        """The records that are emitted, given when each of them happened."""
        since, until = self.since or "", self.until or _NEVER
        return [record for record, at in zip(records, values, strict=True) if at is None or since <= at < until]

    def wants(self, value: str | None) -> bool:
        """Whether a record is emitted. One without a value always is."""
        if value is None:
            return True
        return (self.since is None or value >= self.since) and (self.until is None or value < self.until)
