"""Peek: tours and bookings (OCTO). Sources: ``contracts/peek``; what Peek leaves open is a switch.

The defaults behave like Peek: prices, opaque availability ids, one option per product with the product's own id,
closed days in the calendar, bookings without the standard's dates. `OCTO_STANDARD` are the switches of a server that
follows the plain standard instead, as it was when bookings could be filtered by date, and `OCTO_TODAY` those of one
that follows today's, without that filter.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from merchant_sandbox.events import Webhook
from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.paging import view
from merchant_sandbox.routing import Route
from merchant_sandbox.tours import supplier
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.peek.model import PeekModel
from merchant_sandbox.vendors.peek.shapes import PeekShapes
from merchant_sandbox.vendors.peek.truth import STREAMS, PeekTruth, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendor import Size, Told
    from merchant_sandbox.vendors.peek.records import Departure, Product

__all__ = ["KEYS", "OCTO_STANDARD", "OCTO_TODAY", "VENDOR", "Peek"]

KEYS: Mapping[str, str] = {
    "default": "5f0c3a1e-7d5b-4c7e-9a43-6f1d2b8e9c01",
    "south": "c2b8d1f4-03ea-4b6d-8f57-1e9a7d60b2c3",
}
"""The keys of two operators, by the names that their connections have in the truth with `operators` 2."""

OCTO_STANDARD: Mapping[str, Any] = {
    "pricing": False,
    "availability_ids": "iso",
    "nested": True,
    "booking_dates": True,
    "closed_days": False,
    "product_capabilities": False,
    "standard_fields": True,
    "option_id": "DEFAULT",
    "echo": "asked",
    "supplier": "yes",
    "capabilities": "yes",
}

OCTO_TODAY: Mapping[str, Any] = {**OCTO_STANDARD, "pricing": True, "webhooks": "404", "booking_filter": "references"}

_CHILD_FILTERS = ("productId", "optionId")
_FILTERS = {
    "travel_dates": ("localDateStart", "localDateEnd"),
    "renamed": ("travelDateFrom", "travelDateTo"),
    "references": None,
}
_MOST_IDS = 100

_IDS, _OFFSETS, _ECHOES = ("opaque", "iso"), ("right", "winter"), ("all", "asked", "no_pricing", "none")
_ANSWERS = ("yes", "404", "405", "400")
_REFUSALS = ("UNPROCESSABLE_ENTITY", "BAD_REQUEST", "INTERNAL_SERVER_ERROR", "FORBIDDEN")


class _Refusal(Exception):  # noqa: N818 - an answer, not a failure of the sandbox
    """A request that Peek does not accept, with the answer."""

    def __init__(self, response: ServerResponse) -> None:
        super().__init__()
        self.response = response


class Peek(Vendor):
    """The API at ``/integrations/octo``."""

    base_path = "/integrations/octo"
    credentials: ClassVar[Mapping[str, str]] = {"api_key": KEYS["default"]}
    streams = tuple(STREAMS)
    switches_declared = (
        Switch("operators", 1, "Operators in the truth: the key's own, or both (`default` and `south`).", (1, 2)),
        Switch("references", [], "Reseller references whose bookings the truth includes, besides those that travel."),
        Switch("uuids", [], "UUIDs of bookings that the truth includes, besides those in the travel dates."),
        Switch("currency", "", "Currency of the truth's prices of availability, where a product offers it."),
        Switch("pricing", True, "Whether the server supports octo/pricing: prices, currencies, taxes."),
        Switch("availability_ids", "opaque", "Ids of departures; iso: the local start, as in the standard.", _IDS),
        Switch("nested", False, "Whether bookings contain their product and option, and unit items their unit."),
        Switch("booking_dates", False, "Whether bookings have utcCreatedAt and utcUpdatedAt."),
        Switch("closed_days", True, "Whether the calendar shows days without departures."),
        Switch("product_capabilities", True, "Whether products list their capabilities."),
        Switch("standard_fields", False, "Whether members that only the standard has are included."),
        Switch("content", False, "Whether members of octo/content are included, and those of some other servers."),
        Switch("local_offsets", "right", "Offsets of local times; winter: always that of 1 January.", _OFFSETS),
        Switch("option_id", "", "Id of a product's only option; empty: the product's own id."),
        Switch("echo", "all", "What `Octo-Capabilities` of answers lists; asked: what of it is supported.", _ECHOES),
        Switch("env", "live", "Mode of the key.", ("live", "test")),
        Switch("bookings_unfiltered", "refuse", "What the list of bookings does without a filter.", ("refuse", "all")),
        Switch("booking_filter", "travel_dates", "Filter of bookings by date; references: none.", tuple(_FILTERS)),
        Switch("webhooks", "yes", "What `GET /webhooks` answers; the standard does not have it.", _ANSWERS),
        Switch("webhook_urls", [], "Further addresses that webhooks are registered with."),
        Switch("local_date_means", "travel", "Which day the filter by date refers to.", ("travel", "created")),
        Switch("list_holds", True, "Whether bookings that were never confirmed are listed."),
        Switch("max_range_days", 0, "Longest range that availability calls accept, in days; 0: no limit."),
        Switch("bad_key", "401", "Answer to a bad key; 400: with the body of the 401.", ("401", "403", "400")),
        Switch("internal_error_status", 500, "Status of INTERNAL_SERVER_ERROR.", (500, 400)),
        Switch("supplier", "404", "What `GET /supplier` answers.", ("404", "400", "yes")),
        Switch("capabilities", "404", "What `GET /capabilities` answers.", ("404", "400", "yes")),
        Switch("removals", False, "Whether some bookings, tickets and departures are removed with each tick."),
        Switch("order", "oldest", "Order of lists.", ("oldest", "newest")),
        Switch("refused_products", 0, "Number of products, from the first, whose availability answers `refusal`."),
        Switch("refusal", "UNPROCESSABLE_ENTITY", "Code of that 400.", _REFUSALS),
        Switch("gone_products", 0, "Number of products, to the last, whose availability is refused as unknown."),
    )
    routes = (
        Route("GET", "/products", "list_products"),
        Route("GET", "/products/{id}", "get_product"),
        Route("POST", "/availability/calendar", "calendar"),
        Route("POST", "/availability", "availability"),
        Route("GET", "/bookings", "list_bookings"),
        Route("GET", "/bookings/{uuid}", "get_booking"),
        Route("GET", "/webhooks", "list_webhooks"),
        Route("GET", "/supplier", "get_supplier"),
        Route("GET", "/capabilities", "list_capabilities"),
        Route("POST", "/bookings", "write", writes=True),
        Route("PATCH", "/bookings/{uuid}", "get_booking", writes=True),
        Route("DELETE", "/bookings/{uuid}", "get_booking", writes=True),
        Route("POST", "/bookings/{uuid}/confirm", "get_booking", writes=True),
        Route("POST", "/bookings/{uuid}/cancel", "get_booking", writes=True),
        Route("POST", "/bookings/{uuid}/extend", "get_booking", writes=True),
        Route("POST", "/webhooks", "write", writes=True),
        Route("DELETE", "/webhooks/{id}", "write", writes=True),
    )

    @classmethod
    @override
    def build(cls, seed: int, size: Size, ticks: int) -> dict[str, PeekModel]:
        return {name: PeekModel(seed, size, ticks, number) for number, name in enumerate(KEYS)}

    @override
    def truth(self, stream: str) -> Iterator[dict[str, Any]]:
        for name, model in list(self.model.items())[: self.switches["operators"]]:
            for row in STREAMS[stream](PeekTruth(model, PeekShapes(self.switches, emitted=True), self.clock.time())):
                yield {"_connection": name, **row}

    @override
    def told(self) -> Iterator[Told]:
        for name, model in self.model.items():
            yield from told(model, self._shapes, name)

    @property
    def _shapes(self) -> PeekShapes:
        return PeekShapes(self.switches)

    # Who asks, and the answers that all calls share

    @override
    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        return None if request.bearer() in KEYS.values() else self.unauthorized(request)

    @override
    def unauthorized(self, request: ServerRequest) -> ServerResponse:
        status = int(self.switches["bad_key"])
        if status == 403:
            return self._error("FORBIDDEN", "You sent an API Key that was invalid or has been revoked", status)
        message = "Missing `Authentication` header or key could not be validated"
        return self._error("UNAUTHORIZED", message, status)

    @override
    def not_found(self, request: ServerRequest) -> ServerResponse:
        return json_response({"message": "no Route matched with those values"}, 404)

    @override
    def error_object(self, request: ServerRequest) -> ServerResponse:
        message = "There was an un-recoverable error, please try again"
        return self._error("INTERNAL_SERVER_ERROR", message, self.switches["internal_error_status"])

    def _error(self, code: str, message: str, status: int = 400, **more: Any) -> ServerResponse:
        return json_response({"error": code, "errorMessage": message, **more}, status)

    def _answer(self, request: ServerRequest, value: Any) -> ServerResponse:
        headers = [("Octo-Env", self.switches["env"])]
        if (echo := self._echo(request)) is not None:
            headers.append(("Octo-Capabilities", echo))
        return json_response(value, 200, headers)

    def _echo(self, request: ServerRequest) -> str | None:
        match self.switches["echo"]:
            case "all":
                return "octo/pricing, octo/webhooks"
            case "no_pricing":
                return "octo/webhooks"
            case "asked":
                asked = request.headers.get("octo-capabilities") or request.query("_capabilities") or ""
                supported = {each["id"] for each in self._shapes.connection_capabilities()}
                return ", ".join(each for each in map(str.strip, asked.split(",")) if each in supported)
        return None

    def _rows(self, request: ServerRequest, rows: Sequence[Any]) -> ServerResponse:
        seen = view(request, rows)
        return self._answer(request, seen[::-1] if self.switches["order"] == "newest" else seen)

    def _of(self, request: ServerRequest) -> PeekModel:
        name = next(name for name, key in KEYS.items() if key == request.bearer())
        model: PeekModel = self.model[name]
        return model

    # Products

    def list_products(self, request: ServerRequest) -> ServerResponse:
        """All products of the key."""
        return self._rows(request, [self._shapes.product(product) for product in self._of(request).products])

    def get_product(self, request: ServerRequest) -> ServerResponse:
        """One product."""
        product = self._of(request).find_product(request.params["id"])
        if product is None:
            return self._invalid_product(request.params["id"])
        return self._answer(request, self._shapes.product(product))

    def _invalid_product(self, wanted: Any) -> ServerResponse:
        return self._error("INVALID_PRODUCT_ID", "The Product ID was invalid or missing", productId=wanted)

    # Availability: reads that are POSTs

    def calendar(self, request: ServerRequest) -> ServerResponse:
        """One object per day."""
        try:
            product, asked = self._asked(request)
            first, last = self._range(asked)
        except _Refusal as refusal:
            return refusal.response
        model, shapes = self._of(request), self._shapes
        units, currency = bool(asked.get("units")), asked.get("currency")
        days = [model.calendar_day(product, date.fromordinal(day)) for day in range(first, last + 1)]
        rows = [
            shapes.calendar_day(product, day, units=units, currency=currency)
            for day in days
            if day.capacity is not None or self.switches["closed_days"]
        ]
        return self._rows(request, rows)

    def availability(self, request: ServerRequest) -> ServerResponse:
        """One object per departure of a range, of a day, or of a list of ids."""
        try:
            product, asked = self._asked(request)
            departures = self._departures(self._of(request), product, asked)
        except _Refusal as refusal:
            return refusal.response
        shapes, units, currency = self._shapes, bool(asked.get("units")), asked.get("currency")
        rows = [shapes.departure(product, found, units=units, currency=currency) for found in departures]
        return self._rows(request, rows)

    def _asked(self, request: ServerRequest) -> tuple[Product, dict[str, Any]]:
        """The product and the body of an availability call."""
        asked = request.json()
        if not isinstance(asked, dict):
            raise _Refusal(self._error("BAD_REQUEST", "the body is not a JSON object"))
        model = self._of(request)
        product = model.find_product(str(asked.get("productId")))
        if product is None or product.index >= len(model.products) - self.switches["gone_products"]:
            raise _Refusal(self._invalid_product(asked.get("productId")))
        if product.index < self.switches["refused_products"]:
            raise _Refusal(self._error(self.switches["refusal"], "this product cannot be asked for"))
        if asked.get("currency") not in {None, *product.currencies}:
            raise _Refusal(self._error("BAD_REQUEST", "the product is not sold in this currency"))
        option = asked.get("optionId")
        if option not in {None, self._shapes.option_id(product)}:
            message = "The optionId was missing or invalid"
            raise _Refusal(self._error("INVALID_OPTION_ID", message, optionId=option))
        return product, asked

    def _range(self, asked: Mapping[str, Any]) -> tuple[int, int]:
        """First and last day of a range, as ordinals."""
        try:
            first, last = (
                date.fromisoformat(str(asked.get(name))).toordinal() for name in ("localDateStart", "localDateEnd")
            )
        except ValueError:
            message = "either localDate, localDateStart/localDateEnd or availabilityIds is required"
            raise _Refusal(self._error("BAD_REQUEST", message)) from None
        longest = self.switches["max_range_days"]
        if last < first:
            raise _Refusal(self._error("BAD_REQUEST", "localDateEnd is before localDateStart"))
        if longest and last - first >= longest:
            message = f"cannot request more than {longest} days of availability"
            raise _Refusal(self._error("BAD_REQUEST", message))
        return first, last

    def _departures(self, model: PeekModel, product: Product, asked: Mapping[str, Any]) -> list[Departure]:
        ids = asked.get("availabilityIds")
        if ids is not None and not isinstance(ids, list):
            raise _Refusal(self._error("BAD_REQUEST", "availabilityIds is not a list"))
        if ids is not None:
            return self._by_ids(model, product, [str(wanted) for wanted in ids])
        day = asked.get("localDate")
        first, last = self._range({"localDateStart": day, "localDateEnd": day} if day else asked)
        return [
            departure
            for ordinal in range(first, last + 1)
            for departure in model.departures(product, date.fromordinal(ordinal), removals=self.switches["removals"])
        ]

    def _by_ids(self, model: PeekModel, product: Product, ids: Sequence[str]) -> list[Departure]:
        if len(ids) > _MOST_IDS:
            raise _Refusal(self._error("BAD_REQUEST", f"cannot request more than {_MOST_IDS} availabilityIds"))
        found = []
        for wanted in ids:
            try:
                day = date.fromisoformat(wanted[:10] if "-" in wanted[:5] else wanted[:8])
            except ValueError:
                continue
            named = model.departures(product, day, removals=self.switches["removals"])
            found += [departure for departure in named if self._shapes.departure_id(departure) == wanted]
        return found

    # Bookings

    def list_bookings(self, request: ServerRequest) -> ServerResponse:
        """Bookings by reference or by dates, optionally of one product or option."""
        model = self._of(request)
        try:
            found = self._found(model, dict(request.query_items))
        except _Refusal as refusal:
            return refusal.response
        rows = []
        for index in found:
            removals, holds = self.switches["removals"], self.switches["list_holds"]
            if booking := model.listed(index, holds=holds, removals=removals):
                row = self._shapes.booking(booking)
                if all(request.query(name) in {None, row[name]} for name in _CHILD_FILTERS):
                    rows.append(row)
        return self._rows(request, rows)

    def _found(self, model: PeekModel, asked: Mapping[str, str]) -> Iterable[int]:
        reseller, supplied = asked.get("resellerReference"), asked.get("supplierReference")
        if reseller is not None or supplied is not None:
            return model.find_bookings(reseller_reference=reseller, supplier_reference=supplied)
        names = _FILTERS[self.switches["booking_filter"]]
        first, last = (asked.get(name) for name in names) if names else (None, None)
        if names and asked.get("localDate"):
            first = last = asked["localDate"]
        if first is None or last is None:
            if self.switches["bookings_unfiltered"] == "all":
                return range(model.booking_count)
            message = "either a reference or localDateStart and localDateEnd is required"
            raise _Refusal(self._error("BAD_REQUEST", message))
        try:
            days = date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            raise _Refusal(self._error("BAD_REQUEST", "a date is not of the form YYYY-MM-DD")) from None
        if days[1] < days[0]:
            raise _Refusal(self._error("BAD_REQUEST", "localDateEnd is before localDateStart"))
        return model.bookings_between(*days, created=self.switches["local_date_means"] == "created")

    def get_booking(self, request: ServerRequest) -> ServerResponse:
        """One booking; calls that would change it answer with it unchanged."""
        model, uuid = self._of(request), request.params["uuid"]
        index = model.by_uuid.get(uuid)
        if index is None:
            message = "The uuid was already used, missing or invalid"
            return self._error("INVALID_BOOKING_UUID", message, uuid=uuid)
        return self._answer(request, self._shapes.booking(model.booking(index)))

    # The rest

    def list_webhooks(self, request: ServerRequest) -> ServerResponse:
        """All endpoints of the key, where the server has this call."""
        further = [Webhook(100 + n, url, 0, None) for n, url in enumerate(self.switches["webhook_urls"])]
        hooks = [self._shapes.webhook(webhook) for webhook in (*self._of(request).webhooks, *further)]
        return self._maybe(request, "webhooks") or self._rows(request, hooks)

    def get_supplier(self, request: ServerRequest) -> ServerResponse:
        """The operator, where the server has this call."""
        found = supplier(self._of(request).operator, described=self.switches["content"])
        return self._maybe(request, "supplier") or self._answer(request, found)

    def list_capabilities(self, request: ServerRequest) -> ServerResponse:
        """Capabilities of the connection, where the server has this call."""
        return self._maybe(request, "capabilities") or self._answer(request, self._shapes.connection_capabilities())

    def _maybe(self, request: ServerRequest, switch: str) -> ServerResponse | None:
        """The answer of a server that lacks a call; None from one that has it."""
        match self.switches[switch]:
            case "404":
                return self.not_found(request)
            case "405":
                return json_response({"message": "Method Not Allowed"}, 405)
            case "400":
                return self._error("BAD_REQUEST", "this call is not supported")
        return None

    def write(self, request: ServerRequest) -> ServerResponse:
        """Any call that would make or remove something: it is recorded, and nothing changes."""
        return self._answer(request, request.json() or {})


VENDOR = Peek
