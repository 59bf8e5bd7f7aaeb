"""Which rows of a long list have been seen, in a few bytes each."""

from __future__ import annotations

from array import array
from contextlib import suppress
from itertools import chain
from operator import gt, lt
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, Final

from tap_core.codec import encode, encode_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

__all__ = ["FEW", "Identities"]

FEW: Final = 65_536
"""Up to this many identities are kept as they are, which is quicker."""

_FEW_ROWS: Final = 1_024
"""The same for identities that are whole rows."""

_SHELVES: Final = 65_536
_MARK: Final = 6


class Identities:
    """The identities of rows, such as their keys.

    Of many, a hash of 64 bits is kept of each: eight bytes as long as the keys of a sorted list go on rising, or
    falling, because such a page needs no comparison with those before. From the first page on that does not, six bytes,
    and the number of the shelf where they are. Two rows of a million share their hash once in
    forty million readings. Then the later one is taken for a new row, unless its neighbour is known, too: so a row may
    come twice, but none is lost.
    """

    def __init__(self) -> None:
        self._few: set[Hashable] = set()
        self._range: tuple[Any, Any] | None = None
        self._hashes = array("q")
        self._shelves: list[bytes] = []
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, identities: Sequence[Hashable]) -> list[bool]:
        """Remember the identities of a page.

        Args:
            identities: Texts, numbers, or tuples of them.

        Returns:
            Which of them were not there before, or may not have been.
        """
        if not identities:
            return []
        if self._range is not None and self._go_beyond(identities):
            self._hashes += _hashes(identities)
            self._number += len(identities)
            return [True] * len(identities)
        are_new = self._shelve(_hashes(identities)) if self._shelves else self._keep(identities)
        known = are_new.count(False)
        self._number += len(are_new) - known
        if len(self._few) > (_FEW_ROWS if type(identities[0]) is bytes else FEW):
            self._hashes, self._range = _hashes(list(self._few)), _range(self._few)
            self._few = set()
            if self._range is None:
                self._set_up_shelves()
        return [True] * len(are_new) if self._shelves and known == 1 else are_new

    def _keep(self, identities: Sequence[Hashable]) -> list[bool]:
        if self._few.isdisjoint(identities):
            self._few.update(identities)
            if len(self._few) == self._number + len(identities):
                return [True] * len(identities)
            self._few.difference_update(identities)
        are_new = []
        for identity in identities:
            are_new.append(identity not in self._few)
            self._few.add(identity)
        return are_new

    def _go_beyond(self, identities: Sequence[Any]) -> bool:
        """Whether a page differs from all that came before, because its keys go on rising, or falling."""
        assert self._range is not None
        lowest, highest = self._range
        with suppress(TypeError):
            if all(map(lt, chain((highest,), identities), identities)):
                self._range = lowest, identities[-1]
                return True
            if all(map(gt, chain((lowest,), identities), identities)):
                self._range = identities[-1], highest
                return True
        self._set_up_shelves()
        return False

    def _set_up_shelves(self) -> None:
        self._shelves = [b""] * _SHELVES
        self._shelve(self._hashes)
        self._hashes, self._range = array("q"), None

    def _shelve(self, hashes: array[int]) -> list[bool]:
        are_new, shelves = [], self._shelves
        for place, mark in iter_unpack(f"H{_MARK}s", hashes.tobytes()):
            shelf = shelves[place]
            is_new = mark not in shelf or not _holds(shelf, mark)
            if is_new:
                shelves[place] = shelf + mark
            are_new.append(is_new)
        return are_new


def _hashes(identities: Sequence[Hashable]) -> array[int]:
    """A hash of each text, and of the JSON of others: numbers are their own hashes and would crowd on few shelves."""
    kinds = set(map(type, identities))
    if kinds <= {str, bytes}:
        return array("q", map(hash, identities))
    if str not in kinds:
        return array("q", map(hash, encode_lines(identities).split(b"\n")[:-1]))
    return array("q", [hash(each if isinstance(each, str) else encode(each)) for each in identities])


def _range(identities: Collection[Any]) -> tuple[Any, Any] | None:
    """The smallest and the greatest; None where there are none, or they have no order."""
    try:
        return min(identities), max(identities)
    except (TypeError, ValueError):
        return None


def _holds(shelf: bytes, mark: bytes) -> bool:
    """Whether a mark is on a shelf, and its bytes are not parts of two others."""
    return any(shelf.startswith(mark, place) for place in range(0, len(shelf), _MARK))
