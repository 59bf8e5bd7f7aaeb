"""The pace that a user sets for the requests of a run: one for all workers, and for all accounts of a tap."""

from __future__ import annotations

import math
import threading

__all__ = ["Pace"]


class Pace:
    """Slots for requests at even distances. Any thread may take one.

    Args:
        per_second: Slots per second, or None where any moment will do.
    """

    def __init__(self, per_second: float | None) -> None:
        self._distance_s = 1.0 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next = -math.inf

    def slot(self, now: float) -> float:
        """Take the next slot; returns when it comes, on the scale of ``now``."""
        with self._lock:
            slot = max(self._next, now)
            self._next = slot + self._distance_s
            return slot
