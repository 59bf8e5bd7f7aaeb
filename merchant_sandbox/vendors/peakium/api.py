"""Peakium: payments. Sources: ``contracts/peakium``; what the contract leaves open is a switch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from merchant_sandbox.http import ServerRequest, ServerResponse, flag, json_response
from merchant_sandbox.paging import cut
from merchant_sandbox.routing import Route
from merchant_sandbox.rows import RenderedLists
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.peakium.model import PeakiumModel
from merchant_sandbox.vendors.peakium.shapes import EMBEDDED, GATEWAY_MODULES, PeakiumShapes
from merchant_sandbox.vendors.peakium.truth import STREAMS, PeakiumTruth, told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendor import Size, Told

__all__ = ["VENDOR", "Peakium", "PeakiumData", "PeakiumLists"]

_encode = msgspec.json.encode


class PeakiumLists(RenderedLists[tuple[str, ...]]):
    """The lists of a model, newest first, rendered with every set of expansions asked for.

    Args:
        model: The records.
        embedded: What references look like.
    """

    def __init__(self, model: PeakiumModel, embedded: str) -> None:
        self.shapes = shapes = PeakiumShapes(model, embedded)
        super().__init__(
            _encode,
            {
                "customers": (lambda: _newest(model.customers), lambda i, _: shapes.customer(model.customer(i))),
                "subscriptions": (
                    lambda: _newest(model.subscriptions),
                    lambda i, expand: shapes.subscription(model.subscription(i), expand),
                ),
                "invoices": (
                    lambda: _newest(model.invoices),
                    lambda i, expand: shapes.invoice(model.invoice(i), expand),
                ),
                "events": (lambda: _newest(len(model.events)), lambda i, _: shapes.event(model.events[i])),
                "event_webhooks": (
                    lambda: _newest(len(model.deliveries)),
                    lambda i, expand: shapes.delivery(model.deliveries[i], expand),
                ),
                "payment_sessions": (
                    lambda: _newest(model.sessions),
                    lambda i, expand: shapes.session(model.session(i), expand),
                ),
                "gateways": (lambda: _newest(len(model.gateways)), lambda i, _: shapes.gateway(model.gateways[i])),
                "gateway_modules": (lambda: range(len(GATEWAY_MODULES)), lambda i, _: GATEWAY_MODULES[i]),
                "webhooks": (lambda: _newest(len(model.webhooks)), lambda i, _: shapes.webhook(model.webhooks[i])),
            },
        )

    def record(self, name: str, index: int, expand: tuple[str, ...]) -> bytes:
        """One rendered record by its index (oldest is 0)."""
        rows = self.rows(name, expand)
        return rows[len(rows) - 1 - index]


class PeakiumData:
    """The model with its lists, for every form of embedded objects that is asked for.

    Args:
        model: The records.
    """

    def __init__(self, model: PeakiumModel) -> None:
        self.model = model
        self._lists: dict[str, PeakiumLists] = {}

    def lists(self, embedded: str) -> PeakiumLists:
        """The lists with references that look like this."""
        if embedded not in self._lists:
            self._lists[embedded] = PeakiumLists(self.model, embedded)
        return self._lists[embedded]


def _newest(count: int) -> range:
    """The indexes of this many records, newest first."""
    return range(count)[::-1]


def _lists(*names: str) -> tuple[Route, ...]:
    return tuple(Route("GET", f"/{name}", f"list_{name}") for name in names)


class Peakium(Vendor):
    """The API at ``/api/v1``."""

    base_path = "/api/v1"
    credentials: ClassVar[Mapping[str, str]] = {"api_key": "pk_sandbox_7dQm2XvT9cLr4WfB"}
    streams = tuple(STREAMS)
    switches_declared = (
        Switch("default_count", 10, "Records on a page when the request gives no `count`."),
        Switch("max_count", 100, "Most records on a page; a larger `count` is silently reduced."),
        Switch("count_means", "page", "What `count` in an answer means.", ("page", "asked", "total")),
        Switch(
            "errors",
            "wrapped",
            "Shape of error bodies: `{error: {…}}`, `{message}`, or both in turn.",
            ("wrapped", "flat", "mixed"),
        ),
        Switch("expand_lists", True, "Whether `expand[]` works on lists too."),
        Switch("order", "newest", "Order of lists.", ("newest", "oldest")),
        Switch(
            "embedded",
            "mixed",
            "References: ids, stubs and full objects mixed, or all alike (and lists inside records always arrays).",
            tuple(EMBEDDED),
        ),
        Switch("bearer", True, "Whether a bearer token is accepted besides HTTP Basic."),
    )
    routes = (
        *_lists("customers", "subscriptions", "invoices", "events", "event_webhooks"),
        *_lists("gateways", "gateway_modules", "payment_sessions", "webhooks"),
        Route("GET", "/customers/{customer_id}", "get_customer"),
        Route("GET", "/customers/{customer_id}/subscriptions", "list_subscriptions"),
        Route("GET", "/customers/{customer_id}/subscriptions/{token}", "get_subscription"),
        Route("GET", "/subscription/{token}", "get_subscription"),
        Route("POST", "/subscription/{token}", "get_subscription"),
        Route("GET", "/invoices/{invoice_id}", "get_invoice"),
        Route("GET", "/events/{event_id}", "get_event"),
        Route("GET", "/gateways/{gateway_id}", "get_gateway"),
        Route("GET", "/payment_sessions/{payment_session_id}", "get_payment_session"),
        Route("GET", "/payment_session", "list_payment_sessions"),
        Route("GET", "/payment_session/{payment_session_id}", "get_payment_session"),
        Route("GET", "/webhooks/{url}", "get_webhook"),
        Route("POST", "/customers", "write", writes=True),
        Route("POST", "/customers/{customer_id}", "get_customer", writes=True),
        Route("POST", "/customers/{customer_id}/subscriptions/{token}", "get_subscription", writes=True),
        Route("DELETE", "/customers/{customer_id}/subscriptions/{token}", "get_subscription", writes=True),
        Route("POST", "/invoices", "write", writes=True),
        Route("POST", "/invoices/{invoice_id}", "get_invoice", writes=True),
        Route("POST", "/invoice/{invoice_id}", "get_invoice", writes=True),
        Route("POST", "/invoices/{invoice_id}/pay", "get_invoice", writes=True),
        Route("POST", "/events/{event_id}/validate", "get_event", writes=True),
        Route("POST", "/events/{event_id}/send", "get_event", writes=True),
        Route("POST", "/gateways", "write", writes=True),
        Route("POST", "/gateways/{gateway_id}", "get_gateway", writes=True),
        Route("POST", "/gateways/{gateway_id}/default", "get_gateway", writes=True),
        Route("DELETE", "/gateways/{gateway_id}", "delete", writes=True),
        Route("POST", "/webhooks", "write", writes=True),
        Route("DELETE", "/webhooks/{url}", "delete", writes=True),
        Route("POST", "/submission_forms/{type}", "submission_form", writes=True),
        Route("POST", "/submission_form/{type}", "submission_form", writes=True),
    )

    @classmethod
    @override
    def build(cls, seed: int, size: Size, ticks: int) -> PeakiumData:
        return PeakiumData(PeakiumModel(seed, size, ticks))

    @override
    def truth(self, stream: str, expand: Collection[str] = ()) -> Iterable[dict[str, Any]]:
        return STREAMS[stream](PeakiumTruth(self.model.model, expand, self.switches["embedded"]))

    @override
    def told(self) -> Iterator[Told]:
        return told(self.model.model, self._lists.shapes)

    @property
    def _lists(self) -> PeakiumLists:
        lists: PeakiumLists = self.model.lists(self.switches["embedded"])
        return lists

    @override
    def resolve(self, request: ServerRequest) -> tuple[Route, dict[str, str]] | None:
        return self._router().match(request.method, request.path.replace("+", "%20"))  # as both clients write a blank

    @override
    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        basic = request.basic()
        key = basic[0] if basic else request.bearer() if self.switches["bearer"] else None
        return None if key == self.credentials["api_key"] else self.unauthorized(request)

    @override
    def unauthorized(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 401, "Invalid API Key provided")

    @override
    def not_found(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 404, "No such object")

    @override
    def error_object(self, request: ServerRequest) -> ServerResponse:
        return self._error(request, 500, "Something went wrong", "api_error")

    def _error(
        self, request: ServerRequest, status: int, message: str, kind: str = "invalid_request_error", **more: str
    ) -> ServerResponse:
        form = self.switches["errors"]
        if form == "mixed":
            form = "flat" if len(request.path) % 2 else "wrapped"
        if form == "flat":
            return json_response({"message": message}, status)
        return json_response({"error": {"type": kind, "message": message, **more}}, status)

    def _expand(self, request: ServerRequest) -> tuple[str, ...]:
        """What to expand, by the query; in a POST by the form, as the seed page's sample sends it."""
        given = request.form().items() if request.method == "POST" else request.query_items
        return tuple(sorted({value for name, value in given if name.startswith("expand[")}))

    def _page(self, request: ServerRequest, name: str, indexes: Iterable[int] | None = None) -> ServerResponse:
        asked = _number(request.query("count") or str(self.switches["default_count"]))
        offset = _number(request.query("offset") or "0")
        if asked is None or offset is None:
            return self._error(request, 400, "count and offset must be integers", param="count")
        if asked < 1 or offset < 0:
            return self._error(request, 400, "count must be above 0, offset not below", param="count")
        expand = self._expand(request) if self.switches["expand_lists"] else ()
        rows: Sequence[bytes] = self._lists.rows(name, expand)
        if indexes is not None:
            rows = [rows[len(rows) - 1 - index] for index in sorted(indexes, reverse=True)]
        rows = rows[::-1] if self.switches["order"] == "oldest" else rows
        page, total = cut(request, rows, offset, asked, cap=self.switches["max_count"])
        count = {"page": len(page), "asked": asked, "total": total}[self.switches["count_means"]]
        return ServerResponse(b'{"object":"list","count":%d,"data":[%b]}' % (count, b",".join(page)))

    def list_customers(self, request: ServerRequest) -> ServerResponse:
        """All customers."""
        return self._page(request, "customers")

    def list_subscriptions(self, request: ServerRequest) -> ServerResponse:
        """All subscriptions, or those of one customer (path or query)."""
        wanted = request.params.get("customer_id") or request.query("customer")
        if wanted is None:
            return self._page(request, "subscriptions")
        customer = self.model.model.find_customer(wanted)
        if customer is None:
            return self.not_found(request)
        return self._page(request, "subscriptions", self.model.model.subscriptions_of(customer))

    def list_invoices(self, request: ServerRequest) -> ServerResponse:
        """Invoices; filters ``customer``, ``overdue``, ``item_id``, ``paid``."""
        model: PeakiumModel = self.model.model
        filters = {
            name: value for name, value in request.query_items if name in {"customer", "overdue", "item_id", "paid"}
        }
        if not filters:
            return self._page(request, "invoices")
        found: Iterable[int] = range(model.invoices)
        if "customer" in filters:
            customer = model.find_customer(filters["customer"])
            found = [i for i in found if model.invoice(i).customer == customer]
        if "item_id" in filters:
            found = [
                i for i in found if any(str(item.item_id) == filters["item_id"] for item in model.invoice(i).items)
            ]
        if flag(filters.get("paid")) is not None:
            found = [i for i in found if (model.invoice(i).paid_at is not None) == flag(filters["paid"])]
        if flag(filters.get("overdue")):
            found = [i for i in found if _overdue(model, i)]
        return self._page(request, "invoices", found)

    def list_events(self, request: ServerRequest) -> ServerResponse:
        """Events; filters ``customer``, ``invoice``, and ``subscription`` with ``customer``."""
        filters = {
            name: value for name, value in request.query_items if name in {"customer", "invoice", "subscription"}
        }
        if not filters:
            return self._page(request, "events")
        if "subscription" in filters and "customer" not in filters:
            return self._error(request, 400, "Missing customer", param="customer")
        model: PeakiumModel = self.model.model
        matching = [i for i in range(len(model.events)) if self._event_matches(model.events[i], filters)]
        return self._page(request, "events", matching)

    def _event_matches(self, event: Any, filters: dict[str, str]) -> bool:
        snapshot = self._lists.shapes.snapshot(event)
        kind = snapshot["object"]
        customer = snapshot["id"] if kind == "customer" else snapshot["customer"]
        mine = {
            "customer": customer["id"] if isinstance(customer, dict) else customer,
            "invoice": snapshot["id"] if kind == "invoice" else None,
            "subscription": snapshot.get("token"),
        }
        return all(mine[name] == value for name, value in filters.items())

    def list_event_webhooks(self, request: ServerRequest) -> ServerResponse:
        """Deliveries; filters ``event`` and ``url``."""
        model: PeakiumModel = self.model.model
        event, url = request.query("event"), request.query("url")
        if event is None and url is None:
            return self._page(request, "event_webhooks")
        found: Iterable[int] = range(len(model.deliveries))
        if event is not None:
            found = [i for i in found if model.deliveries[i].event.id == event]
        if url is not None:
            found = [i for i in found if model.all_webhooks[model.deliveries[i].webhook].url == url]
        return self._page(request, "event_webhooks", found)

    def list_gateways(self, request: ServerRequest) -> ServerResponse:
        """All gateways."""
        return self._page(request, "gateways")

    def list_gateway_modules(self, request: ServerRequest) -> ServerResponse:
        """All gateway modules."""
        return self._page(request, "gateway_modules")

    def list_payment_sessions(self, request: ServerRequest) -> ServerResponse:
        """Payment sessions; filter ``customer``."""
        if (wanted := request.query("customer")) is None:
            return self._page(request, "payment_sessions")
        model: PeakiumModel = self.model.model
        customer = model.find_customer(wanted)
        found = [i for i in range(model.sessions) if customer is not None and model.session(i).customer == customer]
        return self._page(request, "payment_sessions", found)

    def list_webhooks(self, request: ServerRequest) -> ServerResponse:
        """All endpoints."""
        return self._page(request, "webhooks")

    def _one(self, request: ServerRequest, name: str, index: int | None) -> ServerResponse:
        if index is None or not 0 <= index < len(self._lists.rows(name, ())):
            return self.not_found(request)
        return ServerResponse(self._lists.record(name, index, self._expand(request)))

    def get_customer(self, request: ServerRequest) -> ServerResponse:
        """One customer."""
        return self._one(request, "customers", self.model.model.find_customer(request.params["customer_id"]))

    def get_subscription(self, request: ServerRequest) -> ServerResponse:
        """One subscription, by customer and token, or (the form of the seed page) by token alone."""
        model: PeakiumModel = self.model.model
        wanted = request.params.get("customer_id")
        candidates: Iterable[int] = range(model.subscriptions)
        if wanted is not None:
            customer = model.find_customer(wanted)
            candidates = [] if customer is None else model.subscriptions_of(customer)
        token = request.params["token"]
        return self._one(request, "subscriptions", next((i for i in candidates if model.token(i) == token), None))

    def get_invoice(self, request: ServerRequest) -> ServerResponse:
        """One invoice."""
        return self._one(request, "invoices", self.model.model.invoice_ids.decode(request.params["invoice_id"]))

    def get_event(self, request: ServerRequest) -> ServerResponse:
        """One event."""
        event = self.model.model.events.find(request.params["event_id"])
        return self.not_found(request) if event is None else json_response(self._lists.shapes.event(event))

    def get_gateway(self, request: ServerRequest) -> ServerResponse:
        """One gateway."""
        ids = [gateway.id for gateway in self.model.model.gateways]
        return self._one(request, "gateways", _place(ids, request.params["gateway_id"]))

    def get_payment_session(self, request: ServerRequest) -> ServerResponse:
        """One payment session."""
        sessions = self.model.model.session_ids
        return self._one(request, "payment_sessions", sessions.decode(request.params["payment_session_id"]))

    def get_webhook(self, request: ServerRequest) -> ServerResponse:
        """One endpoint, by its URL."""
        urls = [webhook.url for webhook in self.model.model.webhooks]
        return self._one(request, "webhooks", _place(urls, request.params["url"]))

    def write(self, request: ServerRequest) -> ServerResponse:
        """A create call: answer with the newest record of the kind, and keep nothing."""
        return ServerResponse(self._lists.rows(request.path.removeprefix("/"), ())[0])

    def delete(self, request: ServerRequest) -> ServerResponse:
        """A delete call: claim that it was done, and keep everything."""
        return json_response({"deleted": True, **request.params})

    def submission_form(self, request: ServerRequest) -> ServerResponse:  # noqa: ARG002 - a handler's signature
        """A submission form."""
        return json_response({"html": "<form></form>"})


def _place(values: list[str], wanted: str) -> int | None:
    return values.index(wanted) if wanted in values else None


def _number(text: str) -> int | None:
    """A number as PHP reads one: what comes behind its digits does not matter. The PHP client appends a ``?``."""
    found = re.match(r"\s*[+-]?\d+", text)
    return int(found[0]) if found else None


def _overdue(model: PeakiumModel, index: int) -> bool:
    invoice = model.invoice(index)
    return (
        invoice.due is not None and invoice.due < model.now and invoice.paid_at is None and invoice.retracted_at is None
    )


VENDOR = Peakium
