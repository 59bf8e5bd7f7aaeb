"""Starts a sandbox and speaks its control API, with nothing but the standard library.

Example:
    >>> with Sandbox() as sandbox:
    ...     world = sandbox.world(seed=7)
    ...     world.fault("peakium", "/invoices", "status", status=503, times=3)
    ...     run_the_tap(config=world.config("peakium"), env=world.env("peakium"))
    ...     assert world.stats("peakium")["writes"] == []
    ...     assert rows == world.truth("peakium", "invoices")
"""

from __future__ import annotations

import http.client
import json
import os
import select
import ssl
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from merchant_sandbox.deliver import Delivered, Habits, deliver
from merchant_sandbox.environment import tap_environment
from merchant_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Sandbox", "SandboxError", "World"]

_START_S = 60.0
_STOP_S = 5.0
_CALL_S = 600.0


class Sandbox:
    """A running sandbox: one that this object starts and stops, or one that is already running.

    Args:
        url: Base URL of a sandbox that is already running; None starts one on a free port on entering the context.
        size: Size of the world ``default``.
        seed: Seed of the world ``default``.
        tls: Paths of a certificate chain and its key, in PEM, for https.
        python: Interpreter that runs the sandbox.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        size: str = "small",
        seed: int = 1,
        tls: tuple[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.url = url or ""
        self._command = [python, "-m", "merchant_sandbox", "serve", "--until-eof", "--size", size, "--seed", str(seed)]
        if tls:
            self._command += ["--tls-cert", tls[0], "--tls-key", tls[1]]
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if not self.url:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it accepts connections.

        It runs in its own session, so that Ctrl-C does not reach it before those who read from it, and it ends when
        this process does, however that happens.

        Raises:
            SandboxError: It ended at once or said nothing for a minute.
        """
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_S)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            *_, last = ["it said nothing", *self.stderr().splitlines()]
            self.stop()
            raise SandboxError(f"the sandbox did not start: {last.removeprefix('merchant-sandbox: ')}")
        self.url = json.loads(line)["url"]

    def stop(self) -> None:
        """Stop the process if this object started it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        if self._stderr:
            self._stderr.close()

    @property
    def pid(self) -> int | None:
        """Process id of a sandbox that this object started."""
        return self._process.pid if self._process else None

    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        if self._stderr is None or self._stderr.closed:
            return ""
        self._stderr.flush()
        return os.pread(self._stderr.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def call(self, action: str, **arguments: Any) -> Any:
        """One control call.

        Raises:
            SandboxError: There is no sandbox at the URL, or it refused the call.
        """
        scheme, place = _place(self.url)
        try:
            with closing(_connect(scheme, place)) as connection:
                connection.request(
                    "POST", f"/_control/{action}", json.dumps(arguments), {"Content-Type": "application/json"}
                )
                response = connection.getresponse()
                answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or "the answer is not a sandbox's"
            raise SandboxError(f"no sandbox at {scheme}://{place}: {reason}") from error
        if response.status != http.client.OK:
            raise SandboxError(answer["error"])
        return answer

    def vendors(self) -> list[str]:
        """Names of the vendors that the sandbox emulates."""
        names: list[str] = self.call("vendors")
        return names

    def world(
        self,
        name: str | None = None,
        *,
        seed: int = 1,
        size: str = "small",
        ticks: int = 0,
        clock_start: float | None = None,
        clock_rate: float = 1.0,
        switches: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> World:
        """Make a world; an existing one of that name is replaced.

        Args:
            name: Letters, digits, - and _; by default a new one.
            seed: Seed of the data.
            size: ``small`` (thousands of rows per vendor), ``demo`` (as many, without odd amounts), ``medium`` (about
                100,000) or ``large`` (about a million).
            ticks: Days of changes on top of the base data.
            clock_start: Virtual time at which its clock starts, in Unix seconds.
            clock_rate: Virtual seconds per real second.
            switches: Behaviour of the vendors: ``{"peakium": {"max_count": 20}}``.
        """
        arguments: dict[str, Any] = {"seed": seed, "size": size, "ticks": ticks, "clock_rate": clock_rate}
        if clock_start is not None:
            arguments["clock_start"] = clock_start
        made = self.call("make_world", name=name, switches=switches or {}, **arguments)
        return World(self, made["name"])

    def elsewhere(self) -> list[dict[str, Any]]:
        """The requests that followed a redirect to another host."""
        log: list[dict[str, Any]] = self.call("elsewhere")
        return log

    def full_listener(self) -> str:
        """URL of a listener that never accepts, so that connecting to it times out."""
        url: str = self.call("full_listener")
        return url


def _place(url: str) -> tuple[str, str]:
    """Scheme, host and port of a sandbox's URL; the rest, such as a password, is left out of messages."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port:
            return parts.scheme, parts.netloc.rpartition("@")[2]
    except ValueError:
        pass
    raise SandboxError("the URL of a sandbox reads http://127.0.0.1:PORT")


def _connect(scheme: str, address: str) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(address, timeout=_CALL_S)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(address, timeout=_CALL_S, context=trusting)


class World:
    """One world of a sandbox.

    Args:
        sandbox: The sandbox.
        name: Name of an existing world.
    """

    def __init__(self, sandbox: Sandbox, name: str = "default") -> None:
        self._sandbox = sandbox
        self.name = name

    def _call(self, action: str, **arguments: Any) -> Any:
        return self._sandbox.call(action, world=self.name, **arguments)

    def url(self, vendor: str) -> str:
        """The tap's ``api_url`` for this vendor."""
        url: str = self.config(vendor)["api_url"]
        return url

    def config(self, vendor: str, **more: Any) -> dict[str, Any]:
        """The tap's settings: ``api_url``, credentials, whatever else it needs, and ``more``."""
        return {**self._call("config", vendor=vendor), **more}

    def clock(self) -> str:
        """The value of ``MERCHANT_CLOCK``."""
        clock: str = self.describe()["clock"]
        return clock

    def env(self, vendor: str) -> dict[str, str]:
        """``MERCHANT_CLOCK``, and the settings as ``TAP_<NAME>_<SETTING>``."""
        return {"MERCHANT_CLOCK": self.clock(), **tap_environment(vendor, self.config(vendor))}

    def describe(self) -> dict[str, Any]:
        """Name, URL, seed, size, ticks and clock."""
        description: dict[str, Any] = self._call("describe")
        return description

    def tick(self, n: int = 1) -> None:
        """Move the data on by ``n`` days: records are added, changed and deleted."""
        self._call("tick", number=n)

    def advance(self, seconds: float) -> None:
        """Put the clock forward. Only processes that are given `clock` afterwards notice."""
        self._call("advance", seconds=seconds)

    def fault(
        self,
        vendor: str,
        route: str,
        kind: str,
        *,
        times: int | None = 1,
        after: int = 0,
        every: int | None = None,
        probability: float | None = None,
        seed: int = 1,
        where: Mapping[str, str] | None = None,
        **details: Any,
    ) -> int:
        """Switch a fault on; ``docs/sandbox.md`` lists the kinds and their details.

        Args:
            vendor: Name of the vendor.
            route: Pattern of a route (``/invoices``), ``METHOD pattern``, or ``*`` for all.
            kind: Kind of fault.
            times: How often it strikes; None: always.
            after: Number of matching requests that pass first.
            every: Strikes only every n-th matching request.
            probability: Chance to strike, decided by ``seed`` and the number of the request.
            seed: Seed of that chance.
            where: Query parameters that a matching request must have.
            **details: What the kind takes.

        Returns:
            The fault's id.
        """
        arguments: dict[str, Any] = {
            "times": times,
            "after": after,
            "seed": seed,
            "where": dict(where or {}),
            **details,
        }
        if every is not None:
            arguments["every"] = every
        if probability is not None:
            arguments["probability"] = probability
        number: int = self._call("add_fault", vendor=vendor, route=route, kind=kind, **arguments)["id"]
        return number

    def faults(self, vendor: str) -> list[dict[str, Any]]:
        """The faults that are on, with how many requests each has ``seen`` and how often it has ``fired``."""
        faults: list[dict[str, Any]] = self._call("list_faults", vendor=vendor)
        return faults

    def clear_faults(self, vendor: str | None = None) -> None:
        """Switch all faults off."""
        self._call("clear_faults", vendor=vendor)

    def switch(self, vendor: str, **values: Any) -> None:
        """Change the behaviour of a vendor."""
        self._call("switch", vendor=vendor, values=values)

    def truth(self, vendor: str, stream: str, **options: Any) -> list[dict[str, Any]]:
        """The records as they must be in the warehouse, in the order served.

        Missing and null mean the same, in nested objects too.

        Args:
            vendor: Name of the vendor.
            stream: Name of the stream.
            **options: Settings of the tap that change its records (Peakium: ``expand=["customer"]``).
        """
        rows: list[dict[str, Any]] = self._call("truth", vendor=vendor, stream=stream, **options)
        return rows

    def told(self, vendor: str) -> list[dict[str, Any]]:
        """What a vendor tells webhooks of the last day: ``at``, ``account`` and ``body``, in order."""
        told: list[dict[str, Any]] = self._call("told", vendor=vendor)
        return told

    def deliver(self, vendor: str, to: Mapping[str, str], **habits: Any) -> Delivered:
        """Deliver what a vendor tells webhooks of the last day.

        Args:
            vendor: Name of the vendor.
            to: The address of each account's receiver.
            **habits: What `merchant_sandbox.deliver.Habits` takes.
        """
        return deliver(self.told(vendor), to, Habits(**habits))

    def stats(self, vendor: str | None = None) -> dict[str, Any]:
        """Counters of one vendor, or of all by name."""
        if vendor is None:
            return {name: self.stats(name) for name in self._sandbox.vendors()}
        counters: dict[str, Any] = self._call("stats", vendor=vendor)
        return counters

    def requests(self, vendor: str) -> list[dict[str, Any]]:
        """The requests received, in order; secrets in headers are replaced by a fingerprint."""
        log: list[dict[str, Any]] = self._call("requests", vendor=vendor)
        return log

    def drop(self) -> None:
        """Forget the world."""
        self._call("drop_world")
