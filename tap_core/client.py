"""One API as a tap sees it: transport, credentials and patience in one retried call, parsing included.

A vendor's client overrides `ApiClient.check` where its API tells errors in its own way, and `ApiClient.error_code`
where its error bodies hold the code in a place of their own.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from tap_core.budget import CallBudget
from tap_core.clock import real_seconds
from tap_core.errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    MissingCallError,
    TapError,
    ThrottledError,
    TransientError,
    UnreachableError,
)
from tap_core.retry import Attempts, Gate, Meter, RetryPolicy, reset_wait, retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_core.auth import Auth
    from tap_core.clock import Clock
    from tap_core.transport import Request, Response, Transport

__all__ = ["ApiClient", "clean_body", "parse_json"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_check = msgspec.json.Decoder(msgspec.Raw).decode
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError)
_BOM = b"\xef\xbb\xbf"
_LONGEST_ERROR_BODY = 64 * 1024
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}|\d{1,5}")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_CHARSET = re.compile(r"""charset=["']?([\w.:-]+)""", re.IGNORECASE)
_BUDGET_HEADERS = (("RateLimit-Remaining", "RateLimit-Limit"), ("X-RateLimit-Remaining", "X-RateLimit-Limit"))
_PASSING = frozenset({408, 425})
_LASTING = frozenset({501, 505})


class ApiClient:
    """Calls one API with one set of credentials, from any number of threads.

    After the API has refused the credentials for good, further calls fail at once without a request. After a call was
    given up because the host could not be reached, further calls try once only, until one comes through: a run over
    many streams does not wait for each of them anew.

    Args:
        transport: Sends the requests.
        auth: The credentials.
        clock: Tells the time and waits.
        retry: How patient to be.
        budget: Calls per period, where the API has such; by default it is learned from RateLimit headers.

    Attributes:
        path_settings: The settings that addresses are made from, for messages.
    """

    path_settings: ClassVar[str] = "api_url"

    def __init__(
        self,
        *,
        transport: Transport,
        auth: Auth,
        clock: Clock,
        retry: RetryPolicy,
        budget: CallBudget | None = None,
    ) -> None:
        self.transport = transport
        self.auth = auth
        self.clock = clock
        self.retry = retry
        self.budget = budget or CallBudget(clock)
        self.gate = Gate(clock, retry, self.budget)
        self._refusal: str | None = None
        self._out_of_reach = False

    def call(self, request: Request, *, parse: Callable[[Response], T], meter: Meter, what: str) -> T:
        """Send a request until its answer is good, and parse it.

        Args:
            request: What to send, without credentials.
            parse: Makes something of a good answer. A `TransientError` from it is a reason to try again.
            meter: Counts requests and retries, shows waits.
            what: A short label for messages, such as ``invoices: GET /invoices``.

        Raises:
            AuthError: The credentials are refused, renewed ones too.
            ApiError: The API cannot do what is asked, or not within the bounds of the retry policy.
            ConfigError: The request cannot be sent at all.
            StoppedError: The run ends.
        """
        try:
            return self._call(request, parse, meter, what)
        except TapError as error:
            if isinstance(error, AuthError) and self.auth.is_final and self._refusal is None:
                self._refusal = str(error).removeprefix(f"{what}: ")
            if not str(error).startswith(what):
                error.args = (f"{what}: {error}",)
            raise

    def _call(self, request: Request, parse: Callable[[Response], T], meter: Meter, what: str) -> T:
        attempts = Attempts(self.retry)
        renewed = False
        while True:
            if self._refusal is not None:
                raise AuthError(f"not sent, because the API has refused the credentials: {self._refusal}")
            self.gate.enter(meter)
            started = real_seconds()
            try:
                credentials = self.auth.headers()
                meter.requested()
                try:
                    return self._send(replace(request, headers={**request.headers, **credentials}), parse, what)
                except AuthError:
                    if renewed or not self.auth.renew(credentials):
                        raise
                    renewed = True
                    meter.retried("credentials renewed")
                    continue
            except TransientError as error:
                failure = error
            finally:
                self.gate.leave()
            wait = self._wait_after(failure, attempts, real_seconds() - started)
            meter.retried(str(failure))
            logger.debug("%s: %s; next try in %.1f s", what, failure, wait)
            if failure.wait is not None or isinstance(failure, ThrottledError):
                self.gate.pause(wait)
            else:
                self.gate.wait(wait, str(failure).removeprefix(f"{what}: "), meter)

    def _wait_after(self, failure: TransientError, attempts: Attempts, seconds: float) -> float:
        if not isinstance(failure, UnreachableError):
            return attempts.wait_after(failure, seconds)
        if self._out_of_reach:
            raise UnreachableError(
                f"{failure}; tried once only, because the call before was given up for the same reason"
            )
        try:
            return attempts.wait_after(failure, seconds)
        except UnreachableError:
            self._out_of_reach = True
            raise

    def _send(self, request: Request, parse: Callable[[Response], T], what: str) -> T:
        response = self.transport.send(request, is_over=lambda: self.clock.stopped)
        self._out_of_reach = False
        logger.debug("%s: %d in %.3f s, %d bytes", what, response.status, response.seconds, len(response.body))
        self.learn_budget(response)
        self.check(response, what)
        return parse(response)

    def check(self, response: Response, what: str) -> None:
        """Let a good answer pass. The place for a vendor's own ways to say that something is wrong.

        Raises:
            AuthError: 401.
            ForbiddenError: 403.
            MissingCallError: 404.
            ThrottledError: 429.
            TransientError: 408, 425 or 5xx.
            ApiError: Any other status but 2xx.
        """
        status = response.status
        if 200 <= status < 300:  # noqa: PLR2004
            return
        said = f"{what}: {self.describe(response)}"
        if status == HTTPStatus.UNAUTHORIZED:
            raise AuthError(f"{said}: the API refuses the credentials; check {self.auth.settings}")
        if status == HTTPStatus.FORBIDDEN:
            raise ForbiddenError(f"{said}: these credentials may not make this call; widen their rights at the vendor")
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
            body = msgspec.json.decode(response.body)
        except (*_NOT_JSON, RecursionError):
            return None
        return _find_code(body)

    def wait_asked(self, response: Response) -> float | None:
        """How many seconds a throttling answer asks to wait: by Retry-After, else by a reset time."""
        now = self.clock.time()
        wait = retry_after(response.headers.get("Retry-After"), now)
        return reset_wait(response.headers, now) if wait is None else wait

    def learn_budget(self, response: Response) -> None:
        """Take the call budget from RateLimit headers, if there are any. The place to read it from a body."""
        for remaining_name, limit_name in _BUDGET_HEADERS:
            remaining = response.headers.get(remaining_name, "")
            if remaining.isdecimal():
                now = self.clock.time()
                wait = reset_wait(response.headers, now)
                if wait is not None:
                    limit = response.headers.get(limit_name, "")
                    self.budget.update(
                        remaining=int(remaining), reset_at=now + wait, limit=int(limit) if limit.isdecimal() else None
                    )
                return

    def describe(self, response: Response) -> str:
        """Status, reason and error code: ``503 Service Unavailable (overloaded)``."""
        try:
            text = f"{response.status} {HTTPStatus(response.status).phrase}"
        except ValueError:
            text = str(response.status)
        code = self.error_code(response)
        return f"{text} ({code})" if code else text


def parse_json(response: Response) -> Any:
    """Decode a body as JSON in UTF-8, forgiving what `clean_body` mends.

    Raises:
        TransientError: The body is empty, HTML, cut short or no JSON for another reason.
        ApiError: It is nested too deeply.
    """
    try:
        return _decoded(response.body)
    except _NOT_JSON:
        return _decoded(clean_body(response))


def clean_body(response: Response) -> bytes:
    """The body as JSON that a strict decoder accepts.

    Mended are: a byte-order mark, text in the charset that the answer names where it isn't UTF-8, NaN and Infinity
    (null), lone surrogates (U+FFFD). Everything else, every digit of a number, stays as it came.

    Returns:
        The very object ``response.body`` if there is nothing to mend.

    Raises:
        TransientError: It is no JSON even so.
        ApiError: It is nested too deeply.
    """
    body = response.body
    if _is_json(body):
        return body
    text = _text(response).removeprefix("\ufeff")
    mended = _TOKEN.sub(_mend, text).encode()
    if _is_json(mended):
        return mended
    raise TransientError(_what_it_is(response))


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _mend(token: re.Match[str]) -> str:
    text = token[0]
    if not text.startswith('"'):
        return "null"
    if "\\u" not in text:
        return text
    return _ESCAPE.sub(lambda escape: "\ufffd" if escape[2] else escape[0], text)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise _too_deep() from None


def _is_json(body: bytes) -> bool:
    """Whether a body is sound; numbers may be of any size, because they are not looked at here."""
    try:
        body.decode()
        _check(body)
    except _NOT_JSON:
        return False
    except RecursionError:
        raise _too_deep() from None
    return True


def _too_deep() -> ApiError:
    return ApiError("the answer is nested too deeply to be read")


def _text(response: Response) -> str:
    try:
        return response.body.decode()
    except UnicodeDecodeError:
        label = _CHARSET.search(response.headers.get("Content-Type", ""))
        try:
            return response.body.decode(label[1] if label else "ascii")
        except (UnicodeError, LookupError):
            raise TransientError("the answer is not text in UTF-8") from None


def _what_it_is(response: Response) -> str:
    body = response.body.removeprefix(_BOM).strip()
    if not body:
        return f"the answer is empty where JSON is expected (status {response.status})"
    if body.startswith(b"<"):
        return "the answer is an HTML page, not JSON"
    label = _MEDIA_TYPE.match(response.headers.get("Content-Type", ""))
    kind = label[0] if label else "no content type"
    if body[:1] in b"[{" and body[-1:] not in b"]}":
        return f"the answer is cut off after {len(response.body)} bytes of JSON"
    return f"the answer is not JSON ({len(response.body)} bytes, {kind})"


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
