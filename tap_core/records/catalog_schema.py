"""What the schema in a catalog may say: less than the stream's own, or more loosely, but nothing that records break.

A catalog comes from `--discover`, from Meltano's cache of it, or from hands that have changed it. Properties may be
left out, types may be added (`null`, or a number for an integer), a format or a type may be missing. What the records
would not fit is refused, because the target would find out in the middle of a load.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.singerlib import Schema

from tap_core.errors import ConfigError
from tap_core.records.schema import ANY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from singer_sdk.singerlib import CatalogEntry

__all__ = ["fit"]

_OWN: Final = ("required", "additionalProperties", "patternProperties")
_LIMITS: Final = {
    *("enum", "const", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *(
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "allOf",
        "not",
    ),
}
_AGAIN: Final = "--discover writes a new catalog, and so does Meltano's --refresh-catalog"


def fit(
    entry: CatalogEntry,
    own: Mapping[str, Any],
    declared: Mapping[str, Any],
    *,
    fixed: Sequence[str | None],
    warn: Callable[[str], None],
) -> None:
    """Make the schema of a catalog's entry one that the stream's records fit.

    Args:
        entry: The entry; its schema is replaced.
        own: The stream's schema, as this run's settings make it.
        declared: The stream's schema before the settings change it: the catalog may have been made without them.
        fixed: Properties that are there in any case, such as keys.
        warn: Told of properties that the stream does not have; they are left out.

    Raises:
        ConfigError: The catalog says of a property what its values are not.
    """
    stream, found = entry.tap_stream_id, entry.schema.to_dict()
    members, before = own["properties"], declared["properties"]
    chosen: dict[str, Any] = {}
    for name, member in found["properties"].items():
        place = f"{stream}.{name}"
        if name not in members:
            if name not in before:
                warn(f"the catalog has a property {place!r}, which the stream does not have; it is left out")
        elif (reason := _misfit(member, members[name], place)) is None:
            chosen[name] = _merged(member, members[name])
        elif name in before and _misfit(member, before[name], place) is None:
            chosen[name] = deepcopy(members[name])
        else:
            raise ConfigError(f"the catalog {reason}; {_AGAIN}")
    chosen |= {name: deepcopy(members[name]) for name in fixed if name and name in members and name not in chosen}
    entry.schema = Schema.from_dict({**own, "properties": chosen})


def _misfit(found: Any, own: Mapping[str, Any], place: str) -> str | None:
    """Why values that fit one schema may not fit another one; None if they do."""
    if not isinstance(found, dict):
        return f"has no schema for {place!r}"
    allowed, needed = _types(found), _types(own)
    if not needed <= allowed:
        return f"changes the type of {place!r} from {_words(needed)} to {_words(allowed)}"
    if found.get("format") not in {None, own.get("format")}:
        return f"changes the format of {place!r}"
    if limits := sorted(_LIMITS & found.keys() - own.keys()):
        return f"limits the values of {place!r} ({', '.join(limits)}), and nobody holds the API to that"
    return next(filter(None, _misfits_below(found, own, place)), None)


def _misfits_below(found: Mapping[str, Any], own: Mapping[str, Any], place: str) -> Iterator[str | None]:
    members = own.get("properties") or {}
    for name, member in (found.get("properties") or {}).items():
        if name in members:
            yield _misfit(member, members[name], f"{place}.{name}")
    if "items" in found and isinstance(own.get("items"), dict):
        yield _misfit(found["items"], own["items"], f"{place}[]")


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    """The JSON types that a schema allows; a number may be an integer."""
    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return frozenset().union(*map(_types, variants))
    kinds = schema.get("type")
    if kinds is None:
        return ANY | {"null"}
    named = frozenset([kinds] if isinstance(kinds, str) else kinds)
    return named | {"integer"} if "number" in named else named


def _words(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds - {"integer"} if "number" in kinds else kinds))


def _merged(found: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A property as the catalog has it, with what the catalog cannot change from the stream's own schema."""
    kept = {word: value for word, value in found.items() if word not in _OWN}
    marks = {word: value for word, value in own.items() if word in _OWN or word.startswith("x-")}
    merged = {**kept, **marks}
    if not {"type", "anyOf", "oneOf"} & found.keys():
        merged |= {word: own[word] for word in ("type", "anyOf", "oneOf", "format") if word in own}
    if isinstance(own.get("properties"), dict) and isinstance(found.get("properties"), dict):
        merged["properties"] = {
            name: _merged(member, own["properties"][name])
            for name, member in found["properties"].items()
            if name in own["properties"]
        }
    if isinstance(own.get("items"), dict) and isinstance(found.get("items"), dict):
        merged["items"] = _merged(found["items"], own["items"])
    return merged
