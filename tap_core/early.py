"""What comes before the imports: they take the better part of a second, and a signal may come meanwhile.

It imports nothing that takes time itself.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["end_on_signals"]


def end_on_signals() -> None:
    """End the process at once, and without a traceback, on SIGINT and SIGTERM, as long as nobody else handles them.

    Nothing is half-written then: the run handles both while it writes, see `tap_core.session.signals`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
