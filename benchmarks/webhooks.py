"""How many deliveries a receiver takes, and how long an answer takes: ``python -m benchmarks.webhooks``.

Deliveries are sent at a fixed rate, whether earlier ones are answered or not, from a process of its own; the time of
each runs from when it was due. All of them are on disk when they are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.measure import PYTHON, ROOT

KEY = "a-key-for-the-benchmark-of-webhooks"
PATH = f"/peek/default/{KEY}"
PERCENTILES = (50, 90, 99, 99.9)
BODY = json.dumps({"booking": {"uuid": "89fe0192-ddcd-430a-b285-e1396a4725d2", "notes": "x" * 1_900}}).encode()
REQUEST = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    PATH.encode(),
    len(BODY),
    BODY,
)
ANSWERED = b"HTTP/1.1 200 OK\r\n"
CONNECTIONS = 256


class Sender(asyncio.Protocol):
    """One connection, on which one delivery is under way at a time."""

    def __init__(self, idle: asyncio.LifoQueue[Sender], times: list[float]) -> None:
        self._idle, self._times = idle, times
        self._due = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._idle.put_nowait(self)

    def send(self, due: float) -> None:
        self._due, self._answer = due, b""
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if b"\r\n\r\n" in self._answer:
            if not self._answer.startswith(ANSWERED):
                raise SystemExit(f"answered {self._answer[:60]!r}")
            self._times.append(time.perf_counter() - self._due)
            self._idle.put_nowait(self)


async def deliver(port: int, rate: int, seconds: int) -> list[float]:
    """Seconds that each delivery took."""
    loop, times = asyncio.get_running_loop(), list[float]()
    idle: asyncio.LifoQueue[Sender] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Sender(idle, times), "127.0.0.1", port)
    begun = time.perf_counter()
    for number in range(rate * seconds):
        due = begun + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        (await idle.get()).send(due)
    for _ in range(CONNECTIONS):  # the last ones are idle again
        await idle.get()
    return sorted(times)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="deliveries a second")
    parser.add_argument("--seconds", type=int, default=20, help="for how long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spool, config = Path(folder, "spool.db"), Path(folder, "webhooks.json")
        config.touch(mode=0o600)
        endpoint = {"vendor": "peek", "key": KEY}
        config.write_text(json.dumps({"spool": str(spool), "port": 0, "endpoints": [endpoint]}), encoding="utf-8")
        command = [PYTHON, "-m", "merchant_webhooks", "serve", "--config", str(config)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as receiver:
            try:
                assert receiver.stderr
                found = re.search(r":(\d+) for", receiver.stderr.readline())
                assert found
                times = uvloop.run(deliver(int(found[1]), options.rate, options.seconds))
            finally:
                receiver.send_signal(signal.SIGTERM)
        with closing(sqlite3.connect(spool)) as con:
            (kept,) = con.execute("SELECT count(*) FROM deliveries").fetchone()
    assert kept == len(times)
    print(f"{kept:,} deliveries of {len(BODY):,} bytes, {options.rate:,} a second, all kept")
    for percentile in PERCENTILES:
        print(f"p{percentile:g}: {times[min(len(times) - 1, int(len(times) * percentile / 100))] * 1_000:.1f} ms")


if __name__ == "__main__":
    main()
