"""What can go wrong, and the exit code that each kind ends the process with.

    TargetError               1  something unexpected
    ├── SettingsError         2  a setting is missing, misspelt or impossible
    ├── CheckError            6  the warehouse is stale, or lacks rows that were rejected
    └── LoadError             5  the input cannot be loaded, or the warehouse cannot take it
        ├── MessageError      5  a line that is not a Singer message, or one out of order
        ├── RecordError       5  a value that the stream's schema does not allow
        └── LockedError       5  another process holds the warehouse

A message is one line that tells what happened, to which stream or setting, and what to do next. It never holds a
value of a property that the schema marks ``x-pii``.
"""

from __future__ import annotations

import re

from typing_extensions import override

__all__ = ["CheckError", "LoadError", "LockedError", "MessageError", "RecordError", "SettingsError", "TargetError"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class TargetError(Exception):
    """Base of all errors that the loader raises on purpose. Its text is one line, whatever names are in it."""

    exit_code = 1

    @override
    def __str__(self) -> str:
        return _CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), super().__str__())


class SettingsError(TargetError):
    """A setting is missing, misspelt or impossible. The message names the setting."""

    exit_code = 2


class CheckError(TargetError):
    """The warehouse is stale, or lacks rows that were rejected."""

    exit_code = 6


class LoadError(TargetError):
    """The input cannot be loaded, or the warehouse cannot take it. What was committed before stays."""

    exit_code = 5


class MessageError(LoadError):
    """A line that is not a Singer message, or a message that came out of order."""


class RecordError(LoadError):
    """A record holds a value that the schema of its stream does not allow."""


class LockedError(LoadError):
    """Another process holds the warehouse, and did not release it in time."""
