"""The only place that tells the time and waits.

Against a sandbox the time may be virtual: ``MERCHANT_CLOCK=<virtual start>,<unix anchor>,<rate>`` says that at the
real time ``anchor`` (Unix seconds) the virtual clock showed ``start`` (Unix seconds), and that it runs ``rate`` times
as fast. An hour's call budget then takes seconds. The variable is honoured only for loopback APIs.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tap_core.errors import ConfigError

__all__ = ["Clock", "real_seconds"]


real_seconds = time.monotonic
"""Real seconds on a scale that never jumps back: what a network timeout is measured in, virtual clock or not."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Real time by default; a virtual one where ``start``, ``anchor`` and ``rate`` say so.

    Args:
        start: What the virtual clock showed at ``anchor``, in Unix seconds.
        anchor: A moment of the real clock, in Unix seconds.
        rate: Virtual seconds per real second.
    """

    start: float = 0.0
    anchor: float = 0.0
    rate: float = 1.0
    _stopped: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def parse(cls, text: str) -> Clock:
        """Read the value of ``MERCHANT_CLOCK``.

        Raises:
            ConfigError: The value does not consist of three numbers, the rate is not positive, or the time that it
                tells lies outside the calendar.
        """
        try:
            start, anchor, rate = (float(part) for part in text.split(","))
        except ValueError:
            raise ConfigError("MERCHANT_CLOCK must have the form <virtual start>,<unix anchor>,<rate>") from None
        if not 0 < rate < math.inf:
            raise ConfigError("MERCHANT_CLOCK must have a rate above 0")
        clock = cls(start, anchor, rate)
        try:
            clock.now()
        except (ValueError, OverflowError, OSError):
            raise ConfigError("MERCHANT_CLOCK tells a time outside the calendar") from None
        return clock

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self.start + (time.time() - self.anchor) * self.rate

    def now(self) -> datetime:
        """The same as an aware UTC date-time."""
        return datetime.fromtimestamp(self.time(), UTC)

    def monotonic(self) -> float:
        """Seconds on a scale that never jumps back; only differences mean something."""
        return time.monotonic() * self.rate

    def sleep(self, seconds: float) -> None:
        """Wait, in this clock's seconds. Returns early after `stop`, and immediately from then on."""
        if seconds > 0:
            self._stopped.wait(seconds / self.rate)

    def stop(self) -> None:
        """End all waiting in all threads, because the run is over."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()
