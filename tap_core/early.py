"""What comes before the imports: they take the better part of a second, and a signal may come meanwhile.

It imports nothing that takes time itself.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["begin", "spare_collector"]

_YOUNG_OBJECTS: Final = 50_000


def begin() -> None:
    """Make the process ready for the imports."""
    if sys.stderr is not None:  # the process may have been started without it
        faulthandler.enable()  # a crash of a library says where it happened
    _end_on_signals()
    spare_collector()


def spare_collector() -> None:
    """Leave what is there now to the garbage collector never, and the rest rarely.

    Imports keep what they make, and a run leaves next to nothing: the collector would take a fifth of an import's time.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _end_on_signals() -> None:
    """End the process at once, and without a traceback, on SIGINT and SIGTERM, as long as nobody else handles them.

    Nothing is half-written then: the run handles both while it writes, see `tap_core.session.signals`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
