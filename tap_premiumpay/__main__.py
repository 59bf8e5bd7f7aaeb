"""``tap-premiumpay`` and ``python -m tap_premiumpay``."""

from __future__ import annotations

from typing import NoReturn

from tap_premiumpay.tap import TapPremiumpay

__all__ = ["main"]


def main() -> NoReturn:
    """Run the tap."""
    TapPremiumpay.main()


if __name__ == "__main__":
    main()
