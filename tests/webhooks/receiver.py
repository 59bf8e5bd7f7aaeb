"""A receiver in a process of its own, and what is delivered to it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["KEY", "Receiver"]

KEY = "k3y-0123456789abcdef0123456789abcdef"


class Receiver:
    """Starts, stops and kills a receiver, and looks into its spool.

    Args:
        folder: Where its files are.
        endpoints: Vendor and account of each endpoint; all keys are `KEY` with a number behind.
        headers: What each delivery to an endpoint must carry, by the endpoint's name.
        **settings: Further settings.
    """

    def __init__(
        self, folder: Path, *endpoints: tuple[str, str], headers: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self.spool = folder / "spool.db"
        named = endpoints or (("peek", "default"),)
        self.paths = {f"{v}/{a}": f"/{v}/{a}/{KEY}{number}" for number, (v, a) in enumerate(named)}
        listed = [
            {"vendor": v, "account": a, "key": f"{KEY}{number}", "header": (headers or {}).get(f"{v}/{a}")}
            for number, (v, a) in enumerate(named)
        ]
        self.config = folder / "webhooks.json"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps({"endpoints": listed, "spool": str(self.spool), "port": 0, **settings}))
        self.log = folder / "receiver.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        if self.process is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "merchant_webhooks", *arguments, "--config", str(self.config)]

    def start(self, *, file_bytes: int | None = None, to_log: bool = False) -> None:
        """Start it, and wait until it listens.

        Args:
            file_bytes: No file of it may grow beyond this.
            to_log: What it says goes to the end of a file, `log`.
        """
        with self.log.open("ab") if to_log else nullcontext(subprocess.PIPE) as said:
            process = subprocess.Popen(self.command("serve"), stderr=said, env=environment())
        line = b""
        if process.stderr:
            line = process.stderr.readline()
        while to_log and process.poll() is None and not line.endswith(b"\n"):
            line = self.log.read_bytes().rpartition(b"\0")[2]
        found = re.search(rb"listening on 127\.0\.0\.1:(\d+)", line)
        assert found, line + (process.stderr.read() if process.stderr else b"")
        self.process, self.port = process, int(found[1])
        self.limit(file_bytes)
        # The same port again after a kill, as a vendor would try it.
        config = json.loads(self.config.read_text()) | {"port": self.port}
        self.config.write_text(json.dumps(config))

    def limit(self, file_bytes: int | None) -> None:
        """Let no file of it grow beyond a size from now on; None lets them grow again."""
        assert self.process
        soft = resource.RLIM_INFINITY if file_bytes is None else file_bytes
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def hang_up(self) -> None:
        """Read no more of what it says."""
        assert self.process
        assert self.process.stderr
        self.process.stderr.close()
        self.process.stderr = None

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal and wait; returns the exit code and what was said since the start, if that was read here."""
        process, self.process = self.process, None
        assert process
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        return process.returncode, (said or b"").decode()

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None:
            self.end(signal.SIGKILL)

    def url(self, name: str = "peek/default") -> str:
        return f"http://127.0.0.1:{self.port}{self.paths[name]}"

    def ask(
        self, path: str, body: bytes | Iterable[bytes] | None = None, method: str = "POST", **headers: str
    ) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read()

    def post(self, body: bytes, name: str = "peek/default", **headers: str) -> int:
        return self.ask(self.paths[name], body, **headers)[0]

    def burst(self, bodies: list[bytes], threads: int = 8, kill_after: int | None = None) -> list[bytes]:
        """Deliver side by side until all are sent or nobody listens; returns what was answered 200.

        Args:
            bodies: What is delivered.
            threads: How many connections there are.
            kill_after: After how many answers the receiver is killed.
        """
        answers = itertools.count(1)

        def some(part: list[bytes]) -> list[bytes]:
            answered = []
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
                for body in part:
                    try:
                        connection.request("POST", self.paths["peek/default"], body)
                        response = connection.getresponse()
                        response.read()
                    except (OSError, http.client.HTTPException):
                        break
                    if response.status == 200:
                        answered.append(body)
                    if next(answers) == kill_after and self.process:
                        self.process.kill()
            return answered

        with ThreadPoolExecutor(threads) as pool:
            found = pool.map(some, [bodies[start::threads] for start in range(threads)])
            return [body for part in found for body in part]

    def bodies(self) -> list[bytes]:
        """What the spool holds, in order."""
        return [bytes(body) for (body,) in self.query("SELECT body FROM deliveries ORDER BY position")]

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.spool)) as con, con:
            return con.execute(statement, values).fetchall()

    def metric(self, name: str) -> float:
        text = self.ask("/metrics", method="GET")[1].decode()
        line = next(line for line in text.splitlines() if line.startswith(f"merchant_webhooks_{name} "))
        return float(line.rpartition(" ")[2])


def environment() -> dict[str, str]:
    """The environment of our processes."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    return {name: value for name, value in os.environ.items() if name not in left_out}
