"""What PeerAssist's responses look like: pages, errors, and the login that gives a token."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError, ForbiddenError, MissingCallError, TransientError, WrongKindError
from tap_core.http.client import ApiClient
from tap_core.http.message import Request
from tap_core.http.tokens import Token
from tap_core.reading.numbered import PageFacts
from tap_core.reading.pages import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_core.http.message import Response

__all__ = [
    "ABSENT",
    "LIFE_MINUTES",
    "LONGEST_MINUTES",
    "LoginClient",
    "Pagination",
    "PeerAssistClient",
    "login_request",
    "token_of",
]

ABSENT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
LIFE_MINUTES: Final = 60.0
LONGEST_MINUTES: Final = 600.0

logger = logging.getLogger(__name__)


class _Client(ApiClient):
    """The status codes are documented, the bodies of errors are not."""

    @override
    def error_code(self, response: Response) -> str | None:
        """None: what Spring calls ``error`` repeats the status."""
        return None


class PeerAssistClient(_Client):
    """Calls the PeerAssist API."""

    @override
    def check(self, response: Response, what: str) -> None:
        if response.status == HTTPStatus.FORBIDDEN:
            raise ForbiddenError(
                f"{what}: {self.describe(response)}: the role of this user does not allow it; "
                "use a user whose role does, or deselect the stream"
            )
        if response.status in ABSENT:
            raise MissingCallError(f"{what}: {self.describe(response)}: this call does not exist")
        if response.status == HTTPStatus.BAD_REQUEST:
            raise ApiError(
                f"{what}: {self.describe(response)}: the API does not accept the request, "
                "whose parameters are guesses; check the setting pagination"
            )
        super().check(response, what)


class LoginClient(_Client):
    """Sends the login."""

    @override
    def check(self, response: Response, what: str) -> None:
        if response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise AuthError(f"{what}: {self.describe(response)}: the API refuses the login; check {self.auth.settings}")
        if response.status in ABSENT:
            raise ApiError(f"{what}: {self.describe(response)}: no such call; check api_url and endpoints.auth")
        super().check(response, what)


def login_request(url: str, *, client_key: str, username: str, password: str) -> Request:
    """The login: the key in the query, name and password in the body (documented)."""
    return Request(
        "POST",
        f"{url}?{urlencode({'clientKey': client_key})}",
        {"Accept": "application/json", "Content-Type": "application/json"},
        codec.encode({"userName": username, "password": password}),
    )


def token_of(body: bytes, now: float) -> Token:
    """The token in the response to a login.

    ``expiresIn`` is documented as minutes. Above 600 it is read as seconds (inferred); without it, a token is valid
    for 60 minutes, as the guide says.

    Args:
        body: The response.
        now: Unix seconds.

    Raises:
        WrongKindError: There is no token in it.
    """
    answer = codec.decode(body)
    value = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise WrongKindError("the response to the login has no token")
    return Token(value, now + _life_seconds(answer.get("expiresIn")))


def _life_seconds(told: Any) -> float:
    try:
        life = 0.0 if told is None or isinstance(told, bool) else float(told)
    except (TypeError, ValueError):
        life = 0.0
    if life > LONGEST_MINUTES:
        logger.warning("the login says that a token expires in %g; that is read as seconds, not minutes", life)
        return life
    return 60 * (life if life > 0 else LIFE_MINUTES)


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """How paging works: the guesses, with the corrections of the setting ``pagination``, which explains each member."""

    page_param: str
    size_param: str
    sort_param: str
    sort: str
    first_page: int | None
    records: tuple[str, ...]
    last: tuple[str, ...]
    total_pages: tuple[str, ...]
    total_elements: tuple[str, ...]
    page_number: tuple[str, ...]
    unpaged: tuple[str, ...]

    def page(self, body: bytes, stream: str, rows_of: Callable[[codec.Json], Sequence[msgspec.Raw]]) -> Page:
        """The rows in the response to a list call, a bare array or an envelope, and what an envelope says about itself.

        Args:
            body: The response.
            stream: Its name is one more place where the rows may be.
            rows_of: The rows of a list that was cut out.

        Raises:
            TransientError: The response is an error in Spring's format.
            ApiError: There is no list where one is expected.
        """
        answer = codec.envelope(body)
        if isinstance(answer, list):
            return Page(rows_of(body))
        found = next((raw for place in (*self.records, stream) if _is_list(raw := _raw_at(answer, place))), None)
        if found is None:
            if _value_at(answer, ("error",)):
                raise TransientError("the API reports an error in a 200 response")
            places = ", ".join((*self.records, stream))
            raise ApiError(
                f"the response is not an array and has no list under {places}; "
                "set pagination.records to where its rows are"
            )
        number, pages, total = (
            _whole(_value_at(answer, places)) for places in (self.page_number, self.total_pages, self.total_elements)
        )
        last = _value_at(answer, self.last)
        return Page(rows_of(found), PageFacts(number, pages, total, last if isinstance(last, bool) else None))


def _raw_at(members: Mapping[str, msgspec.Raw], place: str) -> msgspec.Raw | None:
    name, _, rest = place.partition(".")
    found = members.get(name)
    if found is None or not rest:
        return found
    below = codec.envelope(found) if bytes(memoryview(found)[:1]) == b"{" else None
    return _raw_at(below, rest) if isinstance(below, dict) else None


def _is_list(value: msgspec.Raw | None) -> bool:
    return value is not None and bytes(memoryview(value)[:1]) == b"["


def _value_at(members: Mapping[str, msgspec.Raw], places: Sequence[str]) -> Any:
    found = next((found for place in places if (found := _raw_at(members, place)) is not None), None)
    return None if found is None else codec.decode(found)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
