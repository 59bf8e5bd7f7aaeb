"""HTTP as a vendor sees it: the request, and the response that it returns."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from merchant_sandbox.routing import Route

__all__ = ["JSON", "ServerRequest", "ServerResponse", "flag", "json_response"]

JSON = "application/json"


@dataclass(slots=True)
class ServerRequest:
    """One request to a vendor.

    Args:
        method: Upper-case method.
        path: Raw path below the vendor's prefix, still percent-encoded, without a trailing slash.
        query_string: Raw query.
        headers: Names in lower case; of repeated headers the last one counts.
        body: The whole body.
        route: The route that matched.
        params: Percent-decoded parts of the path, by the names in the route's pattern.
        effects: Paging faults for `merchant_sandbox.paging` to apply, by kind.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes = b""
    route: Route | None = None
    params: dict[str, str] = field(default_factory=dict)
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    _query: list[tuple[str, str]] | None = None

    @property
    def query_items(self) -> list[tuple[str, str]]:
        """All query parameters in order, decoded, empty values included."""
        if self._query is None:
            self._query = parse_qsl(self.query_string, keep_blank_values=True) if self.query_string else []
        return self._query

    def query(self, name: str, default: str | None = None) -> str | None:
        """The last value of a query parameter."""
        return next((value for key, value in reversed(self.query_items) if key == name), default)

    def json(self) -> Any:
        """The body as JSON; None if it is empty or not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None

    def form(self) -> dict[str, str]:
        """The fields of an urlencoded or multipart body; of repeated names the last one counts."""
        content_type = self.headers.get("content-type", "")
        if content_type.startswith("multipart/"):
            message = BytesParser(policy=HTTP).parsebytes(
                b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + self.body
            )
            return {
                str(part.get_param("name", header="content-disposition")): str(part.get_content()).rstrip("\r\n")
                for part in message.iter_parts()
            }
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def basic(self) -> tuple[str, str] | None:
        """The user name and the password of HTTP Basic, if sent."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def bearer(self) -> str | None:
        """The bearer token, if sent."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None


@dataclass(slots=True)
class ServerResponse:
    """What to answer; the server adds Content-Length."""

    body: bytes = b""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    content_type: str | None = JSON


def json_response(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> ServerResponse:
    """A response with a JSON body."""
    return ServerResponse(msgspec.json.encode(value), status, headers)


def flag(text: str | None) -> bool | None:
    """A boolean as a query says it; None where it says nothing."""
    return None if text is None else text.lower() in {"1", "true", "yes"}
