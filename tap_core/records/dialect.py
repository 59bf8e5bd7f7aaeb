"""How one vendor writes what JSON has no type for, and how the engine does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CANONICAL", "Dialect", "Misfit", "canonical_time", "decimal_text"]

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z").fullmatch


def canonical_time(value: Any) -> str:
    """A time that is already in the engine's own form.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, str) and _CANONICAL(value):
        return value
    raise ValueError("not a UTC time with microseconds")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one vendor writes what JSON has no type for.

    Args:
        time: Turns the vendor's time values into ``YYYY-MM-DDTHH:MM:SS.ffffffZ``; raises ValueError for anything else.
        empty_array_is_map: ``[]`` means an empty map where the schema expects an object.
        list_member: The member of an object that holds the rows where the schema expects an array (``data``).
        list_marks: What else such an object says about itself alone (``object``, which is always ``list``).
    """

    time: Callable[[Any], str] = canonical_time
    empty_array_is_map: bool = False
    list_member: str | None = None
    list_marks: frozenset[str] = frozenset()


CANONICAL: Final = Dialect()
"""For records that the engine has already processed, such as the rows of an embedded stream."""


class Misfit(Exception):  # noqa: N818
    """A value that its place in the schema does not allow."""


def decimal_text(value: Any) -> str:
    """An exact decimal as text; numbers keep the digits they were sent with."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Misfit
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise Misfit from None
    if not number.is_finite():
        raise Misfit
    return value if isinstance(value, str) else str(number)
