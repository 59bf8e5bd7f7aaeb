"""What a timetable and a simulated night come to, as tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from examples.fleet.accounts import DAY_MIN
from examples.fleet.timetable import pods_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from examples.fleet.accounts import Budget, Cluster, Fleet
    from examples.fleet.night import Outcome
    from examples.fleet.timetable import Run

__all__ = ["Costs", "cost_lines", "night_lines", "plan_lines", "room_lines"]

_HOUR_S: Final = 3600
_T = TypeVar("_T")


@dataclass(frozen=True)
class Costs:
    """What a run takes of the machine: measured figures of one vendor.

    Args:
        cpu_s: CPU seconds of tap and loader for a run without rows.
        cpu_s_per_1000_rows: … and for each thousand rows.
        memory_mb: The peak of both together.
        files: Files that a night adds to the lake.
        bytes_per_row: What a row takes there.
    """

    cpu_s: float
    cpu_s_per_1000_rows: float
    memory_mb: float
    files: int
    bytes_per_row: float


def plan_lines(fleet: Fleet, runs: Sequence[Run]) -> list[str]:
    """When the runs of each budget begin and end, how much of the budget that is, and how short it could be.

    The least is what the budget allows, or the longest run where each account has its own.
    """
    rows = []
    for budget, group in _by_budget(runs, lambda run: run.account.budget):
        calls = sum(run.account.calls for run in group)
        rows.append(
            (
                budget.name,
                f"{len(group):,}",
                f"{calls:,}",
                str(pods_at_once(group)),
                _clock(fleet.cluster, min(run.begins for run in group)),
                _clock(fleet.cluster, max(run.ends for run in group)),
                _hours(calls / budget.rate if budget.shared else max(run.seconds for run in group)),
                f"{100 * _used(budget, group, fleet.cluster):.0f} %" if budget.shared else "its own",
            )
        )
    head = ("budget", "accounts", "calls", "at once", "from", "until", "least h", "of budget")
    peak = pods_at_once(runs)
    last = max(run.begins * 60 + run.seconds for run in runs)
    length = _hours(fleet.cluster.minutes * 60)
    return [
        *_table(head, rows),
        "",
        f"The night takes {_hours(last)} h, and {peak} pods at once; it has {length} h, and {fleet.cluster.pods} pods.",
    ]


def night_lines(cluster: Cluster, outcomes: Sequence[Outcome]) -> list[str]:
    """What became of a night."""
    rows = []
    for budget, group in _by_budget(outcomes, lambda outcome: outcome.run.account.budget):
        loaded = sum(outcome.loaded for outcome in group)
        rows.append(
            (
                budget.name,
                f"{len(group):,}",
                f"{loaded:,}",
                f"{len(group) - loaded:,}",
                *(f"{sum(getattr(outcome, name) for outcome in group):,}" for name in ("answered", "waited", "failed")),
                f"{sum(outcome.pods for outcome in group):,}",
                f"{sum(outcome.pod_s for outcome in group) / _HOUR_S:,.1f}",
                _clock(cluster, max(outcome.ended for outcome in group) / 60),
            )
        )
    head = ("budget", "accounts", "loaded", "late", "answered", "waits", "failed", "pods", "pod hours", "ends")
    return _table(head, rows)


def cost_lines(outcomes: Sequence[Outcome], measured: Mapping[str, Costs], price: float | None) -> list[str]:
    """CPU, memory, files and bytes of a night, by vendor."""
    by_vendor: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_vendor[outcome.run.account.vendor].append(outcome)
    rows = []
    for vendor, group in by_vendor.items():
        loaded = [outcome for outcome in group if outcome.loaded]
        count = sum(outcome.run.account.rows for outcome in loaded)
        if count and (costs := measured.get(vendor)):
            cpu = len(loaded) * costs.cpu_s + count / 1000 * costs.cpu_s_per_1000_rows
            rows.append(
                (
                    vendor,
                    f"{count:,}",
                    f"{cpu / _HOUR_S:.2f}",
                    f"{costs.memory_mb:,.0f}",
                    f"{len(loaded) * costs.files:,}",
                    f"{count * costs.bytes_per_row / 1e9:.2f}",
                )
            )
    hours = sum(outcome.pod_s for outcome in outcomes) / _HOUR_S
    cost = f"{hours:,.1f} pod hours" + (f", {hours * price:,.2f} at {price:g} each" if price is not None else "")
    head = ("vendor", "rows", "CPU hours", "MB a pod", "new files", "GB")
    return [*(_table(head, rows) if rows else ()), *([""] if rows else ()), f"Compute: {cost}."]


def room_lines(fleet: Fleet, runs: Sequence[Run]) -> list[str]:
    """What is used up first when the fleet grows."""
    length = fleet.cluster.minutes * 60
    used = {f"cluster.pods ({fleet.cluster.pods})": pods_at_once(runs) / fleet.cluster.pods}
    for budget, group in _by_budget(runs, lambda run: run.account.budget):
        if budget.shared:
            used[f"budget {budget.name}"] = _used(budget, group, fleet.cluster)
        else:
            used[f"the night, for the longest run of {budget.name}"] = max(run.minutes * 60 for run in group) / length
    first, share = max(used.items(), key=lambda item: item[1])
    return [f"First bottleneck: {first}, of which {100 * share:.0f} % is used."]


def _used(budget: Budget, runs: Sequence[Run], cluster: Cluster) -> float:
    """How much of a budget a night uses: of the one that is shared, or of each one on average."""
    calls = sum(run.account.calls for run in runs) / (1 if budget.shared else len(runs))
    return calls / (budget.rate * cluster.minutes * 60)


def _by_budget(items: Iterable[_T], budget_of: Callable[[_T], Budget]) -> Iterator[tuple[Budget, list[_T]]]:
    found: dict[str, list[_T]] = defaultdict(list)
    budgets = {}
    for item in items:
        budget = budget_of(item)
        budgets[budget.name] = budget
        found[budget.name].append(item)
    for name in sorted(found):
        yield budgets[name], found[name]


def _clock(cluster: Cluster, minute: float) -> str:
    of_day = int(cluster.opens + minute) % DAY_MIN
    return f"{of_day // 60:02d}:{of_day % 60:02d}"


def _hours(seconds: float) -> str:
    return f"{seconds / _HOUR_S:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
