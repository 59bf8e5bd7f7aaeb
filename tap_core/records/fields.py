"""Declarative field transforms.

A stream lists what its records need on top of their schema; the engine compiles the list once and then runs it column
by column over a page of typed records, or over one plain dictionary where a record does not fit its types. Each
transform is written once for both: it reads and writes through an `Access`.

    fields = (
        Alias("timestamp_delivered", old="delivered_timestamp"),
        Reference("event"),
        Latest("_updated_at", of=("created", "last_delivery_attempt")),
    )

Time formats need no transform: the schema's ``format: date-time`` and the vendor's `Dialect` are enough.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import reduce
from itertools import chain, compress, repeat
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Raw
from typing_extensions import override

from tap_core.codec import decode, plain
from tap_core.records.draft import numbers
from tap_core.records.field import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_core.records.field import Access, Context, Rows, Transform
    from tap_core.records.policy import Policy

__all__ = ["Alias", "AsInteger", "AsText", "Chosen", "Default", "FromContext", "Latest", "Nested", "Reference"]


@dataclass(frozen=True)
class Alias(Field):
    """One fact under two names: the value under the old name moves to ``name`` unless that has a value.

    Two different values are not one fact: the old one is left then, and so is what stands beside it in an object.

    Args:
        name: The column.
        old: The other name, or a dotted path to it (``webhook.url``).
        schema: The JSON schema of the first part of ``old``; by default the same as that of ``name``.
    """

    name: str
    old: str
    schema: Mapping[str, Any] | None = None

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return {self.old.partition(".")[0]: self.schema or {"x-like": self.name}}

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        first, *path = self.old.split(".")
        read, read_old, write = access.getter(self.name), access.column(first), access.setter(self.name)
        drop = access.dropper(first)

        def apply(rows: Rows, _context: Context) -> None:
            for row, found in zip(rows, read_old(rows), strict=True):
                drop(row)
                if found is None:
                    continue
                value, rest = _taken(path, plain(found)) if path else (found, None)
                present = read(row)
                if present is None and value is not None:
                    write(row, value)
                elif value is not None and plain(present) != plain(value):
                    access.leave(row, self.old, plain(value))
                if rest:
                    access.leave(row, first, rest)

        return apply


def _taken(path: Sequence[str], value: Any) -> tuple[Any, Any]:
    """The value at a path inside an object, and what is left of the object without it."""
    if not path:
        return value, None
    if not isinstance(value, dict):
        return None, value
    found, rest = _taken(path[1:], value.get(path[0]))
    others = {name: member for name, member in value.items() if name != path[0]}
    return found, others if rest in (None, {}) else {**others, path[0]: rest}


def _whole_number(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdecimal() else None


@dataclass(frozen=True)
class _Identifiers(Field):
    """Identifiers that arrive as text or as a whole number, and leave as one of them."""

    names: Sequence[str]

    SHAPES: ClassVar[Mapping[str, Any]] = {"type": ["string", "integer", "null"]}

    @abstractmethod
    def change(self) -> tuple[type, Callable[[Any], Any]]:
        """The type of those that are changed, and what makes the other type of one; it gives None where it cannot."""

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return dict.fromkeys(self.names, self.SHAPES)

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        columns = [access.converter(name, *self.change()) for name in self.names]

        def apply(rows: Rows, _context: Context) -> None:
            for convert in columns:
                convert(rows)

        return apply


class AsText(_Identifiers):
    """Identifiers that arrive as text or as a whole number, and leave as text."""

    @override
    def change(self) -> tuple[type, Callable[[Any], Any]]:
        return int, str

    @override
    def texts(self) -> Sequence[str]:
        return self.names


class AsInteger(_Identifiers):
    """Numeric identifiers that arrive as a whole number or as its digits, and leave as a number.

    Text other than digits is not an identifier: it is left.
    """

    @override
    def change(self) -> tuple[type, Callable[[Any], Any]]:
        return str, _whole_number


@dataclass(frozen=True)
class Reference(Field):
    """A reference in any of three shapes (identifier, ``{id, object}`` stub, full object) becomes ``<name>_id``.

    The object stays under its own name where it is more than a stub; otherwise that column is absent.

    Args:
        name: The field.
        to: The column of the identifier; ``<name>_id`` by default. If it is named, it is the API's own: its value, if
            it has another one, is kept, and so is the reference.
        keys: Where an object holds its identifier; the first one present counts.
        stub: The members that make up a stub.
        keep_stub: Keep the object even if it is a stub.
    """

    name: str
    to: str | None = None
    keys: tuple[str, ...] = ("id",)
    stub: frozenset[str] = frozenset({"id", "object"})
    keep_stub: bool = False

    SHAPES: ClassVar[Mapping[str, Any]] = {"type": ["string", "integer", "object", "null"]}

    @override
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        return {self.name: self.SHAPES}

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        target = self.to or f"{self.name}_id"
        read, drop = access.column(self.name), access.dropper(self.name)
        write, read_own = access.column_replacer(target), access.column(target) if self.to else None
        stub: frozenset[str] = frozenset() if self.keep_stub else self.stub

        def apply(rows: Rows, _context: Context) -> None:
            values = read(rows)
            identifiers = self._identifiers(values)
            for place, own in enumerate(read_own(rows) if read_own else ()):
                if own is not None and identifiers[place] not in (None, own):
                    identifiers[place] = None
                    if not isinstance(values[place], dict):
                        access.leave(rows[place], self.name, values[place])
            found = [identifier is not None for identifier in identifiers]
            write(list(compress(rows, found)), list(compress(identifiers, found)))
            for row, value, identifier in zip(rows, values, identifiers, strict=True):
                # What is no object, or a stub, says nothing beyond the identifier that was taken from it.
                if value is not None and (type(value) is not dict or (identifier is not None and value.keys() <= stub)):
                    drop(row)

        return apply

    def _identifiers(self, values: Sequence[Any]) -> list[str | None]:
        """What references refer to; None where an object does not say."""
        found = [self._member(value) if isinstance(value, dict) else value for value in values]
        if raw := [value for value in found if isinstance(value, Raw)]:
            decoded = iter(decode(b"[" + b",".join(raw) + b"]"))
            found = [next(decoded) if isinstance(value, Raw) else value for value in found]
        return [value if type(value) is str else str(value) if isinstance(value, int) else None for value in found]

    def _member(self, value: Mapping[str, Any]) -> Any:
        """The identifier of an object."""
        for key in self.keys:
            if key in value:
                return value[key]
        return None


@dataclass(frozen=True)
class Latest(Field):
    """The latest of several times of a record: a derived change marker.

    Args:
        name: The column, such as ``_updated_at``.
        of: Dotted paths of the times. By then, all are in the engine's own text form, so that text order is time order.
    """

    name: str
    of: Sequence[str]

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        reads, replace = [access.column(path) for path in self.of], access.column_replacer(self.name)

        def apply(rows: Rows, _context: Context) -> None:
            latest = reduce(_later, [read(rows) for read in reads])
            if None in latest:
                rows = [row for row, time in zip(rows, latest, strict=True) if time]
            replace(rows, list(filter(None, latest)))

        return apply


def _later(times: list[str | None], others: list[str | None]) -> list[str | None]:
    """The later one of each two times."""
    return [
        time if other is None or (time is not None and time >= other) else other
        for time, other in zip(times, others, strict=True)
    ]


@dataclass(frozen=True)
class FromContext(Field):
    """Columns that the record leaves out and the request knows: the parent's key, the window, the time of reading."""

    names: Sequence[str]

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        columns = [(name, access.is_absent(name), access.column(name), access.filler(name)) for name in self.names]

        def apply(rows: Rows, context: Context) -> None:
            for name, is_absent, read, fill in columns:
                value = context[name]
                if not is_absent(rows):
                    for row, before in zip(rows, read(rows), strict=True):
                        if before is not None and before != value:
                            access.leave(row, name, before)
                fill(rows, repeat(value))

        return apply


@dataclass(frozen=True)
class Nested(Field):
    """Transforms for the objects inside a column: one object, or each in an array.

    Args:
        name: The column.
        fields: What the objects need.
    """

    name: str
    fields: Sequence[Field]

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        read, inner = access.column(self.name), access.inside(self.name)
        transforms = [transform.bind(inner, policy) for transform in self.fields]

        def apply(rows: Rows, context: Context) -> None:
            objects = [value for value in read(rows) if value is not None]
            if list in map(type, objects):
                lists = [value if type(value) is list else [value] for value in objects]
                objects = [item for item in chain.from_iterable(lists) if item is not None]
            for transform in transforms:
                transform(objects, context)

        return apply


@dataclass(frozen=True)
class Default(Field):
    """What fills a column where the API sends nothing: another column's value, or a constant.

    Args:
        name: The column.
        value: The constant.
        column: The other column, tried first.
    """

    name: str
    value: Any = None
    column: str | None = None

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        read, write = access.column(self.name), access.setter(self.name)
        read_other = access.getter(self.column) if self.column else None

        def apply(rows: Rows, _context: Context) -> None:
            for row, value in zip(rows, read(rows), strict=True):
                if value is None:
                    other = read_other(row) if read_other else None
                    write(row, self.value if other is None else other)

        return apply


@dataclass(frozen=True)
class Chosen(Field):
    """The value, as text, of whichever column the request was about; else the column's own value.

    Records of one slice with the same value are numbered (``ES``, ``ES #2``), because the column is part of a key.

    Args:
        name: The column.
        by: The context value that names the column.
        among: The columns that it may name.
        none: The value for a record without one.
        beside: Further columns of the key, which distinguish records with the same value.
    """

    name: str
    by: str
    among: Sequence[str]
    none: str
    beside: Sequence[str] = ()

    @override
    def bind(self, access: Access, _policy: Policy) -> Transform:
        reads, write = {name: access.getter(name) for name in self.among}, access.setter(self.name)
        read_own = access.getter(self.name)
        others = [access.getter(name) for name in self.beside]

        def apply(rows: Rows, context: Context) -> None:
            read, keys = reads[context[self.by]], []
            for row in rows:
                own = read_own(row)
                value = own if (found := read(row)) is None else found
                text = self.none if value is None else str(value)
                if own is not None and str(own) != text:
                    access.leave(row, self.name, own)
                keys.append((text, *(other(row) for other in others)))
            counted = numbers(context, self.name).number(keys)
            for row, (text, *_), number in zip(rows, keys, counted, strict=True):
                write(row, text if number == 1 else f"{text} #{number}")

        return apply
