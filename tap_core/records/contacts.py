"""The one form in which e-mail addresses and phone numbers are hashed, so that those that are the same hash alike."""

from __future__ import annotations

import re

__all__ = ["normal_form"]

_NOT_DIGITS = re.compile(r"\D")
_NATIONAL = 10
"""Digits of a number without its country code, where a schema says which country that is."""


def normal_form(text: str, kind: str) -> str:
    """A contact detail in its normal form.

    Args:
        text: The detail as the vendor writes it.
        kind: What the schema's ``x-pii`` says of it: ``email``, ``phone``, or ``phone:+1``, whose numbers of ten digits
            belong to that country.

    Example:
        >>> normal_form(" Ana@Example.com", "email")
        'ana@example.com'
        >>> normal_form("(614) 456-1447", "phone:+1")
        '+16144561447'
    """
    word, _, country = kind.partition(":")
    if word == "email":
        return text.strip().lower()
    if word != "phone" or not (digits := _NOT_DIGITS.sub("", text)):
        return text
    if text.strip().startswith("+"):
        return f"+{digits}"
    if country and len(digits) == _NATIONAL:
        return f"{country}{digits}"
    return f"+{digits.removeprefix('00')}" if digits.startswith("00") else digits
