"""What transforms remember of a page, until it is certain that the page is used."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from tap_core.records.field import Context

__all__ = ["Draft"]


class Draft(dict[str, Any]):
    """A context whose counters go on from those of another one, without changing them.

    A page with a surprise is read again, row by row: what was counted in the first attempt must not count twice.

    Args:
        context: What is known of the slice.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        for name, value in context.items():
            if isinstance(value, Counter):
                self[name] = _Continued(value)

    def keep(self) -> None:
        """Let what was counted and remembered count."""
        for name, value in self.items():
            if isinstance(value, _Continued):
                value.keep()
            else:
                self._context[name] = value


class _Continued(Counter[Any]):
    """A counter that begins with the numbers of another one."""

    def __init__(self, before: Counter[Any]) -> None:
        super().__init__()
        self._before = before

    @override
    def __missing__(self, key: Any) -> int:
        return self._before.get(key, 0)

    def keep(self) -> None:
        """Hand the numbers over to the counter before."""
        dict.update(self._before, self)
