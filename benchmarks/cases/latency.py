"""An API that takes 100 ms for each answer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.api import PAGE
from benchmarks.measure import api, run
from benchmarks.plan import Plan, figure
from benchmarks.programs import Programs
from benchmarks.results import Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Program

LATENCY_MS = 100
IN_FLIGHT = 16


def measure(plan: Plan) -> dict[str, Case]:
    """Wall time of a page, with many requests in flight; start-up taken off."""
    records = plan.late * PAGE
    with tempfile.TemporaryDirectory() as name, api(records, LATENCY_MS) as url:
        programs = Programs(Path(name), url)
        readers: dict[str, Callable[[int], Program]] = {
            "limit L1: download": lambda asked: programs.limit("download", asked, IN_FLIGHT),
            "this project": lambda asked: programs.tap(asked, concurrency=IN_FLIGHT),
        }
        found: dict[str, list[float]] = {label: [] for label in readers}
        for _ in range(plan.turns):
            for label, reader in readers.items():
                start, whole = (run(reader(asked))[0].wall for asked in (PAGE, records))
                found[label].append((whole - start) / (plan.late - 1) * 1e3)
    figures = {label: figure(values, records) for label, values in found.items()}
    title = f"{LATENCY_MS} ms of latency, {IN_FLIGHT} requests in flight"
    return {"latency": Case(title, "ms a page", {"": figures})}
