"""``source-NAME``: the tap of that name as an Airbyte source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from tap_core.early import begin

__all__ = ["main"]


def main() -> NoReturn:
    """Run the source that the command's own name says."""
    begin()
    from tap_core.airbyte.cli import run, tap_of  # noqa: PLC0415  signals are handled before the imports that take time

    run(tap_of(Path(sys.argv[0]).resolve().stem.removeprefix("source-")), sys.argv[1:])
