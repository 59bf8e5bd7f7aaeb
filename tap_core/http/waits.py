"""What an API says about waiting: Retry-After, reset times, and spans of time in words."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

from tap_core.timestamps import epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["in_words", "reset_wait", "retry_after"]

_EPOCH_FROM = 1e9  # a reset of more than 30 years is not a number of seconds to wait, but a time


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks for: a number, or an HTTP date (RFC 9110, 10.2.3).

    Args:
        value: The header's value, or None without one.
        now: Unix seconds.

    Returns:
        None if the header is missing, unreadable or negative; a past date is 0.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _http_date(value)
        return None if moment is None else max(0.0, moment - now)
    return seconds if 0 <= seconds < math.inf else None


def reset_wait(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds until a rate limit is reset, by RateLimit-Reset or X-RateLimit-Reset.

    The value may be a number of seconds, a Unix time in seconds or milliseconds, or an HTTP date.
    """
    for name in ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset"):
        wait = _until(headers.get(name), now)
        if wait is not None:
            return wait
    return None


def _until(value: str | None, now: float) -> float | None:
    wait = retry_after(value, now)
    if wait is None or wait < _EPOCH_FROM or _http_date(value) is not None:
        return wait
    return max(0.0, epoch_seconds(wait) - now)


def _http_date(value: str | None) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  most runs never see such a date

    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError):  # a number in it is beyond what a date can hold
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def in_words(seconds: float) -> str:
    """A span of time for people: ``45 s``, ``5 min``, ``2 h 30 min``, ``3 days``."""
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = hours // 24
    return f"{days} days" if days < 36525 else "more than a century"  # noqa: PLR2004
