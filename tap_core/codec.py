"""JSON, read and written in one way everywhere: numbers keep their digits, and what nobody looks at is not parsed.

A number with a fraction is read as a `Decimal` and written with the digits it came with. `members`, `rows` and
`envelope` cut a response into pieces without parsing them: each piece is a `msgspec.Raw`, the bytes as they were sent.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

__all__ = [
    "DEEPEST",
    "NOT_JSON",
    "Json",
    "canonical",
    "canonical_lines",
    "check_text",
    "decode",
    "encode",
    "encode_lines",
    "envelope",
    "members",
    "one_line",
    "plain",
    "rows",
    "unbroken",
]

Json = bytes | msgspec.Raw
"""A JSON text: as it came, or cut out of one."""

NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation)
"""What functions here raise for bytes that are not JSON, not of the expected kind, or hold a number without bounds."""

DEEPEST: Final = 256
"""How deep JSON may be nested. Interpreters stop at different depths; this one is safe in all of them."""

_PIECE: Final = 64 * 1024

_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""A JSON text as plain Python, exactly."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""A value as JSON; decimals become numbers."""

canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
"""A value as JSON with sorted keys and no whitespace: equal values give equal bytes."""

canonical_lines = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode_lines
"""Several values as such JSON, each on a line of its own."""

members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""The members of a JSON object by name, unparsed."""

rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
"""The items of a JSON array, unparsed."""

envelope = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw]).decode
"""The members of an object or the items of an array, whichever it is, unparsed."""

encode_lines = msgspec.json.Encoder(decimal_format="number").encode_lines
"""Several values as JSON, each on a line of its own."""


def plain(value: Any) -> Any:
    """A value as plain Python where parts of it may still be unparsed JSON."""
    if isinstance(value, msgspec.Raw):
        return decode(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def check_text(body: bytes) -> None:
    """Check that bytes are UTF-8, piece by piece: the text of a long body would not fit into the processor's cache.

    Raises:
        UnicodeDecodeError: They are not.
    """
    left, at, length = memoryview(body), 0, len(body)
    while at < length:
        end = at + _PIECE
        at += utf_8_decode(left[at:end], "strict", end >= length)[1]


def one_line(body: bytes) -> bytes:
    """JSON without line breaks, so that its pieces can be written as lines without another look.

    Returns:
        The same object if it is so already.

    Raises:
        RecursionError: It is nested deeper than `DEEPEST`.
        UnicodeDecodeError: It is not UTF-8.
        msgspec.DecodeError: It has line breaks and is not JSON.
    """
    if not body.isascii():
        check_text(body)
    # Fewer brackets cannot nest that deep.
    many = len(body) > DEEPEST and body.count(b"{") + body.count(b"[") > DEEPEST
    if many and _nests_too_deep(body, unpaired=0) and _nests_too_deep(_TEXT.sub(b"", body), unpaired=DEEPEST):
        raise RecursionError
    return unbroken(body)


def unbroken(body: bytes) -> bytes:
    """What `one_line` gives, for JSON that is known to be UTF-8; how deep it is nested is not looked at."""
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body


def _nests_too_deep(text: bytes, *, unpaired: int) -> bool:
    """Whether brackets nest deeper than `DEEPEST`; each round takes the innermost pairs away.

    Args:
        text: JSON, or a part of it.
        unpaired: How many brackets may lack a partner: in texts, or where JSON is cut off.
    """
    brackets = text.translate(_SQUARE, _OTHERS)
    for _ in range(DEEPEST):
        left = brackets.replace(b"[]", b"")
        if len(left) == len(brackets):
            return len(brackets) > unpaired
        brackets = left
    return bool(brackets)
