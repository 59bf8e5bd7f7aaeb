"""A night, call by call: what the APIs take and refuse, and when each run ends.

The rules are those of the taps and of the manifests. A call that finds the budget used up waits for its next period.
One that fails is tried again for 15 minutes; then what it belongs to is given up, and the rest is read. Such a run ends
with exit code 4, and Kubernetes begins it again, three times at most, from the start. A run that is not done in time is
stopped. Nothing is random: the same list gives the same night.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from examples.fleet.timetable import START_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from examples.fleet.timetable import Run

__all__ = ["Outcome", "Trouble", "simulate"]

_RETRY_S: Final = 900.0
"""`retry_max_s` of the taps: how long a call is tried again."""

_TRIES: Final = 35
"""How often it is tried in that time: measured with each of the five taps."""

_AGAIN: Final = 3
"""`backoffLimit` of the manifests; the waits before are 10, 20 and 40 seconds."""

_GIVEN_UP: Final = 3
"""How many of a run's lists are given up one after another before it ends: so it is with tap-peek."""


@dataclass(frozen=True)
class Trouble:
    """A vendor that is not as usual for a part of the night, told in minutes of it.

    Args:
        vendor: The vendor.
        share: The share of the usual budget that it takes; 0 if it is down.
        begins: From this minute on.
        ends: Until this one, infinity for all the night and what is tried after it.
    """

    vendor: str
    share: float
    begins: float
    ends: float


@dataclass
class Outcome:
    """What became of a run.

    Args:
        run: The run.
        ended: The second of the night at which its last pod ended.
        loaded: Whether it read everything.
        answered: Calls that were answered.
        waited: How often it found the budget used up.
        failed: Calls that failed.
        pods: Pods that were started.
        pod_s: Seconds that they ran.
    """

    run: Run
    ended: float = math.nan
    loaded: bool = False
    answered: int = 0
    waited: int = 0
    failed: int = 0
    pods: int = 0
    pod_s: float = 0.0


@dataclass
class _Pod:
    """A run at work."""

    outcome: Outcome
    began: float
    dies: float
    done: int = 0
    tries: int = 0
    given_up: int = 0


@dataclass
class _Api:
    """The vendors' side: who is down, and what is left of each budget."""

    troubles: Sequence[Trouble]
    taken: Counter[tuple[str, int]] = field(default_factory=Counter)

    def share(self, vendor: str, at: float) -> float:
        """The share of the usual budget that a vendor takes now; 0 if it is down."""
        return min(
            (
                trouble.share
                for trouble in self.troubles
                if trouble.vendor == vendor and trouble.begins * 60 <= at < trouble.ends * 60
            ),
            default=1.0,
        )

    def full_until(self, run: Run, at: float, share: float) -> float | None:
        """Take a call of the budget; if none is left, the time when its next period begins."""
        budget = run.account.budget
        period = int(at // budget.period_s)
        key = (budget.name if budget.shared else run.account.title, period)
        if self.taken[key] >= budget.calls * share:
            return (period + 1) * budget.period_s
        self.taken[key] += 1
        return None


def simulate(runs: Iterable[Run], troubles: Sequence[Trouble] = ()) -> list[Outcome]:
    """Let the night happen."""
    api = _Api(troubles)
    outcomes = [Outcome(run) for run in runs]
    events: list[tuple[float, int, _Pod]] = []
    for place, outcome in enumerate(outcomes):
        begins = outcome.run.begins * 60.0
        pod = _Pod(outcome, begins, begins + outcome.run.deadline_s)
        outcome.pods = 1
        events.append((begins + START_S, place, pod))
    heapq.heapify(events)
    while events:
        at, place, pod = heapq.heappop(events)
        if (then := _call(pod, at, api)) is not None:
            heapq.heappush(events, (then, place, pod))
    return outcomes


def _call(pod: _Pod, at: float, api: _Api) -> float | None:
    """Make the next call of a run; the time of the one after it, None if the run has ended."""
    outcome, account = pod.outcome, pod.outcome.run.account
    if at >= pod.dies:
        _end(pod, pod.dies)
        return None
    share = api.share(account.vendor, at)
    if not share:
        return _fail(pod, at)
    if (until := api.full_until(outcome.run, at, share)) is not None:
        outcome.waited += 1
        return until
    outcome.answered += 1
    pod.done += 1
    pod.tries = 0
    if pod.done == account.calls:
        if pod.given_up:
            return _begin_again(pod, at)
        _end(pod, at + account.seconds_per_call, loaded=True)
        return None
    return at + max(account.between_s, 1 / (outcome.run.pace or math.inf))


def _fail(pod: _Pod, at: float) -> float | None:
    pod.outcome.failed += 1
    pod.tries += 1
    if pod.tries == _TRIES:
        pod.tries = 0
        pod.given_up += 1
        if pod.given_up == _GIVEN_UP:
            return _begin_again(pod, at)
    return at + _RETRY_S / _TRIES


def _begin_again(pod: _Pod, at: float) -> float | None:
    """The run has ended with exit code 4."""
    _end(pod, at)
    if pod.outcome.pods > _AGAIN:
        return None
    pod.began = at + 10 * 2 ** (pod.outcome.pods - 1)
    pod.done = pod.given_up = 0
    pod.outcome.pods += 1
    return pod.began + START_S


def _end(pod: _Pod, at: float, *, loaded: bool = False) -> None:
    pod.outcome.ended, pod.outcome.loaded = at, loaded
    pod.outcome.pod_s += max(at - pod.began, 0)
