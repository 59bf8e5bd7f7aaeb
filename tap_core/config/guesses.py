"""What is taken for granted about an API: paths, names of parameters, places in responses.

Each one is in its vendor's table, with its source, and a setting replaces what turns out wrong. What no page of the
vendor says is inferred, and is never presented as a fact.

    ENDPOINTS = {
        "fwos": Guess("/fwo", "the vendor's guide", documented=True),
        "projects": Guess("/project", "named like the documented calls"),
    }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from singer_sdk import typing as th

__all__ = ["Guess", "Guesses", "guesses_setting", "resolved"]


@dataclass(frozen=True, slots=True)
class Guess:
    """One thing about an API that a setting can correct.

    Args:
        value: What the tap uses by default; None where it finds out, or does without.
        note: Where it comes from.
        documented: Whether the vendor says so.
    """

    value: Any
    note: str
    documented: bool = False

    @property
    def source(self) -> str:
        """Where it comes from, and how reliable that is: ``the vendor's guide; documented``."""
        return f"{self.note}; {'documented' if self.documented else 'inferred'}"


Guesses = Mapping[str, Guess]
"""A table of guesses by the names that the setting uses."""


def guesses_setting(name: str, guesses: Guesses, *, title: str, description: str) -> th.Property[Any]:
    """The setting that corrects a table of texts, member by member.

    Args:
        name: The setting.
        guesses: The table.
        title: For people.
        description: What the table is about.
    """
    members = [
        th.Property(key, th.StringType, description=f"{guess.value} by default ({guess.source}).")
        for key, guess in guesses.items()
    ]
    kind = th.ObjectType(*members, additional_properties=False)
    return th.Property(name, kind, default={}, title=title, description=description)


def resolved(guesses: Guesses, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a table with the user's corrections; a correction of None is ignored."""
    return {key: guess.value if given.get(key) is None else given[key] for key, guess in guesses.items()}
