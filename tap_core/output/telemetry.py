"""What a tap's run tells other programs: metrics made from the meters of its streams, and spans for a collector."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from merchant_telemetry.metrics import Metric, Sample
from tap_core.http.gate import REASONS
from tap_core.output.meters import DONE, UNREAD, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

    from merchant_telemetry.otlp import Otlp
    from tap_core.output.meters import StreamMeter
    from tap_core.output.progress import Progress

__all__ = ["STREAM_METRICS", "Spans", "samples"]

_RECORDS = Metric("merchant.tap.records", "counter", "{record}", "Records that were written.")
_REQUESTS = Metric(
    "merchant.tap.requests", "counter", "{request}", "Requests, by the class of their status; none without a response."
)
_RETRIES = Metric("merchant.tap.retries", "counter", "{request}", "Requests that were sent again.")
_WAITS = Metric(
    "merchant.tap.wait", "counter", "s", "Waiting before a request, by its reason; calls that wait side by side add up."
)
_BYTES = Metric("merchant.tap.response", "counter", "By", "Bodies of responses, decompressed.")
_REQUEST_DURATION = Metric(
    "merchant.tap.request.duration", "histogram", "s", "From a request to its response's last byte."
)
_DURATION = Metric("merchant.tap.stream.duration", "gauge", "s", "How long the last run took to read the stream.")
_SUCCESS = Metric(
    "merchant.tap.stream.success", "gauge", "{stream}", "Whether the last run read the whole stream: 1 or 0."
)
_LAST_SUCCESS = Metric(
    "merchant.tap.stream.last_success.timestamp", "gauge", "s", "When the stream was last read whole, in Unix seconds."
)
STREAM_METRICS: Final = (
    _RECORDS,
    _REQUESTS,
    _RETRIES,
    _WAITS,
    _BYTES,
    _REQUEST_DURATION,
    _DURATION,
    _SUCCESS,
    _LAST_SUCCESS,
)
"""What a tap tells of each stream."""


def samples(progress: Progress, common: Mapping[str, str]) -> Iterator[Sample]:
    """What the streams of a run have done so far.

    Args:
        progress: Their meters.
        common: The labels of the run.
    """
    for meter in progress.meters():
        begun = meter.state != UNREAD
        if not (begun or meter.requests):
            continue
        labels = {**common, "stream": meter.stream}
        if not meter.shares_requests:
            yield from _calls(meter, labels)
        if begun:  # not a parent that was read for the sake of others
            yield Sample(_RECORDS, labels, meter.records)
            yield Sample(_DURATION, labels, meter.elapsed())
            if meter.ended_at is not None:
                yield Sample(_SUCCESS, labels, int(meter.state == DONE))
                if meter.state == DONE:
                    yield Sample(_LAST_SUCCESS, labels, meter.ended_at)


def _calls(meter: StreamMeter, labels: Mapping[str, str]) -> Iterator[Sample]:
    answers = meter.answers.copy()
    unanswered = meter.requests - sum(answers.values())
    by_class = {f"{status}xx": number for status, number in sorted(answers.items())}
    for status, number in {**by_class, "none": unanswered}.items():
        yield Sample(_REQUESTS, {**labels, "status": status}, number)
    yield Sample(_RETRIES, labels, meter.retries)
    waits = meter.waited.copy()
    other = sum(seconds for reason, seconds in waits.items() if reason not in REASONS)
    for reason, label in REASONS.items():
        yield Sample(_WAITS, {**labels, "reason": label}, waits.get(reason, 0.0))
    yield Sample(_WAITS, {**labels, "reason": "retry"}, other)
    yield Sample(_BYTES, labels, meter.bytes)
    yield Sample(_REQUEST_DURATION, labels, meter.durations)


@dataclass
class _Open:
    """A stream that is being read, and where it stands."""

    span: Span
    window: object
    began_ns: int
    at_ns: int
    records_before: int = 0
    records: int = 0


class Spans(Watcher):
    """A span for each stream that is read, and inside it one for each of its windows.

    Pages are requested ahead, so a window lasts from the last page of the one before it to its own last page.

    Args:
        otlp: Where spans go.
        run: The span of the run.
    """

    def __init__(self, otlp: Otlp, run: Span) -> None:
        self._otlp = otlp
        self._run = run
        self._open: dict[str, _Open] = {}

    @override
    def started(self, meter: StreamMeter) -> None:
        now, name = time.time_ns(), meter.stream
        self._open[name] = _Open(self._otlp.start(name, self._run, {"stream": name}, now), None, now, now)

    @override
    def reached(self, meter: StreamMeter, window: object) -> None:
        stream = self._open[meter.stream]
        if window != stream.window:
            self._close_window(meter.stream, stream)
            stream.window, stream.began_ns, stream.records_before = window, stream.at_ns, stream.records
        stream.at_ns, stream.records = time.time_ns(), meter.records

    @override
    def stopped(self, meter: StreamMeter) -> None:
        stream = self._open.pop(meter.stream)
        self._close_window(meter.stream, stream)
        attributes = {"records": meter.records}
        if not meter.shares_requests:
            attributes |= {"requests": meter.requests, "retries": meter.retries}
        self._otlp.end(stream.span, attributes, well=meter.state == DONE)

    def _close_window(self, name: str, stream: _Open) -> None:
        if stream.window is not None:
            attributes = {"stream": name, "window": str(stream.window)}
            span = self._otlp.start(f"{name} window", stream.span, attributes, stream.began_ns)
            self._otlp.end(span, {"records": stream.records - stream.records_before}, well=True, at_ns=stream.at_ns)
