"""Signals end the loader at once, in one line, whatever it is doing.

To the warehouse that is like a power cut: what was committed stays, everything else is undone. So there is nothing to
wait for, neither DuckDB nor an output that nobody reads. This module is imported before anything that takes time.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = ["handle_signals"]

_STDERR = 2


def _text(message: str) -> str:
    at = f"{time.strftime('%Y-%m-%d %H:%M:%S')},{time.time_ns() // 1_000_000 % 1000:03}"
    return f"{at} ERROR {message}"


def handle_signals(clean: Callable[[], None] = lambda: None, line: Callable[[str], str] = _text) -> None:
    """From now on, have SIGINT and SIGTERM end the process with the code 130 or 143.

    Args:
        clean: Removes what the run would leave behind, before the process ends that way.
        line: Makes a line of the log of what is said then.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_end, clean, line))


def _end(clean: Callable[[], None], line: Callable[[str], str], number: int, _frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    # Written here rather than logged: another thread may hold the log, or nobody may read it.
    with suppress(OSError):  # nobody has to be there
        if select.select([], [_STDERR], [], 0)[1]:
            os.write(_STDERR, f"{line('stopped by a signal; everything committed so far stays')}\n".encode())
    clean()
    os._exit(128 + number)
