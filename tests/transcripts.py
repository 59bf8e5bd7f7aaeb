"""Comparing what a page shows of a command with what the command prints."""

from __future__ import annotations

import re

__all__ = ["assert_shows"]


def assert_shows(shown: str, said: str) -> None:
    """A transcript is what was printed, line by line.

    Figures and times may differ, ``…`` stands for any lines, and ``…text`` for any lines before one that
    ends with the text.
    """
    rest = _gists(said)
    skipping = False
    for line in _gists(shown):
        if line == "…":
            skipping = True
            continue
        found = next((number for number, each in enumerate(rest) if _is(each, line)), None)
        assert found is not None, f"is not printed: {line}"
        assert skipping or not found or line.startswith("…"), f"is printed and not shown: {rest[0]}"
        rest = rest[found + 1 :]
        skipping = False
    assert skipping or not rest, f"is printed and not shown: {rest[0]}"


def _is(printed: str, shown: str) -> bool:
    return printed == shown or (shown.startswith("…") and printed.endswith(shown[1:].strip()))


def _gists(text: str) -> list[str]:
    """Lines without figures and times, their blanks as one; those of which nothing is left are left out."""
    lines = (" ".join(word for word in line.split() if not re.search(r"\d", word)) for line in text.splitlines())
    return [line for line in lines if line]
