"""When to try again, and how long to wait before: all of it through the clock.

A call that fails for a passing reason is repeated after a random wait that doubles each time (full jitter), unless the
API says how long to wait. Two caps bound it: ``retry_max_s`` for what failures cost one call in total,
``max_rate_limit_wait_s`` for each wait that a rate limit asks for. A wait that the API asks for holds for all workers.
"""

from __future__ import annotations

import logging
import math
import random
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from tap_core.errors import StoppedError, ThrottledError, TransientError
from tap_core.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tap_core.budget import CallBudget
    from tap_core.clock import Clock

__all__ = ["Attempts", "Gate", "Meter", "NoMeter", "RetryPolicy", "in_words", "reset_wait", "retry_after"]

logger = logging.getLogger(__name__)

_LONG_WAIT_S = 10.0
_EPOCH_FROM = 1e9  # a reset above 30 years is no number of seconds to wait but a time
_MILLISECONDS_FROM = 1e11
_MAX_REFUSALS = 12
_THROTTLE_BASE_S = 4.0
_THROTTLE_CAP_S = 900.0


class Meter(Protocol):
    """The counters and the display of the stream that asks."""

    def requested(self) -> None:
        """A request is about to be sent."""

    def retried(self, reason: str) -> None:
        """A request failed for a passing reason and is sent again."""

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
    def retried(self, reason: str) -> None:
        """Ignored."""

    @override
    def waiting(self, reason: str, seconds: float) -> AbstractContextManager[None]:
        """Log a wait of more than a moment."""
        if seconds >= _LONG_WAIT_S:
            logger.info("%s waits %s: %s", self._what, in_words(round(seconds)), reason)
        return nullcontext()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a tap is. All times in seconds. All clients of a tap share one, and with it the pace.

    Attributes:
        retry_max_s: What failures may cost one call in all, waits and failed requests together.
        max_rate_limit_wait_s: The longest wait that a rate limit may ask for.
        requests_per_second: Pace of all who share the policy together, or None for no pacing.
        base_s: Upper bound of the first random wait; it doubles with every try.
        cap_s: Upper bound of every random wait.
        rng: Source of randomness; seed it to make a run repeatable.
    """

    retry_max_s: float = 900.0
    max_rate_limit_wait_s: float = 3660.0
    requests_per_second: float | None = None
    base_s: float = 1.0
    cap_s: float = 60.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)
    pace: Pace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pace", Pace(self.requests_per_second))

    def backoff(self, tries: int) -> float:
        """A random wait after the given number of failed tries."""
        return self.rng.uniform(0, min(self.cap_s, self.base_s * 2.0 ** min(tries - 1, 32)))

    def throttle_backoff(self, refusals: int) -> float:
        """A wait after so many refusals that named no time: twelve of them outlast an hourly limit."""
        longest = min(_THROTTLE_CAP_S, _THROTTLE_BASE_S * 2.0 ** (refusals - 1))
        return self.rng.uniform(0.75, 1.0) * longest


class Attempts:
    """The failed tries of one call, and what they cost so far."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._refusals = 0
        self._spent_s = 0.0
        self._own_rate_limit_wait_s = 0.0

    def wait_after(self, error: TransientError, seconds: float) -> float:
        """How long to wait before the next try.

        Args:
            error: Why the last try failed.
            seconds: How long the last try took, in real time.

        Raises:
            TransientError: The same kind of error, with what was tried, when there is no next try.
        """
        if isinstance(error, ThrottledError):
            return self._after_refusal(error)
        self._failures += 1
        wait = self._policy.backoff(self._failures)
        if error.wait is not None:
            wait = max(error.wait, wait)
        self._spent_s += seconds
        if self._spent_s + wait > self._policy.retry_max_s:
            asked = f"; the API asks to wait {in_words(error.wait)}" if error.wait else ""
            raise _last(error, f"{asked}; gave up after {self._tries()} in {in_words(self._spent_s)} (retry_max_s)")
        self._spent_s += wait
        return wait

    def _after_refusal(self, error: ThrottledError) -> float:
        self._refusals += 1
        longest = self._policy.max_rate_limit_wait_s
        if error.wait is None:
            wait = self._policy.throttle_backoff(self._refusals)
            self._own_rate_limit_wait_s += wait
            if self._own_rate_limit_wait_s > longest:
                waited = in_words(self._own_rate_limit_wait_s - wait)
                raise _last(error, f"; gave up after {self._tries()} and {waited} of waiting (max_rate_limit_wait_s)")
        else:
            # Less than the backoff, such as 0 or a date that is past, must not use up all tries at once.
            wait = max(error.wait, self._policy.backoff(self._refusals))
            if error.wait > longest:
                raise _last(
                    error,
                    f"; the API asks to wait {in_words(error.wait)}, more than max_rate_limit_wait_s = {longest:g}: "
                    "run again later or raise it",
                )
        if self._refusals >= _MAX_REFUSALS:
            raise _last(error, f"; gave up after {self._tries()}: lower concurrency or set requests_per_second")
        return wait

    def _tries(self) -> str:
        tries = self._failures + self._refusals
        return "1 try" if tries == 1 else f"{tries} tries"


def _last(error: TransientError, ending: str) -> TransientError:
    return type(error)(f"{error}{ending}", wait=error.wait)


class Gate:
    """Where every request waits until it may go: for a pause that the API asked for, the pace, the call budget.

    Args:
        clock: Tells the time and waits.
        policy: Pace and longest wait.
        budget: Calls per period; without effect until the API tells of one.
    """

    def __init__(self, clock: Clock, policy: RetryPolicy, budget: CallBudget) -> None:
        self._clock = clock
        self._policy = policy
        self._budget = budget
        self._lock = threading.Lock()
        self._paused_until = -math.inf

    def pause(self, seconds: float) -> None:
        """Hold all requests back for so long, counted from now."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def enter(self, meter: Meter) -> None:
        """Wait until the next request may be sent.

        Raises:
            ThrottledError: The call budget comes back too late.
            StoppedError: The run ends.
        """
        slot = self._policy.pace.slot(self._clock.monotonic())
        while True:
            now = self._clock.monotonic()
            if (pause := self._paused_until - now) > 0:
                self.wait(pause, "the API asks to wait", meter)
            elif slot > now:
                self.wait(slot - now, "requests_per_second", meter)
            elif (wait := self._budget.take()) > 0:
                longest = self._policy.max_rate_limit_wait_s
                if wait > longest:
                    raise ThrottledError(
                        f"the call budget is used up and comes back in {in_words(wait)}, more than "
                        f"max_rate_limit_wait_s = {longest:g}: run again later or raise it",
                        wait=wait,
                    )
                self.wait(wait, "call budget", meter)
            elif self._clock.stopped:
                self._budget.done()
                raise StoppedError("the run was stopped")
            else:
                return

    def wait(self, seconds: float, reason: str, meter: Meter) -> None:
        """Wait and show it.

        Raises:
            StoppedError: The run ended meanwhile.
        """
        with meter.waiting(reason, seconds):
            self._clock.sleep(seconds)
        if self._clock.stopped:
            raise StoppedError("the run was stopped while it waited")

    def leave(self) -> None:
        """The request has been answered or has failed."""
        self._budget.done()


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks for: a number, or an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: The header's value, or None without one.
        now: Unix seconds.

    Returns:
        None if the header is missing, senseless or negative; a past date is 0.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _http_date(value)
        return None if moment is None else max(0.0, moment - now)
    return seconds if 0 <= seconds < math.inf else None


def reset_wait(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds until a rate limit starts anew, by RateLimit-Reset or X-RateLimit-Reset.

    The value may be a number of seconds, a Unix time in seconds or milliseconds, or an HTTP date.
    """
    for name in ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset"):
        wait = _until(headers.get(name), now)
        if wait is not None:
            return wait
    return None


def _until(value: str | None, now: float) -> float | None:
    wait = retry_after(value, now)
    if wait is None or wait < _EPOCH_FROM or _http_date(value) is not None:
        return wait
    moment = wait / 1000 if wait > _MILLISECONDS_FROM else wait
    return max(0.0, moment - now)


def _http_date(value: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def in_words(seconds: float) -> str:
    """A span of time for people: ``45 s``, ``5 min``, ``2 h 30 min``, ``3 days``."""
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = hours // 24
    return f"{days} days" if days < 36525 else "more than a century"  # noqa: PLR2004
