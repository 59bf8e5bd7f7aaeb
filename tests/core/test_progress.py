"""What a run shows on standard error: lines or a live display, and a table at the end."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import threading
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_core.output.logs import ERASE
from tap_core.output.meters import StreamMeter
from tap_core.output.progress import Progress
from tap_core.reading.fetch import Slice
from tests.core.example import start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.conftest import Lists, Seen


def test_a_line_says_records_requests_place_and_wait() -> None:
    meter = StreamMeter("orders", records=12_345, requests=67)
    part = Slice({"customer": 7})
    for _ in range(2):
        meter.moved(part, lambda each: f"customer {each.partition['customer']}")
    assert meter.line() == "orders: 12,345 records in 67 requests, customer 7 page 2"
    with meter.waiting("503 Service Unavailable", 1), meter.waiting("rate limit", 59.6):
        assert meter.line() == "orders: 12,345 records in 67 requests, waiting 60 s: rate limit"
    meter.expected = 70
    assert meter.line().startswith("orders: 12,345 records in 67 of 70 requests, ")
    meter.expected = 60
    assert meter.line().startswith("orders: 12,345 records in 67 requests, "), "what was expected was too little"


def test_a_wait_is_shown_until_all_threads_go_on() -> None:
    meter = StreamMeter("orders")
    assert meter.wait == ""
    longer, shorter = meter.waiting("rate limit", 50), meter.waiting("503 Service Unavailable", 5)
    with longer:
        shorter.__enter__()
        assert meter.wait == "waiting 50 s: rate limit"
    assert meter.wait == "waiting 5 s: 503 Service Unavailable"
    shorter.__exit__(None, None, None)
    assert meter.wait == ""


def test_counters_are_exact_from_many_threads() -> None:
    meter = StreamMeter("orders")

    def work() -> None:
        for _ in range(500):
            meter.requested()
            meter.retried("x")
            meter.count("missing")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (meter.requests, meter.retries, meter.notes) == (4000, 4000, {"missing": 4000})


class Signal(logging.Handler):
    """Tells when something was logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said = threading.Event()
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.said.set()


def test_without_a_terminal_lines_tell_of_the_streams_that_are_read() -> None:
    logger, handler = logging.getLogger("tests.progress"), Signal()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        progress = Progress(logger, every_s=0.001)
        progress.meter("events").state = "done"
        progress.meter("orders").start()
        with progress.shown():
            assert handler.said.wait(30)
        assert {line.partition(":")[0] for line in handler.lines} == {"orders"}
    finally:
        logger.removeHandler(handler)


def test_the_table_tells_of_each_stream() -> None:
    with redirect_stderr(io.StringIO()) as said:
        progress = Progress(logging.getLogger("tests.progress"))
        orders, events, parts = (progress.meter(name) for name in ("orders", "events", "parts"))
        orders.records, orders.requests, orders.retries, orders.state = 12_345, 1_234, 5, "done"
        orders.before, orders.after = "2024-01-01T00:00:00.000000Z", "2024-02-01T00:00:00.500000Z"
        orders.count("[missing]", 3)
        events.state = "failed"
        parts.state, parts.shares_requests, parts.records = "done", True, 7
        progress.summarize(["events", "orders", "parts", "places"], {"events": "events: 500"})
    lines = {
        line.split()[0]: re.split(r"\s{2,}", line.strip()) for line in said.getvalue().splitlines() if line.strip()
    }
    assert lines["orders"] == [
        "orders",
        "12,345",
        "1,234",
        "5",
        "0.0",
        "2024-01-01T00:00:00Z",
        "2024-02-01T00:00:00.500000Z",
        "done, 3 [missing]",
    ]
    assert lines["events"][-1] == "failed"
    assert lines["parts"][1:4] == ["7", "-", "-"]
    assert lines["places"][-1] == "not read"


def test_on_a_terminal_progress_log_lines_and_another_process_leave_each_other_whole(
    tmp_path: Path, lists: Lists
) -> None:
    """The other process, such as a loader, writes over the line of progress as its own log lines do."""
    shown = threading.Event()

    def respond(request: Seen) -> Any:
        if request.target == "/events":
            assert shown.wait(60)
        return lists.respond(request)

    lists.server.respond = respond
    lists.rows["/events"] = [{"id": "a"}]
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm", "COLUMNS": "120"}
    with start(tmp_path, lists.config, stdout=-1, stderr=theirs, env=environment) as process:
        said = b""
        while piece := _read(ours):
            said += piece
            if not shown.is_set() and re.search(rb"2 of 4 streams done: events: 0 records in 1 request", said):
                os.write(theirs, f"{ERASE}another process\n".encode())
                os.close(theirs)
                shown.set()
        assert process.stdout is not None
        output = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, said.decode()
    assert all(json.loads(line)["type"] for line in output.splitlines())
    assert b"\x1b" not in output
    lines = _screen(said.decode())
    assert "another process" in lines
    assert not [line for line in lines if "streams done" in line]
    assert [line[9:].partition(" record")[0] for line in lines if " in 1 request, " in line] == [
        "tap-example  orders: 0",
        "tap-example  events: 1",
        "tap-example  places: 0",
    ]
    assert [line for line in lines if "bookmark after" in line]


def _screen(written: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    lines = [""]
    for part in re.findall(r"\r|\n|\x1b\[K|\x1b\[[0-9;?]*[A-Za-z]|[^\r\n\x1b]+", written):
        if part == "\n":
            lines.append("")
            at = 0
        elif part == "\r":
            at = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:at]
        elif part[0] != "\x1b":
            lines[-1] = lines[-1][:at] + part + lines[-1][at + len(part) :]
            at += len(part)
    return [line.rstrip() for line in lines]


def _read(end: int) -> bytes:
    """What comes next from a terminal; nothing once its other end is closed."""
    try:
        return os.read(end, 4096)
    except OSError:
        return b""
