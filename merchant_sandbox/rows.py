"""Long lists of rendered records, which are made when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from typing_extensions import override

__all__ = ["LazyRows", "RenderedLists"]

_FormT = TypeVar("_FormT", bound=Hashable)

_KEEP = 64 << 20
"""Bytes of rendered records that one list keeps; the rest it renders every time."""


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


class RenderedLists(Generic[_FormT]):
    """The lists of a model, each rendered in every form that is asked for.

    Args:
        encode: Makes the JSON of a record.
        lists: For each list, the indexes of its records in the order served, and what makes the record of an index in a
            form. The indexes are asked for when the list is.
    """

    def __init__(
        self,
        encode: Callable[[Any], bytes],
        lists: Mapping[str, tuple[Callable[[], Sequence[int]], Callable[[int, _FormT], Any]]],
    ) -> None:
        self._encode, self._lists = encode, lists
        self._rows: dict[tuple[str, _FormT], LazyRows] = {}

    def rows(self, name: str, form: _FormT) -> LazyRows:
        """The rendered records of a list."""
        rows = self._rows.get((name, form))
        if rows is None:
            indexes_now, make = self._lists[name]
            indexes = indexes_now()
            rows = LazyRows(len(indexes), lambda position: self._encode(make(indexes[position], form)))
            self._rows[name, form] = rows
        return rows
