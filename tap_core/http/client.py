"""One API as a tap sees it: transport, credentials and retries in one call, parsing included.

A vendor's client overrides `ApiClient.check` where its API reports errors in its own way, and `ApiClient.error_code`
where its error bodies have the code in an unusual place.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from tap_core import codec
from tap_core.errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    LastingError,
    MissingCallError,
    TapError,
    ThrottledError,
    TransientError,
    UnreachableError,
    WrongKindError,
)
from tap_core.http.body import read_body
from tap_core.http.budget import CallBudget
from tap_core.http.gate import Gate
from tap_core.http.message import Request
from tap_core.http.retry import Attempts, Patience
from tap_core.http.steps import Blocking, Sending, alone
from tap_core.http.waits import reset_wait, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_core.clock import Clock
    from tap_core.http.auth import Auth
    from tap_core.http.gate import Meter, Pace
    from tap_core.http.message import Response
    from tap_core.http.retry import RetryPolicy
    from tap_core.http.transport import Transport

__all__ = ["DEFAULT_ACCOUNT", "OAUTH_CODES", "ApiClient", "Network"]

DEFAULT_ACCOUNT: Final = "default"
"""The account of a tap that has one set of credentials."""

OAUTH_CODES: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_token"),
        *("unauthorized_client", "unsupported_grant_type", "insufficient_scope"),
    }
)
"""The codes of OAuth2 (RFC 6749, 5.2, and RFC 6750, 3.1)."""

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LONGEST_ERROR_BODY = 64 * 1024
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}|\d{1,5}")
_BUDGET_HEADERS = (("RateLimit-Remaining", "RateLimit-Limit"), ("X-RateLimit-Remaining", "X-RateLimit-Limit"))
_LONGEST_COUNT = 18
_PASSING = frozenset({408, 425})
_LASTING = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Network:
    """What the clients of a run share, whatever their credentials.

    Args:
        transport: Sends the requests.
        clock: Tells the time and waits.
        retry: How patient to be.
        pace: The pace that the user set, for all clients together.
        budget_share: The part of an API's call budget that the run may use.
    """

    transport: Transport
    clock: Clock
    retry: RetryPolicy
    pace: Pace
    budget_share: float = 1.0


class ApiClient:
    """Calls one API with one set of credentials, from any number of threads.

    After the API has refused the credentials for good, further calls fail at once without a request. After a call was
    given up because the host could not be reached, further calls try only once, until one gets through: a run over
    many streams does not wait again for each of them.

    Args:
        network: What the clients of a run share.
        auth: The credentials.
        budget: Calls per period, where the API has a budget; by default it is learned from RateLimit headers.
        waits_add_up: Whether ``max_rate_limit_wait_s`` limits the waits of all calls together: for logins, which all
            streams need, so that each would wait as long again.

    Attributes:
        path_settings: The settings that addresses are made from, for messages.
        known_codes: The codes of errors that the API is known to use; no other is shown.
        tried: Whether a call has come to its end, so that it is known whether the credentials are good.
    """

    path_settings: ClassVar[str] = "api_url"
    known_codes: ClassVar[frozenset[str]] = OAUTH_CODES

    def __init__(
        self, network: Network, auth: Auth, *, budget: CallBudget | None = None, waits_add_up: bool = False
    ) -> None:
        self.auth = auth
        self.clock = network.clock
        self.budget = budget or CallBudget(network.clock, share=network.budget_share)
        self._transport = network.transport
        self._retry = network.retry
        self._gate = Gate(network.clock, network.pace, self.budget, network.retry.max_rate_limit_wait_s)
        self._patience = Patience(network.retry.max_rate_limit_wait_s) if waits_add_up else None
        self.tried = False
        self._refusal: str | None = None
        self._out_of_reach = False
        self._understood: set[str] = set()
        self._headers: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]] = {}, {}, {}

    @property
    def refused(self) -> bool:
        """Whether the API has refused the credentials for good."""
        return self._refusal is not None

    def call(self, request: Request, *, parse: Callable[[bytes], T], meter: Meter, what: str) -> T:
        """Do what `fetch` does, and block until it is done."""
        return alone(self.fetch(request, parse=parse, meter=meter, what=what), self._transport, self.clock)

    async def fetch(
        self,
        request: Request,
        *,
        parse: Callable[[bytes], T],
        quick: Callable[[bytes], T | None] = lambda _body: None,
        meter: Meter,
        what: str,
    ) -> T:
        """Send a request until it gets a good response, and parse that.

        Args:
            request: What to send, without credentials.
            parse: Parses the body of a good response, which is JSON in UTF-8 without line breaks. A
                `TransientError` from it is a reason to try again; a `WrongKindError` is one only if an earlier response
                to this call was good.
            quick: Tried first, on the body as it came; gives None for what is not exactly as it expects.
            meter: Counts requests and retries, shows waits.
            what: A short label for messages, such as ``invoices: GET /invoices``.

        Raises:
            AuthError: The credentials are refused, renewed ones too.
            ApiError: The API cannot do what is asked, or not within the limits of the retry policy.
            ConfigError: The request cannot be sent at all.
            StoppedError: The run ends.
        """
        attempts: Attempts | None = None
        renewed = False
        try:
            while True:
                if self._refusal is not None:
                    raise AuthError(f"not sent, because the API has refused the credentials: {self._refusal}")
                await self._gate.enter(meter)
                seconds = 0.0
                try:
                    credentials = await Blocking(self.auth.headers) if self.auth.blocks else self.auth.headers()
                    meter.requested()
                    try:
                        response = await Sending(self._with(credentials, request))
                        seconds = response.seconds
                        meter.answered(response.status, response.seconds, len(response.body))
                        return self._read(response, parse, quick, what)
                    except AuthError:
                        if renewed or not await Blocking(partial(self.auth.renew, credentials)):
                            raise
                        renewed = True
                        meter.retried("credentials renewed")
                        continue
                except TransientError as error:
                    failure, renewed = error, False  # what was renewed may expire during the wait
                finally:
                    self._gate.leave()
                attempts = attempts or Attempts(self._retry, self._patience)
                wait = self._wait_after(failure, attempts, seconds or failure.seconds, what)
                meter.retried(str(failure))
                logger.debug("%s: %s; next try in %.1f s", what, failure, wait)
                if failure.wait is not None or isinstance(failure, ThrottledError):
                    self._gate.pause(wait)
                else:
                    await self._gate.wait(wait, str(failure).removeprefix(f"{what}: "), meter)
        except TapError as error:
            if isinstance(error, AuthError) and self.auth.is_final and self._refusal is None:
                self._refusal = str(error).removeprefix(f"{what}: ")
            if not str(error).startswith(what):
                error.args = (f"{what}: {error}",)
            raise
        finally:
            self.tried = True

    def _with(self, credentials: Mapping[str, str], request: Request) -> Request:
        """A request with credentials. Its headers are those of the last one where what they are made of is the same."""
        own, shown, headers = self._headers
        if own is not request.headers or shown is not credentials:
            headers = {**request.headers, **credentials}
            self._headers = request.headers, credentials, headers
        return Request(request.method, request.url, headers, request.body)

    def _wait_after(self, failure: TransientError, attempts: Attempts, seconds: float, what: str) -> float:
        if isinstance(failure, LastingError):
            raise failure
        if isinstance(failure, WrongKindError) and what not in self._understood:
            raise ApiError(f"{failure}; no response to this call was of the right kind, so check {self.path_settings}")
        if not isinstance(failure, UnreachableError):
            return attempts.wait_after(failure, seconds)
        if self._out_of_reach:
            raise UnreachableError(
                f"{failure}; tried only once, because the previous call was given up for the same reason"
            )
        try:
            return attempts.wait_after(failure, seconds)
        except UnreachableError:
            self._out_of_reach = True
            raise

    def _read(
        self, response: Response, parse: Callable[[bytes], T], quick: Callable[[bytes], T | None], what: str
    ) -> T:
        self._out_of_reach = False
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %d in %.3f s, %d bytes", what, response.status, response.seconds, len(response.body))
        self.learn_budget(response)
        self.check(response, what)
        found = read_body(response, parse, quick)
        self._understood.add(what)
        return found

    def check(self, response: Response, what: str) -> None:
        """Let a good response pass. Override it where a vendor has its own ways to say that something is wrong.

        Raises:
            AuthError: 401.
            ForbiddenError: 403.
            MissingCallError: 404.
            ThrottledError: 429.
            TransientError: 408, 425 or 5xx.
            ApiError: Any other status except 2xx.
        """
        status = response.status
        if 200 <= status < 300:  # noqa: PLR2004
            return
        said = f"{what}: {self.describe(response)}"
        if status == HTTPStatus.UNAUTHORIZED:
            raise AuthError(f"{said}: the API refuses the credentials; check {self.auth.settings}")
        if status == HTTPStatus.FORBIDDEN:
            raise ForbiddenError(f"{said}: these credentials may not make this call; extend their rights at the vendor")
        if status == HTTPStatus.NOT_FOUND:
            raise MissingCallError(
                f"{said}: the API has no such call; check {self.path_settings}, or deselect the stream"
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ThrottledError(said, wait=self.wait_asked(response))
        if status in _PASSING or (status >= 500 and status not in _LASTING):  # noqa: PLR2004
            raise TransientError(said, wait=retry_after(response.headers.get("Retry-After"), self.clock.time()))
        raise ApiError(f"{said}: the API does not accept the request")

    def error_code(self, response: Response) -> str | None:
        """The code or type in an error's body; never its free text, which may hold personal data."""
        if len(response.body) > _LONGEST_ERROR_BODY:
            return None
        try:
            body = codec.decode(response.body)
        except (*codec.NOT_JSON, RecursionError):
            return None
        return _find_code(body)

    def wait_asked(self, response: Response) -> float | None:
        """How many seconds a throttling response asks to wait: by Retry-After, else by a reset time."""
        now = self.clock.time()
        wait = retry_after(response.headers.get("Retry-After"), now)
        return reset_wait(response.headers, now) if wait is None else wait

    def learn_budget(self, response: Response) -> None:
        """Take the call budget from RateLimit headers, if there are any. Override it to read the budget from a body."""
        for remaining_name, limit_name in _BUDGET_HEADERS:
            told = response.headers.get(remaining_name)
            if told is not None and (remaining := _count(told)) is not None:
                now = self.clock.time()
                wait = reset_wait(response.headers, now)
                if wait is not None:
                    limit = _count(response.headers.get(limit_name))
                    self.budget.update(remaining=remaining, reset_at=now + wait, limit=limit)
                return

    def describe(self, response: Response) -> str:
        """Status, reason and error code: ``503 Service Unavailable (overloaded)``."""
        try:
            text = f"{response.status} {HTTPStatus(response.status).phrase}"
        except ValueError:
            text = str(response.status)
        return text + self.known_code(response)

    def known_code(self, response: Response) -> str:
        """The code of an error in parentheses behind a space, if it is a known one; else nothing.

        A word of the server's own choice may be a name or a key, however much it looks like a code.
        """
        code = self.error_code(response)
        return f" ({code})" if code in self.known_codes else ""


def _count(text: str | None) -> int | None:
    """A number of calls in a header; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) <= _LONGEST_COUNT else None


def _find_code(body: Any) -> str | None:
    """Look where APIs keep error codes: code, error, type, also inside ``error`` and ``errors[0]``."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error")
    if isinstance(inner, dict) and (code := _find_code(inner)):
        return code
    errors = body.get("errors")
    if isinstance(errors, list) and errors and (code := _find_code(errors[0])):
        return code
    for name in ("code", "error", "type", "error_code", "errorCode"):
        value = body.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and _CODE.fullmatch(str(value)):
            return str(value)
    return None
