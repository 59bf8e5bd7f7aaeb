"""What a run shows on standard error: progress while it works, a table when it is done.

On a terminal the display is live; elsewhere, and where messages go to the same terminal, one line appears every
ten seconds. Metrics for other programs follow the table, at the level DEBUG. Standard output carries only Singer
messages.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from singer_sdk import metrics
from singer_sdk.metrics import Metric, Point, Status, Tag
from typing_extensions import override

from tap_core.clock import Clock
from tap_core.http.gate import Meter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["LINE_EVERY_S", "LIVE_EVERY_S", "PLAIN_WIDTH", "Progress", "StreamMeter"]

LINE_EVERY_S: Final = 10.0
LIVE_EVERY_S: Final = 0.25
PLAIN_WIDTH: Final = 132


@dataclass
class StreamMeter(Meter):
    """Counters of one stream. Workers count from their threads; the display reads at any time."""

    stream: str
    state: str = "not read"
    position: str = ""
    records: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    before: str | None = None
    after: str | None = None
    notes: dict[str, int] = field(default_factory=dict)
    shares_requests: bool = False
    _subject: str = ""
    _pages: int = 0
    _started: float | None = None
    _waits: list[tuple[str, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _clock: Clock = field(default_factory=Clock)

    def start(self) -> None:
        """Reading begins."""
        self.state, self._started = "reading", self._clock.monotonic()

    def stop(self, state: str) -> None:
        """Reading has ended, well or not."""
        self.seconds, self.state, self._started = self.elapsed(), state, None

    def elapsed(self) -> float:
        """Seconds of real time since reading began."""
        return self.seconds if self._started is None else self._clock.monotonic() - self._started

    @override
    def requested(self) -> None:
        with self._lock:
            self.requests += 1

    @override
    def retried(self, reason: str) -> None:
        with self._lock:
            self.retries += 1

    @override
    @contextmanager
    def waiting(self, reason: str, seconds: float) -> Iterator[None]:
        wait = (reason, seconds)
        with self._lock:
            self._waits.append(wait)
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(wait)

    def moved(self, subject: str) -> None:
        """A page has arrived.

        Args:
            subject: The window and partition that it belongs to; empty for a stream without them.
        """
        self._pages = self._pages + 1 if subject == self._subject else 1
        self._subject = subject
        self.position = f"{subject} page {self._pages}".strip()

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

    def line(self) -> str:
        """Everything on one line."""
        elapsed = self.elapsed()
        rate = f", {self.records / elapsed:,.0f}/s" if elapsed > 0 else ""
        parts = [f"{self.records:,} records in {self.requests:,} requests{rate}", self.position, self.wait]
        return f"{self.stream}: " + ", ".join(part for part in parts if part)


class Progress:
    """The meters of a run and their display.

    Args:
        logger: Where progress goes if there is no terminal.
        every_s: Seconds between two progress lines if there is no terminal.
    """

    def __init__(self, logger: logging.Logger, *, every_s: float = LINE_EVERY_S) -> None:
        self._logger = logger
        self._every_s = every_s
        self._meters: dict[str, StreamMeter] = {}
        self._console = Console(stderr=True)
        if not self._console.is_terminal:
            self._console = Console(stderr=True, width=PLAIN_WIDTH, color_system=None)

    def meter(self, stream: str) -> StreamMeter:
        """The meter of a stream."""
        return self._meters.setdefault(stream, StreamMeter(stream))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        # With messages on the same terminal, a live display and they would write over each other.
        alone = self._console.is_terminal and not (sys.stdout is not None and sys.stdout.isatty())
        if alone and not self._logger.isEnabledFor(logging.DEBUG):
            with Live(get_renderable=self._live, console=self._console, refresh_per_second=1 / LIVE_EVERY_S):
                yield
            return
        pace = Clock()
        thread = threading.Thread(target=self._lines, args=(pace,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            pace.stop()
            thread.join()

    def _lines(self, pace: Clock) -> None:
        while True:
            pace.sleep(self._every_s)
            if pace.stopped:
                return
            for meter in list(self._meters.values()):
                if meter.state == "reading":
                    self._logger.info(meter.line())

    def _live(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for _ in range(4):
            table.add_column()
        for meter in list(self._meters.values()):
            if meter.state == "reading":
                elapsed = meter.elapsed()
                rate = f"{meter.records / elapsed:,.0f}/s" if elapsed > 0 else ""
                records = f"{meter.records:,} records {rate}"
                table.add_row(meter.stream, records, Text(meter.position), Text(meter.wait, style="yellow"))
        return table

    def summarize(self, order: Sequence[str], failures: Mapping[str, str]) -> None:
        """Print the table of the run.

        Args:
            order: The streams in the order of the table.
            failures: One line for each stream that failed.
        """
        table = Table(box=SIMPLE_HEAD, pad_edge=False, title=None)
        table.add_column("stream")
        for header in ("records", "requests", "retries", "seconds"):
            table.add_column(header, justify="right")
        for header in ("bookmark before", "bookmark after", "result"):
            table.add_column(header)
        for stream in order:
            meter = self.meter(stream)
            calls = ("-", "-") if meter.shares_requests else (f"{meter.requests:,}", f"{meter.retries:,}")
            result = "failed" if stream in failures else meter.state
            notes = "".join(f", {number:,} {what}" for what, number in meter.notes.items())
            table.add_row(
                stream,
                f"{meter.records:,}",
                *calls,
                f"{meter.elapsed():.1f}",
                _short(meter.before),
                _short(meter.after),
                Text(f"{result}{notes}"),
            )
        with suppress(OSError):  # that nobody can be told must not cost a run that has written everything
            self._console.print(table)
            sys.stderr.flush()
        if not self._console.is_terminal:
            for stream in order:
                self._log_metrics(self.meter(stream), Status.FAILED if stream in failures else Status.SUCCEEDED)

    @staticmethod
    def _log_metrics(meter: StreamMeter, status: Status) -> None:
        """Log what a stream did in the form that Meltano and other tools read from the logs of taps.

        At the level DEBUG: the table tells people the same, and Meltano's console shows no stream's name beside it.
        """
        tags: dict[str, Any] = {Tag.STREAM: meter.stream, Tag.STATUS: status}
        points: list[Point[Any]] = [Point("counter", Metric.RECORD_COUNT, meter.records, tags)]
        if not meter.shares_requests:
            points.append(Point("counter", Metric.HTTP_REQUEST_COUNT, meter.requests, tags))
        points.append(Point("timer", Metric.SYNC_DURATION, meter.elapsed(), tags))
        for point in points:
            metrics.get_metrics_logger().debug("METRIC: %s", point)


def _short(bookmark: Any) -> str:
    """A bookmark without its microseconds where they are zero."""
    return "" if bookmark is None else str(bookmark).replace(".000000Z", "Z")
