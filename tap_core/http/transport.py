"""The HTTP client behind one function: everything that sends a request to an API goes through `Transport.send`.

It speaks https, and plain http only to loopback hosts. It never follows a redirect to another host, so that no
credential goes there, and it never reads an endless or huge response. Its errors name the host and nothing else of the
URL, because paths and query strings may contain keys and personal data.
"""

from __future__ import annotations

import io
import math
import re
import select
import socket
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import pycurl
from requests.structures import CaseInsensitiveDict

from tap_core.clock import real_seconds
from tap_core.errors import (
    ApiError,
    ConfigError,
    LastingError,
    NetworkError,
    StoppedError,
    TapError,
    UnreachableError,
)
from tap_core.http.certificates import trust
from tap_core.http.urls import host_of, is_loopback, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MEBIBYTE", "Request", "Response", "Transport"]

MEBIBYTE = 1024 * 1024
_CHUNK = 256 * 1024
_GRACE_MS = 5
_LOOK_EVERY_S = 0.2
_MAX_REDIRECTS = 5
_REFUSED = 300
_PROXY_REFUSES = frozenset({401, 403, 407})
_GZIP = b"\x1f\x8b"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_URL_MARKS = ":/?#[]@!$&'()*+,;=%"
_NOT_IN_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. Its text form shows only the method: the rest may contain secrets.

    Attributes:
        method: GET or POST; redirects keep it.
        url: Absolute, encoded, query included.
        headers: Sent as they are, next to those that the transport adds (User-Agent, Accept-Encoding, Content-Length).
        body: The encoded body, or None.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response: the body has its full length and is decompressed.

    Attributes:
        status: The HTTP status code; 3xx only without a Location.
        headers: Names in any case.
        body: Decompressed.
        seconds: From sending the request to the last byte, in real time, redirects included.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float


class _Origin(NamedTuple):
    """Where requests go.

    Attributes:
        host: Host and port, for messages.
        is_loopback: Whether it is this machine.
        idle: Handles that wait for the next request. Each holds one connection and serves one thread at a time; the
            last one used has the freshest.
    """

    host: str
    is_loopback: bool
    idle: list[pycurl.Curl]


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
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._pool_size = pool_size
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate", "Expect": ""}
        self._origins: dict[str, _Origin] = {}
        self._reached: set[str] = set()
        self._trust = _trust_options()
        self._closed = False

    def send(self, request: Request, *, is_over: Callable[[], bool] = lambda: False) -> Response:
        """Send a request and read the whole response, whatever its status.

        Args:
            request: What to send.
            is_over: Called about once a second while waiting for the response; true ends the request.

        Raises:
            NetworkError: No response or half of one; another try may help.
            ApiError: The API redirects elsewhere or sends too much, or its certificate is not trusted.
            ConfigError: The URL is not one that this transport may call, or a header cannot be sent.
            StoppedError: ``is_over`` said so, or the transport was closed meanwhile.
        """
        started = real_seconds()
        for _ in range(_MAX_REDIRECTS + 1):
            status, headers, body = self._exchange(request, is_over)
            target = headers.get("Location") if status in _REDIRECTS else None
            if not target:
                return Response(status, headers, body, real_seconds() - started)
            request = _redirected(request, target)
        raise ApiError(f"{host_of(request.url)} redirects in a loop (more than {_MAX_REDIRECTS} times)")

    def close(self) -> None:
        """End requests in flight, within a second, and close all connections. The transport can't be used again."""
        self._closed = True
        for origin in list(self._origins.values()):
            while origin.idle:
                origin.idle.pop().close()

    def _exchange(self, request: Request, is_over: Callable[[], bool]) -> tuple[int, Mapping[str, str], bytes]:
        origin = self._admit(request.url)
        idle, host = origin.idle, origin.host
        head, body, watch = io.BytesIO(), io.BytesIO(), _Watch(lambda: self._closed or is_over(), self._read_timeout_s)
        handle = _quiet(idle) or pycurl.Curl()
        try:
            self._prepare(handle, request, watch, origin)
            handle.setopt(pycurl.HEADERFUNCTION, head.write)
            handle.setopt(pycurl.WRITEFUNCTION, body.write)
            handle.perform()
            status = int(handle.getinfo(pycurl.RESPONSE_CODE))
        except pycurl.error as error:
            failure = self._translated(error.args[0], handle, watch, host)
            handle.close()
            raise failure from None
        except BaseException:
            handle.close()
            raise
        self._reached.add(host)
        # Whoever sends more than was asked for does so from the first response on; the rest may come a little later.
        is_new = bool(handle.getinfo(pycurl.NUM_CONNECTS))
        if self._closed or len(idle) >= self._pool_size or (is_new and _has_more(handle, _GRACE_MS)):
            handle.close()
        else:
            idle.append(handle)
        headers = _parsed_headers(head.getvalue())
        return status, headers, _decompressed(body.getvalue(), headers, self._max_body_bytes, host)

    def _prepare(self, handle: pycurl.Curl, request: Request, watch: _Watch, origin: _Origin) -> None:
        handle.reset()
        handle.setopt(
            pycurl.URL, request.url if _SENDABLE.fullmatch(request.url) else quote(request.url, safe=_URL_MARKS)
        )
        handle.setopt(pycurl.HTTPHEADER, _header_lines(self._headers | dict(request.headers)))
        if request.body is not None or request.method == "POST":
            handle.setopt(pycurl.POSTFIELDS, request.body or b"")
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        handle.setopt(pycurl.PREREQFUNCTION, watch.connected)
        handle.setopt(pycurl.XFERINFOFUNCTION, watch.progressed)
        for option, value in _FIXED_OPTIONS:
            handle.setopt(option, value)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(self._connect_timeout_s * 1000))
        handle.setopt(pycurl.TIMEOUT_MS, int(self._deadline_s * 1000))
        handle.setopt(pycurl.MAXFILESIZE_LARGE, self._max_body_bytes)
        for option, path in self._trust:
            handle.setopt(option, path)
        if origin.is_loopback:
            handle.setopt(pycurl.NOPROXY, "*")

    def _admit(self, url: str) -> _Origin:
        """Let a URL through only if its scheme and host may be called."""
        origin = "/".join(url.partition("?")[0].split("/", 3)[:3])
        if (known := self._origins.get(origin)) is not None:
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
        return self._origins.setdefault(origin, _Origin(host_of(origin), is_loopback(hostname), []))

    def _translated(self, code: int, handle: pycurl.Curl, watch: _Watch, host: str) -> TapError:
        """Say in one line what went wrong; the library's own text may contain more of the URL than the host."""
        if code == pycurl.E_ABORTED_BY_CALLBACK and watch.is_over():
            return StoppedError("the run was stopped during a request")
        if code == pycurl.E_FILESIZE_EXCEEDED:
            return _too_long(host, self._max_body_bytes)
        if code == pycurl.E_SSL_CACERT_BADFILE:
            return ConfigError("REQUESTS_CA_BUNDLE or SSL_CERT_FILE does not name a certificate bundle")
        if code == pycurl.E_PEER_FAILED_VERIFICATION:
            return ApiError(
                f"the certificate of {host} is not trusted; put a private authority's bundle in SSL_CERT_FILE"
            )
        proxy_status = handle.getinfo(pycurl.HTTP_CONNECTCODE)
        if code == pycurl.E_ABORTED_BY_CALLBACK:
            reason = f"silent for longer than read_timeout_s = {self._read_timeout_s:g}"
        elif code == pycurl.E_OPERATION_TIMEDOUT:
            reason = (
                f"the response was not complete within {self._deadline_s:g} s"
                if watch.is_connected
                else f"no connection within connect_timeout_s = {self._connect_timeout_s:g}"
            )
        elif proxy_status >= _REFUSED:
            reason = f"the proxy answers {proxy_status}"
        else:
            reason = _REASONS.get(code, f"the request failed (libcurl {code})")
        if host not in self._reached and (way_out := _way_out(code, proxy_status, handle, host)):
            return LastingError(f"{host}: {reason}; check {way_out}")
        return (NetworkError if watch.is_connected else UnreachableError)(f"{host}: {reason}")


def _quiet(idle: list[pycurl.Curl]) -> pycurl.Curl | None:
    """A handle whose connection has nothing to read; the others are closed.

    What came behind a complete response would be taken for the next one (RFC 9112, 6.3).
    """
    while True:
        try:
            handle = idle.pop()
        except IndexError:
            return None
        if not _has_more(handle):
            return handle
        handle.close()


def _has_more(handle: pycurl.Curl, within_ms: int = 0) -> bool:
    """Whether there is something to read on a handle's connection, be it the end."""
    descriptor = handle.getinfo(pycurl.ACTIVESOCKET)
    if descriptor < 0:
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within_ms))


def _way_out(code: int, proxy_status: int, handle: pycurl.Curl, host: str) -> str | None:
    """What to check where no second try can help, if that is so."""
    if code == pycurl.E_COULDNT_RESOLVE_HOST and not _may_be_known(host):
        return "api_url"
    if code == pycurl.E_COULDNT_RESOLVE_PROXY or proxy_status in _PROXY_REFUSES:
        return "HTTPS_PROXY"
    if code == pycurl.E_SSL_CONNECT_ERROR and "wrong version number" in handle.errstr():
        return "api_url: there is no TLS at this port"
    return None


def _may_be_known(host: str) -> bool:
    """Whether a name could not be looked up just now; False where nobody knows it."""
    try:
        socket.getaddrinfo(host.partition(":")[0], None)
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN
    except (OSError, UnicodeError):
        return False
    return True


class _Watch:
    """Ends a request when its response falls silent, or when the run is over."""

    def __init__(self, is_over: Callable[[], bool], longest_silence_s: float) -> None:
        self.is_over = is_over
        self._longest_silence_s = longest_silence_s
        self._heard_at = math.inf
        self._received = 0
        self._look_at = -math.inf

    def connected(self, *_: object) -> int:
        """The connection is made and the request goes out: from now on, a response is due."""
        self._heard_at = real_seconds()
        return int(pycurl.PREREQFUNC_OK)

    @property
    def is_connected(self) -> bool:
        """Whether the request could be sent."""
        return self._heard_at < math.inf

    def progressed(self, _expected: int, received: int, _to_send: int, _sent: int) -> bool:
        """Called by libcurl about once a second, and when data arrives; True ends the request."""
        now = real_seconds()
        if received != self._received:
            self._received = received
            self._heard_at = now
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_EVERY_S
        return self.is_over() or now - self._heard_at > self._longest_silence_s


def _too_long(host: str, limit: int) -> ApiError:
    return ApiError(f"{host} sends more than {limit / MEBIBYTE:g} MiB in one response; a smaller page_size may help")


def _decompressed(body: bytes, headers: Mapping[str, str], limit: int, host: str) -> bytes:
    """Undo gzip or deflate, and insist on the end mark: HTTP clients mistake a cut-off stream for a complete one."""
    encoding = headers.get("Content-Encoding", "").lower()
    if not body or encoding not in {"gzip", "x-gzip", "deflate"}:
        return body
    # Servers send deflate with and without the zlib frame (RFC 9110, 8.4.1.2); its first byte shows which.
    window = 15 + 32 if encoding != "deflate" or body[0] & 0x0F == zlib.DEFLATED else -15
    text, rest = b"", body
    while True:
        decoder = zlib.decompressobj(window)
        try:
            text += decoder.decompress(rest, limit + 1 - len(text))
        except zlib.error:
            raise NetworkError(f"{host}: the compressed response is damaged") from None
        if len(text) > limit:
            raise _too_long(host, limit)
        if not decoder.eof:
            raise NetworkError(f"{host}: the compressed response is cut off")
        rest = decoder.unused_data
        if not rest.startswith(_GZIP):  # gzip may have several members, one after the other (RFC 1952, 2.2)
            return text


def _redirected(request: Request, target: str) -> Request:
    here = host_of(request.url)
    try:
        url = urljoin(request.url, target)
        there, same = urlsplit(url), origin_of(url) == origin_of(request.url)
    except ValueError:
        raise ApiError(f"{here} redirects to something that is not an address") from None
    if "@" in there.netloc or "\\" in url:  # programs do not agree on which host such an address means
        raise ApiError(f"{here} redirects to an address with a user name or a backslash in it, which is not followed")
    if not same:
        raise ApiError(
            f"{here} redirects to {there.scheme}://{host_of(url)}; credentials are not sent there: "
            "if that is the API's new address, set api_url to it"
        )
    return replace(request, url=url)


def _trust_options() -> list[tuple[int, str]]:
    """The options that tell libcurl which certificates to trust."""
    found = trust()
    options = ((pycurl.CAINFO, found.file), (pycurl.CAPATH, found.directory))
    return [(option, path) for option, path in options if path]


def _header_lines(headers: Mapping[str, str]) -> list[bytes]:
    lines = []
    for name, value in headers.items():
        if _NOT_IN_A_HEADER.search(value):
            raise ConfigError(f"the value for the header {name} has characters that HTTP forbids, such as a newline")
        lines.append(f"{name}: {value}".encode("latin-1"))
    return lines


def _parsed_headers(head: bytes) -> CaseInsensitiveDict[str]:
    """The headers of the last response; earlier ones are a proxy's or interim."""
    headers = CaseInsensitiveDict[str]()
    for line in head.decode("latin-1").rstrip().rpartition("\r\n\r\n")[2].split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            value = value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


_FIXED_OPTIONS = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.NOPROGRESS, 0),
    (pycurl.BUFFERSIZE, _CHUNK),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.PATH_AS_IS, 1),
)

_REASONS = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the name cannot be resolved",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the name of the proxy cannot be resolved",
    pycurl.E_COULDNT_CONNECT: "no connection (refused or unreachable)",
    pycurl.E_SSL_CONNECT_ERROR: "the TLS connection broke",
    pycurl.E_PARTIAL_FILE: "the response is cut short",
    pycurl.E_GOT_NOTHING: "the connection broke before a response",
    pycurl.E_SEND_ERROR: "the connection broke before a response",
    pycurl.E_RECV_ERROR: "the connection broke before the response was complete",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the response is not HTTP",
}
