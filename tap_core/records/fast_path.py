"""The fast path for records: types compiled once, then a page at a time at the speed of msgspec.

From the schema tree, each stream gets a tree of msgspec types. A page is decoded and checked in one call; times,
transforms and the policy run column by column; and the page is encoded in one call. Free-form JSON and numbers are
never parsed: their bytes pass through. Whatever does not fit raises `Surprise`, and the record in question goes
through `tap_core.records.slow_path`.
"""

from __future__ import annotations

from functools import reduce
from operator import attrgetter, or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tap_core.codec import NOT_JSON, encode_lines, plain
from tap_core.records.columns import (
    Surprise,
    column,
    decimals,
    drop,
    has_gaps,
    inside,
    items,
    json,
    quick_inside,
    quick_items,
    quick_numbers,
    times,
    unwrap,
)
from tap_core.records.draft import Draft
from tap_core.records.finish import Finish
from tap_core.records.rows import TypedRows
from tap_core.records.schema import EXTRA
from tap_core.records.struct_access import Reads, StructAccess
from tap_core.timestamps import alike, in_bulk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Hashable, Iterable, Mapping, Sequence

    from tap_core.codec import Json
    from tap_core.records.columns import Change, Quick, Step
    from tap_core.records.dialect import Dialect
    from tap_core.records.field import Context, Field
    from tap_core.records.policy import Policy
    from tap_core.records.schema import Node

__all__ = ["FastPath"]

_SCALARS: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool}


class _Member(NamedTuple):
    """How a member of a record is read.

    Attributes:
        kind: Its type.
        access: How to reach into it.
        shape: The change after decoding.
        finish: The change before encoding.
        quick: The change after decoding of a column that is entirely as usual.
    """

    kind: Any
    access: StructAccess | None = None
    shape: Change | None = None
    finish: Change | None = None
    quick: Quick | None = None


class _Compiler:
    """Builds the types of a schema tree, with the steps that follow decoding and those that precede encoding."""

    def __init__(self, dialect: Dialect, policy: Policy, finish: Finish) -> None:
        self._dialect = dialect
        self._policy = policy
        self._finish = finish
        self._times = times(in_bulk(dialect.time))
        self._times_alike = alike(dialect.time)

    def object(
        self, properties: Mapping[str, Node], ignored: Container[str] = (), required: Container[str] = ()
    ) -> tuple[type[msgspec.Struct], StructAccess, list[Step], list[Step]]:
        """The type of an object with declared members, and what to do with a column of such objects.

        Args:
            properties: The members.
            ignored: Those that nobody looks at.
            required: Those without which the object does not fit.
        """
        members: list[Any] = []
        nested: dict[str, StructAccess] = {}
        decoding: list[Step] = []
        encoding: list[Step] = []
        attributes = {name: f"f{number}" for number, name in enumerate(properties)}
        for name, below in properties.items():
            attribute = attributes[name]
            kind, inner, shape, finish, quick = _Member(Raw) if name in ignored else self._member(below)
            if name in required:
                members.append((attribute, kind))
            else:
                members.append((attribute, kind if kind is Raw else kind | None | UnsetType, UNSET))
            if inner is not None:
                nested[name] = inner
            if shape is not None:
                decoding.append(column(attribute, shape, quick))
            if below.drop:
                encoding.append(drop(attribute))
            elif below.hash:
                encoding.append(column(attribute, self._hashed(below.contact)))
            elif finish is not None:
                encoding.append(column(attribute, finish))
        struct = msgspec.defstruct(
            "Record",
            members,
            rename={attribute: name for name, attribute in attributes.items()},
            gc=False,
            forbid_unknown_fields=True,
            kw_only=True,
        )
        return struct, StructAccess(attributes, nested), decoding, encoding

    def _member(self, node: Node) -> _Member:
        plain_type = _plain(node)
        if plain_type is not None:
            return _Member(plain_type, finish=self._free(node))
        if node.time:
            return _Member(int | float | str, shape=self._times, quick=self._times_alike)
        if node.decimal:
            return _Member(Raw, shape=decimals)
        if node.properties is not None:
            struct, access, decoding, encoding = self.object(node.properties)
            shape = inside(decoding)
            return _Member(struct, access, shape, inside(encoding), quick_inside(shape))
        if node.items is not None:
            return self._array(node.items)
        shape = json(node.kinds, empty_array_is_map=self._dialect.empty_array_is_map)
        return _Member(
            Raw, shape=shape, finish=self._free(node), quick=quick_numbers if node.kinds == {"number"} else None
        )

    def _free(self, node: Node) -> Change | None:
        """What the policy does to values whose members are not checked."""
        return (lambda values: [self._finish.value(node, plain(value)) for value in values]) if node.touched else None

    def _array(self, node: Node) -> _Member:
        kind, access, shape, finish, _ = self._member(node)
        item: Any = kind if kind is Raw else kind | None
        rows: Any = list[item]
        member = self._dialect.list_member
        if member is None:
            quick = quick_items(shape) if node.properties is not None else None
            return _Member(rows, access, items(shape), items(finish), quick)
        named = {f"m{number}": name for number, name in enumerate(sorted(self._dialect.list_marks))}
        members: list[Any] = [("rows", rows), *((attribute, Any, None) for attribute in named)]
        renamed = {"rows": member, **named}
        envelope: Any = msgspec.defstruct("Envelope", members, rename=renamed, gc=False, forbid_unknown_fields=True)
        return _Member(rows | envelope, access, unwrap(envelope, items(shape)), items(finish))

    def _hashed(self, contact: str | None) -> Change:
        return lambda values: [self._policy.hash_value(plain(value), contact) for value in values]


class FastPath:
    """Decodes, shapes and encodes pages of one stream.

    Args:
        root: What the API sends.
        keys: The key properties; a record must have a value for each.
        fields: The stream's transforms.
        dialect: How the vendor writes times, empty maps and lists.
        policy: What happens to personal data and secrets.
        lost: Told how many values that the schema does not know were dropped as personal.
        needed: The columns that someone looks at, apart from transforms and keys; by default, those that are emitted.
            What the others hold is not even checked, unless the policy is to fail at drift.

    Attributes:
        kind: The compiled type of a record.
        is_closed: Whether every value that is emitted is decoded: the bytes of none pass through, except numbers.
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
        needed: Collection[str] | None = None,
    ) -> None:
        # The catch-all column is made only on the slow path, where its content is looked at.
        declared = {name: node for name, node in (root.properties or {}).items() if name != EXTRA}
        reads, texts = Reads(), frozenset(name for transform in fields for name in transform.texts())
        for transform in fields:
            if not transform.texts():
                transform.bind(reads, policy)
        used = {name for name, node in declared.items() if not node.drop} if needed is None else set(needed)
        ignored = () if policy.unknown_fields == "fail" else declared.keys() - used - reads.names - texts - set(keys)
        kind: Any
        self.is_closed = not any(map(_is_open, (node for name, node in declared.items() if name not in ignored)))
        self._with_source = any(transform.needs_source for transform in fields)
        compiler = _Compiler(dialect, policy, Finish(root, policy, lost))
        sent = {name for name in keys if name in declared and name not in reads.names and _plain(declared[name])}
        kind, access, self._decoding, self._encoding = compiler.object(declared, ignored, required=sent)
        rows: Any = list[kind]
        self.kind: type = kind
        self._decode = msgspec.json.Decoder(rows).decode
        self._identify = self._identifier(declared, keys, texts) if keys and sent.issuperset(keys) else None
        self._transforms = [transform.bind(access, policy) for transform in fields]
        self._keys = [attrgetter(access.attribute(key)) for key in keys if key not in sent]
        self._access = access
        self._declared, self._ignored = declared.keys(), frozenset(ignored)

    @staticmethod
    def supports(root: Node) -> bool:
        """Whether a stream can take this path at all: no object or array with declared members is hashed as a whole."""
        return not any(
            (below.hash and (below.properties is not None or below.items is not None)) or not FastPath.supports(below)
            for below in root.children()
        )

    @staticmethod
    def _identifier(
        columns: Mapping[str, Node], keys: Sequence[str], texts: Container[str]
    ) -> tuple[Callable[[bytes], Any], Sequence[tuple[Callable[[Any], Any], bool]]]:
        """A decoder of keys alone, and what reads each of them, from whole rows, too; and whether that becomes text."""
        attributes = {name: f"f{number}" for number, name in enumerate(columns)}
        kinds = [(attributes[name], _plain(columns[name])) for name in keys]
        names = {attribute: name for name, attribute in attributes.items()}
        row: Any = msgspec.defstruct("Key", kinds, rename=names, gc=False)
        rows: Any = list[row]
        return msgspec.json.Decoder(rows).decode, [(attrgetter(attributes[name]), name in texts) for name in keys]

    def identities(self, rows: Sequence[Raw]) -> Sequence[Hashable] | None:
        """The key of each row: a value, or a tuple where there are several key properties.

        It is None where the keys cannot be told without shaping the rows.

        Args:
            rows: The JSON of each.
        """
        if self._identify is None or not rows:
            return None
        decode, reads = self._identify
        found: Any = rows.decoded(self.kind) if isinstance(rows, TypedRows) else None
        if found is None:
            try:
                found = decode(_array(rows))
            except NOT_JSON:
                return None
        columns = [list(map(str, map(read, found))) if is_text else list(map(read, found)) for read, is_text in reads]
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def sent(self, rows: Sequence[Raw], path: str) -> list[Any] | None:
        """A column as the API has sent it, null for what is absent; None where the rows do not have it decoded.

        Args:
            rows: The rows of a response.
            path: The dotted path of the column.
        """
        found = rows.decoded(self.kind) if isinstance(rows, TypedRows) else None
        if found is None or path.partition(".")[0] in self._ignored:
            return None
        return self._access.column(path)(found) if path.partition(".")[0] in self._declared else [None] * len(found)

    def read(self, sources: Sequence[Json], context: Context) -> list[Any]:
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

    def shape(self, sources: Sequence[Json], context: Context) -> list[Any]:
        """The records of a page with times, references and derived columns, before anything is removed from them.

        Args:
            sources: The JSON of each record.
            context: What the records themselves do not say.

        Raises:
            Surprise: A record does not fit; nothing of the page may be used.
        """
        rows = sources.take(self.kind) if isinstance(sources, TypedRows) else None
        if rows is None:
            try:
                rows = self._decode(_array(sources))
            except NOT_JSON:
                raise Surprise from None
        if self._with_source:
            self._access.page, self._access.sources = rows, sources
        for step in self._decoding:
            step(rows)
        draft = Draft(context)
        for transform in self._transforms:
            transform(rows, draft)
        for key in self._keys:
            if has_gaps(map(key, rows)):
                raise Surprise
        draft.keep()
        return rows

    def values(self, rows: Sequence[Any], name: str) -> list[Any]:
        """A column of the records."""
        return self._access.column(name)(rows)

    def newest(self, rows: Sequence[Any], name: str) -> str | None:
        """The latest time in a column of the records; None if there is none."""
        try:
            newest = max(map(attrgetter(self._access.attribute(name)), rows), default=None)
        except TypeError:
            newest = max(filter(None, self.values(rows, name)), default=None)
        return None if newest is UNSET else newest

    @staticmethod
    def lines(rows: Sequence[Any]) -> list[bytes]:
        """Each record as JSON."""
        return encode_lines(rows).split(b"\n")[:-1]


def _plain(node: Node) -> Any:
    """The type of a member that needs no further check: scalars, and scalars or an object."""
    if node.time or node.decimal:
        return None
    scalars = [_SCALARS[kind] for kind in sorted(node.kinds & _SCALARS.keys())]
    if not scalars or not node.kinds <= {*_SCALARS, "object"}:
        return None
    return reduce(or_, [*scalars, dict[str, Raw]] if "object" in node.kinds else scalars)


def _is_open(node: Node) -> bool:
    """Whether anything may be in a place that no schema describes."""
    if node.properties is None and node.items is None and not node.time and not node.decimal:
        return bool(node.kinds & {"object", "array"})
    return any(map(_is_open, node.children()))


def _array(rows: Iterable[Json]) -> bytes:
    return b"[" + b",".join(rows) + b"]"
