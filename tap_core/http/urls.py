"""Addresses: their queries, which hosts are this machine, and which part of a URL may be shown."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encoded", "host_of", "is_loopback", "origin_of"]

_PORTS = {"https": 443, "http": 80}


@functools.cache
def is_loopback(hostname: str) -> bool:
    """Whether a host is this machine itself, by name or address."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname.strip("[]")).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """Host and port of a URL, without user and password: the one part of it that messages show."""
    return urlsplit(url).netloc.rpartition("@")[2]


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL, however they are written."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def encoded(parameters: Mapping[str, Any]) -> str:
    """Parameters as the query of a URL; None leaves one out, and a list repeats it."""
    parts = []
    for name, value in parameters.items():
        if type(value) is int:
            parts.append(f"{_quoted(name)}={value}")
        elif type(value) is str:
            # Letters and digits stay as they are; of other values, few come again.
            quoted = value if value.isalnum() and value.isascii() else _quoted(value)
            parts.append(f"{_quoted(name)}={quoted}")
        elif value is not None:
            parts.append(urlencode([(name, value)], doseq=True))
    return "&".join(parts)


_quoted = functools.lru_cache(4096)(quote_plus)
