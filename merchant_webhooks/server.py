"""The HTTP server: uvicorn and httptools, as under the sandbox, on a socket of our own."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import uvicorn
from typing_extensions import override

from merchant_webhooks.app import App
from merchant_webhooks.errors import WebhooksError
from merchant_webhooks.metrics import Metrics
from merchant_webhooks.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from merchant_webhooks.settings import Settings

__all__ = ["serve"]

_DAY_S = 86_400
_BACKLOG = 4_096


class _Server(uvicorn.Server):
    """Opens the spool before it accepts connections, and closes it after the last one is answered."""

    def __init__(self, config: uvicorn.Config, writer: Writer, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._writer, self._ready = writer, ready
        self.failure: WebhooksError | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await self._writer.start()
        except WebhooksError as error:
            self.failure, self.should_exit = error, True
            return
        await super().startup(sockets)
        self._ready()


def serve(settings: Settings, spool: Path, *, say: Callable[[str], None]) -> None:
    """Receive until SIGINT or SIGTERM.

    Args:
        settings: The settings.
        spool: The spool's file.
        say: Tells whoever runs the receiver something, in one line.

    Raises:
        WebhooksError: The address is taken, or the spool cannot be used.
    """
    metrics = Metrics()
    writer = Writer(
        spool,
        most_bytes=settings.max_spool_bytes,
        max_age_s=settings.max_age_days * _DAY_S,
        metrics=metrics,
        say=say,
    )
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise WebhooksError(f"settings 'host' and 'port': cannot listen there: {error.strerror or error}", 1) from None
    config = uvicorn.Config(
        App(settings, writer, metrics),
        http="httptools",
        ws="none",
        loop="uvloop",
        lifespan="off",
        backlog=_BACKLOG,
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    host, port = listener.getsockname()[:2]
    server = _Server(config, writer, lambda: say(f"listening on {host}:{port} for {_names(settings)}"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn handles them while it serves, and raises them again at its end
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        writer.stop()
    if server.failure is not None:
        raise server.failure


def _names(settings: Settings) -> str:
    return ", ".join(endpoint.name for endpoint in settings.endpoints)
