"""A plan of a run for people, and for programs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tap_core.http.waits import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_core.plan import Budget, RunPlan, StreamPlan

__all__ = ["as_json", "as_text"]

_WIDTH = 160


def as_json(plan: RunPlan) -> str:
    """The plan as JSON, with the members that `tap_core.plan` describes."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def as_text(plan: RunPlan) -> str:
    """The plan as a table, and what follows from it in sentences."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stream")
    table.add_column("calls", justify="right")
    for header in ("bookmark", "begins at", "windows", "partitions", "note"):
        table.add_column(header)
    for stream in plan.streams:
        table.add_row(stream.stream, _calls(stream), *(Text(cell) for cell in _cells(stream)))
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
    console.print(table)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in written.splitlines() if line.strip()] if plan.streams else []
    return "\n".join([*lines, "", *_sentences(plan)])


def _calls(stream: StreamPlan) -> str:
    if stream.read_with:
        return "-"
    if stream.calls is None:
        return "unknown"
    return f"{stream.calls:,}" if stream.calls_are == "exact" else f"{stream.calls_are} {stream.calls:,}"


def _cells(stream: StreamPlan) -> tuple[str, ...]:
    begins = stream.emits_from or stream.windows_from or "everything"
    windows = f"{stream.windows:,} until {_time(stream.windows_until)}" if stream.windows else ""
    partitions = f"{stream.partitions:,} ({', '.join(stream.partition_by)})" if stream.partitions else ""
    note = stream.note or (f"comes with {stream.read_with}" if stream.read_with else "")
    return _time(stream.bookmark), _time(begins), windows, partitions, note


def _time(text: str | None) -> str:
    return (text or "").replace(".000000Z", "Z").replace("T00:00:00Z", "")


def _sentences(plan: RunPlan) -> Iterator[str]:
    if plan.skipped:
        yield f"Skipped: {'; '.join(f'{stream} ({reason})' for stream, reason in plan.skipped.items())}."
    pace = f", {plan.requests_per_second:g} a second" if plan.requests_per_second else ""
    unknown = [stream.stream for stream in plan.streams if stream.calls is None]
    more = f", and those of {', '.join(unknown)}, which are not known" if unknown else ""
    some = "" if plan.calls_are == "exact" else f"{plan.calls_are} "
    yield f"Calls: {some}{plan.calls:,}{more}; {plan.concurrency} at a time{pace}."
    for budget in plan.budgets:
        yield _budget(budget)
    if not plan.budgets:
        yield "Budget: the API has not said how many calls it allows."
    yield _duration(plan)


def _budget(budget: Budget) -> str:
    of = "" if budget.limit is None else f" of {budget.limit:,}"
    left = f"Budget: {budget.remaining:,}{of} calls are left"
    until = f" until {_time(budget.resets_at)}" if budget.resets_at else ""
    if not budget.waits:
        return f"{left}{until}: no wait."
    budgets = "one new budget" if budget.waits == 1 else f"{budget.waits:,} new budgets"
    return f"{left}{until}: the run waits for {budgets}, {in_words(budget.wait_s)} in all."


def _duration(plan: RunPlan) -> str:
    if plan.seconds is None:
        return "Duration: without end, because a feed is read."
    if plan.seconds_per_call is None:
        wait = f"at least {in_words(plan.seconds)}; " if plan.seconds else ""
        return f"Duration: {wait}planning took no call, so it is not known how long one takes."
    took = f"took {in_words(plan.seconds_per_call)}"
    speed = f"the one call {took}" if plan.planning_calls == 1 else f"{plan.planning_calls:,} calls {took} each"
    return (
        f"Duration: {plan.seconds_are} {in_words(plan.seconds)}, if calls are as fast as those for this plan: {speed}."
    )
