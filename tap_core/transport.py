"""The HTTP client behind one door: everything that sends a request to an API goes through `Transport.send`.

It speaks https, and plain http to loopback hosts alone. It never follows a redirect to another host, so that no
credential goes there, and it never reads an endless or huge answer. Its errors name the host and nothing else of the
URL, because keys and personal data stand in paths and query strings.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import ssl
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3 import exceptions as urllib3_errors

from tap_core.clock import real_seconds
from tap_core.errors import ApiError, ConfigError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Request", "Response", "Transport", "is_loopback"]

MEBIBYTE = 1024 * 1024
_CHUNK = 256 * 1024
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_IN_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")

# urllib3 logs full URLs, at DEBUG all of them: with them keys in query strings.
logging.getLogger("urllib3.connectionpool").addFilter(lambda _: False)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. Its text form shows the method alone: the rest may hold secrets.

    Attributes:
        method: GET or POST; redirects keep it.
        url: Absolute, encoded, query included.
        headers: Sent as they are, besides those that the transport adds (User-Agent, Accept-Encoding, Content-Length).
        body: The encoded body, or None.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer: the body has its full length and is decompressed.

    Attributes:
        status: The HTTP status code, 3xx only without a place to go to.
        headers: Names in any case.
        body: Decompressed.
        seconds: From sending the request to the last byte, in real time, redirects included.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float


class Transport:
    """One pool of kept-alive connections, for any number of threads.

    Proxies come from ``HTTPS_PROXY`` and ``NO_PROXY``; loopback hosts are never asked through one. Certificates are
    checked against the bundle that ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` names, else against the machine's own
    store and the one that comes with certifi.

    Args:
        connect_timeout_s: Longest time to a connection, TLS included, per address that the name resolves to.
        read_timeout_s: Longest silence while the answer comes in.
        user_agent: Value of the User-Agent header.
        pool_size: Connections kept open per host; as many as there are requests in flight.
        max_body_bytes: Longest body accepted, after decompression.
        deadline_s: Longest time for one answer as a whole, however steadily it drips.
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
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._pool_size = pool_size
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip, deflate"}
        self._direct = urllib3.PoolManager(num_pools=10, maxsize=pool_size)
        self._pools: dict[str, urllib3.PoolManager] = {}

    def send(self, request: Request) -> Response:
        """Send a request and read the whole answer, whatever its status.

        Raises:
            NetworkError: No answer or half of one; another try may help.
            ApiError: The API sends elsewhere or too much, or its certificate is not to be trusted.
            ConfigError: The URL is not one that this transport may call, or a header cannot be sent.
        """
        started = real_seconds()
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._exchange(request, started)
            target = response.headers.get("Location") if response.status in _REDIRECTS else None
            if not target:
                return response
            request = _redirected(request, target)
        raise ApiError(f"{_host(request.url)} redirects in a circle (more than {_MAX_REDIRECTS} times)")

    def close(self) -> None:
        """Close the idle connections."""
        for pool in (self._direct, *self._pools.values()):
            pool.clear()

    def _exchange(self, request: Request, started: float) -> Response:
        pool = self._pool(request.url)
        host = _host(request.url)
        headers = self._headers | dict(request.headers)
        for name, value in headers.items():
            if _NOT_IN_A_HEADER.search(value):
                raise ConfigError(
                    f"the value for the header {name} has characters that HTTP forbids, such as a newline"
                )
        try:
            answer = pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            with answer:
                body = self._read(answer, host, started)
        except (urllib3_errors.HTTPError, OSError) as error:
            raise _translated(error, host) from None
        body = _decompressed(body, answer.headers.get("Content-Encoding", ""), self._max_body_bytes, host)
        return Response(answer.status, answer.headers, body, real_seconds() - started)

    def _read(self, answer: urllib3.BaseHTTPResponse, host: str, started: float) -> bytes:
        """Read the body piece by piece, so that neither its size nor its slowness is without bounds."""
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read1(_CHUNK):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_body_bytes:
                raise _too_long(host, self._max_body_bytes)
            if real_seconds() - started > self._deadline_s:
                raise NetworkError(f"{host} did not finish its answer within {self._deadline_s:g} s")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The connections to use for a URL: made once per scheme and host."""
        origin = url.partition("?")[0].split("/", 3)[:3]
        if (pool := self._pools.get("/".join(origin))) is None:
            try:
                parts = urllib3.util.parse_url(url)
            except urllib3_errors.LocationParseError:
                raise ConfigError("the API's address is not a URL; check api_url") from None
            if not parts.host or parts.scheme not in {"https", "http"}:
                raise ConfigError("the API's address must be an https URL; check api_url")
            if parts.scheme == "http" and not is_loopback(parts.host):
                raise ConfigError(f"plain http to {parts.netloc} would send the credentials in the clear; use https")
            pool = self._direct if parts.scheme == "http" else self._secure_pool(parts.host)
            pool = self._pools.setdefault("/".join(origin), pool)
        return pool

    def _secure_pool(self, hostname: str) -> urllib3.PoolManager:
        context = _tls_context()
        proxy = None if is_loopback(hostname) or proxy_bypass(hostname) else _proxy()
        if proxy is None:
            return urllib3.PoolManager(maxsize=self._pool_size, ssl_context=context)
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        try:
            return urllib3.ProxyManager(
                parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
                maxsize=self._pool_size,
                ssl_context=context,
                proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if login else None,
            )
        except (urllib3_errors.HTTPError, ValueError):
            raise ConfigError("HTTPS_PROXY does not hold the URL of an http or https proxy") from None


def _too_long(host: str, limit: int) -> ApiError:
    return ApiError(f"{host} sends more than {limit / MEBIBYTE:g} MiB in one answer; a smaller page_size may help")


def _decompressed(body: bytes, encoding: str, limit: int, host: str) -> bytes:
    """Undo gzip or deflate, and insist on the end mark: urllib3 takes a stream that breaks off for a complete one."""
    if not body or encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        return body
    # Servers send deflate with and without the zlib frame (RFC 9110, 8.4.1.2); its first byte's low half tells.
    window = 15 + 32 if encoding.lower() != "deflate" or body[0] & 0x0F == zlib.DEFLATED else -15
    decoder = zlib.decompressobj(window)
    try:
        text = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise NetworkError(f"{host}: the compressed answer is damaged") from None
    if len(text) > limit:
        raise _too_long(host, limit)
    if not decoder.eof:
        raise NetworkError(f"{host}: the compressed answer breaks off")
    return text


def is_loopback(hostname: str) -> bool:
    """Whether a host is this machine itself, by name or address."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    """Host and port of a URL, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _redirected(request: Request, target: str) -> Request:
    url = urljoin(request.url, target)
    here, there = urlsplit(request.url), urlsplit(url)
    if (here.scheme, _host(request.url)) != (there.scheme, _host(url)):
        raise ApiError(
            f"{_host(request.url)} redirects to {there.scheme}://{_host(url)}; credentials are not sent there: "
            "if that is the API's new address, set api_url to it"
        )
    return replace(request, url=url)


def _proxy() -> str | None:
    proxies = getproxies()
    return proxies.get("https") or proxies.get("all")


def _tls_context() -> ssl.SSLContext:
    for variable in _CA_VARIABLES:
        if bundle := os.environ.get(variable):
            try:
                if Path(bundle).is_dir():
                    return ssl.create_default_context(capath=bundle)
                return ssl.create_default_context(cafile=bundle)
            except OSError:
                raise ConfigError(f"{variable} does not name a readable bundle of certificates") from None
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _translated(error: Exception, host: str) -> ApiError:
    """Say in one line what went wrong; the library's own text may hold the whole URL."""
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, ssl.SSLCertVerificationError):
        reason = reason.__cause__ or reason.__context__
    if reason is not None:
        return ApiError(
            f"the certificate of {host} is not to be trusted ({reason.verify_message}); "
            "a private authority's bundle goes into SSL_CERT_FILE"
        )
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return NetworkError(f"{host}: {text}")
    return NetworkError(f"{host}: {type(error).__name__}")


# The first that fits counts; subclasses stand before their bases.
_REASONS: Mapping[type[Exception], str] = {
    urllib3_errors.ProxyError: "the proxy cannot be used",
    urllib3_errors.NameResolutionError: "the name cannot be resolved",
    urllib3_errors.ConnectTimeoutError: "no connection within connect_timeout_s",
    urllib3_errors.NewConnectionError: "no connection (refused or unreachable)",
    urllib3_errors.ReadTimeoutError: "silent for longer than read_timeout_s",
    urllib3_errors.SSLError: "the TLS connection broke",
    urllib3_errors.IncompleteRead: "the answer is shorter than announced",
    urllib3_errors.ProtocolError: "the connection broke before the answer was complete",
    OSError: "the connection broke",
}
