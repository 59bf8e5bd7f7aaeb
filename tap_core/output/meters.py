"""What a run counts of each of its streams."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from typing_extensions import override

from merchant_telemetry.metrics import Histogram
from tap_core.clock import Clock
from tap_core.http.gate import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DONE", "UNREAD", "StreamMeter", "Watcher"]

UNREAD: Final = "not read"
DONE: Final = "done"
"""States of a stream: its turn has not come, and it was read whole."""


class Watcher(Protocol):
    """Learns when the reading of streams and windows begins and ends."""

    def started(self, meter: StreamMeter) -> None:
        """The reading of a stream begins."""

    def reached(self, meter: StreamMeter, window: object) -> None:
        """Some of a window has been read and written; None is what belongs to no window."""

    def stopped(self, meter: StreamMeter) -> None:
        """The reading of a stream has ended, well or not."""


@dataclass
class StreamMeter(Meter):
    """Counters of one stream. Workers count from their threads; the display reads at any time."""

    stream: str
    state: str = UNREAD
    records: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    before: str | None = None
    after: str | None = None
    notes: dict[str, int] = field(default_factory=dict)
    shares_requests: bool = False
    expected: int | None = None
    """How many requests the stream takes in all, where that is known before."""
    answers: dict[int, int] = field(default_factory=dict)
    """Responses by the class of their status: 2 to 5."""
    bytes: int = 0
    waited: dict[str, float] = field(default_factory=dict)
    """Seconds by the reason for waiting."""
    durations: Histogram = field(default_factory=Histogram)
    ended_at: float | None = None
    """When reading ended, in Unix seconds."""
    watcher: Watcher | None = None
    _part: Any = None
    _describe: Callable[[Any], str] = str
    _pages: int = 0
    _started: float | None = None
    _waits: list[tuple[str, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _clock: Clock = field(default_factory=Clock)

    def start(self) -> None:
        """Reading begins."""
        self.state, self._started = "reading", self._clock.monotonic()
        if self.watcher:
            self.watcher.started(self)

    def stop(self, state: str) -> None:
        """Reading has ended, well or not."""
        self.seconds, self.state, self._started = self.elapsed(), state, None
        self.ended_at = self._clock.time()
        if self.watcher:
            self.watcher.stopped(self)

    def reached(self, window: object) -> None:
        """Some of a window has been read and written; None is what belongs to no window."""
        if self.watcher:
            self.watcher.reached(self, window)

    def elapsed(self) -> float:
        """Seconds of real time since reading began."""
        return self.seconds if self._started is None else self._clock.monotonic() - self._started

    @override
    def requested(self) -> None:
        with self._lock:
            self.requests += 1

    @override
    def answered(self, status: int, seconds: float, size: int) -> None:
        kind = status // 100
        with self._lock:
            self.answers[kind] = self.answers.get(kind, 0) + 1
            self.bytes += size
            self.durations.add(seconds)

    @override
    def retried(self, reason: str) -> None:
        with self._lock:
            self.retries += 1

    @override
    @contextmanager
    def waiting(self, reason: str, seconds: float) -> Iterator[None]:
        wait, began = (reason, seconds), self._clock.monotonic()
        with self._lock:
            self._waits.append(wait)
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(wait)
                self.waited[reason] = self.waited.get(reason, 0.0) + self._clock.monotonic() - began

    def moved(self, part: object, describe: Callable[[Any], str]) -> None:
        """A page has arrived.

        Args:
            part: What it belongs to.
            describe: Says which window and partition that is; nothing for a stream without them.
        """
        self._pages = self._pages + 1 if part is self._part else 1
        self._part, self._describe = part, describe

    @property
    def position(self) -> str:
        """How far reading has come; empty before the first page."""
        return f"{self._describe(self._part)} page {self._pages}".strip() if self._pages else ""

    def count(self, what: str, number: int = 1) -> None:
        """Count something that the summary must not hide, such as subjects that the API does not know."""
        with self._lock:
            self.notes[what] = self.notes.get(what, 0) + number

    @property
    def wait(self) -> str:
        """What the stream is waiting for and how long; empty if it is not waiting."""
        with self._lock:
            if not self._waits:
                return ""
            reason, seconds = max(self._waits, key=lambda wait: wait[1])
        return f"waiting {seconds:.0f} s: {reason}"

    def _calls(self) -> str:
        """The requests, out of how many where that is known."""
        if self.expected is None or self.requests > self.expected:
            return _counted(self.requests, "request")
        return f"{self.requests:,} of {_counted(self.expected, 'request')}"

    def line(self) -> str:
        """What the stream is doing, on one line."""
        elapsed = self.elapsed()
        done = f"{_counted(self.records, 'record')} in {self._calls()}"
        rate = f"{self.records / elapsed:,.0f}/s" if elapsed > 0 else ""
        parts = [done, self.wait] if self.wait else [done, rate, self.position]
        return f"{self.stream}: " + ", ".join(part for part in parts if part)

    def outcome(self) -> str:
        """What the stream has done, on one line."""
        calls = "" if self.shares_requests else f" in {_counted(self.requests, 'request')}"
        notes = [f"{number:,} {what}" for what, number in self.notes.items()]
        retries = (
            [f"{self.retries:,} {'retry' if self.retries == 1 else 'retries'}"]
            if self.retries and not self.shares_requests
            else []
        )
        failed = [] if self.state == DONE else [self.state]
        done = f"{_counted(self.records, 'record')}{calls}, {self.elapsed():.1f} s"
        return f"{self.stream}: " + ", ".join([done, *retries, *notes, *failed])

    def figures(self) -> dict[str, Any]:
        """The same for programs: counts, seconds, bookmarks and result."""
        calls = {} if self.shares_requests else {"requests": self.requests, "retries": self.retries}
        return {
            "records": self.records,
            **calls,
            "seconds": round(self.elapsed(), 3),
            "bookmark_before": self.before,
            "bookmark_after": self.after,
            "notes": dict(self.notes),
            "result": self.state,
        }


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
