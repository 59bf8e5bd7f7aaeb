"""The run over all streams: what is read together, what a failure costs, when bookmarks move."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tap_core.clock import real_seconds
from tap_core.embedded import EmbeddedStream
from tap_core.errors import ApiError, AuthError, OutputError, StoppedError, TapError, UnreachableError
from tap_core.group import Group
from tap_core.stream import CoreStream
from tap_core.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_core.emit import Emitter
    from tap_core.fetch import Arrival
    from tap_core.tap import CoreTap

__all__ = ["StreamRun"]

STATE_EVERY: int = 10_000
"""Records after which a STATE goes out even if no bookmark moved, so that a target can commit what it has."""

LIVE_STATE_EVERY_S: float = 5.0
"""Seconds of real time between two STATE messages of a live feed."""


class StreamRun:
    """One run of a tap over its selected streams."""

    def __init__(self, tap: CoreTap) -> None:
        self.tap = tap

    def read_all(self) -> None:
        """Read all selected streams and write their messages.

        A stream that fails stops neither the others nor moves its bookmark.

        Raises:
            TapError: Something failed; the worst of it, after everything else was done.
        """
        names = self.tap.config.get("enable_streams") or ()
        for name in names:
            self.tap.streams[name].selected = True
        groups = self._groups()
        if not groups:
            self.tap.logger.warning("no stream is selected: nothing is read")
        failures: dict[str, TapError] = {}
        refused: dict[str, AuthError] = {}
        started = self.tap.started
        self.tap.logger.debug("run started at %s", started.isoformat())
        with self.tap.signals.handled(), self.tap.progress.shown():
            try:
                for member in (member for _, members in groups for member in members):
                    member.meter.before = member.bookmark()
                self.tap.prepare([reader for reader, _ in groups])
                for reader, members in groups:
                    failure = refused.get(reader.account) or self._read(reader, members)
                    if failure is not None:
                        failures |= {member.name: failure for member in members}
                    if isinstance(failure, AuthError):
                        refused[reader.account] = failure
                    elif failure is not None and self._ends_run(failure):
                        break
                if not any(isinstance(failure, OutputError) for failure in failures.values()):
                    self.tap.write_state(force=not failures and bool(self.tap.state.get("bookmarks")))
            finally:
                self.tap.clock.stop()
                self._flush()
        order = sorted(member.name for _, members in groups for member in members)
        self.tap.progress.summarize(order, {name: str(failure) for name, failure in failures.items()})
        if failures:
            self._fail(failures)

    @staticmethod
    def _ends_run(failure: TapError) -> bool:
        """Whether no other stream would fare better."""
        own = {TapError.exit_code, ApiError.exit_code}
        return failure.exit_code not in own or isinstance(failure, UnreachableError)

    def _fail(self, failures: Mapping[str, TapError]) -> NoReturn:
        """End with the gravest failure, or with a line that names the streams; each was told when it happened."""
        distinct = {str(failure): failure for failure in failures.values()}
        worst = max(distinct.values(), key=lambda failure: failure.exit_code != ApiError.exit_code)
        if worst.exit_code != ApiError.exit_code or len(distinct) == 1:
            raise worst
        raise ApiError(f"{len(failures)} streams failed: {', '.join(sorted(failures))}; the lines above tell why")

    def _groups(self) -> list[tuple[CoreStream, list[CoreStream]]]:
        """The selected streams, each with the embedded ones that are read with it."""
        groups: dict[str, tuple[CoreStream, list[CoreStream]]] = {}
        for stream in self.tap.streams.values():
            assert isinstance(stream, CoreStream)
            if not stream.selected:
                continue
            if reason := stream.unavailable():
                self.tap.logger.info("%s: skipped, %s", stream.name, reason)
                continue
            reader = self._reader(stream)
            groups.setdefault(reader.name, (reader, []))[1].append(stream)
        return [groups[kind.name] for kind in self.tap.stream_types if kind.name in groups]

    @staticmethod
    def _reader(stream: CoreStream) -> CoreStream:
        """The stream that asks the API for the rows of a stream."""
        while isinstance(stream, EmbeddedStream):
            stream = stream.parent
        return stream

    def _read(self, reader: CoreStream, members: Sequence[CoreStream]) -> TapError | None:
        """Read one stream with its embedded ones; returns what went wrong."""
        for member in members:
            member.meter.start()
            member.meter.shares_requests = member is not reader
        try:
            reader.prepare()
            emitters = {member.name: member.emitter() for member in members}
            for emitter in emitters.values():
                emitter.schema()
            for arrival in self._emitted(reader, members, emitters):
                if arrival.done and arrival.slice.last:
                    self._checkpoint(members, arrival)
            self._close(members, emitters)
        except Exception as error:  # noqa: BLE001  a mistake in one stream must not cost the others
            for member in members:
                member.meter.stop("failed")
            failure = error if isinstance(error, TapError) else self._unexpected(error, reader)
            if isinstance(failure, StoppedError):
                return self.tap.signals.error() or failure
            self._report(failure)
            return failure
        for member in members:
            member.meter.after = member.bookmark()
            member.meter.stop("done")
        return None

    def _unexpected(self, error: Exception, stream: CoreStream) -> TapError:
        self.tap.logger.debug("traceback", exc_info=error)
        if isinstance(error, RecursionError):
            return ApiError(f"{stream.name}: a record is nested too deeply to be read")
        return TapError(f"{stream.name}: unexpected {type(error).__name__}; LOGLEVEL=DEBUG shows the traceback")

    def _report(self, failure: TapError) -> None:
        if not failure.reported:
            self.tap.logger.error(str(failure))
        failure.reported = True

    def _emitted(
        self, reader: CoreStream, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]
    ) -> Iterator[Arrival]:
        """Everything that is read, after its records were written."""
        group = Group(reader, members, emitters)
        for emitter in emitters.values():
            emitter.version = self._version(emitter)
        since_state, state_at = 0, real_seconds()
        for arrival in reader.arrivals():
            if not arrival.live:
                self.tap.check_signals()
            group.write(arrival, text_of(self.tap.clock.now()))
            since_state += len(arrival.rows)
            yield arrival
            if arrival.live:
                # Looked at once: a signal that comes further down is met by the next arrival, after a STATE of its own.
                stopping = self.tap.stopping
                if stopping or real_seconds() - state_at >= LIVE_STATE_EVERY_S:
                    state_at = real_seconds()
                    self._close(members, emitters)
                self.tap.writer.flush()
                if stopping:
                    self.tap.check_signals()
            elif since_state >= STATE_EVERY:
                since_state = 0
                self.tap.write_state(force=True)

    def _version(self, emitter: Emitter) -> int | None:
        stream = emitter.stream
        wanted = bool(self.tap.config.get("emit_activate_version_messages", True))
        return (
            int(self.tap.started.timestamp() * 1000) if wanted and stream.snapshot and not stream.incremental else None
        )

    def _checkpoint(self, members: Sequence[CoreStream], arrival: Arrival) -> None:
        """A window is closed: everything up to it was written, so bookmarks on the window may move."""
        moved = [member.checkpoint(arrival.slice) for member in members]
        if any(moved):
            self.tap.write_state()

    def _close(self, members: Sequence[CoreStream], emitters: Mapping[str, Emitter]) -> None:
        """All is read: if it is complete, a snapshot counts and the bookmark moves."""
        for member in members:
            if not member.complete:
                continue
            emitter = emitters[member.name]
            emitter.activate()
            member.close(emitter.newest)
        self.tap.write_state()

    def _flush(self) -> None:
        """Hand over what is buffered; with the target gone there is nothing left to do."""
        try:
            self.tap.writer.flush()
        except TapError:
            self.tap.logger.debug("the output is gone")

    def test(self) -> None:
        """Read the first page of each stream and say how it went, without writing messages.

        Raises:
            TapError: A stream cannot be read.
        """
        failures: dict[str, TapError] = {}
        for kind in self.tap.stream_types:
            stream = self.tap.streams[kind.name]
            assert isinstance(stream, CoreStream)
            if not stream.selected or stream.unavailable():
                continue
            try:
                found = stream.probe()
            except TapError as error:
                failures[stream.name] = error
                self._report(error)
                if self._ends_run(error):
                    break
            else:
                self.tap.logger.info("%s: %s", stream.name, "readable" if found else "readable, but empty")
        if failures:
            self._fail(failures)
