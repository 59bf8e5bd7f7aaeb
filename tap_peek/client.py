"""What Peek's responses look like: bare lists, error codes in the body, capabilities echoed in a header."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, AuthError, ForbiddenError, MissingCallError, TransientError
from tap_core.http.client import ApiClient
from tap_core.http.waits import retry_after
from tap_core.records.dialect import Dialect
from tap_core.timestamps import iso_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tap_core.http.auth import Auth
    from tap_core.http.client import Network
    from tap_core.http.message import Response

__all__ = ["DIALECT", "PRICING", "GoneError", "PeekClient", "RefusedError", "capability_ids"]

DIALECT: Final = Dialect(time=iso_text)
"""Moments are ISO 8601 in UTC. Local times of departures stay text: their offsets are not reliable."""

PRICING: Final = "octo/pricing"


class GoneError(ApiError):
    """The API does not know a product or option, although it has just listed it."""


class RefusedError(ApiError):
    """The API does not accept the request: BAD_REQUEST, or status 400 and a code that says nothing else.

    Args:
        message: One line for the user.
        code: The code in the error's body.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class PeekClient(ApiClient):
    """Calls the API with one key.

    The code in an error's body decides, whatever the status: Peek's pages only mention 200 and 400; its host also sends
    401. The texts are not shown: they may repeat what was sent.

    Args:
        network: What all clients of the run share.
        auth: The key.
        capabilities: What is sent as ``Octo-Capabilities``.
        warn: Says something once per run.
    """

    def __init__(
        self, network: Network, auth: Auth, *, capabilities: Collection[str], warn: Callable[[str], None]
    ) -> None:
        super().__init__(network, auth)
        self._capabilities = frozenset(capabilities)
        self._warn = warn

    known_codes: ClassVar[frozenset[str]] = frozenset(
        {
            *("INVALID_PRODUCT_ID", "INVALID_OPTION_ID", "INVALID_UNIT_ID", "INVALID_AVAILABILITY_ID"),
            *("INVALID_BOOKING_UUID", "BAD_REQUEST", "UNPROCESSABLE_ENTITY", "INTERNAL_SERVER_ERROR"),
            *("UNAUTHORIZED", "FORBIDDEN"),
        }
    )

    @override
    def check(self, response: Response, what: str) -> None:
        good = response.status == HTTPStatus.OK
        code = _code(response.body) if not good or response.body[:64].lstrip().startswith(b"{") else None
        if code is not None and response.status != HTTPStatus.TOO_MANY_REQUESTS:
            self._check_code(code, response, what)
        if response.status == HTTPStatus.FORBIDDEN:
            self._forbid(response, what)
        if response.status in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}:
            raise MissingCallError(f"{what}: {self.describe(response)}: the API has no such call")
        if response.status == HTTPStatus.BAD_REQUEST:
            said = f"{what}: {self.describe(response)}: the API does not accept the request"
            raise RefusedError(said, code=code)
        super().check(response, what)
        if good:
            self._compare_echo(response)

    def _check_code(self, code: str, response: Response, what: str) -> None:
        said = f"{what}: {self.describe(response)}"
        match code:
            case "UNAUTHORIZED":
                self._refuse_key(response, what)
            case "FORBIDDEN":
                self._forbid(response, what)
            case "INTERNAL_SERVER_ERROR":
                raise TransientError(said, wait=retry_after(response.headers.get("Retry-After"), self.clock.time()))
            case "INVALID_PRODUCT_ID" | "INVALID_OPTION_ID":
                raise GoneError(f"{said}: the API no longer knows it")
            case "BAD_REQUEST":
                raise RefusedError(f"{said}: the API does not accept the request", code=code)
        if response.status == HTTPStatus.OK:
            raise ApiError(f"{said}: the API reports an error")

    def _forbid(self, response: Response, what: str) -> NoReturn:
        """Of one product, it says nothing of the key: the standard has one code for both."""
        if ": POST " in what:
            raise ForbiddenError(f"{what}: {self.describe(response)}: the API forbids the key to read this product")
        self._refuse_key(response, what)

    def _refuse_key(self, response: Response, what: str) -> NoReturn:
        raise AuthError(
            f"{what}: {self.describe(response)}: the API refuses the key; check {self.auth.settings}, and that the "
            "operator has not switched the connection off"
        )

    def _compare_echo(self, response: Response) -> None:
        echoed = capability_ids(response.headers.get("Octo-Capabilities", ""))
        if PRICING in self._capabilities and PRICING not in echoed:
            self._warn(
                f"the API does not confirm the capability {PRICING} (header Octo-Capabilities): prices may be missing"
            )

    @override
    def error_code(self, response: Response) -> str | None:
        return _code(response.body) or super().error_code(response)


def capability_ids(text: str) -> frozenset[str]:
    """The ids in a header such as ``octo/pricing, octo/webhooks``."""
    return frozenset(part.strip() for part in text.split(",")) - {""}


class _Error(msgspec.Struct):
    error: str


def _code(body: bytes) -> str | None:
    try:
        return _decode(body).error
    except (*codec.NOT_JSON, RecursionError):
        return None


_decode = msgspec.json.Decoder(_Error).decode
