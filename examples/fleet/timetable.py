"""When each account's run begins, so that no budget of calls is exceeded.

Runs that share a budget are laid into *lanes*: one after another in a lane, the lanes side by side. Each run gets its
lane's share of the budget as a pace (`requests_per_second`), so the lanes together never exceed it, however the API
counts. A run must have ended when the next one in its lane begins: Kubernetes stops it if it has not.

Runs with a budget of their own need no such care: the tap keeps to it. They are spread evenly over the night, and have
time for another try.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from examples.fleet.accounts import ListError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from examples.fleet.accounts import Account, Budget, Fleet

__all__ = ["GRACE_S", "LATE_S", "START_S", "Run", "pods_at_once", "timetable"]

START_S: Final = 15.0
"""A pod's way from its creation to the first call, on a node that has the image."""

LATE_S: Final = 60
"""A job that could not begin within this time does not begin in this night, as its lane belongs to others soon."""

GRACE_S: Final = 60
"""What a run has to end after SIGTERM: the tap stops, the loader commits what has come."""

_SLACK: Final = 1.25
"""How much longer than expected a run may take: a fifth of a shared budget is kept for what goes wrong."""

_PATIENCE_S: Final = 4 * 3600
"""What a run with a budget of its own may take in any case: four tries, each with calls that fail for 15 minutes."""


@dataclass(frozen=True)
class Run:
    """One run of an account in the night.

    Args:
        account: The account.
        begins: The minute of the night.
        minutes: How many minutes are kept free for it, among the pods of the cluster and in its lane.
        pace: Its share of a shared budget, in calls a second; None if the budget is its own.
        seconds: How long it is expected to take.
    """

    account: Account
    begins: int
    minutes: int
    pace: float | None
    seconds: float

    @property
    def ends(self) -> int:
        """The minute by which it has ended, of itself or not."""
        return self.begins + self.minutes

    @property
    def deadline_s(self) -> int:
        """When Kubernetes stops it, counted from its beginning; further tries included."""
        reserved = self.minutes * 60 - LATE_S - GRACE_S
        return reserved if self.pace else max(reserved, _PATIENCE_S)


def timetable(fleet: Fleet) -> tuple[Run, ...]:
    """Lay out a night.

    Raises:
        ListError: The night is too short for a budget, or the cluster too small.
    """
    runs: list[Run] = []
    by_budget = sorted(fleet.accounts, key=lambda account: account.budget.name)
    for _, group in groupby(by_budget, key=lambda account: account.budget.name):
        accounts = tuple(group)
        lay = _lanes if accounts[0].budget.shared else _spread
        runs += lay(accounts, fleet)
    if (peak := pods_at_once(runs)) > fleet.cluster.pods:
        raise ListError(
            f"the timetable needs {peak} pods at once, and cluster.pods is {fleet.cluster.pods}; "
            "raise it, or give more hours"
        )
    return tuple(sorted(runs, key=lambda run: (run.begins, run.account.title)))


def pods_at_once(runs: Iterable[Run]) -> int:
    """The largest number of runs for which the same minute is kept free."""
    steps = sorted([(run.begins, 1) for run in runs] + [(run.ends, -1) for run in runs])
    level = peak = 0
    for _, step in steps:
        level += step
        peak = max(peak, level)
    return peak


def _lanes(accounts: Sequence[Account], fleet: Fleet) -> list[Run]:
    """As few lanes as fit into the night: fewer lanes, fewer pods, and each run is shorter."""
    budget = accounts[0].budget
    length = fleet.cluster.minutes
    total = sum(account.calls for account in accounts)
    hours = total / budget.rate / 3600
    for lanes in range(1, min(len(accounts), fleet.cluster.pods, budget.calls) + 1):
        share = budget.calls // lanes  # whole calls in each period, or rounding would add up to more than there are
        runs = list(_laid(accounts, share / budget.period_s, lanes))
        if (last := max(run.ends for run in runs)) <= length:
            return [_stretched(run, length, last) for run in runs]
    raise ListError(
        f"budget {budget.name}: {len(accounts):,} accounts take {total:,} calls, which is {hours:.1f} hours of it; "
        f"with room for delays, and {fleet.cluster.pods} pods, the night of {length / 60:.1f} hours is too short; "
        "give more hours or pods, or ask for less in each account"
    )


def _laid(accounts: Sequence[Account], pace: float, lanes: int) -> Iterator[Run]:
    free = [0] * lanes
    for account in accounts:
        seconds = START_S + account.calls * max(1 / pace, account.between_s)
        run = Run(account, free[0], _minutes(seconds), pace, seconds)
        heapq.heapreplace(free, run.ends)
        yield run


def _stretched(run: Run, length: int, last: int) -> Run:
    """The run with its part of the time that is left of the night, as room for delays."""
    begins = run.begins * length // last
    return replace(run, begins=begins, minutes=run.ends * length // last - begins)


def _spread(accounts: Sequence[Account], fleet: Fleet) -> list[Run]:
    """One after another at even distances; where there is room, all at different minutes."""
    runs = []
    for place, account in enumerate(accounts):
        seconds = START_S + _own_time(account, account.budget)
        minutes = _minutes(seconds)
        room = fleet.cluster.minutes - minutes
        if room < 0:
            raise ListError(
                f"account {account.title}: {account.calls:,} calls take {seconds / 3600:.1f} hours, and with slack "
                f"{minutes / 60:.1f}; the night has {fleet.cluster.minutes / 60:.1f}; give more hours, or ask for less"
            )
        begins = room * place // max(len(accounts) - 1, 1)
        runs.append(Run(account, begins, minutes, None, seconds))
    return runs


def _own_time(account: Account, budget: Budget) -> float:
    """The calls go out as fast as the API answers; when the budget is used up, the run waits for the next one."""
    whole, rest = divmod(account.calls - 1, budget.calls)
    return whole * max(budget.period_s, budget.calls * account.between_s) + (rest + 1) * account.between_s


def _minutes(seconds: float) -> int:
    return math.ceil((seconds * _SLACK + LATE_S + GRACE_S) / 60)
