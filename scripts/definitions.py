"""What Meltano has to know of our plugins, and the files in ``plugins/`` with which other projects add them.

The files have the form of the Meltano Hub's own definitions, so that ``meltano add --from-ref FILE`` takes them.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import yaml

from scripts.describe import ROOT, VENDORS, about, file_setting, loader_settings, streams, tap_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.describe import Setting

__all__ = ["LOADER", "capabilities", "definitions", "selection", "setting_definitions"]

LOADER = "target-duckhouse"
_PACKAGE = "merchant-taps"
_PYTHON = "Programming Language :: Python :: "
_IN_MELTANO = {"schema": "$MELTANO_EXTRACT__LOAD_SCHEMA", "state_id": "$MELTANO_ENVIRONMENT:$MELTANO_EXTRACTOR_NAME"}
"""Defaults of the loader where Meltano runs it: a schema and a state for each extractor."""
_ORDER = ("name", "namespace", "variant", "label", "description", "pip_url", "executable")
_UNKNOWN_TO_THE_HUB = "structured-logging"
"""Which its schema knows of extractors only."""
_WIDTH = 120
_NOTE = "# Made from the code by `make docs`, for `meltano add --from-ref`; see docs/guides/your-project.md.\n"


def setting_definitions(plugin: str) -> list[dict[str, Any]]:
    """The settings of a plugin as Meltano declares them, in its order of members.

    Only texts and dates have a kind. Meltano 4.4 ends with a traceback where a number, a list, an object or a choice
    in a variable is not what its kind says, takes every wrong boolean for false, and cannot hand on a ``decimal``.
    Without a kind it hands on the text; our programs read it, and name the setting if they cannot.

    Args:
        plugin: Its name, such as ``tap-peek``.
    """
    settings = loader_settings() if plugin == LOADER else tap_settings(plugin.removeprefix("tap-"))
    files = [] if plugin == LOADER else [file_setting(setting) for setting in settings if setting.secret]
    return [_definition(setting) for setting in (*settings, *files)]


def _definition(setting: Setting) -> dict[str, Any]:
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    members = {
        "name": setting.name,
        "kind": _kind(setting),
        "value": setting.default,
        "label": setting.title,
        "description": setting.description + choices,
        "sensitive": setting.secret or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _kind(setting: Setting) -> str | None:
    if setting.name in {"start_date", "end_date"}:
        return "date_iso8601"
    return "string" if setting.kind == "string" and not setting.choices else None


def capabilities(plugin: str) -> list[str]:
    """What a plugin says that it can do."""
    return sorted(about(plugin.replace("-", "_"))["capabilities"])


def selection(vendor: str) -> list[str]:
    """Rules that select what a tap reads by default; without any, Meltano selects everything."""
    return ["*.*", *(f"!{stream.name}.*" for stream in streams(vendor) if not stream.selected)]


def definitions() -> dict[Path, str]:
    """The files in ``plugins/`` and their texts. Names for people are those of ``meltano.yml``."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]
    named = {plugin["name"]: plugin for kind in ("extractors", "loaders") for plugin in project[kind]}
    made = {f"extractors/tap-{vendor}": _extractor(named[f"tap-{vendor}"]) for vendor in VENDORS}
    made[f"loaders/{LOADER}"] = _loader(named[LOADER])
    return {ROOT / f"plugins/{name}.yml": _text(content) for name, content in made.items()}


def _extractor(entry: Mapping[str, Any]) -> dict[str, Any]:
    vendor = entry["name"].removeprefix("tap-")
    required = [setting.name for setting in tap_settings(vendor) if setting.required]
    return {
        **_common(entry, _PACKAGE + entry["pip_url"].removeprefix("-e .")),
        **({"settings_group_validation": [required]} if required else {}),
        "select": selection(vendor),
    }


def _loader(entry: Mapping[str, Any]) -> dict[str, Any]:
    made = _common(entry, _PACKAGE + entry["pip_url"].removeprefix("-e ."))
    made["capabilities"].remove(_UNKNOWN_TO_THE_HUB)
    for setting in made["settings"]:
        if setting["name"] in _IN_MELTANO:
            setting["value"] = _IN_MELTANO[setting["name"]]
    return {**made, "dialect": "duckdb", "target_schema": _IN_MELTANO["schema"]}


def _common(entry: Mapping[str, Any], pip_url: str) -> dict[str, Any]:
    texts = {**entry, "variant": _PACKAGE, "pip_url": pip_url}
    return {
        **{name: texts[name] for name in _ORDER},
        "maintenance_status": "beta",
        "quality": "unknown",
        "supported_python_versions": _pythons(),
        "capabilities": capabilities(entry["name"]),
        "settings": setting_definitions(entry["name"]),
    }


def _pythons() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [name.removeprefix(_PYTHON) for name in project["classifiers"] if name.startswith(_PYTHON)]
    return [version for version in named if "." in version]


def _text(content: Mapping[str, Any]) -> str:
    return _NOTE + yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=_WIDTH)
