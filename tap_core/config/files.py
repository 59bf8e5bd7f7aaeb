"""The files that a command line names: settings, state, catalog.

What stands where a file's name is expected is never repeated: people put the settings themselves there, or a key.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tap_core import codec
from tap_core.config.secret_files import with_secrets
from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LARGEST", "read_config_files", "read_object", "read_value", "warn_if_exposed"]

LARGEST: Final = 64 * 1024 * 1024
"""Bytes that such a file may have; a longer one is something else."""

_BOM: Final = b"\xef\xbb\xbf"
_STANDARD_INPUT: Final = "-"
_OTHERS_READ: Final = 0o044
_OTHERS_ENTER: Final = 0o011


def read_config_files(paths: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from JSON files, with the secrets from the files that they name; later files win.

    Args:
        paths: The files.
        schema: The settings' JSON schema.

    Raises:
        ConfigError: A file cannot be read, or is not a JSON object.
    """
    config: dict[str, Any] = {}
    for path in paths:
        config |= with_secrets(read_object("--config", path), schema)
    return config


def read_object(
    option: str, path: str, *, error: type[ConfigError] = ConfigError, may_be_empty: bool = False
) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        option: The option that names the file, for messages.
        path: Its path, or ``-`` for standard input.
        error: What to raise.
        may_be_empty: A file without anything in it is an empty object.

    Raises:
        ConfigError: The file cannot be read, or is not a JSON object.
    """
    found = read_value(option, path, error=error, may_be_empty=may_be_empty)
    if not isinstance(found, dict):
        raise error(f"the file of {option} must contain a JSON object")
    return found


def read_value(option: str, path: str, *, error: type[ConfigError] = ConfigError, may_be_empty: bool = False) -> Any:
    """The JSON value in a file; the arguments are those of `read_object`.

    Raises:
        ConfigError: The file cannot be read, or is not JSON.
    """
    content = _content(option, path, error).removeprefix(_BOM)
    if may_be_empty and not content.strip():
        return {}
    try:
        return msgspec.json.decode(content)
    except (*codec.NOT_JSON, RecursionError):
        raise error(f"the file of {option} is not valid JSON") from None


def _content(option: str, path: str, error: type[ConfigError]) -> bytes:
    try:
        if path == _STANDARD_INPUT:
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(LARGEST + 1)
    except OSError as failure:
        raise error(
            f"{option} must name a file of JSON, and what is given cannot be read as one: {failure.strerror}"
        ) from None
    except ValueError:  # a name that no file can have
        raise error(f"{option} must name a file of JSON") from None
    if len(content) > LARGEST:
        raise error(f"the file of {option} is larger than {LARGEST // 1024**2} MiB, so it is not what is expected")
    return content


def warn_if_exposed(path: str, secrets: Iterable[str]) -> str | None:
    """A warning if others on this machine can read a config file with secrets in it.

    A file below a folder that lets nobody else in is private, whatever its mode.
    """
    if path == _STANDARD_INPUT or not any(secrets):
        return None
    try:
        file = Path(path).resolve()
        exposed = file.stat().st_mode & _OTHERS_READ and all(
            folder.stat().st_mode & _OTHERS_ENTER for folder in file.parents
        )
    except OSError:
        return None
    if exposed:
        return f"config file {path} holds secrets that others can read; chmod 600 it, or write it under umask 077"
    return None
