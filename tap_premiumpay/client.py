"""What premiumpay's responses look like: lists, ``{"status": "ko"}`` with status 200, and the call budget in bodies."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError, ThrottledError
from tap_core.http.auth import BearerAuth
from tap_core.http.client import ApiClient
from tap_core.timestamps import epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_core.clock import Clock
    from tap_core.http.message import Response

__all__ = ["JwtAuth", "Message", "PremiumpayClient", "RateLimit", "UnclearError", "rows_of"]

_SECONDS_MARGIN = 1.0
_HOUR = 3600.0
_END_OF_TIME = datetime.max.replace(tzinfo=UTC).timestamp()


class UnclearError(ApiError):
    """A response does not show where its rows are: no other gateway or channel would do better."""


class JwtAuth(BearerAuth):
    """A JWT and the client's id. Once the JWT has expired, nothing more is sent: the call would be wasted.

    Args:
        jwt: The token; it cannot be renewed.
        client_id: Sent as X-client-id.
        clock: Tells the time.
    """

    def __init__(self, jwt: str, client_id: str, clock: Clock) -> None:
        super().__init__(jwt, extra={"X-client-id": client_id}, settings="jwt, client_id")
        self._clock = clock
        self.end = _expiry(jwt)

    def ends_by(self, moment: float) -> bool:
        """Whether the JWT is known to expire by then; in Unix seconds."""
        return self.end is not None and self.end <= moment

    @override
    def headers(self) -> Mapping[str, str]:
        if self.end is not None and self.ends_by(self._clock.time()):
            ended = datetime.fromtimestamp(self.end, UTC)
            raise AuthError(f"not sent, because the jwt expired on {ended:%Y-%m-%d at %H:%M} UTC; set jwt to a new one")
        return super().headers()


def _expiry(jwt: str) -> float | None:
    """When a JWT expires (``exp``, RFC 7519), in Unix seconds, unverified; None where it does not say."""
    try:
        payload = jwt.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return min(max(float(claims["exp"]), 0.0), _END_OF_TIME)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, msgspec.DecodeError):
        return None


class RateLimit(msgspec.Struct):
    """The call budget as the status call documents it; that times are Unix seconds is inferred."""

    rateLimit: int | None = None  # noqa: N815  the vendor's spelling
    rateLimitPeriod: float | None = None  # noqa: N815
    rateLimitRemaining: int | None = None  # noqa: N815
    rateLimitReset: float | None = None  # noqa: N815

    @property
    def reset_at(self) -> float | None:
        """When the period ends, in Unix seconds."""
        return None if self.rateLimitReset is None else epoch_seconds(self.rateLimitReset)


class Message(msgspec.Struct):
    """A response that is an object, without its lists; nothing in it need be of the expected type."""

    status: Any = None
    error: Any = None
    ratelimit: Any = None

    @property
    def limit(self) -> RateLimit | None:
        """The call budget, if the response has it; numbers may be text."""
        try:
            return msgspec.convert(self.ratelimit, RateLimit | None, strict=False)
        except msgspec.ValidationError:
            return None

    @property
    def says_no_data(self) -> bool:
        """Whether there is nothing in the requested window."""
        return self.status == "ko" and isinstance(self.error, str) and self.error.strip().lower() == "no data"


def _message(response: Response) -> Message | None:
    if response.body.lstrip()[:1] != b"{":
        return None
    try:
        return msgspec.json.decode(response.body, type=Message)
    except (*codec.NOT_JSON, RecursionError):
        return None


class PremiumpayClient(ApiClient):
    """Calls the premiumpay API.

    401 and 403 end the run at once: with a hundred calls an hour, every try that cannot succeed costs 36 seconds. A 403
    after calls that succeeded concerns only the one call, and ends its stream.
    """

    path_settings: ClassVar[str] = "api_url and the path in endpoints, which is a guess"

    _accepted = False

    @override
    def check(self, response: Response, what: str) -> None:
        message = _message(response)
        if message is not None and message.says_no_data and response.status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            self._accepted = True
            return
        if response.status == HTTPStatus.FORBIDDEN and not self._accepted:
            raise AuthError(
                f"{what}: {self.describe(response)}: the API refuses the credentials; check {self.auth.settings}"
            )
        super().check(response, what)
        if message is not None and message.status == "ko":
            self._check_ko(message, response, what)
        self._accepted = True

    def _check_ko(self, message: Message, response: Response, what: str) -> None:
        limit = message.limit
        if message.error is None and limit is not None and what.startswith("server_status"):
            return  # the vendor's own sample of a used-up budget
        if limit is not None and limit.rateLimitRemaining == 0:
            raise ThrottledError(f"{what}: the API says ko: the call budget is used up", wait=self.wait_asked(response))
        raise ApiError(f"{what}: the API says ko in a 200 response{self.known_code(response)}")

    @override
    def wait_asked(self, response: Response) -> float | None:
        """By header, body or what is known of the budget; else until the next full hour, when the sample resets."""
        wait = super().wait_asked(response)
        if wait is not None:
            return wait
        message, now = _message(response), self.clock.time()
        limit = message.limit if message else None
        reset = limit.reset_at if limit else self.budget.reset_at
        left = reset - now if reset is not None and reset > now else _HOUR - now % _HOUR
        return left + _SECONDS_MARGIN

    @override
    def learn_budget(self, response: Response) -> None:
        super().learn_budget(response)
        message = _message(response)
        limit = message.limit if message else None
        if limit and limit.rateLimitRemaining is not None and limit.reset_at is not None:
            self.budget.update(
                remaining=limit.rateLimitRemaining,
                reset_at=limit.reset_at,
                limit=limit.rateLimit,
                period_s=limit.rateLimitPeriod,
            )


_SAYS_WHAT_IS_WRONG = re.compile("err|warn|fail|messag|mensaj", re.IGNORECASE)


def rows_of(
    body: bytes, member: str | None, decode: Callable[[codec.Json], Sequence[msgspec.Raw]] = codec.rows
) -> Sequence[msgspec.Raw]:
    """The rows of a good response: the list that it is, or the only list in it.

    Args:
        body: The response.
        member: The member with the rows, if it must be named. It may be null if there are none.
        decode: The rows of a list.

    Raises:
        UnclearError: There is no list, or there are several and none is named.
    """
    found = codec.envelope(body)
    if isinstance(found, list):
        return decode(body)
    if msgspec.json.decode(body, type=Message).says_no_data:
        return []
    lists = [name for name, value in found.items() if memoryview(value)[0] == ord("[")]
    if member is None and len(lists) == 1 and not _SAYS_WHAT_IS_WRONG.search(lists[0]):
        member = lists[0]
    if member in lists:
        return decode(found[member])
    if member in found and bytes(found[member]) == b"null":
        return []
    raise UnclearError(
        f"the response is an object with {len(found)} members, {len(lists)} of them lists, and does not show where its "
        "rows are; name the member with the rows in the setting endpoints (rows)"
    )
