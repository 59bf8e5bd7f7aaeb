"""How a stream is cut into parts, each of which one tap reads.

Together, the parts cost an account no more than one tap would: they share out the pace that the user has set, and the
budget of calls that the API grants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from merchant_spark.bounds import Bounds
from merchant_spark.run import Part
from tap_core.config.checks import instant
from tap_core.streams.declared import DeclaredStream
from tap_core.streams.windowed import GRID, WindowedStream
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from merchant_spark.options import Options
    from tap_core.reading.windows import Window
    from tap_core.streams.base import CoreStream

__all__ = ["divide", "grid_of", "state_of"]

_PARTS: Final = 4
"""How many, where the user does not say."""

_BUDGETED: Final = 1
"""How many of an API that grants a hundred calls an hour: more of them would each ask for lists that all need."""


def divide(options: Options, stream: CoreStream, bounds: Bounds) -> list[Part]:
    """The parts of a stream; none if there is nothing to read.

    Args:
        options: What is read, and in how many parts at most.
        stream: The stream, of a tap that begins now.
        bounds: What is wanted of it.
    """
    shares_budget = True
    if isinstance(stream, WindowedStream):
        parts = _windows(stream, bounds, options.partitions or _BUDGETED)
    else:
        common = _bounded(stream, bounds)
        cuts: Sequence[Mapping[str, Any]] = [{}]
        if options.vendor == "peek":
            cuts, shares_budget = _connections(stream, options.partitions or _PARTS), False
        elif options.vendor == "pegke":
            cuts = _customers(stream, options.partitions or _PARTS)
        parts = [Part({**common, **cut}) for cut in cuts]
    shared = _shares(stream.config, len(parts), budget=shares_budget)
    return [Part({**part.settings, **shared}, part.state) for part in parts]


def _shares(config: Mapping[str, Any], number: int, *, budget: bool) -> dict[str, Any]:
    """What each of several taps may take of the pace, and of the budget."""
    if number <= 1:
        return {}
    shares = {"budget_share": config["budget_share"] / number} if budget else {}
    pace = config.get("requests_per_second")
    return {**shares, **({"requests_per_second": pace / number} if pace else {})}


# Windows


def _windows(stream: WindowedStream, bounds: Bounds, most: int) -> list[Part]:
    """Runs of windows.

    A part continues from a bookmark at its first window, as if the windows before it had been read: rows on the edge
    of two windows then come once.
    """
    cells = [cell for cell in stream.grid.cells(stream.regular, stream.until) if bounds.contain(cell.start)]
    return [
        Part(
            {"lookback_days": 0, **({} if run[-1].end >= stream.until else {"end_date": text_of(run[-1].end)})},
            state_of(stream.name, grid_of(stream), run[0].start),
        )
        for run in _runs(cells, most)
    ]


def _runs(cells: Sequence[Window], most: int) -> list[Sequence[Window]]:
    """As many runs of neighbours as wanted, of about the same length."""
    number = min(most, len(cells))
    ends = [len(cells) * place // number for place in range(number + 1)] if number else [0]
    return [cells[start:end] for start, end in pairwise(ends)]


def grid_of(stream: WindowedStream) -> dict[str, Any]:
    """The windows of a stream, in the form of the tap's state: runs that begin at other moments need the same ones."""
    return {
        "window_hours": stream.config["window_hours"],
        "backfill_window_days": stream.config["backfill_window_days"],
        "boundary": text_of(stream.grid.boundary),
    }


def state_of(stream: str, grid: Mapping[str, Any], start: datetime | None) -> dict[str, Any]:
    """A state of the tap that says where windows lie, and with which of them reading begins."""
    begun = {"replication_key": "_window_start", "replication_key_value": text_of(start)} if start else {}
    return {"bookmarks": {stream: {GRID: dict(grid), **begun}}}


# What a stream is read by, if not by windows


def _connections(stream: CoreStream, most: int) -> list[Mapping[str, Any]]:
    """The connections of Peek, each of which has a key and a budget of its own."""
    connections = stream.config.get("connections") or []
    return [{"connections": part} for part in _dealt(connections, most)] or [{}]


def _customers(stream: CoreStream, most: int) -> list[Mapping[str, Any]]:
    """The customers of Pegke, where the stream asks about each. A file of customers is needed on the driver only."""
    from tap_pegke.streams.base import PerCustomer  # noqa: PLC0415  one vendor of five

    if not isinstance(stream, PerCustomer):
        return [{}]
    columns = {"mob": "phone", "cid": "customer_id", "email": "email"}
    named = [{columns[customer.kind]: customer.given} for customer in stream.subjects]
    return [{"customers": part} for part in _dealt(named, most)] or [{}]


def _dealt(items: Sequence[Any], most: int) -> list[Sequence[Any]]:
    return [items[place::most] for place in range(min(most, len(items)))]


# What the tap leaves out by itself


def _bounded(stream: CoreStream, bounds: Bounds) -> dict[str, Any]:
    """Settings by which the tap leaves out rows that nobody wants, as far as it is sure which those are."""
    if not _filters(stream) or bounds == Bounds():
        return {}
    names = ("start_date", "end_date") if stream.bounded else ()  # of other streams, these leave nothing out
    set_by_user = {name: instant(name, stream.config.get(name)) for name in names}
    since = min(bounds.since, stream.session.started) if bounds.since else None  # a start may not lie in the future
    since = max((moment for moment in (set_by_user.get("start_date"), since) if moment), default=None)
    until = min((moment for moment in (set_by_user.get("end_date"), bounds.until) if moment), default=None)
    if since and until and until <= since:
        return {}  # nothing fits, and the tap would not accept it
    span = {"start_date": since, "end_date": until}
    return {"client_filter": True} | {name: moment and text_of(moment) for name, moment in span.items()}


def _filters(stream: CoreStream) -> bool:
    """Whether the tap's own filter goes by the column that the catalog calls the replication key.

    A feed has a filter of its own. Which date moves with the changes of a record (`moves`) is only found out by
    reading.
    """
    own = type(stream).key_filter is DeclaredStream.key_filter
    return stream.incremental and own and not stream.moves
