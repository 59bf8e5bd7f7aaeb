"""Comparing what a page shows of a command with what the command prints."""

from __future__ import annotations

import re

__all__ = ["assert_shows"]


def assert_shows(shown: str, said: str) -> None:
    """A transcript is what was printed, line by line; figures and times may differ, and ``…`` stands for any lines."""
    rest = _gists(said)
    skipping = False
    for line in _gists(shown):
        if line == "…":
            skipping = True
            continue
        assert line in rest, f"is not printed: {line}"
        assert skipping or rest[0] == line, f"is printed and not shown: {rest[0]}"
        rest = rest[rest.index(line) + 1 :]
        skipping = False
    assert skipping or not rest, f"is printed and not shown: {rest[0]}"


def _gists(text: str) -> list[str]:
    """Lines without figures and times, their blanks as one; those of which nothing is left are left out."""
    lines = (" ".join(word for word in line.split() if not re.search(r"\d", word)) for line in text.splitlines())
    return [line for line in lines if line]
