"""A long list against a short one: what a record costs, and how much memory is needed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.api import PAGE
from benchmarks.measure import Cost, api, run
from benchmarks.plan import Plan, figure
from benchmarks.programs import Programs, count
from benchmarks.results import Case, Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

PIPELINES: Mapping[str, tuple[str, str, Mapping[str, bool]]] = {
    "append": ("tap, cursors", "loader, append", {"by_cursor": True, "append": True}),
    "upsert": ("tap, numbered pages", "loader, upsert", {}),
}
"""By what is done: the names of its tap and its loader, and the tap's settings."""


def measure(plan: Plan) -> dict[str, Case]:
    """CPU and peak memory of taps and loaders, for both numbers of records."""
    costs: dict[tuple[str, int], list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name, api(plan.growth[1]) as url:
        programs = Programs(Path(name), url)
        for _ in range(plan.turns):
            for records in (PAGE, *plan.growth):
                for kind, (tap, loader, settings) in PIPELINES.items():
                    path = Path(name) / f"{kind}.duckdb"
                    pair = run(programs.tap(records, **settings), programs.loader(path))
                    assert count(path, "payments") == records
                    for label, cost in zip((tap, loader), pair, strict=True):
                        costs.setdefault((label, records), []).append(cost)
    cpu: dict[str, dict[str, Figure]] = {}
    memory: dict[str, dict[str, Figure]] = {}
    for (label, records), found in costs.items():
        if records == PAGE:
            continue
        starts = costs[label, PAGE]
        each = [(cost.cpu - start.cpu) / (records - PAGE) * 1e6 for cost, start in zip(found, starts, strict=True)]
        cpu.setdefault(label, {})[f"{records:,} records"] = figure(each, records)
        memory.setdefault(label, {})[f"{records:,} records"] = figure([cost.memory for cost in found], records)
    return {
        "growth": Case("Cost of a record in a long list", "CPU µs a record", cpu),
        "memory": Case("Memory for a long list", "peak MB", memory),
    }
