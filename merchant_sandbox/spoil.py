"""What each fault of `merchant_sandbox.faults.ANSWER_KINDS` does to a vendor's answer."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from merchant_sandbox.http import JSON, ServerResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from merchant_sandbox.answers import Answer
    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.faults import Fault
    from merchant_sandbox.http import ServerRequest
    from merchant_sandbox.vendor import Vendor

__all__ = ["SPOILERS", "Case"]

_HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Welcome to the Wi-Fi</h1></body></html>\n"
_GZIP_BITS = 31
_NO_BLOCK = b"\xff" * 16
"""No deflate block starts like this, so every decoder fails here."""


@dataclass(slots=True)
class Case:
    """A request that a fault strikes.

    Args:
        answer: The way back to the client.
        fault: The fault.
        vendor: The vendor that was asked.
        request: The request.
        respond: Makes the vendor's good response.
        clock: The world's clock.
    """

    answer: Answer
    fault: Fault
    vendor: Vendor
    request: ServerRequest
    respond: Callable[[], ServerResponse]
    clock: WorldClock

    def detail(self, name: str, default: Any) -> Any:
        """What the fault was given under this name."""
        return self.fault.details.get(name, default)

    def half(self, response: ServerResponse) -> bytes:
        """The first part of a body (``at``, by default half), at least a byte short of the whole."""
        return response.body[: min(len(response.body) - 1, int(len(response.body) * float(self.detail("at", 0.5))))]

    async def send(self, response: ServerResponse, **changes: Any) -> None:
        """Send a response with some parts changed."""
        await self.answer.send(replace(response, **changes))


async def _status(case: Case) -> None:
    status = int(case.detail("status", 500))
    wait = case.detail("retry_after", None)
    headers = dict(case.detail("headers", {}))
    if wait is not None:
        headers["Retry-After"] = str(wait)
    if "retry_after_date" in case.fault.details:
        headers["Retry-After"] = case.clock.http_date(float(case.detail("retry_after_date", 0)))
    await case.answer.send(_refusal(case, status, headers, float(case.detail("reset_in", 60))))


def _refusal(case: Case, status: int, headers: Mapping[str, str], reset_in: float) -> ServerResponse:
    """An error; in headers and body ``$reset`` is the Unix time of the reset, ``$reset_in`` the seconds until then."""
    values = {"$reset_in": str(math.ceil(reset_in)), "$reset": str(math.ceil(case.clock.time() + reset_in))}
    body = case.detail("body", None)
    if body is None:
        example = case.vendor.unauthorized(case.request) if status == 401 else case.vendor.error_object(case.request)  # noqa: PLR2004 - HTTP
        text = example.body.decode()
    else:
        text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    for name, value in values.items():
        text = text.replace(f'"{name}"', value).replace(name, value)
        headers = {header: content.replace(name, value) for header, content in headers.items()}
    return ServerResponse(text.encode(), status, tuple(headers.items()))


async def _throttle(case: Case) -> None:
    now, fault = case.clock.time(), case.fault
    if fault.until is None:
        fault.until = now + float(case.detail("seconds", 60))
    rest = max(1, math.ceil(fault.until - now))
    headers = dict(case.detail("headers", {}))
    match case.detail("tell", "seconds"):
        case "seconds":
            headers["Retry-After"] = str(rest)
        case "date":
            headers["Retry-After"] = case.clock.http_date(rest)
    await case.answer.send(_refusal(case, int(case.detail("status", 429)), headers, rest))


async def _unauthorized(case: Case) -> None:
    await case.answer.send(case.vendor.unauthorized(case.request))


async def _error_object(case: Case) -> None:
    await case.send(case.vendor.error_object(case.request), status=200)


async def _stall(case: Case) -> None:
    await case.answer.hang()


async def _stall_body(case: Case) -> None:
    response = case.respond()
    case.answer.write(response, case.half(response), content_length=str(len(response.body)))
    await case.answer.hang()


async def _reset(case: Case) -> None:
    await case.answer.reset()


async def _reset_body(case: Case) -> None:
    response = case.respond()
    case.answer.write(response, case.half(response), content_length=str(len(response.body)))
    await case.answer.reset()


async def _short_body(case: Case) -> None:
    response = case.respond()
    case.answer.write(
        response, response.body, content_length=str(len(response.body) + int(case.detail("missing", 100)))
    )
    await case.answer.close()


async def _cut_chunked(case: Case) -> None:
    response = case.respond()
    part = case.half(response)
    case.answer.write(response, b"%x\r\n%b\r\n" % (len(part), part), transfer_encoding="chunked")
    await case.answer.close()


async def _gzip(case: Case) -> None:
    response = case.respond()
    headers = (*response.headers, ("content-encoding", "gzip"))
    await case.send(response, body=gzip.compress(response.body, 1), headers=headers)


async def _bad_gzip(case: Case) -> None:
    response = case.respond()
    packer = zlib.compressobj(wbits=_GZIP_BITS)
    packed = packer.compress(case.half(response)) + packer.flush(zlib.Z_SYNC_FLUSH) + _NO_BLOCK
    await case.send(response, body=packed, headers=(*response.headers, ("content-encoding", "gzip")))


async def _html(case: Case) -> None:
    await case.answer.send(ServerResponse(_HTML, 200, content_type="text/html; charset=utf-8"))


async def _cut_json(case: Case) -> None:
    response = case.respond()
    await case.send(response, body=case.half(response))


async def _no_content(case: Case) -> None:
    await case.answer.send(ServerResponse(b"", 204, content_type=None))


async def _empty_body(case: Case) -> None:
    await case.answer.send(ServerResponse(b""))


async def _bom(case: Case) -> None:
    response = case.respond()
    await case.send(response, body=b"\xef\xbb\xbf" + response.body)


async def _nan(case: Case) -> None:
    response = case.respond()
    name = re.escape(str(case.detail("field", ""))) or r"[^\"]*"
    number = re.compile(rb'("' + name.encode() + rb'":)-?\d+(?:\.\d+)?')
    await case.send(response, body=number.sub(rb"\1NaN", response.body, count=1))


async def _charset(case: Case) -> None:
    response, charset = case.respond(), str(case.detail("charset", "iso-8859-1"))
    body = response.body.decode().encode(charset, "replace")
    await case.send(response, body=body, content_type=f"{JSON}; charset={charset}")


async def _wrong_charset(case: Case) -> None:
    await case.send(case.respond(), content_type=f"{JSON}; charset={case.detail('charset', 'iso-8859-1')}")


async def _redirect(case: Case) -> None:
    scope = case.answer.scope
    base = f"{scope['scheme']}://127.0.0.1:{scope['server'][1]}"
    path, query = scope["raw_path"].decode(), scope["query_string"].decode()
    tail = f"?{query}" if query else ""
    to = str(case.detail("to", "host"))
    targets = {
        "host": f"{scope['scheme']}://localhost:{scope['server'][1]}/elsewhere{path}{tail}",
        "loop": base + path + tail,
        "same": f"{base}{path.rstrip('/')}/{tail}",
    }
    headers = (("Location", targets.get(to, to)),)
    await case.answer.send(ServerResponse(b"", int(case.detail("status", 302)), headers, content_type=None))


async def _close(case: Case) -> None:
    await case.answer.send(case.respond())
    await case.answer.close()


async def _patch(case: Case) -> None:
    response = case.respond()
    value = msgspec.json.decode(response.body)
    for path, new in case.detail("set", {}).items():
        _change(value, path.split("."), partial(_set, new))
    for path in case.detail("remove", []):
        _change(value, path.split("."), _remove)
    await case.send(response, body=msgspec.json.encode(value))


def _set(new: Any, place: Any, key: Any) -> None:
    place[key] = new


def _remove(place: Any, key: Any) -> None:
    if isinstance(place, dict):
        place.pop(key, None)


def _change(value: Any, path: list[str], change: Callable[[Any, Any], None]) -> None:
    """Apply a change everywhere that the path leads; a path that leads nowhere changes nothing."""
    first, *rest = path
    if isinstance(value, list):
        numbers = range(len(value))
        keys: list[Any] = [number for number in numbers if first in {"*", str(number)}]
    elif isinstance(value, dict):
        keys = list(value) if first == "*" else [first]
    else:
        return
    for key in keys:
        if not rest:
            change(value, key)
        elif isinstance(value, list) or key in value:
            _change(value[key], rest, change)


SPOILERS: Mapping[str, Callable[[Case], Awaitable[None]]] = {
    "status": _status,
    "throttle": _throttle,
    "unauthorized": _unauthorized,
    "error_object": _error_object,
    "stall": _stall,
    "stall_body": _stall_body,
    "reset": _reset,
    "reset_body": _reset_body,
    "short_body": _short_body,
    "cut_chunked": _cut_chunked,
    "gzip": _gzip,
    "bad_gzip": _bad_gzip,
    "html": _html,
    "cut_json": _cut_json,
    "no_content": _no_content,
    "empty_body": _empty_body,
    "bom": _bom,
    "nan": _nan,
    "charset": _charset,
    "wrong_charset": _wrong_charset,
    "redirect": _redirect,
    "close": _close,
    "patch": _patch,
}
