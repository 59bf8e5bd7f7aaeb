"""What the fast path does with a column of values: checks and changes, for all rows of a page in a few calls.

A `Change` is given the values of a column that are not null, and returns what stands in their place: the same list
where nothing changes. A `Quick` one is given the whole column first, and returns None if that is not entirely as usual;
then it has changed nothing. A `Step` applies them to the column of an attribute of records.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import reduce
from itertools import chain, compress, repeat
from operator import attrgetter, or_
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tap_core.codec import NOT_JSON, decode
from tap_core.records.dialect import Misfit, decimal_text

__all__ = [
    "GAPS",
    "Change",
    "Quick",
    "Step",
    "Surprise",
    "column",
    "consume",
    "decimals",
    "drop",
    "has_gaps",
    "inside",
    "items",
    "json",
    "quick_inside",
    "quick_items",
    "quick_numbers",
    "times",
    "unwrap",
]

Step = Callable[[Sequence[Any]], None]
Change = Callable[[list[Any]], list[Any]]
Quick = Callable[[list[Any]], list[Any] | None]

_NUMERIC: Final = b"0123456789.,eE+-"
_DIGITS: Final = b"0123456789.,-"
# What `Decimal` writes in another way than it came.
_MINUS_ZERO: Final = b"-0"
_MANY_ZEROS: Final = b"0.000000"
_NULL: Final = Raw(b"null")
GAPS: Final = frozenset({type(None), UnsetType})
"""The types of what is null or absent."""


class Surprise(Exception):  # noqa: N818
    """A record does not fit the compiled types."""


def has_gaps(values: Iterable[Any]) -> bool:
    """Whether a value is null or absent; told by the types, because comparing values takes longer."""
    return not GAPS.isdisjoint(map(type, values))


def column(attribute: str, change: Change, quick: Quick | None = None) -> Step:
    """A change of a column of records; absent values stay absent, and null stays null."""
    read = attrgetter(attribute)

    def step(rows: Sequence[Any]) -> None:
        values = list(map(read, rows))
        changed = None if quick is None or not values else quick(values)
        if changed is None:
            if has_gaps(values):
                found = [value is not None and value is not UNSET for value in values]
                rows, values = list(compress(rows, found)), list(compress(values, found))
            changed = change(values) if values else values
        if changed is not values:
            consume(map(setattr, rows, repeat(attribute), changed))

    return step


def drop(attribute: str) -> Step:
    """Makes a column of records absent."""
    return lambda rows: consume(map(setattr, rows, repeat(attribute), repeat(UNSET)))


def inside(steps: Sequence[Step]) -> Change | None:
    """Steps for the objects in a column; None if there are none."""
    if not steps:
        return None

    def change(values: list[Any]) -> list[Any]:
        for step in steps:
            step(values)
        return values

    return change


def quick_inside(change: Change | None) -> Quick | None:
    """The same for a column without a null: one would fail at the first look into it, before anything is changed."""
    if change is None:
        return None

    def rows(values: list[Any]) -> list[Any] | None:
        try:
            return change(values)
        except AttributeError:
            return None

    return rows


def quick_items(change: Change | None) -> Quick | None:
    """What `quick_inside` does, for a column of arrays of objects."""
    if change is None:
        return None

    def within(values: list[Any]) -> list[Any] | None:
        try:
            change(list(chain.from_iterable(values)))
        except (AttributeError, TypeError):
            return None
        return values

    return within


def items(change: Change | None) -> Change | None:
    """A change of values as one of arrays of such values, nulls in them left out; None if there is none."""
    if change is None:
        return None

    def within(values: list[Any]) -> list[Any]:
        found = list(chain.from_iterable(values))
        if has_gaps(found):
            found = [value for value in found if value is not None]
        if not found or (changed := change(found)) is found:
            return values
        following = iter(changed)
        return [[None if value is None else next(following) for value in array] for array in values]

    return within


def unwrap(envelope: Any, change: Change | None) -> Change:
    """Takes the rows out of the objects that hold them, and then changes the rows."""

    def rows(values: list[Any]) -> list[Any]:
        found = [value.rows if isinstance(value, envelope) else value for value in values]
        return found if change is None else change(found)

    return rows


def times(read: Callable[[Sequence[Any]], list[str]]) -> Change:
    """Times in the vendor's form become the engine's."""

    def change(values: list[Any]) -> list[Any]:
        try:
            return read(values)
        except ValueError:
            raise Surprise from None

    return change


def decimals(values: list[Any]) -> list[Any]:
    """Undecoded numbers and texts become exact decimals as text; null becomes None."""
    text = b",".join(values)
    if b"null" in text:
        found = _without_nulls(values)
        numbers = [value for value in found if value is not None]
        texts = iter(_decimals(numbers, b",".join(numbers)))
        return [None if value is None else next(texts) for value in found]
    return _decimals(values, text)


def _decimals(values: list[Any], text: bytes) -> list[Any]:
    """Numbers and texts as decimals.

    Args:
        values: The JSON of each.
        text: The same with commas between them.
    """
    rest = text.translate(None, _DIGITS)
    has_rare = _MINUS_ZERO in text or _MANY_ZEROS in text
    if not rest and not has_rare:
        return text.decode().split(",")
    try:
        # Between quotes, every digit stays as it came; only of numbers some are written in another way.
        if not rest.strip(b'"') and (len(rest) == 2 * len(values) or not has_rare):
            found = text.replace(b'"', b"").decode().split(",")
            if len(found) == len(values):
                consume(map(Decimal, found))
                return found
        return [decimal_text(value) for value in decode(b"[" + text + b"]")]
    except (Misfit, ArithmeticError):
        raise Surprise from None


def json(kinds: frozenset[str], *, empty_array_is_map: bool) -> Change:
    """A check of undecoded JSON, whose bytes stay as they are; null becomes None.

    Args:
        kinds: The JSON types that are allowed, without ``null``.
        empty_array_is_map: ``[]`` stands for an empty object where no array is allowed.
    """
    return _numbers if kinds == {"number"} else _Kinds(kinds, empty_array_is_map=empty_array_is_map)


def quick_numbers(values: list[Any]) -> list[Any] | None:
    """A column of undecoded numbers, if there is nothing else in it."""
    try:
        return None if b",".join(values).translate(None, _NUMERIC) else values
    except TypeError:
        return None


def _numbers(values: list[Any]) -> list[Any]:
    """Without their digits, numbers leave nothing, and nulls their own letters: that is quicker than decoding them."""
    text = b",".join(values)
    rest = text.translate(None, _NUMERIC)
    if not rest:
        return values
    if rest.replace(b"null", b""):
        raise Surprise
    return _without_nulls(values)


class _Object(msgspec.Struct, gc=False):
    """Any JSON object; its members are skipped."""


class _Kinds:
    """Lets undecoded JSON of some types pass."""

    _TYPES: Final = {"object": _Object, "array": list[Raw], "string": str, "number": float, "boolean": bool}

    def __init__(self, kinds: frozenset[str], *, empty_array_is_map: bool) -> None:
        types: list[Any] = [self._TYPES[kind] for kind in sorted(kinds & self._TYPES.keys())]
        if "integer" in kinds and "number" not in kinds:
            types.append(int)
        self._maps = empty_array_is_map and "object" in kinds and "array" not in kinds
        if self._maps:
            types.append(list[Raw])
        self._decode = msgspec.json.Decoder(list[reduce(or_, [*types, None])]).decode  # type: ignore[misc]

    def __call__(self, values: list[Any]) -> list[Any]:
        try:
            found = self._decode(_array(values))
        except NOT_JSON:
            raise Surprise from None
        if self._maps and any(isinstance(value, list) for value in found):
            return [self._map(value, kind) for value, kind in zip(values, found, strict=True)]
        return _without_nulls(values) if None in found else values

    @staticmethod
    def _map(value: Raw, found: Any) -> Any:
        if isinstance(found, list) and found:
            raise Surprise
        return None if found is None else {} if isinstance(found, list) else value


def _without_nulls(values: list[Any]) -> list[Any]:
    return [None if value == _NULL else value for value in values]


def _array(values: Sequence[Raw]) -> bytes:
    return b"[" + b",".join(values) + b"]"


consume = deque[Any](maxlen=0).extend
"""Goes through an iterator for the sake of what that does."""
