"""Rows that appear more than once in a run, because neighbouring windows overlap at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
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

    def is_new(self, window: object, identity: Hashable) -> bool:
        """Whether a row is new among those that are remembered."""
        if window is None:
            known = identity in self._named
            self._named.add(identity)
            return not known
        if window != self._window:
            self._window, self._before, self._current = window, self._current, set()
        known = identity in self._current or identity in self._before or identity in self._named
        self._current.add(identity)
        return not known


def without_repeats(
    arrivals: Iterable[Arrival],
    *,
    partition: Callable[[Slice], Hashable],
    row_key: Callable[[msgspec.Raw], Hashable],
) -> Iterator[Arrival]:
    """The arrivals without rows that the previous window, or a slice without a window, has already brought.

    Only the identities of two windows are remembered, not those of the whole run; slices without a window should come
    first and be few.

    Args:
        arrivals: What is read, in order.
        partition: Whose rows a slice holds; rows of different partitions are never the same.
        row_key: A row's identity.
    """
    seen: dict[Hashable, _Seen] = {}
    for arrival in arrivals:
        if not arrival.rows:
            yield arrival
            continue
        memory = seen.setdefault(partition(arrival.slice), _Seen())
        rows = [row for row in arrival.rows if memory.is_new(arrival.slice.window, row_key(row))]
        yield arrival if len(rows) == len(arrival.rows) else replace(arrival, rows=rows)
