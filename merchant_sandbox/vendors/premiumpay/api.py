"""premiumpay: sales and channel performance. Sources: ``contracts/premiumpay``.

The vendor documents no paths and hardly any fields: both follow the contract's guesses, and what the contract leaves
open is a switch.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from merchant_sandbox.clock import HOUR, unix
from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.paging import view
from merchant_sandbox.routing import Route
from merchant_sandbox.span import EDGES, Span
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.premiumpay.model import PremiumpayModel
from merchant_sandbox.vendors.premiumpay.shapes import AGGREGATE_FIELDS, PremiumpayShapes, totals
from merchant_sandbox.vendors.premiumpay.truth import STREAMS, PremiumpayTruth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.vendor import Size
    from merchant_sandbox.vendors.premiumpay.model import Channel, Link, Sale

__all__ = ["VENDOR", "Premiumpay"]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_LONGEST_CLIENT_ID = 50


def _jwt(**claims: Any) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    texts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join((*texts, "c2FuZGJveC1zaWduYXR1cmU"))


class Premiumpay(Vendor):
    """The data API at ``/api/v1``."""

    base_path = "/api/v1"
    credentials: ClassVar[Mapping[str, str]] = {
        "jwt": _jwt(sub="sandbox", exp=unix("2036-01-01T00:00:00+00:00")),
        "client_id": "sandbox-client-4711",
    }
    settings: ClassVar[Mapping[str, Any]] = {"start_date": "2025-02-01"}
    streams = tuple(STREAMS)
    switches_declared = (
        Switch(
            "empty",
            "list",
            "Answer for an empty window: `[]`, `ko` with `No data` (status 200 or 404), or `{status, data: null}`.",
            ("list", "ko", "404", "null"),
        ),
        Switch("wrapped", False, "Whether lists come as `{status, data: […]}`."),
        Switch("edges", "[]", "Whether the start and the end of a window belong to it.", EDGES),
        Switch(
            "zone",
            "UTC",
            "Time zone of the server's clocks; outside UTC, times have no offset.",
            ("UTC", "Europe/Madrid"),
        ),
        Switch("row_id", True, "Whether sales have an `id`."),
        Switch("row_time", True, "Whether sales have a `date_time`."),
        Switch(
            "id_names",
            "long",
            "Name of a record's own id: `pasarela_id`, `service_id`, `channel_id`, or plain `id`.",
            ("long", "id"),
        ),
        Switch("id_texts", False, "Whether gateways, services and channels have their own ids as text."),
        Switch(
            "extra_fields",
            False,
            "Whether sales have fields that the contract does not name, personal data among them.",
        ),
        Switch("gateway_required", False, "Whether sales must be asked for by gateway, as the page's prose says."),
        Switch("row_cap", 0, "Most rows in an answer; the rest is silently dropped. 0: no cap."),
        Switch("channels", 0, "Number of channels; 0: as many as the size has."),
        Switch("rate_limit", 100, "Calls per clock hour; 0: no limit."),
        Switch("throttle_body", True, "Whether a 429 contains the rate-limit object."),
        Switch("throttle_header", False, "Whether a 429 has a Retry-After header."),
        Switch("limit_texts", False, "Whether the numbers in the rate-limit object are text."),
        Switch("status_counts", True, "Whether the status call counts towards the limit."),
    )
    routes = (
        Route("GET", "/version", "get_version", auth=False),
        Route("GET", "/status", "get_status"),
        Route("POST", "/status", "get_status"),
        Route("POST", "/gateways", "list_gateways"),
        Route("POST", "/sales", "list_sales"),
        Route("POST", "/aggregatedsales", "list_aggregated_sales"),
        Route("POST", "/channels", "list_channels"),
        Route("POST", "/channelresults", "list_channel_results"),
        Route("POST", "/channelsales", "list_channel_sales"),
        Route("POST", "/createpubliclink", "write", writes=True),
        Route("POST", "/personalwelcomemessage", "write", writes=True),
    )

    def __init__(self, clock: WorldClock, model: Any, url: str) -> None:
        super().__init__(clock, model, url)
        self._calls = (0, 0)

    @classmethod
    @override
    def build(cls, seed: int, size: Size, ticks: int) -> PremiumpayModel:
        return PremiumpayModel(seed, size, ticks)

    @override
    def truth(self, stream: str, *, by_link: bool = False) -> Iterable[dict[str, Any]]:
        status = {**self._status(), "version": "1.0.0"}
        return STREAMS[stream](PremiumpayTruth(self._shapes, self._channel_count, status, by_link=by_link))

    @property
    def _shapes(self) -> PremiumpayShapes:
        return PremiumpayShapes(self.model, self.switches)

    @property
    def _channel_count(self) -> int:
        return int(self.switches["channels"] or self.model.channels)

    # Refusals

    @override
    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        if request.bearer() != self.credentials["jwt"]:
            return self.unauthorized(request)
        client = request.headers.get("x-client-id", "")
        if client != self.credentials["client_id"] or len(client) > _LONGEST_CLIENT_ID:
            return self._ko("Forbidden", 403)
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if request.method == "POST" and kind != "application/json":
            return self._ko("Unsupported Media Type", 415)
        return self._count(request)

    def _count(self, request: ServerRequest) -> ServerResponse | None:
        status = request.path == "/status"
        if not self.switches["rate_limit"] or (status and not self.switches["status_counts"]):
            return None
        if self._remaining() > 0:
            hour = int(self.clock.time()) // HOUR
            self._calls = hour, self._calls[1] + 1 if self._calls[0] == hour else 1
            return None
        return None if status else self._throttled()

    def _remaining(self) -> int:
        hour, used = self._calls
        limit: int = self.switches["rate_limit"]
        return max(0, limit - used) if hour == int(self.clock.time()) // HOUR else limit

    def _throttled(self) -> ServerResponse:
        now = self.clock.time()
        headers = [("Retry-After", str(HOUR - int(now) % HOUR))] if self.switches["throttle_header"] else []
        more = self._status() if self.switches["throttle_body"] else {}
        return json_response({**more, "status": "ko", "error": "Too many requests"}, 429, headers)

    @override
    def unauthorized(self, request: ServerRequest) -> ServerResponse:
        return self._ko("Unauthorized", 401)

    @override
    def not_found(self, request: ServerRequest) -> ServerResponse:
        return self._ko("Not found", 404)

    @override
    def error_object(self, request: ServerRequest) -> ServerResponse:
        return self._ko("Internal error", 500)

    def _ko(self, error: str, status: int = 200) -> ServerResponse:
        return json_response({"status": "ko", "error": error}, status)

    # Status

    def _status(self) -> dict[str, Any]:
        limit = self.switches["rate_limit"]
        if not limit:
            return {"status": "ok"}
        counters: dict[str, Any] = {
            "rateLimit": limit,
            "rateLimitPeriod": HOUR,
            "rateLimitRemaining": self._remaining(),
            "rateLimitReset": (int(self.clock.time()) // HOUR + 1) * HOUR,
        }
        if self.switches["limit_texts"]:
            counters = {name: str(value) for name, value in counters.items()}
        return {"status": "ok" if self._remaining() else "ko", "ratelimit": counters}

    def get_status(self, _request: ServerRequest) -> ServerResponse:
        """Status and counters."""
        return json_response(self._status())

    def get_version(self, _request: ServerRequest) -> ServerResponse:
        """Version of the API."""
        return json_response({"status": "ok", "version": "1.0.0"})

    # Lists

    def _list(self, request: ServerRequest, rows: Iterable[dict[str, Any]]) -> ServerResponse:
        found: Sequence[dict[str, Any]] = view(request, list(rows))
        if not found and self.switches["empty"] == "null":
            return json_response({"status": "ok", "data": None})
        if not found and self.switches["empty"] != "list":
            return self._ko("No data", 404 if self.switches["empty"] == "404" else 200)
        if self.switches["row_cap"]:
            found = found[: self.switches["row_cap"]]
        return ServerResponse(_encode({"status": "ok", "data": found} if self.switches["wrapped"] else found))

    def list_gateways(self, request: ServerRequest) -> ServerResponse:
        """All gateways, with their services where asked for."""
        services = _body(request).get("include_services") == "yes"
        return self._list(request, [self._shapes.gateway(one, services=services) for one in self.model.gateways])

    def _span(self, body: Mapping[str, Any]) -> Span | None:
        start, end = body.get("start_date_time"), body.get("end_date_time")
        return Span.parse(start, end, edges=self.switches["edges"], zone=self.switches["zone"])

    def _sales_in(self, span: Span) -> Iterator[Sale]:
        return (sale for sale in self.model.sales(span.first, span.last) if span.holds(sale.time))

    def list_sales(self, request: ServerRequest) -> ServerResponse:
        """Sales of one gateway, or of one of its services."""
        body = _body(request)
        span = self._span(body)
        if span is None:
            return self._ko("start_date_time and end_date_time are required")
        gateway, service = body.get("pasarela_id"), body.get("service_id")
        if gateway is None and self.switches["gateway_required"]:
            return self._ko("pasarela_id is required")
        wanted = (
            sale for sale in self._sales_in(span) if gateway in (None, sale.gateway) and service in (None, sale.service)
        )
        return self._list(request, map(self._shapes.sale, wanted))

    def list_aggregated_sales(self, request: ServerRequest) -> ServerResponse:
        """Number and sum of sales by country, payment method or service."""
        body = _body(request)
        span = self._span(body)
        field = body.get("aggregate_field")
        if span is None or field not in AGGREGATE_FIELDS:
            return self._ko("start_date_time, end_date_time and aggregate_field are required")
        groups = totals(self._sales_in(span), field)
        rows = (self._shapes.aggregate(field, value, money, sums) for (value, money), sums in groups.items())
        return self._list(request, rows)

    def list_channels(self, request: ServerRequest) -> ServerResponse:
        """Channels, filtered by the names of their links and with the fields that are asked for."""
        body = _body(request)
        rows = []
        for index in range(self._channel_count):
            channel = self.model.channel(index)
            names = set(body.get("link_names") or ())
            if names and (body.get("exclude_link_names") == "yes") == any(link.name in names for link in channel.links):
                continue
            row = _only(self._shapes.channel(channel), body.get("channel_fields"))
            if body.get("include_links") == "yes":
                links = [_only(self._shapes.link(link), body.get("link_fields")) for link in channel.links]
                row["links"] = links[:1] if body.get("consolidate_links") == "yes" else links
            rows.append(row)
        return self._list(request, rows)

    def _of_channel(self, request: ServerRequest) -> tuple[Span, Channel, str | None] | ServerResponse:
        body = _body(request)
        span = self._span(body)
        if span is None:
            return self._ko("start_date_time and end_date_time are required")
        channel = self.model.find_channel(body.get("channel_id"), self._channel_count)
        return self._ko("Channel not found") if channel is None else (span, channel, body.get("invitation_link"))

    def list_channel_results(self, request: ServerRequest) -> ServerResponse:
        """Who joined and left on each day, through one link or altogether."""
        asked = self._of_channel(request)
        if isinstance(asked, ServerResponse):
            return asked
        span, channel, url = asked
        places: list[int | None] = [*range(len(channel.links)), None]
        if url is not None:
            places = [place for place, link in enumerate(channel.links) if link.url == url]
        rows: dict[int, dict[str, Any]] = {}
        for place in places:
            link = channel.links[place] if url is not None and place is not None else None
            for result in self.model.results(channel, place, span.first, span.last):
                if span.holds_day(result.day):
                    row = self._shapes.result(channel, link, result)
                    before = rows.get(result.day)
                    if before:
                        row |= {"joined": row["joined"] + before["joined"], "left": row["left"] + before["left"]}
                    rows[result.day] = row
        return self._list(request, (row for _, row in sorted(rows.items())))

    def list_channel_sales(self, request: ServerRequest) -> ServerResponse:
        """Sales that came through a channel, through one link or altogether."""
        asked = self._of_channel(request)
        if isinstance(asked, ServerResponse):
            return asked
        span, channel, url = asked
        return self._list(request, self._channel_sales(span, channel, url))

    def _channel_sales(self, span: Span, channel: Channel, url: str | None) -> Iterator[dict[str, Any]]:
        for sale in self._sales_in(span):
            origin: tuple[Channel, Link | None] | None = self.model.origin(sale, self._channel_count)
            if origin is None or origin[0].id != channel.id:
                continue
            link = origin[1]
            if url is None or (link is not None and link.url == url):
                yield self._shapes.channel_sale(sale, channel, link)

    def write(self, _request: ServerRequest) -> ServerResponse:
        """A call that would change something."""
        return self._ko("No data")


def _body(request: ServerRequest) -> dict[str, Any]:
    body = request.json()
    return body if isinstance(body, dict) else {}


def _only(row: dict[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in names} if names else row


VENDOR = Premiumpay
