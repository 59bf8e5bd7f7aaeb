"""What a stream could not read, part by part: a product, a connection, a window. The rest of it is read all the same.

A part that is lost is named when it happens and again at the end of the run, whose exit code is then 4. Its stream is
not complete: no rows count as gone, and no bookmark moves.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tap_core.errors import ApiError, TapError, ThrottledError, TransientError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NAMED", "Losses", "is_about_part"]

NAMED: Final = 10
"""How many parts the line at the end names; the lines before it name all."""


def is_about_part(error: TapError) -> bool:
    """Whether an error may be about the part that was asked for, and not about every call of its kind."""
    return type(error) is ApiError or isinstance(error, TransientError)


class Losses:
    """The parts of one stream that could not be read. Any thread may call it.

    Args:
        stream: The stream's name.
        report: Tells the user in one line.
        advice: What the user can do, for the line at the end.
    """

    def __init__(self, stream: str, report: Callable[[str], None], advice: str = "") -> None:
        self._stream = stream
        self._report = report
        self._advice = advice
        self._lost: dict[str, TapError] = {}
        self._read = False
        self._silent = False
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._lost)

    def mute(self) -> None:
        """Do not tell the user of each part: somebody else does."""
        self._report = lambda _line: None

    def hopeless(self, part: str) -> bool:
        """Whether a part is not worth another call, because all tries of an earlier one were in vain."""
        return isinstance(self._lost.get(part), TransientError)

    def read(self) -> None:
        """Note that some part was read."""
        self._read, self._silent = True, False

    def lose(self, part: str, error: TapError) -> None:
        """Leave out a part.

        Args:
            part: Names the part for the user, such as ``product av_1 of connection north``.
            error: Why it cannot be read.

        Raises:
            TapError: The error, where another part would do no better: the host cannot be reached, or asks to slow
                down for longer than the settings allow, or tries went on in vain for two parts in a row.
        """
        if isinstance(error, UnreachableError | ThrottledError):
            raise error
        with self._lock:
            if part in self._lost:
                return
            if isinstance(error, TransientError):
                if self._silent:
                    raise error
                self._silent = True
            self._lost[part] = error
        self._report(f"{self._stream}: {part} is left out, the rest is read: {self._reason(error)}")

    def inherit(self, other: Losses) -> None:
        """Leave out what another stream could not read, which this one is made from. The user knows already."""
        with self._lock:
            self._lost = {**other._lost, **self._lost}

    def reasons(self) -> str:
        """The parts that were lost, each with its reason."""
        return "; ".join(f"{part}: {self._reason(error)}" for part, error in self._lost.items())

    def _reason(self, error: TapError) -> str:
        return str(error).removeprefix(f"{self._stream}: ")

    def failure(self) -> ApiError | None:
        """What the stream failed with once it was read to its end; None if nothing was lost."""
        if not self._lost:
            return None
        if not self._read:
            for error in self._lost.values():
                if isinstance(error, ApiError):
                    return error
        named = "; ".join(list(self._lost)[:NAMED])
        more = f"; and {len(self._lost) - NAMED} more" if len(self._lost) > NAMED else ""
        return ApiError(f"{self._stream}: everything was read except {named}{more}{self._advice}")
