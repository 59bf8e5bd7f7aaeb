"""Amounts of money in minor units, such as cents."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRECISION", "Money"]

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

    def times(self, quantity: int) -> Money:
        """This many of it."""
        net = None if self.net is None else self.net * quantity
        tax = None if self.tax is None else self.tax * quantity
        return Money(self.original * quantity, self.retail * quantity, net, self.currency, tax)
