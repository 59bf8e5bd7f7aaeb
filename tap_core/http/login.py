"""Credentials that are requested: bearer tokens from a login or a token endpoint, one for all streams and threads."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus

from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError, TapError, ThrottledError, TransientError, WrongKindError
from tap_core.http.auth import Auth, basic_credentials
from tap_core.http.forms import urlencoded
from tap_core.http.gate import NoMeter
from tap_core.http.message import Request
from tap_core.http.tokens import Token, TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tap_core.clock import Clock
    from tap_core.http.client import ApiClient

__all__ = ["JsonLoginAuth", "OAuth2ClientCredentials", "TokenAuth"]

logger = logging.getLogger(__name__)

_LONGEST_MARGIN = 0.5

T = TypeVar("T", Token, Token | None)


class TokenAuth(Auth):
    """A bearer token that is requested when it is first needed, before it expires, and once after a 401.

    Of any number of threads, one requests it; the others wait and share the token, or the failure. A refusal, and a
    throttling that was waited for as long as the policy allows, hold for the rest of the run.

    Args:
        obtain: Gets a token; receives the previous one, if any.
        clock: Tells the time.
        settings: Names of the settings that hold the credentials.
        margin_s: How long before its expiry a token is renewed; at most half its lifetime.
        cache: Keeps the token between runs.
        hide: Receives every token and refresh token, to keep them out of all messages.
    """

    def __init__(
        self,
        obtain: Callable[[Token | None], Token],
        *,
        clock: Clock,
        settings: str,
        margin_s: float = 60.0,
        cache: TokenCache | None = None,
        hide: Callable[..., None] = lambda *_: None,
    ) -> None:
        super().__init__(settings)
        self._obtain = obtain
        self._clock = clock
        self._margin_s = margin_s
        self._cache = cache
        self._lock = threading.Lock()
        self._hide = hide
        self._token = self._hidden(cache.load()) if cache else None
        self._kept = self._token.value if self._token else None
        self._renew_at = self._time_to_renew()
        self._shown: tuple[Token | None, Mapping[str, str]] = None, {}
        self._failures = 0
        self._failure: TapError | None = None
        self._hopeless = False
        self._useless: str | None = None

    @property
    @override
    def blocks(self) -> bool:
        return self._lock.locked() or self._token is None or self._clock.time() >= self._renew_at

    @override
    def headers(self) -> Mapping[str, str]:
        failures = self._failures
        with self._lock:
            if self._token is None or self._clock.time() >= self._renew_at:
                self._token = self._ask(failures)
                self._renew_at = self._time_to_renew()
            token, headers = self._shown
            if token is not self._token:
                headers = {"Authorization": f"Bearer {self._token.value}"}
                self._shown = self._token, headers
            return headers

    @override
    def renew(self, stale: Mapping[str, str]) -> bool:
        failures = self._failures
        with self._lock:
            if self._token is None or stale.get("Authorization") != f"Bearer {self._token.value}":
                return True
            if self._token.value == self._useless:
                return False
            token = self._ask(failures)
            if token.value == self._token.value:
                self._useless = token.value
                return False
            self._token = token
            self._renew_at = self._time_to_renew()
            return True

    def _ask(self, failures_before: int) -> Token:
        if self._failure is not None and (self._hopeless or self._failures != failures_before):
            raise type(self._failure)(str(self._failure))  # for good, or another thread has just failed
        if (kept := self._hidden(self._kept_by_others())) is not None:
            return kept
        try:
            token = self._hidden(self._obtain(self._token))
        except TapError as error:
            # The token request has used up the policy's retries: the call that needs it must not repeat it,
            # nor mistake its failure for a response to its own request.
            self._failure = ApiError(str(error)) if isinstance(error, ApiError) else error
            self._hopeless = isinstance(error, AuthError | ThrottledError)
            self._failures += 1
            raise self._failure from None
        if self._cache:
            self._cache.save(token)
        return token

    def _hidden(self, token: T) -> T:
        if token is not None:
            self._hide(token.value, *([token.refresh] if token.refresh else []))
        return token

    def _kept_by_others(self) -> Token | None:
        """A token that another process has put in the cache since; it saves a request."""
        if self._cache is None or self._token is None:
            return None
        kept = self._cache.load()
        if kept is None or kept.value in {self._token.value, self._kept}:
            return None
        self._kept = kept.value
        return kept if kept.expires_at is None or kept.expires_at > self._clock.time() else None

    def _time_to_renew(self) -> float:
        if self._token is None or self._token.expires_at is None:
            return float("inf")
        life = self._token.expires_at - self._clock.time()
        return self._token.expires_at - min(self._margin_s, life * _LONGEST_MARGIN)


class JsonLoginAuth(TokenAuth):
    """A token from a login with user name and password; there is no refresh, only another login.

    Args:
        login: Sends the login and reads the response. It runs under `tap_core.http.client.ApiClient.call` of a
            client without credentials, so that a throttled login is waited for and a refused one is an `AuthError`.
        clock: Tells the time.
        settings: Names of the settings that hold the credentials.
        margin_s: How long before its expiry a token is renewed.
    """

    def __init__(self, login: Callable[[], Token], *, clock: Clock, settings: str, margin_s: float = 60.0) -> None:
        super().__init__(lambda _: login(), clock=clock, settings=settings, margin_s=margin_s)


class OAuth2ClientCredentials(TokenAuth):
    """OAuth2 client credentials (RFC 6749, 4.4): id and secret by HTTP Basic, a form, a bearer token back.

    A refresh token, where the API gives one, is used first; if it is refused, the id and secret are. The token is never
    invalidated: the API may hand the same one to other users of the account.

    Args:
        client: Sends the token request; a client without credentials. Its `check` may read the API's own errors.
        token_url: Where to ask.
        client_id: The application's id.
        client_secret: The application's secret.
        clock: Tells the time.
        settings: Names of the settings that hold the credentials.
        margin_s: How long before its expiry a token is renewed.
        cache_file: A private file that keeps the token between runs, or None.
        hide: Receives every token and refresh token, to keep them out of all messages.
    """

    def __init__(
        self,
        *,
        client: ApiClient,
        token_url: str,
        client_id: str,
        client_secret: str,
        clock: Clock,
        settings: str = "client_id, client_secret",
        margin_s: float = 60.0,
        cache_file: Path | None = None,
        hide: Callable[..., None] = lambda *_: None,
    ) -> None:
        self._client = client
        self._token_url = token_url
        self._basic = basic_credentials(quote_plus(client_id), quote_plus(client_secret))
        key = hashlib.sha256(f"{token_url}\0{client_id}\0{client_secret}".encode()).hexdigest()
        super().__init__(
            self._request,
            clock=clock,
            settings=settings,
            margin_s=margin_s,
            cache=TokenCache(cache_file, key) if cache_file else None,
            hide=hide,
        )

    def _request(self, last: Token | None) -> Token:
        if last is not None and last.refresh:
            try:
                token = self._send(self.refresh_request(last.refresh))
                return token if token.refresh else replace(token, refresh=last.refresh)
            except TransientError:
                raise
            except TapError:
                logger.info("the refresh token is refused; using the client id and secret instead")
        return self._send(self.form_request({"grant_type": "client_credentials"}))

    def refresh_request(self, refresh: str) -> Request:
        """The request for the next token (RFC 6749, 6). Override it where the API has its own call for that."""
        return self.form_request({"grant_type": "refresh_token", "refresh_token": refresh})

    def lifetime(self, answer: Mapping[str, Any]) -> float | None:
        """Seconds that a token is valid, according to the response; None if only a 401 shows its end."""
        life = answer.get("expires_in")
        return float(life) if isinstance(life, int | Decimal) else None

    def form_request(self, form: Mapping[str, str]) -> Request:
        """A form for the token endpoint, with id and secret."""
        body, content_type = urlencoded(form)
        return Request("POST", self._token_url, {"Authorization": self._basic, "Content-Type": content_type}, body)

    def _send(self, request: Request) -> Token:
        return self._client.call(request, parse=self._parse, meter=NoMeter("the token request"), what="token request")

    def _parse(self, body: bytes) -> Token:
        answer = codec.decode(body)
        value = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(value, str) or not value:
            raise WrongKindError("the response has no access_token")
        life, refresh = self.lifetime(answer), answer.get("refresh_token")
        return Token(
            value,
            None if life is None else self._clock.time() + life,
            refresh if isinstance(refresh, str) else None,
        )
