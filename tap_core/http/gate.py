"""Where every request waits until it may be sent, and where that wait is shown.

A pause that the API asks for holds for all workers of a client, and so does the call budget. The pace that a user sets
holds for all clients of a run together.
"""

from __future__ import annotations

import logging
import math
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from typing_extensions import override

from tap_core.errors import StoppedError, ThrottledError
from tap_core.http.steps import Pause
from tap_core.http.waits import in_words

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tap_core.clock import Clock
    from tap_core.http.budget import CallBudget

__all__ = ["REASONS", "Gate", "Meter", "NoMeter", "Pace"]

logger = logging.getLogger(__name__)

_LONG_WAIT_S = 10.0
_PAUSE: Final = "the API asks for a pause"
_PACE: Final = "requests_per_second"
_BUDGET: Final = "call budget"
REASONS: Final = {_PAUSE: "pause", _PACE: "pace", _BUDGET: "budget"}
"""What is waited for before a first try, and one word for each; what else is waited for is a failure to be over."""


class Meter(Protocol):
    """The counters and the display of the stream that makes the call."""

    def requested(self) -> None:
        """A request is about to be sent."""

    def answered(self, status: int, seconds: float, size: int) -> None:
        """A response has come, good or not.

        Args:
            status: Its HTTP status.
            seconds: How long it took, in real time.
            size: The length of its body, decompressed.
        """

    def retried(self, reason: str) -> None:
        """A request failed for a temporary reason and is sent again."""

    def waiting(self, reason: str, seconds: float) -> AbstractContextManager[None]:
        """A wait that lasts as long as the block; several threads may wait at once."""


class NoMeter(Meter):
    """Counts nothing: for calls that belong to no stream, such as a login. Long waits are logged.

    Args:
        what: What the calls are, for the log.
    """

    def __init__(self, what: str = "a call") -> None:
        self._what = what

    @override
    def requested(self) -> None:
        """Ignored."""

    @override
    def answered(self, status: int, seconds: float, size: int) -> None:
        """Ignored."""

    @override
    def retried(self, reason: str) -> None:
        """Ignored."""

    @override
    def waiting(self, reason: str, seconds: float) -> AbstractContextManager[None]:
        """Log a wait of more than a moment."""
        if seconds >= _LONG_WAIT_S:
            logger.info("%s waits %s: %s", self._what, in_words(round(seconds)), reason)
        return nullcontext()


class Pace:
    """Evenly spaced slots for requests. Any thread may take one.

    Args:
        per_second: Slots per second, or None where any moment will do.
    """

    def __init__(self, per_second: float | None) -> None:
        self._distance_s = 1.0 / per_second if per_second else 0.0
        self._lock = threading.Lock()
        self._next = -math.inf

    def slot(self, now: float) -> float:
        """Take the next slot; returns when it comes, on the scale of ``now``."""
        if not self._distance_s:
            return now
        with self._lock:
            slot = max(self._next, now)
            self._next = slot + self._distance_s
            return slot


class Gate:
    """Where every request waits until it may be sent: for a pause that the API asked for, the pace, the call budget.

    Args:
        clock: Tells the time and waits.
        pace: The pace that the user set.
        budget: Calls per period; without effect until the API reports one.
        longest_wait_s: The longest wait for the budget (``max_rate_limit_wait_s``).
    """

    def __init__(self, clock: Clock, pace: Pace, budget: CallBudget, longest_wait_s: float) -> None:
        self._clock = clock
        self._pace = pace
        self._budget = budget
        self._longest_wait_s = longest_wait_s
        self._lock = threading.Lock()
        self._paused_until = -math.inf

    def pause(self, seconds: float) -> None:
        """Hold all requests back for this many seconds from now."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    async def enter(self, meter: Meter) -> None:
        """Wait until the next request may be sent.

        Raises:
            ThrottledError: The call budget is renewed too late.
            StoppedError: The run ends.
        """
        now = self._clock.monotonic()
        slot = self._pace.slot(now)
        while True:
            if (pause := self._paused_until - now) > 0:
                await self.wait(pause, _PAUSE, meter)
            elif slot > now:
                await self.wait(slot - now, _PACE, meter)
            elif (wait := self._budget.take()) > 0:
                if wait > self._longest_wait_s:
                    raise ThrottledError(
                        f"the call budget is used up and is renewed in {in_words(wait)}, more than "
                        f"max_rate_limit_wait_s = {self._longest_wait_s:g}: run again later or raise it",
                        wait=wait,
                    )
                await self.wait(wait, _BUDGET, meter)
            elif self._clock.stopped:
                self._budget.done()
                raise StoppedError("the run was stopped")
            else:
                return
            now = self._clock.monotonic()

    async def wait(self, seconds: float, reason: str, meter: Meter) -> None:
        """Wait and show it.

        Raises:
            StoppedError: The run ended meanwhile.
        """
        with meter.waiting(reason, seconds):
            await Pause(seconds)
        if self._clock.stopped:
            raise StoppedError("the run was stopped while it waited")

    def leave(self) -> None:
        """The request has been answered or has failed."""
        self._budget.done()
