"""The pipelines, from what the loader has noted."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.transform.figures.common import Row, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COUNTS = ("inserted", "updated", "unchanged", "deleted", "rejected")
CALLS = ("requests", "retries", "waited_seconds")


def pipeline_loads(notes: Iterable[Mapping[str, Any]], vendors: Mapping[str, str]) -> list[Row]:
    """What each run did.

    Args:
        notes: The rows of the loader's table.
        vendors: The vendor of each account.
    """
    last: dict[tuple[str, str], datetime] = {}
    rows: list[Row] = []
    for note in sorted(notes, key=lambda note: note["committed_at"]):
        key, committed = (note["schema"], note["stream"]), _utc(note["committed_at"])
        rows.append(
            {
                "load_id": note["load_id"],
                "pipeline": note["state_id"],
                "vendor": vendors.get(note["schema"], note["schema"]),
                "account": note["schema"],
                "stream": note["stream"],
                "started_at": _utc(note["started_at"]),
                "committed_at": committed,
                "load_date": committed.date(),
                "rows_read": sum(note[name] for name in ("inserted", "updated", "unchanged", "rejected")),
                **{name: note[name] for name in COUNTS},
                **{name: note[name] for name in ("seconds", *CALLS)},
                "failed": bool(note["failed"]),
                "hours_since_previous": _hours(committed - last[key]) if key in last else None,
            }
        )
        if not note["failed"]:
            last[key] = committed
    return rows


def pipeline_streams(loads: Iterable[Row], now: datetime) -> list[Row]:
    """How each stream stands, but for the hours since its last load, which go by the second of the build.

    Args:
        loads: The rows of `pipeline_loads`.
        now: When the marts were built.
    """
    streams: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for load in loads:
        streams[load["vendor"], load["account"], load["stream"]].append(load)
    rows: list[Row] = []
    for (vendor, account, stream), own in streams.items():
        whole = [load for load in own if not load["failed"]]
        last = max(whole or own, key=lambda load: load["committed_at"])
        rows.append(
            {
                "vendor": vendor,
                "account": account,
                "stream": stream,
                "loads": len(own),
                "first_loaded_at": min((load["committed_at"] for load in whole), default=None),
                "last_loaded_at": last["committed_at"] if whole else None,
                "is_late": not whole or now - last["committed_at"] > timedelta(hours=26),
                "longest_gap_hours": max(
                    (load["hours_since_previous"] for load in own if load["hours_since_previous"] is not None),
                    default=None,
                ),
                **{
                    f"last_{name}": last[name]
                    for name in ("inserted", "updated", "deleted", "rejected", "seconds", *CALLS)
                },
                "rejected": sum(load["rejected"] for load in own),
            }
        )
    return rows


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _hours(span: timedelta) -> Decimal:
    return rounded(Decimal(span // timedelta(seconds=1)) / 3600, 2)
