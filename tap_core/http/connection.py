"""One connection to an API: a libcurl handle that serves one request after another, without blocking.

Each connection has a libcurl multi handle to itself. That makes libcurl ask its questions instead of waiting, and keeps
the socket with the handle: what arrives behind a complete response can be told from the next one.
"""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pycurl

from tap_core.clock import real_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.http.message import Request

__all__ = ["Connection"]

_CHUNK: Final = 256 * 1024
_GRACE_S: Final = 0.005
_LONGEST_LOOK_MS: Final = 1000
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")
_URL_MARKS: Final = ":/?#[]@!$&'()*+,;=%"

_OPTIONS: Final = (
    (pycurl.NOSIGNAL, 1),
    (pycurl.BUFFERSIZE, _CHUNK),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.PATH_AS_IS, 1),
    # Times are limited by the exchange: libcurl would count those in which nobody asked it.
    (pycurl.CONNECTTIMEOUT, 24 * 60 * 60),
)


class Connection:
    """A handle of libcurl and what it has read of the response under way.

    Args:
        options: What holds for all requests, on top of what is fixed.

    Attributes:
        handle: The handle.
        head: The header lines that have arrived.
        body: The pieces of the body that have arrived.
        is_connected: Whether the request could be sent.
    """

    def __init__(self, options: Sequence[tuple[int, object]]) -> None:
        self.handle = pycurl.Curl()
        self._multi = pycurl.CurlMulti()
        self._options = options
        self._sent: tuple[str, bool, Sequence[bytes]] | None = None
        self._socket = -1
        self._poll = select.poll()
        self._rested_at = 0.0
        self._running = False
        self.head: list[bytes] = []
        self.body: list[bytes] = []
        self.is_connected = False

    def begin(self, request: Request, headers: Sequence[bytes]) -> None:
        """Prepare a request; `go_on` sends it.

        Args:
            request: The request; its headers are not looked at.
            headers: The header lines.
        """
        handle, has_body = self.handle, request.body is not None or request.method == "POST"
        kind = (request.method, has_body, headers)
        if kind != self._sent:
            self._set_up(request.method, headers)
            self._sent = kind
        if has_body:
            handle.setopt(pycurl.POSTFIELDS, request.body or b"")
            handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        url = request.url
        handle.setopt(pycurl.URL, url if _SENDABLE.fullmatch(url) else quote(url, safe=_URL_MARKS))
        self.head.clear()
        self.body.clear()
        self.is_connected = False
        self._multi.add_handle(handle)
        self._running = True

    def _set_up(self, method: str, headers: Sequence[bytes]) -> None:
        self.handle.reset()
        for option, value in (*_OPTIONS, *self._options):
            self.handle.setopt(option, value)
        self.handle.setopt(pycurl.PREREQFUNCTION, self._connected)
        self.handle.setopt(pycurl.HEADERFUNCTION, self.head.append)
        self.handle.setopt(pycurl.WRITEFUNCTION, self.body.append)
        self.handle.setopt(pycurl.CUSTOMREQUEST, method)
        self.handle.setopt(pycurl.HTTPHEADER, headers)

    def _connected(self, *_: object) -> int:
        self.is_connected = True
        return int(pycurl.PREREQFUNC_OK)

    def go_on(self) -> int | None:
        """Do what can be done without waiting.

        Returns:
            None while the response is not complete, 0 when it is, or the number of libcurl's error.
        """
        self._multi.perform()
        _, done, failed = self._multi.info_read()
        if not done and not failed:
            return None
        if done:
            if (socket := self.handle.getinfo(pycurl.ACTIVESOCKET)) != self._socket:
                self._watch(socket)
            # Whoever sends more than was asked for does so from the first response on; it may come a little later.
            self._rested_at = real_seconds() + _GRACE_S if self.handle.getinfo(pycurl.NUM_CONNECTS) else 0.0
        self._multi.remove_handle(self.handle)
        self._running = False
        return 0 if done else int(failed[0][1])

    def _watch(self, socket: int) -> None:
        self._socket, self._poll = socket, select.poll()
        if socket >= 0:
            self._poll.register(socket, select.POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing can be read from the connection, not even its end.

        What came behind a complete response would be taken for the next one (RFC 9112, 6.3).
        """
        left_s = self._rested_at - real_seconds() if self._rested_at and self._socket >= 0 else 0.0
        return not self._poll.poll(left_s * 1000 if left_s > 0 else 0)

    def awaited(self) -> tuple[list[tuple[int, int]], int]:
        """What to wait for before the next `go_on`: file descriptors with their events, and the longest time in ms."""
        readable, writable, _ = self._multi.fdset()
        if self.is_connected and not writable and self._socket in readable:
            # It was sent where the last one was. What libcurl has beside the socket is for looking up names.
            readable = [self._socket]
        events = dict.fromkeys(readable, select.POLLIN)
        for descriptor in writable:
            events[descriptor] = events.get(descriptor, 0) | select.POLLOUT
        longest, most = self._multi.timeout(), _LONGEST_LOOK_MS if events else 10
        return list(events.items()), longest if 0 <= longest < most else most

    def close(self) -> None:
        """End it."""
        if self._running:
            self._multi.remove_handle(self.handle)
            self._running = False
        self.handle.close()
        self._multi.close()
