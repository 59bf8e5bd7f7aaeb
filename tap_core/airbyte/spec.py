"""The settings of a tap as Airbyte's form shows them, and back again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_core.airbyte.catalog import SCHEMA, single_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_core.tap import CoreTap

__all__ = ["PROTOCOL", "settings_from", "spec_of"]

PROTOCOL: Final = "0.5.2"

_CHOICE: Final = "chosen"
"""The member of a choice that says which of its forms it has."""

_LIST: Final = "_list"
"""How the name of a list ends that the form shows in place of a setting that may also be something else."""

_ONLY_SINGER: Final = frozenset({"emit_activate_version_messages"})
"""Settings of ours about messages that only Singer has."""

_SHAPE: Final = frozenset({"type", "items", "properties"})
_NOT_CARRIED: Final = frozenset({"secret", "writeOnly", "additionalProperties"})
_SECRET_ENDINGS: Final = ("token", "secret", "password", "key", "jwt", "credentials")


def spec_of(kind: type[CoreTap]) -> dict[str, Any]:
    """The SPEC of a tap.

    Settings that exclude each other become one choice. Those of the SDK are left out: stream maps and the like are the
    destination's business here. They work all the same if they are given. So do those that are hidden because the form
    can only show what has one type, and objects with named members.
    """
    schema = kind.config_jsonschema
    hidden = _sdk_settings(kind) | _ONLY_SINGER
    members = dict(_with_lists({name: each for name, each in schema["properties"].items() if name not in hidden}))
    choice = _choice(schema)
    if choice is not None:
        name, alternatives = choice
        forms = [_form(names, members) for names in alternatives]
        title = " or ".join(str(form["title"]) for form in forms)
        offered = {name: {"type": "object", "title": title, "oneOf": forms}}
        members = offered | {
            name: member | ({"airbyte_hidden": True} if any(name in names for names in alternatives) else {})
            for name, member in members.items()
        }
    return {
        "type": "SPEC",
        "spec": {
            "protocol_version": PROTOCOL,
            "supportsIncremental": True,
            "supported_destination_sync_modes": [],
            "connectionSpecification": {
                "$schema": SCHEMA,
                "title": kind.name.replace("tap-", "source-"),
                "type": "object",
                "required": list(schema.get("required", ())),
                "properties": _ordered(members),
                "additionalProperties": True,
            },
        },
    }


def settings_from(config: Mapping[str, Any], kind: type[CoreTap]) -> dict[str, Any]:
    """The settings of a tap from a config that was made for its SPEC, or for the tap itself.

    Names that begin with ``__`` are Airbyte's own. Where records go is not the tap's business here.
    """
    given = {name: value for name, value in config.items() if not name.startswith("__")}
    choice = _choice(kind.config_jsonschema)
    if choice is not None and isinstance(chosen := given.get(choice[0]), dict):
        del given[choice[0]]
        given |= {name: value for name, value in chosen.items() if name != _CHOICE}
    for name, schema in kind.config_jsonschema["properties"].items():
        if _is_also_list(schema) and f"{name}{_LIST}" in given and name not in given:
            given[name] = given.pop(f"{name}{_LIST}")
    given.pop("batch_config", None)
    return given | dict.fromkeys(_ONLY_SINGER, False)


def _sdk_settings(kind: type[CoreTap]) -> set[str]:
    builtin: dict[str, Any] = {"properties": {}}
    kind.append_builtin_config(builtin)
    return set(builtin["properties"])


def _choice(schema: Mapping[str, Any]) -> tuple[str, list[list[str]]] | None:
    """The settings that exclude each other, under the name that their choice has in Airbyte; None if none do."""
    alternatives = [list(branch["required"]) for branch in schema.get("oneOf", ())]
    return ("_or_".join(names[0] for names in alternatives), alternatives) if alternatives else None


def _form(names: Iterable[str], members: Mapping[str, Any]) -> dict[str, Any]:
    """One form of a choice: the settings that belong to it, and a constant that tells it from the others."""
    own = {name: members[name] for name in names}
    label = " and ".join(str(member["title"]) for member in own.values())
    mark = {"type": "string", "const": label, "default": label, "title": "Choice", "description": "Leave it as it is."}
    return {
        "type": "object",
        "title": label,
        "required": [_CHOICE, *own],
        "properties": _ordered({_CHOICE: mark, **own}),
    }


def _with_lists(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, member in members.items():
        if _is_also_list(member):
            yield f"{name}{_LIST}", {**member, "type": "array", "items": {"type": "string"}}
        yield name, member


def _is_also_list(schema: Mapping[str, Any]) -> bool:
    kinds = single_type(schema.get("type", ()))
    return isinstance(kinds, list) and "array" in kinds


def _ordered(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {**_setting(name, member), "order": place} for place, (name, member) in enumerate(members.items())}


def _setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A setting in the words of JSON schema that Airbyte's form knows."""
    words = {"title": name.replace("_", " ").capitalize(), **dict(_words(name, schema))}
    if isinstance(words.get("type"), str) and (
        words["type"] != "object" or words.get("properties") or "oneOf" in words
    ):
        return words
    return {word: value for word, value in words.items() if word not in _SHAPE} | {"airbyte_hidden": True}


def _words(name: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for word, value in schema.items():
        if word == "type":
            yield word, single_type(value)
        elif word == "properties" and value:
            yield word, _ordered(value)
        elif word == "items":
            yield word, dict(_words(name, value))
        elif word not in _NOT_CARRIED:
            yield word, value
    if schema.get("secret"):
        yield "airbyte_secret", True
    elif name.endswith(_SECRET_ENDINGS):
        yield "airbyte_secret", False  # Airbyte's own tools take the name for a credential
