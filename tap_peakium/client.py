"""What Peakium's responses look like: list envelopes, two kinds of error bodies, times in Unix seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from typing_extensions import override

from tap_core import codec
from tap_core.errors import ApiError, TransientError
from tap_core.http.client import ApiClient
from tap_core.records.dialect import Dialect
from tap_core.timestamps import epoch_text

if TYPE_CHECKING:
    from tap_core.http.message import Response

__all__ = ["DIALECT", "PeakiumClient", "one", "unix_time"]


def unix_time(value: Any) -> str:
    """Unix seconds as UTC text. Every time of the API is such an integer; the first reference typed one as a string.

    Raises:
        ValueError: It is not a number.
    """
    if isinstance(value, bool):
        raise ValueError("a boolean is not a time")  # noqa: TRY004  callers expect ValueError for any value that is not a time
    return epoch_text(value)


DIALECT = Dialect(
    time=unix_time, empty_array_is_map=True, list_member="data", list_marks=frozenset({"object", "count"})
)
"""Times in Unix seconds, ``{"object": "list", "data": […]}`` around lists, and, as PHP writes it, ``[]`` for an empty
map."""


def one(body: bytes) -> msgspec.Raw:
    """A response that is a single object.

    Raises:
        msgspec.DecodeError: It is not an object.
    """
    codec.members(body)
    return msgspec.Raw(body)


class PeakiumClient(ApiClient):
    """Calls the Peakium API.

    Errors come in two shapes: ``{"message": …}`` as the reference promises, and ``{"error": {"type", "message",
    "param"}}`` as both official clients expect. The texts are not shown: they may repeat what was sent, such as the
    key.
    """

    known_codes: ClassVar[frozenset[str]] = frozenset({"api_error", "invalid_request_error"})

    @override
    def check(self, response: Response, what: str) -> None:
        super().check(response, what)
        if response.body[:1] == b"{" and response.body.startswith((b'{"error"', b'{"message"')):
            code = self.error_code(response)
            if code == "api_error":
                raise TransientError(f"{what}: the API reports an error of its own in a 200 response (api_error)")
            raise ApiError(f"{what}: the API reports an error in a 200 response{self.known_code(response)}")

    @override
    def error_code(self, response: Response) -> str | None:
        try:
            error = msgspec.json.decode(response.body, type=_Wrapped).error
        except (*codec.NOT_JSON, RecursionError):
            return None
        return error.type


class _Error(msgspec.Struct):
    type: str | None = None


class _Wrapped(msgspec.Struct):
    error: _Error
