"""The forms in which a secret may stand in a text."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["forms", "shown"]

_PIECE = 12
"""This many characters of a secret are as good as the whole."""


def forms(secret: str) -> Iterator[str]:
    """The forms of a secret, from plain text to Base64 inside a longer text."""
    data = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    yield data.hex()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode()
        own = text[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        yield own
        yield own.replace("+", "-").replace("/", "_")


def shown(secrets: Iterable[str], log: str, output: str = "") -> list[str]:
    """The forms of secrets that a run shows, in any case and over several lines.

    Args:
        secrets: The secrets.
        log: What is for people; here, a dozen letters of a secret in a row are too many.
        output: What is for programs, which may well hold such letters by chance.
    """
    flat, record = _flat(log), _flat(output)
    found = set()
    for form in {_flat(form) for secret in secrets for form in forms(secret)}:
        pieces = {form[at : at + _PIECE] for at in range(max(1, len(form) - _PIECE + 1))}
        found |= {piece for piece in pieces if piece in flat}
        found |= {form} if form in record else set()
    return sorted(found)


def _flat(text: str) -> str:
    return "".join(text.split()).lower()
