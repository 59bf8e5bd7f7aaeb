"""What is right, by the standard library alone: it shares no code with what is tested."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NotJson", "Number", "Pairs", "one_line", "parsed", "refusal", "rows_of", "text_of"]

_DEEPEST = 256
_LONGEST_LINE = 2_000


class NotJson(Exception):  # noqa: N818  an answer
    """A text is not JSON, or not of the expected kind."""


class Number(str):
    """A number, by the digits in which it came."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """The members of an object in their order, each as often as it came."""

    def last(self, name: str) -> Any:
        """The last value of a member; it counts where a name comes twice."""
        found = [value for each, value in self if each == name]
        if not found:
            raise NotJson(name)
        return found[-1]


class _NotFinite:
    """NaN, or an infinity."""


def parsed(text: str | bytes, *, mend: bool = False) -> Any:
    """A JSON text, with objects as `Pairs` and numbers as `Number`.

    Args:
        text: The text.
        mend: Read what servers get wrong as the taps do: NaN as null, half a pair of surrogates as U+FFFD.

    Raises:
        NotJson: It is not one.
    """
    try:
        found = json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=Pairs,
            parse_int=Number,
            parse_float=Number,
            parse_constant=lambda _: None if mend else _NotFinite(),
        )
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None
    return _checked(found, mend=mend, depth=0)


def _checked(value: Any, *, mend: bool, depth: int) -> Any:
    if depth >= _DEEPEST and isinstance(value, list):
        raise NotJson("too deep")
    match value:
        case _NotFinite():
            raise NotJson("not a number")
        case Pairs():
            inside = [(_text(name, mend=mend), _checked(item, mend=mend, depth=depth + 1)) for name, item in value]
            return Pairs(inside)
        case list():
            return [_checked(item, mend=mend, depth=depth + 1) for item in value]
        case Number() | bool() | None:
            return value
    return _text(value, mend=mend)


def _text(text: str, *, mend: bool) -> str:
    mended = re.sub("[\ud800-\udfff]", "\ufffd", text)
    if mended != text and not mend:
        raise NotJson("half a character")
    return mended


def text_of(body: bytes, charset: str | None) -> str:
    """The text of a body: UTF-8, else what its charset says.

    Raises:
        NotJson: It is neither.
    """
    for each in ("utf-8", charset or "ascii"):
        try:
            return body.decode(each).removeprefix("\ufeff")
        except (UnicodeError, LookupError):
            continue
    raise NotJson("no text")


def rows_of(page: Any, path: Sequence[str]) -> list[Any]:
    """The list at a path.

    Raises:
        NotJson: There is none.
    """
    for name in path:
        if not isinstance(page, Pairs):
            raise NotJson("no object")
        page = page.last(name)
    if isinstance(page, Pairs) or not isinstance(page, list):
        raise NotJson("no list")
    return page


def one_line(message: str) -> bool:
    """Whether a message is what a person gets: one line, of a length that can be read."""
    return bool(message.strip()) and "\n" not in message and len(message) < _LONGEST_LINE


def refusal(error: Exception, *codes: int) -> str:
    """What an error says, which must be one line, and one of some exit codes."""
    assert one_line(str(error)), error
    assert not codes or getattr(error, "exit_code", None) in codes, error
    return str(error)
