"""Amounts of money in minor units, such as cents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PRECISION", "Money", "total"]

PRECISION = {"JPY": 0, "CLP": 0, "KWD": 3}
"""Digits behind the point of the currencies that do not have two."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount; ``tax`` and ``net`` are None where the API leaves them out."""

    original: int
    retail: int
    net: int | None
    currency: str
    tax: int | None


def total(amounts: Sequence[Money]) -> Money:
    """The sum of amounts in one currency; its net is left out where one of theirs is, its tax only where all are."""
    nets, taxes = [each.net for each in amounts], [each.tax for each in amounts if each.tax is not None]
    known = [net for net in nets if net is not None]
    return Money(
        original=sum(each.original for each in amounts),
        retail=sum(each.retail for each in amounts),
        net=sum(known) if len(known) == len(nets) else None,
        currency=amounts[0].currency,
        tax=sum(taxes) if taxes else None,
    )
