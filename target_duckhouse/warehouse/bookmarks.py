"""What a state says, read without changing it: bookmarks, the account they belong to, and which of two counts.

A state belongs to its tap, so only what is needed is decoded. Everything else stays the text that came, with all digits
of a number. Two forms are understood. Taps built on the Meltano SDK, and some others, tell where a stream stands in
``replication_key_value``, of the stream or of its ``partitions``. The taps of this project write a stricter form::

    {"bookmarks": {"events": {"replication_key": "created", "replication_key_value": "2026-01-31T00:00:00.000000Z"}},
     "_account": "b1c9…"}

All values are UTC with microseconds, so their order is the order of time. Members with an underscore are the tap's own;
``_account`` is a keyed digest of the address and the account that it reads.
"""

from __future__ import annotations

import contextlib
import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Bookmark", "Scope", "TapState", "continued_streams", "newest", "scopes_read", "tap_state"]

logger = logging.getLogger("target-duckhouse")

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_STATE = 1024 * 1024
"""Largest state of the stricter form, in bytes: with thousands of partitions it takes 50 KB."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_KEY, _VALUE = "replication_key", "replication_key_value"
_DIGESTS = ("_partitions", "subjects", "customers")
"""Members that tell which partitions a bookmark speaks for."""

_KNOWN = frozenset({_KEY, _VALUE, "read_until", *_DIGESTS})
"""What else a bookmark of the stricter form holds begins with an underscore."""

_NOTHING: Mapping[str, Raw] = {}
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ITEMS = msgspec.json.Decoder(list[Raw])
_ANY = msgspec.json.Decoder()


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a table that a run has read whole, and all of whose rows it has sent. The whole table if it is empty.

    A member that is not known may limit it, so such a scope is not understood.

    Args:
        equal: Properties and the values that they have in all its rows.
        start: Properties and the first values that belong to it.
        end: Properties and the first values that no longer belong to it.
    """

    equal: dict[str, str] = msgspec.field(default_factory=dict)
    start: dict[str, str] = msgspec.field(default_factory=dict)
    end: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def properties(self) -> set[str]:
        """What tells which rows belong to it."""
        return {*self.equal, *self.start, *self.end}


_SCOPES = msgspec.json.Decoder(list[Scope])


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where one stream stands.

    Args:
        text: The whole entry, as it came.
        key: The property that the bookmark is on.
        value: A time in UTC with microseconds; empty if the entry has none.
        partitions: What the entry says of the partitions that it speaks for.
    """

    text: Raw
    key: Any
    value: str
    partitions: tuple[Any, ...]

    def outlasts(self, other: Bookmark | None, now: str) -> bool:
        """Whether this bookmark is kept where a state has another one, or none, for the same stream.

        The later of the two counts if they are comparable. One from the future does not: its tap would not use it.
        """
        if other is None:
            return bool(self.value)
        comparable = not other.value or (self.key, self.partitions) == (other.key, other.partitions)
        return comparable and other.value < self.value <= now


@dataclass(frozen=True, slots=True)
class TapState:
    """A state in the form of this project's taps.

    Args:
        text: The state, as it came.
        members: Its members, as they came.
        bookmarks: The bookmark of each stream.
        account: The digest of the account that was read; None if the state does not tell.
    """

    text: bytes
    members: Mapping[str, Raw]
    bookmarks: Mapping[str, Bookmark]
    account: str | None

    def with_bookmarks(self, bookmarks: Mapping[str, Bookmark]) -> TapState:
        """The state with other bookmarks."""
        members = {**self.members, "bookmarks": {stream: bookmark.text for stream, bookmark in bookmarks.items()}}
        return replace(self, text=msgspec.json.encode(members), bookmarks=bookmarks)

    def with_later(self, stored: TapState, mixed: Collection[str], now: str) -> TapState:
        """The state with the later one of each stream's bookmarks.

        Args:
            stored: The state that is stored so far.
            mixed: Streams whose stored bookmark is that of another account.
            now: The present, in the form of a bookmark.
        """
        kept = {
            stream: bookmark
            for stream, bookmark in stored.bookmarks.items()
            if bookmark.outlasts(self.bookmarks.get(stream), now) and stream not in mixed
        }
        return self.with_bookmarks({**self.bookmarks, **kept}) if kept else self


def continued_streams(state: bytes) -> set[str]:
    """The streams for which a state holds a value to continue from, whichever tap wrote it.

    Args:
        state: The value of a STATE message as JSON text.
    """
    found = set()
    for stream, entry in _members(_members(state).get("bookmarks")).items():
        members = _members(entry)
        if any(map(_has_value, [members, *map(_members, _items(members.get("partitions")))])):
            found.add(stream)
    return found


def newest(state: bytes) -> dict[str, str]:
    """Up to where each stream has been read, for people: its bookmark, or the latest one of its partitions.

    Args:
        state: The value of a STATE message as JSON text. A stream without a value is left out.
    """
    found = {}
    for stream, entry in _members(_members(state).get("bookmarks")).items():
        members = _members(entry)
        parts = [members, *map(_members, _items(members.get("partitions")))]
        values = [_decoded(part.get(_VALUE)) for part in parts if _has_value(part)]
        if values:
            found[stream] = str(max(values, key=str))
    return found


def scopes_read(state: bytes) -> dict[str, list[Scope]]:
    """The scopes that a state reports as read whole, by stream; empty if its tap does not report any.

    Those of a stream one of which is not understood are passed over, with a warning.

    Args:
        state: The value of a STATE message as JSON text.
    """
    found: dict[str, list[Scope]] = {}
    if b'"_scopes_read"' in state and len(state) <= _MAX_STATE:
        for stream, entry in _members(_members(state).get("bookmarks")).items():
            try:
                if scopes := _SCOPES.decode(_members(entry).get("_scopes_read", b"[]")):
                    found[stream] = scopes
            except _UNREADABLE as error:
                logger.warning(
                    "stream %s: no rows count as gone; its `_scopes_read` is not understood: %s", stream, error
                )
    return found


def tap_state(state: bytes | None) -> TapState | None:
    """A state in the form of this project's taps; None if it is another tap's, or there is none."""
    if not state or len(state) > _MAX_STATE:
        return None
    members = _members(state)
    entries = _members(members.get("bookmarks"), otherwise=None)
    if entries is None or not all(name == "bookmarks" or name.startswith("_") for name in members):
        return None
    bookmarks = {}
    for stream, entry in entries.items():
        if (bookmark := _bookmark(entry)) is None:
            return None
        bookmarks[stream] = bookmark
    account = _decoded(members.get("_account"))
    return TapState(state, members, bookmarks, account if isinstance(account, str) else None)


def _bookmark(entry: Raw) -> Bookmark | None:
    members = _members(entry, otherwise=None)
    if members is None or not all(name in _KNOWN or name.startswith("_") for name in members):
        return None
    value = _decoded(members.get(_VALUE))
    if value is not None and not (isinstance(value, str) and _INSTANT.fullmatch(value)):
        return None
    partitions = tuple(_decoded(members.get(name)) for name in _DIGESTS)
    return Bookmark(entry, _decoded(members.get(_KEY)), value or "", partitions)


def _has_value(members: Mapping[str, Raw]) -> bool:
    return bytes(members.get(_VALUE, b"")) not in {b"", b"null", b'""'}


def _members(text: bytes | Raw | None, *, otherwise: Any = _NOTHING) -> Any:
    """The members of a JSON object, as they came; `otherwise` if it is anything else."""
    with contextlib.suppress(*_UNREADABLE):
        return _MEMBERS.decode(text or b"")
    return otherwise


def _items(text: Raw | None) -> list[Raw]:
    with contextlib.suppress(*_UNREADABLE):
        return _ITEMS.decode(text or b"")
    return []


def _decoded(text: Raw | None) -> Any:
    with contextlib.suppress(*_UNREADABLE):
        return _ANY.decode(text or b"null")
    return None
