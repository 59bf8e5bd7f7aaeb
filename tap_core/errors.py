"""What can go wrong, and the exit code of each kind.

    TapError                        1  something unexpected
    ├── ConfigError                 2  a setting is missing, misspelt or impossible
    │   └── StateError              2  the given state cannot be used
    ├── AuthError                   3  the API refuses the credentials
    ├── ApiError                    4  the API does not do what the tap needs
    │   ├── ForbiddenError          4  one call is not allowed for these credentials
    │   ├── MissingCallError        4  a call does not exist (404 on a path)
    │   ├── PaginationError         4  paging makes no progress
    │   ├── RecordError             4  one record cannot be emitted; the others can
    │   ├── DriftError              4  data that the schema does not allow, under ``unknown_fields: fail``
    │   └── TransientError          4  worth another try; carries how long to wait
    │       ├── NetworkError        4  no response, or half of one
    │       │   └── UnreachableError 4  no connection to the host at all
    │       │       └── LastingError 4  and no second try can change that
    │       ├── WrongKindError      4  JSON of another kind than expected
    │       └── ThrottledError      4  the API asks to slow down
    ├── OutputError                 5  the messages cannot be written (the target is gone)
    └── StoppedError              143  a signal ended the run; nothing is wrong

A message is one line that says what happened, to which stream or setting, and what to do next. It never holds a
secret, a response body or a query string.
"""

from __future__ import annotations

import re

from typing_extensions import override

__all__ = [
    "ApiError",
    "AuthError",
    "ConfigError",
    "DriftError",
    "ForbiddenError",
    "LastingError",
    "MissingCallError",
    "NetworkError",
    "OutputError",
    "PaginationError",
    "RecordError",
    "StateError",
    "StoppedError",
    "TapError",
    "ThrottledError",
    "TransientError",
    "UnreachableError",
    "WrongKindError",
]


_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class TapError(Exception):
    """Base class of all errors that a tap raises on purpose. Its text is one line, whatever names are in it."""

    exit_code = 1
    reported = False
    """Whether the user has seen the message already."""

    @override
    def __str__(self) -> str:
        return _CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), super().__str__())


class ConfigError(TapError):
    """A setting is missing, misspelt or impossible. The message names the setting, never its value."""

    exit_code = 2


class StateError(ConfigError):
    """The given state cannot be used."""


class AuthError(TapError):
    """The API refuses the credentials; no other stream of the account would do better."""

    exit_code = 3


class ApiError(TapError):
    """The API does not do what the tap needs; only the stream that made the call fails."""

    exit_code = 4


class ForbiddenError(ApiError):
    """The credentials are valid, but this call is not allowed with them."""


class MissingCallError(ApiError):
    """The call does not exist under the path that the tap uses."""


class PaginationError(ApiError):
    """Paging makes no progress: the same page, the same token or an ignored offset."""


class RecordError(ApiError):
    """One record cannot be emitted, because it has no key or is not an object; the others can."""


class DriftError(ApiError):
    """Data that the schema does not allow arrived while ``unknown_fields`` is ``fail``."""


class TransientError(ApiError):
    """Worth another try.

    Args:
        message: One line for the log, or for the user when no try is left.
        wait: Seconds that the API asks to wait before the next try, or None to let the backoff decide.

    Attributes:
        seconds: How long the request took that failed on its way; 0 if its response came, which knows that itself.
    """

    seconds = 0.0

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class NetworkError(TransientError):
    """No response, or only half of one: name not found, connection refused or reset, timeout, cut body."""


class UnreachableError(NetworkError):
    """No connection to the host at all: name not found, connection refused, no connection in time."""


class LastingError(UnreachableError):
    """No connection, for a reason that no second try can change: a name that nobody knows, a proxy that refuses.

    Only where the host has not been reached before in this run; else it is one more `UnreachableError`.
    """


class WrongKindError(TransientError):
    """JSON of another kind than expected. Worth another try only where the right kind has come before."""


class ThrottledError(TransientError):
    """The API asks to slow down (429, or an API's own way to say so)."""


class OutputError(TapError):
    """The messages cannot be written, because the target is gone or the disk is full."""

    exit_code = 5


class StoppedError(TapError):
    """A signal ended the run while a call was waiting; the run knows which signal, and its exit code."""

    exit_code = 143
