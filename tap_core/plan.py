"""What a run would do: its requests, where each stream begins, and what the limits of the API make of it.

Planning makes the calls that it needs, and no others: those for parents, the first page of a list that says how many
pages it has, and what tells the budget. A number of calls is exact, about right (the list says how long it is, and may
change), a lower bound (the list says nothing), or unknown. Tries that fail and are repeated are not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

from tap_core.clock import real_seconds
from tap_core.errors import ApiError, UnreachableError
from tap_core.http.waits import in_words
from tap_core.session.plan import Plan
from tap_core.timestamps import epoch_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_core.http.client import ApiClient
    from tap_core.reading.fetch import Slice
    from tap_core.session.session import Session
    from tap_core.streams.base import CoreStream

__all__ = ["Budget", "Certainty", "RunPlan", "StreamPlan", "plan_run"]

Certainty = Literal["exact", "about", "at least", "unknown"]

_ORDER: tuple[Certainty, ...] = ("exact", "about", "at least")


class StreamPlan(msgspec.Struct, kw_only=True):
    """What a run would do for one stream.

    Attributes:
        stream: Its name.
        read_with: The stream whose responses hold the rows, if it makes no calls of its own.
        replication_method: INCREMENTAL or FULL_TABLE.
        bookmark: Where the last run has ended.
        emits_from: Older records, or windows, are left out; None: everything is emitted.
        partition_by: The columns that distinguish partitions, such as the parent's id.
        partitions: How many there are.
        windows: How many windows of time are asked for.
        windows_from: Where the first of them begins.
        windows_until: Where the last of them ends; a day belongs to it, a time does not.
        calls: How many calls it takes; None if that is not known.
        calls_are: How sure that is.
        note: Why it is not known.
    """

    stream: str
    read_with: str | None = None
    replication_method: str
    bookmark: str | None = None
    emits_from: str | None = None
    partition_by: list[str] = []
    partitions: int = 0
    windows: int = 0
    windows_from: str | None = None
    windows_until: str | None = None
    calls: int | None = 0
    calls_are: Certainty = "exact"
    note: str | None = None


class Budget(msgspec.Struct, kw_only=True):
    """What an API says it allows, and what that makes of the run.

    Attributes:
        account: The account whose budget it is.
        calls: How many calls the run makes with it, as far as known.
        limit: Calls per period; None if it does not say.
        remaining: Calls left.
        resets_at: When the period ends.
        period_s: Its length.
        waits: How often the run waits for a new period.
        wait_s: How long in all.
    """

    account: str
    calls: int
    limit: int | None
    remaining: int
    resets_at: str | None
    period_s: float | None
    waits: int
    wait_s: float


class RunPlan(msgspec.Struct, kw_only=True):
    """What a run would do.

    Attributes:
        streams: The streams that are read, in their order.
        skipped: Why the others are not, by name.
        calls: How many calls it takes, as far as known.
        calls_are: How sure that is; ``at least`` if it is unknown of a stream.
        concurrency: How many calls are made at a time.
        requests_per_second: The pace that the settings ask for.
        budgets: What the API allows; empty if it does not say.
        planning_calls: How many calls the plan has taken.
        seconds_per_call: How long one of them took, on average; None if there was none.
        seconds: How long the run takes: its calls at that speed, the pace, the waits for budgets, the time for which a
            feed is read; None if a feed is read without end.
        seconds_are: How sure that is. Without a measured call, only pace and budgets count.
    """

    streams: list[StreamPlan]
    skipped: dict[str, str]
    calls: int
    calls_are: Certainty
    concurrency: int
    requests_per_second: float | None
    budgets: list[Budget]
    planning_calls: int
    seconds_per_call: float | None
    seconds: float | None
    seconds_are: Certainty


def plan_run(session: Session, streams: Sequence[CoreStream], learn_budget: Callable[[], None]) -> RunPlan:
    """Plan a run; nothing is written.

    Args:
        session: What the streams share.
        streams: All streams of the tap, in the order of reading.
        learn_budget: Asks the API how many calls it allows, where it has a call for that.

    Raises:
        TapError: No plan can be made: the credentials are refused, the API is out of reach, a setting is missing.
    """
    spent: Counter[str] = Counter()
    planned: list[StreamPlan] = []
    skipped: dict[str, str] = {}
    started = real_seconds()
    with session.signals.handled():
        for stream in streams:
            if not stream.selected:
                skipped[stream.name] = "not selected" if stream.selected_by_default else "enable_streams switches it on"
            elif reason := stream.unavailable():
                skipped[stream.name] = reason.removeprefix("because ")
        read = [stream for stream in streams if stream.name not in skipped]
        if read:
            learn_budget()
        readers = {stream.reader.name: stream.reader for stream in read}
        made = {name: _reading(reader, session, spent) for name, reader in readers.items()}
        planned = [_of_stream(stream, made[stream.reader.name]) for stream in read]
        planned += [made[name] for name in made if name in skipped]
        planned += _sources(stream for stream in streams if stream.name in skipped and stream.name not in made)
    seconds, calls = real_seconds() - started, sum(plan.calls or 0 for plan in planned)
    certainty = _worst([plan.calls_are for plan in planned])
    made_calls = sum(stream.meter.requests for stream in streams)
    per_call = seconds / made_calls if made_calls else None
    budgets = list(_budgets(session, spent))
    pace, concurrency = session.config.get("requests_per_second"), int(session.config["concurrency"])
    waits = max((budget.wait_s for budget in budgets), default=0.0)
    takes = max(calls / pace if pace else 0.0, waits + (per_call or 0.0) * calls / concurrency)
    takes += sum(stream.lasts_s for stream in readers.values())
    return RunPlan(
        streams=planned,
        skipped=skipped,
        calls=calls,
        calls_are=certainty,
        concurrency=concurrency,
        requests_per_second=pace,
        budgets=budgets,
        planning_calls=made_calls,
        seconds_per_call=None if per_call is None else round(per_call, 3),
        seconds=round(takes, 1) if math.isfinite(takes) else None,
        seconds_are="at least" if certainty == "at least" or per_call is None else "about",
    )


def _reading(stream: CoreStream, session: Session, spent: Counter[str]) -> StreamPlan:
    """The calls of a stream that calls the API."""
    plan = _of_stream(stream, None)
    partitions: set[str] = set()
    windows: dict[str, str] = {}
    certainties: list[Certainty] = []
    calls: Counter[str] = Counter()
    names = {id(client): name for name, client in session.clients.items()}
    try:
        stream.prepare()
        for part in stream.slices():
            session.signals.check()
            if part.window is not None:
                windows[part.window.begins] = part.window.ends
            if part.empty:
                continue
            if part.partition:
                partitions.add(repr(sorted(part.partition.items(), key=lambda pair: pair[0])))
                plan.partition_by = [*part.partition]
            number, certainty = _calls_of(stream, part, session)
            certainties.append(certainty)
            calls[names[id(stream.client(part))]] += number
    except UnreachableError:
        raise
    except ApiError as error:
        plan.note, plan.calls, plan.calls_are = str(error).removeprefix(f"{stream.name}: "), None, "unknown"
        return plan
    spent.update(calls)
    plan.calls, plan.calls_are = calls.total(), _worst(certainties)
    if stream.lasts_s:
        plan.note = f"a feed, read for {in_words(stream.lasts_s)}" if math.isfinite(stream.lasts_s) else "a feed"
    plan.partitions, plan.windows = len(partitions), len(windows)
    if windows:
        plan.windows_from, plan.windows_until = min(windows), max(windows.values())
    return plan


def _sources(streams: Iterable[CoreStream]) -> Iterator[StreamPlan]:
    """The streams that are not selected, and had to be asked for others."""
    for stream in streams:
        if number := stream.meter.requests:
            plan = _of_stream(stream, None)
            plan.calls, plan.calls_are, plan.note = number, "about", "asked for other streams"
            yield plan


def _calls_of(stream: CoreStream, part: Slice, session: Session) -> tuple[int, Certainty]:
    """How many calls a slice takes, as far as its pager can tell."""
    pager = stream.pager(part)
    if pager.calls is not None:
        return pager.calls * stream.calls_per_page, "exact"
    if not pager.tells_length:
        return 1, "at least"
    page = session.wait_for(stream.load(part, pager.next()))
    length = pager.length(page)
    return (1, "at least") if length is None else (length, "about")


def _of_stream(stream: CoreStream, reading: StreamPlan | None) -> StreamPlan:
    """What is known of a stream without a call; it goes along with the reading of another one, if there is one."""
    wanted = stream.key_filter()
    if reading is not None and reading.stream == stream.name:
        return reading
    plan = StreamPlan(
        stream=stream.name,
        read_with=None if reading is None else reading.stream,
        replication_method="INCREMENTAL" if stream.incremental else "FULL_TABLE",
        bookmark=stream.bookmark(),
        emits_from=None if wanted is None else wanted.since,
    )
    if reading is not None:
        plan.note, plan.calls_are = reading.note, "exact"
    return plan


def _worst(certainties: Sequence[Certainty]) -> Certainty:
    """The least certain of several; a sum with something unknown is a lower bound."""
    known = ["at least" if each == "unknown" else each for each in certainties]
    return max(known, key=_ORDER.index, default="exact")


def _budgets(session: Session, spent: Mapping[str, int]) -> Sequence[Budget]:
    return [
        _budget(name, client, spent.get(name, 0), session.clock.time())
        for name, client in session.clients.items()
        if client.budget.remaining is not None
    ]


def _budget(account: str, client: ApiClient, calls: int, now: float) -> Budget:
    budget, plan = client.budget, Plan({account: calls}, client.budget, now)
    assert budget.remaining is not None
    return Budget(
        account=account,
        calls=calls,
        limit=budget.limit,
        remaining=budget.remaining,
        resets_at=None if budget.reset_at is None else epoch_text(budget.reset_at),
        period_s=budget.period_s,
        waits=plan.waits,
        wait_s=round(plan.seconds, 1),
    )
