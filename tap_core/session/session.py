"""One run, as its streams see it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from tap_core import codec
from tap_core.http.client import Network
from tap_core.http.gate import Pace
from tap_core.http.loop import Loop
from tap_core.http.retry import RetryPolicy
from tap_core.http.steps import alone
from tap_core.http.transport import Transport
from tap_core.records.policy import Policy
from tap_core.session.bookmarks import Bookmarks
from tap_core.session.signals import Signals
from tap_core.workers import Workers

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from tap_core.clock import Clock
    from tap_core.http.client import ApiClient
    from tap_core.http.steps import Steps
    from tap_core.output.logs import LogFormat
    from tap_core.output.messages import MessageWriter
    from tap_core.output.progress import Progress

__all__ = ["Session"]

S = TypeVar("S")
T = TypeVar("T")


class Session:
    """What the streams of one run share. What takes time to make is made when it is first needed.

    Args:
        config: The settings, defaults included.
        settings: What the vendor makes of them for its streams.
        state: The state of the run; only `Bookmarks` looks into it.
        clock: Tells the time and waits.
        user_agent: What the tap calls itself.
        writer: Where messages go.
        logger: Where everything for people to read goes.
        make_clients: Makes one client for each account, by the account's name.
        account: A keyed digest of the address and the credentials.
        digest: Makes the digest of a text, keyed with the credentials: the same in each run, and of no use to others.

    Attributes:
        started: When the run started.
        policy: What happens to unknown fields, personal data and secrets.
        signals: The signals that reach the run.
        streams: All streams of the tap, in the order of reading.
        log_format: The form of log lines; set it before the run.
        most_retry_s: What ``retry_max_s`` may be at most, for a run that somebody is waiting for; set it before the
            first call.
        failed: The streams that have failed so far, or of which a part could not be read.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        settings: Any,
        state: MutableMapping[str, Any],
        clock: Clock,
        user_agent: str,
        writer: MessageWriter,
        logger: logging.Logger,
        make_clients: Callable[[Network], Mapping[str, ApiClient]],
        account: str,
        digest: Callable[[str], str],
    ) -> None:
        self.config = config
        self.settings = settings
        self.clock = clock
        self.user_agent = user_agent
        self.writer = writer
        self.logger = logger
        self.started = clock.now()
        self.policy = Policy.from_config(config)
        self.signals = Signals(clock.stop)
        self.streams: Sequence[Any] = ()
        self.log_format: LogFormat = "text"
        self.most_retry_s = math.inf
        self.failed: set[str] = set()
        self._state = state
        self._make_clients = make_clients
        self.digest = digest
        self._account = account
        self._warned: set[str] = set()
        self._last_told: tuple[bytes, list[str]] = (b"", [])

    @cached_property
    def workers(self) -> Workers:
        """Threads for what blocks."""
        return Workers(int(self.config["concurrency"]))

    @cached_property
    def loop(self) -> Loop:
        """Where the calls of the run are made, side by side.

        Raises:
            ConfigError: The environment names certificates that cannot be read.
        """
        return Loop(self.workers.count, self.network.transport, self.clock, self.workers)

    def wait_for(self, steps: Steps[T]) -> T:
        """Run a call to its end, here and now; not from within another call."""
        return alone(steps, self.network.transport, self.clock)

    @cached_property
    def network(self) -> Network:
        """The connections of the run, with the patience and the pace that the settings ask for.

        Raises:
            ConfigError: The environment names certificates that cannot be read.
        """
        transport = Transport(
            connect_timeout_s=self.config["connect_timeout_s"],
            read_timeout_s=self.config["read_timeout_s"],
            user_agent=self.user_agent,
            pool_size=self.workers.count,
        )
        retry = RetryPolicy(
            retry_max_s=min(self.config["retry_max_s"], self.most_retry_s),
            max_rate_limit_wait_s=self.config["max_rate_limit_wait_s"],
        )
        pace = Pace(self.config.get("requests_per_second"))
        return Network(transport, self.clock, retry, pace, float(self.config["budget_share"]))

    @cached_property
    def clients(self) -> Mapping[str, ApiClient]:
        """One client for each account: one login and one call budget for all its streams."""
        return self._make_clients(self.network)

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """How far the streams have been read."""
        return Bookmarks(self._state, self.started)

    @cached_property
    def progress(self) -> Progress:
        """What the run shows."""
        from tap_core.output.progress import Progress  # noqa: PLC0415  --version and --discover need not pay for it

        return Progress(self.logger, style=self.log_format)

    def stream(self, kind: type[S]) -> S:
        """The tap's stream of a class."""
        return next(stream for stream in self.streams if isinstance(stream, kind))

    def warn_once(self, message: str) -> None:
        """Log a warning, once per run."""
        if message not in self._warned:
            self._warned.add(message)
            self.logger.warning(message)

    def look_up(self) -> None:
        """Called now and then, also while nothing arrives: end the run if a signal asked for it.

        Raises:
            StoppedError: It did.
        """
        self.writer.idle()
        self.signals.check()

    def write_opening_state(self) -> None:
        """Write where the run begins, before the first SCHEMA: a target can see whether it has what came before.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        self.bookmarks.open(self._account)
        self.write_state()

    def write_state(self, *, force: bool = False) -> None:
        """Write a STATE message after everything that it covers, if it says anything new.

        Beside the state it tells which streams have failed, and what the calls of the run have cost. Both are no part
        of it: they are about this run alone.

        Args:
            force: Write it even if it says nothing new.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        state = self.bookmarks.state
        told = codec.encode(state), sorted(self.failed)
        if state and (force or told != self._last_told):
            self._last_told = told
            beside = {"failed": told[1], "calls": self.progress.calls()}
            about_run = {name: value for name, value in beside.items() if value}
            self.writer.write_line({"type": "STATE", "value": state, **about_run})
