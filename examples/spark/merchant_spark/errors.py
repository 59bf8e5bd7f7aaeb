"""What Spark shows of a failure: one line, with the tap's exit code."""

from __future__ import annotations

__all__ = ["ReadError", "ended"]

_CODES = {
    1: "something unexpected",
    2: "a setting",
    3: "the credentials",
    4: "the API",
    5: "the output",
}


class ReadError(Exception):
    """A stream cannot be read. The text holds no secret and no value of a row."""


def ended(tap: str, code: int, reason: str) -> ReadError:
    """The error for a tap that has ended with a code, or would have.

    Args:
        tap: Its name, such as ``tap-peek``.
        code: Its exit code; negative if a signal ended it.
        reason: Its own line.
    """
    if code < 0:
        return ReadError(f"{tap}: ended by signal {-code}: {reason}")
    return ReadError(f"{tap}: exit code {code} ({_CODES.get(code, 'stopped')}): {reason}")
