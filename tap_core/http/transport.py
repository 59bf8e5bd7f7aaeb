"""The HTTP client: everything that sends a request to an API goes through `Transport`.

It speaks https, and plain http only to loopback hosts. It never follows a redirect to another host, so that no
credential goes there, and it never reads an endless or huge response. Its errors name the host and nothing else of the
URL, because paths and query strings may contain keys and personal data.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import pycurl

from tap_core.clock import real_seconds
from tap_core.errors import ApiError, ConfigError, NetworkError, StoppedError, TapError, UnreachableError
from tap_core.http.certificates import trust
from tap_core.http.connection import Connection
from tap_core.http.failures import translated
from tap_core.http.message import (
    MEBIBYTE,
    REDIRECTS,
    Headers,
    Request,
    Response,
    decompressed,
    header_lines,
    redirected,
)
from tap_core.http.urls import host_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Exchange", "Transport"]

_MAX_REDIRECTS: Final = 5
_LONGEST_LOOK_S: Final = 1.5
"""What the time between two looks at a request counts at most: in a longer one, nobody was there to look."""
_REMEMBERED: Final = 64


class _Origin(NamedTuple):
    """Where requests go.

    Attributes:
        host: Host and port, for messages.
        options: What libcurl is told of it.
        idle: Connections that wait for the next request. The last one used has the freshest.
    """

    host: str
    options: Sequence[tuple[int, Any]]
    idle: list[Connection]


class Transport:
    """One pool of kept-alive connections, for any number of threads.

    Proxies come from the environment (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``); loopback hosts are never asked
    through one. Certificates are checked against the bundle that ``REQUESTS_CA_BUNDLE`` or ``SSL_CERT_FILE`` names,
    else against the one of certifi and the machine's own store.

    Args:
        connect_timeout_s: Longest time to connect, including name look-up and TLS.
        read_timeout_s: Longest silence while waiting for or reading a response, checked about once a second.
        user_agent: Value of the User-Agent header.
        pool_size: Connections kept open; as many as requests in flight.
        max_body_bytes: Longest body accepted, after decompression.
        deadline_s: Longest time for one whole response, however steadily it drips.

    Attributes:
        is_closed: Whether `close` was called.
        reached: The hosts that have answered.
        longest_look_s: How long a request may be left alone, so that its limits are kept.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        user_agent: str,
        pool_size: int,
        max_body_bytes: int = 256 * MEBIBYTE,
        deadline_s: float = 600.0,
    ) -> None:
        self.connect_timeout_s = connect_timeout_s
        self.read_timeout_s = read_timeout_s
        self.deadline_s = deadline_s
        self.max_body_bytes = max_body_bytes
        self._pool_size = pool_size
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate", "Expect": ""}
        self._lines: dict[tuple[tuple[str, str], ...], list[bytes]] = {}
        self._last_lines: tuple[Mapping[str, str] | None, list[bytes]] = None, []
        self._origins: dict[str, _Origin] = {}
        self._last_origin: tuple[str, _Origin] | None = None
        self.longest_look_s = max(0.01, min(read_timeout_s, connect_timeout_s))
        self.reached: set[str] = set()
        self._trust = _trust_options()
        self.is_closed = False

    def send(self, request: Request, *, is_over: Callable[[], bool] = lambda: False) -> Response:
        """Send a request and wait for the whole response, whatever its status.

        Args:
            request: What to send.
            is_over: Called about once a second while waiting for the response; true ends the request.

        Raises:
            NetworkError: No response or half of one; another try may help.
            ApiError: The API redirects elsewhere or sends too much, or its certificate is not trusted.
            ConfigError: The URL is not one that this transport may call, or a header cannot be sent.
            StoppedError: ``is_over`` said so, or the transport was closed meanwhile.
        """
        exchange = self.begin(request)
        try:
            while (response := exchange.go_on()) is None:
                descriptors, until = exchange.awaited()
                poll = select.poll()
                for descriptor, events in descriptors:
                    poll.register(descriptor, events)
                poll.poll(max(0.0, until - real_seconds()) * 1000)
                if is_over():
                    raise StoppedError("the run was stopped during a request")
        finally:
            exchange.close()
        return response

    def begin(self, request: Request) -> Exchange:
        """Begin to send a request.

        Raises:
            ConfigError: The URL is not one that this transport may call, or a header cannot be sent.
        """
        return Exchange(self, request)

    def connect(self, request: Request) -> tuple[Connection, _Origin]:
        """A connection with a request on it, and where it goes.

        Raises:
            ConfigError: The URL is not one that this transport may call, or a header cannot be sent.
        """
        origin = self._admit(request.url)
        headers = self._header_lines(request.headers)
        connection = _quiet(origin.idle) or Connection(origin.options)
        try:
            connection.begin(request, headers)
        except BaseException:
            connection.close()
            raise
        return connection, origin

    def keep(self, connection: Connection, origin: _Origin) -> None:
        """Take back a connection whose response is complete."""
        if self.is_closed or len(origin.idle) >= self._pool_size:
            connection.close()
        else:
            origin.idle.append(connection)

    def close(self) -> None:
        """End requests in flight, within a second, and close all connections. The transport can't be used again."""
        self.is_closed = True
        for origin in list(self._origins.values()):
            while origin.idle:
                origin.idle.pop().close()

    def _header_lines(self, headers: Mapping[str, str]) -> list[bytes]:
        given, lines_before = self._last_lines
        if headers is given:
            return lines_before
        key = tuple(headers.items())
        lines = self._lines.get(key)
        if lines is None:
            lines = header_lines({**self._headers, **headers})
            if len(self._lines) >= _REMEMBERED:
                self._lines.clear()
            self._lines[key] = lines
        self._last_lines = headers, lines
        return lines

    def _admit(self, url: str) -> _Origin:
        """Let a URL through only if its scheme and host may be called."""
        if (last := self._last_origin) is not None and url.startswith(last[0]):
            return last[1]
        origin = "/".join(url.partition("?")[0].split("/", 3)[:3])
        if (known := self._origins.get(origin)) is not None:
            self._last_origin = f"{origin}/", known  # with the slash, no other host can begin with it
            return known
        try:
            parts = urlsplit(origin)
            hostname, _ = parts.hostname, parts.port
        except ValueError:
            hostname = None
        if not hostname or parts.scheme not in {"https", "http"} or any(map(str.isspace, origin)):
            raise ConfigError("the API's address must be an https URL; check api_url")
        if parts.scheme == "http" and not is_loopback(hostname):
            raise ConfigError(f"plain http to {hostname} would send the credentials in the clear; use https")
        options: list[tuple[int, Any]] = [(pycurl.MAXFILESIZE_LARGE, self.max_body_bytes), *self._trust]
        if is_loopback(hostname):
            options.append((pycurl.NOPROXY, "*"))
        return self._origins.setdefault(origin, _Origin(host_of(origin), options, []))


class Exchange:
    """A request under way, until its response is complete or has failed; redirects included.

    Whoever has begun it calls `go_on` whenever something has happened, or after a second; only one thread may.

    Args:
        transport: Whose connections are used.
        request: What to send.

    Raises:
        ConfigError: As `Transport.begin` says.
    """

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._looked_at = real_seconds()
        self._age_s = 0.0
        self._redirects = 0
        self._connection: Connection | None = None
        self._begin(request)

    def _begin(self, request: Request) -> None:
        self._request = request
        self._connection, self._origin = self._transport.connect(request)
        self._begun_s, self._silence_s = self._age_s, 0.0
        self._received = 0

    def go_on(self) -> Response | None:
        """Do what can be done without waiting.

        Returns:
            The response when it is complete, else None.

        Raises:
            TapError: As `Transport.send` says.
        """
        if self._transport.is_closed:
            raise StoppedError("the run was stopped during a request")
        assert self._connection is not None
        found, now = self._connection.go_on(), real_seconds()
        passed = min(now - self._looked_at, _LONGEST_LOOK_S)
        self._looked_at, self._age_s = now, self._age_s + passed
        try:
            while found == 0:
                response = self._response()
                if response is not None:
                    return response
                found, passed = self._connection.go_on(), 0.0
            if found is not None:
                raise translated(
                    found,
                    self._connection.handle,
                    self._origin.host,
                    limit=self._transport.max_body_bytes,
                    is_connected=self._connection.is_connected,
                    was_reached=self._origin.host in self._transport.reached,
                )
            self._enforce_limits(passed)
        except NetworkError as error:
            error.seconds = self._age_s
            raise
        return None

    def awaited(self) -> tuple[list[tuple[int, int]], float]:
        """What to wait for before the next `go_on`: descriptors with their events, and until when in `real_seconds`."""
        assert self._connection is not None
        descriptors, longest_ms = self._connection.awaited()
        return descriptors, self._looked_at + min(longest_ms / 1000, self._transport.longest_look_s)

    def close(self) -> None:
        """Give it up, if it is still under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _response(self) -> Response | None:
        """The complete response; None if it redirects."""
        connection, transport, host = self._connection, self._transport, self._origin.host
        assert connection is not None
        transport.reached.add(host)
        status = int(connection.handle.getinfo(pycurl.RESPONSE_CODE))
        headers, body = Headers(b"".join(connection.head)), b"".join(connection.body)
        self._connection = None
        transport.keep(connection, self._origin)
        body = decompressed(body, headers, transport.max_body_bytes, host)
        target = headers.get("Location") if status in REDIRECTS else None
        if not target:
            return Response(status, headers, body, self._age_s)
        self._redirects += 1
        if self._redirects > _MAX_REDIRECTS:
            raise ApiError(f"{host} redirects in a loop (more than {_MAX_REDIRECTS} times)")
        self._begin(redirected(self._request, target))
        return None

    def _enforce_limits(self, passed: float) -> None:
        """End an exchange that takes too long, after so many more seconds."""
        assert self._connection is not None
        transport, connection, age_s = self._transport, self._connection, self._age_s - self._begun_s
        received = len(connection.head) + len(connection.body)
        if not connection.is_connected:
            if age_s > transport.connect_timeout_s:
                limit = f"connect_timeout_s = {transport.connect_timeout_s:g}"
                raise self._late(UnreachableError, f"no connection within {limit}")
            return
        self._silence_s = self._silence_s + passed if received == self._received else 0.0
        self._received = received
        if self._silence_s > transport.read_timeout_s:
            raise self._late(NetworkError, f"silent for longer than read_timeout_s = {transport.read_timeout_s:g}")
        if age_s > transport.deadline_s:
            raise self._late(NetworkError, f"the response was not complete within {transport.deadline_s:g} s")

    def _late(self, kind: type[TapError], reason: str) -> TapError:
        return kind(f"{self._origin.host}: {reason}")


def _quiet(idle: list[Connection]) -> Connection | None:
    """A connection that has nothing to read; the others are closed."""
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return None
        if connection.is_quiet:
            return connection
        connection.close()


def _trust_options() -> list[tuple[int, str]]:
    """The options that tell libcurl which certificates to trust."""
    found = trust()
    options = ((pycurl.CAINFO, found.file), (pycurl.CAPATH, found.directory))
    return [(option, path) for option, path in options if path]
