"""Which rows of a long list have been seen, in a few bytes each."""

from __future__ import annotations

from array import array
from struct import iter_unpack
from typing import TYPE_CHECKING, Final

from tap_core.codec import encode_lines

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["FEW", "Identities"]

FEW: Final = 65_536
"""Up to this many identities are kept as they are, which is quicker."""

_SHELVES: Final = 65_536
_MARK: Final = 6


class Identities:
    """The identities of rows, such as their keys.

    Of many, a hash of 64 bits is kept of each: six bytes, and the number of the shelf where they are. Two rows of a
    million share theirs once in forty million readings. Then the later one is taken for a new row, unless its neighbour
    is known, too: so a row may come twice, but none is lost.
    """

    def __init__(self) -> None:
        self._few: set[Hashable] = set()
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
        are_new = self._shelve(identities) if self._shelves else self._keep(identities)
        known = are_new.count(False)
        self._number += len(are_new) - known
        if len(self._few) > FEW:
            self._shelves = [b""] * _SHELVES
            self._shelve(list(self._few))
            self._few = set()
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

    def _shelve(self, identities: Sequence[Hashable]) -> list[bool]:
        are_new, shelves = [], self._shelves
        texts = encode_lines(identities).split(b"\n")[:-1]
        for place, mark in iter_unpack(f"H{_MARK}s", array("q", map(hash, texts)).tobytes()):
            shelf = shelves[place]
            is_new = mark not in shelf or not _holds(shelf, mark)
            if is_new:
                shelves[place] = shelf + mark
            are_new.append(is_new)
        return are_new


def _holds(shelf: bytes, mark: bytes) -> bool:
    """Whether a mark is on a shelf, and its bytes are not parts of two others."""
    return any(shelf.startswith(mark, place) for place in range(0, len(shelf), _MARK))
