"""Reading a WebSocket feed: for a time, over lost connections, record by record.

A feed has no pages, no past and no end. `FeedConnection` keeps a connection up and hands over what comes;
`FeedStream` makes a Singer stream of it that ends after a time or a number of messages.
"""

from __future__ import annotations

import logging
import os
import ssl
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

import certifi
import msgspec
from typing_extensions import override

from tap_core.clock import real_seconds
from tap_core.emit import Marker
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
from tap_core.fetch import Arrival, Slice
from tap_core.retry import Attempts, in_words, retry_after
from tap_core.stream import CoreStream, prepared
from tap_core.timestamps import parse, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from websockets.sync.client import ClientConnection

    from tap_core.auth import Auth
    from tap_core.client import ApiClient
    from tap_core.clock import Clock
    from tap_core.fetch import Workers
    from tap_core.retry import Meter, RetryPolicy

__all__ = ["FeedConnection", "FeedStream"]

logger = logging.getLogger(__name__)

_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.WARNING)  # below that, the library logs the headers of its handshake, credentials and all

BEAT_S: Final = 0.25
"""Seconds of silence after which the reader looks at its bounds and at signals."""

STEADY_S: Final = 60.0
"""Seconds after which a connection over which nothing comes counts as a good one."""

PING_S: Final = 20.0
"""Seconds between two pings, and seconds that the answer may take."""

BATCH: Final = 500
"""Messages that are handed over at once at most."""

REMEMBERED: Final = 10_000
"""Messages back to which a double is recognised."""

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
    """A WebSocket that is opened again whenever it is lost. The library answers pings, and sends its own.

    Args:
        url: Where to connect: ``wss://``, or ``ws://`` on this machine.
        auth: Credentials for the handshake; renewed once where they are refused.
        clock: Tells the time and waits.
        retry: How patient to be with a server that does not let itself be connected to.
        workers: Connects there, so that nobody has to wait for it.
        timeout_s: Seconds for the handshake.
        user_agent: What the tap calls itself.
        meter: Counts handshakes.
        what: A short label for messages.
        since: Until when the feed was seen by an earlier run, if it was.
        ping_s: Seconds between two pings, and seconds that the answer may take.

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

    @property
    def seen_until(self) -> datetime | None:
        """Until when everything was seen that came; None if it never was connected."""
        return self._clock.now() if self.is_up else self._since

    def batches(self, lost: Callable[[Lost], None]) -> Generator[Sequence[Message]]:
        """What comes, as it comes; an empty batch now and then while nothing does. It never ends by itself.

        Args:
            lost: Called once the feed is seen again.

        Raises:
            AuthError: The credentials are refused.
            ApiError: The feed cannot be had, or not within the bounds of the retry policy.
        """
        attempts = Attempts(self._retry)
        while True:
            started = real_seconds()
            try:
                with (yield from self._opened()) as connection:
                    opened = real_seconds()
                    self._up(lost)
                    for batch in self._receive(connection):
                        if batch or real_seconds() - opened > STEADY_S:
                            attempts = Attempts(self._retry)
                        yield batch
                # What a good connection lasted is no time that was lost on trying.
                started = real_seconds()
                failure: TransientError = NetworkError(f"{self._what}: the connection was lost")
            except TransientError as error:
                failure = error
            wait_s = attempts.wait_after(failure, real_seconds() - started)
            self._meter.retried(str(failure))
            logger.info("%s; connecting again in %.1f s", failure, wait_s)
            yield from self._pause(wait_s)

    def _up(self, lost: Callable[[Lost], None]) -> None:
        if self._since is not None:
            lost(Lost(self._since, self._clock.now()))
        self.is_up = True

    def _down(self, unseen_s: float) -> None:
        """The connection is gone, or has been dead for so many seconds of real time."""
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
                ssl=_tls() if self._url.startswith("wss:") else None,
                logger=_wire,
            )
        except TimeoutError:
            raise NetworkError(f"{self._what}: no connection within {self._timeout_s:g} s") from None
        except exceptions.InvalidStatus as error:
            raise self._refusal(error.response.status_code, error.response.headers) from None
        except (exceptions.InvalidHandshake, exceptions.ConnectionClosed) as error:
            raise NetworkError(f"{self._what}: no WebSocket handshake ({type(error).__name__})") from None
        except ssl.SSLCertVerificationError:
            raise ApiError(f"{self._what}: the server's certificate is not to be trusted") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise NetworkError(f"{self._what}: no connection ({reason})") from None
        return connection

    def _refusal(self, status: int, headers: Any) -> ApiError | AuthError:
        said = f"{self._what}: the handshake is answered with {status}"
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
        """Batches until the connection is gone; what came before its end is handed over first."""
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
                # Whoever answers no pings may have been gone since the last one that was answered.
                silent = closed.rcvd is None and closed.sent is not None and closed.sent.code == _NO_PONG
                self._down(2 * self._ping_s + _CLOSE_S if silent else 0.0)
                yield batch
                return
            yield batch


def _hang_up(opened: Future[ClientConnection]) -> None:
    """Close a connection that nobody wants any more."""
    if opened.exception() is None:
        opened.result().close()


def _websockets() -> tuple[Any, Any]:
    try:
        import websockets.exceptions  # noqa: PLC0415  an extra that only feeds need
        import websockets.sync.client  # noqa: PLC0415  the same
    except ModuleNotFoundError:
        raise ConfigError("this stream needs a WebSocket library: pip install 'merchant-taps[realtime]'") from None
    return websockets.sync.client, websockets.exceptions


def _tls() -> ssl.SSLContext:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=bundle)
    if not bundle:
        context.load_verify_locations(certifi.where())
    return context


class FeedStream(CoreStream):
    """A stream of what comes over a WebSocket: one JSON object per message.

    It ends after ``seconds`` or ``messages``. Records go out as they come, and a STATE follows them soon. Doubles are
    dropped by their id; a message that is no JSON object is counted and dropped, because there is nothing to load.

    Attributes:
        identity: The member of a message by which doubles are known; messages without it are all different.
    """

    identity: ClassVar[str] = "id"
    snapshot = False

    @property
    def feed_url(self) -> str:
        """Where to connect."""
        query = urlencode(self.params(Slice(), None))
        return "ws" + self.url_base.removeprefix("http") + self.path + (f"?{query}" if query else "")

    @property
    def seconds(self) -> float:
        """How long to read, in seconds of real time; 0 has no end."""
        raise NotImplementedError

    @property
    def messages(self) -> int:
        """How many records to read; 0 is any number."""
        raise NotImplementedError

    @cached_property
    def _seen(self) -> dict[str, None]:
        return {}

    @override
    def marker(self) -> Marker | None:
        """Everything is emitted: what comes over a feed comes once."""
        return Marker(self.replication_key) if self.incremental and self.replication_key else None

    @cached_property
    def connection(self) -> FeedConnection:
        """The connection of this run."""
        client: ApiClient = self.client(Slice())
        return FeedConnection(
            self.feed_url,
            auth=client.auth,
            clock=self.tap.clock,
            retry=self.tap.retry_policy,
            workers=self.tap.workers,
            timeout_s=float(self.config["connect_timeout_s"]),
            user_agent=self.tap.user_agent,
            meter=self.meter,
            what=f"{self.name}: {self.path}",
            since=self._seen_before(),
        )

    @override
    def arrivals(self) -> Iterator[Arrival]:
        part, end, left = Slice(last=True), real_seconds() + (self.seconds or float("inf")), self.messages
        batches = self.connection.batches(self._lost)
        try:
            for batch in batches:
                rows = self.new_rows(batch)
                rows = rows[:left] if self.messages else rows
                left -= len(rows)
                yield Arrival(part, rows, live=True)
                if (self.messages and left <= 0) or real_seconds() >= end or self.tap.stopping:
                    break
        finally:
            batches.close()
        yield Arrival(part, done=True, live=True)

    def new_rows(self, batch: Sequence[Message]) -> list[msgspec.Raw]:
        """The messages of a batch that are records and were not seen before."""
        rows = []
        for message in batch:
            try:
                body = prepared(message.encode() if isinstance(message, str) else message)
                found = _message(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.meter.count("malformed messages")
                self.tap.warn_once(f"{self.name}: a message is no JSON object; such messages are counted and dropped")
                continue
            mark = bytes(found.get(self.identity, _NULL))
            if mark != _NULL and not self._first(mark):
                self.meter.count("doubles")
                continue
            rows.append(msgspec.Raw(body))
        return rows

    def _first(self, mark: bytes) -> bool:
        key = mark.decode()
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _lost(self, gap: Lost) -> None:
        self.meter.count("gaps")
        self.tap.logger.warning("%s: %s; the feed has no replay, what happened meanwhile is lost", self.name, gap)

    def _seen_before(self) -> datetime | None:
        """Until when an earlier run has read."""
        last = self.remembered.get(_READ_UNTIL)
        try:
            return parse(last) if isinstance(last, str) else None
        except ValueError:
            return None

    @override
    def probe(self) -> bool:
        """Connect, without waiting for a message to come."""
        batches = self.connection.batches(lambda _: None)
        try:
            return bool(next(batch for batch in batches if self.connection.is_up))
        finally:
            batches.close()

    @override
    def close(self, newest: str | None) -> None:
        super().close(newest)
        if (until := self.connection.seen_until) is not None:
            self.remembered[_READ_UNTIL] = text_of(until)


_READ_UNTIL: Final = "read_until"
_NULL: Final = b"null"
_message = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
