"""``tap-pegke`` and ``python -m tap_pegke``."""

from __future__ import annotations

from typing import NoReturn

from tap_core.early import begin

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    begin()
    from tap_pegke.tap import TapPegke  # noqa: PLC0415  signals are handled before the imports that take time

    TapPegke.main()


if __name__ == "__main__":
    main()
