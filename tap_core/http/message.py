"""Requests and responses, and how they are written on the wire."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from tap_core.errors import ApiError, ConfigError, NetworkError
from tap_core.http.urls import host_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests.structures import CaseInsensitiveDict

__all__ = [
    "MEBIBYTE",
    "REDIRECTS",
    "Headers",
    "Request",
    "Response",
    "decompressed",
    "header_lines",
    "redirected",
    "too_long",
]

MEBIBYTE: Final = 1024 * 1024
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GZIP: Final = b"\x1f\x8b"
_NOT_IN_A_HEADER: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class Request(msgspec.Struct, frozen=True):
    """What to send. Its text form shows only the method: the rest may contain secrets.

    Attributes:
        method: GET or POST; redirects keep it.
        url: Absolute, encoded, query included.
        headers: Sent as they are, next to those that the transport adds (User-Agent, Accept-Encoding, Content-Length).
        body: The encoded body, or None.
    """

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None

    @override
    def __repr__(self) -> str:
        return f"Request(method={self.method!r})"


class Response(msgspec.Struct, frozen=True):
    """A complete response: the body has its full length and is decompressed.

    Attributes:
        status: The HTTP status code; 3xx only without a Location.
        headers: Names in any case.
        body: Decompressed.
        seconds: From sending the request to the last byte, in real time, redirects included. A pause in which the run
            looked at nothing counts as a second and a half at most.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @override
    def __repr__(self) -> str:
        return f"Response(status={self.status}, seconds={self.seconds})"


def too_long(host: str, limit: int) -> ApiError:
    """What a response is that is longer than allowed."""
    return ApiError(f"{host} sends more than {limit / MEBIBYTE:g} MiB in one response; a smaller page_size may help")


def decompressed(body: bytes, headers: Mapping[str, str], limit: int, host: str) -> bytes:
    """Undo gzip or deflate, and insist on the end mark: HTTP clients mistake a cut-off stream for a complete one.

    Raises:
        NetworkError: It is damaged or cut off.
        ApiError: It is longer than ``limit``.
    """
    encoding = headers.get("Content-Encoding")
    if not body or encoding is None or (encoding := encoding.lower()) not in {"gzip", "x-gzip", "deflate"}:
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
            raise too_long(host, limit)
        if not decoder.eof:
            raise NetworkError(f"{host}: the compressed response is cut off")
        rest = decoder.unused_data
        if not rest.startswith(_GZIP):  # gzip may have several members, one after the other (RFC 1952, 2.2)
            return text


def redirected(request: Request, target: str) -> Request:
    """The request to the address that a redirect names.

    Raises:
        ApiError: It is not an address of the same origin: credentials are not sent there.
    """
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


def header_lines(headers: Mapping[str, str]) -> list[bytes]:
    """Headers as they are sent.

    Raises:
        ConfigError: A value cannot be sent.
    """
    lines = []
    for name, value in headers.items():
        if _NOT_IN_A_HEADER.search(value):
            raise ConfigError(f"the value for the header {name} has characters that HTTP forbids, such as a newline")
        lines.append(f"{name}: {value}".encode("latin-1"))
    return lines


class Headers(Mapping[str, str]):
    """The headers of the last response in what a server has sent; earlier ones are a proxy's or interim.

    Nothing is taken apart before somebody asks for a header that is there; most responses have none such.

    Args:
        head: All header lines.
    """

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._folded = head.lower()

    @cached_property
    def _lines(self) -> list[tuple[str, str]]:
        last = self._head.decode("latin-1").rstrip().rpartition("\r\n\r\n")[2]
        parts = [line.partition(":") for line in last.split("\r\n")[1:]]
        return [(name, value.strip()) for name, colon, value in parts if colon]

    @cached_property
    def _parsed(self) -> CaseInsensitiveDict[str]:
        from requests.structures import CaseInsensitiveDict  # noqa: PLC0415  a run rarely needs it, and it takes long

        headers = CaseInsensitiveDict[str]()
        for name, value in self._lines:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    @override
    def __getitem__(self, name: str) -> str:
        return self._parsed[name]

    @override
    def get(self, name: str, default: Any = None) -> Any:
        if _folded(name) not in self._folded:
            return default
        values = [value for given, value in self._lines if given.lower() == name.lower()]
        return ", ".join(values) if values else default

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    @override
    def __len__(self) -> int:
        return len(self._parsed)


@cache
def _folded(name: str) -> bytes:
    """A header's name in lower case; there are few."""
    return name.lower().encode()
