"""Settings as environment variables, in the form that Singer taps read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tap_environment"]


def tap_environment(vendor: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The settings as ``TAP_<VENDOR>_<SETTING>``; values that are not text are JSON."""
    return {
        f"TAP_{vendor}_{setting}".upper(): value if isinstance(value, str) else json.dumps(value)
        for setting, value in config.items()
    }
