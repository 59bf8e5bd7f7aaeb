"""Which names DuckDB takes for the same."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase

__all__ = ["fold", "folded"]

_FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold(name: str) -> str:
    """What two names have in common if DuckDB takes them for the same: only A to Z lose their case."""
    return name.translate(_FOLD)


def folded(name: str) -> str:
    """The same in SQL, for an expression."""
    return f"translate({name}, '{ascii_uppercase}', '{ascii_lowercase}')"
