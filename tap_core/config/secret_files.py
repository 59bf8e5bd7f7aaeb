"""Secrets from files, as containers mount them: for each setting ``x`` that holds a secret, ``x_file`` names a file.

As an environment variable that is ``TAP_EXAMPLE_API_KEY_FILE=/run/secrets/key``. Neither the path nor what is in the
file is ever repeated in a message: people may have put the secret itself where the path belongs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tap_core.config.redact import holds_secret
from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LONGEST", "SUFFIX", "read_secret", "with_secrets"]

SUFFIX: Final = "_file"
"""What the name of a setting ends with if its value is in a file."""

LONGEST: Final = 1024 * 1024
"""Bytes that a secret may have; a longer file is something else."""


def with_secrets(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of one source with the secrets from the files that they name.

    Args:
        config: The settings.
        schema: Their JSON schema.

    Raises:
        ConfigError: A file cannot be read, is empty, or is one of two sources of a setting.
    """
    found = dict(config)
    for name, member in schema["properties"].items():
        if not holds_secret(member) or (path := found.pop(name + SUFFIX, None)) in (None, ""):
            continue
        if found.get(name):
            raise ConfigError(f"settings '{name}' and '{name}{SUFFIX}' are both set; keep one of them")
        found[name] = read_secret(path, f"setting '{name}{SUFFIX}'")
    return found


def read_secret(path: Any, named_by: str) -> str:
    """What is in a file, without the line break at its end.

    Args:
        path: The file.
        named_by: What names it, for messages.

    Raises:
        ConfigError: It cannot be read, is empty, or is not a text.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LONGEST + 1)
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{named_by} must name a file, and it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the file that {named_by} names is not UTF-8 text") from None
    except (TypeError, ValueError):  # what no file's name can be
        raise ConfigError(f"{named_by} must name a file") from None
    if len(content) > LONGEST:
        raise ConfigError(f"the file that {named_by} names is larger than 1 MiB, so it is not a secret")
    if not text.strip():
        raise ConfigError(f"the file that {named_by} names is empty")
    return text
