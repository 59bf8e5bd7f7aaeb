"""Forms as the body of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_core.http.urls import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["multipart", "urlencoded"]


def urlencoded(form: Mapping[str, str]) -> tuple[bytes, str]:
    """A form as HTML pages send it by default: the body, and its Content-Type."""
    return encoded(form).encode(), "application/x-www-form-urlencoded"


def multipart(form: Mapping[str, str]) -> tuple[bytes, str]:
    """A form in parts (RFC 7578): the body, and its Content-Type with the boundary."""
    from urllib3.filepost import encode_multipart_formdata  # noqa: PLC0415  few calls need it

    return encode_multipart_formdata(form)
