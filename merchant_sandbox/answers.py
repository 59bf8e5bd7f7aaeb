"""Sending an answer: whole, in pieces, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.http import ServerResponse

__all__ = ["Answer"]

_ARRIVAL_S = 0.02
"""Real seconds for what was written to reach the client before a reset, which may discard it."""


class Answer:
    """The way back to one client.

    Args:
        scope: ASGI scope; its ``state`` has the transport.
        receive: ASGI receive.
        send: ASGI send.
    """

    __slots__ = ("_receive", "_send", "_transport", "scope", "status")

    def __init__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope
        self.status: int | None = None
        self._receive, self._send = receive, send
        self._transport: asyncio.Transport = scope["state"]["transport"]

    async def send(self, response: ServerResponse) -> None:
        """Send a response as it is."""
        self.status = response.status
        headers = [(name.encode(), value.encode()) for name, value in _headers(response).items()]
        if response.status != HTTPStatus.NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(response.body)))
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})

    def write(self, response: ServerResponse, body: bytes, **headers: str) -> None:
        """Bypass the server: write the status line, the response's headers and these, and these bytes of the body."""
        self.status = response.status
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        lines += [f"{name}: {value}" for name, value in (_headers(response) | more).items()]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def hang(self) -> None:
        """Send nothing more until the client goes."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def close(self) -> None:
        """Close the connection after what was already written."""
        self._transport.close()
        await self.hang()

    async def reset(self) -> None:
        """Reset the connection."""
        await asyncio.sleep(_ARRIVAL_S)
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self.hang()


def _headers(response: ServerResponse) -> dict[str, str]:
    headers = {name.lower(): value for name, value in response.headers}
    if response.content_type:
        headers.setdefault("content-type", response.content_type)
    return headers


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
