"""What the commands say about themselves: settings, streams, help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = [
    "ROOT",
    "VENDORS",
    "Setting",
    "Stream",
    "about",
    "catalog",
    "emitted",
    "file_setting",
    "help_text",
    "loader_settings",
    "selected_by_default",
    "streams",
    "tap_settings",
]

ROOT = Path(__file__).parents[1]

VENDORS = tuple(sorted(path.parent.name.removeprefix("tap_") for path in ROOT.glob("tap_*/schemas")))
"""The vendors that have a tap: the folders are the list."""

_HELP_WIDTH = 100


@dataclass(frozen=True)
class Setting:
    """A setting of a tap or of the loader.

    Args:
        name: Its name in config files.
        kind: JSON type of its value.
        default: Its default, None where there is none.
        required: Whether it must be given.
        secret: Whether it is never shown.
        choices: The values that it can have, empty for any.
        title: A short name for people.
        description: What it means.
    """

    name: str
    kind: str
    default: Any
    required: bool
    secret: bool
    choices: tuple[str, ...]
    title: str
    description: str


@dataclass(frozen=True)
class Stream:
    """A stream as the tap's catalog describes it."""

    name: str
    keys: tuple[str, ...]
    method: str
    replication_key: str | None
    selected: bool
    description: str


def _run(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(_HELP_WIDTH), "TERMINAL_WIDTH": str(_HELP_WIDTH), **(env or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@cache
def about(module: str) -> dict[str, Any]:
    """The output of ``--about --format=json``."""
    answer: dict[str, Any] = json.loads(_run(module, "--about", "--format=json"))
    return answer


def tap_settings(vendor: str) -> list[Setting]:
    """The settings of a tap, its own first."""
    schema = about(f"tap_{vendor}")["settings"]
    return [
        _setting(name, member, required=schema.get("required", ())) for name, member in schema["properties"].items()
    ]


def file_setting(secret: Setting) -> Setting:
    """The setting that names a file with a secret."""
    return replace(
        secret,
        name=f"{secret.name}_file",
        kind="string",
        default=None,
        required=False,
        secret=False,
        title=f"{secret.title}, in a file",
        description=f"A file that holds {secret.name}, such as a secret that a container mounts; instead of the value.",
    )


def loader_settings() -> list[Setting]:
    """The settings of the loader."""
    return [
        _setting(
            entry["name"],
            {**entry["schema"], "default": entry["default"], "description": entry["description"]},
            required=[],
        )
        for entry in about("target_duckhouse")["settings"]
    ]


def _is_secret(member: Any) -> bool:
    """Whether a setting is a secret, or holds one at any depth."""
    if not isinstance(member, dict):
        return False
    below = [*(member.get("properties") or {}).values(), member.get("items")]
    return bool(member.get("secret")) or any(map(_is_secret, below))


def _setting(name: str, member: dict[str, Any], *, required: Collection[str]) -> Setting:
    kinds = (
        [part.get("type", "string") for part in member["anyOf"]] if "anyOf" in member else member.get("type", "string")
    )
    kinds = [kinds] if isinstance(kinds, str) else kinds
    several = [kind for kind in dict.fromkeys(kinds) if kind != "null"]
    return Setting(
        name=name,
        kind="string" if len(several) != 1 else several[0],
        default=member.get("default"),
        required=name in required,
        secret=_is_secret(member),
        choices=tuple(choice for choice in member.get("enum", ()) if choice is not None),
        title=member.get("title", name),
        description=" ".join(member.get("description", "").split()),
    )


@cache
def catalog(vendor: str) -> list[dict[str, Any]]:
    """The streams that a tap discovers; that needs no account."""
    entries: list[dict[str, Any]] = json.loads(_run(f"tap_{vendor}", "--discover"))["streams"]
    return entries


def streams(vendor: str) -> tuple[Stream, ...]:
    """The streams of a tap, in the order of its catalog."""
    return tuple(map(_stream, catalog(vendor)))


def selected_by_default(entry: Mapping[str, Any]) -> bool:
    """Whether a stream of a catalog is read unless somebody says otherwise."""
    whole = next(item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
    return bool(whole.get("selected-by-default", True))


def _stream(entry: dict[str, Any]) -> Stream:
    return Stream(
        name=entry["tap_stream_id"],
        keys=tuple(entry["key_properties"]),
        method=entry["replication_method"],
        replication_key=entry.get("replication_key"),
        selected=selected_by_default(entry),
        description=" ".join(entry["schema"].get("description", "").split()),
    )


def help_text(*arguments: str) -> str:
    """What a command prints with ``--help``, without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in _run(*arguments, "--help").strip().splitlines())


def emitted(vendor: str) -> str:
    """The keys, names and types of all streams of a tap, one property per line, so that a schema change shows."""
    lines = []
    for entry in catalog(vendor):
        lines.append(f"{entry['tap_stream_id']}: {', '.join(entry['key_properties'])}")
        lines += _properties(entry["schema"], "  ")
    return "\n".join(lines) + "\n"


def _properties(schema: dict[str, Any], indent: str) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        kinds = member.get("type", [])
        marks = [mark for mark in ("format", "x-pii", "x-singer.decimal", "x-partition") if mark in member]
        known = " ".join(
            [*([kinds] if isinstance(kinds, str) else kinds), *(f"{mark}={member[mark]}" for mark in marks)]
        )
        yield f"{indent}{name}: {known}".rstrip()
        yield from _properties(member, indent + "  ")
        if isinstance(member.get("items"), dict):
            yield from _properties(member["items"], indent + "  - ")
