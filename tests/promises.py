"""Which promise of ``docs/reliability.md`` is tested where, and with which taps; ``python -m tests.promises`` tells it.

A promise's id is in the name of a test (``test_s3_…``) or in the id of a parameter (``peakium-H3-503``). A test is one
with a tap if it stands in that vendor's folder, or if the id of a parameter names the vendor.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests.faults.vendors import NOT_APPLICABLE, VENDORS
from tests.tree import ROOT

__all__ = ["told"]

_IN_NAME = re.compile(r"(?<=_)([hpsaxclm][0-9]{1,2})(?=_|$)")
_IN_PARAMETER = re.compile(r"(?<![A-Za-z0-9_])([HPSAXCLM][0-9]{1,2})(?![A-Za-z0-9_])")
_LEFT_OUT = "tests/sandbox/"
"""What proves the sandbox proves no tap."""


def told() -> dict[str, dict[str, list[str] | dict[str, str]]]:
    """For each promise: the ``files`` of its tests, the ``vendors`` they are with, the ``reasons`` why not others."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files: dict[str, set[str]] = {}
    vendors: dict[str, set[str]] = {}
    for line in listed.stdout.splitlines():
        path, _, test = line.partition("::")
        if not test or path.startswith(_LEFT_OUT):
            continue
        name, _, parameters = test.partition("[")
        words = set(re.split(r"[^a-z]+", parameters))
        found = {vendor for vendor in VENDORS if path.startswith(f"tests/{vendor}/") or vendor in words}
        for promise in {*map(str.upper, _IN_NAME.findall(name)), *_IN_PARAMETER.findall(parameters)}:
            files.setdefault(promise, set()).add(path)
            vendors.setdefault(promise, set()).update(found)
    return {
        promise: {
            "files": sorted(files[promise]),
            "vendors": [vendor for vendor in VENDORS if vendor in vendors[promise]],
            "reasons": dict(NOT_APPLICABLE.get(promise, {})),
        }
        for promise in sorted(files)
    }


if __name__ == "__main__":
    print(json.dumps({"vendors": list(VENDORS), "promises": told()}))  # noqa: T201  a command speaks
