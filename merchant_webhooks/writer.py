"""The thread that writes the spool, and what waits for it: many deliveries, one commit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from merchant_webhooks.spool import Kept, Spool, SpoolFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from merchant_webhooks.metrics import Metrics

__all__ = ["UnkeptError", "Writer"]

_TRIM_EVERY_S: Final = 60.0
_MOST_AT_ONCE: Final = 2_000
_MOST_WAITING_BYTES: Final = 64 << 20
"""Bodies that may wait for the disk; more than that are refused, so that a slow disk does not fill the memory."""

_NEARLY_FULL: Final = 0.8


class UnkeptError(Exception):
    """A delivery could not be written; the vendor is to try again."""


_Waiting = tuple[Kept | None, "asyncio.Future[None]"]


class Writer:
    """Owns the spool, in a thread of its own.

    Args:
        path: The spool's file.
        most_bytes: How large it may become.
        max_age_s: After how many seconds a delivery is removed in any case.
        metrics: Counts.
        say: Tells whoever runs the receiver something, in one line.
    """

    def __init__(
        self, path: Path, *, most_bytes: int, max_age_s: float, metrics: Metrics, say: Callable[[str], None]
    ) -> None:
        self._path, self._most, self._max_age_s = path, most_bytes, max_age_s
        self._metrics, self._say = metrics, say
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._ended, self._over = False, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name="spool")
        self._bytes = 0
        self._told_nearly_full = False

    async def start(self) -> None:
        """Open the spool.

        Raises:
            WebhooksError: It cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def keep(self, kept: Kept) -> None:
        """Keep a delivery; returns once it is on disk.

        Raises:
            UnkeptError: It is not.
        """
        if self._bytes > _MOST_WAITING_BYTES:
            self._metrics.refused["busy"] += 1
            raise UnkeptError
        self._bytes += len(kept.body)
        try:
            await self._add(kept)
        finally:
            self._bytes -= len(kept.body)

    async def probe(self) -> None:
        """See whether the spool can be written, if it is not known to be.

        Raises:
            UnkeptError: It cannot be.
        """
        if not self._metrics.writable:
            await self._add(None)

    async def _add(self, kept: Kept | None) -> None:
        assert self._loop
        if self._over:
            self._metrics.refused["unwritable"] += kept is not None
            raise UnkeptError
        future = self._loop.create_future()
        self._waiting.append((kept, future))
        self._wake.set()
        await future

    def stop(self) -> None:
        """Write what waits, and close the spool."""
        self._ended = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _refuse_waiting(self) -> None:
        """Answer those whom the thread has left waiting at its end; nobody joins them after that."""
        waiting = [*self._waiting]
        self._waiting.clear()
        self._metrics.refused["unwritable"] += sum(kept is not None for kept, _ in waiting)
        _settle([future for _, future in waiting], UnkeptError())

    # What happens in the thread

    def _run(self) -> None:
        assert self._loop
        assert self._opened
        try:
            spool = Spool(self._path, self._most)
        except Exception as error:  # noqa: BLE001  raised where the spool was asked for
            self._loop.call_soon_threadsafe(self._opened.set_exception, error)
            return
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        self._metrics.spool_id, self._metrics.spool_bytes = spool.id, spool.used_bytes
        failure: Exception | None = None
        try:
            self._write(spool)
        except Exception as error:  # noqa: BLE001  told below, once nobody waits any more
            failure = error
        finally:
            self._metrics.writable, self._over = False, True
            with suppress(RuntimeError):  # the server has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(self._refuse_waiting)
            spool.close()
        if failure is not None:
            with suppress(Exception):
                self._say(
                    f"nothing can be written to the spool any more ({_words(failure)}): deliveries are refused with "
                    "503 until the receiver is started again"
                )

    def _write(self, spool: Spool) -> None:
        """Write what comes, and remove what is not needed any more, until the end."""
        due = 0.0
        while not (self._ended and not self._waiting):
            if not self._waiting and monotonic() >= due:
                due = 0.0 if self._trim(spool) else monotonic() + _TRIM_EVERY_S
            if not self._waiting and self._wake.wait(max(0.0, due - monotonic())):
                self._wake.clear()
            if batch := [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]:
                self._keep(spool, batch)

    def _keep(self, spool: Spool, batch: Sequence[_Waiting]) -> None:
        begun = monotonic()
        failure: UnkeptError | None = UnkeptError()
        kept = [each for each, _ in batch if each is not None]
        try:
            if kept:
                spool.keep(kept)
            else:
                spool.probe()
            failure = None
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait must be told
            self._note_failure(error, len(kept))
        else:
            if kept:
                self._metrics.committed(kept, monotonic() - begun, spool.used_bytes)
            self._note_success(spool.used_bytes)
        finally:
            assert self._loop
            with suppress(RuntimeError):  # the server has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(_settle, [future for _, future in batch], failure)

    def _note_failure(self, error: Exception, number: int) -> None:
        full = isinstance(error, SpoolFullError) or "full" in str(error)
        self._metrics.refused["full" if full else "unwritable"] += number
        if self._metrics.writable:
            self._metrics.writable = False
            reason = "max_spool_bytes is reached" if isinstance(error, SpoolFullError) else _words(error)
            self._say(f"the spool cannot be written ({reason}): deliveries are refused with 503 until it can be")

    def _note_success(self, used: int) -> None:
        if not self._metrics.writable:
            self._metrics.writable = True
            self._say("the spool can be written again")
        nearly = used >= self._most * _NEARLY_FULL
        if nearly and not self._told_nearly_full:
            self._say(
                f"the spool has {used:,} of {self._most:,} bytes (max_spool_bytes): once it is full, deliveries are "
                "refused; taps that read it and commit make room"
            )
        self._told_nearly_full = nearly

    def _trim(self, spool: Spool) -> bool:
        """Remove what is not needed any more; returns whether there may be more of it."""
        try:
            number = spool.trim(self._max_age_s)
        except (sqlite3.Error, OSError):
            return False  # the next delivery says what is wrong with the spool
        self._metrics.trimmed += number
        self._metrics.spool_bytes = spool.used_bytes
        return number > 0


def _settle(futures: Sequence[asyncio.Future[None]], failure: UnkeptError | None) -> None:
    """Answer everyone who waits for a batch."""
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)


def _words(error: Exception) -> str:
    """What went wrong; of an error that is none of SQLite's only its kind, because its text may hold anything."""
    return str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
