"""What a vendor's stream asks of its API, and how the engine reads what comes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_core import codec
from tap_core.errors import PaginationError, RecordError
from tap_core.http.client import DEFAULT_ACCOUNT
from tap_core.http.message import Request
from tap_core.http.urls import encoded
from tap_core.output.emit import Emitter
from tap_core.reading.fetch import Arrival, Cache, Reading, Slice
from tap_core.reading.pages import Page, Pager, SinglePage
from tap_core.records.rows import RowReader
from tap_core.session.losses import Losses
from tap_core.streams.declared import WINDOW_KEY, DeclaredStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import msgspec
    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context as SdkContext

    from tap_core.http.client import ApiClient
    from tap_core.output.meters import StreamMeter
    from tap_core.records.field import Context
    from tap_core.records.replication_filter import ReplicationKeyFilter
    from tap_core.session.session import Session

__all__ = ["CoreStream"]

_CLOSED = frozenset({int, float, bool, str})
"""Types of members of an envelope that nothing unchecked can be in."""


class CoreStream(DeclaredStream):
    """One stream. A vendor's class only declares; it has no mechanics.

    Attributes:
        records_path: Where the rows are in a response, member by member; empty where the response is the list.
        envelope: What else of a response `meta` reads: the types of its members, by name.
        use_cache: The responses are kept for the run, because other streams are made from them; so is a failure.
        reads_ahead: Its first pages may be requested as soon as earlier streams leave calls free. Not where they should
            be as late as possible, or where `prepare` decides what is requested.
        account: Whose credentials the stream is read with, for a tap with several. An API that refuses one stream's
            credentials would refuse those of all streams of the account.
        path: The path of the call below ``api_url``; it may contain partition columns in braces.
        http_method: GET or POST.
        complete: Whether this run has read everything. If not, no rows count as gone and the bookmark stays.
        refused: Whether a record was left out because it cannot be emitted.
        advice: What to do about parts of the stream that cannot be read, for the line that names them.
    """

    records_path: ClassVar[tuple[str, ...]] = ()
    envelope: ClassVar[Mapping[str, Any]] = {}
    use_cache: ClassVar[bool] = False
    reads_ahead: ClassVar[bool] = True
    account: ClassVar[str] = DEFAULT_ACCOUNT
    advice: ClassVar[str] = ""

    path: str = ""
    http_method: str = "GET"

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.complete = True
        self.refused = False
        self._cache: Cache | None = None
        self._begun: Reading | None = None

    # What the SDK asks for

    @override
    def get_records(self, context: SdkContext | None) -> Iterator[dict[str, Any]]:
        """Records one by one, for the SDK's own loop. A run of the tap reads pages at a time instead."""
        wanted = self.key_filter()
        for row, _ in self.shaped_rows():
            record = self.slow_path.finish(row)
            if wanted is None or wanted.wants(record.get(wanted.name)):
                yield record

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

    @cached_property
    def http_headers(self) -> Mapping[str, str]:
        """The headers of every request, except credentials."""
        return {"Accept": "application/json", "User-Agent": self.session.user_agent}

    def url(self, path: str) -> str:
        """The address of a path of the API."""
        return self._api_url + path

    @cached_property
    def _api_url(self) -> str:
        return str(self.config["api_url"]).rstrip("/")

    def request(self, part: Slice, token: Any) -> Request:
        """The request for a page, without credentials."""
        path = self.path
        if "{" in path:
            path = path.format_map({name: quote(str(value), safe="") for name, value in part.partition.items()})
        query = encoded(self.params(part, token))
        payload = self.payload(part, token)
        headers = self.http_headers
        return Request(
            self.http_method,
            self.url(path) + (f"?{query}" if query else ""),
            headers if payload is None else {**headers, "Content-Type": "application/json"},
            None if payload is None else codec.encode(payload),
        )

    def client(self, _part: Slice) -> ApiClient:
        """The client with the credentials of a slice."""
        return self.session.clients[self.account]

    async def load(self, part: Slice, token: Any) -> Page:
        """One page; decoding is part of what is retried. Many are awaited side by side, so nothing here may block.

        Raises:
            ApiError: The API does not give the page.
        """
        request = self.request(part, token)
        what = f"{self.name}: {request.method} {self.path}"
        return await self.client(part).fetch(
            request, parse=self.page, quick=self.quick_page, meter=self.meter, what=what
        )

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

    def quick_page(self, body: bytes) -> Page | None:
        """What `page` gives, for a body that is exactly as declared; None for any other, and where `page` does more.

        Args:
            body: A body as it came.
        """
        if type(self).page is not CoreStream.page or (found := self._row_reader.quick(body)) is None:
            return None
        return Page(found[0], self.meta(found[1]))

    def typed_rows(self, text: codec.Json) -> Sequence[msgspec.Raw]:
        """The rows of a list that `page` has cut out of a response, decoded already where they are as declared.

        Raises:
            msgspec.DecodeError: It is no list.
        """
        return self._row_reader.rows(text)

    def meta(self, _envelope: Any) -> Any:
        """What else a response says, for the pager and for `EnvelopeStream`; nothing by default.

        Args:
            _envelope: An object with the members that `envelope` names as attributes; None where they are absent.
        """
        return None

    @cached_property
    def _row_reader(self) -> RowReader:
        fast_path = self.fast_path if self.selected else None
        if fast_path is None:
            return RowReader(self.records_path, None, self.envelope, is_closed=False)
        is_closed = fast_path.is_closed and _CLOSED.issuperset(self.envelope.values())
        return RowReader(self.records_path, fast_path.kind, self.envelope, is_closed=is_closed)

    def describe(self, part: Slice) -> str:
        """What a slice is about, for the display."""
        named = [f"{name} {value}" for name, value in part.partition.items()]
        return " ".join([*named, *([str(part.window)] if part.window is not None else [])])

    @property
    def endless(self) -> bool:
        """Whether the stream is read until a signal comes: then its turn comes last."""
        return False

    def enter(self) -> None:
        """Take what the stream needs for itself before anything is read or written; nothing by default.

        Raises:
            TapError: It cannot have it, and there is no run.
        """

    def prepare(self) -> None:
        """Ask the API for what must be known before the schema is written; nothing by default.

        Raises:
            ApiError: The API does not answer.
        """

    @property
    def calls_per_page(self) -> int:
        """How many calls a page takes, for planning."""
        return 1

    @property
    def lasts_s(self) -> float:
        """For how many seconds the stream is read by the clock, whatever there is to read; for planning."""
        return 0.0

    def expected_calls(self) -> int | None:
        """How many calls the stream takes, if that is known and costs nothing to find out; for the display."""
        return None

    @property
    def reader(self) -> CoreStream:
        """The stream that calls the API for the rows of this one."""
        return self

    # What comes of it

    @cached_property
    def meter(self) -> StreamMeter:
        """Counts requests, retries and records."""
        return self.session.progress.meter(self.name)

    @cached_property
    def losses(self) -> Losses:
        """The parts of the stream that could not be read."""
        return Losses(self.name, self.logger.error, self.advice)

    def emitter(self) -> Emitter:
        """The path of the stream's records to the output."""
        return Emitter(
            self.name,
            stream_maps=self.stream_maps,
            declared={**self.schema, **({"x-scopes": [*self.scoped_by]} if self.tells_gone else {})},
            replication_key=self.replication_key,
            slow_path=self.slow_path,
            fast_path=self.fast_path,
            key_filter=self.key_filter(),
            version=self.table_version(),
            writer=self.session.writer,
            meter=self.meter,
            refuse=self.refuse,
        )

    def key_filter_for(self, part: Slice) -> ReplicationKeyFilter | None:
        """The same for one slice, where slices differ in what has been read of them before."""
        return None if part.named else self.key_filter()

    def record_context(self, part: Slice) -> Context:
        """What the records of a slice do not say themselves."""
        return dict(part.partition)

    def arrivals(self) -> Iterator[Arrival]:
        """Everything there is to read, in order."""
        if self._cache is not None:
            return iter(self._cache)
        reading, self._begun = self._begun or self._reading(self.slices(), self.pager), None
        arrivals = self._read(reading)
        if not self.use_cache:
            return arrivals
        self._cache = Cache(arrivals)
        return iter(self._cache)

    def begun(self) -> Reading | None:
        """What `arrivals` is going to read, for whoever requests some of it ahead; None if there is no such thing."""
        if self.reads_ahead and self._cache is None and self._begun is None:
            self._begun = self._reading(self.slices(), self.pager)
        return self._begun

    def read(self, slices: Iterable[Slice], pager: Callable[[Slice], Pager]) -> Iterator[Arrival]:
        """Read slices through the tap's workers, in order.

        Raises:
            ApiError: The API does not give them.
        """
        return self._read(self._reading(slices, pager))

    def _reading(self, slices: Iterable[Slice], pager: Callable[[Slice], Pager]) -> Reading:
        return Reading(slices, pager=pager, load=self.load, workers=self.session.loop)

    def _read(self, reading: Reading) -> Iterator[Arrival]:
        try:
            for arrival in reading.arrivals(self.session.look_up):
                if not arrival.done:
                    self.meter.moved(arrival.slice, self.describe)
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

    def scopes(self, *, complete: bool) -> Sequence[Mapping[str, Any]]:
        """What this run has read whole, once it is over, so that its other rows are gone.

        Each scope may have ``equal``, ``start`` and ``end``: columns of `scoped_by` with a value, the first value that
        belongs to it, and the first that no longer does. The empty one is the whole table.

        Args:
            complete: Whether everything was read and emitted.
        """
        return [{}] if complete else []

    def pass_over(self, error: RecordError) -> None:
        """Go on without a record from which others are made; if the stream is selected, emitting it says so too."""
        if not self.selected:
            self.refuse(error)

    def refuse(self, error: RecordError) -> None:
        """Leave out a record that cannot be emitted; the others are read.

        Raises:
            RecordError: The stream is read in windows: a target would take the record for gone from its window.
        """
        if self.replication_key == WINDOW_KEY:
            raise error
        self.refused = True
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
