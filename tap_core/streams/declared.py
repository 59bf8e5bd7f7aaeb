"""What a vendor's stream declares of its records, the two paths that are made from it, and its bookmark."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk import Stream
from singer_sdk.mapper import SameRecordTransform
from typing_extensions import override

from tap_core import codec
from tap_core.config.catalog import check_entry
from tap_core.config.checks import instant
from tap_core.records.catalog_schema import fit
from tap_core.records.fast_path import FastPath
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.records.rows import TypedRows
from tap_core.records.schema import Node, emitted_schema, record_node, with_extra
from tap_core.records.slow_path import SlowPath
from tap_core.session.bookmarks import shifted
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, MutableMapping, Sequence

    import msgspec
    from singer_sdk import SchemaDirectory, Tap
    from singer_sdk.singerlib import Catalog

    from tap_core.reading.fetch import Slice
    from tap_core.records.dialect import Dialect
    from tap_core.records.field import Field
    from tap_core.records.policy import Policy
    from tap_core.session.session import Session

__all__ = ["BEGUN", "SCOPE", "WINDOW_KEY", "DeclaredStream"]

WINDOW_KEY: Final = "_window_start"
"""The replication key of streams that are read in windows."""

SCOPE: Final = "_scope"
"""Where the state keeps what a stream was narrowed to, as a digest."""

BEGUN: Final = "_start_date"
"""Where the state keeps the start date that left something out before the bookmark, if the stream is bounded by it."""


class DeclaredStream(Stream):
    """One stream as far as its records go, however they are read.

    Attributes:
        schemas: Where ``<stream>.json`` is.
        dialect: How the vendor writes times, empty maps and lists.
        fields: What the records need on top of their schema.
        immutable: Records never change once they exist: those older than the bookmark are left out.
        moves: The replication key moves with every change of a record. Such a stream, and one that is immutable, is
            bounded by ``start_date`` and ``end_date``; others are not, or old records that are still in use would be
            missing.
        snapshot: A complete run without a bookmark reads everything, so that rows that are gone can be removed.
        scoped_by: The columns that tell which rows belong to what was read whole, if that is not the whole table.
        selected_by_default: Whether the stream is read if nothing is selected.
        settings: What the vendor makes of the tap's settings for its streams.
    """

    schemas: ClassVar[SchemaDirectory]
    dialect: Dialect
    fields: ClassVar[Sequence[Field]] = ()
    immutable: ClassVar[bool] = False
    moves: ClassVar[bool] = False
    snapshot: ClassVar[bool] = True
    scoped_by: ClassVar[Sequence[str]] = ()
    selected_by_default: bool = True

    name: str = ""
    primary_keys: Sequence[str] = ()
    replication_key: str | None = None
    settings: Any

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap)
        self.session = session
        self.settings = session.settings
        self.undeclared = 0
        """How many values that the schema does not know were dropped as personal."""

    # What the SDK asks for

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        if (entry := catalog.get_stream(self.name)) is not None:
            check_entry(entry, keys=self.primary_keys, replication_key=self.replication_key)
            entry.key_properties, entry.replication_key = tuple(self.primary_keys), self.replication_key
            fixed = (*self.primary_keys, self.replication_key)
            fit(entry, self.schema, with_extra(self.declared_schema()), fixed=fixed, warn=self.session.warn_once)
        super().apply_catalog(catalog)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema of the stream's file, as this run's settings make it."""
        return emitted_schema(
            self.declared_schema(),
            keys=self.primary_keys,
            replication_key=self.replication_key,
            policy=self.policy,
        )

    # What a vendor may make depend on settings

    def declared_schema(self) -> dict[str, Any]:
        """The schema as the vendor declares it, before the policy changes it."""
        return self.schemas.get_schema(self.name)

    def transforms(self) -> Sequence[Field]:
        """What the records need on top of their schema."""
        return self.fields

    def narrowed_to(self) -> Any:
        """What the settings narrow the stream to, as plain JSON; None for everything there is.

        Rows outside of it are not read, which does not mean that they are gone: no snapshot counts. Nor were they read
        before: a bookmark holds only as long as this stays the same.
        """
        return None

    @property
    def policy(self) -> Policy:
        """What becomes of unknown fields, personal data and secrets."""
        return self.session.policy

    def surprised(self, message: str) -> None:
        """Tell the user of a field that the schema does not know."""
        self.session.warn_once(message)

    # How records are read

    @cached_property
    def root(self) -> Node:
        """What the API sends, as a tree."""
        known = with_extra(self.declared_schema())
        return record_node(
            known, self.transforms(), keys=self.primary_keys, selected=self.is_selected, policy=self.policy
        )

    def is_selected(self, crumb: tuple[str, ...]) -> bool:
        """Whether the property at a breadcrumb is emitted: it is in the catalog and is not deselected."""
        place: Any = self.effective_schema
        for step in crumb:
            place = place.get(step) if isinstance(place, dict) else None
        return place is not None and self.mask[crumb]

    @cached_property
    def slow_path(self) -> SlowPath:
        """The slow path of a record."""
        return SlowPath(
            stream=self.name,
            root=self.root,
            keys=self.primary_keys,
            fields=self.transforms(),
            dialect=self.dialect,
            policy=self.policy,
            warn=self.surprised,
            lost=self._drop_undeclared,
        )

    @cached_property
    def fast_path(self) -> FastPath | None:
        """The fast path of a page of records to the output, if the stream can take it."""
        return self.fast_path_to()

    def fast_path_to(self, needed: Collection[str] | None = None) -> FastPath | None:
        """The fast path of a page of records, if the stream can take it.

        Args:
            needed: The columns that are looked at; by default, those that are emitted.
        """
        if not FastPath.supports(self.root):
            return None
        return FastPath(
            root=self.root,
            keys=self.primary_keys,
            fields=self.transforms(),
            dialect=self.dialect,
            policy=self.policy,
            lost=self._drop_undeclared,
            needed=needed,
        )

    def _drop_undeclared(self, number: int) -> None:
        self.undeclared += number

    def row_keys(self, rows: Sequence[msgspec.Raw]) -> Sequence[Hashable]:
        """The identity of each row."""
        if not self.primary_keys and type(self).row_key is DeclaredStream.row_key:
            return rows.texts() if isinstance(rows, TypedRows) else list(map(bytes, rows))
        found = None
        if self.fast_path is not None and type(self).row_key is DeclaredStream.row_key:
            found = self.fast_path.identities(rows)
        return list(map(self.row_key, rows)) if found is None else found

    def row_key(self, row: msgspec.Raw) -> Any:
        """A row's identity: its key properties, or the row itself if it lacks them."""
        if not self.primary_keys:
            return bytes(row)
        try:
            shaped = self.slow_path.shape(self.slow_path.parse(row), {})
        except Exception:  # noqa: BLE001  emitting the row says what is wrong with it
            return bytes(row)
        values = tuple(shaped.get(key) for key in self.primary_keys)
        return values[0] if len(values) == 1 else values

    # How far they have been read

    @property
    def incremental(self) -> bool:
        """Whether the stream keeps a bookmark in this run."""
        return self.replication_method == "INCREMENTAL" and self.replication_key is not None

    def table_version(self) -> int | None:
        """The table version of a snapshot, in milliseconds since 1970; None where rows must not count as gone."""
        wanted = self.config["emit_activate_version_messages"] and self.snapshot and not self.incremental
        whole = self.narrowed_to() is None
        return int(self.session.started.timestamp() * 1000) if wanted and whole else None

    @property
    def tells_gone(self) -> bool:
        """Whether the state tells what a run has read whole, because no version of a snapshot does.

        It does if that is some part of the table, or if a complete run sends every row there is although the stream has
        a bookmark. The rows of a stream that moves are bounded by ``start_date`` alone; with an end, a row may have
        moved past it.
        """
        bounded = self.immutable or self.config.get("end_date") or (self.moves and self.config.get("start_date"))
        whole = self.snapshot and self.incremental and not bounded and self.narrowed_to() is None
        return (whole or bool(self.scoped_by)) and self.sends_what_it_reads

    @property
    def sends_what_it_reads(self) -> bool:
        """Whether a target gets every row that is read, and may be told which ones are gone."""
        filtered = self.incremental and self.config.get("client_filter")
        unmapped = all(type(step) is SameRecordTransform for step in self.stream_maps)  # a map may leave records out
        told = all(self.is_selected(("properties", name)) for name in self.scoped_by)
        return bool(self.config["emit_activate_version_messages"] and unmapped and told and not filtered)

    def bookmark(self) -> str | None:
        """How far the stream has been read, according to the state; None if it was narrowed to something else then."""
        if not self.incremental or self.replication_key is None:
            return None
        if self.session.bookmarks.entry(self.name).get(SCOPE) != self._scope:
            return None
        return self.session.bookmarks.value(self.name, self.replication_key)

    @cached_property
    def _scope(self) -> str | None:
        """A keyed digest of what the stream is narrowed to, because that may be personal; None for everything."""
        narrowed = self.narrowed_to()
        return None if narrowed is None else self.session.digest(codec.canonical(narrowed).decode())

    @property
    def remembered(self) -> MutableMapping[str, Any]:
        """The stream's entry in the state, for what it must remember in addition to its bookmark."""
        return self.session.bookmarks.extra(self.name)  # noqa: S610 - this is no Django

    def start(self) -> str | None:
        """Where reading begins: the bookmark less the lookback, never before the start date; None for everything."""
        start, bookmark = self._date("start_date"), self.bookmark()
        if bookmark is None:
            return start
        begun = shifted(bookmark, timedelta(days=-(self.config.get("lookback_days") or 0)))
        return begun if start is None else max(begun, start)

    def _date(self, setting: str) -> str | None:
        moment = instant(setting, self.config.get(setting))
        return None if moment is None else text_of(moment)

    def key_filter(self) -> ReplicationKeyFilter | None:
        """When records happened, and which are left out; None for a stream without a bookmark."""
        if not self.incremental or self.replication_key is None:
            return None
        wanted = self.config.get("client_filter")
        if self.immutable if wanted is None else wanted:
            return ReplicationKeyFilter(self.replication_key, since=self.start(), until=self._date("end_date"))
        if self.immutable or self.moves:
            return ReplicationKeyFilter(
                self.replication_key, since=self._date("start_date"), until=self._date("end_date")
            )
        return ReplicationKeyFilter(self.replication_key)

    def checkpoint(self, part: Slice) -> bool:
        """Move the bookmark past a closed window; returns whether the stream has such a bookmark."""
        if not self.incremental or self.replication_key != WINDOW_KEY or part.window is None:
            return False
        self._advance(WINDOW_KEY, text_of(part.window.start))
        return True

    def close(self, newest: str | None) -> None:
        """Move the bookmark of a stream that was read completely.

        Args:
            newest: The latest replication key that was emitted.
        """
        if self.incremental and self.replication_key is not None and self.replication_key != WINDOW_KEY:
            self._advance(self.replication_key, newest)
            if self._scope is not None:
                self.remembered[SCOPE] = self._scope
            elif SCOPE in self.session.bookmarks.entry(self.name):
                del self.remembered[SCOPE]

    def _advance(self, key: str, value: str | None) -> None:
        before, start = self.bookmark(), self._date("start_date") if self.bounded else None
        if before is None:  # one on something else may be later than what this run has read
            self.session.bookmarks.forget(self.name)
        if value is not None and (before is None or (start is not None and start > before)):
            self.remembered.pop(BEGUN, None)
            if start is not None:
                self.remembered[BEGUN] = start
        self.session.bookmarks.advance(self.name, key, value)

    @property
    def bounded(self) -> bool:
        """Whether the stream leaves out what lies before ``start_date``."""
        return bool(
            self.immutable or self.moves or self.config.get("client_filter") or self.replication_key == WINDOW_KEY
        )

    def left_before(self) -> str | None:
        """Where reading began, if that is later than ``start_date`` now: a gap before it that nothing fills.

        That is the start of the bookmark's first run, or of a later one that began after the bookmark.
        """
        begun, start = self.session.bookmarks.entry(self.name).get(BEGUN), self._date("start_date")
        if not isinstance(begun, str) or not self.bounded or self.bookmark() is None:
            return None
        return begun if start is None or start < begun else None
