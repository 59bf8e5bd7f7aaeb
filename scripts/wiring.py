"""Where a tap must be named outside its own folder. ``make docs`` adds it there; existing entries stay as they are.

The folders are the list of the taps (`scripts.describe.VENDORS`). So labels and comments can be worded by hand, and
nobody has to remember the places.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from merchant_sandbox.discovery import vendors
from scripts.describe import VENDORS, about, tap_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["wired"]

_SCRIPTS = re.compile(r"(?P<begin>\[project\.scripts\]\n)(?:tap-.*\n)*")
_EXTRACTOR = """\
  - name: tap-{vendor}
    namespace: {vendor}
    label: {label}
    pip_url: -e .
    executable: tap-{vendor}
    description: {description}
    capabilities: [{capabilities}]
    settings:
    - name: api_url
    select:  # without it Meltano selects everything, also what the tap leaves out by default
    - '*.*'
"""
_SANDBOX = """\
      - name: tap-{vendor}
        config:
          api_url: $MERCHANT_SANDBOX_URL/w/default/{vendor}{base_path}
"""
_JOB = """\
- name: {vendor}
  tasks:
  - tap-{vendor} target-duckhouse
"""
_NIGHTLY = """\
  - tap-{vendor} target-duckhouse
"""


def wired(name: str, text: str) -> str:
    """A file's text with the entries of all taps in it.

    Args:
        name: The file's name. Most files need no entry.
        text: Its text.
    """
    wire = _WIRED.get(name)
    return text if wire is None else wire(text)


def _console_scripts(text: str) -> str:
    lines = "".join(f'tap-{vendor} = "tap_{vendor}.__main__:main"\n' for vendor in VENDORS)
    return _SCRIPTS.sub(lambda found: found["begin"] + lines, text)


def _plugins(text: str) -> str:
    for vendor in VENDORS:
        if f"    namespace: {vendor}\n" in text:
            continue
        told = about(f"tap_{vendor}")
        values = {
            "vendor": vendor,
            "label": vendor.capitalize(),
            "description": told["description"].removesuffix("."),
            "capabilities": ", ".join(sorted(told["capabilities"])),
            "base_path": vendors()[vendor].base_path,
        }
        for before, entry in (
            ("  loaders:\n", _EXTRACTOR),
            ("- name: prod ", _SANDBOX),
            ("- name: transform\n", _JOB),
            ("  - dbt:build\n  - report:build\n", _NIGHTLY),
        ):
            head, mark, tail = text.partition(before)
            text = head + entry.format(**values) + mark + tail
    return text


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
    "meltano.yml": _plugins,
    ".env.example": _dotenv,
}
