"""The connection test: can each stream be read, and if not, what is to be done?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_core.errors import AuthError, TapError, UnreachableError
from tap_core.run import ends_run, worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_core.session.session import Session
    from tap_core.streams.base import CoreStream

__all__ = ["RETRY_MAX_S", "probe_streams"]

RETRY_MAX_S: float = 20.0
"""Seconds that failed tries of a call may take at most: somebody is waiting for the answer."""


def probe_streams(session: Session, streams: Sequence[CoreStream], say: Callable[[str], None]) -> None:
    """Read each stream up to its first record and say how it went, in one line each, without writing messages.

    Args:
        session: What the streams share.
        streams: All streams of the tap, in the order of reading.
        say: Takes each line.

    Raises:
        TapError: A stream cannot be read. The user knows.
    """
    width = max((len(stream.name) for stream in streams), default=0)
    failures: dict[str, TapError] = {}
    session.most_retry_s = RETRY_MAX_S
    with session.signals.handled():
        for stream, verdict in _verdicts(streams, failures):
            session.signals.check()
            say(f"{stream.name:<{width}}  {verdict}")
    if failures:
        worst = worst_of(failures)
        worst.reported = True
        raise worst


def _verdicts(streams: Sequence[CoreStream], failures: dict[str, TapError]) -> Iterator[tuple[CoreStream, str]]:
    """Each stream with what is to be said of it; what went wrong goes into ``failures``, by the stream's name."""
    known: dict[str, str] = {}
    refused: set[str] = set()
    over = False
    for stream in streams:
        reader = stream.reader
        if not stream.selected:
            verdict = (
                "skipped: not selected" if stream.selected_by_default else "skipped: enable_streams switches it on"
            )
        elif reason := stream.unavailable():
            verdict = f"skipped: {reason.removeprefix('because ')}"
        elif over or reader.account in refused:
            verdict = "not tried, for the same reason"
        elif reader.name in known:
            verdict = known[reader.name]
        else:
            verdict, failure = _try(reader)
            known[reader.name] = verdict
            if failure is not None:
                failures[stream.name] = failure
                refused |= {reader.account} if isinstance(failure, AuthError) else set()
                over = ends_run(failure) and not isinstance(failure, AuthError)
        yield stream, verdict


def _try(stream: CoreStream) -> tuple[str, TapError | None]:
    """What is to be said of a stream, and what is wrong with it."""
    stream.losses.mute()
    try:
        found = stream.probe()
        failure: TapError | None = stream.losses.failure()
    except TapError as error:
        found, failure = False, error
    if failure is None:
        return "ok" if found else "ok, but there are no records", None
    reason = stream.losses.reasons() or str(failure).removeprefix(f"{stream.name}: ")
    advice = "; check api_url" if isinstance(failure, UnreachableError) and "api_url" not in reason else ""
    return f"failed: {reason}{advice}", failure
