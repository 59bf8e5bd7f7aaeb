"""How much is measured, and what is compared."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.api import PAGE
from benchmarks.measure import run
from benchmarks.results import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measure import Program


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        records: Records that our programs and the limits read.
        rounds: How often they do so.
        turns: How often the longest of them run.
        peers: Whether other projects' programs are measured too.
        late: Pages that are read with latency.
        growth: The smaller and the larger number of records whose cost and memory are compared.
        size: Size of the sandbox's worlds.
        vendors: Whose taps are measured.
        against: Another checkout of this project, with a ``.venv`` of its own, to compare with.
    """

    records: int = 200_000
    rounds: int = 4
    turns: int = 2
    peers: bool = True
    late: int = 3_200
    growth: tuple[int, int] = (100_000, 1_000_000)
    size: str = "medium"
    vendors: Sequence[str] = ("peakium", "premiumpay", "peerassist", "pegke", "peek")
    against: Path | None = None


QUICK = Plan(records=40_000, rounds=3, turns=1, peers=False, late=320, growth=(20_000, 200_000), size="small")
PEER_ROUNDS = 2


class Job(NamedTuple):
    """What `per_record` measures.

    Args:
        programs: A pipeline that reads this many records; the call may tidy up first.
        records: How many.
        rounds: How often.
        loaded: How many rows it has loaded.
    """

    programs: Callable[[int], Sequence[Program]]
    records: int
    rounds: int
    loaded: Callable[[int], int] | None = None


def per_record(jobs: Mapping[str, Job]) -> dict[str, Figure]:
    """CPU microseconds a record of some pipelines, which take turns: what disturbs one disturbs all.

    What a pipeline costs before its first record is taken off by another run over one page.
    """
    found: dict[str, list[float]] = {label: [] for label in jobs}
    notes: dict[str, str] = {}
    for job in jobs.values():
        run(*job.programs(PAGE))  # compiles what is imported
    for turn in range(max(job.rounds for job in jobs.values())):
        for label, job in jobs.items():
            if turn < job.rounds:
                start, whole = (cpu(job.programs(records)) for records in (PAGE, job.records))
                found[label].append((whole - start) / (job.records - PAGE) * 1e6)
                notes[label] = note(job)
    return {label: figure(found[label], job.records, notes[label]) for label, job in jobs.items()}


def cpu(programs: Sequence[Program]) -> float:
    """CPU seconds of a pipeline."""
    return sum(cost.cpu for cost in run(*programs))


def figure(values: Sequence[float], records: int, note: str = "") -> Figure:
    """The median of some rounds."""
    return Figure(value=median(values), low=min(values), high=max(values), records=records, note=note)


def note(job: Job) -> str:
    """What is to say of a figure: that rows were lost."""
    loaded = job.records if job.loaded is None else job.loaded(job.records)
    return "" if loaded == job.records else f"{loaded:,} of {job.records:,} rows arrived"
