"""When records happened, and which of them are left out."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ReplicationKeyFilter"]


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

    def wants(self, value: str | None) -> bool:
        """Whether a record is emitted. One without a value always is."""
        if value is None:
            return True
        return (self.since is None or value >= self.since) and (self.until is None or value < self.until)
