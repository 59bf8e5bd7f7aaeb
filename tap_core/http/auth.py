"""Credentials for requests: one object per account, shared by all streams and threads.

Authentication is a flow: send with `Auth.headers`, and where the API answers 401, ask `Auth.renew` whether there are
new ones to send the request with once more. `tap_core.http.client.ApiClient`
walks through it.
"""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Auth", "BasicAuth", "BearerAuth", "NoAuth", "basic_credentials"]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Auth:
    """Base of all credentials.

    Args:
        settings: Names of the settings that hold the credentials, for the message after a refusal.

    Attributes:
        is_final: Whether a refusal holds for all further calls.
    """

    is_final = True

    def __init__(self, settings: str) -> None:
        self.settings = settings

    @property
    def blocks(self) -> bool:
        """Whether `headers` may take its time now, because it logs in or another thread does."""
        return False

    def headers(self) -> Mapping[str, str]:
        """The headers that carry the credentials; may log in first. The same object never changes.

        Raises:
            AuthError: The credentials are refused.
        """
        raise NotImplementedError

    def renew(self, stale: Mapping[str, str]) -> bool:
        """After a 401: get new credentials.

        Args:
            stale: The headers that were refused. If they aren't the current ones, another thread has renewed them.

        Returns:
            Whether there are new credentials to try; False if there is nothing to renew.
        """
        del stale
        return False


class NoAuth(Auth):
    """No credentials: for public calls and for the login itself.

    Args:
        settings: Names of the settings that a 401 is about, such as those of the login.
    """

    is_final = False

    def __init__(self, settings: str = "the credentials") -> None:
        super().__init__(settings)

    @override
    def headers(self) -> Mapping[str, str]:
        return _NOTHING


class _FixedAuth(Auth):
    def __init__(self, headers: Mapping[str, str], settings: str) -> None:
        super().__init__(settings)
        self._headers = dict(headers)

    @override
    def headers(self) -> Mapping[str, str]:
        return self._headers


class BasicAuth(_FixedAuth):
    """HTTP Basic (RFC 7617), in UTF-8."""

    def __init__(self, username: str, password: str = "", *, settings: str = "api_key") -> None:
        super().__init__({"Authorization": basic_credentials(username, password)}, settings)


class BearerAuth(_FixedAuth):
    """A fixed bearer token (RFC 6750).

    Args:
        token: The token.
        extra: Further headers that belong to the credentials.
        settings: Names of the settings that hold them.
    """

    def __init__(self, token: str, *, extra: Mapping[str, str] | None = None, settings: str = "api_key") -> None:
        super().__init__({"Authorization": f"Bearer {token}", **(extra or {})}, settings)


def basic_credentials(username: str, password: str) -> str:
    """The value of the header Authorization for HTTP Basic (RFC 7617), in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
