"""The state of a run: read strictly, one bookmark per stream, compared as instants.

All bookmarks are texts in the engine's own form (UTC with microseconds), so that their order is the order of time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tap_core.errors import StateError
from tap_core.timestamps import parse, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

__all__ = ["ACCOUNT", "SAFETY_LAG", "SCOPES_READ", "WINDOWS_READ", "Bookmarks", "checked_state", "shifted"]

SAFETY_LAG: Final = timedelta(minutes=5)
"""No bookmark gets closer to the start of the run, because what happens during the run may only be half read."""

WINDOWS_READ: Final = "_windows_read"
"""What a run says about itself next to a bookmark, and is not passed on to the next run: ``first`` and ``last``, the
starts of the windows between which each was read completely, for all partitions, and its rows were written."""

SCOPES_READ: Final = "_scopes_read"
"""The same for streams without windows: the parts of the table that the run has read whole, and whose other rows are
gone. ``{}`` is the whole table."""

ACCOUNT: Final = "_account"
"""The member of a state beside its bookmarks that names the account, as a digest."""

logger = logging.getLogger(__name__)


def checked_state(state: Any) -> dict[str, Any]:
    """A given state, checked.

    Raises:
        StateError: It is not of the form ``{"bookmarks": {stream: {…}}}``.
    """
    if not isinstance(state, dict):
        raise StateError(f"the state must be a JSON object, not {type(state).__name__}")
    if state and "bookmarks" not in state:
        raise StateError("the state has no 'bookmarks'; give the value of a STATE message, not the message around it")
    bookmarks = state.get("bookmarks", {})
    if not isinstance(bookmarks, dict):
        raise StateError("the state's 'bookmarks' must be a JSON object")
    for stream, bookmark in bookmarks.items():
        if not isinstance(bookmark, dict):
            raise StateError(f"the state's bookmark of stream {stream!r} must be a JSON object")
    return state


class Bookmarks:
    """The bookmarks of one run.

    Args:
        state: The tap's state; changed in place.
        started: When the run started.
    """

    def __init__(self, state: MutableMapping[str, Any], started: datetime) -> None:
        self._state = state
        for stream, bookmark in list(state.get("bookmarks", {}).items()):
            told = [bookmark.pop(name, None) for name in (WINDOWS_READ, SCOPES_READ)]
            if any(told) and not bookmark:
                del state["bookmarks"][stream]
        self.newest = text_of(started - SAFETY_LAG)
        self._started = text_of(started)
        self._anew: set[str] = set()

    def open(self, account: str) -> None:
        """Say in the state whose data the run reads, so that a target can tell one account's rows from another's.

        Args:
            account: A keyed digest of the account; it tells nothing to whoever has no key.
        """
        bookmarks = self._state.pop("bookmarks", {})
        self._state.update({ACCOUNT: account, "bookmarks": bookmarks})

    def __bool__(self) -> bool:
        return bool(self._state.get("bookmarks"))

    @property
    def state(self) -> Mapping[str, Any]:
        """The state as a STATE message contains it; empty until a stream with a bookmark was read or looked at."""
        return self._state

    @property
    def _streams(self) -> dict[str, dict[str, Any]]:
        streams: dict[str, dict[str, Any]] = self._state.setdefault("bookmarks", {})
        return streams

    def entry(self, stream: str) -> Mapping[str, Any]:
        """What the state says about a stream: its bookmark, and what else it remembers. Empty if it says nothing."""
        return self._state.get("bookmarks", {}).get(stream) or {}

    def value(self, stream: str, key: str) -> str | None:
        """The bookmark of a stream, never later than the run allows; None if there is none.

        One from the future is also pulled back in the state; otherwise what happens until the next run would be missed.

        Raises:
            StateError: The value is not a date-time.
        """
        bookmark = self._streams.get(stream) or {}
        found = bookmark.get("replication_key_value")
        if found is None:
            return None
        if (named := bookmark.get("replication_key", key)) != key:
            if stream not in self._anew:
                self._anew.add(stream)
                logger.warning(
                    "%s: the state's bookmark is on %s, not on %s; the stream is read from the start",
                    stream,
                    named,
                    key,
                )
            return None
        value = self._instant(stream, found)
        if value > self._started:
            logger.warning("%s: the state's bookmark is in the future; reading continues from %s", stream, self.newest)
            bookmark["replication_key_value"] = self.newest
        return min(value, self.newest)

    @staticmethod
    def _instant(stream: str, value: Any) -> str:
        try:
            return text_of(parse(value))
        except (TypeError, ValueError):
            raise StateError(
                f"the state's bookmark of stream {stream!r} is not a date-time; correct it, or drop it"
                " to read from the start"
            ) from None

    def advance(self, stream: str, key: str, value: str | None) -> None:
        """Move a bookmark: never back, and never closer to the start of the run than the safety lag."""
        if value is None:
            return
        before = self.value(stream, key)
        value = min(value, self.newest)
        self._streams.setdefault(stream, {}).update(
            replication_key=key, replication_key_value=value if before is None else max(before, value)
        )

    def forget(self, stream: str) -> None:
        """Drop a bookmark: what it covers is not what the stream reads now. The rest of the entry stays."""
        for name in ("replication_key", "replication_key_value"):
            self._streams.get(stream, {}).pop(name, None)

    def extra(self, stream: str) -> MutableMapping[str, Any]:
        """A stream's entry to write to, for what else it must remember."""
        return self._streams.setdefault(stream, {})


def shifted(value: str, by: timedelta) -> str:
    """An instant moved by a time span; stays within the calendar."""
    try:
        return text_of(parse(value) + by)
    except OverflowError:
        return text_of(datetime.min.replace(tzinfo=UTC))
