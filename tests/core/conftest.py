"""A server that answers with raw bytes, for faults that no well-behaved server can make."""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import settings

from tap_core.http.client import Network
from tap_core.http.gate import Pace
from tap_core.http.retry import RetryPolicy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_core.clock import Clock
    from tap_core.http.transport import Transport

# A slow machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def network(transport: Transport, clock: Clock, **policy: Any) -> Network:
    """What clients share, with this patience and without a pace."""
    return Network(transport, clock, RetryPolicy(**policy), Pace(None))


Ending = Literal["keep", "close", "reset", "stall"]
Reply = tuple[bytes, Ending]


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class RawServer:
    """Answers request after request with the next reply; the last one is repeated."""

    replies: list[Reply] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    respond: Callable[[Seen], Reply] | None = None

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._sockets: list[socket.socket] = []
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @staticmethod
    def answer(
        status: int = 200,
        body: object = b"{}",
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> bytes:
        """A whole answer; what isn't bytes becomes JSON; ``length`` is a false Content-Length."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        return "\r\n".join([*lines, "", ""]).encode() + content

    def script(self, *replies: Reply | bytes) -> None:
        self.replies[:] = [(reply, "keep") if isinstance(reply, bytes) else reply for reply in replies]

    def push(self, data: bytes) -> None:
        """Send what nobody asked for over the connection that was opened last."""
        self._sockets[-1].sendall(data)

    def close(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        number = 0
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            self._sockets.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self._converse(connection, number)
        except OSError:
            return

    def _converse(self, connection: socket.socket, number: int) -> None:
        stream = connection.makefile("rb")
        while request := _read_request(stream, number):
            with self._lock:
                self.seen.append(request)
                if self.respond:
                    data, then = self.respond(request)
                else:
                    data, then = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            connection.sendall(data)
            if then == "stall":
                self._over.wait()
            elif then == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if then != "keep":
                stream.close()
                return


def _read_request(stream: Any, number: int) -> Seen | None:
    line = stream.readline().decode("latin-1").split()
    if not line:
        return None
    headers = {}
    while header := stream.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Seen(line[0], line[1], headers, stream.read(int(headers.get("content-length", 0))), number)


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@dataclass
class Lists:
    """An API of plain lists: what each path answers with, rows or raw bytes."""

    server: RawServer
    rows: dict[str, Sequence[Any] | bytes] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the example tap that read from here; nothing is tried again."""
        return {"api_key": "key-1234", "api_url": self.server.url, "retry_max_s": 0}

    def respond(self, request: Seen) -> Reply:
        found = self.rows.get(request.target.partition("?")[0], [])
        return found if isinstance(found, bytes) else self.server.answer(body={"data": found}), "keep"


@pytest.fixture
def lists(raw_server: RawServer) -> Lists:
    """An API for the example tap."""
    api = Lists(raw_server)
    raw_server.respond = api.respond
    return api
