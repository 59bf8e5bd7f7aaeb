"""Spans and metrics by OTLP over HTTP. Imported only where a collector is named: it takes half a second.

Where to send to, with which headers and certificates, how things are sampled and what else is known of the service is
up to OpenTelemetry's own environment variables.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from merchant_telemetry.metrics import BOUNDS_S, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from merchant_telemetry.metrics import Metric, Sample

__all__ = ["END_S", "Otlp"]

END_S: Final = 3.0
"""The longest that a run waits at its end for a collector, in seconds."""

_SCOPE: Final = "merchant-taps"
_NEVER: Final = "none"


class Otlp:
    """What is sent to a collector.

    Args:
        service: The name of the service, unless ``OTEL_SERVICE_NAME`` or ``OTEL_RESOURCE_ATTRIBUTES`` names it.
        failed: Called once if something cannot be sent.
    """

    def __init__(self, service: str, failed: Callable[[], None]) -> None:
        _listen(failed)
        release = version(_SCOPE)
        self._failed = failed
        self._resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: release})
        self._provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        if _wanted("TRACES"):
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._exporter = OTLPMetricExporter() if _wanted("METRICS") else None
        self._tracer = self._provider.get_tracer(_SCOPE, release)
        self._scope = InstrumentationScope(_SCOPE, release)
        self._started_ns = time.time_ns()

    def start(self, name: str, parent: trace.Span | None, attributes: Mapping[str, str], at_ns: int) -> trace.Span:
        """Begin a span.

        Args:
            name: Its name.
            parent: The span that it is a part of; without one, the environment's TRACEPARENT says which it is.
            attributes: What is known of it.
            at_ns: When it began, in Unix nanoseconds.
        """
        context = _context() if parent is None else trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context, attributes=dict(attributes), start_time=at_ns)

    @staticmethod
    def end(
        span: trace.Span, attributes: Mapping[str, str | int | float], *, well: bool, at_ns: int | None = None
    ) -> None:
        """End a span.

        Args:
            span: The span.
            attributes: What is known of it now.
            well: Whether what it stands for went well.
            at_ns: When it ended, in Unix nanoseconds; now by default.
        """
        span.set_attributes(dict(attributes))
        if not well:
            span.set_status(trace.StatusCode.ERROR)
        span.end(at_ns)

    def send(self, samples: Iterable[Sample]) -> None:
        """Send metrics: what was counted since the run began.

        Args:
            samples: What was measured.
        """
        if self._exporter is not None:
            self._exporter.export(self._data(samples))

    def close(self, samples: Iterable[Sample]) -> None:
        """Send what is left, for no longer than `END_S`.

        Args:
            samples: What was measured in the whole run.
        """

        def last() -> None:
            self.send(samples)
            self._provider.shutdown()

        sending = threading.Thread(target=last, name="telemetry", daemon=True)
        sending.start()
        sending.join(END_S)
        if sending.is_alive():
            self._failed()

    def _data(self, samples: Iterable[Sample]) -> sdk.MetricsData:
        now = time.time_ns()
        points: dict[Metric, list[Any]] = {}
        for metric, labels, value in samples:
            common: dict[str, Any] = {
                "attributes": dict(labels),
                "start_time_unix_nano": self._started_ns,
                "time_unix_nano": now,
            }
            point = (
                _histogram(value, common)
                if isinstance(value, Histogram)
                else sdk.NumberDataPoint(value=value, **common)
            )
            points.setdefault(metric, []).append(point)
        metrics = [sdk.Metric(each.name, each.help, each.unit, _kind(each, found)) for each, found in points.items()]
        scope = sdk.ScopeMetrics(self._scope, metrics, "")
        return sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], "")])


def _kind(metric: Metric, points: list[Any]) -> sdk.Sum | sdk.Gauge | sdk.Histogram:
    so_far = sdk.AggregationTemporality.CUMULATIVE
    if metric.kind == "gauge":
        return sdk.Gauge(points)
    return sdk.Histogram(points, so_far) if metric.kind == "histogram" else sdk.Sum(points, so_far, is_monotonic=True)


def _histogram(value: Histogram, common: dict[str, Any]) -> sdk.HistogramDataPoint:
    return sdk.HistogramDataPoint(
        count=value.count,
        sum=value.sum,
        bucket_counts=tuple(value.buckets),
        explicit_bounds=BOUNDS_S,
        min=value.least,
        max=value.most,
        **common,
    )


def _context() -> Any:
    """What the environment says of the trace that this process is a part of."""
    carrier = {name: os.environ[name.upper()] for name in ("traceparent", "tracestate") if name.upper() in os.environ}
    return TraceContextTextMapPropagator().extract(carrier)


def _wanted(signal: str) -> bool:
    """Whether spans or metrics are to be sent."""
    named = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return bool(named) and os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != _NEVER


class _Listener(logging.Handler):
    """Hears of failures, in place of the log.

    What OpenTelemetry says of each failure, and of each repetition, is too much for a nightly log. What its HTTP client
    says shows the collector's address, which may hold a token; taps do not use that client.
    """

    def __init__(self, failed: Callable[[], None]) -> None:
        super().__init__(logging.ERROR)
        self._failed = failed

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._failed()


def _listen(failed: Callable[[], None]) -> None:
    for name in ("opentelemetry", "urllib3"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(_Listener(failed))
