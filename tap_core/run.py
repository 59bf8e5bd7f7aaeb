"""The run over all streams: what is read together, what a failure costs, when bookmarks move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_core.clock import real_seconds
from tap_core.errors import ApiError, AuthError, OutputError, StoppedError, TapError, UnreachableError
from tap_core.group import Group
from tap_core.reading.ahead import Ahead
from tap_core.reading.numbered import PageFacts
from tap_core.session.bookmarks import SCOPES_READ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_core.output.emit import Emitter
    from tap_core.reading.fetch import Arrival
    from tap_core.session.session import Session
    from tap_core.streams.base import CoreStream

    _Group = tuple[CoreStream, list[CoreStream]]

__all__ = ["LIVE_STATE_EVERY_S", "STATE_EVERY", "StreamRun", "ends_run", "worst_of"]

STATE_EVERY: int = 10_000
"""Records after which a STATE goes out even if no bookmark moved, so that a target can commit what it has."""

LIVE_STATE_EVERY_S: float = 5.0
"""Seconds of real time between two STATE messages of a live feed."""


_UNDECLARED = (
    "%s: %d values that the schema does not know were dropped, because pii is 'drop'; "
    "pii_harmless names fields that are nobody's data"
)


_LEFT_BEFORE = (
    "%s: start_date was moved back, but reading began at %s: what older records the bookmark has passed over"
    " are not read; a full refresh or a backfill reads them"
)


def ends_run(failure: TapError) -> bool:
    """Whether no other stream would do better."""
    own = {TapError.exit_code, ApiError.exit_code}
    return failure.exit_code not in own or isinstance(failure, UnreachableError)


def worst_of(failures: Mapping[str, TapError]) -> TapError:
    """What to end with: the worst failure, or a line that names the streams; each was told when it happened.

    Args:
        failures: What went wrong, by the stream's name.
    """
    distinct = {str(failure): failure for failure in failures.values()}
    worst = max(distinct.values(), key=lambda failure: failure.exit_code != ApiError.exit_code)
    if worst.exit_code != ApiError.exit_code or len(distinct) == 1:
        return worst
    return ApiError(f"{len(failures)} streams failed: {', '.join(sorted(failures))}; the lines above say why")


class StreamRun:
    """One run over the streams of a tap.

    Args:
        session: What the streams share.
        streams: The streams in the order of reading, whether selected or not.
    """

    def __init__(self, session: Session, streams: Sequence[CoreStream]) -> None:
        self._session = session
        self._streams = streams
        self._logger = session.logger

    def read_all(self, prepare: Callable[[Sequence[CoreStream]], None]) -> None:
        """Read all selected streams and write their messages.

        A stream that fails does not stop the others and does not move its bookmark.

        Args:
            prepare: Called with the streams that are going to be read, before the first one is.

        Raises:
            TapError: The worst failure, after everything else was done.
        """
        session = self._session
        groups = self._groups()
        if not groups:
            self._logger.warning("no stream is selected: nothing is read")
        failures: dict[str, TapError] = {}
        session.progress.expect([member.name for _, members in groups for member in members])
        self._logger.debug("run started at %s", session.started.isoformat())
        with session.signals.handled(), session.progress.shown():
            try:
                for member in (member for _, members in groups for member in members):
                    member.enter()
                    member.meter.before = member.bookmark()
                    if begun := member.left_before():
                        self._logger.warning(_LEFT_BEFORE, member.name, begun)
                prepare([reader for reader, _ in groups])
                if groups:
                    session.write_opening_state()
                self._read_groups(groups, failures)
                self._add_losses_of_sources(failures)
                if not any(isinstance(failure, OutputError) for failure in failures.values()):
                    session.write_state(force=not failures and bool(session.bookmarks))
            finally:
                session.clock.stop()
                self._flush()
        order = sorted(member.name for _, members in groups for member in members)
        session.progress.summarize(order, {name: str(failure) for name, failure in failures.items()})
        for failure in failures.values():
            self._report(failure)  # what was left out of a stream is told again; other failures were told before
        if failures:
            raise worst_of(failures)

    def _read_groups(self, groups: Sequence[_Group], failures: dict[str, TapError]) -> None:
        """Read one group after the other; what went wrong goes into ``failures``, by the stream's name."""
        refused: dict[str, AuthError] = {}
        ahead = Ahead(reader for reader, _ in groups)
        for reader, members in groups:
            ahead.turn()
            failure = refused.get(reader.account) or self._read(reader, members, ahead)
            for member in members:
                self._session.writer.ended(member.name, failure, whole=reader.complete and member.complete)
            if failure is None:
                continue
            failures |= {member.name: failure for member in members}
            if not isinstance(failure, StoppedError):  # which is no fault of the stream, and how a live feed ends
                self._session.failed.update(failures)
            if isinstance(failure, AuthError):
                refused[reader.account] = failure
            elif ends_run(failure):
                break
        ahead.cancel()

    def _add_losses_of_sources(self, failures: dict[str, TapError]) -> None:
        """Tell also what was lost of streams that are not selected, and were read for others to be made from."""
        known = {str(failure) for failure in failures.values()}
        for stream in self._streams:
            lost = None if stream.selected else stream.losses.failure()
            if lost is not None and str(lost) not in known:
                failures[stream.name] = lost

    def _groups(self) -> list[_Group]:
        """The selected streams, each with the embedded ones that are read with it."""
        groups: dict[str, _Group] = {}
        for stream in sorted(self._streams, key=lambda stream: stream.name):
            if not stream.selected:
                continue
            if reason := stream.unavailable():
                self._logger.info("%s: skipped, %s", stream.name, reason)
                continue
            reader = stream.reader
            groups.setdefault(reader.name, (reader, []))[1].append(stream)
        ordered = [groups[stream.name] for stream in self._streams if stream.name in groups]
        return sorted(ordered, key=lambda group: group[0].endless)

    def _read(self, reader: CoreStream, members: Sequence[CoreStream], ahead: Ahead) -> TapError | None:
        """Read one stream with its embedded ones; returns what went wrong."""
        for member in members:
            member.meter.start()
            member.meter.shares_requests = member is not reader
        try:
            reader.prepare()
            reader.meter.expected = reader.expected_calls()
            emitters = {member.name: member.emitter() for member in members}
            for emitter in emitters.values():
                emitter.schema()
            for arrival in self._emitted(reader, members, emitters, ahead):
                if arrival.done and arrival.slice.last and not reader.losses:
                    self._checkpoint(members, arrival)
            self._close(reader, members, emitters)
        except Exception as error:  # noqa: BLE001  a mistake in one stream must not cost the others
            failure = error if isinstance(error, TapError) else self._unexpected(error, reader)
            if isinstance(failure, StoppedError):
                failure = self._session.signals.error() or failure
            else:
                self._report(failure)
            self._stop(members, "failed")
            return failure
        lost = reader.losses.failure()
        for member in members:
            if member.undeclared:
                self._logger.warning(_UNDECLARED, member.name, member.undeclared)
            member.meter.after = member.bookmark()
        self._stop(members, "failed" if lost else "done")
        return lost

    def _stop(self, members: Sequence[CoreStream], state: str) -> None:
        for member in members:
            member.meter.stop(state)
            self._session.progress.finished(member.name)

    def _unexpected(self, error: Exception, stream: CoreStream) -> TapError:
        self._logger.debug("traceback", exc_info=error)
        if isinstance(error, RecursionError):
            return ApiError(f"{stream.name}: a record is nested too deeply to be read")
        return TapError(f"{stream.name}: unexpected {type(error).__name__}; LOGLEVEL=DEBUG shows the traceback")

    def _report(self, failure: TapError) -> None:
        if not failure.reported:
            self._logger.error(str(failure))
        failure.reported = True

    def _emitted(
        self, reader: CoreStream, members: Sequence[CoreStream], emitters: Mapping[str, Emitter], ahead: Ahead
    ) -> Iterator[Arrival]:
        """Everything that is read, after its records were written."""
        group = Group(reader, members, emitters)
        since_state, state_at = 0, real_seconds()
        for arrival in reader.arrivals():
            if not arrival.live:
                self._session.signals.check()
                if not arrival.done:
                    ahead.go_on(self._session.loop)
            if isinstance(arrival.meta, PageFacts) and arrival.meta.rows and not arrival.slice.partition:
                self._session.writer.expected(reader.name, arrival.meta.rows)
            group.write(arrival)
            for member in members:
                member.meter.reached(arrival.slice.window)
            since_state += len(arrival.rows)
            yield arrival
            if arrival.live:
                # Looked at once: a signal that comes after this is handled with the next arrival, after another STATE.
                stopping = self._session.signals.came
                if stopping or real_seconds() - state_at >= LIVE_STATE_EVERY_S:
                    state_at = real_seconds()
                    self._close(reader, members, emitters)
                self._session.writer.idle()
                self._session.writer.flush()
                self._session.writer.check()
                if stopping:
                    self._session.signals.check()
            elif since_state >= STATE_EVERY:
                since_state = 0
                self._session.write_state(force=True)

    def _checkpoint(self, members: Sequence[CoreStream], arrival: Arrival) -> None:
        """A window is closed: everything up to it was written, so bookmarks on the window may move."""
        moved = [member.checkpoint(arrival.slice) for member in members]
        if any(moved):
            self._session.write_state()

    def _close(self, reader: CoreStream, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]) -> None:
        """Everything is read: if it is complete, a snapshot counts and the bookmark moves."""
        for member in members:
            complete = reader.complete and member.complete and not reader.losses
            if complete:
                emitter = emitters[member.name]
                emitter.activate()
                member.close(emitter.newest)
            if member.tells_gone and (scopes := member.scopes(complete=complete)):
                member.remembered[SCOPES_READ] = scopes
        self._session.write_state()

    def _flush(self) -> None:
        """Hand over what is buffered; if the target is gone, there is nothing left to do."""
        try:
            self._session.writer.flush()
        except TapError:
            self._logger.debug("the output is gone")
