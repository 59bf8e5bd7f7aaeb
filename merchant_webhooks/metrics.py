"""What the receiver tells of itself, in the text form of Prometheus. No path, key or body is in it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from merchant_webhooks.spool import Kept

__all__ = ["REFUSALS", "Metrics", "standing"]

REFUSALS = ("path", "method", "header", "too_large", "timeout", "busy", "full", "unwritable")
"""Why deliveries are refused."""


class Metrics:
    """Counters of a running receiver.

    Attributes:
        accepted: Deliveries that are on disk, by vendor and account.
        refused: Requests that were refused, by reason.
        writable: Whether the last write succeeded.
    """

    def __init__(self) -> None:
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter(dict.fromkeys(REFUSALS, 0))
        self.commits, self.commit_seconds = 0, 0.0
        self.spool_id, self.spool_bytes, self.trimmed = "", 0, 0
        self.writable = True

    def committed(self, batch: Sequence[Kept], seconds: float, used_bytes: int) -> None:
        """Count a commit of deliveries."""
        self.accepted.update((kept.vendor, kept.account) for kept in batch)
        self.commits += 1
        self.commit_seconds += seconds
        self.spool_bytes = used_bytes

    def text(self, limit_bytes: int, spool: Path) -> str:
        """All of it.

        Args:
            limit_bytes: How large the spool may become.
            spool: The spool's file, which says how far its readers are.
        """
        return "".join(f"{line}\n" for line in self._lines(limit_bytes, standing(spool)))

    def _lines(self, limit_bytes: int, readers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        accepted = [
            (f'vendor="{vendor}",account="{account}"', number) for (vendor, account), number in self.accepted.items()
        ]
        refused = [(f'reason="{reason}"', number) for reason, number in self.refused.items()]
        yield from _metric("deliveries_total", "counter", "Deliveries that were answered 200.", accepted)
        yield from _metric("refused_total", "counter", "Requests that were refused.", refused)
        each = "Commits of deliveries; each is one sync for many."
        yield from _metric("commits_total", "counter", each, [("", self.commits)])
        yield from _metric("commit_seconds_total", "counter", "Seconds they took.", [("", self.commit_seconds)])
        yield from _metric("trimmed_total", "counter", "Deliveries that were removed.", [("", self.trimmed)])
        yield from _metric("spool_bytes", "gauge", "Bytes that the spool uses.", [("", self.spool_bytes)])
        yield from _metric("spool_limit_bytes", "gauge", "Bytes that it may use.", [("", limit_bytes)])
        yield from _metric("spool_writable", "gauge", "Whether it could be written.", [("", int(self.writable))])
        for name, member, about in (
            ("reader_waiting", "waiting", "Deliveries that a reader has not committed yet."),
            ("reader_seen_seconds", "seconds", "Seconds since a reader began its last run."),
        ):
            yield from _metric(name, "gauge", about, [(each["labels"], each[member]) for each in readers])


def _metric(name: str, kind: str, about: str, values: Sequence[tuple[str, float]]) -> Iterator[str]:
    full = f"merchant_webhooks_{name}"
    yield f"# HELP {full} {about}"
    yield f"# TYPE {full} {kind}"
    for labels, value in values:
        yield f"{full}{{{labels}}} {value}" if labels else f"{full} {value}"


_READERS = """
SELECT name, vendor, account, seen_at, (
    SELECT count(*) FROM deliveries d WHERE d.vendor = r.vendor AND d.account = r.account AND d.position > r.position
) FROM readers r ORDER BY 1, 2, 3
"""


def standing(spool: Path) -> list[dict[str, Any]]:
    """How far each reader of a spool is: its labels, the deliveries that wait for it, and when it was last seen."""
    found: list[tuple[str, str, str, int, int]] = []
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as con:
        found = con.execute(_READERS).fetchall()
    return [
        {
            "labels": f'reader="{name}",vendor="{vendor}",account="{account}"',
            "waiting": waiting,
            "seconds": round(time() - seen_at / 1_000_000, 3),
        }
        for name, vendor, account, seen_at, waiting in found
    ]
