"""``make sandbox``: a command against the sandbox, on the day of its story that ``make demo`` has reached.

The sandbox's clock shows the day of the story and, a little ahead, this machine's time of day in UTC, and is as fast as
a real one. So it has not reached the next day when that begins, however slow the machine is. This matters where a
bookmark follows the clock, as premiumpay's does: what the story adds later must not lie before it. premiumpay reads two
days before its bookmark again, so its rows are right as long as a run takes less than a day; the other bookmarks follow
the data. On a clock that made an hour of a second, a run of two minutes took five days. The time of day is there for
runs of the same day: the second does not begin before the first has ended, unless midnight lies between them.

premiumpay's budget is raised, because its first run takes more than the calls of eight hours.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DAY", "SANDBOX", "first_moment", "world"]

DAY = Path(".meltano/demo-day")
"""Has the number of the last day that was loaded completely."""

SANDBOX = Path(sys.executable).parent / "merchant-sandbox"
_FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC)
_AHEAD = timedelta(minutes=10)
"""Taps leave the last five minutes before they start to the next run: here, those are over when the day begins."""


def first_moment(day: int) -> datetime:
    """When a day of the story begins, which is where its data end."""
    return _FIRST_DAY + timedelta(days=day)


def world(day: int, now: datetime | None = None) -> Sequence[str]:
    """The options of ``merchant-sandbox`` for a day of the story.

    Args:
        day: The day.
        now: The real time; by default, it is asked for.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    since_midnight = now - now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (
        "--size=demo",
        f"--ticks={day}",
        f"--clock-start={(first_moment(day) + since_midnight + _AHEAD).isoformat()}",
        "--switch=premiumpay.rate_limit=1000000",
    )


if __name__ == "__main__":
    reached = int(DAY.read_text(encoding="utf-8")) if DAY.exists() else 0
    os.execv(SANDBOX, [str(SANDBOX), "run", *world(reached), "--", *sys.argv[1:]])  # noqa: S606 - the user's own command
