"""One run: what it is asked to tell, and when.

OpenTelemetry's environment variables ask for spans and metrics at a collector, an option for a file. A collector that
is down, or a disk that is full, costs the run a warning and nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from merchant_telemetry.metrics import RUN_DURATION, RUN_EXIT_CODE, RUN_LAST_SUCCESS, Sample

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from opentelemetry.trace import Span

    from merchant_telemetry.otlp import Otlp
    from merchant_telemetry.textfile import TextFile

__all__ = ["EVERY_S", "Telemetry"]

EVERY_S: Final = 60.0
"""Seconds between two reports of a long run, unless ``OTEL_METRIC_EXPORT_INTERVAL`` (milliseconds) says otherwise."""

_ENDPOINTS: Final = tuple(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT" for kind in ("", "TRACES_", "METRICS_"))
_PROTOCOLS: Final = tuple(f"OTEL_EXPORTER_OTLP_{kind}PROTOCOL" for kind in ("", "TRACES_", "METRICS_"))
_SPOKEN: Final = "http/protobuf"
_INCOMPLETE: Final = "telemetry is incomplete: unexpected %s"


class Telemetry:
    """What one run tells. Until `begin`, and where nobody asks for anything, it does nothing.

    Args:
        program: What runs, such as ``tap-peek``.
        logger: Where failures are told.

    Attributes:
        labels: What belongs to all metrics of the run.
        samples: Gives what was measured so far; whoever runs sets it.
        otlp: What is sent to a collector; None without one.
        run: The span of the run; None without a collector.
    """

    def __init__(self, program: str, logger: logging.Logger) -> None:
        self.samples: Callable[[], Iterable[Sample]] = list
        self.otlp: Otlp | None = None
        self.run: Span | None = None
        self._program = _service(program)
        self._logger = logger
        self.labels = {"program": self._program}
        self._file: TextFile | None = None
        self._begun_ns = 0
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._warned: set[str] = set()

    def begin(self, metrics_file: Path | None) -> None:
        """The run begins.

        Args:
            metrics_file: Where metrics go, if anywhere.

        Raises:
            ValueError: There is no such folder, or nobody may write there; the text says so.
        """
        self._begun_ns = time.time_ns()
        if metrics_file is not None:
            if not os.access(metrics_file.parent, os.W_OK | os.X_OK) or metrics_file.is_dir():
                raise ValueError(f"no file can be written at {metrics_file}")
            from merchant_telemetry.textfile import TextFile  # noqa: PLC0415  few ask for it

            self._file = TextFile(metrics_file, self.labels)
        self.otlp = self._collector()
        if self.otlp is not None:
            self.run = self.otlp.start(self._program, None, self.labels, self._begun_ns)
        if self.is_on:
            threading.Thread(target=self._report, name="telemetry", daemon=True).start()

    @property
    def is_on(self) -> bool:
        """Whether anything is told."""
        return self._file is not None or self.otlp is not None

    def end(self, code: int) -> None:
        """The run has ended.

        Args:
            code: The exit code of the process.
        """
        if self._over.is_set() or not self.is_on:
            return
        self._over.set()
        try:
            self._tell_last(code)
        except Exception as error:  # noqa: BLE001  a run that has done its work must not fail for this
            self._warn(_INCOMPLETE % type(error).__name__)

    def _tell_last(self, code: int) -> None:
        samples = [*self._so_far(), Sample(RUN_EXIT_CODE, self.labels, code)]
        if not code:
            samples.append(Sample(RUN_LAST_SUCCESS, self.labels, time.time()))
        self._write(samples, last=True)
        if self.otlp is not None and self.run is not None:
            self.otlp.end(self.run, {"exit_code": code}, well=not code)
            self.otlp.close(samples)

    def _so_far(self) -> list[Sample]:
        seconds = (time.time_ns() - self._begun_ns) / 1e9
        return [Sample(RUN_DURATION, self.labels, seconds), *self.samples()]

    def _write(self, samples: Iterable[Sample], *, last: bool) -> None:
        with self._writing:
            if self._file is None or (self._over.is_set() and not last):
                return  # what a long run told on its way must not take the place of its end
            try:
                self._file.write(samples)
            except OSError as error:
                self._warn(f"the metrics file cannot be written: {error.strerror}")

    def _report(self) -> None:
        """Tell a long run's metrics again and again."""
        every = EVERY_S
        with suppress(KeyError, ValueError):
            every = max(0.1, float(os.environ["OTEL_METRIC_EXPORT_INTERVAL"]) / 1000)
        while not self._over.wait(every):
            try:
                samples = self._so_far()
                self._write(samples, last=False)
                if self.otlp is not None:
                    self.otlp.send(samples)
            except Exception as error:  # noqa: BLE001  see `end`
                self._warn(_INCOMPLETE % type(error).__name__)

    def _collector(self) -> Otlp | None:
        if not any(map(os.environ.get, _ENDPOINTS)) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return None
        for name in _PROTOCOLS:
            if os.environ.get(name, _SPOKEN) != _SPOKEN:
                self._warn(f"no telemetry is sent: {name} asks for another protocol than {_SPOKEN}")
                return None
        try:
            from merchant_telemetry.otlp import Otlp  # noqa: PLC0415  half a second, and an extra
        except ModuleNotFoundError:
            self._warn(
                "no telemetry is sent: OpenTelemetry is missing, which OTEL_EXPORTER_OTLP_ENDPOINT asks for;"
                " pip install 'merchant-taps[otel]'"
            )
            return None
        try:
            return Otlp(self._program, self._failed)
        except Exception as error:  # noqa: BLE001  whatever OpenTelemetry makes of its variables, the run goes on
            self._warn(f"no telemetry is sent: an OTEL_ variable cannot be used ({type(error).__name__})")
            return None

    def _failed(self) -> None:
        self._warn("telemetry cannot be sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; the run goes on")

    def _warn(self, message: str) -> None:
        """Say it once."""
        if message not in self._warned:
            self._warned.add(message)
            self._logger.warning(message)


def _service(program: str) -> str:
    """The name of what runs: the one that the user, or Meltano, has given it."""
    role = "LOADER" if program.startswith("target-") else "EXTRACTOR"
    return os.environ.get("OTEL_SERVICE_NAME") or os.environ.get(f"MELTANO_{role}_NAME") or program
