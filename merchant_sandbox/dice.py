"""Deterministic chance: numbers and ids that are pure functions of a seed and an index."""

from __future__ import annotations

from uuid import UUID
from zlib import crc32

__all__ = ["Dice", "Ids"]

_MASK = (1 << 64) - 1
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = [low + high for high in _ALPHABET for low in _ALPHABET]
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}


def _mixed(z: int) -> int:
    """64 bits, every one of which depends on all bits of ``z`` (the finalizer of splitmix64)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Dice:
    """A hash of (seed, name, index).

    Args:
        seed: Seed of a world.
        name: What the dice decide; dice of another name fall differently.
    """

    __slots__ = ("_salt",)

    def __init__(self, seed: int, name: str) -> None:
        self._salt = _mixed((seed << 32 ^ crc32(name.encode())) & _MASK)

    def __call__(self, index: int) -> int:
        """64 bits for this index; take ``% n``, and shift to make more than one choice."""
        return _mixed((index * 0x9E3779B97F4A7C15 + self._salt) & _MASK)

    def uuid(self, index: int) -> str:
        """A UUID for this index."""
        return str(UUID(int=self(index << 1 | 1 << 61) << 64 | self(index << 1 | 1 << 62), version=4))


class Ids:
    """Random-looking ids that can be turned back into their index, so that no table of a million ids is needed.

    Args:
        prefix: What every id begins with.
        seed: Seed of the order.
        length: Number of letters and digits after the prefix.
    """

    __slots__ = ("_add", "_inverse", "_length", "_multiply", "_prefix", "_space")

    def __init__(self, prefix: str, seed: int, length: int = 14) -> None:
        dice = Dice(seed, "ids:" + prefix)
        self._prefix, self._length, self._space = prefix, length, len(_ALPHABET) ** length
        self._multiply = (dice(1) << 16 | dice(2) >> 48) % self._space | 1
        while self._multiply % 31 == 0:
            self._multiply += 2
        self._inverse = pow(self._multiply, -1, self._space)
        self._add = dice(3) % self._space

    def encode(self, index: int) -> str:
        """The id of an index."""
        number = (index * self._multiply + self._add) % self._space
        pairs = []
        for _ in range(0, self._length, 2):
            number, digits = divmod(number, 62 * 62)
            pairs.append(_PAIRS[digits])
        return (self._prefix + "".join(pairs))[: len(self._prefix) + self._length]

    def decode(self, text: str) -> int | None:
        """The index of an id; None for text that is not such an id."""
        letters = text[len(self._prefix) :]
        if not text.startswith(self._prefix) or len(letters) != self._length or not all(c in _VALUE for c in letters):
            return None
        number = 0
        for letter in reversed(letters):
            number = number * 62 + _VALUE[letter]
        index: int = (number - self._add) * self._inverse % self._space
        return index
