"""A stream's JSON schema, read once into a tree that both record paths are compiled from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tap_core.errors import ConfigError
from tap_core.records.fields import Nested

if TYPE_CHECKING:
    from tap_core.records.field import Field
    from tap_core.records.policy import Policy

__all__ = [
    "ANY",
    "EXTRA",
    "EXTRA_SCHEMA",
    "Crumb",
    "Node",
    "Selected",
    "emitted_schema",
    "is_personal",
    "kinds_of",
    "marked",
    "names_in",
    "record_node",
    "with_extra",
]

EXTRA: Final = "_extra"
"""The column for everything that the schema does not know."""

EXTRA_SCHEMA: Final[Mapping[str, Any]] = {
    "type": ["object", "null"],
    "additionalProperties": True,
    "description": "Fields that the schema does not know, and values of a type that it does not allow, by their path.",
}

_SHAPES: Final = ("anyOf", "oneOf", "allOf", "prefixItems", "patternProperties", "if", "then", "else", "contains")

ANY: Final = frozenset({"string", "integer", "number", "boolean", "object", "array"})

Crumb = tuple[str, ...]
Selected = Callable[[Crumb], bool]


@dataclass(slots=True)
class Node:
    """One place in a schema.

    Args:
        kinds: The JSON types that are allowed here, without ``null``.
        time: A date-time; arrives in the vendor's format and leaves in the engine's.
        decimal: An exact decimal (``x-singer.decimal``); arrives as a number or text and leaves as text.
        properties: The members of an object that declares them.
        items: What an array holds.
        drop: Read, but not emitted: deselected, dropped by the policy, or only an input of a transform.
        hash: Replaced by its keyed hash.
        withheld: Never shown, not even in the catch-all column: deselected, or dropped by the policy.
        personal: Personal data (``x-pii``).
        contact: The kind of contact detail that ``x-pii`` names, in whose normal form it is hashed; never of a key,
            because different keys must stay different.
        secret: Masked (``x-secret``), and so is a member of that name where the schema does not know it.
        harmless: Nobody's data, whatever its members are called (``x-pii: false``).
        free: Members that no schema declares may be in it, and the policy does something to them.
        members: What is known about the members of an object that is read without checking them.
    """

    kinds: frozenset[str]
    time: bool = False
    decimal: bool = False
    properties: dict[str, Node] | None = None
    items: Node | None = None
    drop: bool = False
    hash: bool = False
    withheld: bool = False
    personal: bool = False
    contact: str | None = None
    secret: bool = False
    harmless: bool = False
    free: bool = False
    members: dict[str, Node] | None = None
    touched: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Find out again whether anything here or below is dropped or hashed."""
        self.touched = self.drop or self.hash or self.free or any(child.touched for child in self.children())

    @property
    def known(self) -> Mapping[str, Node]:
        """The members that the schema declares."""
        return self.properties or self.members or {}

    def places(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """All places below this one, by their dotted paths; array items share the path of the array."""
        if self.items is not None:
            yield from self.items.places(path)
        for name, below in self.known.items():
            inside = f"{path}.{name}" if path else name
            yield inside, below
            yield from below.places(inside)

    def children(self) -> Iterator[Node]:
        """The places right below this one."""
        yield from self.known.values()
        if self.items is not None:
            yield self.items


def kinds_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The JSON types that a schema allows, without ``null``; all of them where it names none."""
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return frozenset().union(*(kinds_of(variant) for variant in variants if variant.get("type") != "null"))
    types = schema.get("type")
    if types is None:
        return ANY
    return frozenset([types] if isinstance(types, str) else types) - {"null"}


def is_personal(schema: Any) -> bool:
    """Whether what a schema describes is personal data (``x-pii``): itself, or one of the shapes that it may have.

    Which of several shapes a value has is not looked at: a mark anywhere in one of them counts for the whole.
    """
    if not isinstance(schema, Mapping):
        return False
    return (
        bool(schema.get("x-pii")) or is_personal(schema.get("items")) or any(map(_mentions_personal, _shapes(schema)))
    )


def _shapes(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas in a schema that need not hold for every value: branches, items by place, members by pattern."""
    for word in (*_SHAPES, "items"):
        found = schema.get(word)
        if isinstance(found, list):
            yield from found
        elif word == "patternProperties":
            yield from (found or {}).values()
        elif word != "items" and found is not None:
            yield found


def _mentions_personal(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return is_personal(schema) or any(map(_mentions_personal, below))


def _node(schema: Mapping[str, Any], crumb: Crumb, selected: Selected, policy: Policy, keys: Sequence[str]) -> Node:
    kinds, top = kinds_of(schema), len(crumb) == 2  # noqa: PLR2004  ("properties", name)
    key = top and crumb[-1] in keys
    personal = is_personal(schema)
    named = crumb[-2:-1] == ("properties",) and crumb[-1] in policy.drop_fields
    properties = items = None
    if kinds == {"object"} and schema.get("properties"):
        properties = {
            name: _node(member, (*crumb, "properties", name), selected, policy, keys)
            for name, member in schema["properties"].items()
        }
    if kinds == {"array"} and isinstance(schema.get("items"), Mapping) and schema["items"]:
        items = _node(schema["items"], (*crumb, "items"), lambda _crumb: True, policy, keys)
    mark = schema.get("x-pii")
    harmless = mark is False
    scrubbed = not harmless if policy.pii != "keep" else bool(policy.drop_fields)
    withheld = not key and (named or (personal and policy.pii == "drop") or not selected(crumb))
    return Node(
        kinds=kinds,
        time=schema.get("format") == "date-time",
        decimal=schema.get("format") == "x-singer.decimal",
        properties=properties,
        items=items,
        drop=bool(crumb) and withheld,
        hash=personal and (policy.pii == "hash" or (key and policy.pii == "drop")),
        withheld=withheld,
        personal=personal,
        contact=mark if isinstance(mark, str) and not key else None,
        secret=bool(schema.get("x-secret")),
        harmless=harmless,
        free=scrubbed and properties is None and items is None and bool(kinds & {"object", "array"}),
    )


def record_node(
    schema: Mapping[str, Any], fields: Sequence[Field], *, keys: Sequence[str], selected: Selected, policy: Policy
) -> Node:
    """The tree of what the API sends: the columns, and the inputs of the transforms.

    Args:
        schema: The schema of the stream's file, with the catch-all column.
        fields: The stream's transforms.
        keys: The key properties; these are hashed where personal, never dropped.
        selected: Whether the property at a breadcrumb is selected.
        policy: What happens to personal data.
    """
    columns: Mapping[str, Mapping[str, Any]] = schema["properties"]
    root = _node(schema, (), selected, policy, keys)
    assert root.properties is not None
    _add_inputs(root, columns, fields, policy)
    return Node(kinds=root.kinds, properties=root.properties)


def _add_inputs(node: Node, columns: Mapping[str, Any], fields: Sequence[Field], policy: Policy) -> None:
    """Add the inputs of transforms to the tree, below the objects that they belong to."""
    assert node.properties is not None
    for transform in fields:
        if isinstance(transform, Nested):
            inner = columns[transform.name]
            below = node.properties[transform.name]
            if below.items is not None:
                inner, below = inner["items"], below.items
            _add_inputs(below, inner["properties"], transform.fields, policy)
            below.refresh()
            node.properties[transform.name].refresh()
        for name, given in transform.inputs().items():
            like = columns[given["x-like"]] if "x-like" in given else given
            made = _node(like, (), lambda _crumb: True, policy, ())
            known = node.properties.get(name)
            made.drop = known.drop if known else True
            if known:
                made.hash, made.withheld, made.contact = known.hash, known.withheld, known.contact
                made.personal, made.secret, made.harmless = known.personal, known.secret, known.harmless
                made.members = known.properties
            made.refresh()
            node.properties[name] = made


def names_in(schema: Mapping[str, Any]) -> Iterator[str]:
    """The names of all fields that a schema declares, at any depth."""
    for name, member in (schema.get("properties") or {}).items():
        yield name
        yield from names_in(member)
    if isinstance(schema.get("items"), Mapping):
        yield from names_in(schema["items"])


def with_extra(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a stream's file with the catch-all column."""
    changed = deepcopy(dict(schema))
    changed["properties"].setdefault(EXTRA, dict(EXTRA_SCHEMA))
    return changed


def emitted_schema(
    schema: Mapping[str, Any], *, keys: Sequence[str], replication_key: str | None, policy: Policy
) -> dict[str, Any]:
    """The schema of a stream's file as this run's settings make it: the catch-all column in, dropped columns out.

    Args:
        schema: The schema as it is in the file.
        keys: The key properties.
        replication_key: The replication key, if there is one.
        policy: What happens to unknown fields and personal data.

    Raises:
        ConfigError: ``drop_fields`` names a key property or the replication key.
    """
    for name in (*keys, replication_key):
        if name in policy.drop_fields:
            raise ConfigError(f"setting 'drop_fields' names {name!r}, without which no record can be loaded")
    changed = with_extra(schema) if policy.unknown_fields == "keep" else deepcopy(dict(schema))
    _apply(changed, policy, keys)
    return changed


def marked(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that has been through the SDK, which drops all marks that are not its own (``x-pii``, ``x-partition``).

    Args:
        schema: What the SDK makes of it; fields may be left out or added.
        declared: The schema as it was, with its marks.
    """
    changed = {**{word: value for word, value in declared.items() if word.startswith("x-")}, **schema}
    for word in ("properties", "items"):
        if isinstance(found := schema.get(word), Mapping) and isinstance(before := declared.get(word), Mapping):
            changed[word] = (
                marked(found, before)
                if word == "items"
                else {name: marked(member, before.get(name) or {}) for name, member in found.items()}
            )
    return changed


def _apply(schema: dict[str, Any], policy: Policy, keys: Sequence[str]) -> None:
    properties: dict[str, dict[str, Any]] = schema.get("properties") or {}
    for name, member in list(properties.items()):
        personal, key = is_personal(member), name in keys
        if not key and (name in policy.drop_fields or (personal and policy.pii == "drop")):
            del properties[name]
        elif personal and policy.pii != "keep":
            _retype(member)
        else:
            _apply(member, policy, ())
    if isinstance(schema.get("items"), dict):
        _apply(schema["items"], policy, ())


def _retype(member: dict[str, Any]) -> None:
    """A hash is text, whatever was hashed; in objects and arrays each leaf is."""
    if any(True for _ in _shapes(member)):
        kinds = kinds_of(member)
        nested = sorted(kinds & {"object", "array"})
        for word in (*_SHAPES, "properties", "items"):
            member.pop(word, None)
        member["type"] = [*nested, *(["string"] if kinds - set(nested) else []), "null"]
        member.pop("format", None)
        return
    if not kinds_of(member) & {"object", "array"}:
        member["type"] = ["string", "null"] if "null" in member.get("type", ()) else "string"
        member.pop("format", None)
    for below in [*(member.get("properties") or {}).values(), *([member["items"]] if "items" in member else [])]:
        _retype(below)
