"""What a vendor's stream declares, and how the engine reads it."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from singer_sdk import Stream
from typing_extensions import override

from tap_core import codec
from tap_core.config.catalog import check_entry
from tap_core.config.checks import instant
from tap_core.errors import PaginationError, RecordError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.http.transport import Request
from tap_core.output.emit import Emitter
from tap_core.reading.fetch import Arrival, Cache, Slice, read
from tap_core.reading.pages import Page, Pager, SinglePage
from tap_core.records.catalog_schema import fit
from tap_core.records.fast_path import FastPath
from tap_core.records.replication_filter import ReplicationKeyFilter
from tap_core.records.rows import RowReader
from tap_core.records.schema import Node, emitted_schema, record_node, with_extra
from tap_core.records.slow_path import SlowPath
from tap_core.session.bookmarks import shifted
from tap_core.session.losses import Losses
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence

    import msgspec
    from singer_sdk import SchemaDirectory, Tap
    from singer_sdk.helpers.types import Context as SdkContext
    from singer_sdk.singerlib import Catalog

    from tap_core.http.client import ApiClient
    from tap_core.output.progress import StreamMeter
    from tap_core.records.dialect import Dialect
    from tap_core.records.field import Context, Field
    from tap_core.session.session import Session

__all__ = ["SCOPE", "WINDOW_KEY", "CoreStream"]

WINDOW_KEY: Final = "_window_start"
"""The replication key of streams that are read in windows."""

SCOPE: Final = "_scope"
"""Where the state keeps what a stream was narrowed to, as a digest."""


class CoreStream(Stream):
    """One stream. A vendor's class only declares; it has no mechanics.

    Attributes:
        schemas: Where ``<stream>.json`` is.
        dialect: How the vendor writes times, empty maps and lists.
        fields: What the records need on top of their schema.
        records_path: Where the rows are in a response, member by member; empty where the response is the list.
        envelope: What else of a response `meta` reads: the types of its members, by name.
        immutable: Records never change once they exist: those older than the bookmark are left out.
        moves: The replication key moves with every change of a record. Such a stream, and one that is immutable, is
            bounded by ``start_date`` and ``end_date``; others are not, or old records that are still in use would be
            missing.
        snapshot: A complete run without a bookmark reads everything, so that rows that are gone can be removed.
        use_cache: The responses are kept for the run, because other streams are made from them; so is a failure.
        account: Whose credentials the stream is read with, for a tap with several. An API that refuses one stream's
            credentials would refuse those of all streams of the account.
        path: The path of the call below ``api_url``; it may contain partition columns in braces.
        http_method: GET or POST.
        selected_by_default: Whether the stream is read if nothing is selected.
        settings: What the vendor makes of the tap's settings for its streams.
        complete: Whether this run has read everything. If not, no rows count as gone and the bookmark stays.
        advice: What to do about parts of the stream that cannot be read, for the line that names them.
    """

    schemas: ClassVar[SchemaDirectory]
    dialect: Dialect
    fields: ClassVar[Sequence[Field]] = ()
    records_path: ClassVar[tuple[str, ...]] = ()
    envelope: ClassVar[Mapping[str, Any]] = {}
    immutable: ClassVar[bool] = False
    moves: ClassVar[bool] = False
    snapshot: ClassVar[bool] = True
    use_cache: ClassVar[bool] = False
    account: ClassVar[str] = DEFAULT_ACCOUNT
    advice: ClassVar[str] = ""
    selected_by_default: bool = True

    name: str = ""
    path: str = ""
    http_method: str = "GET"
    primary_keys: Sequence[str] = ()
    replication_key: str | None = None
    settings: Any

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap)
        self.session = session
        self.settings = session.settings
        self.complete = True
        self.undeclared = 0
        """How many values that the schema does not know were dropped as personal."""
        self._cache: Cache | None = None

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
            policy=self.session.policy,
        )

    @override
    def get_records(self, context: SdkContext | None) -> Iterator[dict[str, Any]]:
        """Records one by one, for the SDK's own loop. A run of the tap reads pages at a time instead."""
        wanted = self.key_filter()
        for row, _ in self.shaped_rows():
            record = self.slow_path.finish(row)
            if wanted is None or wanted.wants(record.get(wanted.name)):
                yield record

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

    # What is asked of the API

    def unavailable(self) -> str | None:
        """Why these settings do not suffice to read the stream, such as a lack of credentials; None if they do."""
        return None

    def slices(self) -> Iterable[Slice]:
        """What to read, in order: windows outermost, partitions inside."""
        yield Slice(last=True)

    def pager(self, _part: Slice) -> Pager:
        """How the pages of a slice are found."""
        return SinglePage()

    def params(self, _part: Slice, _token: Any) -> Mapping[str, Any]:
        """The query parameters of a page."""
        return {}

    def payload(self, _part: Slice, _token: Any) -> Any:
        """The JSON body of a page's request, or None for a request without a body."""
        return None

    @property
    def http_headers(self) -> Mapping[str, str]:
        """The headers of every request, except credentials."""
        return {"Accept": "application/json", "User-Agent": self.session.user_agent}

    def url(self, path: str) -> str:
        """The address of a path of the API."""
        return str(self.config["api_url"]).rstrip("/") + path

    def request(self, part: Slice, token: Any) -> Request:
        """The request for a page, without credentials."""
        path = self.path.format_map({name: quote(str(value), safe="") for name, value in part.partition.items()})
        query = urlencode(
            [(name, value) for name, value in self.params(part, token).items() if value is not None], doseq=True
        )
        payload = self.payload(part, token)
        kind = {} if payload is None else {"Content-Type": "application/json"}
        return Request(
            method=self.http_method,
            url=self.url(path) + (f"?{query}" if query else ""),
            headers={**self.http_headers, **kind},
            body=None if payload is None else codec.encode(payload),
        )

    def client(self, _part: Slice) -> ApiClient:
        """The client with the credentials of a slice."""
        return self.session.clients[self.account]

    def load(self, part: Slice, token: Any) -> Page:
        """One page. Runs in a worker; decoding is part of what is retried.

        Raises:
            ApiError: The API does not give the page.
        """
        request = self.request(part, token)
        what = f"{self.name}: {request.method} {self.path}"
        return self.client(part).call(request, parse=self.page, meter=self.meter, what=what)

    def page(self, body: bytes) -> Page:
        """The rows of a response's body: the list at ``records_path``.

        Args:
            body: JSON in UTF-8 without line breaks.

        Raises:
            WrongKindError: There is no list.
            msgspec.DecodeError: The body is not of the expected kind; the client says so.
        """
        rows, envelope = self._row_reader.read(body)
        return Page(rows, self.meta(envelope))

    def meta(self, _envelope: Any) -> Any:
        """What else a response says, for the pager and for `EnvelopeStream`; nothing by default.

        Args:
            _envelope: An object with the members that `envelope` names as attributes; None where they are absent.
        """
        return None

    @cached_property
    def _row_reader(self) -> RowReader:
        fast_path = self.fast_path if self.selected else None
        return RowReader(self.records_path, None if fast_path is None else fast_path.kind, self.envelope)

    def describe(self, part: Slice) -> str:
        """What a slice is about, for the display."""
        named = [f"{name} {value}" for name, value in part.partition.items()]
        return " ".join([*named, *([str(part.window)] if part.window is not None else [])])

    def prepare(self) -> None:
        """Ask the API for what must be known before the schema is written; nothing by default.

        Raises:
            ApiError: The API does not answer.
        """

    # How records are read

    @cached_property
    def meter(self) -> StreamMeter:
        """Counts requests, retries and records."""
        return self.session.progress.meter(self.name)

    @cached_property
    def losses(self) -> Losses:
        """The parts of the stream that could not be read."""
        return Losses(self.name, self.logger.error, self.advice)

    @cached_property
    def root(self) -> Node:
        """What the API sends, as a tree."""
        known = with_extra(self.declared_schema())
        return record_node(
            known, self.transforms(), keys=self.primary_keys, selected=self.is_selected, policy=self.session.policy
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
            policy=self.session.policy,
            warn=self.session.warn_once,
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
            policy=self.session.policy,
            lost=self._drop_undeclared,
            needed=needed,
        )

    def _drop_undeclared(self, number: int) -> None:
        self.undeclared += number

    def emitter(self) -> Emitter:
        """The path of the stream's records to the output."""
        return Emitter(
            self.name,
            stream_maps=self.stream_maps,
            declared=self.schema,
            replication_key=self.replication_key,
            slow_path=self.slow_path,
            fast_path=self.fast_path,
            key_filter=self.key_filter(),
            version=self.table_version(),
            writer=self.session.writer,
            meter=self.meter,
            refuse=self.refuse,
        )

    def table_version(self) -> int | None:
        """The table version of a snapshot, in milliseconds since 1970; None where rows must not count as gone."""
        wanted = self.config["emit_activate_version_messages"] and self.snapshot and not self.incremental
        whole = self.narrowed_to() is None
        return int(self.session.started.timestamp() * 1000) if wanted and whole else None

    @property
    def incremental(self) -> bool:
        """Whether the stream keeps a bookmark in this run."""
        return self.replication_method == "INCREMENTAL" and self.replication_key is not None

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

    @property
    def remembered(self) -> MutableMapping[str, Any]:
        """The stream's entry in the state, for what it must remember in addition to its bookmark."""
        return self.session.bookmarks.extra(self.name)  # noqa: S610 - this is no Django

    def key_filter_for(self, _part: Slice) -> ReplicationKeyFilter | None:
        """The same for one slice, where slices differ in what has been read of them before."""
        return self.key_filter()

    def record_context(self, part: Slice) -> Context:
        """What the records of a slice do not say themselves."""
        return dict(part.partition)

    def arrivals(self) -> Iterator[Arrival]:
        """Everything there is to read, in order."""
        if not self.use_cache:
            return self.read(self.slices(), self.pager)
        if self._cache is None:
            self._cache = Cache(self.read(self.slices(), self.pager))
        return iter(self._cache)

    def read(self, slices: Iterable[Slice], pager: Callable[[Slice], Pager]) -> Iterator[Arrival]:
        """Read slices through the tap's workers, in order.

        Raises:
            ApiError: The API does not give them.
        """
        reading = read(
            slices, pager=pager, load=self.load, workers=self.session.workers, idle=self.session.signals.check
        )
        try:
            for arrival in reading:
                if not arrival.done:
                    self.meter.moved(self.describe(arrival.slice))
                if arrival.missing:
                    self._report_missing(arrival.missing)
                yield arrival
        except PaginationError as error:
            raise PaginationError(f"{self.name}: {error}") from None

    def _report_missing(self, rows: int) -> None:
        """Warn that a list has fewer rows than it says, even after a second reading."""
        self.complete = False
        self.meter.count("missing", rows)
        self.logger.warning(
            "%s: in two readings, the API counts %d more rows than it sends; "
            "no rows are removed and the bookmark stays where it was",
            self.name,
            rows,
        )

    def shaped_rows(self) -> Iterator[tuple[dict[str, Any], Context]]:
        """Records with times, references and derived columns, before anything is removed from them."""
        context: Context = {}
        current: Slice | None = None
        for arrival in self.arrivals():
            if arrival.slice is not current:
                current, context = arrival.slice, self.record_context(arrival.slice)
            for row in arrival.rows:
                try:
                    shaped = self.slow_path.shape(self.slow_path.parse(row), context)
                except RecordError as error:
                    self.pass_over(error)
                    continue
                yield shaped, context

    def pass_over(self, error: RecordError) -> None:
        """Go on without a record from which others are made; if the stream is selected, emitting it says so too."""
        if not self.selected:
            self.refuse(error)

    def checkpoint(self, part: Slice) -> bool:
        """Move the bookmark past a closed window; returns whether the stream has such a bookmark."""
        if not self.incremental or self.replication_key != WINDOW_KEY or part.window is None:
            return False
        self.session.bookmarks.advance(self.name, WINDOW_KEY, text_of(part.window.start))
        return True

    def close(self, newest: str | None) -> None:
        """Move the bookmark of a stream that was read completely.

        Args:
            newest: The latest replication key that was emitted.
        """
        if self.incremental and self.replication_key is not None and self.replication_key != WINDOW_KEY:
            self.session.bookmarks.advance(self.name, self.replication_key, newest)
            if self._scope is not None:
                self.remembered[SCOPE] = self._scope
            elif SCOPE in self.session.bookmarks.entry(self.name):
                del self.remembered[SCOPE]

    def refuse(self, error: RecordError) -> None:
        """Leave out a record that cannot be emitted; the others are read.

        Raises:
            RecordError: The stream is read in windows: a target would take the record for gone from its window.
        """
        if self.replication_key == WINDOW_KEY:
            raise error
        self.meter.count("left out")
        self.losses.read()
        self.losses.lose(f"a record ({self.meter.position})" if self.meter.position else "a record", error)

    def probe(self) -> bool:
        """Make the few calls that show whether the stream can be read; returns whether there was a record.

        Raises:
            TapError: It cannot.
        """
        self.prepare()
        rows = self.shaped_rows()
        if self.use_cache:
            return bool(list(rows))
        return next(rows, None) is not None

    def row_keys(self, rows: Sequence[msgspec.Raw]) -> Sequence[Hashable]:
        """The identity of each row."""
        found = None
        if self.fast_path is not None and type(self).row_key is CoreStream.row_key:
            found = self.fast_path.identities(rows)
        return list(map(self.row_key, rows)) if found is None else found

    def row_key(self, row: msgspec.Raw) -> Any:
        """A row's identity: its key properties, or the row itself if it lacks them."""
        try:
            shaped = self.slow_path.shape(self.slow_path.parse(row), {})
        except Exception:  # noqa: BLE001  emitting the row says what is wrong with it
            return bytes(row)
        values = tuple(shaped.get(key) for key in self.primary_keys)
        return values[0] if len(values) == 1 else values or bytes(row)
