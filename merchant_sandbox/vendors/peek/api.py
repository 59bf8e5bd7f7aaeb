"""Peek: tours and bookings (OCTO). Sources: ``contracts/peek``; what Peek leaves open is a switch.

The defaults behave like Peek: prices, opaque availability ids, one option per product with the product's own id,
closed days in the calendar, bookings without the standard's dates. `OCTO_STANDARD` are the switches of a server that
follows the plain standard instead.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.paging import view
from merchant_sandbox.routing import Route
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.peek.model import PeekModel
from merchant_sandbox.vendors.peek.shapes import CAPABILITIES, PeekShapes, supplier
from merchant_sandbox.vendors.peek.truth import STREAMS, PeekTruth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from merchant_sandbox.vendor import Size
    from merchant_sandbox.vendors.peek.model import Departure, Product

__all__ = ["KEYS", "OCTO_STANDARD", "VENDOR", "Peek"]

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
    "echo": "none",
}

_CHILD_FILTERS = ("productId", "optionId")
_FILTERS = {
    "travel_dates": ("localDateStart", "localDateEnd"),
    "renamed": ("travelDateFrom", "travelDateTo"),
    "references": None,
}
_MOST_IDS = 100


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
        Switch(
            "operators",
            1,
            "Operators in the truth: the key's own, or both (connections `default` and `south`).",
            (1, 2),
        ),
        Switch(
            "references",
            [],
            "Reseller references whose bookings the truth includes, besides those in the travel dates.",
        ),
        Switch("pricing", True, "Whether the server supports octo/pricing: prices, currencies, taxes."),
        Switch(
            "availability_ids",
            "opaque",
            "Ids of departures: opaque, or the local start as in the standard.",
            ("opaque", "iso"),
        ),
        Switch("nested", False, "Whether bookings contain their product and option, and unit items their unit."),
        Switch("booking_dates", False, "Whether bookings have utcCreatedAt and utcUpdatedAt."),
        Switch("closed_days", True, "Whether the calendar shows days without departures."),
        Switch("product_capabilities", True, "Whether products list their capabilities."),
        Switch("standard_fields", False, "Whether members that only the standard has are included."),
        Switch("option_id", "", "Id of a product's only option; empty: the product's own id."),
        Switch(
            "echo",
            "all",
            "What the header `Octo-Capabilities` of answers lists.",
            ("all", "asked", "no_pricing", "none"),
        ),
        Switch("env", "live", "Mode of the key.", ("live", "test")),
        Switch(
            "bookings_unfiltered",
            "refuse",
            "What the list of bookings does without a filter that it knows.",
            ("refuse", "all"),
        ),
        Switch("booking_filter", "travel_dates", "Date filter that the list of bookings knows.", tuple(_FILTERS)),
        Switch(
            "local_date_means",
            "travel",
            "Which day the date filter of the list of bookings refers to.",
            ("travel", "created"),
        ),
        Switch("list_holds", True, "Whether bookings that were never confirmed are listed."),
        Switch("max_range_days", 0, "Longest range that availability calls accept, in days; 0: no limit."),
        Switch(
            "bad_key",
            "401",
            "Answer to a bad key: 401 as observed, 403 as documented, or the 401's body with 400.",
            ("401", "403", "400"),
        ),
        Switch("internal_error_status", 500, "Status of INTERNAL_SERVER_ERROR.", (500, 400)),
        Switch("supplier", "404", "What `GET /supplier` answers.", ("404", "400", "yes")),
        Switch("capabilities", "404", "What `GET /capabilities` answers.", ("404", "400", "yes")),
        Switch("order", "oldest", "Order of lists.", ("oldest", "newest")),
        Switch("gone_products", 0, "Number of products at the end of the list whose availability is refused."),
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
                return request.headers.get("octo-capabilities") or request.query("_capabilities") or ""
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
        model, shapes, units = self._of(request), self._shapes, bool(asked.get("units"))
        days = [model.calendar_day(product, date.fromordinal(day)) for day in range(first, last + 1)]
        rows = [
            shapes.calendar_day(product, day, units=units)
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
        units = bool(asked.get("units"))
        return self._rows(request, [self._shapes.departure(product, found, units=units) for found in departures])

    def _asked(self, request: ServerRequest) -> tuple[Product, dict[str, Any]]:
        """The product and the body of an availability call."""
        asked = request.json()
        if not isinstance(asked, dict):
            raise _Refusal(self._error("BAD_REQUEST", "the body is not a JSON object"))
        model = self._of(request)
        product = model.find_product(str(asked.get("productId")))
        if product is None or product.index >= len(model.products) - self.switches["gone_products"]:
            raise _Refusal(self._invalid_product(asked.get("productId")))
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
        if last < first or (longest and last - first >= longest):
            message = f"cannot request more than {longest} days of availability"
            raise _Refusal(self._error("BAD_REQUEST", message))
        return first, last

    def _departures(self, model: PeekModel, product: Product, asked: Mapping[str, Any]) -> list[Departure]:
        ids = asked.get("availabilityIds")
        if ids is not None:
            return self._by_ids(model, product, [str(wanted) for wanted in ids])
        day = asked.get("localDate")
        first, last = self._range({"localDateStart": day, "localDateEnd": day} if day else asked)
        return [
            departure
            for ordinal in range(first, last + 1)
            for departure in model.departures(product, date.fromordinal(ordinal))
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
            named = model.departures(product, day)
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
            booking = model.booking(index)
            if self.switches["list_holds"] or booking.confirmed is not None:
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
        """All endpoints of the key."""
        return self._rows(request, [self._shapes.webhook(webhook) for webhook in self._of(request).webhooks])

    def get_supplier(self, request: ServerRequest) -> ServerResponse:
        """The operator, where the server has this call."""
        return self._maybe(request, "supplier", supplier(self._of(request).operator))

    def list_capabilities(self, request: ServerRequest) -> ServerResponse:
        """Capabilities of the connection, where the server has this call."""
        return self._maybe(request, "capabilities", CAPABILITIES)

    def _maybe(self, request: ServerRequest, switch: str, value: Any) -> ServerResponse:
        match self.switches[switch]:
            case "yes":
                return self._answer(request, value)
            case "400":
                return self._error("BAD_REQUEST", "this call is not supported")
        return self.not_found(request)

    def write(self, request: ServerRequest) -> ServerResponse:
        """Any call that would make or remove something: it is recorded, and nothing changes."""
        return self._answer(request, request.json() or {})


VENDOR = Peek
