"""Puts the socket, the worlds, the application and the server together."""

from __future__ import annotations

import json
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from merchant_sandbox.app import App
from merchant_sandbox.errors import SandboxError
from merchant_sandbox.server import serve
from merchant_sandbox.world import Worlds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["serve_worlds"]

_HOST = "127.0.0.1"
_BACKLOG = 2_048


def serve_worlds(port: int, tls: tuple[str, str] | None, *, say: Callable[[str], None], **arguments: Any) -> None:
    """Serve a sandbox with the world ``default`` until SIGINT or SIGTERM.

    Args:
        port: Port on 127.0.0.1; 0 lets the operating system choose.
        tls: Paths of a certificate chain and its key, in PEM; None for plain HTTP.
        say: Called with one line of JSON once connections are accepted.
        **arguments: What `ServerWorld` takes.

    Raises:
        SandboxError: The port is taken, the certificate cannot be used, or such a world is not possible.
    """
    if tls:
        _check_certificate(*tls)
    try:
        listener = socket.create_server((_HOST, port), backlog=_BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise SandboxError(f"cannot use port {port} of {_HOST}: {why}") from error
    worlds = Worlds(f"{'https' if tls else 'http'}://{_HOST}:{listener.getsockname()[1]}")
    world = worlds.make("default", **arguments)

    def ready() -> None:
        clock = world.clock.text()
        say(json.dumps({"url": worlds.base_url, "world": world.url, "clock": clock, "pid": os.getpid()}))

    serve(App(worlds), listener, tls=tls, ready=ready)


def _check_certificate(certificate: str, key: str) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:
        raise SandboxError(
            f"--tls-cert and --tls-key do not name a certificate and its key: {error.strerror or error}"
        ) from error
