"""Sending an answer, whole or spoilt by a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from merchant_sandbox.faults import Fault
    from merchant_sandbox.http import Request, Response
    from merchant_sandbox.world import Seat

__all__ = ["Answer"]


class Answer:
    """The way back to one client.

    Args:
        scope: ASGI scope; ``state`` holds the transport.
        receive: ASGI receive.
        send: ASGI send.
    """

    __slots__ = ("_receive", "_scope", "_send", "status")

    def __init__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.status: int | None = None

    async def send(self, response: Response) -> None:
        """Send a response as it is."""
        self.status = response.status
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
        if response.content_type:
            headers.append((b"content-type", response.content_type.encode()))
        if response.status != 204:  # noqa: PLR2004 - No Content
            headers.append((b"content-length", b"%d" % len(response.body)))
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})

    async def spoil(self, fault: Fault, seat: Seat, request: Request, respond: Callable[[], Response]) -> None:
        """Send what the fault makes of the vendor's response."""
        raise NotImplementedError
