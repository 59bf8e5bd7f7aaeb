"""Which streams a run may load: rows of another pipeline are left alone, and no gap goes unseen.

A stream is refused before anything of it is written,

* if its rows would replace or remove those that another pipeline has loaded,
* if its tap goes on from a bookmark that this warehouse does not know, because it is a new one or an older copy, or the
  table was dropped. Only a STATE before the first SCHEMA says where a tap goes on from.

What is stored of a run's state is decided here too: a backfill does not set back what the nightly run goes on from.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError
from target_duckhouse.names import fold
from target_duckhouse.warehouse.bookmarks import continued_streams, tap_state
from target_duckhouse.warehouse.pipelines import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_duckhouse.settings import Settings
    from target_duckhouse.warehouse.bookmarks import TapState
    from target_duckhouse.warehouse.pipelines import Pipelines

__all__ = ["Admission"]

logger = logging.getLogger("target-duckhouse")


class Admission:
    """What one run may load, and what of its state is stored.

    Args:
        pipelines: What the warehouse knows.
        state_id: The run's own state id.
        schema: The database schema in which users find the streams.
        settings: What the user has set.
        exists: Tells whether a stream has a table.
    """

    def __init__(
        self, pipelines: Pipelines, state_id: str, schema: str, settings: Settings, exists: Callable[[str], bool]
    ) -> None:
        self._pipelines = pipelines
        self._state_id = state_id
        self._schema = schema
        self._shared = settings.shared
        self._accepts = settings.accept_unknown_state
        self._exists = exists
        self._stored: TapState | None = None
        self._account: str | None = None
        self._gaps: dict[str, str] = {}
        self._admitted: set[str] = set()
        self._loaded: set[str] = set()
        self._mixed: set[str] = set()

    def recall(self) -> None:
        """Read again what is stored of the pipeline's state: another run may have stored another one."""
        stored = self._pipelines.state(self._state_id)
        self._stored = tap_state(stored.encode()) if stored else None

    def committed(self) -> None:
        """Note that the rows of all streams that were let in are committed now."""
        self._loaded |= self._admitted

    def begin(self, state: bytes) -> None:
        """Take a STATE that comes before the first SCHEMA.

        Args:
            state: Its value as JSON text.
        """
        told = tap_state(state)
        if told is not None:
            self._account = told.account
        if not self._accepts:
            gaps = ((stream, self._gap(stream, told)) for stream in continued_streams(state))
            self._gaps |= {stream: gap for stream, gap in gaps if gap}

    def admit(self, stream: str, *, replaces: bool, is_trying: bool = False) -> None:
        """Let a stream in, and remember who loads its table.

        Args:
            stream: The stream's name.
            replaces: Whether its rows may replace or remove others.
            is_trying: Whether it is let in once more before its rows are loaded, and is remembered then.

        Raises:
            LoadError: The stream is refused.
        """
        exists = self._exists(stream)
        owners = self._pipelines.owners(self._schema, stream) if exists else {}
        if replaces and not self._shared:
            self._check_owner(stream, owners)
        if gap := self._gaps.get(stream):
            raise LoadError(
                f"stream {stream}: the tap continues from its last bookmark, but {gap}, so rows would be missing; load "
                "everything again (`meltano run --full-refresh`, or the tap without `--state`), or set "
                "`accept_unknown_state` to load only what is new"
            )
        if not exists:
            if stream in self._loaded:
                raise LoadError(
                    f"stream {stream}: the table {self._schema}.{stream} was dropped while this run was loading it; "
                    "load it again from the start (`meltano run --full-refresh`, or the tap without `--state`)"
                )
            self._forget(stream)
        own = owners.get(self._state_id, Owner(shared=False, bookmark=None if exists else ""))
        self._check_account(stream, own)
        mine = Owner(self._shared, self._account or own.account, own.bookmark)
        self._admitted.add(stream)
        if not is_trying:
            self._pipelines.set_owners(self._schema, stream, {**owners, self._state_id: mine})

    def store(self, state: bytes) -> None:
        """Store the state that covers what is being committed.

        Args:
            state: The value of a STATE message as JSON text.
        """
        told, now = tap_state(state), _now()
        if told is None:
            self._stored = None
            self._pipelines.store(self._state_id, state.decode())
            return
        self._learn_account(told)
        known_bookmarks = self._pipelines.bookmarks(self._state_id, self._schema)
        for stream in told.bookmarks.keys() & self._admitted:
            value, known = told.bookmarks[stream].value, known_bookmarks.get(fold(stream))
            if value and (not known or known > now or value > known):
                self._pipelines.advance(self._state_id, self._schema, stream, value)
        self._store(told.with_later(self._stored, self._mixed, now) if self._stored else told)

    def _learn_account(self, told: TapState) -> None:
        """Note which account is read, from a tap that tells it only after its first SCHEMA."""
        if self._account is None and told.account is not None:
            self._account = told.account
            for stream in self._admitted:
                self.admit(stream, replaces=False)

    def _check_owner(self, stream: str, owners: Mapping[str, Owner]) -> None:
        others = {state_id: owner for state_id, owner in owners.items() if state_id != self._state_id}
        own = owners.get(self._state_id)
        was_joined = own is not None and not own.shared and all(owner.shared for owner in others.values())
        if others and not was_joined:
            other = min(others)
            raise LoadError(
                f"stream {stream}: the table {self._schema}.{stream} belongs to the state id {other}, and this run, "
                f"{self._state_id}, would replace or remove rows of it; load into another `schema`, or set `shared` if "
                "both are to fill the table, or, if the pipeline has been renamed, run "
                f"`target-duckhouse state rename {other} {self._state_id}`"
            )

    def _gap(self, stream: str, told: TapState | None) -> str:
        """What shows that the warehouse lacks rows of a stream that its tap will not send again; empty if nothing."""
        name = f"{self._schema}.{stream}"
        if not self._exists(stream):
            return f"this warehouse has no table {name}"
        if not self._pipelines.has_loaded(self._state_id, self._schema, stream):
            return f"the table {name} does not hold rows of the state id {self._state_id}"
        own = self._pipelines.owners(self._schema, stream).get(self._state_id)
        if told is None or own is None or own.bookmark is None:
            return ""
        if own.bookmark < told.bookmarks[stream].value <= _now():
            return (
                f"the table {name} is an older copy, with rows up to {own.bookmark or 'the middle of the first load'}"
            )
        return ""

    def _check_account(self, stream: str, own: Owner) -> None:
        """Warn, once in a run, if the tap reads another account than the one that it read before."""
        if self._account is None or own.account in {None, self._account}:
            return
        if not self._mixed:
            logger.warning(
                "stream %s: the tap reads another account, or uses another key, than the last time it loaded under the "
                "state id %s; if it is another account, give it another `schema`, or the rows of both will mix",
                stream,
                self._state_id,
            )
        self._mixed.add(stream)

    def _forget(self, stream: str) -> None:
        """Drop the stored bookmark of a stream whose table is made anew: its rows are gone."""
        if self._stored and stream in self._stored.bookmarks:
            left = {name: bookmark for name, bookmark in self._stored.bookmarks.items() if name != stream}
            self._store(self._stored.with_bookmarks(left))

    def _store(self, state: TapState) -> None:
        self._stored = state
        self._pipelines.store(self._state_id, state.text.decode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
