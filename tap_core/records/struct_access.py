"""How transforms reach into the compiled records of the fast path."""

from __future__ import annotations

from itertools import compress, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec import UNSET
from typing_extensions import override

from tap_core.codec import canonical_lines, decode, plain
from tap_core.records.columns import GAPS, Surprise, consume, has_gaps
from tap_core.records.field import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_core.codec import Json

__all__ = ["Reads", "StructAccess"]


class StructAccess(Access):
    """Records as instances of a compiled type.

    Args:
        attributes: The attribute of each field.
        nested: How to reach into the objects of a field.

    Attributes:
        page: All records of the page at hand.
        sources: The JSON that each of them came as; not looked at unless that is needed.
    """

    def __init__(self, attributes: Mapping[str, str], nested: Mapping[str, StructAccess]) -> None:
        self.page: Sequence[Any] = ()
        self.sources: Iterable[Json] = ()
        self._attributes = attributes
        self._nested = nested

    def attribute(self, name: str) -> str:
        """The attribute of a field."""
        return self._attributes[name]

    @override
    def getter(self, path: str) -> Callable[[Any], Any]:
        name, _, rest = path.partition(".")
        attribute = attrgetter(self._attributes[name])

        def read(row: Any) -> Any:
            value = attribute(row)
            return None if value is UNSET else value

        if not rest:
            return read
        if name in self._nested:
            inner = self._nested[name].getter(rest)
            return lambda row: None if (value := read(row)) is None else inner(value)

        def read_json(row: Any) -> Any:
            value = plain(read(row))
            for part in rest.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            return value

        return read_json

    @override
    def column(self, path: str) -> Callable[[Sequence[Any]], list[Any]]:
        name, _, rest = path.partition(".")
        if rest:
            return self._column_inside(name, rest) if name in self._nested else super().column(path)
        read = attrgetter(self._attributes[path])

        def column(rows: Sequence[Any]) -> list[Any]:
            values = list(map(read, rows))
            return [None if value is UNSET else value for value in values] if has_gaps(values) else values

        return column

    def _column_inside(self, name: str, rest: str) -> Callable[[Sequence[Any]], list[Any]]:
        outer, inner = self.column(name), self._nested[name].column(rest)

        def column(rows: Sequence[Any]) -> list[Any]:
            values = outer(rows)
            if not has_gaps(values):
                return inner(values)
            found = iter(inner([value for value in values if value is not None]))
            return [None if value is None else next(found) for value in values]

        return column

    @override
    def setter(self, name: str) -> Callable[[Any, Any], None]:
        attribute = self._attributes[name]
        return lambda row, value: setattr(row, attribute, value)

    @override
    def filler(self, name: str) -> Callable[[Sequence[Any], Iterable[Any]], None]:
        attribute = self._attributes[name]
        return lambda rows, values: consume(map(setattr, rows, repeat(attribute), values))

    @override
    def is_absent(self, name: str) -> Callable[[Sequence[Any]], bool]:
        read = attrgetter(self._attributes[name])
        return lambda rows: GAPS.issuperset(map(type, map(read, rows)))

    @override
    def converter(self, name: str, kind: type, change: Callable[[Any], Any]) -> Callable[[Sequence[Any]], None]:
        attribute = self._attributes[name]
        read = attrgetter(attribute)

        def convert(rows: Sequence[Any]) -> None:
            values = list(map(read, rows))
            kinds = set(map(type, values))
            if kind not in kinds:
                return
            if len(kinds) == 1:
                changed = list(map(change, values))
            else:
                changed = [change(value) if type(value) is kind else value for value in values]
            if change is not str and changed.count(None) > values.count(None):
                raise Surprise
            consume(map(setattr, rows, repeat(attribute), changed))

        return convert

    @override
    def dropper(self, name: str) -> Callable[[Any], None]:
        attribute = self._attributes[name]
        return lambda row: setattr(row, attribute, UNSET)

    @override
    def inside(self, name: str) -> Access:
        return self._nested[name]

    @override
    def leave(self, row: Any, path: str, value: Any) -> None:
        raise Surprise

    @override
    def sources_of(self, rows: Sequence[Any]) -> list[bytes]:
        chosen: Iterable[Json] = self.sources
        if rows is not self.page:
            wanted = set(map(id, rows))
            chosen = compress(self.sources, [id(row) in wanted for row in self.page])
        sources = decode(b"[" + b",".join(chosen) + b"]")
        return canonical_lines(sources).split(b"\n")[:-1]


class Reads(Access):
    """Notes which top-level fields transforms look at, in ``names``; has no records."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def _note(self, path: str) -> None:
        self.names.add(path.partition(".")[0])

    @override
    def getter(self, path: str) -> Callable[[Any], Any]:
        self._note(path)
        return lambda _row: None

    @override
    def setter(self, name: str) -> Callable[[Any, Any], None]:
        self._note(name)
        return lambda _row, _value: None

    @override
    def dropper(self, name: str) -> Callable[[Any], None]:
        self._note(name)
        return lambda _row: None

    @override
    def inside(self, name: str) -> Access:
        self._note(name)
        return Reads()

    @override
    def leave(self, row: Any, path: str, value: Any) -> None:
        raise NotImplementedError

    @override
    def sources_of(self, rows: Sequence[Any]) -> list[bytes]:
        raise NotImplementedError
