"""Tokens with a lifetime, and the file that keeps one between runs."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Token", "TokenCache"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token with a lifetime.

    Attributes:
        value: The token.
        expires_at: When it expires, in Unix seconds, or None if never.
        refresh: A token to get the next one with, if the API gives one.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    refresh: str | None = field(default=None, repr=False)


class TokenCache:
    """A private file (mode 600) that keeps one token between runs.

    A file that others can read, that belongs to other credentials, or that cannot be read at all is ignored: a
    new token is requested.

    Args:
        path: The file.
        key: A digest of what the token belongs to.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key

    def load(self) -> Token | None:
        """The kept token, whether expired or not, or None."""
        try:
            if self._path.stat().st_mode & 0o077:
                logger.warning("the token cache can be read by others; it is ignored and rewritten")
                return None
            entry = msgspec.json.decode(self._path.read_bytes(), type=_CacheEntry)
        except (OSError, msgspec.DecodeError):
            return None
        return Token(entry.value, entry.expires_at, entry.refresh) if entry.key == self._key else None

    def save(self, token: Token) -> None:
        """Replace the file with one that is private from its first byte on; a failure is a warning."""
        entry = _CacheEntry(self._key, token.value, token.expires_at, token.refresh)
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(msgspec.json.encode(entry))
            draft.replace(self._path)
        except OSError as error:
            logger.warning("the token cannot be saved for the next run: %s", error.strerror)


class _CacheEntry(msgspec.Struct):
    key: str
    value: str
    expires_at: float | None
    refresh: str | None
