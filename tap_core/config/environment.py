"""Settings from environment variables and a ``.env`` file."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values, find_dotenv

from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_environment"]


def read_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Settings from environment variables and a ``.env`` file; variables win.

    Args:
        schema: The settings' JSON schema.
        prefix: Prefix of the variables' names, such as ``TAP_EXAMPLE_``.

    Raises:
        ConfigError: A variable's text is not of the setting's type, or the file cannot be read.
    """
    try:
        path = find_dotenv(usecwd=True)
    except OSError as error:
        raise ConfigError(f"no .env file can be looked for in the current folder: {error.strerror}") from None
    try:
        variables = {**dotenv_values(path), **os.environ}
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the file {path} cannot be read as UTF-8 text") from None
    found: dict[str, Any] = {}
    for name, member in schema["properties"].items():
        variable = prefix + name.upper()
        text = variables.get(variable)
        if text is None or text == "":
            continue
        try:
            found[name] = _typed(text, member)
        except (ValueError, RecursionError):
            expected = " or ".join(sorted(_kinds(member)))
            raise ConfigError(f"environment variable {variable} must be of type {expected}") from None
    return found


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", "string")
    return {kinds} - {"null"} if isinstance(kinds, str) else set(kinds) - {"null"}


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    kinds = _kinds(schema)
    if "integer" in kinds:
        return int(text)
    if "number" in kinds:
        return _finite(text)
    if "boolean" in kinds:
        truths = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if text.lower() not in truths:
            raise ValueError
        return truths[text.lower()]
    if kinds & {"array", "object"}:
        if text.lstrip()[:1] in {"[", "{"}:
            return json.loads(text, parse_constant=_finite)
        if "array" in kinds and "string" not in kinds:
            return [_typed(part.strip(), schema.get("items", {})) for part in text.split(",")]
        if "string" not in kinds:
            raise ValueError
    return text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
