"""What a run shows on standard error: a line for each stream that is read, progress meanwhile, a table at the end.

On a terminal, progress is one line that is written again and again; elsewhere, and where messages go to the same
terminal, it is a log line after 10 seconds, then after twice as long each time, up to five minutes. Metrics for other
programs follow the table, at the level DEBUG. Where log lines are JSON, there is no table: the line of each stream
has its figures. Standard output carries only Singer messages.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from singer_sdk import metrics
from singer_sdk.metrics import Metric, Point, Status, Tag
from typing_extensions import override

from tap_core.clock import Clock
from tap_core.output.logs import ERASE, is_terminal
from tap_core.output.meters import StreamMeter

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping, Sequence

    from tap_core.output.logs import LogFormat
    from tap_core.output.meters import Watcher

__all__ = ["LINE_EVERY_S", "LIVE_EVERY_S", "PLAIN_WIDTH", "Progress"]

LINE_EVERY_S: Final = 10.0
LIVE_EVERY_S: Final = 0.25
PLAIN_WIDTH: Final = 132
_RAREST_S: Final = 300.0
_AGAIN: Final = 4


class _Console(Console):
    """A console that costs no run if nobody reads it."""

    @override
    def on_broken_pipe(self) -> None:
        """Go on. By default, the process ends, and its standard output is closed."""


class Progress:
    """The meters of a run and their display.

    Args:
        logger: Where the lines go.
        style: The form of log lines.
        every_s: Seconds before the first progress line if there is no terminal.
    """

    def __init__(self, logger: logging.Logger, *, style: LogFormat = "text", every_s: float = LINE_EVERY_S) -> None:
        self._logger = logger
        self._style = style
        self._every_s = every_s
        self._meters: dict[str, StreamMeter] = {}
        self._watcher: Watcher | None = None
        self._expected: frozenset[str] = frozenset()
        self._console = _Console(stderr=True)
        if not self._console.is_terminal:
            self._console = _Console(stderr=True, width=PLAIN_WIDTH, color_system=None)

    def meter(self, stream: str) -> StreamMeter:
        """The meter of a stream."""
        return self._meters.setdefault(stream, StreamMeter(stream, watcher=self._watcher))

    def meters(self) -> Sequence[StreamMeter]:
        """All meters."""
        return list(self._meters.values())

    def watch(self, watcher: Watcher) -> None:
        """Have someone learn what the streams do."""
        self._watcher = watcher
        for meter in self._meters.values():
            meter.watcher = watcher

    def expect(self, streams: Sequence[str]) -> None:
        """Name the streams that this run reads."""
        self._expected = frozenset(streams)

    def finished(self, stream: str) -> None:
        """Say what a stream has done."""
        meter = self.meter(stream)
        self._logger.info(meter.outcome(), extra={"stream_name": stream, **meter.figures()})

    def calls(self) -> dict[str, dict[str, float]]:
        """What the calls of each stream have cost so far: requests, retries, and seconds of waiting in all.

        Streams that are made from the responses of another have none.
        """
        return {
            meter.stream: {
                "requests": meter.requests,
                "retries": meter.retries,
                "waited_s": round(sum(meter.waited.values()), 3),
            }
            for meter in self.meters()
            if meter.requests
        }

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        pace = Clock()
        live = self._is_live()
        show = self._live if live else self._lines
        thread = threading.Thread(target=show, args=(pace,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            pace.stop()
            thread.join()
            if live:
                _draw("")

    def _is_live(self) -> bool:
        """Whether there is a terminal for progress alone: where messages go to it, too, they would get mixed up."""
        mixed = sys.stdout is not None and sys.stdout.isatty()
        quiet = not self._logger.isEnabledFor(10)
        return self._style == "text" and is_terminal(sys.stderr) and not mixed and quiet

    def _lines(self, pace: Clock) -> None:
        every_s = self._every_s
        while True:
            pace.sleep(every_s)
            if pace.stopped:
                return
            every_s = min(2 * every_s, max(_RAREST_S, self._every_s))
            for meter in self._reading():
                self._logger.info("%s, %s", meter.line(), self._share())

    def _live(self, pace: Clock) -> None:
        drawn, at = "", 0
        while not pace.stopped:
            lines = [meter.line() for meter in self._reading()]
            line = f"{self._share()}: {lines[0]}"[: self._console.width - 1] if lines else ""
            at += 1
            if line != drawn or at % _AGAIN == 0:  # what others log takes the line away
                _draw(line)
                drawn = line
            pace.sleep(LIVE_EVERY_S)

    def _reading(self) -> list[StreamMeter]:
        """The meters of streams that are being read and call the API themselves."""
        return [
            meter for meter in list(self._meters.values()) if meter.state == "reading" and not meter.shares_requests
        ]

    def _share(self) -> str:
        over = sum(meter.state in {"done", "failed"} for meter in list(self._meters.values()))
        return f"{over} of {max(len(self._expected), over)} streams done"

    def summarize(self, order: Sequence[str], failures: Mapping[str, str]) -> None:
        """Print the table of the run; where log lines are JSON, only say which streams were not read.

        Args:
            order: The streams in the order of the table.
            failures: One line for each stream that failed.
        """
        if self._style == "text":
            with suppress(OSError):  # that nobody can be told must not cost a run that has written everything
                self._console.print(self._table(order, failures))
                sys.stderr.flush()
        else:
            for stream in order:
                if self.meter(stream).state == "not read":
                    self.finished(stream)
        if not self._console.is_terminal:
            for stream in order:
                self._log_metrics(self.meter(stream), Status.FAILED if stream in failures else Status.SUCCEEDED)

    def _table(self, order: Sequence[str], failures: Mapping[str, str]) -> Table:
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
        return table

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


def _draw(line: str) -> None:
    """Write the one line of progress, with the cursor back at its beginning for whoever writes next.

    In one piece, around the buffer that log lines go through: a loader may write to the same terminal.
    """
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"{ERASE}{line}\r".encode(errors="replace"))
