"""Settings that come as text: from the environment, a ``.env`` file, or a program that hands on what it was given.

Meltano is one: a number from its own environment reaches a tap as text inside the config file.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values, find_dotenv

from tap_core.config.redact import holds_secret
from tap_core.config.secret_files import SUFFIX, read_secret
from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_environment", "typed"]

_NESTED = {"array", "object"}
_OPENING = {"[", "{"}
_TRUTHS = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}


def read_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Settings from environment variables and a ``.env`` file; variables win.

    A setting that holds a secret may be in a file instead, which ``<variable>_FILE`` names.

    Args:
        schema: The settings' JSON schema.
        prefix: Prefix of the variables' names, such as ``TAP_EXAMPLE_``.

    Raises:
        ConfigError: A variable's text is not of the setting's type, or a file cannot be read.
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
        text: str | None = variables.get(variable)
        in_file = f"{variable}{SUFFIX.upper()}"
        if holds_secret(member) and (file := variables.get(in_file)):
            if text:
                raise ConfigError(f"environment variables {variable} and {in_file} are both set; keep one of them")
            text, variable = read_secret(file, f"environment variable {in_file}"), in_file
        if text is None or text == "":
            continue
        try:
            found[name] = _value(text, member)
        except (LookupError, ValueError, RecursionError):
            expected = " or ".join(sorted(_kinds(member)))
            raise ConfigError(f"environment variable {variable} must be of type {expected}") from None
    return found


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kinds = schema.get("type", "string")
    return {kinds} - {"null"} if isinstance(kinds, str) else set(kinds) - {"null"}


def typed(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a config file, with the texts turned into what their schema asks for: ``"2"`` where it is a number.

    What cannot be turned stays as it is, for the check that names it; an empty text counts as not set where a text
    is not allowed.

    Args:
        config: The settings.
        schema: Their JSON schema.
    """
    found = dict(config)
    for name, value in config.items():
        kinds = _kinds(schema["properties"].get(name, {}))
        if not isinstance(value, str) or kinds == {"string"}:
            continue
        if not value and "string" not in kinds:
            del found[name]
        elif not kinds & _NESTED or value.lstrip()[:1] in _OPENING:
            with suppress(LookupError, ValueError, RecursionError):
                found[name] = _value(value, {"type": list(kinds)})
    return found


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    kinds = _kinds(schema)
    if "integer" in kinds:
        return int(text)
    if "number" in kinds:
        return _finite(text)
    if "boolean" in kinds:
        return _TRUTHS[text.strip().lower()]
    if kinds & _NESTED:
        if text.lstrip()[:1] in _OPENING:
            return json.loads(text, parse_constant=_finite)
        if "array" in kinds and "string" not in kinds:
            return [_value(part.strip(), schema.get("items", {})) for part in text.split(",")]
        if "string" not in kinds:
            raise ValueError
    return text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
