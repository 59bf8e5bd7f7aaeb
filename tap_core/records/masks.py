"""Secrets inside the data: masked before anything is written, unless ``mask_secrets`` is false."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from tap_core.codec import encode, plain
from tap_core.config.redact import MASK
from tap_core.records.field import Access, Context, Field, Rows, Transform
from tap_core.records.policy import Policy, walk_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Masked", "MaskedUrl", "merge_maps"]


@dataclass(frozen=True)
class Masked(Field):
    """A column of secrets: each leaf value becomes ``***`` and the keys stay, unless ``mask_secrets`` is false.

    An array of one map, as some servers send it, becomes the map. Whatever else comes is put into the form that the
    column has, because the place of a secret is no place for surprises.

    Args:
        name: The column, or a dotted path into the objects of a column (``gateway.settings``).
        text: The column holds text, not a map.
    """

    name: str
    text: bool = False

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return {} if "." in self.name else {self.name: {}}

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        column, *inside = self.name.split(".")
        read, write = access.column(column), access.setter(column)
        form = _merged if inside else _as_text if self.text else _as_map
        change = partial(_masked, form) if policy.mask_secrets else form

        fill = access.filler(column)

        def mask(rows: Rows, _context: Context) -> None:
            fill([row for row, value in zip(rows, read(rows), strict=True) if value is not None], repeat(MASK))

        def apply(rows: Rows, _context: Context) -> None:
            for row, value in _concerned(inside, rows, read(rows)):
                if (changed := _changed_at(inside, value, change)) is not value:
                    write(row, changed)

        return mask if self.text and not inside and policy.mask_secrets else apply


def _concerned(path: Sequence[str], rows: Rows, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The rows, with their values, where there may be something at a path inside the value.

    Undecoded JSON without the name of a member certainly has no such member, unless letters are written as escapes.
    """
    pairs = zip(rows, values, strict=True)
    if not path:
        return [pair for pair in pairs if pair[1] is not None]
    first, last = path[0], path[-1].encode()
    return [
        (row, value)
        for row, value in pairs
        if (
            last in (text := bytes(value)) or b"\\u00" in text
            if type(value) is msgspec.Raw
            else isinstance(value, dict) and value.get(first) is not None
        )
    ]


def _changed_at(path: Sequence[str], value: Any, change: Callable[[Any], Any]) -> Any:
    """A value with what is at a path inside it changed; the same object if there is nothing there."""
    if not path:
        return change(plain(value))
    value = plain(value) if isinstance(value, msgspec.Raw) else value
    first, *rest = path
    if not isinstance(value, dict) or value.get(first) is None:
        return value
    changed = _changed_at(rest, value[first], change)
    return value if changed is value[first] else {**value, first: changed}


def _masked(form: Callable[[Any], Any], value: Any) -> Any:
    """A value in the form of its column, with each leaf masked."""
    return walk_leaves(form(value), lambda _leaf: MASK)


def _merged(value: Any) -> Any:
    """An array of one map as the map; no schema says what else there may be inside an open object."""
    return merge_maps(value) if isinstance(value, list) else value


def _as_map(value: Any) -> Any:
    return _merged(value if value is None or isinstance(value, dict | list) else [value])


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else encode(value).decode()


_USER_INFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*://)[^/?#]*@")


@dataclass(frozen=True)
class MaskedUrl(Field):
    """A column of URLs: user and password become ``***`` and the rest stays, unless ``mask_secrets`` is false.

    Args:
        name: The column, or a dotted path into the objects of a column (``webhook.url``).
    """

    name: str

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        column, *inside = self.name.split(".")
        read, write = access.column(column), access.setter(column)

        def apply(rows: Rows, _context: Context) -> None:
            if not policy.mask_secrets:
                return
            for row, value in _concerned(inside, rows, read(rows)):
                if (changed := _changed_at(inside, value, _without_user)) is not value:
                    write(row, changed)

        return apply


def _without_user(value: Any) -> Any:
    """A URL without its user and password; anything else as it is."""
    return _USER_INFO.sub(rf"\1{MASK}@", value) if isinstance(value, str) and "@" in value else value


def merge_maps(members: Sequence[Any]) -> dict[str, Any]:
    """An array of maps as one map; the array under ``values`` where that would lose a member."""
    merged: dict[str, Any] = {}
    for member in members:
        if not isinstance(member, dict) or merged.keys() & member.keys():
            return {"values": list(members)}
        merged |= member
    return merged
