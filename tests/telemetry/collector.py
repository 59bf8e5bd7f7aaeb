"""A collector that takes OTLP over HTTP and keeps it, and runs that report to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from merchant_sandbox.client import World

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """Keeps what it is sent.

    Attributes:
        bodies: What was sent, by path.
        paths: The same paths, for whoever waits for the next.
        url: Its address.
        status: The status that it answers with.
        hangs: Never answers until it is set.
    """

    def __init__(self, status: int = 200, *, hangs: bool = False) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.paths: SimpleQueue[str] = SimpleQueue()
        self.answers = threading.Event()
        if not hangs:
            self.answers.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append((self.path, body))
                collector.paths.put(self.path)
                collector.answers.wait()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            @override
            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def text(self) -> str:
        """All that was sent, readable; texts stand in protobuf as they are."""
        return "".join(body.decode("utf-8", "replace") for _, body in self.bodies)

    def spans(self) -> dict[str, list[Span]]:
        """All spans, by the name of the service."""
        found: dict[str, list[Span]] = {}
        for path, body in self.bodies:
            if path.endswith("/v1/traces"):
                for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                    spans = [span for scope in each.scope_spans for span in scope.spans]
                    found.setdefault(attributes(each.resource)["service.name"], []).extend(spans)
        return found

    def points(self) -> dict[str, float]:
        """The last value of each metric that is a number, as ``service name{labels}``."""
        found: dict[str, float] = {}
        for path, body in self.bodies:
            if path.endswith("/v1/metrics"):
                for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for metric in (metric for scope in each.scope_metrics for metric in scope.metrics):
                        for labels, value in _points(metric):
                            found[f"{metric.name}{json.dumps(labels, sort_keys=True)}"] = value
        return found


def _points(metric: Any) -> Iterator[tuple[dict[str, Any], float]]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        value = point.count if kind == "histogram" else point.as_double or point.as_int
        yield attributes(point), value


def attributes(holder: Any) -> dict[str, Any]:
    """The attributes of a resource, a span or a point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}


@dataclass
class Ended:
    """Two processes that have ended."""

    codes: tuple[int, int]
    tap_log: str
    loader_log: str
    output: bytes
    files: Mapping[str, str] = field(default_factory=dict)


def pipe(
    world: World,
    vendor: str,
    folder: Path,
    *,
    config: Mapping[str, Any],
    env: Mapping[str, str],
    python: Sequence[str] = (),
) -> Ended:
    """``tap | target-duckhouse``, both with a metrics file.

    Args:
        world: Where the tap reads.
        vendor: Which tap.
        folder: Where everything goes.
        config: Settings of the tap.
        env: Variables of both.
        python: Options of the interpreter.
    """
    settings = folder / "tap.json"
    settings.touch(mode=0o600)
    settings.write_text(json.dumps({**world.config(vendor), **config}))
    variables = {**os.environ, **world.env(vendor), **env}
    command = [sys.executable, *python, "-m"]
    with (folder / "tap.log").open("wb") as log:
        tap = subprocess.Popen(
            [*command, f"tap_{vendor}", "--config", str(settings), "--metrics-file", str(folder / "tap.prom")],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    loader = subprocess.run(
        [*command, "target_duckhouse", "--metrics-file", str(folder / "target.prom")],
        env={**variables, "TARGET_DUCKHOUSE_PATH": str(folder / "warehouse.duckdb")},
        stdin=tap.stdout,
        capture_output=True,
        check=False,
    )
    assert tap.stdout
    tap.stdout.close()
    codes = tap.wait(), loader.returncode
    files = {name: (folder / name).read_text() for name in ("tap.prom", "target.prom") if (folder / name).exists()}
    return Ended(codes, (folder / "tap.log").read_text(), loader.stderr.decode(), loader.stdout, files)
