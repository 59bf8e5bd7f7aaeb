"""Which Python functions are called in a block of code."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["counted"]


@contextmanager
def counted() -> Iterator[list[str]]:
    """The Python functions that are called in the block."""
    calls: list[str] = []

    def note(frame: Any, event: str, _argument: Any) -> None:
        if event == "call":
            calls.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")

    gc.disable()  # Hypothesis has a function called at each collection
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        gc.enable()
        del calls[-1:]  # the end of this block
