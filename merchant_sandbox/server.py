"""The HTTP server: uvicorn on a socket of our own, with the transport in reach of the faults."""

from __future__ import annotations

import importlib.util
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Protocol", "Server", "bind"]


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol that hands itself and its transport to the application in ``scope["state"]``."""

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state["transport"] = self.transport
        state["connection"] = self


class Server(uvicorn.Server):
    """uvicorn that calls back when it accepts connections.

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


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the operating system choose."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2_048)
    return listener


def serve(app: Any, listener: socket.socket, *, tls: tuple[str, str] | None, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: The ASGI application.
        listener: A listening socket.
        tls: Paths of a certificate chain and its key, in PEM; None for plain HTTP.
        ready: Called when connections are accepted.
    """
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="websockets-sansio" if importlib.util.find_spec("websockets") else "none",
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
