"""The state of the pipelines: which streams are fresh, late, left out of the last run, or have rejected rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from merchant_report.charts import stacked
from merchant_report.content import Figure, Section, Table, Tile
from merchant_report.wording import ago, be, count, day, number, series, spelled, was

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from merchant_report.marts import Marts

__all__ = ["pipelines"]

_DAYS = 28
_NAMED = 4
_STREAMS = """
SELECT account, stream, loads, last_loaded_at, hours_since_last, is_late, longest_gap_hours, last_inserted,
    last_updated, last_deleted, last_rejected, rejected, last_requests, last_retries, last_waited_seconds
FROM {mart} ORDER BY vendor, account, stream
"""
_LEFT_OUT = """
WITH runs AS (
    SELECT pipeline, load_id, max(started_at) AS started_at FROM {mart} GROUP BY pipeline, load_id
), last_runs AS (
    SELECT pipeline, arg_max(load_id, started_at) AS load_id FROM runs GROUP BY pipeline
), newest AS (
    SELECT account, stream, arg_max(pipeline, started_at) AS pipeline, arg_max(load_id, started_at) AS load_id
    FROM {mart} WHERE NOT failed GROUP BY account, stream
)
SELECT account, stream FROM newest JOIN last_runs USING (pipeline) WHERE newest.load_id <> last_runs.load_id
"""
_BY_DAY = """
SELECT load_date, sum(inserted)::BIGINT, sum(updated)::BIGINT, sum(deleted)::BIGINT, sum(rejected)::BIGINT FROM {mart}
WHERE load_date > (SELECT max(load_date) FROM {mart}) - $days GROUP BY load_date ORDER BY load_date
"""
_DONE = ("new", "changed", "gone", "rejected")


class _Stream(NamedTuple):
    account: str
    name: str
    loads: int
    last_loaded_at: datetime | None
    hours: Decimal | None
    is_late: bool
    longest_gap: Decimal | None
    inserted: int
    updated: int
    deleted: int
    rejected: int
    rejected_ever: int
    requests: int | None
    retries: int | None
    waited: float | None

    @property
    def rows(self) -> tuple[int, int, int, int]:
        """What became of the rows of the last load."""
        return self.inserted, self.updated, self.deleted, self.rejected

    def __str__(self) -> str:
        return f"{self.account}.{self.name}"


def pipelines(marts: Marts) -> Section:
    """How each stream stands, from what the loader has written down."""
    streams = [_Stream(*row) for row in marts.rows("pipeline_streams", _STREAMS)]
    gone = set(marts.rows("pipeline_loads", _LEFT_OUT))
    late = [each for each in streams if each.is_late]
    left_out = [each for each in streams if (each.account, each.name) in gone and not each.is_late]
    refused = [each for each in streams if each.rejected]
    if not streams:
        return Section(
            "pipelines", "Pipelines", notes=["No load is known. The marts know the loads of target-duckhouse alone."]
        )
    fresh = len(streams) - len(late) - len(left_out)
    return Section(
        "pipelines",
        "Pipelines",
        sentences=[*_state(streams, late, left_out), *_rejected(refused), *_called(streams)],
        tiles=[
            Tile(
                "Fresh",
                number(fresh),
                f"of {count(len(streams), 'stream')}",
                tone="good" if fresh == len(streams) else "",
            ),
            Tile("Late", number(len(late)), "not loaded in time", tone="bad" if late else ""),
            Tile("Left out", number(len(left_out)), "of the last run", tone="bad" if left_out else ""),
            Tile(
                "Rejected rows",
                number(sum(each.rejected for each in streams)),
                f"in the last loads; {number(sum(each.rejected_ever for each in streams))} ever",
                tone="bad" if refused else "",
            ),
        ],
        figures=_loads(marts),
        table=_accounts(streams, gone),
        details=[_detail(streams, gone)],
        headlines=_state(streams, late, left_out)[:1],
    )


def _state(streams: Sequence[_Stream], late: Sequence[_Stream], left_out: Sequence[_Stream]) -> list[str]:
    new, changed = sum(each.inserted for each in streams), sum(each.updated for each in streams)
    gone = sum(each.deleted for each in streams)
    done = [
        f"{count(many, noun)} {verb}"
        for many, noun, verb in (
            (new, "new row", "arrived"),
            (changed, "row", "changed"),
            (gone, "row", f"{was(gone)} removed"),
        )
        if many
    ]
    said = []
    if late:
        oldest = max(late, key=lambda each: math.inf if each.hours is None else each.hours)
        loaded = "has never been loaded whole" if oldest.hours is None else f"was last loaded {ago(oldest.hours)}"
        said.append(f"{_many(late, streams)} {be(len(late))} late; {oldest} {loaded}.")
    if left_out:
        whose = "its pipeline" if len(left_out) == 1 else "their pipelines"
        missed = f"{_many(left_out, streams)} {was(len(left_out))} not loaded by the last run of {whose}"
        said.append(f"{missed}: {_names(left_out)}.")
    if not late and not left_out:
        fresh = "The one stream is fresh" if len(streams) == 1 else f"All {number(len(streams))} streams are fresh"
        said.append(
            f"{fresh}; with the last loads, {series(done)}." if done else f"{fresh}; the last loads changed nothing."
        )
    elif done:
        said.append(f"With the last loads, {series(done)}.")
    return said


def _many(some: Sequence[_Stream], streams: Sequence[_Stream]) -> str:
    if len(some) == len(streams):
        return f"All {number(len(streams))} streams" if len(some) > 1 else "The one stream"
    return f"{count(len(some), 'stream').capitalize()} of {number(len(streams))}"


def _names(some: Sequence[_Stream]) -> str:
    shown = [str(each) for each in some[:_NAMED]]
    return series([*shown, f"{number(len(some) - _NAMED)} more"] if len(some) > _NAMED else shown)


def _rejected(refused: Sequence[_Stream]) -> list[str]:
    if not refused:
        return []
    rows = sum(each.rejected for each in refused)
    return [f"{count(rows, 'row').capitalize()} {was(rows)} rejected in the last loads, of {_names(refused)}."]


def _called(streams: Sequence[_Stream]) -> list[str]:
    requests, retries = sum(each.requests or 0 for each in streams), sum(each.retries or 0 for each in streams)
    minutes = round(sum(each.waited or 0 for each in streams) / 60)
    if not requests:
        return []
    again = f", {spelled(retries)} of them again after a failure" if retries else ""
    waited = f"; calls waited {count(minutes, 'minute')} in all" if minutes else ""
    return [f"The last loads made {count(requests, 'request')}{again}{waited}."]


def _status(stream: _Stream, gone: set[tuple[str, ...]]) -> str:
    if stream.is_late:
        return "late"
    return "left out" if (stream.account, stream.name) in gone else "fresh"


def _accounts(streams: Sequence[_Stream], gone: set[tuple[str, ...]]) -> Table:
    rows = []
    for account in dict.fromkeys(each.account for each in streams):
        own = [each for each in streams if each.account == account]
        states = [_status(each, gone) for each in own]
        shown = [f"{number(states.count(state))} {state}" for state in ("fresh", "late", "left out") if state in states]
        rows.append(
            (
                account,
                ", ".join(shown),
                ago(min(hours)) if (hours := [each.hours for each in own if each.hours is not None]) else "never",
                *(number(sum(each.rows[place] for each in own)) for place in range(4)),
                number(sum(each.requests or 0 for each in own)) if any(each.requests for each in own) else "",
            )
        )
    columns = ("Account", "Streams", "Last load", "New rows", "Changed", "Gone", "Rejected", "Requests")
    return Table("What the last loads did, by account", columns, rows, words=("Streams", "Last load"))


def _detail(streams: Sequence[_Stream], gone: set[tuple[str, ...]]) -> Table:
    return Table(
        "All streams",
        (
            "Stream",
            "State",
            "Last load (UTC)",
            "Loads",
            "Longest gap, hours",
            "New rows",
            "Changed",
            "Gone",
            "Rejected",
            "Rejected ever",
            "Requests",
            "Retries",
        ),
        [
            (
                str(each),
                _status(each, gone),
                f"{each.last_loaded_at:%Y-%m-%d %H:%M}" if each.last_loaded_at else "never",
                number(each.loads),
                "" if each.longest_gap is None else number(each.longest_gap, 1),
                *map(number, each.rows),
                number(each.rejected_ever),
                *("" if many is None else number(many) for many in (each.requests, each.retries)),
            )
            for each in streams
        ],
        words=("State", "Last load (UTC)"),
    )


def _loads(marts: Marts) -> list[Figure]:
    days = marts.rows("pipeline_loads", _BY_DAY, days=_DAYS)
    if len(days) < 2:  # noqa: PLR2004 - one day is in the table above
        return []
    order = [part for place, part in enumerate(_DONE, 1) if any(row[place] for row in days)]
    points = [(row[0], part, row[place]) for row in days for place, part in enumerate(_DONE, 1) if row[place]]
    total = sum(sum(row[1:]) for row in days)
    return [
        Figure(
            "Rows that loads wrote, by day",
            stacked(points, "day", order),
            f"Stacked bars for each day from {day(days[0][0])} to {day(days[-1][0])}; {number(total)} rows in all.",
            Table(
                "Rows by day",
                ("Day", *(part.capitalize() for part in _DONE)),
                [(day(row[0], year=True), *(number(value) for value in row[1:])) for row in reversed(days)],
            ),
        )
    ]
