"""One delivery, from the request to the answer: an ASGI application.

It answers 200 once the body is on disk. Whatever the path says that is not an endpoint's is answered 404 alike, so that
nobody learns which vendors or accounts there are. Nothing of a request is logged: paths and headers hold secrets,
bodies personal data.
"""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from merchant_webhooks.spool import Kept
from merchant_webhooks.writer import UnkeptError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from merchant_webhooks.metrics import Metrics
    from merchant_webhooks.settings import Endpoint, Settings
    from merchant_webhooks.writer import Writer

__all__ = ["RETRY_AFTER_S", "App"]

RETRY_AFTER_S: Final = 60
"""What a refusal for lack of space suggests, in seconds."""

_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


class _RefusedError(Exception):
    """A request that is not kept.

    Args:
        reason: What the metrics call it.
        status: The answer's status.
        headers: Further headers of the answer.
    """

    def __init__(self, reason: str, status: HTTPStatus, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.reason, self.status, self.headers = reason, status, headers


_UNREAD: Final = (b"connection", b"close")
"""The body was not read: nothing more can come on this connection."""


class App:
    """The receiver as an ASGI application.

    Args:
        settings: The settings.
        writer: Keeps the deliveries.
        metrics: Counts.
    """

    def __init__(self, settings: Settings, writer: Writer, metrics: Metrics) -> None:
        self._settings, self._writer, self._metrics = settings, writer, metrics
        self._paths = [(endpoint.path.encode(), endpoint) for endpoint in settings.endpoints]

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        path = bytes(scope["raw_path"]).partition(b"?")[0]
        status, text, headers = HTTPStatus.OK, b"", [_TEXT]
        if path == b"/health":
            status = await self._health()
            text = b"ok\n" if status == HTTPStatus.OK else b"the spool cannot be written\n"
        elif path == b"/metrics":
            spool = Path(self._settings.spool)
            told = await asyncio.to_thread(self._metrics.text, self._settings.max_spool_bytes, spool)
            text, headers = told.encode(), [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")]
        else:
            try:
                await self._deliver(path, scope, receive)
            except _RefusedError as refusal:
                self._metrics.refused[refusal.reason] += 1
                status, headers = refusal.status, [_TEXT, *refusal.headers]
            except UnkeptError:
                status = HTTPStatus.SERVICE_UNAVAILABLE
                headers = [_TEXT, (b"retry-after", b"%d" % RETRY_AFTER_S)]
            except ConnectionResetError:
                return
        await send(
            {
                "type": "http.response.start",
                "status": int(status),
                "headers": [*headers, (b"content-length", b"%d" % len(text))],
            }
        )
        await send({"type": "http.response.body", "body": text if scope["method"] != "HEAD" else b""})

    async def _health(self) -> HTTPStatus:
        try:
            await self._writer.probe()
        except UnkeptError:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.OK

    async def _deliver(self, path: bytes, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]]) -> None:
        endpoint = self._endpoint(path.removesuffix(b"/"))
        if endpoint is None:
            raise _RefusedError("path", HTTPStatus.NOT_FOUND, _UNREAD)
        if scope["method"] != "POST":
            raise _RefusedError("method", HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"), _UNREAD)
        headers = dict(scope["headers"])
        self._check_header(endpoint, headers)
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                body = await self._body(headers, receive)
        except TimeoutError:
            raise _RefusedError("timeout", HTTPStatus.REQUEST_TIMEOUT, _UNREAD) from None
        kind = headers.get(b"content-type")
        said = None if kind is None else kind[:200].decode("latin-1")
        await self._writer.keep(Kept(endpoint.vendor, endpoint.account, said, body))

    def _endpoint(self, path: bytes) -> Endpoint | None:
        """The endpoint of a path. All are compared, each in the same time, so that no answer comes sooner."""
        found = None
        for own, endpoint in self._paths:
            if hmac.compare_digest(own, path):
                found = endpoint
        return found

    @staticmethod
    def _check_header(endpoint: Endpoint, headers: Mapping[bytes, bytes]) -> None:
        if (wanted := endpoint.header) is None:
            return
        given = headers.get(wanted.name.lower().encode(), b"")
        if not hmac.compare_digest(wanted.value.encode(), given):
            raise _RefusedError("header", HTTPStatus.UNAUTHORIZED, _UNREAD)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Callable[[], Awaitable[Any]]) -> bytes:
        most = self._settings.max_body_bytes
        stated = headers.get(b"content-length", b"0")
        if not stated.isdigit() or len(stated) > len(str(most)) or int(stated) > most:
            raise _RefusedError("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _UNREAD)
        pieces, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                raise _RefusedError("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _UNREAD)
            more = message.get("more_body", False)
        return b"".join(pieces)
