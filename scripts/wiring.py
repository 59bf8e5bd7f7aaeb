"""Where a tap must be named outside its own folder. ``make docs`` adds it there; existing entries stay as they are.

The folders are the list of the taps (`scripts.describe.VENDORS`). So labels and comments can be worded by hand, and
nobody has to remember the places.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.describe import VENDORS, tap_settings
from scripts.meltano_yml import project_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["wired"]

_SCRIPTS = re.compile(r"(?P<begin>\[project\.scripts\]\n)(?:(?:tap|source)-.*\n)*")


def wired(name: str, text: str) -> str:
    """A file's text with the entries of all taps in it.

    Args:
        name: The file's name. Most files need no entry.
        text: Its text.
    """
    wire = _WIRED.get(name)
    return text if wire is None else wire(text)


def _console_scripts(text: str) -> str:
    taps = "".join(f'tap-{vendor} = "tap_{vendor}.__main__:main"\n' for vendor in VENDORS)
    sources = "".join(f'source-{vendor} = "tap_core.airbyte.__main__:main"\n' for vendor in VENDORS)
    return _SCRIPTS.sub(lambda found: found["begin"] + taps + sources, text)


def _dotenv(text: str) -> str:
    own = {
        vendor: [setting for setting in tap_settings(vendor) if setting.required or setting.secret]
        for vendor in VENDORS
    }
    common = set.intersection(*({setting.name for setting in settings} for settings in own.values()))
    for vendor, settings in own.items():
        block = "".join(
            f"# {setting.description}\n{variable}=\n"
            for setting in settings
            if setting.name not in common and (variable := f"TAP_{vendor}_{setting.name}".upper()) not in text
        )
        if block:
            text += f"\n# {vendor.capitalize()}\n{block}"
    return text


_WIRED: Mapping[str, Callable[[str], str]] = {
    "pyproject.toml": _console_scripts,
    "meltano.yml": project_file,
    ".env.example": _dotenv,
}
