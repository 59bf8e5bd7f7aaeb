"""How many calls an API allows per period, counted down before it has to refuse one."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tap_core.clock import Clock

__all__ = ["CallBudget"]

_ROUNDING: Final = 1e-9


class CallBudget:
    """A number of calls per period, as reported by the API; unknown, and so without effect, until it is reported.

    A call that is under way when a period ends may count for either: it is deducted from the new one. Times are Unix
    seconds. All methods may be called from any thread.

    Args:
        clock: Tells the time.
        limit: Calls per period, if known in advance.
        period_s: Length of a period, if known in advance.
        margin_s: How much later than announced a period is assumed to begin.
        share: The part of the calls that may be taken here, above 0 and up to 1; others take the rest.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit: int | None = None,
        period_s: float | None = None,
        margin_s: float = 1.0,
        share: float = 1.0,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._share = share
        self._limit = self._limit_of(limit)
        self._period_s = period_s
        self._margin_s = margin_s
        self._remaining: int | None = None
        self._reset_at: float | None = None
        self._in_flight = 0
        self._spilled = 0

    @property
    def limit(self) -> int | None:
        """Calls per period that may be taken here, if known."""
        return self._limit

    @property
    def remaining(self) -> int | None:
        """Calls left here in the running period, if known."""
        return self._remaining

    @property
    def reset_at(self) -> float | None:
        """When the running period ends, if known."""
        return self._reset_at

    @property
    def period_s(self) -> float | None:
        """Length of a period in seconds, if known."""
        return self._period_s

    def update(
        self, *, remaining: int, reset_at: float, limit: int | None = None, period_s: float | None = None
    ) -> None:
        """Adopt what the API reports.

        Calls in flight may be missing from the report: they are deducted, to be on the safe side. A report
        on a period that is over is ignored.
        """
        with self._lock:
            self._limit = self._limit_of(limit) or self._limit
            self._period_s = period_s or self._period_s
            if self._reset_at is None or reset_at > self._reset_at + self._margin_s:
                self._remaining = max(0, self._part(remaining) - max(0, self._in_flight - 1))
                self._reset_at, self._spilled = reset_at, 0
            elif self._remaining is not None and reset_at >= self._reset_at - self._margin_s:
                self._remaining = min(self._remaining, remaining)

    def take(self) -> float:
        """Take one call out of the budget.

        Returns:
            0 if it was taken (give it back with `done`), else the seconds to wait before asking again.
        """
        with self._lock:
            if self._reset_at is not None:
                now = self._clock.time()
                self._begin_period(now)
                if self._remaining is not None and self._reset_at is not None:
                    if self._remaining <= 0:
                        return self._reset_at + self._margin_s - now
                    self._remaining -= 1
            self._in_flight += 1
            return 0.0

    def done(self) -> None:
        """A call taken from the budget has ended."""
        with self._lock:
            if self._reset_at is not None:
                self._spill(self._clock.time())
            self._in_flight -= 1

    def _part(self, calls: int) -> int:
        """The calls of these that may be taken here; a little is added, because 0.29 times 100 is less than 29."""
        return int(calls * self._share + _ROUNDING)

    def _limit_of(self, limit: int | None) -> int | None:
        """The limit here: at least one call per period, or a run would wait for ever."""
        return limit and max(1, self._part(limit))

    def _spill(self, now: float) -> None:
        """A call that ends in the pause between two periods may count for the next one."""
        self._begin_period(now)
        if self._reset_at is not None and now >= self._reset_at:
            self._spilled += 1

    def _begin_period(self, now: float) -> None:
        if self._reset_at is None or now < self._reset_at + self._margin_s:
            return
        if self._limit is not None:
            self._remaining = max(0, self._limit - self._in_flight - self._spilled)
        else:
            self._remaining = None
        self._reset_at, self._spilled = self._next_reset(now), 0

    def _next_reset(self, now: float) -> float | None:
        if self._period_s is None or self._reset_at is None:
            return None
        return self._reset_at + self._period_s * math.ceil((now - self._reset_at) / self._period_s)
