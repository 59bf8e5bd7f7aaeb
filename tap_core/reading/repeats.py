"""Rows that appear more than once in a run, because neighbouring windows overlap at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tap_core.reading.pages import only

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    import msgspec

    from tap_core.reading.fetch import Arrival, Slice

__all__ = ["without_repeats"]

_NONE: frozenset[Hashable] = frozenset()


class _Seen:
    """The identities seen in one partition: those of two windows, and of everything that was read without a window."""

    def __init__(self) -> None:
        self._window: object = None
        self._before: AbstractSet[Hashable] = _NONE
        self._current: set[Hashable] = set()
        self._named: set[Hashable] = set()

    def are_new(self, window: object, identities: Sequence[Hashable]) -> list[bool]:
        """Which rows of a page are new among those that are remembered."""
        if window is not None and window != self._window:
            self._window, self._before, self._current = window, self._current, set()
        found = set(identities)
        sets = (self._named,) if window is None else (self._current, self._before, self._named)
        known: set[Hashable] = set().union(*(found & each for each in sets))
        sets[0].update(found)
        if not known and len(found) == len(identities):
            return [True] * len(identities)
        are_new = []
        for identity in identities:
            are_new.append(identity not in known)
            known.add(identity)
        return are_new


def without_repeats(
    arrivals: Iterable[Arrival],
    *,
    partition: Callable[[Slice], Hashable],
    row_keys: Callable[[Sequence[msgspec.Raw]], Sequence[Hashable]],
) -> Iterator[Arrival]:
    """The arrivals without rows that the previous window, or a slice without a window, has already brought.

    Only the identities of two windows are remembered, not those of the whole run; slices without a window should come
    first and be few.

    Args:
        arrivals: What is read, in order.
        partition: Whose rows a slice holds; rows of different partitions are never the same.
        row_keys: The identity of each row.
    """
    seen: dict[Hashable, _Seen] = {}
    for arrival in arrivals:
        if not arrival.rows:
            yield arrival
            continue
        memory = seen.setdefault(partition(arrival.slice), _Seen())
        are_new = memory.are_new(arrival.slice.window, row_keys(arrival.rows))
        yield arrival if all(are_new) else replace(arrival, rows=only(arrival.rows, are_new))
