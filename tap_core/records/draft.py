"""What transforms remember of a slice, and how a page that is not used leaves no trace in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tap_core.records.field import Context

__all__ = ["Draft", "Numbers", "numbers"]

_MEMORY: Final = "\0"
"""Where a context keeps what transforms remember; no column has that name."""


class Numbers:
    """Numbers equal things: the first of them is 1, the next one 2. All memory of transforms is of this kind.

    Args:
        before: Those to go on from, which do not change until `keep`.

    Attributes:
        counted: How many there have been of each thing, apart from those before.
    """

    def __init__(self, before: Numbers | None = None) -> None:
        self.counted: dict[Hashable, int] = {}
        self._before: dict[Hashable, int] = {} if before is None else before.counted

    def number(self, things: Sequence[Hashable]) -> list[int]:
        """The number of each thing among its equals."""
        counted, before, first = self.counted, self._before, dict.fromkeys(things, 1)
        if len(first) == len(things) and counted.keys().isdisjoint(first) and before.keys().isdisjoint(first):
            counted |= first
            return list(first.values())
        numbers = []
        for thing in things:
            counted[thing] = number = (counted.get(thing) or before.get(thing, 0)) + 1
            numbers.append(number)
        return numbers

    def keep(self) -> None:
        """Let what was counted count for those before, too."""
        self._before |= self.counted


def numbers(context: Context, name: str) -> Numbers:
    """What the transform that makes a column remembers of a slice.

    Args:
        context: The context of the slice, or a draft of it.
        name: The column.
    """
    memory: dict[str, Numbers] = context.setdefault(_MEMORY, {})
    return memory.setdefault(name, Numbers())


class Draft(dict[str, Any]):
    """A context whose numbers go on from those of another one, without changing them.

    A page with a surprise is read again, in parts: what was counted in the first attempt must not count twice.

    Args:
        context: What is known of the slice.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        if _MEMORY in context:
            self[_MEMORY] = {name: Numbers(value) for name, value in context[_MEMORY].items()}

    def keep(self) -> None:
        """Let what was counted count."""
        if _MEMORY not in self:
            return
        memory = self._context.setdefault(_MEMORY, {})
        for name, value in self[_MEMORY].items():
            if memory.setdefault(name, value) is not value:
                value.keep()
