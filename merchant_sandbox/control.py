"""The control API under ``/_control/``: worlds, ticks, clocks, faults, switches, truth and statistics.

Every call is a POST with a JSON object; use it through `merchant_sandbox.client`. Calls that a web page makes a browser
send are refused: pages that somebody looks at while a sandbox runs must not reach it.
"""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from merchant_sandbox.discovery import vendors
from merchant_sandbox.errors import SandboxError
from merchant_sandbox.faults import DETAILS, KINDS, Fault
from merchant_sandbox.http import JSON, ServerResponse, json_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from merchant_sandbox.http import ServerRequest
    from merchant_sandbox.world import ServerWorld, Worlds

__all__ = ["control"]

_FAULT_FIELDS = ("times", "after", "every", "probability", "seed", "where")


def control(worlds: Worlds, request: ServerRequest) -> ServerResponse:
    """Carry out one control call."""
    if (refusal := _refusal(request)) is not None:
        return refusal
    name = request.path.removeprefix("/_control/")
    action = _ACTIONS.get(name)
    if action is None:
        raise SandboxError(f"no control call {name!r}; the calls are {', '.join(_ACTIONS)}")
    arguments = request.json() if request.body else {}
    if not isinstance(arguments, dict):
        raise SandboxError("a control call takes a JSON object")
    try:
        return json_response(action(worlds, **arguments))
    except TypeError as error:
        raise SandboxError(f"{name}: {error}") from error


def _refusal(request: ServerRequest) -> ServerResponse | None:
    """Why a call is none of ours: no script of this machine makes it, but a browser for some page may.

    A page cannot leave its ``Origin`` out of a POST, cannot send JSON to another site without asking first, and one
    whose name was made to point here still sends that name as ``Host``.
    """
    if request.method != "POST":
        return json_response({"error": "control calls are POST"}, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "POST")])
    if "origin" in request.headers:
        return json_response({"error": "control calls do not come from web pages"}, HTTPStatus.FORBIDDEN)
    if not _is_here(request.headers.get("host", "")):
        return json_response({"error": "control calls go to 127.0.0.1, by that name"}, HTTPStatus.FORBIDDEN)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return json_response({"error": "control calls are JSON"}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return None


def _is_here(host: str) -> bool:
    """Whether the name in a Host header is this machine's own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _make_world(worlds: Worlds, **arguments: Any) -> Any:
    return worlds.make(**arguments).describe()


def _drop_world(worlds: Worlds, world: str) -> Any:
    worlds.drop(world)


def _describe(worlds: Worlds, world: str) -> Any:
    return worlds.get(world).describe()


def _config(worlds: Worlds, world: str, vendor: str) -> Any:
    return worlds.get(world).config(vendor)


def _tick(worlds: Worlds, world: str, number: int = 1) -> Any:
    there = worlds.get(world)
    there.tick(number)
    return there.describe()


def _advance(worlds: Worlds, world: str, seconds: float) -> Any:
    there = worlds.get(world)
    there.clock.advance(seconds)
    return there.describe()


def _add_fault(worlds: Worlds, world: str, vendor: str, kind: str, route: str = "*", **rest: Any) -> Any:
    if kind not in KINDS:
        raise SandboxError(f"no fault {kind!r}; the faults are {', '.join(KINDS)}")
    seat = worlds.get(world).seat(vendor)
    patterns = {r.pattern for r in seat.vendor.routes} | {f"{r.method} {r.pattern}" for r in seat.vendor.routes}
    if route != "*" and route not in patterns:
        raise SandboxError(f"{vendor} has no route {route!r}; it has {', '.join(sorted(patterns))}")
    fields = {name: rest.pop(name) for name in _FAULT_FIELDS if name in rest}
    if odd := set(rest) - set(DETAILS.get(kind, ())):
        takes = ", ".join((*_FAULT_FIELDS, *DETAILS.get(kind, ())))
        raise SandboxError(f"fault {kind} does not take {', '.join(sorted(odd))}; it takes {takes}")
    return seat.faults.add(Fault(kind, route, details=rest, **fields)).describe()


def _list_faults(worlds: Worlds, world: str, vendor: str) -> Any:
    return [fault.describe() for fault in worlds.get(world).seat(vendor).faults.all()]


def _clear_faults(worlds: Worlds, world: str, vendor: str | None = None) -> Any:
    for seat in _seats(worlds.get(world), vendor):
        seat.faults.clear()


def _switch(worlds: Worlds, world: str, vendor: str, values: dict[str, Any]) -> Any:
    worlds.get(world).switch(vendor, values)


def _truth(worlds: Worlds, world: str, vendor: str, stream: str, **options: Any) -> Any:
    emulation = worlds.get(world).seat(vendor).vendor
    if stream not in emulation.streams:
        raise SandboxError(f"{vendor} has no stream {stream!r}; it has {', '.join(emulation.streams)}")
    truth: Callable[..., Iterable[dict[str, Any]]] = emulation.truth
    return [msgspec.Raw(msgspec.json.encode(row)) for row in truth(stream, **options)]  # a million rows fit as text


def _told(worlds: Worlds, world: str, vendor: str) -> Any:
    told = worlds.get(world).seat(vendor).vendor.told()
    return [{"at": each.at, "account": each.account, "body": each.body} for each in told]


def _stats(worlds: Worlds, world: str, vendor: str) -> Any:
    return worlds.get(world).seat(vendor).stats.summary()


def _requests(worlds: Worlds, world: str, vendor: str) -> Any:
    return list(worlds.get(world).seat(vendor).stats.log)


def _elsewhere(worlds: Worlds) -> Any:
    return list(worlds.elsewhere.log)


def _vendors(worlds: Worlds) -> Any:  # noqa: ARG001 - the same for every sandbox
    return list(vendors())


def _seats(world: ServerWorld, vendor: str | None) -> Any:
    return [world.seat(vendor)] if vendor else world.seats()


def _full_listener(worlds: Worlds) -> Any:
    return worlds.full_listener.url


_ACTIONS: Mapping[str, Callable[..., Any]] = {
    "make_world": _make_world,
    "drop_world": _drop_world,
    "describe": _describe,
    "vendors": _vendors,
    "config": _config,
    "tick": _tick,
    "advance": _advance,
    "add_fault": _add_fault,
    "list_faults": _list_faults,
    "clear_faults": _clear_faults,
    "switch": _switch,
    "truth": _truth,
    "told": _told,
    "stats": _stats,
    "requests": _requests,
    "elsewhere": _elsewhere,
    "full_listener": _full_listener,
}
