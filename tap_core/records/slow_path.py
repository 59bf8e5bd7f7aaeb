"""Records that take the slow path: one plain dictionary at a time, whatever is in it.

Here the drift policy is applied: what the schema does not know, or knows with another type, is kept in ``_extra``,
dropped with a warning, or fails the stream. The fast path (`tap_core.records.fast_path`) gives the same results for
records without surprises, a page at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from tap_core.codec import NOT_JSON, canonical, decode
from tap_core.config.redact import MASK
from tap_core.errors import DriftError, RecordError
from tap_core.records.dialect import Misfit, decimal_text
from tap_core.records.field import Access, Context, Field
from tap_core.records.fields import Nested
from tap_core.records.finish import Finish, places_above
from tap_core.records.policy import INDEX, walk_leaves
from tap_core.records.schema import EXTRA, Node

if TYPE_CHECKING:
    from tap_core.codec import Json
    from tap_core.records.dialect import Dialect
    from tap_core.records.policy import Policy

__all__ = ["LEFT", "MISSING", "SOURCE", "DictAccess", "SlowPath"]

SOURCE: Final = "\0source"
MISSING: Final = object()
_FIELD: Final = re.compile(r"(?:[A-Za-z_$](?:[A-Za-z_$-]|\d{1,3}(?!\d)){0,63}(?:\[\])*(?:\.(?!$)|$))+")
"""What the path of a field looks like: no signs, and no long numbers."""
_MOST_DIGITS: Final = 1000
"""Integers of more digits are not written out; interpreters refuse to, or take minutes."""
LEFT: Final = "\0left"
"""Where a record keeps what its transforms did not use, as pairs of a path and a value."""


class DictAccess(Access):
    """Records as plain dictionaries."""

    @override
    def getter(self, path: str) -> Callable[[Any], Any]:
        first, *rest = path.split(".")

        def read(row: Any) -> Any:
            value = row.get(first)
            for name in rest:
                value = value.get(name) if isinstance(value, dict) else None
            return value

        return read

    @override
    def setter(self, name: str) -> Callable[[Any, Any], None]:
        def write(row: Any, value: Any) -> None:
            row[name] = value

        return write

    @override
    def dropper(self, name: str) -> Callable[[Any], None]:
        def drop(row: Any) -> None:
            row.pop(name, None)

        return drop

    @override
    def inside(self, name: str) -> Access:
        return self

    @override
    def leave(self, row: Any, path: str, value: Any) -> None:
        row.setdefault(LEFT, []).append([path, value])

    @override
    def sources_of(self, rows: Sequence[Any]) -> list[bytes]:
        return [canonical(row[SOURCE]) for row in rows]


class SlowPath:
    """Turns one record as the API sent it into the record that is emitted.

    Args:
        stream: The stream's name, for messages.
        root: What the API sends.
        keys: The key properties; a record must have a value for each.
        fields: The stream's transforms.
        dialect: How the vendor writes times, empty maps and lists.
        policy: What happens to surprises, personal data and secrets.
        warn: Says something once per run.
        lost: Told how many values that the schema does not know were dropped as personal.
    """

    def __init__(
        self,
        *,
        stream: str,
        root: Node,
        keys: Sequence[str],
        fields: Sequence[Field],
        dialect: Dialect,
        policy: Policy,
        warn: Callable[[str], None],
        lost: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._stream = stream
        self._root = root
        self._keys = tuple(keys)
        self._fields = tuple(fields)
        self._transforms = [transform.bind(DictAccess(), policy) for transform in fields]
        self._keep_source = any(transform.needs_source for transform in fields)
        self._dialect = dialect
        self._policy = policy
        self._finish = Finish(root, policy, lost)
        places = list(root.places())
        secrets = [path for path, place in places if place.secret and policy.mask_secrets]
        self._around_secrets = places_above(secrets)
        self._secrets = frozenset(path.rpartition(".")[2] for path in secrets)
        self._warn = warn

    def parse(self, row: Json) -> Any:
        """The record that the API sent.

        Raises:
            RecordError: It cannot be read.
        """
        try:
            return decode(row)
        except NOT_JSON:
            raise RecordError(f"{self._stream}: a record is not valid JSON") from None
        except RecursionError:
            raise RecordError(f"{self._stream}: a record is nested too deeply to be read") from None

    def conform(self, row: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """The record as it is emitted.

        Raises:
            RecordError: It is not an object, or has no value for a key property.
            DriftError: Something does not match the schema, and ``unknown_fields`` is ``fail``.
        """
        return self.finish(self.shape(row, context))

    def shape(self, row: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """The record with its times, references and derived columns, before anything is removed from it.

        Raises:
            RecordError: It is not an object, or has no value for a key property.
            DriftError: Something does not match the schema, and ``unknown_fields`` is ``fail``.
        """
        if not isinstance(row, Mapping):
            raise RecordError(f"{self._stream}: a record is not a JSON object but {type(row).__name__}")
        extra: dict[str, Any] = {}
        shaped = self._conformed(row, extra)
        if self._keep_source:
            shaped[SOURCE] = row
        for transform in self._transforms:
            transform((shaped,), context)
        shaped.pop(SOURCE, None)
        for path, value in _left(shaped, self._fields):
            self._surprise(extra, path, value, "unused value of")
        self._check_keys(shaped, row)
        if extra:
            shaped[EXTRA] = {**(shaped.get(EXTRA) or {}), **extra}
        return shaped

    def _conformed(self, row: Mapping[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        """The members that the schema knows, in its types; the others go to ``extra``."""
        assert self._root.properties is not None
        conformed: dict[str, Any] = {}
        for name, value in row.items():
            node = self._root.properties.get(name)
            if name == LEFT and _are_pairs(value):
                conformed[LEFT] = value
            elif node is None:
                self._surprise(extra, name, value, "unknown field")
            elif (found := self._value(node, value, name, extra)) is not MISSING:
                conformed[name] = found
        return conformed

    def _check_keys(self, shaped: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        for key in self._keys:
            if shaped.get(key) is None:
                is_odd = row.get(key) is not None
                trouble = "a value of an unexpected type" if is_odd else "no value"
                raise RecordError(f"{self._stream}: a record has {trouble} for its key property {key!r}")

    def finish(self, shaped: MutableMapping[str, Any]) -> dict[str, Any]:
        """The record without what is deselected or dropped, hashed where the policy says so."""
        return self._finish.record(shaped)

    def _value(self, node: Node, value: Any, path: str, extra: dict[str, Any]) -> Any:
        """A value in its place; MISSING if it does not belong there and went to ``extra``."""
        try:
            return self._conform(node, value, path, extra)
        except Misfit:
            self._surprise(extra, path, value, "unexpected type in")
            return None if node.kinds else MISSING

    def _conform(self, node: Node, value: Any, path: str, extra: dict[str, Any]) -> Any:
        if value is None:
            return None
        if node.time:
            return self._time(value)
        if node.decimal:
            return decimal_text(value)
        if isinstance(value, dict):
            return self._object(node, value, path, extra)
        if isinstance(value, list):
            return self._array(node, value, path, extra)
        return _scalar(node.kinds, value)

    def _time(self, value: Any) -> str:
        try:
            return self._dialect.time(value)
        except ValueError:
            raise Misfit from None

    def _object(self, node: Node, value: dict[str, Any], path: str, extra: dict[str, Any]) -> Any:
        member = self._dialect.list_member
        if "object" not in node.kinds:
            if "array" in node.kinds and member is not None and isinstance(value.get(member), list):
                for name in value.keys() - {member, *self._dialect.list_marks}:
                    self._surprise(extra, f"{path}.{name}", value[name], "unknown field")
                return self._array(node, value[member], path, extra)
            raise Misfit
        if node.properties is None:
            return value
        conformed: dict[str, Any] = {}
        for name, item in value.items():
            below = node.properties.get(name)
            if below is not None:
                conformed[name] = self._value(below, item, f"{path}.{name}", extra)
            elif self._policy.unknown_fields == "keep" and name != LEFT:
                shown = _shown(f"{path}.{name}")
                self._warn(f"{self._stream}: unknown field {shown} is kept where it is")
                conformed[name] = self._masked(f"{path}.{name}", item)
            else:
                self._surprise(extra, f"{path}.{name}", item, "unknown field")
        return conformed

    def _array(self, node: Node, value: list[Any], path: str, extra: dict[str, Any]) -> Any:
        if "array" not in node.kinds:
            if not value and "object" in node.kinds and self._dialect.empty_array_is_map:
                return {}
            raise Misfit
        if node.items is None:
            return value
        return [self._value(node.items, item, f"{path}[{number}]", extra) for number, item in enumerate(value)]

    def _surprise(self, extra: dict[str, Any], path: str, value: Any, what: str) -> None:
        shown = _shown(path)
        match self._policy.unknown_fields:
            case "fail":
                raise DriftError(
                    f"{self._stream}: {what} {shown}, and unknown_fields is 'fail'; 'keep' would load it into {EXTRA}"
                )
            case "warn":
                self._warn(f"{self._stream}: {what} {shown} is dropped (unknown_fields is 'warn')")
            case "keep":
                self._warn(f"{self._stream}: {what} {shown} is kept in {EXTRA}")
                extra[path] = self._masked(path, value)

    def _masked(self, path: str, value: Any) -> Any:
        """A value that the schema does not know, with the secrets in it masked.

        Secrets are members with the name of a declared secret, and unnamed values in a place that holds secrets.
        """
        place = INDEX.sub("", path)
        if place.rpartition(".")[2] in self._secrets:
            return walk_leaves(value, lambda _leaf: MASK)
        return self._masked_inside(value, nameless=place in self._around_secrets) if self._secrets else value

    def _masked_inside(self, value: Any, *, nameless: bool = False) -> Any:
        if isinstance(value, list):
            return [self._masked_inside(item, nameless=nameless) for item in value]
        if isinstance(value, Mapping):
            return {name: self._masked(name, member) for name, member in value.items()}
        return MASK if nameless and value is not None else value


def _shown(path: str) -> str:
    """The path of a field for a log; a name that is no name of a field may be a person's, or a key, and is left out."""
    place = INDEX.sub("[]", path)
    return place if _FIELD.fullmatch(place) else "whose name is not shown"


def _are_pairs(value: Any) -> bool:
    """Whether a value under the name `LEFT` is the engine's own; an API may use any name."""
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == len(("path", "value")) and isinstance(pair[0], str) for pair in value
    )


def _left(row: dict[str, Any], fields: Sequence[Field], place: str = "") -> Iterator[tuple[str, Any]]:
    """What the transforms did not use of a record and of the objects inside it, by its path; taken out of them."""
    for path, value in row.pop(LEFT, ()):
        yield place + path, value
    for field in fields:
        if isinstance(field, Nested):
            inside = row.get(field.name)
            for number, item in enumerate(inside if isinstance(inside, list) else [inside]):
                if isinstance(item, dict):
                    index = f"[{number}]" if isinstance(inside, list) else ""
                    yield from _left(item, field.fields, f"{place}{field.name}{index}.")


def _is_whole(value: Decimal) -> bool:
    """Whether a number is an integer of a size that can be written out."""
    return value.adjusted() < _MOST_DIGITS and value == value.to_integral_value()


def _scalar(kinds: frozenset[str], value: Any) -> Any:
    match value:
        case bool():
            fits = "boolean" in kinds
        case int():
            fits = "integer" in kinds or "number" in kinds
        case Decimal():
            if "number" not in kinds and "integer" in kinds and _is_whole(value):
                return int(value)
            fits = "number" in kinds
        case str():
            fits = "string" in kinds
        case _:
            fits = False
    if not fits:
        raise Misfit
    return value
