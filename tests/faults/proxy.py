"""A raw TCP proxy before the sandbox that does to requests and answers what no HTTP server does."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["SPOILERS", "Proxy"]

_CHUNK = 1 << 16


class _EndError(Exception):
    """The connection is done with."""


@dataclass
class Answer:
    """An answer on its way to the client.

    Args:
        client: The client's connection.
        head: Status line and headers, with the blank line.
        body: The body.
        over: Set when the proxy ends.
    """

    client: socket.socket
    head: bytes
    body: bytes
    over: threading.Event

    def send(self, data: bytes | None = None) -> None:
        """Send bytes, by default the whole answer."""
        self.client.sendall(self.head + self.body if data is None else data)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _EndError

    def end(self) -> None:
        """Close the connection."""
        raise _EndError

    def stall(self) -> None:
        """Send nothing more, and keep the connection open."""
        self.over.wait()
        raise _EndError


def _cut_in_head(answer: Answer) -> None:
    answer.send(answer.head[: len(answer.head) // 2])
    answer.end()


def _cut_in_body(answer: Answer) -> None:
    answer.send(answer.head + answer.body[: len(answer.body) // 2])
    answer.end()


def _cut_at_the_last_byte(answer: Answer) -> None:
    answer.send((answer.head + answer.body)[:-1])
    answer.end()


def _reset_in_head(answer: Answer) -> None:
    answer.send(answer.head[:9])
    answer.reset()


def _reset_in_body(answer: Answer) -> None:
    answer.send(answer.head + answer.body[:1])
    answer.reset()


def _stall_in_head(answer: Answer) -> None:
    answer.send(answer.head[: len(answer.head) // 2])
    answer.stall()


def _stall_in_body(answer: Answer) -> None:
    answer.send(answer.head + answer.body[:-1])
    answer.stall()


def _nothing(answer: Answer) -> None:
    answer.end()


def _garbage(answer: Answer) -> None:
    answer.send(b"\x15\x03\x01\x00\x02\x02\x50 this is not HTTP\r\n\r\n")
    answer.end()


def _no_status(answer: Answer) -> None:
    answer.send(answer.head.replace(b"HTTP/1.1 200", b"HTTP/1.1 abc", 1) + answer.body)
    answer.end()


def _two_lengths(answer: Answer) -> None:
    answer.send(answer.head.replace(b"\r\n", b"\r\nContent-Length: 7\r\n", 1) + answer.body)
    answer.end()


def _no_number(answer: Answer) -> None:
    lines = [b"content-length: many" if line.lower().startswith(b"content-length") else line for line in _lines(answer)]
    answer.send(b"\r\n".join(lines) + b"\r\n\r\n" + answer.body)
    answer.end()


def _half_a_chunk(answer: Answer) -> None:
    lines = [line for line in _lines(answer) if not line.lower().startswith(b"content-length")]
    answer.send(b"\r\n".join([*lines, b"transfer-encoding: chunked"]) + b"\r\n\r\nzz\r\n" + answer.body)
    answer.end()


def _drip(answer: Answer) -> None:
    for at in range(0, len(answer.head), 16):
        answer.send(answer.head[at : at + 16])
    step = max(1, len(answer.body) // 50)
    for at in range(0, len(answer.body), step):
        answer.send(answer.body[at : at + step])


def _interim(answer: Answer) -> None:
    answer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 200)
    answer.send()


def _long_head(answer: Answer) -> None:
    first, _, rest = answer.head.partition(b"\r\n")
    answer.send(first + b"\r\n" + b"".join(b"X-More-%d: %s\r\n" % (n, b"x" * 100) for n in range(200)) + rest)
    answer.send(answer.body)


def _bare_newlines(answer: Answer) -> None:
    answer.send(answer.head.replace(b"\r\n", b"\n") + answer.body)


def _doubled(answer: Answer) -> None:
    answer.send(2 * (answer.head + answer.body))


def _bytes_behind(answer: Answer) -> None:
    behind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
    answer.send(answer.head + answer.body + behind)  # at once: what comes much later cannot be told from an answer


def _lines(answer: Answer) -> list[bytes]:
    return answer.head.rstrip(b"\r\n").split(b"\r\n")


SPOILERS: Final[dict[str, Callable[[Answer], None]]] = {
    "cut-in-head": _cut_in_head,
    "cut-in-body": _cut_in_body,
    "cut-at-the-last-byte": _cut_at_the_last_byte,
    "reset-in-head": _reset_in_head,
    "reset-in-body": _reset_in_body,
    "stall-in-head": _stall_in_head,
    "stall-in-body": _stall_in_body,
    "nothing": _nothing,
    "garbage": _garbage,
    "no-status": _no_status,
    "two-lengths": _two_lengths,
    "no-number": _no_number,
    "half-a-chunk": _half_a_chunk,
    "drip": _drip,
    "interim": _interim,
    "long-head": _long_head,
    "bare-newlines": _bare_newlines,
    "doubled": _doubled,
    "bytes-behind": _bytes_behind,
    "half-a-request": _nothing,
}
"""What can happen to an answer; of `half-a-request` only half reaches the server, and nobody answers."""


@dataclass
class Proxy:
    """Passes requests on to a server, and spoils some of the answers.

    Args:
        server: URL of the server.
        kinds: For the answers in the order of their requests, a key of `SPOILERS`, or None for a good one.
        lasting: The kind for all that follow.
        watch: Is told the number of each request, from 1 on, before it is passed on.
    """

    server: str
    kinds: Sequence[str | None] = ()
    lasting: str | None = None
    watch: Callable[[int], None] = field(default=lambda _: None)
    met: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._count = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()

    def begin(self, kinds: Sequence[str | None]) -> None:
        """Spoil the next answers like this."""
        with self._lock:
            self.kinds, self._count = kinds, 0

    def url(self, through: str) -> str:
        """An address of the server that leads through the proxy."""
        parts = urlsplit(through)
        return parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._open.append(client)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        place = urlsplit(self.server)
        try:
            with client, socket.create_connection((str(place.hostname), int(place.port or 0))) as server:
                self._open.append(server)
                while request := _message(client):
                    self._exchange(client, server, request)
        except (OSError, _EndError):
            return

    def _exchange(self, client: socket.socket, server: socket.socket, request: tuple[bytes, bytes]) -> None:
        with self._lock:
            kind = self.kinds[self._count] if self._count < len(self.kinds) else self.lasting
            self._count += 1
            self.met += [kind] if kind else []
            self.watch(self._count)
        whole = b"".join(request)
        if kind == "half-a-request":
            server.sendall(whole[: len(whole) // 2])
            raise _EndError
        server.sendall(whole)
        answered = _message(server)
        if answered is None:
            raise _EndError
        answer = Answer(client, *answered, self._over)
        SPOILERS[kind](answer) if kind else answer.send()


def _message(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Head and body of the next request or answer; None if the connection ends before one."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(_CHUNK)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    length = int(lengths[0]) if lengths and lengths[0].strip().isdigit() else 0  # the sandbox may spoil it
    while len(body) < length:
        if not (more := connection.recv(_CHUNK)):
            return None
        body += more
    return head + b"\r\n\r\n", body
