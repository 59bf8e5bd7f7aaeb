"""The fast path for records: types compiled once, then a page at a time at the speed of msgspec.

From the schema tree, each stream gets a tree of msgspec types. A page is decoded and checked in one call; times,
transforms and the policy run column by column; and the page is encoded in one call. Free-form JSON and numbers are
never parsed: their bytes pass through. Whatever does not fit raises `Surprise`, and the record in question goes
through `tap_core.records.slow_path`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType
from typing_extensions import override

from tap_core import codec
from tap_core.codec import decode, encode_lines, plain
from tap_core.records.dialect import Dialect, Misfit, decimal_text
from tap_core.records.field import Access, Context, Field
from tap_core.records.finish import Finish
from tap_core.records.schema import EXTRA

if TYPE_CHECKING:
    from tap_core.codec import Json
    from tap_core.records.policy import Policy
    from tap_core.records.schema import Node

__all__ = ["FastPath", "Step", "StructAccess", "Surprise"]

Step = Callable[[Sequence[Any]], None]

_SCALARS: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool}
_FIRST: Final[Mapping[int, str]] = {
    **dict.fromkeys(b"-0123456789", "number"),
    **dict.fromkeys(b"tf", "boolean"),
    ord('"'): "string",
    ord("{"): "object",
    ord("["): "array",
    ord("n"): "null",
}


class Surprise(Exception):  # noqa: N818
    """A record does not fit the compiled types."""


class StructAccess(Access):
    """Records as instances of a compiled type."""

    def __init__(self, attributes: Mapping[str, str], nested: Mapping[str, StructAccess]) -> None:
        self._attributes = attributes
        self._nested = nested

    @override
    def getter(self, path: str) -> Callable[[Any], Any]:
        name, _, rest = path.partition(".")
        attribute = self._attributes[name]

        def read(row: Any) -> Any:
            value = getattr(row, attribute)
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
    def setter(self, name: str) -> Callable[[Any, Any], None]:
        attribute = self._attributes[name]
        return lambda row, value: setattr(row, attribute, value)

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
    def source(self, row: Any) -> bytes:
        raise NotImplementedError("the typed path keeps no sources")


class _Compiler:
    """Builds the types of a schema tree, with the steps that follow decoding and those that precede encoding."""

    def __init__(self, dialect: Dialect, policy: Policy, finish: Finish) -> None:
        self._dialect = dialect
        self._policy = policy
        self._finish = finish

    def object(self, node: Node) -> tuple[type[msgspec.Struct], StructAccess, list[Step], list[Step]]:
        """The type of an object with declared members, and what to do with a column of such objects."""
        assert node.properties is not None
        members: list[tuple[str, Any, Any]] = []
        nested: dict[str, StructAccess] = {}
        decoding: list[Step] = []
        encoding: list[Step] = []
        attributes = {name: f"f{number}" for number, name in enumerate(node.properties)}
        for name, below in node.properties.items():
            attribute = attributes[name]
            kind, inner, shape, finish = self._member(below)
            members.append((attribute, kind if kind is Raw else kind | None | UnsetType, UNSET))
            if inner is not None:
                nested[name] = inner
            if shape is not None:
                decoding.append(_column(attribute, shape))
            if below.drop:
                encoding.append(_drop(attribute))
            elif below.hash:
                encoding.append(_column(attribute, lambda value: self._policy.hash_value(plain(value))))
            elif finish is not None:
                encoding.append(_column(attribute, finish))
        struct = msgspec.defstruct(
            "Record",
            members,
            rename={attribute: name for name, attribute in attributes.items()},
            gc=False,
            forbid_unknown_fields=True,
        )
        return struct, StructAccess(attributes, nested), decoding, encoding

    def _member(
        self, node: Node
    ) -> tuple[Any, StructAccess | None, Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
        """A member's type, how to reach into it, and the changes to its value after decoding and before encoding."""
        plain_type = self._plain(node)
        if plain_type is not None:
            return plain_type, None, None, self._free(node)
        if node.time:
            return int | float | str, None, self._time, None
        if node.decimal:
            return Raw, None, _decimal, None
        if node.properties is not None:
            struct, access, decoding, encoding = self.object(node)
            return struct, access, _each(decoding), _each(encoding)
        if node.items is not None:
            return self._array(node.items)
        return Raw, None, self._json(node.kinds), self._free(node)

    def _free(self, node: Node) -> Callable[[Any], Any] | None:
        """What the policy does to a value whose members are not checked."""
        return (lambda value: self._finish.value(node, plain(value))) if node.touched else None

    @staticmethod
    def _plain(node: Node) -> Any:
        """The type of a member that needs no further check: scalars, and scalars or an object."""
        if node.time or node.decimal:
            return None
        scalars = [_SCALARS[kind] for kind in sorted(node.kinds & _SCALARS.keys())]
        if not scalars or not node.kinds <= {*_SCALARS, "object"}:
            return None
        return reduce(or_, [*scalars, dict[str, Raw]] if "object" in node.kinds else scalars)

    def _array(
        self, node: Node
    ) -> tuple[Any, StructAccess | None, Callable[[Any], Any] | None, Callable[[Any], Any] | None]:
        kind, access, shape, finish = self._member(node)
        item: Any = kind if kind is Raw else kind | None
        rows: Any = list[item]
        member = self._dialect.list_member
        if member is None:
            return rows, access, _all(shape), _all(finish)
        named = {f"m{number}": name for number, name in enumerate(sorted(self._dialect.list_marks))}
        members: list[Any] = [("rows", rows), *((attribute, Any, None) for attribute in named)]
        renamed = {"rows": member, **named}
        envelope: Any = msgspec.defstruct("Envelope", members, rename=renamed, gc=False, forbid_unknown_fields=True)
        within = _all(shape)

        def unwrap(value: Any) -> Any:
            found = value.rows if isinstance(value, envelope) else value
            return within(found) if within else found

        return rows | envelope, access, unwrap, _all(finish)

    def _time(self, value: Any) -> str:
        try:
            return self._dialect.time(value)
        except ValueError:
            raise Surprise from None

    def _json(self, kinds: frozenset[str]) -> Callable[[Any], Any]:
        """A check of undecoded JSON by its first byte."""
        maps = "object" in kinds and "array" not in kinds and self._dialect.empty_array_is_map
        whole = "integer" in kinds and "number" not in kinds

        def check(value: Raw) -> Any:
            view = memoryview(value)
            kind = _FIRST[view[0]]
            if kind in kinds:
                return value
            if kind == "null":
                return None
            if kind == "number" and whole and not {*b".eE"} & {*bytes(view)}:
                return value
            if kind == "array" and maps and bytes(view[1:]).strip() == b"]":
                return {}
            raise Surprise

        return check


def _column(attribute: str, change: Callable[[Any], Any]) -> Step:
    def step(rows: Sequence[Any]) -> None:
        for row in rows:
            value = getattr(row, attribute)
            if value is not None and value is not UNSET:
                setattr(row, attribute, change(value))

    return step


def _drop(attribute: str) -> Step:
    def step(rows: Sequence[Any]) -> None:
        for row in rows:
            setattr(row, attribute, UNSET)

    return step


def _each(steps: Sequence[Step]) -> Callable[[Any], Any] | None:
    """Steps over a column as a change of one object."""
    if not steps:
        return None

    def change(value: Any) -> Any:
        row = (value,)
        for step in steps:
            step(row)
        return value

    return change


def _all(change: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """A change of one value as a change of each in a list."""
    if change is None:
        return None
    return lambda values: [None if value is None else change(value) for value in values]


def _decimal(value: Raw) -> str | None:
    found = decode(value)
    try:
        return None if found is None else decimal_text(found)
    except Misfit:
        raise Surprise from None


class FastPath:
    """Decodes, shapes and encodes pages of one stream.

    Args:
        root: What the API sends.
        keys: The key properties; a record must have a value for each.
        fields: The stream's transforms.
        dialect: How the vendor writes times, empty maps and lists.
        policy: What happens to personal data and secrets.
        lost: Told how many values that the schema does not know were dropped as personal.
    """

    def __init__(
        self,
        *,
        root: Node,
        keys: Sequence[str],
        fields: Sequence[Field],
        dialect: Dialect,
        policy: Policy,
        lost: Callable[[int], None] = lambda _number: None,
    ) -> None:
        # The catch-all column is made only on the slow path, where its content is looked at.
        declared = {name: node for name, node in (root.properties or {}).items() if name != EXTRA}
        struct: Any
        struct, access, self._decoding, self._encoding = _Compiler(dialect, policy, Finish(root, policy, lost)).object(
            replace(root, properties=declared)
        )
        rows: Any = list[struct]
        self._decoder = msgspec.json.Decoder(rows)
        self._transforms = [transform.bind(access, policy) for transform in fields]
        self._keys = [access.getter(key) for key in keys]
        self._access = access

    @staticmethod
    def supports(root: Node, fields: Sequence[Field]) -> bool:
        """Whether a stream can take this path at all."""
        return not any(transform.needs_source for transform in fields) and not _hashes_inside(root)

    def read(self, sources: Iterable[Json], context: Context) -> list[Any]:
        """The records of a page, ready to be encoded.

        Args:
            sources: The JSON of each record.
            context: What the records themselves do not say.

        Raises:
            Surprise: A record does not fit; nothing of the page may be used.
        """
        rows = self.shape(sources, context)
        for step in self._encoding:
            step(rows)
        return rows

    def shape(self, sources: Iterable[Json], context: Context) -> list[Any]:
        """The records of a page with times, references and derived columns, before anything is removed from them.

        Args:
            sources: The JSON of each record.
            context: What the records themselves do not say.

        Raises:
            Surprise: A record does not fit; nothing of the page may be used.
        """
        try:
            rows: list[Any] = self._decoder.decode(b"[" + b",".join(sources) + b"]")
        except codec.NOT_JSON:
            raise Surprise from None
        for step in self._decoding:
            step(rows)
        for transform in self._transforms:
            transform(rows, context)
        for read in self._keys:
            if any(read(row) is None for row in rows):
                raise Surprise
        return rows

    def values(self, rows: Sequence[Any], name: str) -> list[Any]:
        """A column of the records."""
        read = self._access.getter(name)
        return [read(row) for row in rows]

    @staticmethod
    def lines(rows: Sequence[Any]) -> list[bytes]:
        """Each record as JSON."""
        return encode_lines(rows)


def _hashes_inside(node: Node) -> bool:
    """Whether an object or array with declared members is hashed as a whole."""
    return any(
        (below.hash and (below.properties is not None or below.items is not None)) or _hashes_inside(below)
        for below in node.children()
    )
