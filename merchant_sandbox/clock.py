"""The virtual clock of a world: when it starts, and how fast it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from zoneinfo import ZoneInfo

__all__ = ["DAY", "HOUR", "WORLD_START", "WorldClock", "iso", "unix", "wall"]

HOUR = 3_600
DAY = 24 * HOUR


def unix(text: str) -> int:
    """Unix seconds of an ISO 8601 time with an offset."""
    return int(datetime.fromisoformat(text).timestamp())


def iso(seconds: float) -> str:
    """Unix seconds as ``YYYY-MM-DDTHH:MM:SS.ffffffZ``, the form in which taps emit times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wall(seconds: float, zone: str) -> datetime:
    """What a clock in a zone shows, without the zone."""
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).replace(tzinfo=None, fold=0)


WORLD_START = unix("2026-03-01T00:00:00+00:00")


@dataclass(slots=True)
class WorldClock:
    """A clock that showed ``start`` at the real time ``anchor`` and has run ``rate`` times as fast since.

    Args:
        start: Virtual time at the anchor, in Unix seconds.
        rate: Virtual seconds per real second.
        anchor: A moment of the real clock, in Unix seconds.
    """

    start: float = WORLD_START
    rate: float = 1.0
    anchor: float = field(default_factory=time.time)

    def time(self) -> float:
        """Virtual Unix seconds."""
        return self.start + (time.time() - self.anchor) * self.rate

    def advance(self, seconds: float) -> None:
        """Jump forward. A process that was given the text of this clock before does not notice."""
        self.start += seconds

    def text(self) -> str:
        """The value of ``MERCHANT_CLOCK``: ``<virtual start>,<unix anchor>,<rate>``."""
        return f"{self.start:.6f},{self.anchor:.6f},{self.rate:g}"

    def http_date(self, ahead: float = 0.0) -> str:
        """An HTTP date that is this many virtual seconds ahead."""
        return format_datetime(datetime.fromtimestamp(int(self.time() + ahead), UTC), usegmt=True)
