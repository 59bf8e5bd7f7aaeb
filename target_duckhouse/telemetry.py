"""What a load tells other programs: metrics made from its counts, and spans for a collector."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from merchant_telemetry.metrics import Histogram, Metric, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from merchant_telemetry.telemetry import Telemetry

    _Counts = Mapping[str, Mapping[str, float]]

__all__ = ["LOAD_METRICS", "Observer"]

_ROWS = Metric("merchant.target.rows", "counter", "{row}", "Rows that were committed, by what was done to them.")
_DURATION = Metric("merchant.target.stream.duration", "gauge", "s", "How long the last run took to load the stream.")
_COMMIT_DURATION = Metric("merchant.target.commit.duration", "histogram", "s", "How long commits took.")
LOAD_METRICS: Final = (_ROWS, _DURATION, _COMMIT_DURATION)
"""What the loader tells."""

_ACTIONS: Final = ("inserted", "updated", "unchanged", "deleted", "rejected")


class Observer:
    """Who is told of a load's steps: what is loaded at a time, and each commit."""

    def __init__(self) -> None:
        self.commits = Histogram()
        self._telemetry: Telemetry | None = None

    @contextmanager
    def told(self, telemetry: Telemetry, committed: Callable[[], _Counts]) -> Iterator[None]:
        """Have telemetry know of the load while the block runs, and keep what it knows afterwards.

        Args:
            telemetry: Who is told.
            committed: Gives what was committed so far, per stream: rows and seconds.
        """
        self._telemetry = telemetry if telemetry.otlp else None
        telemetry.samples = lambda: _samples(committed(), self.commits, telemetry.labels)
        try:
            yield
        finally:
            last = list(telemetry.samples())
            telemetry.samples = lambda: last  # DuckDB complains of a connection that outlives the run

    def loaded(self, stream: str, counts: Mapping[str, int | float]) -> None:
        """Some of a stream's records have been loaded.

        Args:
            stream: The stream.
            counts: How many rows, by what was done to them, and how many seconds it took.
        """
        if self._telemetry:
            rows = {action: counts[action] for action in _ACTIONS}
            self._span(f"load {stream}", counts["seconds"], {"stream": stream}, rows)

    def committed(self, seconds: float) -> None:
        """What was loaded is safe."""
        self.commits.add(seconds)
        if self._telemetry:
            self._span("commit", seconds, {}, {})

    def _span(self, name: str, seconds: float, before: Mapping[str, str], after: Mapping[str, float]) -> None:
        assert self._telemetry
        assert self._telemetry.otlp
        began = time.time_ns() - int(seconds * 1e9)
        self._telemetry.otlp.end(self._telemetry.otlp.start(name, self._telemetry.run, before, began), after, well=True)


def _samples(committed: _Counts, commits: Histogram, common: Mapping[str, str]) -> Iterator[Sample]:
    for stream, counts in sorted(committed.items()):
        labels = {**common, "stream": stream}
        for action in _ACTIONS:
            yield Sample(_ROWS, {**labels, "action": action}, counts[action])
        yield Sample(_DURATION, labels, counts["seconds"])
    yield Sample(_COMMIT_DURATION, common, commits)
