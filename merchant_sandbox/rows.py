"""A long list of rendered records that are made when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from typing_extensions import override

__all__ = ["LazyRows"]

_KEEP = 64 << 20
"""Bytes of rendered records that one list keeps; beyond that it renders them anew each time."""


class LazyRows(Sequence[bytes]):
    """JSON of the records of one list, rendered once.

    Args:
        length: Number of records.
        render: Makes the JSON of the record at a position.
    """

    __slots__ = ("_cache", "_kept", "_length", "_render")

    def __init__(self, length: int, render: Callable[[int], bytes]) -> None:
        self._length = length
        self._render = render
        self._cache: dict[int, bytes] = {}
        self._kept = 0

    @override
    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    @override
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self._row(position) for position in range(*index.indices(self._length))]
        return self._row(range(self._length)[index])

    def _row(self, position: int) -> bytes:
        row = self._cache.get(position)
        if row is None:
            row = self._render(position)
            if self._kept < _KEEP:
                self._kept += len(row)
                self._cache[position] = row
        return row
