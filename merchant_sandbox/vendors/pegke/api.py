"""Pegke: loyalty points. Sources: ``contracts/pegke``; what the contract leaves open is a switch.

Both generations of the API on one host, as at the vendor: the merchant API at ``/apiv1``, version 1 at ``/v1``, and the
dashboard's own calls at ``/?q=…``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from merchant_sandbox.feed import FEED_SWITCHES, Feed
from merchant_sandbox.http import ServerRequest, ServerResponse, json_response
from merchant_sandbox.paging import cut
from merchant_sandbox.routing import Route
from merchant_sandbox.tokens import TOKEN_SWITCHES, Flooded, Tokens
from merchant_sandbox.vendor import Switch, Vendor
from merchant_sandbox.vendors.pegke.model import OFFERS, STATUS, PegkeModel
from merchant_sandbox.vendors.pegke.shapes import PegkeShapes, status_time
from merchant_sandbox.vendors.pegke.truth import STREAMS, PegkeTruth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from merchant_sandbox.clock import WorldClock
    from merchant_sandbox.vendor import Size

__all__ = ["VENDOR", "Pegke"]

_CODE = "c0ffee7dQm"
_SECRET = "s2XvT9cLr4WfB8kZ"  # noqa: S105 - opens nothing but the sandbox
_CODES = {400: 40, 401: 89, 403: 99, 404: 34, 500: 131}
_FEED = "/v1/realtime/store-activity"
_GIVE = Route("POST", "/v1/entity/user (gives or redeems)", "write", writes=True)
_NOT_FOUND = b"<!DOCTYPE html><html><head><title>Page not found</title></head><body>Page not found</body></html>"


def _identity(form: Mapping[str, Any]) -> tuple[str, str] | None:
    """Kind and value of the identity in a version 1 call; None if they do not match."""
    kind = form.get("idType")
    if kind not in {"mob", "cid", "email"} or form.get(kind) in {None, ""}:
        return None
    return str(kind), str(form[kind])


class Pegke(Vendor):
    """The API at the host's root."""

    credentials: ClassVar[Mapping[str, str]] = {
        "consumer_code": _CODE,
        "consumer_secret": _SECRET,
        "client_id": "pegke-sandbox-app",
        "client_secret": "k3Jv9Tn5Hq8LwX2s",
    }
    streams = tuple(STREAMS)
    switches_declared = (
        *TOKEN_SWITCHES,
        Switch("page_length", 20, "Entries on a page of a history."),
        Switch(
            "first_page",
            "zero",
            "Number of the first page; with `alike` both 0 and 1 return it, with `one` page 0 is empty.",
            ("zero", "one", "alike"),
        ),
        Switch(
            "history_end",
            "empty",
            "What comes after the last page: an empty page, or the last one again.",
            ("empty", "last"),
        ),
        Switch("history_order", "newest", "Order of histories.", ("newest", "oldest")),
        Switch("routing", "both", "Style of merchant API addresses: `?q=`, path, or both.", ("both", "query", "path")),
        Switch(
            "forms",
            "both",
            "Form bodies accepted: urlencoded, multipart, or both.",
            ("both", "urlencoded", "multipart"),
        ),
        Switch(
            "points_phone",
            "phone,phone_number",
            "Names of the phone that check_points takes.",
            ("phone,phone_number", "phone", "phone_number"),
        ),
        Switch("version_1_prefix", "/v1", "Path in front of the calls of version 1."),
        Switch("times", "iso", "How times are written.", ("iso", "unix", "unix_text", "naive")),
        Switch(
            "ids",
            "mixed",
            "Type of ids; `none` leaves out those of history entries.",
            ("mixed", "text", "number", "none"),
        ),
        Switch("offers_envelope", True, "Whether offers come as `{offers: […]}` rather than as a bare array."),
        Switch(
            "unknown_customer",
            "404",
            "Answer for an unknown customer: 404, or 200 without details.",
            ("404", "empty"),
        ),
        Switch(
            "errors",
            "list",
            "Shape of error bodies: `{errors: [{code}]}`, `{error: {code}}`, `{code}`.",
            ("list", "nested", "flat"),
        ),
        *FEED_SWITCHES,
    )
    routes = (
        Route("POST", "/v1/oauth2/token", "token", auth=False),
        Route("POST", "/v1/oauth2/invalidate_token", "invalidate", writes=True, auth=False),
        Route("GET", "/simple-oauth/refresh", "refresh", auth=False),
        Route("POST", "/v1/entity/user", "search"),
        Route("GET", "/v1/store/history", "store_history"),
        Route("GET", "/v1/user/history", "user_history"),
        Route("GET", _FEED, "upgrade"),
        Route("GET", "/apiv1/check_points", "check_points"),
        Route("POST", "/apiv1/check_history", "check_history"),
        Route("GET", "/apiv1/my_offers", "offers"),
        Route("POST", "/apiv1/give_points", "write", writes=True),
        Route("GET", "/?q=api/pegke_status", "status", auth=False),
        Route("POST", "/?q=api/mobileuser/vendor_registration", "write", writes=True, auth=False),
        Route("POST", "/?q=api/mobileuser/register", "write", writes=True, auth=False),
        Route("POST", "/?q=api/contact_us", "write", writes=True, auth=False),
        Route("POST", "/?q=api/send_points", "write", writes=True, auth=False),
    )

    def __init__(self, clock: WorldClock, model: PegkeModel, url: str) -> None:
        super().__init__(clock, model, url)
        self._tokens = Tokens("pegke token", clock, self.switches)
        self._feed = Feed(self.switches, lambda number: self._served.activity(self.model.activity(number)))

    @classmethod
    @override
    def build(cls, seed: int, size: Size, ticks: int) -> PegkeModel:
        return PegkeModel(seed, size, ticks)

    @override
    def truth(self, stream: str) -> Iterable[dict[str, Any]]:
        return STREAMS[stream](PegkeTruth(self.model, sent=self._feed.sent, with_ids=self.switches["ids"] != "none"))

    @override
    def settings_now(self) -> Mapping[str, Any]:
        return {"customers": self.model.identifiers}

    @property
    def _served(self) -> PegkeShapes:
        return PegkeShapes(self.model, self.switches["times"], self.switches["ids"])

    # Who may call what

    def _path(self, request: ServerRequest) -> str:
        """The path of a request, with version 1 at ``/v1``; what is there and is not version 1 has none."""
        prefix, path = self.switches["version_1_prefix"], request.path
        if path.startswith(prefix + "/"):
            return "/v1" + path.removeprefix(prefix)
        return "/nowhere" if path.startswith("/v1/") else path

    @override
    def resolve(self, request: ServerRequest) -> tuple[Route, dict[str, str]] | None:
        path, q = self._path(request), request.query("q")
        if path == "/apiv1" and q is not None:
            path = "" if self.switches["routing"] == "path" else f"/apiv1/{q}"
        elif path.startswith("/apiv1/") and self.switches["routing"] == "query":
            return None
        elif path == "":
            path = f"/?q={q}"
        found = self._router().match(request.method, path)
        if found and found[0].handler == "search" and {"points", "redeem_id"} & (request.json() or {}).keys():
            return _GIVE, {}
        return found

    @override
    def authorize(self, request: ServerRequest) -> ServerResponse | None:
        bearer = request.bearer()
        path = self._path(request)
        if path.startswith("/v1"):
            allowed = self._tokens.valid(bearer)
        elif path.startswith("/apiv1"):
            allowed = bearer == f"{_CODE}.{_SECRET}"
        else:
            allowed = True
        return None if allowed else self.unauthorized(request)

    @override
    def unauthorized(self, request: ServerRequest) -> ServerResponse:
        return self._error(401, "Invalid or expired token")

    @override
    def not_found(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(_NOT_FOUND, 404, content_type="text/html; charset=utf-8")

    @override
    def error_object(self, request: ServerRequest) -> ServerResponse:
        return self._error(500, "Internal error")

    @override
    def expire_tokens(self) -> None:
        self._tokens.kill()

    def _error(self, status: int, message: str) -> ServerResponse:
        error = {"code": _CODES[status], "message": message}
        form = self.switches["errors"]
        return json_response(
            {"errors": [error]} if form == "list" else {"error": error} if form == "nested" else error, status
        )

    # Tokens

    def _is_application(self, request: ServerRequest) -> bool:
        """Whether a call has the application's credentials, by HTTP Basic or in its form."""
        form = request.form()
        client = request.basic() or (form.get("client_id"), form.get("client_secret"))
        return client == (self.credentials["client_id"], self.credentials["client_secret"])

    def token(self, request: ServerRequest) -> ServerResponse:
        """The outstanding token."""
        form = request.form()
        if not self._is_application(request):
            return self.unauthorized(request)
        if form.get("grant_type") != "client_credentials":
            return self._error(400, "grant_type must be client_credentials")
        try:
            return json_response(self._tokens.obtain())
        except Flooded:
            return self._error(403, "Token requested too often")

    def refresh(self, request: ServerRequest) -> ServerResponse:
        """A new token for the refresh token; access tokens are refused."""
        answer = self._tokens.refresh(request.bearer())
        return self.unauthorized(request) if answer is None else json_response(answer)

    def invalidate(self, request: ServerRequest) -> ServerResponse:
        """Drop the token that the form names; the answer names it once more, and no other."""
        if not self._is_application(request):
            return self.unauthorized(request)
        token = request.form().get("access_token")
        if not self._tokens.invalidate(token):
            return self._error(400, "Unknown token")
        return json_response({"access_token": token, "token_type": "Bearer"})

    # Merchant API

    def _customer(self, kind: str, value: str) -> int | None:
        index: int | None = self.model.find(kind, value)
        return index

    def _form(self, request: ServerRequest) -> dict[str, str]:
        multipart = request.headers.get("content-type", "").startswith("multipart/")
        taken = self.switches["forms"]
        return {} if taken == ("urlencoded" if multipart else "multipart") else request.form()

    def check_points(self, request: ServerRequest) -> ServerResponse:
        """A customer's points; ``phone`` as in the README, ``phone_number`` as in the PHP sample."""
        allowed = self.switches["points_phone"]
        phone = next((found for name in allowed.split(",") if (found := request.query(name))), None)
        if not phone:
            return self._error(400, "Missing phone")
        index = self._customer("mob", phone)
        if index is None:
            return self._unknown({"phone": phone, "points": None})
        return json_response({"phone": phone, "points": self.model.customer(index).points})

    def check_history(self, request: ServerRequest) -> ServerResponse:
        """A page of a customer's history, with basic details."""
        form = self._form(request)
        phone, page = form.get("phone"), form.get("page") or "0"
        if not phone or not page.isdecimal():
            return self._error(400, "Missing phone, or page is no number")
        index = self._customer("mob", phone)
        if index is None:
            return self._unknown({"customer": None, "page": int(page), "history": []})
        rows = self._page(request, int(page), self.model.entries_of(index))
        customer = self._served.customer(self.model.customer(index))
        return json_response({"customer": customer, "page": int(page), "history": rows})

    def offers(self, _request: ServerRequest) -> ServerResponse:
        """All offers."""
        served = self._served
        offers = [served.offer(self.model.offer(index)) for index in range(OFFERS)]
        return json_response({"offers": offers} if self.switches["offers_envelope"] else offers)

    def _unknown(self, empty: dict[str, Any]) -> ServerResponse:
        if self.switches["unknown_customer"] == "empty":
            return json_response(empty)
        return self._error(404, "No such customer")

    def _page(self, request: ServerRequest, page: int, indexes: Sequence[int]) -> list[dict[str, Any]]:
        first, length = self.switches["first_page"], self.switches["page_length"]
        if first != "zero":
            page -= 1
        if first == "alike":
            page = max(0, page)
        if page < 0:
            return []
        if self.switches["history_order"] == "newest":
            indexes = indexes[::-1]
        if self.switches["history_end"] == "last":
            page = min(page, max(0, (len(indexes) - 1) // length))
        rows, _ = cut(request, indexes, page * length, length)
        served = self._served
        return [served.entry(self.model.entry(index)) for index in rows]

    # Version 1

    def search(self, request: ServerRequest) -> ServerResponse:
        """The customer that the body names."""
        identity = _identity(request.json() or {})
        if identity is None:
            return self._error(400, "Missing value, or idType mismatch")
        index = self._customer(*identity)
        if index is None:
            return self._error(404, "No such customer")
        return json_response(self._served.customer(self.model.customer(index)))

    def store_history(self, request: ServerRequest) -> ServerResponse:
        """A page of everything that happened in the merchant's stores."""
        return self._history(request, range(self.model.entries))

    def user_history(self, request: ServerRequest) -> ServerResponse:
        """A page of what a customer did."""
        identity = _identity(dict(request.query_items))
        if identity is None:
            return self._error(400, "Missing value, or idType mismatch")
        index = self._customer(*identity)
        if index is None:
            return self._error(404, "No such customer")
        return self._history(request, self.model.entries_of(index))

    def _history(self, request: ServerRequest, indexes: Sequence[int]) -> ServerResponse:
        page = request.query("page") or "0"
        if not page.isdecimal():
            return self._error(400, "page is no number")
        return json_response({"page": int(page), "data": self._page(request, int(page), indexes)})

    # The dashboard, the feed, and writes

    def status(self, _request: ServerRequest) -> ServerResponse:
        """State of the vendor's own components; public."""
        return json_response({"last_mod": status_time(self.model.last_mod), "sstatus": STATUS})

    def upgrade(self, _request: ServerRequest) -> ServerResponse:
        """The feed, asked for without an upgrade."""
        return json_response({"message": "Upgrade required"}, 426, [("Upgrade", "websocket")])

    def write(self, _request: ServerRequest) -> ServerResponse:
        """A plausible answer to a write; nothing changes."""
        return json_response({"status": "ok"})

    @override
    async def websocket(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        request = scope["state"]["request"]
        refusal = self.authorize(request) if self._path(request) == _FEED else self.not_found(request)
        if refusal is None:
            await self._feed.run(receive, send, scope["state"]["connection"])
            return
        await receive()
        headers = [(b"content-type", (refusal.content_type or "").encode())]
        await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": refusal.body})


VENDOR = Pegke
