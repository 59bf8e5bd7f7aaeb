"""The ASGI application: finds the world, the vendor and the route of a request, and answers with data or a fault."""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import TYPE_CHECKING, Any

from merchant_sandbox.answers import Answer
from merchant_sandbox.control import control
from merchant_sandbox.errors import SandboxError
from merchant_sandbox.faults import PAGING_KINDS
from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.spoil import SPOILERS, Case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merchant_sandbox.faults import Fault
    from merchant_sandbox.world import Seat, Worlds

__all__ = ["App"]

_ELSEWHERE = "elsewhere"
_PATH_PARTS = 4
_FAILED = json_response({"error": {"type": "api_error", "message": "the sandbox failed, see its stderr"}}, 500)


class App:
    """The sandbox as an ASGI application.

    Args:
        worlds: Its worlds.
    """

    def __init__(self, worlds: Worlds) -> None:
        self.worlds = worlds

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request, or speak one WebSocket."""
        kind, raw_path = scope["type"], scope.get("raw_path", b"").decode("latin-1")
        parts = raw_path.split("/", _PATH_PARTS)
        if kind == "websocket":
            await self._websocket(parts, scope, receive, send)
        elif parts[1] == "w" and len(parts) >= _PATH_PARTS:
            await self._vendor(parts, scope, receive, send)
        else:
            await self._own(raw_path, scope, receive, send)

    def _seat(self, parts: list[str]) -> Seat | None:
        """The vendor in a world that a path names."""
        world = self.worlds.find(parts[2]) if parts[1] == "w" and len(parts) >= _PATH_PARTS else None
        try:
            return world.seat(parts[3]) if world else None
        except SandboxError:
            return None

    async def _vendor(self, parts: list[str], scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        seat = self._seat(parts)
        path = "/" + parts[4] if len(parts) > _PATH_PARTS else ""
        request = await _read(scope, receive, path)
        answer = Answer(scope, receive, send)
        if seat is None:
            await answer.send(json_response({"error": f"the sandbox has no {'/'.join(parts[1:4])}"}, 404))
            return
        base = seat.vendor.base_path
        request.path = request.path.removeprefix(base)
        met = scope["state"]["connection"].met
        if id(seat) not in met:
            met.add(id(seat))
            seat.stats.connections += 1
        found = seat.vendor.resolve(request)
        if found:
            request.route, request.params = found
        entry = seat.stats.arrived(request)
        try:
            await self._answer(seat, request, answer)
        except Exception:  # noqa: BLE001 - a bug must not look like one of the faults
            traceback.print_exc(file=sys.stderr)
            if answer.status is None:
                await answer.send(_FAILED)
        finally:
            seat.stats.finished(entry, answer.status)

    async def _answer(self, seat: Seat, request: ServerRequest, answer: Answer) -> None:
        spoiling: Fault | None = None
        for fault in seat.faults.striking(request):
            if fault.kind == "delay":
                await asyncio.sleep(float(fault.details.get("seconds", 0.1)))
            elif fault.kind == "expire_tokens":
                seat.vendor.expire_tokens()
            elif fault.kind in PAGING_KINDS:
                request.effects[fault.kind] = fault.details
            else:
                spoiling = fault
        if spoiling is None:
            await answer.send(_respond(seat, request))
        else:
            case = Case(answer, spoiling, seat.vendor, request, lambda: _respond(seat, request), seat.vendor.clock)
            await SPOILERS[spoiling.kind](case)

    async def _own(self, path: str, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        request = await _read(scope, receive, path)
        answer = Answer(scope, receive, send)
        if path.startswith("/" + _ELSEWHERE):
            entry = self.worlds.elsewhere.arrived(request)
            await answer.send(json_response({"object": "list", "data": []}))
            self.worlds.elsewhere.finished(entry, 200)
        elif path.startswith("/_control/"):
            try:
                response = control(self.worlds, request)
            except SandboxError as error:
                response = json_response({"error": str(error)}, 400)
            except Exception:  # noqa: BLE001 - a bug here must be seen by the caller
                response = json_response({"error": traceback.format_exc()}, 500)
            await answer.send(response)
        else:
            await answer.send(
                json_response({"error": "not a path of the sandbox; vendors are at /w/<world>/<vendor>"}, 404)
            )

    async def _websocket(self, parts: list[str], scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        seat = self._seat(parts)
        if seat is None:
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        path = ("/" + parts[4] if len(parts) > _PATH_PARTS else "").removeprefix(seat.vendor.base_path)
        request = ServerRequest("GET", path.rstrip("/"), scope["query_string"].decode("latin-1"), _headers(scope))
        found = seat.vendor.resolve(request)
        if found:
            request.route, request.params = found
        scope["state"]["request"] = request
        entry = seat.stats.arrived(request)
        try:
            await seat.vendor.websocket(scope, receive, send)
        finally:
            seat.stats.finished(entry, 101 if scope["state"]["connection"].opened else None)


def _respond(seat: Seat, request: ServerRequest) -> ServerResponse:
    """What the vendor answers when no fault strikes."""
    vendor, route = seat.vendor, request.route
    try:
        if route is None:
            return vendor.authorize(request) or vendor.not_found(request)
        refusal = vendor.authorize(request) if route.auth else None
        response: ServerResponse = refusal or getattr(vendor, route.handler)(request)
    except Exception:  # noqa: BLE001 - a bug in a vendor module must not look like a network fault
        traceback.print_exc(file=sys.stderr)
        return _FAILED
    return response


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _read(scope: Mapping[str, Any], receive: Any, path: str) -> ServerRequest:
    headers = _headers(scope)
    body = b""
    if "content-length" in headers or "transfer-encoding" in headers:
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    return ServerRequest(scope["method"], path.rstrip("/"), scope["query_string"].decode("latin-1"), headers, body)
