"""What a run is going to cost: calls, and the waits that a call budget imposes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_core.http.waits import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_core.http.budget import CallBudget

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The calls of a run against the budget for them.

    Args:
        calls: How many calls each stream needs.
        budget: What the API allows, as far as known.
        now: Unix seconds.
    """

    calls: Mapping[str, int]
    budget: CallBudget
    now: float

    @property
    def total(self) -> int:
        """All calls together."""
        return sum(self.calls.values())

    @property
    def waits(self) -> int:
        """How often the budget has to be renewed."""
        if self.budget.remaining is None or not self.budget.limit:
            return 0
        return math.ceil(max(0, self.total - self.budget.remaining) / self.budget.limit)

    @property
    def seconds(self) -> float:
        """How long the waits take; the calls themselves are not counted."""
        if not self.waits or self.budget.reset_at is None:
            return 0.0
        return max(0.0, self.budget.reset_at - self.now) + (self.waits - 1) * (self.budget.period_s or 0.0)

    @override
    def __str__(self) -> str:
        streams = ", ".join(f"{stream} {number:,}" for stream, number in self.calls.items())
        plan = f"plan: {self.total:,} calls ({streams})"
        if self.budget.remaining is None:
            return f"{plan}; the API reports no call budget"
        left = f"{self.budget.remaining:,} of {self.budget.limit or '?'} calls are left"
        if not self.waits:
            return f"{plan}; {left}: no wait"
        budgets = "one new budget" if self.waits == 1 else f"{self.waits:,} new budgets"
        return f"{plan}; {left}: waits for {budgets}, about {in_words(self.seconds)}"
