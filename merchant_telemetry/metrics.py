"""What a metric is, and what was measured."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BOUNDS_S",
    "RUN_DURATION",
    "RUN_EXIT_CODE",
    "RUN_LAST_SUCCESS",
    "RUN_METRICS",
    "Histogram",
    "Metric",
    "Sample",
]

BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a histogram's buckets, in seconds: from a quick answer to the longest that is waited for."""

_UNITS: Final = {"s": "_seconds", "By": "_bytes"}


class Metric(NamedTuple):
    """Something that is measured.

    Attributes:
        name: As OpenTelemetry writes it, such as ``merchant.tap.records``.
        kind: A counter adds up over runs, a gauge tells of the last one, a histogram counts by size.
        unit: In UCUM: ``s``, ``By``, or what is counted in braces.
        help: What it means, in one line.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str

    @property
    def prometheus(self) -> str:
        """The name by Prometheus' conventions; a collector makes the same of the other one."""
        ending = "_total" if self.kind == "counter" else ""
        return self.name.replace(".", "_") + _UNITS.get(self.unit, "") + ending


class Histogram:
    """How often a duration fell into each bucket."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum = 0.0
        self.least = 0.0
        self.most = 0.0
        self.count = 0
        """How many there were."""

    def add(self, seconds: float) -> None:
        """Count a duration."""
        if seconds < self.least or not self.count:
            self.least = seconds
        self.most = max(self.most, seconds)
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum += seconds
        self.count += 1


class Sample(NamedTuple):
    """What was measured.

    Attributes:
        metric: Of what.
        labels: Of which stream and the like.
        value: How much.
    """

    metric: Metric
    labels: Mapping[str, str]
    value: float | Histogram


RUN_DURATION: Final = Metric("merchant.run.duration", "gauge", "s", "How long the last run took.")
RUN_EXIT_CODE: Final = Metric(
    "merchant.run.exit_code", "gauge", "{code}", "The exit code of the last run; 0 is success."
)
RUN_LAST_SUCCESS: Final = Metric(
    "merchant.run.last_success.timestamp", "gauge", "s", "When a run last ended well, in Unix seconds."
)
RUN_METRICS: Final = (RUN_DURATION, RUN_EXIT_CODE, RUN_LAST_SUCCESS)
"""What taps and loader tell alike."""
