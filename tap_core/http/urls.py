"""Addresses: which hosts are this machine, and which part of a URL may be shown."""

from __future__ import annotations

import functools
import ipaddress
from urllib.parse import urlsplit

__all__ = ["host_of", "is_loopback", "origin_of"]

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
