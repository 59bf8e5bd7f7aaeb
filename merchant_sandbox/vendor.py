"""The interface between the sandbox and a vendor.

``docs/sandbox.md`` shows a whole vendor. In short: the ``api`` of a package in ``merchant_sandbox/vendors`` has one
subclass of `Vendor`, and ``VENDOR`` is that class. It declares ``base_path``, ``credentials``, ``switches_declared``,
``streams`` and ``routes``, and writes ``build``, ``authorize``, ``truth`` and the handlers.

An instance of the class is one vendor in one world. It may keep what belongs to the world, such as tokens that it has
issued and counters of calls. It reads the time only from ``self.clock`` (``self.clock.time()``, in virtual Unix
seconds), so that a token that lives an hour, or a budget per clock hour (``int(time) // 3600``), follows the world's
clock. ``self.switches`` has the current value of every switch. The data are in ``self.model``, which is what
``build(seed, size, ticks)`` returned. They are a pure function of these three, are shared between worlds and must not
be changed. A tick replaces the model.

Handlers are named by the routes. They take a `ServerRequest` and return a `ServerResponse` at once, without waiting,
input or output. They read a body with ``request.json()`` or ``request.form()`` (urlencoded and multipart), a login with
``request.basic()`` or ``request.bearer()``. List calls cut their pages with `merchant_sandbox.paging.cut`, which
applies the paging faults; an API without pages passes its rows through `merchant_sandbox.paging.view`.

A route with ``writes=True`` is an operation that would change data at the vendor: it is recorded and flagged, may
answer plausibly, and changes nothing. `merchant_sandbox.dice`, `merchant_sandbox.timeline` and `merchant_sandbox.rows`
help to make deterministic data that stay compact at a million rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.routing import Router

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.routing import Route

__all__ = ["Size", "Switch", "Told", "Vendor"]

Size = Literal["demo", "small", "medium", "large"]
"""How many records a world has; ``demo`` has as many as ``small``, without amounts that no business has."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One behaviour of an emulated API that a world can change.

    Args:
        name: Its name.
        default: Its value in a new world; a new value must be of the same type (None takes any).
        doc: One line for the documentation.
        choices: The allowed values, if there are only a few.
    """

    name: str
    default: Any
    doc: str
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a vendor tells a webhook.

    Args:
        at: When it happens, in Unix seconds.
        account: Whose webhook it is.
        body: What is sent.
    """

    at: int
    account: str
    body: Any


class Vendor:
    """One vendor's API in one world; see the module's docstring.

    Args:
        clock: The world's clock.
        model: What ``build`` returned.
        url: Base URL of this vendor in this world, with ``base_path``, without a trailing slash.
    """

    base_path: ClassVar[str] = ""
    """Path between ``/w/<world>/<vendor>`` and the routes, as at the vendor (``/api/v1``)."""
    credentials: ClassVar[Mapping[str, str]] = {}
    """The tap's secret settings, with the values that this sandbox accepts."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Further settings that a tap needs to read this sandbox."""
    switches_declared: ClassVar[tuple[Switch, ...]] = ()
    streams: ClassVar[tuple[str, ...]] = ()
    routes: ClassVar[tuple[Route, ...]] = ()

    def __init__(self, clock: WorldClock, model: Any, url: str) -> None:
        self.clock = clock
        self.model = model
        self.url = url
        self.switches: dict[str, Any] = {switch.name: switch.default for switch in self.switches_declared}

    def settings_now(self) -> Mapping[str, Any]:
        """Settings that a tap needs to read the current data, such as a list of customers."""
        return {}

    @classmethod
    def build(cls, seed: int, size: Size, ticks: int) -> Any:
        """Make the data: a pure function of the arguments, cheap until the rows are asked for."""
        raise NotImplementedError

    def truth(self, stream: str) -> Iterable[dict[str, Any]]:
        """The records of a stream as they must be in the warehouse, made from the model, in the order served.

        A vendor whose records depend on the tap's settings may take those as further keyword arguments.
        """
        raise NotImplementedError

    def told(self) -> Iterable[Told]:
        """What webhooks are told of the story's last day, in the order in which it happened; nothing by default."""
        return ()

    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        """The refusal of a request without valid credentials; None lets it pass."""
        raise NotImplementedError

    def unauthorized(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - vendors may look at it
        """The vendor's answer to a wrong, expired or revoked credential."""
        return json_response({"message": "Unauthorized"}, 401)

    def not_found(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - vendors may look at it
        """The vendor's answer to an unknown path."""
        return json_response({"message": "Not found"}, 404)

    def error_object(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - vendors may look at it
        """The vendor's own error, which the fault ``error_object`` sends with status 200."""
        return json_response({"message": "Something went wrong"}, 500)

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid, as if it had expired (fault ``expire_tokens``)."""

    def tick(self, model: Any) -> None:
        """Take over the data of a later tick."""
        self.model = model

    def resolve(self, request: ServerRequest) -> tuple[Route, dict[str, str]] | None:
        """Find the route of a request and the named parts of its path; APIs that route by query override it."""
        return self._router().match(request.method, request.path)

    async def websocket(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG002 - ASGI signature
        """Speak a WebSocket opened below this vendor's URL; refused unless overridden.

        Args:
            scope: ASGI scope; ``scope["state"]`` holds the `ServerRequest` and the connection, a
                `merchant_sandbox.server.WebSocket`.
            receive: ASGI receive.
            send: ASGI send.
        """
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    @classmethod
    def _router(cls) -> Router:
        router: Router | None = cls.__dict__.get("_cached_router")
        if router is None:
            router = Router(cls.routes)
            cls._cached_router = router  # type: ignore[attr-defined]
        return router
