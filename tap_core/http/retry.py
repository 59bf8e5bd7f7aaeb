"""Whether to try again, and how long to wait first.

A call that fails for a temporary reason is repeated after a random wait that doubles each time (full jitter), unless
the API says how long to wait. Two limits apply: ``retry_max_s`` for the total cost of one call's failures, and
``max_rate_limit_wait_s`` for each wait that a rate limit asks for; for logins, for all such waits of a run together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tap_core.errors import ThrottledError, TransientError
from tap_core.http.waits import in_words

__all__ = ["Attempts", "Patience", "RetryPolicy"]

_MAX_REFUSALS = 12
_THROTTLE_BASE_S = 4.0
_THROTTLE_CAP_S = 900.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a tap is. All times in seconds.

    Attributes:
        retry_max_s: What failures may cost one call in total, waits and failed requests together.
        max_rate_limit_wait_s: The longest wait that a rate limit may ask for.
        base_s: Upper bound of the first random wait; it doubles with every try.
        cap_s: Upper bound of every random wait.
        rng: Source of randomness; seed it to make a run repeatable.
    """

    retry_max_s: float = 900.0
    max_rate_limit_wait_s: float = 3660.0
    base_s: float = 1.0
    cap_s: float = 60.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def backoff(self, tries: int) -> float:
        """A random wait after the given number of failed tries."""
        return self.rng.uniform(0, min(self.cap_s, self.base_s * 2.0 ** min(tries - 1, 32)))

    def throttle_backoff(self, refusals: int) -> float:
        """A wait after this many refusals that named no time: twelve of them outlast an hourly limit."""
        longest = min(_THROTTLE_CAP_S, _THROTTLE_BASE_S * 2.0 ** (refusals - 1))
        return self.rng.uniform(0.75, 1.0) * longest


@dataclass(slots=True)
class Patience:
    """How long calls that share it may still wait for rate limits, in seconds."""

    left_s: float


class Attempts:
    """The failed tries of one call, and what they cost so far.

    Args:
        policy: How patient to be.
        patience: What is left for the rate limits of all calls together, where these are limited together.
    """

    def __init__(self, policy: RetryPolicy, patience: Patience | None = None) -> None:
        self._policy = policy
        self._patience = patience
        self._failures = 0
        self._refusals = 0
        self._spent_s = 0.0
        self._own_rate_limit_wait_s = 0.0

    def wait_after(self, error: TransientError, seconds: float) -> float:
        """How long to wait before the next try.

        Args:
            error: Why the last try failed.
            seconds: How long the request of the last try took, in real time.

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
            asked = f"; the API asks for a wait of {in_words(error.wait)}" if error.wait else ""
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
            # Less than the backoff, such as 0 or a date that is past, must not use up all tries immediately.
            wait = max(error.wait, self._policy.backoff(self._refusals))
            if error.wait > longest:
                raise _last(
                    error,
                    f"; the API asks for a wait of {in_words(error.wait)}, more than max_rate_limit_wait_s = "
                    f"{longest:g}: run again later or raise it",
                )
        if self._patience is not None:
            self._patience.left_s -= wait
            if self._patience.left_s < 0:
                raise _last(
                    error,
                    f"; gave up after {self._tries()}, because the waits of this run add up to more than "
                    "max_rate_limit_wait_s",
                )
        if self._refusals >= _MAX_REFUSALS:
            raise _last(error, f"; gave up after {self._tries()}: lower concurrency or set requests_per_second")
        return wait

    def _tries(self) -> str:
        tries = self._failures + self._refusals
        return "1 try" if tries == 1 else f"{tries} tries"


def _last(error: TransientError, ending: str) -> TransientError:
    return type(error)(f"{error}{ending}", wait=error.wait)
