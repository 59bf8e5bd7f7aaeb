"""A list to try things with: many operators at Peek, and some accounts at the other vendors."""

from __future__ import annotations

from typing import Final

__all__ = ["sample"]

_HEAD: Final = """\
# 12 hours a night. Peek states no limit of calls: 300 a minute is assumed here, for all operators together.
[cluster]
hours = "20:00-08:00"
pods = 80

[loader]
lake_path = "s3://lake/merchants"
table_format = "delta"

[budgets]
peek = { calls = 300, period_s = 60 }
premiumpay = { calls = 100, period_s = 3600, shared = false }
others = { calls = 600, period_s = 60, shared = false }

# What a night takes of an account. Peek: 30 products and 10,000 bookings. The others: what the sandbox has of them.
[vendors]
peek = { calls = 147, rows = 36_400 }
premiumpay = { calls = 49, rows = 21 }
peakium = { calls = 68, rows = 1_981, budget = "others" }
peerassist = { calls = 6, rows = 421, budget = "others" }
pegke = { calls = 185, rows = 7_368, budget = "others" }
"""
_ACCOUNT: Final = """
[[accounts]]
vendor = "{vendor}"
name = "{name}"
secret = "{vendor}-{name}"
"""
_OTHERS: Final = ("premiumpay", "peakium", "peerassist", "pegke")
_OPERATORS_FOR_ANOTHER: Final = 10


def sample(operators: int) -> str:
    """A list of this many operators at Peek, and a tenth as many accounts at the others together."""
    named = [("peek", f"operator-{number:04d}") for number in range(1, operators + 1)]
    others = range(operators // _OPERATORS_FOR_ANOTHER)
    named += [(_OTHERS[number % len(_OTHERS)], f"account-{number + 1:03d}") for number in others]
    return _HEAD + "".join(_ACCOUNT.format(vendor=vendor, name=name) for vendor, name in named)
