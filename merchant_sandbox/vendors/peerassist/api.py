"""PeerAssist: field work orders, customers, projects, employees. Sources: ``contracts/peerassist``.

The vendor documents the login, one customer by id, and that ``GET /fwo`` has pages; what it leaves open is a switch.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.paging import cut
from merchant_sandbox.routing import Route
from merchant_sandbox.rows import RenderedLists
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.peerassist.model import PeerAssistModel
from merchant_sandbox.vendors.peerassist.shapes import PeerAssistShapes, Style
from merchant_sandbox.vendors.peerassist.truth import STREAMS, PeerAssistTruth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.vendor import Size

__all__ = ["VENDOR", "PeerAssist", "PeerAssistData"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


class PeerAssistData(RenderedLists[Style]):
    """The model with its lists, oldest first, rendered in every style asked for.

    Args:
        model: The records.
    """

    def __init__(self, model: PeerAssistModel) -> None:
        self.model = model
        self.shapes = shapes = PeerAssistShapes(model)
        super().__init__(
            _encode,
            {
                "fwos": (lambda: model.fwos, shapes.fwo),
                "customers": (lambda: model.customers, shapes.customer),
                "projects": (lambda: model.projects, shapes.project),
                "employees": (lambda: model.employees, shapes.employee),
            },
        )


class PeerAssist(Vendor):
    """The API; it has no path prefix."""

    credentials: ClassVar[Mapping[str, str]] = {
        "client_key": "ck_sandbox_8Yh3nPq5Rt7Wz1",
        "username": "reader.sandbox@example.com",
        "password": "Pw-sandbox-4Kd9!xZ&2 =q",
    }
    streams = tuple(STREAMS)
    switches_declared = (
        Switch("token_minutes", 60, "Lifetime of a token, in minutes of the world's clock."),
        Switch(
            "expires_in",
            "minutes",
            "How the login states the lifetime: in minutes as documented, in seconds, or not at all.",
            ("minutes", "seconds", "absent"),
        ),
        Switch("revoke_after", 0, "Calls after which a token is revoked; 0: never."),
        Switch("accept_key", True, "Whether the login accepts the API key; if not, it answers 401."),
        Switch(
            "role",
            "office",
            "The user's role: `field` sees half of the field work orders and gets 403 for employees, `none` gets 403 "
            "for everything.",
            ("office", "field", "none"),
        ),
        Switch(
            "envelope",
            "content",
            "Where lists are: in this member of an object, in Spring's `paged_model` (totals in `page`), or in a bare "
            "`array`.",
            ("content", "items", "data", "results", "paged_model", "array"),
        ),
        Switch("totals", True, "Whether envelopes have `totalElements` and `totalPages`; they always have `last`."),
        Switch("first_page", 0, "Number of the first page.", (0, 1)),
        Switch("page_zero", "first", "What page 0 is where pages count from 1.", ("first", "error")),
        Switch("default_size", 20, "Records on a page when the request gives no size."),
        Switch("size_cap", 2000, "Most records on a page; a larger size is silently reduced."),
        Switch("ignore_size", False, "Whether the size is ignored: pages have `default_size` records."),
        Switch("ignore_page", False, "Whether the page number is ignored: the answer is always the first page."),
        Switch("page_param", "page", "Name of the query parameter for the page number."),
        Switch("size_param", "size", "Name of the query parameter for the page size."),
        Switch("sortable", True, "Whether `sort=id,asc` is honoured; otherwise lists are newest first."),
        Switch(
            "customer_list",
            "yes",
            "Whether `GET /customer` exists; if not, the status it answers.",
            ("yes", "404", "405"),
        ),
        Switch("missing", [], "Paths of guessed calls that answer 404: `/project`, `/employee`."),
        Switch(
            "dates",
            "iso",
            "Form of dates: text in UTC, with an offset or without one (see `zone`), Unix milliseconds, or no dates.",
            ("iso", "iso_offset", "iso_naive", "epoch_ms", "absent"),
        ),
        Switch("zone", "America/New_York", "Time zone of dates that are not in UTC."),
        Switch("nulls", "absent", "Whether fields without a value are left out or null.", ("absent", "null")),
        Switch("lines", False, "Whether tickets contain their labor lines, a member that the contract does not name."),
    )
    routes = (
        Route("POST", "/auth", "login", auth=False),
        Route("GET", "/fwo", "list_fwos"),
        Route("GET", "/customer", "list_customers"),
        Route("GET", "/project", "list_projects"),
        Route("GET", "/employee", "list_employees"),
        Route("GET", "/fwo/{id}", "get_fwo"),
        Route("GET", "/customer/{id}", "get_customer"),
        Route("POST", "/customer", "write_customer", writes=True),
        Route("PUT", "/customer", "write_customer", writes=True),
        Route("DELETE", "/customer/{id}", "delete_customer", writes=True),
    )

    def __init__(self, clock: WorldClock, model: Any, url: str) -> None:
        super().__init__(clock, model, url)
        self._tokens: dict[str, tuple[float, int]] = {}
        self._issued = 0

    @classmethod
    @override
    def build(cls, seed: int, size: Size, ticks: int) -> PeerAssistData:
        return PeerAssistData(PeerAssistModel(seed, size, ticks))

    @property
    def style(self) -> Style:
        """How records are written just now."""
        switches = self.switches
        return Style(switches["dates"], switches["zone"], switches["nulls"], switches["lines"])

    @override
    def truth(self, stream: str) -> Iterable[dict[str, Any]]:
        return STREAMS[stream](PeerAssistTruth(self.model.model, self.style, self._visible_fwos(), self.switches))

    def _visible_fwos(self) -> Sequence[int]:
        fwos: Sequence[int] = self.model.model.fwos
        return fwos[::2] if self.switches["role"] == "field" else fwos

    # Login

    def login(self, request: ServerRequest) -> ServerResponse:
        """Give a token for API key, user name and password."""
        body = request.json()
        given = body if isinstance(body, dict) else {}
        expected = self.credentials
        if not self.switches["accept_key"] or request.query("clientKey") != expected["client_key"]:
            return self._error(request, 401, "Invalid client key")
        if (given.get("userName"), given.get("password")) != (expected["username"], expected["password"]):
            return self._error(request, 401, "Bad credentials")
        self._issued += 1
        token = hashlib.sha256(f"{self.url}#{self._issued}".encode()).hexdigest()[:43]
        minutes = self.switches["token_minutes"]
        self._tokens[token] = (self.clock.time() + minutes * 60, 0)
        life = {"minutes": {"expiresIn": minutes}, "seconds": {"expiresIn": minutes * 60}, "absent": {}}
        return json_response({"token": token, "tokenType": "Bearer", **life[self.switches["expires_in"]]})

    @override
    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        token = request.bearer() or ""
        expires_at, calls = self._tokens.get(token, (0.0, 0))
        limit = self.switches["revoke_after"]
        if self.clock.time() >= expires_at or (limit and calls >= limit):
            return self.unauthorized(request)
        self._tokens[token] = (expires_at, calls + 1)
        role = self.switches["role"]
        if role == "none" or (role == "field" and request.path == "/employee"):
            return self._error(request, 403, "Access is denied")
        return None

    @override
    def expire_tokens(self) -> None:
        self._tokens.clear()

    @override
    def unauthorized(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 401, "Full authentication is required to access this resource")

    @override
    def not_found(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 404, None)

    @override
    def error_object(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 500, None)

    def _error(self, request: ServerRequest, status: int, message: str | None) -> ServerResponse:
        """Spring's usual error body; the vendor does not document one."""
        body = {
            "timestamp": datetime.fromtimestamp(self.clock.time(), UTC).isoformat(timespec="milliseconds"),
            "status": status,
            "error": HTTPStatus(status).phrase,
            "message": message,
            "path": request.path,
        }
        return json_response(body, status)

    # Lists

    def _page(self, request: ServerRequest, name: str, rows: Sequence[bytes] | None = None) -> ServerResponse:
        switches = self.switches
        first = switches["first_page"]
        try:
            number = int(request.query(switches["page_param"]) or first) - first
            size = int(request.query(switches["size_param"]) or switches["default_size"])
        except ValueError:
            return self._error(request, 400, "page and size must be integers")
        if size < 1 or number < -1 or (number < 0 and (not first or switches["page_zero"] == "error")):
            return self._error(request, 400, "page or size out of range")
        number = 0 if switches["ignore_page"] else max(0, number)
        size = self._granted(request, switches["default_size"] if switches["ignore_size"] else size)
        rows = self.model.rows(name, self.style) if rows is None else rows
        if not (switches["sortable"] and request.query("sort") == "id,asc"):
            rows = rows[::-1]
        found, total = cut(request, rows, number * size, size)
        return self._enveloped(found, total, number, size)

    def _granted(self, request: ServerRequest, size: int) -> int:
        """The size of a page; where it is reduced, page numbers count in the smaller size."""
        for fault in ("ignore_page_size", "page_cap"):
            if fault in request.effects:
                limit = int(request.effects[fault].get("rows", 10))
                size = limit if fault == "ignore_page_size" else min(size, limit)
        cap: int = self.switches["size_cap"]
        return min(size, cap)

    def _enveloped(self, found: Sequence[bytes], total: int, number: int, size: int) -> ServerResponse:
        envelope, rows = self.switches["envelope"], b"[" + b",".join(found) + b"]"
        if envelope == "array":
            return ServerResponse(rows)
        pages = -(-total // size)
        totals = {"totalElements": total, "totalPages": pages} if self.switches["totals"] else {}
        if envelope == "paged_model":
            page = {"size": size, "number": number, **totals}
            return ServerResponse(b'{"content":%b,"page":%b}' % (rows, _encode(page)))
        meta = {
            "number": number,
            "size": size,
            "numberOfElements": len(found),
            **totals,
            "first": number == 0,
            "last": number + 1 >= pages,
        }
        return ServerResponse(b'{"%b":%b,%b' % (envelope.encode(), rows, _encode(meta)[1:]))

    def list_fwos(self, request: ServerRequest) -> ServerResponse:
        """Field work orders."""
        rows = self.model.rows("fwos", self.style)
        return self._page(request, "fwos", rows[::2] if self.switches["role"] == "field" else rows)

    def list_customers(self, request: ServerRequest) -> ServerResponse:
        """Customers; a guessed call."""
        if self.switches["customer_list"] != "yes":
            return self._error(request, int(self.switches["customer_list"]), None)
        return self._page(request, "customers")

    def list_projects(self, request: ServerRequest) -> ServerResponse:
        """Projects; a guessed call."""
        return self._guessed(request, "projects")

    def list_employees(self, request: ServerRequest) -> ServerResponse:
        """Employees; a guessed call."""
        return self._guessed(request, "employees")

    def _guessed(self, request: ServerRequest, name: str) -> ServerResponse:
        return self.not_found(request) if request.path in self.switches["missing"] else self._page(request, name)

    # Single records and writes

    def get_fwo(self, request: ServerRequest) -> ServerResponse:
        """One field work order; a guessed call."""
        wanted = request.params["id"]
        model: PeerAssistModel = self.model.model
        index = next((index for index in self._visible_fwos() if str(model.fwo(index).id) == wanted), None)
        if index is None:
            return self.not_found(request)
        return ServerResponse(_encode(self.model.shapes.fwo(index, self.style)))

    def get_customer(self, request: ServerRequest) -> ServerResponse:
        """One customer, a documented call."""
        wanted = request.params["id"]
        index = self.model.model.find_customer(int(wanted)) if wanted.isdecimal() else None
        if index is None:
            return self.not_found(request)
        return ServerResponse(_encode(self.model.shapes.customer(index, self.style)))

    def write_customer(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - a handler's signature
        """Create or update: answer with the guide's sample customer, and keep nothing."""
        return ServerResponse(_encode(self.model.shapes.customer(3, self.style)))

    def delete_customer(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - a handler's signature
        """Delete: claim that it was done, and keep everything."""
        return ServerResponse(b"", 204, content_type=None)


VENDOR = PeerAssist
