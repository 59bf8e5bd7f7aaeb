"""How PeerAssist answers: errors, and the login that gives a token."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.client import ApiClient, parse_json
from tap_core.errors import ApiError, AuthError, ForbiddenError, MissingCallError, TransientError
from tap_core.tokens import Token

if TYPE_CHECKING:
    from tap_core.transport import Response

__all__ = ["LoginClient", "PeerAssistClient", "token_of"]

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
            raise AuthError(f"{what}: {self.describe(response)}: the API refuses it; check {self.auth.settings}")
        if response.status in ABSENT:
            raise ApiError(f"{what}: {self.describe(response)}: no such call; check api_url and endpoints.auth")
        super().check(response, what)


def token_of(response: Response, now: float) -> Token:
    """The token in a login's answer.

    ``expiresIn`` is documented as minutes. Above 600 it is taken as seconds (inferred); without it, a token lives 60
    minutes, as the guide says.

    Args:
        response: The answer.
        now: Unix seconds.

    Raises:
        TransientError: There is no token in it.
    """
    answer = parse_json(response)
    value = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise TransientError("the answer of the login holds no token")
    return Token(value, now + _life_seconds(answer.get("expiresIn")))


def _life_seconds(told: Any) -> float:
    try:
        life = 0.0 if told is None or isinstance(told, bool) else float(told)
    except (TypeError, ValueError):
        life = 0.0
    if life > LONGEST_MINUTES:
        logger.warning("the login says that a token expires in %g; that is taken as seconds, not as minutes", life)
        return life
    return 60 * (life if life > 0 else LIFE_MINUTES)
