"""What Pegke's responses look like: errors and times without a documented form, and one token for everybody."""

from __future__ import annotations

import re
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_core import codec
from tap_core.errors import MissingCallError, ThrottledError, TransientError
from tap_core.http.client import OAUTH_CODES, ApiClient
from tap_core.http.login import OAuth2ClientCredentials
from tap_core.http.message import Request
from tap_core.timestamps import any_text, zone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_core.http.message import Response

__all__ = ["TOO_OFTEN", "PegkeClient", "PegkeToken", "UnknownCustomerError", "time_reader"]

TOO_OFTEN = "99"
"""Code of the 403 when tokens are requested too often (documented for version 1)."""

_FORBIDDEN, _NOT_FOUND = HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND
_CODE_FIRST = re.compile(rb'\s*\{\s*"code"\s*:')
_MARKS = (b'"error"', b'"errors"', b'"success"', b'"status"')
_NOTHING: tuple[object, ...] = (None, False, "", 0, [], {})
_FAILED = frozenset({"error", "fail", "failed", "failure"})


class UnknownCustomerError(MissingCallError):
    """A 404 with a JSON object: the call exists, but what it asks for does not. That servers do so is inferred."""


def time_reader(timezone: str) -> Callable[[Any], str]:
    """A reader of times in all forms that the API may use; only the last one is documented.

    These are ISO 8601, Unix seconds as number or text, ``YYYY-MM-DD HH:MM:SS`` in the given zone, and the text of a
    JavaScript date.

    Raises:
        ValueError: There is no such zone.
    """
    return partial(_time, local=zone(timezone))


def _time(value: Any, local: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        if not hasattr(value, "as_tuple"):
            raise ValueError("not a time")
        value = str(value)
    return any_text(value, local)


class PegkeClient(ApiClient):
    """Calls the Pegke API. No error body is documented; a code is looked for in all the usual places."""

    known_codes: ClassVar[frozenset[str]] = OAUTH_CODES | {TOO_OFTEN}

    @override
    def check(self, response: Response, what: str) -> None:
        if response.status == _FORBIDDEN and self.error_code(response) == TOO_OFTEN:
            raise ThrottledError(
                f"{what}: {self.describe(response)}: tokens are requested too often; set token_cache so that runs "
                "share one, or run again later",
                wait=self.wait_asked(response),
            )
        if response.status == _NOT_FOUND:
            kind = UnknownCustomerError if response.body.lstrip()[:1] == b"{" else MissingCallError
            raise kind(
                f"{what}: {self.describe(response)}: the API has no such call; correct its path in the setting "
                "'endpoints', or deselect the stream"
            )
        super().check(response, what)
        if _is_error(response.body):
            raise TransientError(f"{what}: the API reports an error in a 200 response{self.known_code(response)}")


def _is_error(body: bytes) -> bool:
    """Whether an answer says that it is an error, in one of the usual ways. That is inferred: none is documented."""
    if _CODE_FIRST.match(body):
        return True
    if not any(mark in body for mark in _MARKS):  # next to no answer has one, and this is quick
        return False
    try:
        answer = codec.members(body)
        said = {name: codec.decode(answer[name]) for name in ("error", "errors", "success", "status") if name in answer}
    except (*codec.NOT_JSON, RecursionError):  # a list, or something that its stream refuses
        return False
    status = said.get("status")
    return (
        any(said.get(name) not in _NOTHING for name in ("error", "errors"))
        or said.get("success", True) in _NOTHING
        or status is False
        or (isinstance(status, int) and status >= HTTPStatus.BAD_REQUEST)
        or (isinstance(status, str) and status.lower() in _FAILED)
    )


class PegkeToken(OAuth2ClientCredentials):
    """The token of version 1.

    There is one per application, and asking again gives the same one until it is invalidated (documented). So it is
    used until the API refuses it: ``expires_in`` counts from a moment that the tap does not know. Requesting it too
    often is punished. The refresh call is a GET with the refresh token as bearer (developer FAQ; the method is
    inferred).

    Args:
        refresh_url: Where to refresh.
        **options: What `OAuth2ClientCredentials` takes.
    """

    def __init__(self, *, refresh_url: str, **options: Any) -> None:
        super().__init__(**options)
        self._refresh_url = refresh_url

    @override
    def refresh_request(self, refresh: str) -> Request:
        return Request("GET", self._refresh_url, {"Authorization": f"Bearer {refresh}", "Accept": "application/json"})

    @override
    def lifetime(self, answer: Mapping[str, Any]) -> float | None:
        return None
