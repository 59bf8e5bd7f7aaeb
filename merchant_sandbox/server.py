"""The HTTP server: uvicorn on our own socket, with the transport within reach of the faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from websockets.frames import Frame

__all__ = ["Protocol", "Server", "WebSocket", "serve"]

_PONG_S = 10.0


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which hands itself and its transport to the application in ``scope["state"]``."""

    met: set[int]
    """What this connection has talked to, so that the application can count connections."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its own base does
        super().connection_made(transport)
        self.met = set()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state["transport"] = self.transport
        state["connection"] = self


class WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which hands itself to the application and can do what ASGI cannot express."""

    @override
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.app_state = {**self.app_state, "connection": self}
        self._pongs: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def opened(self) -> bool:
        """Whether the handshake has succeeded."""
        return self.handshake_complete and self.initial_response is None

    async def ping(self, payload: bytes) -> None:
        """Send a ping; cut the connection if its pong does not come."""
        self.conn.send_ping(payload)
        self.transport.write(b"".join(self.conn.data_to_send()))
        try:
            while await asyncio.wait_for(self._pongs.get(), _PONG_S) != payload:
                pass
        except TimeoutError:
            self.cut()

    @override
    def handle_pong(self, event: Frame) -> None:
        self._pongs.put_nowait(bytes(event.data))
        super().handle_pong(event)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are, whether they are a frame or not."""
        self.transport.write(data)

    def cut(self) -> None:
        """Close the connection after what was sent, without a closing handshake."""
        self.transport.close()


class Server(uvicorn.Server):
    """A uvicorn server that calls back once it accepts connections.

    Args:
        config: uvicorn's configuration.
        ready: Called once.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(app: Any, listener: socket.socket, *, tls: tuple[str, str] | None, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: The ASGI application.
        listener: A listening socket.
        tls: Paths of a certificate chain and its key, in PEM; None for plain HTTP.
        ready: Called once connections are accepted.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws=WebSocket,
        ws_ping_interval=None,
        loop="uvloop",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    Server(config, ready).run(sockets=[listener])
