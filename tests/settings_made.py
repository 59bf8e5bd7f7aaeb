"""Values for a setting, right and wrong, made from the JSON schema that its program has for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CANARY", "kinds_of", "right_value", "text_of", "wrong_texts", "wrong_values"]

CANARY = "Canary-4fa9-kiwi"
"""Stands in every wrong value that is a text: no complaint may repeat it."""

_SAMPLES: dict[str, Any] = {
    "string": CANARY,
    "integer": 42,
    "number": 1.5,
    "boolean": True,
    "array": [CANARY],
    "object": {"canary": CANARY},
}


def _branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of which a value must fit one, without those of null."""
    return [
        branch for branch in schema.get("anyOf", [schema]) if isinstance(branch, dict) and branch.get("type") != "null"
    ]


def kinds_of(schema: dict[str, Any]) -> set[str]:
    """The JSON types of a setting, without null."""
    found: set[str] = set()
    for branch in _branches(schema):
        kinds = branch.get("type") or [_kind_of(choice) for choice in branch.get("enum", ())]
        found |= {kinds} if isinstance(kinds, str) else set(kinds)
    return found - {"null"}


def _kind_of(value: Any) -> str:
    return next(kind for kind, sample in _SAMPLES.items() if type(sample) is type(value))


def wrong_values(schema: dict[str, Any]) -> Iterator[Any]:
    """Values that a setting does not allow: of other types, out of its bounds, not among its choices."""
    kinds = kinds_of(schema)
    if not kinds:  # anything goes, or the schema is faulty itself
        return
    for kind, sample in _SAMPLES.items():
        if not kinds & ({"integer", "number"} if kind == "integer" else {kind}):
            yield sample
    if len(kinds) == 1:  # one of several shapes may allow what another one does not
        for branch in _branches(schema):
            yield from _out_of_bounds(branch, *kinds)


def _out_of_bounds(schema: dict[str, Any], kind: str) -> Iterator[Any]:
    if "enum" in schema and kind == "string":
        yield CANARY
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "exclusiveMinimum" in schema:
        yield schema["exclusiveMinimum"]
    if "maxLength" in schema:
        yield CANARY * schema["maxLength"]
    if kind == "array" and isinstance(schema.get("items"), dict):
        yield from ([item] for item in wrong_values(schema["items"]))
    if kind == "object":
        yield from _wrong_members(schema)


def _wrong_members(schema: dict[str, Any]) -> Iterator[Any]:
    for name, member in (schema.get("properties") or {}).items():
        yield from ({name: value} for value in wrong_values(member))
    others = schema.get("additionalProperties")
    if others is False:
        yield {f"{CANARY[:6]}-member": CANARY}
    elif isinstance(others, dict):
        yield from ({"any": value} for value in wrong_values(others))


def wrong_texts(schema: dict[str, Any]) -> Iterator[str]:
    """Texts that a setting does not allow where everything is text: in the environment, in a ``.env`` file."""
    kinds = kinds_of(schema)
    if "string" not in kinds and kinds != {"array"}:
        yield from (CANARY, "nan", "-inf", "1e999", "[", '{"canary":')
    for value in wrong_values(schema):
        text = text_of(value)
        if (isinstance(value, str) or "string" not in kinds) and (kinds != {"array"} or text[0] in "[{"):
            yield text  # any other text is an array of texts


def right_value(schema: dict[str, Any], default: Any = None) -> Any:
    """A value that a setting allows, other than its default where there are several."""
    branch, kinds = _branches(schema)[0], kinds_of(schema)
    if choices := [choice for choice in branch.get("enum", ()) if choice not in (None, default)]:
        return choices[-1]
    if "boolean" in kinds:
        return not default
    if kinds & {"integer", "number"}:
        least = branch.get("minimum", branch.get("exclusiveMinimum", 0)) + 1
        number = min(max(7, least), branch.get("maximum", max(7, least)))
        return (
            number if "integer" in kinds else number + (0.5 if number + 0.5 <= branch.get("maximum", number + 1) else 0)
        )
    if "string" in kinds:
        return default or "one"
    return [] if "array" in kinds else {}


def text_of(value: Any) -> str:
    """A value as it stands in the environment."""
    return value if isinstance(value, str) else json.dumps(value)
