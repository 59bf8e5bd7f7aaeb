"""JSON as servers and taps write it, and bytes that were damaged on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from decimal import Decimal
    from random import Random

__all__ = ["ODDITIES", "Writer", "anything", "damaged", "scalars"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
    st.text(max_size=12),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)

ODDITIES = (
    *(
        "NaN",
        "-Infinity",
        "Infinity",
        "nan",
        "-0",
        "-0.0",
        "01",
        "+1",
        "1.",
        ".5",
        "1e5",
        "1E400",
        "1e999999",
        "1e999999999",
        "1e-999999999",
        "1e99999999999999999999",
        "0x10",
    ),
    *("9007199254740993", "9" * 40, "1" * 5000, "true", "True", "null", "None", "undefined", '""', "''", "'a'"),
    *(r'"\ud83d"', r'"\ud83d\ude00"', r'"\u0000"', r'"\x41"', '"\t"', '"\x7f"', '"\u2028"', r'"\/"', '"a"b"'),
    *(
        "[]",
        "{}",
        "[1,]",
        '{"a":1,}',
        '{"a":1,"a":2}',
        "{a:1}",
        "[" * 300 + "]" * 300,
        "[" * 2000,
        "[" * 3000 + "]" * 3000,
        "// x",
        "/**/",
    ),
)
"""What may stand where JSON has a value; some of it is none."""

_BYTES = (*(bytes([byte]) for byte in b"\xff\xc3\0\r\n \"'\\{}[],:"), b"\xef\xbb\xbf", b"\xed\xa0\x80")


def damaged(data: bytes, rng: Random) -> bytes:
    """Bytes with a few changes, as networks, proxies and hands make them."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 40)))
        match rng.randrange(7):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:at] + rng.choice(_BYTES) + data[at:]
            case 3:
                data = data[:at] + data[at:to] + data[at:]
            case 4:
                data = data[:at] + rng.choice(ODDITIES).encode() + data[to:]
            case 5:
                data = _value_replaced(data, at, rng.choice(ODDITIES).encode())
            case _:
                data = data[:at] + bytes([rng.randrange(256)]) + data[to:]
    return data


def _value_replaced(data: bytes, at: int, value: bytes) -> bytes:
    """The data with another value behind a colon, which leaves it JSON more often than not."""
    colon = data.find(b":", at)
    if colon < 0:
        return data
    ends = [end for mark in b",}]" if (end := data.find(mark, colon)) > 0]
    return data[: colon + 1] + value + data[min(ends, default=len(data)) :]


class Writer:
    """Writes JSON as servers do: any blanks, escapes and forms of a number, some members twice, NaN, lone surrogates.

    Args:
        rng: Decides.
        wild: Write whole numbers with a fraction or an exponent too, and odd names.
    """

    def __init__(self, rng: Random, *, wild: bool) -> None:
        self._rng = rng
        self._wild = wild

    def one_in(self, chances: int) -> bool:
        return self._rng.randrange(chances) == 0

    def text(self, value: Any) -> str:
        blank = self._rng.choice(("", "", "", " ", "\n", "\t\r\n"))
        match value:
            case dict():
                members = list(value.items())
                if members and self.one_in(8):
                    members.insert(0, (members[-1][0], None))
                inside = ",".join(f"{blank}{self.name(name)}:{blank}{self.text(item)}" for name, item in members)
                return f"{{{inside}{blank}}}"
            case list():
                return f"[{','.join(blank + self.text(item) for item in value)}{blank}]"
            case str():
                return self.string(value)
            case bool() | None:
                return json.dumps(value)
        return self.number(value)

    def name(self, value: str) -> str:
        return self.string(value) if self._wild else json.dumps(value)

    def string(self, value: str) -> str:
        pieces = [self.character(letter) for letter in value]
        if self.one_in(60):
            pieces.append(self._rng.choice((r"\ud83d", r"\uDE00x", r"\ud83d\u0041")))
        return f'"{"".join(pieces)}"'

    def character(self, letter: str) -> str:
        if letter in '"\\' or letter < " " or self.one_in(6):
            return r"\/" if letter == "/" else json.dumps(letter)[1:-1]
        return letter

    def number(self, value: int | Decimal) -> str:
        text = str(value)
        if self.one_in(60):
            return self._rng.choice(("NaN", "-Infinity"))
        if isinstance(value, int) and not self._wild:
            return "-0" if value == 0 else text
        if self.one_in(30):
            return self._rng.choice(("-0.0", "0e5", "1E300", "-1e-300", "9" * 40))
        if self.one_in(6):
            return text.lower() if "E" in text else text + self._rng.choice(("e0", "E+1", "e-2"))
        return text + ".0" if isinstance(value, int) and self.one_in(6) else text
