"""A WebSocket that is kept open across lost connections: what arrived, and the gaps in which nothing could be seen."""

from __future__ import annotations

import logging
import socket
import ssl
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_core.clock import real_seconds
from tap_core.errors import (
    ApiError,
    AuthError,
    ConfigError,
    ForbiddenError,
    MissingCallError,
    NetworkError,
    ThrottledError,
    TransientError,
)
from tap_core.http.certificates import tls_context
from tap_core.http.retry import Attempts
from tap_core.http.waits import in_words, retry_after
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from websockets.sync.client import ClientConnection

    from tap_core.clock import Clock
    from tap_core.http.auth import Auth
    from tap_core.http.gate import Meter
    from tap_core.http.retry import RetryPolicy
    from tap_core.workers import Workers

__all__ = ["BATCH", "BEAT_S", "PING_S", "STEADY_S", "FeedConnection", "Lost", "Message"]

logger = logging.getLogger(__name__)

_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.WARNING)  # below that, the library logs the headers of its handshake, credentials and all

BEAT_S: Final = 0.25
"""Seconds of silence after which the reader checks its limits and signals."""

STEADY_S: Final = 30.0
"""Seconds after which a silent connection counts as a good one."""

PING_S: Final = 20.0
"""Seconds between two pings, and seconds that the pong may take."""

BATCH: Final = 500
"""Maximum number of messages handed over at once."""

_CLOSE_S: Final = 2.0
_NO_PONG: Final = 1011
_LARGEST_MESSAGE: Final = 4 * 1024 * 1024

Message = str | bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """What could not be seen.

    Args:
        since: When the feed was last connected.
        until: When it was connected again.
    """

    since: datetime
    until: datetime

    def __str__(self) -> str:
        seconds = max(0.0, (self.until - self.since).total_seconds())
        return f"a gap of {in_words(seconds)}, {text_of(self.since)} to {text_of(self.until)}"


class FeedConnection:
    """A WebSocket that is reopened whenever it is lost. The library answers pings and sends its own.

    Args:
        url: Where to connect: ``wss://``, or ``ws://`` on this machine.
        auth: Credentials for the handshake; renewed once if they are refused.
        clock: Tells the time and waits.
        retry: How patient to be with a server that cannot be reached.
        workers: Where connecting happens, so that nothing has to wait for it.
        timeout_s: Seconds for the handshake.
        user_agent: What the tap calls itself.
        meter: Counts handshakes.
        what: A short label for messages.
        since: Until when the feed was seen by an earlier run, if it was.
        ping_s: Seconds between two pings, and seconds that the pong may take.

    Attributes:
        is_up: Whether it is connected.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: Auth,
        clock: Clock,
        retry: RetryPolicy,
        workers: Workers,
        timeout_s: float,
        user_agent: str,
        meter: Meter,
        what: str,
        since: datetime | None = None,
        ping_s: float = PING_S,
    ) -> None:
        self._url = url
        self._auth = auth
        self._clock = clock
        self._retry = retry
        self._workers = workers
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._meter = meter
        self._what = what
        self._since = since
        self._ping_s = ping_s
        self.is_up = False
        self._reached = False

    @property
    def seen_until(self) -> datetime | None:
        """Until when everything that arrived was seen; None if it was never connected."""
        return self._clock.now() if self.is_up else self._since

    def batches(self, lost: Callable[[Lost], None]) -> Generator[Sequence[Message]]:
        """What arrives, as it arrives; an empty batch now and then while nothing does. It never ends by itself.

        Args:
            lost: Called once the feed is back.

        Raises:
            AuthError: The credentials are refused.
            ApiError: The feed cannot be opened, or not within the limits of the retry policy.
        """
        attempts = Attempts(self._retry)
        while True:
            try:
                # Left early, the library would say that something failed (1011); closed before, it says nothing more.
                with (yield from self._opened()) as connection, closing(connection):
                    opened = real_seconds()
                    self._up(lost)
                    for batch in self._receive(connection):
                        if batch or real_seconds() - opened > STEADY_S:
                            attempts = Attempts(self._retry)
                        yield batch
                failure: TransientError = NetworkError(f"{self._what}: the connection was lost")
            except TransientError as error:
                failure = error
            wait_s = attempts.wait_after(failure, failure.seconds)
            self._meter.retried(str(failure))
            logger.info("%s; connecting again in %.1f s", failure, wait_s)
            yield from self._pause(wait_s)

    def _up(self, lost: Callable[[Lost], None]) -> None:
        if self._since is not None:
            lost(Lost(self._since, self._clock.now()))
        self.is_up = True

    def _down(self, unseen_s: float) -> None:
        """The connection is gone, or has been dead for this many seconds of real time."""
        self.is_up = False
        self._since = self._clock.now() - timedelta(seconds=unseen_s * self._clock.rate)

    def _pause(self, seconds: float) -> Iterator[Sequence[Message]]:
        end = self._clock.time() + seconds
        yield ()
        while not self._clock.stopped and (left := end - self._clock.time()) > 0:
            self._clock.sleep(min(left, BEAT_S * self._clock.rate))
            yield ()

    def _opened(self) -> Generator[Sequence[Message], None, ClientConnection]:
        """Connect, with empty batches meanwhile."""
        opening: Future[ClientConnection] = self._workers.submit(self._open)
        try:
            while not wait((opening,), timeout=BEAT_S).done:
                yield ()
        except GeneratorExit:
            if not opening.cancel():
                opening.add_done_callback(_hang_up)
            raise
        return opening.result()

    def _open(self) -> ClientConnection:
        """Connect. A failure knows how long that took, however long the reader was busy with something else."""
        started = real_seconds()
        try:
            return self._signed_in()
        except TransientError as error:
            error.seconds = real_seconds() - started
            raise

    def _signed_in(self) -> ClientConnection:
        credentials = self._auth.headers()
        try:
            return self._connect(credentials)
        except AuthError:
            if not self._auth.renew(credentials):
                raise
            return self._connect(self._auth.headers())

    def _connect(self, credentials: Any) -> ClientConnection:
        client, exceptions = _websockets()
        self._meter.requested()
        try:
            connection: ClientConnection = client.connect(
                self._url,
                additional_headers=credentials,
                user_agent_header=self._user_agent,
                open_timeout=self._timeout_s,
                ping_interval=self._ping_s,
                ping_timeout=self._ping_s,
                close_timeout=_CLOSE_S,
                max_size=_LARGEST_MESSAGE,
                max_queue=None,  # while the target is busy, messages must wait here, or pings would wait behind them
                ssl=tls_context() if self._url.startswith("wss:") else None,
                logger=_wire,
            )
        except TimeoutError:
            raise NetworkError(f"{self._what}: no connection within {self._timeout_s:g} s") from None
        except exceptions.InvalidStatus as error:
            raise self._refusal(error.response.status_code, error.response.headers) from None
        except (exceptions.InvalidHandshake, exceptions.ConnectionClosed) as error:
            raise NetworkError(f"{self._what}: no WebSocket handshake ({type(error).__name__})") from None
        except ssl.SSLCertVerificationError:
            raise ApiError(f"{self._what}: the server's certificate is not trusted") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN and not self._reached:
                raise ApiError(f"{self._what}: the host cannot be found ({reason}); check its address") from None
            raise NetworkError(f"{self._what}: no connection ({reason})") from None
        self._reached = True
        return connection

    def _refusal(self, status: int, headers: Any) -> ApiError | AuthError:
        said = f"{self._what}: the server answers the handshake with {status}"
        if status == HTTPStatus.UNAUTHORIZED:
            return AuthError(f"{said}: the API refuses the credentials; check {self._auth.settings}")
        if status == HTTPStatus.FORBIDDEN:
            return ForbiddenError(f"{said}: these credentials may not read the feed")
        if status == HTTPStatus.NOT_FOUND:
            return MissingCallError(f"{said}: the API has no such feed; correct its path, or deselect the stream")
        wait = retry_after(headers.get("Retry-After"), self._clock.time())
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return ThrottledError(said, wait=wait)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return TransientError(said, wait=wait)
        return ApiError(f"{said}: there is no WebSocket at this address")

    def _receive(self, connection: ClientConnection) -> Iterator[Sequence[Message]]:
        """Batches until the connection is gone; what arrived before that is handed over first."""
        _, exceptions = _websockets()
        while True:
            batch: list[Message] = []
            try:
                batch.append(connection.recv(BEAT_S))
                while len(batch) < BATCH:
                    batch.append(connection.recv(0))
            except TimeoutError:
                pass
            except exceptions.ConnectionClosed as closed:
                # A server that stops answering pings may have been gone since the last answer.
                silent = closed.rcvd is None and closed.sent is not None and closed.sent.code == _NO_PONG
                self._down(2 * self._ping_s + _CLOSE_S if silent else 0.0)
                yield batch
                return
            yield batch


def _hang_up(opened: Future[ClientConnection]) -> None:
    """Close a connection that is no longer needed."""
    if opened.exception() is None:
        opened.result().close()


def _websockets() -> tuple[Any, Any]:
    try:
        import websockets.exceptions  # noqa: PLC0415  an extra that only feeds need
        import websockets.sync.client  # noqa: PLC0415  the same
    except ModuleNotFoundError:
        raise ConfigError(
            "this stream needs a WebSocket library; in a clone of the project: pip install '.[realtime]'"
        ) from None
    return websockets.sync.client, websockets.exceptions
