"""What a warehouse may hold after an act, and what it must.

The oracle knows three things: what the warehouse held before, what the vendor has now, and whether the run went
through. Neither state nor loader has a part in it. What the vendor has now is the reading of a tap that starts from
nothing, in the same minute and with the same settings; that this reading is true is checked against the sandbox's own
truth, which comes from its model and not from what it serves.

So row by row, by key, with `old` for what the warehouse held and `due` for what the vendor has:

==================  ===========================================  ================================================
a stream            after a run that went through                after one that failed, was killed or was refused
==================  ===========================================  ================================================
complete reading    due; a row that is gone is removed           old or due; a row that is gone may stay
other readings      due; a row that is listed no more stays,     old or due; a row that is gone may stay
                    unless it lies in what the run tells that
                    it has read whole
immutable           due, from the bookmark less the look-back    old or due
                    on; older rows are there, as they were
windows             due, in the windows that are read again; a   old or due; a row that is gone may stay
                    row that is gone from them is removed.
                    Older ones: old or due
not read            old                                          old
==================  ===========================================  ================================================

A row has no second version beside it, ever. Where rows are marked instead, a row is marked from when it goes until it
returns, with the values that it had. Columns that were not read keep what they held. By design, and so allowed:

* rows that settings narrow out are neither changed nor removed, but for complete readings;
* a row that an immutable stream's vendor lists late, and older than the look-back reaches, is missed;
* so is what a `start_date` that is moved back now lets in, until everything is read again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_core.session.bookmarks import shifted
from tap_core.streams.windowed import WindowedStream
from tap_core.testing import without_nulls
from tests.faults.rows import decimals, plain
from tests.faults.shop import OF_A_MOMENT, taken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from tap_core.testing import Record, Run
    from tests.faults.shop import Shop

__all__ = ["Act", "Due", "Rows", "due_of", "less", "lies_in", "mismarked", "untrue", "wrong"]

Rows = dict[str, list[dict[str, Any]]]
"""The rows of a warehouse, by table."""

_WINDOW = "_window_start"


@dataclass(frozen=True)
class Act:
    """What the oracle must know of a run.

    Args:
        through: Whether it went through.
        since: For each stream that went on from a bookmark, that bookmark less the look-back.
        start: The start date; empty if there is none.
        end: The end date.
        owed: For each stream, from when on the rows of an immutable stream must be there.
        late: Keys of rows that the vendor has listed late, by stream.
    """

    through: bool
    since: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    end: str = ""
    owed: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, Collection[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Due:
    """What the vendor has of one stream now.

    Args:
        rows: The rows by key.
        keys: The key's columns.
        columns: All columns.
        numbers: Those that are compared as numbers.
        bookmark: The replication key.
        complete: Whether the reading was complete, so that other rows are gone.
        scopes: What else it tells that it has read whole.
        immutable: Whether rows never change, so that older ones are not sent again.
        partitions: For a stream in windows, what tells its partitions apart; else None.
    """

    rows: Mapping[Any, Record]
    keys: Sequence[str]
    columns: frozenset[str]
    numbers: frozenset[str]
    bookmark: str | None
    complete: bool
    scopes: Sequence[Mapping[str, Mapping[str, Any]]]
    immutable: bool
    partitions: Sequence[str] | None = None

    def keyed(self, rows: Sequence[Record]) -> dict[Any, Record]:
        """Rows of a warehouse by key.

        Raises:
            AssertionError: Two have the same.
        """
        found = {tuple(row.get(key) for key in self.keys): plain(row, self.numbers) for row in rows}
        assert len(found) == len(rows), "a row is there twice"
        return found

    def sent(self, row: Record, act: Act, stream: str) -> bool:
        """Whether a run sends a row, if the vendor has it."""
        since = act.since.get(stream, "")
        if self.partitions is not None:
            return row["_window_end"] > max(since, act.start) and (not act.end or row["_window_start"] < act.end)
        placed = row.get(self.bookmark or "") if self.immutable else None
        return placed is None or placed >= since

    def removes(self, row: Record) -> bool:
        """Whether the reading tells that a row is gone, if the vendor does not have it."""
        return self.complete or any(lies_in(row, **scope) for scope in self.scopes)

    def part(self, row: Record) -> tuple[Any, ...]:
        """The partition of a row."""
        return tuple(row.get(name) for name in self.partitions or ())


def lies_in(
    row: Record, equal: Mapping[str, Any] = {}, start: Mapping[str, Any] = {}, end: Mapping[str, Any] = {}
) -> bool:
    """Whether a row lies in a scope."""
    return (
        all(row.get(name) == value for name, value in equal.items())
        and all(row.get(name) is not None and row[name] >= first for name, first in start.items())
        and all(row.get(name) is not None and row[name] < behind for name, behind in end.items())
    )


def due_of(shop: Shop, run: Run) -> dict[str, Due]:
    """What a reading from nothing gave, by stream; without streams of the moment."""
    kinds = {kind.name: kind for kind in shop.vendor.tap.stream_types}
    got, found = taken(run.output), {}
    for stream in run.streams:
        if stream in OF_A_MOMENT:
            continue
        kind, schema, numbers = kinds[stream], run.schema(stream)["properties"], decimals(run, stream)
        message = run.of("SCHEMA", stream)[-1]
        found[stream] = Due(
            rows={key: plain(row, numbers) for key, row in got.rows[stream].items()},
            keys=[key for key in run.keys(stream) if key != "_read_at"],
            columns=frozenset(schema),
            numbers=frozenset(numbers),
            bookmark=next(iter(message.get("bookmark_properties") or ()), None),
            complete=stream in got.activated,
            scopes=run.state.get("bookmarks", {}).get(stream, {}).get("_scopes_read", []),
            immutable=kind.immutable,
            partitions=schema[_WINDOW].get("x-partition", ()) if issubclass(kind, WindowedStream) else None,
        )
    return found


def wrong(before: Rows, after: Rows, due: Mapping[str, Due], act: Act) -> dict[str, Any]:
    """What a warehouse holds or lacks against the rules; a few rows of each table."""
    found: dict[str, Any] = {}
    for stream in before.keys() | after.keys() | due.keys():
        if stream in OF_A_MOMENT:
            continue
        if stream not in due:
            if not _same(before.get(stream, []), after.get(stream, [])):
                found[stream] = "was not read, and has changed"
        elif odd := dict(_odd(stream, before.get(stream, []), after.get(stream, []), due[stream], act)):
            found[stream] = {"rows": len(odd), "as": dict(list(odd.items())[:2])}
    return found


def mismarked(
    before: Rows, after: Rows, gone: tuple[Rows, Rows], due: Mapping[str, Due], *, marks: bool
) -> dict[str, Any]:
    """The streams in which other rows are marked than those that have gone, with a few of these rows.

    Args:
        before: What a warehouse held.
        after: What it holds.
        gone: What was marked in it, and what is.
        due: The streams that were read.
        marks: Whether rows that go are marked.
    """
    found: dict[str, Any] = {}
    for stream in {stream for rows in (before, *gone) for stream in rows}:
        was, held, marked = (rows.get(stream, []) for rows in (gone[0], before, gone[1]))
        if stream not in due:
            odd = not _same(was, marked)
        else:
            keyed = due[stream].keyed
            there, wanted = keyed(after.get(stream, [])), keyed(was) | keyed(held)
            wanted = {key: row for key, row in wanted.items() if marks and key not in there}
            odd = keyed(marked) != wanted
        if odd:
            found[stream] = {"marked": marked[:2], "was": was[:2], "before": len(held)}
    return found


def _same(some: Sequence[Record], others: Sequence[Record]) -> bool:
    return sorted(map(_text, some)) == sorted(map(_text, others))


def _text(row: Record) -> str:
    return json.dumps(without_nulls(row), sort_keys=True, default=str)


def _odd(
    stream: str, before: Sequence[Record], after: Sequence[Record], due: Due, act: Act
) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The rows that are none of what they may be, with what they may be."""
    held, found = due.keyed(before), due.keyed(after)
    asked = {due.part(row) for row in due.rows.values() if due.sent(row, act, stream)}
    for key in held.keys() | found.keys() | due.rows.keys():
        old, new = held.get(key), due.rows.get(key)
        if old is not None and new is not None:
            new = {**{name: value for name, value in old.items() if name not in due.columns}, **new}
        here = new or old or {}
        removes = due.removes(here) or (due.partitions is not None and due.part(here) in asked)
        sent = bool(here) and due.sent(here, act, stream)
        if act.through and sent:
            allowed = [new] if new is not None or removes else [old]
        else:
            allowed = [old, new] if new is not None or removes else [old]
            if act.through and due.immutable and _owed(stream, key, here, due, act):
                allowed = [row for row in allowed if row is not None]
        if found.get(key) not in allowed:
            yield key, {"is": found.get(key), "may be": allowed, "was": old}


def _owed(stream: str, key: Any, row: Record, due: Due, act: Act) -> bool:
    """Whether an older row of an immutable stream must be there."""
    return key not in act.late.get(stream, ()) and row[due.bookmark or ""] >= act.owed.get(stream, "")


def untrue(shop: Shop, due: Mapping[str, Due], wider: Collection[str]) -> dict[str, Any]:
    """Where a reading from nothing contradicts the sandbox's truth.

    Args:
        shop: The vendor.
        due: The reading.
        wider: Streams whose truth holds more than is read.
    """
    found: dict[str, Any] = {}
    for stream in due.keys() - set(wider):
        wanted, numbers = shop.world.truth(shop.vendor.name, stream), due[stream].numbers
        columns = {name for row in wanted for name in row} - {"_extra", "_read_at"}
        texts = [
            sorted(_text({name: value for name, value in row.items() if name in columns}) for row in rows)
            for rows in ([plain(row, numbers) for row in wanted], due[stream].rows.values())
        ]
        if texts[0] != texts[1]:
            found[stream] = [list(set(some) - set(others))[:2] for some, others in (texts, texts[::-1])]
    return found


def less(bookmark: str, lookback: timedelta) -> str:
    """A bookmark less the look-back."""
    return shifted(bookmark, -lookback)
